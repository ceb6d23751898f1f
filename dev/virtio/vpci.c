/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One BAR with a page for each structure, and vendor capabilities that say
 * so. Reads of the common structure are served from an image made on the
 * spot; it is not in any fast path.
 */
#include "dev/virtio/vpci.h"

#include <string.h>

#include "dev/bus.h"
#include "dev/pci.h"
#include "dev/virtio/kick.h"

#define BAR_REGS 0
#define BAR_MSIX 1
#define BAR_SIZE 0x4000
#define PAGE     0x1000

enum { PAGE_COMMON, PAGE_ISR, PAGE_DEVICE, PAGE_NOTIFY };
enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_WINDOW };

#define PCI_COMMAND       0x04
#define CAP_VENDOR        0x09
#define CAP_SIZE          16
#define NOTIFY_MULTIPLIER 4
#define CLASS_OTHER       0x00ff00
#define ISR_QUEUE         BIT(0)
#define ISR_CONFIG        BIT(1)

/* The common structure, Virtual I/O Device 1.4 (4.1.4.3). */
#define C_DEVICE_SELECT 0x00
#define C_DEVICE        0x04
#define C_DRIVER_SELECT 0x08
#define C_DRIVER        0x0c
#define C_CONFIG_VECTOR 0x10
#define C_QUEUES        0x12
#define C_STATUS        0x14
#define C_GENERATION    0x15
#define C_QUEUE_SELECT  0x16
#define C_QUEUE_SIZE    0x18
#define C_QUEUE_VECTOR  0x1a
#define C_QUEUE_ENABLE  0x1c
#define C_QUEUE_NOTIFY  0x1e
#define C_QUEUE_DESC    0x20
#define C_QUEUE_DRIVER  0x28
#define C_QUEUE_DEVICE  0x30
#define C_QUEUE_DATA    0x38
#define C_QUEUE_RESET   0x3a
#define C_SIZE          0x3c

static void raise_vector(struct vpci *v, uint16_t vec, uint8_t cause)
{
	if (pcifn_msix_enabled(&v->fn)) {
		if (vec != MSIX_NO_VECTOR)
			pcifn_msix_send(&v->fn, vec);
		return;
	}
	v->isr |= cause;
	pcifn_set_pin(&v->fn, true);
}

static void vpci_queue_interrupt(void *ctx, unsigned q)
{
	struct vpci *v = ctx;

	raise_vector(v, v->vector[q], ISR_QUEUE);
}

static void vpci_config_interrupt(void *ctx)
{
	struct vpci *v = ctx;

	raise_vector(v, v->config_vector, ISR_CONFIG | ISR_QUEUE);
}

static const struct virtio_transport_ops transport = {
	vpci_queue_interrupt,
	vpci_config_interrupt,
};

/* dev->lock held. */
static void reset_vectors(struct vpci *v)
{
	unsigned i;

	v->isr = 0;
	v->config_vector = MSIX_NO_VECTOR;
	for (i = 0; i < VIRTIO_MAX_QUEUES; i++)
		v->vector[i] = MSIX_NO_VECTOR;
	pcifn_set_pin(&v->fn, false);
}

static void set_status(struct vpci *v, uint8_t status)
{
	virtio_set_status(v->dev, status);
	if (status)
		return;
	pthread_mutex_lock(&v->dev->lock);
	reset_vectors(v);
	pthread_mutex_unlock(&v->dev->lock);
	v->device_select = v->driver_select = 0;
	v->queue_select = 0;
}

static void put(uint8_t *p, unsigned at, uint64_t val, unsigned size)
{
	memcpy(p + at, &val, size);
}

static struct vq *selected(struct vpci *v)
{
	return v->queue_select < v->dev->queues ? &v->dev->vq[v->queue_select]
						: NULL;
}

/* dev->lock held. */
static void queue_image(struct vpci *v, const struct vq *vq, uint8_t *p)
{
	put(p, C_QUEUE_SIZE, vq->size, 2);
	put(p, C_QUEUE_VECTOR, v->vector[v->queue_select], 2);
	put(p, C_QUEUE_ENABLE, vq->ready, 2);
	put(p, C_QUEUE_NOTIFY, v->queue_select, 2);
	put(p, C_QUEUE_DESC, vq->desc_gpa, 8);
	put(p, C_QUEUE_DRIVER, vq->driver_gpa, 8);
	put(p, C_QUEUE_DEVICE, vq->device_gpa, 8);
	put(p, C_QUEUE_DATA, v->queue_select, 2);
	put(p, C_QUEUE_RESET, vq->ending, 2);
}

static uint64_t common_read(struct vpci *v, unsigned offset, unsigned size)
{
	struct virtio_device *dev = v->dev;
	uint8_t p[C_SIZE + 8] = {0};
	uint64_t val = 0;

	if (offset >= C_SIZE)
		return 0;
	put(p, C_DEVICE_SELECT, v->device_select, 4);
	put(p, C_DEVICE, virtio_get_features(dev, v->device_select), 4);
	put(p, C_DRIVER_SELECT, v->driver_select, 4);
	put(p, C_DRIVER, virtio_get_driver_features(dev, v->driver_select), 4);
	pthread_mutex_lock(&dev->lock);
	put(p, C_CONFIG_VECTOR, v->config_vector, 2);
	put(p, C_QUEUES, dev->queues, 2);
	put(p, C_STATUS, dev->status, 1);
	put(p, C_GENERATION, dev->generation & 0xff, 1);
	put(p, C_QUEUE_SELECT, v->queue_select, 2);
	if (selected(v))
		queue_image(v, selected(v), p);
	pthread_mutex_unlock(&dev->lock);
	memcpy(&val, p + offset, size);
	return val;
}

static uint16_t valid_vector(struct vpci *v, uint64_t val)
{
	return val < v->fn.vectors ? (uint16_t)val : MSIX_NO_VECTOR;
}

/* dev->lock held. A queue that is up keeps its addresses. */
static void queue_write(struct vpci *v, struct vq *vq, unsigned offset,
			unsigned size, uint64_t val)
{
	uint64_t *gpa[] = {&vq->desc_gpa, &vq->driver_gpa, &vq->device_gpa};

	if (offset == C_QUEUE_VECTOR && size == 2)
		v->vector[v->queue_select] = valid_vector(v, val);
	else if (vq->ready)
		return;
	else if (offset == C_QUEUE_SIZE && size == 2)
		vq->size = (uint16_t)val;
	else if (offset >= C_QUEUE_DESC && offset < C_QUEUE_DATA && size == 4 &&
		 offset % 4 == 0)
		memcpy((uint8_t *)gpa[(offset - C_QUEUE_DESC) / 8] + offset % 8,
		       &val, 4);
}

static void common_write_queue(struct vpci *v, unsigned offset, unsigned size,
			       uint64_t val)
{
	struct vq *vq = selected(v);

	if (!vq)
		return;
	if (offset == C_QUEUE_ENABLE && size == 2 && val == 1) {
		virtio_queue_enable(v->dev, v->queue_select);
	} else if (offset == C_QUEUE_RESET && size == 2 && val == 1) {
		if (virtio_has(v->dev, VIRTIO_F_RING_RESET))
			virtio_queue_reset(v->dev, v->queue_select);
	} else {
		pthread_mutex_lock(&v->dev->lock);
		queue_write(v, vq, offset, size, val);
		pthread_mutex_unlock(&v->dev->lock);
	}
}

static void common_write(struct vpci *v, unsigned offset, unsigned size,
			 uint64_t val)
{
	if (offset == C_DEVICE_SELECT && size == 4) {
		v->device_select = (uint32_t)val;
	} else if (offset == C_DRIVER_SELECT && size == 4) {
		v->driver_select = (uint32_t)val;
	} else if (offset == C_DRIVER && size == 4) {
		virtio_set_driver_features(v->dev, v->driver_select,
					   (uint32_t)val);
	} else if (offset == C_CONFIG_VECTOR && size == 2) {
		pthread_mutex_lock(&v->dev->lock);
		v->config_vector = valid_vector(v, val);
		pthread_mutex_unlock(&v->dev->lock);
	} else if (offset == C_STATUS && size == 1) {
		set_status(v, (uint8_t)val);
	} else if (offset == C_QUEUE_SELECT && size == 2) {
		v->queue_select = (uint16_t)val;
	} else {
		common_write_queue(v, offset, size, val);
	}
}

/* Reading tells the causes, clears them and lets go of the pin. */
static uint64_t isr_read(struct vpci *v)
{
	uint8_t isr;

	pthread_mutex_lock(&v->dev->lock);
	isr = v->isr;
	v->isr = 0;
	pcifn_set_pin(&v->fn, false);
	pthread_mutex_unlock(&v->dev->lock);
	return isr;
}

static uint64_t vpci_read(void *ctx, uint64_t at, unsigned size)
{
	struct vpci *v = ctx;
	unsigned offset = at % PAGE;

	switch (at / PAGE) {
	case PAGE_COMMON: return common_read(v, offset, size);
	case PAGE_ISR: return offset ? 0 : isr_read(v);
	case PAGE_DEVICE: return virtio_config_read(v->dev, offset, size);
	default: return 0;
	}
}

static void vpci_write(void *ctx, uint64_t at, unsigned size, uint64_t val)
{
	struct vpci *v = ctx;
	unsigned offset = at % PAGE;

	switch (at / PAGE) {
	case PAGE_COMMON: common_write(v, offset, size, val); break;
	case PAGE_DEVICE: virtio_config_write(v->dev, offset, size, val); break;
	case PAGE_NOTIFY:
		/* With NOTIFICATION_DATA the value tells more; not needed. */
		virtio_notify(v->dev, offset / NOTIFY_MULTIPLIER);
		break;
	default: break;
	}
}

static const struct bus_ops vpci_ops = {vpci_read, vpci_write};

/* What the window capability now points to; false for nothing allowed. */
static bool window_target(struct vpci *v, uint32_t *at, unsigned *size)
{
	const uint8_t *cap = v->fn.config + v->window;
	uint32_t len;

	memcpy(at, cap + 8, 4);
	memcpy(&len, cap + 12, 4);
	*size = len;
	return cap[4] == BAR_REGS && (len == 1 || len == 2 || len == 4) &&
	       *at % len == 0 && *at <= BAR_SIZE - len;
}

static uint32_t window_read(struct pcifn *fn, unsigned reg, unsigned size,
			    uint32_t stored)
{
	struct vpci *v = container_of(fn, struct vpci, fn);
	unsigned n;
	uint32_t at;

	if (reg != v->window + CAP_SIZE || !window_target(v, &at, &n))
		return stored;
	return (uint32_t)vpci_read(v, at, n);
}

static void config_written(struct pcifn *fn, unsigned reg, unsigned size)
{
	struct vpci *v = container_of(fn, struct vpci, fn);
	uint32_t at, val = 0;
	unsigned n;

	if (reg <= PCI_COMMAND && reg + size > PCI_COMMAND)
		virtio_set_master(v->dev, pcifn_is_master(fn));
	if (reg != v->window + CAP_SIZE || !window_target(v, &at, &n))
		return;
	memcpy(&val, fn->config + reg, n);
	vpci_write(v, at, n, val);
}

/* Machine's lock held; its doorbells hang where the notify page is. */
static void vpci_moved(struct pcifn *fn, unsigned n)
{
	struct vpci *v = container_of(fn, struct vpci, fn);
	const struct doorbell first = {
		.gpa = fn->bar[n].at + PAGE_NOTIFY * PAGE,
	};

	if (n != BAR_REGS)
		return;
	if (!v->dev->kicks)
		v->dev->kicks = virtio_kicks_new(v->dev,
						 fn->pci->board.doorbells);
	if (fn->bar[n].mapped)
		virtio_kicks_hang(v->dev->kicks, &first, NOTIFY_MULTIPLIER);
	else
		virtio_kicks_take_down(v->dev->kicks);
}

static unsigned add_capability(struct vpci *v, unsigned type, unsigned page,
			       unsigned len)
{
	bool more = type == CFG_NOTIFY || type == CFG_WINDOW;
	unsigned size = CAP_SIZE + (more ? 4 : 0);
	unsigned at = pcifn_add_capability(&v->fn, CAP_VENDOR, size);
	uint8_t *p = v->fn.config + at;

	p[2] = (uint8_t)size;
	p[3] = (uint8_t)type;
	p[4] = BAR_REGS;
	put(p, 8, type == CFG_WINDOW ? 0 : page * PAGE, 4);
	put(p, 12, len, 4);
	if (type == CFG_NOTIFY)
		put(p, CAP_SIZE, NOTIFY_MULTIPLIER, 4);
	return at;
}

static void add_capabilities(struct vpci *v)
{
	uint8_t *mask;

	add_capability(v, CFG_COMMON, PAGE_COMMON, C_SIZE);
	add_capability(v, CFG_ISR, PAGE_ISR, 1);
	if (v->dev->config_size)
		add_capability(v, CFG_DEVICE, PAGE_DEVICE, v->dev->config_size);
	add_capability(v, CFG_NOTIFY, PAGE_NOTIFY,
		       v->dev->queues * NOTIFY_MULTIPLIER);
	v->window = add_capability(v, CFG_WINDOW, 0, 0);
	mask = v->fn.writable + v->window;
	mask[4] = 0xff;
	memset(mask + 8, 0xff, 12);
	v->fn.read = window_read;
	v->fn.written = config_written;
	v->fn.moved = vpci_moved;
}

void vpci_init(struct vpci *v, struct virtio_device *dev, unsigned vectors)
{
	const struct pcifn_id id = {
		.vendor = 0x1af4,
		.device = (uint16_t)(0x1040 + dev->class->id),
		.subsystem_vendor = 0x1af4,
		.subsystem = 0x1100,
		.class = dev->class->pci_class ? dev->class->pci_class
					       : CLASS_OTHER,
		.revision = 1,
	};

	*v = (struct vpci){.dev = dev};
	pcifn_init(&v->fn, &id);
	pcifn_add_bar(&v->fn, BAR_REGS, BAR_SIZE, &vpci_ops, v);
	if (vectors)
		pcifn_add_msix(&v->fn, BAR_MSIX, MIN(vectors, dev->queues + 1));
	add_capabilities(v);
	dev->transport = &transport;
	dev->transport_ctx = v;
	dev->cut_off = true; /* until the guest makes it a bus master */
	reset_vectors(v);
}

void vpci_exit(struct vpci *v)
{
	pcifn_exit(&v->fn);
}
