/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status, features, configuration space and queues, as every class and both
 * transports have them.
 */
#include "dev/virtio/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/kick.h"
#include "lib/check.h"

#define CONFIG_MAX 256
#define STATUS_ALL 0xcf

int virtio_init(struct virtio_device *dev, const struct virtio_class *class,
		const struct dma *dma, unsigned queues, unsigned size)
{
	unsigned i;
	int ret;

	ASSERT(queues <= VIRTIO_MAX_QUEUES && size <= VQ_MAX_SIZE);
	dev->class = class;
	dev->dma = dma;
	dev->vq = calloc(queues, sizeof(*dev->vq));
	if (!dev->vq)
		return -ENOMEM;
	if (class->counters_n) {
		ret = binstat_create(&dev->stat, "vmm-stats", class->name,
				     class->counters, class->counters_n);
		if (ret) {
			free(dev->vq);
			return ret;
		}
	}
	dev->queues = queues;
	for (i = 0; i < queues; i++)
		dev->vq[i] = (struct vq){
			.max = (uint16_t)size,
			.size = (uint16_t)size,
		};
	pthread_mutex_init(&dev->lock, NULL);
	return 0;
}

bool virtio_counter(const struct virtio_device *dev, unsigned i,
		    const char **name, uint64_t *value)
{
	if (i >= dev->class->counters_n)
		return false;
	*name = dev->class->counters[i];
	*value = __atomic_load_n(&dev->stat.data[i], __ATOMIC_RELAXED);
	return true;
}

void virtio_settle(struct virtio_device *dev)
{
	features_settle(&dev->offered, dev->class->id);
}

void virtio_exit(struct virtio_device *dev)
{
	unsigned i;

	virtio_kicks_free(dev->kicks);
	virtio_set_status(dev, 0);
	if (dev->class->destroy)
		dev->class->destroy(dev);
	for (i = 0; i < dev->queues; i++)
		vq_reset(&dev->vq[i]);
	free(dev->vq);
	binstat_destroy(&dev->stat);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

uint8_t virtio_get_status(struct virtio_device *dev)
{
	uint8_t status;

	pthread_mutex_lock(&dev->lock);
	status = dev->status;
	pthread_mutex_unlock(&dev->lock);
	return status;
}

/* ---- resets ---- */

static bool busy(struct virtio_device *dev, unsigned q)
{
	return dev->class->busy && dev->class->busy(dev, q);
}

/* Nothing is taken from it or given back any more; that is no breakage. */
static void end_queue(struct vq *vq)
{
	vq->broken = vq->ending = true;
}

static void finish_reset(struct virtio_device *dev)
{
	unsigned i;

	dev->resetting = false;
	dev->status = 0;
	for (i = 0; i < dev->queues; i++)
		vq_reset(&dev->vq[i]);
	dev->driver = dev->agreed = (struct virtio_features){0};
	if (dev->class->reset)
		dev->class->reset(dev);
}

void virtio_ended(struct virtio_device *dev)
{
	unsigned i;

	if (dev->resetting && !busy(dev, VIRTIO_MAX_QUEUES))
		finish_reset(dev);
	for (i = 0; !dev->resetting && i < dev->queues; i++)
		if (dev->vq[i].ending && !busy(dev, i))
			vq_reset(&dev->vq[i]);
}

static void reset(struct virtio_device *dev)
{
	unsigned i;

	if (dev->resetting)
		return;
	dev->resetting = true;
	for (i = 0; i < dev->queues; i++)
		end_queue(&dev->vq[i]);
	if (dev->class->quiesce)
		dev->class->quiesce(dev, VIRTIO_MAX_QUEUES);
	virtio_ended(dev);
}

void virtio_queue_reset(struct virtio_device *dev, unsigned q)
{
	pthread_mutex_lock(&dev->lock);
	if (q < dev->queues && !dev->resetting && !dev->vq[q].ending) {
		end_queue(&dev->vq[q]);
		if (dev->class->quiesce)
			dev->class->quiesce(dev, q);
		virtio_ended(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

/* ---- status ---- */

/* Whether the driver's choice will do. */
static bool acceptable(const struct virtio_device *dev)
{
	return features_has(&dev->driver, VIRTIO_F_VERSION_1) &&
	       features_within(&dev->driver, &dev->offered) &&
	       features_broken(&dev->driver, dev->class->id) < 0;
}

static void accept_features(struct virtio_device *dev)
{
	if (!acceptable(dev))
		return;
	dev->agreed = dev->driver;
	dev->status |= VIRTIO_STATUS_FEATURES_OK;
	if (dev->class->features_ok)
		dev->class->features_ok(dev);
}

static void advance_status(struct virtio_device *dev, uint8_t add)
{
	if (add & VIRTIO_STATUS_FEATURES_OK)
		accept_features(dev);
	dev->status |= add & (uint8_t) ~(VIRTIO_STATUS_FEATURES_OK |
					 VIRTIO_STATUS_DRIVER_OK |
					 VIRTIO_STATUS_NEEDS_RESET);
	if (!(add & VIRTIO_STATUS_DRIVER_OK) ||
	    !(dev->status & VIRTIO_STATUS_FEATURES_OK))
		return;
	dev->status |= VIRTIO_STATUS_DRIVER_OK;
	if (dev->class->start && virtio_running(dev))
		dev->class->start(dev);
}

void virtio_set_status(struct virtio_device *dev, uint8_t status)
{
	pthread_mutex_lock(&dev->lock);
	if (!status)
		reset(dev);
	else if (!dev->resetting)
		advance_status(dev,
			       status & STATUS_ALL & (uint8_t)~dev->status);
	pthread_mutex_unlock(&dev->lock);
}

uint32_t virtio_get_features(struct virtio_device *dev, uint32_t select)
{
	return features_get_word(&dev->offered, select);
}

uint32_t virtio_get_driver_features(struct virtio_device *dev, uint32_t select)
{
	uint32_t word;

	pthread_mutex_lock(&dev->lock);
	word = features_get_word(&dev->driver, select);
	pthread_mutex_unlock(&dev->lock);
	return word;
}

void virtio_set_driver_features(struct virtio_device *dev, uint32_t select,
				uint32_t value)
{
	pthread_mutex_lock(&dev->lock);
	if (!(dev->status & VIRTIO_STATUS_FEATURES_OK) && !dev->resetting)
		features_set_word(&dev->driver, select, value);
	pthread_mutex_unlock(&dev->lock);
}

uint64_t virtio_config_read(struct virtio_device *dev, unsigned offset,
			    unsigned size)
{
	uint8_t config[CONFIG_MAX + 8] = {0};
	uint64_t value = 0;

	if (offset >= dev->config_size || !dev->class->config_read)
		return 0;
	pthread_mutex_lock(&dev->lock);
	dev->class->config_read(dev, config);
	pthread_mutex_unlock(&dev->lock);
	memcpy(&value, config + offset, size);
	return value;
}

void virtio_config_write(struct virtio_device *dev, unsigned offset,
			 unsigned size, uint64_t value)
{
	if (offset >= dev->config_size || size > dev->config_size - offset ||
	    !dev->class->config_write)
		return;
	pthread_mutex_lock(&dev->lock);
	if (!dev->resetting)
		dev->class->config_write(dev, offset, &value, size);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_queue_enable(struct virtio_device *dev, unsigned q)
{
	pthread_mutex_lock(&dev->lock);
	if (q < dev->queues && !dev->vq[q].ready && !dev->resetting &&
	    dev->status & VIRTIO_STATUS_FEATURES_OK &&
	    vq_start(&dev->vq[q], dev->dma, &dev->agreed))
		virtio_break(dev);
	else if (q < dev->queues && virtio_running(dev) && dev->class->start)
		dev->class->start(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* Where somebody is busy with the device, the class's thread can wait. */
static bool hand_over(struct virtio_device *dev, unsigned q)
{
	int fd = -1;

	if (q < dev->queues && dev->class->kick_fd)
		fd = dev->class->kick_fd(dev, q);
	if (fd >= 0)
		doorbell_ring(fd);
	return fd >= 0;
}

void virtio_notify(struct virtio_device *dev, unsigned q)
{
	if (pthread_mutex_trylock(&dev->lock)) {
		if (hand_over(dev, q))
			return;
		pthread_mutex_lock(&dev->lock);
	}
	if (q < dev->queues && dev->vq[q].ready && virtio_running(dev))
		dev->class->notify(dev, q);
	pthread_mutex_unlock(&dev->lock);
}

bool virtio_running(const struct virtio_device *dev)
{
	return (dev->status &
		(VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
		       VIRTIO_STATUS_DRIVER_OK &&
	       !dev->cut_off && !dev->resetting;
}

void virtio_flush(struct virtio_device *dev, unsigned q)
{
	struct vq *vq = &dev->vq[q];

	if (!vq->ready || vq->ending)
		return;
	if (vq->broken)
		virtio_break(dev);
	else if (vq_wants_interrupt(vq))
		dev->transport->queue_interrupt(dev->transport_ctx, q);
}

void virtio_flush_all(struct virtio_device *dev)
{
	unsigned q;

	for (q = 0; q < dev->queues; q++)
		virtio_flush(dev, q);
}

void virtio_resume(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (dev->class->resume)
		dev->class->resume(dev);
	pthread_mutex_unlock(&dev->lock);
}

/*
 * A kernel that starts another one turns bus masters off and asks nobody:
 * from here on the memory is no longer ours. No interrupt, it would be the
 * next kernel's.
 */
static void stop_for_good(struct virtio_device *dev)
{
	unsigned i;

	dev->status |= VIRTIO_STATUS_NEEDS_RESET;
	for (i = 0; i < dev->queues; i++)
		end_queue(&dev->vq[i]);
	if (dev->class->quiesce)
		dev->class->quiesce(dev, VIRTIO_MAX_QUEUES);
}

void virtio_set_master(struct virtio_device *dev, bool on)
{
	pthread_mutex_lock(&dev->lock);
	if (!on && virtio_running(dev))
		stop_for_good(dev);
	if (on && dev->cut_off) {
		dev->cut_off = false;
		if (virtio_running(dev) && dev->class->start)
			dev->class->start(dev);
	}
	dev->cut_off = !on;
	pthread_mutex_unlock(&dev->lock);
}

void virtio_break(struct virtio_device *dev)
{
	if (dev->resetting || dev->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_STATUS_NEEDS_RESET;
	if (dev->status & VIRTIO_STATUS_DRIVER_OK)
		dev->transport->config_interrupt(dev->transport_ctx);
}

void virtio_config_changed(struct virtio_device *dev)
{
	dev->generation++;
	if (dev->status & VIRTIO_STATUS_DRIVER_OK && !dev->resetting)
		dev->transport->config_interrupt(dev->transport_ctx);
}
