/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers are 32 bits wide and reached by aligned accesses of that width;
 * the configuration space takes any.
 */
#include "dev/virtio/vmmio.h"

#include <string.h>

#include "dev/bus.h"
#include "dev/virtio/kick.h"

#define R_MAGIC         0x000
#define R_VERSION       0x004
#define R_DEVICE_ID     0x008
#define R_VENDOR_ID     0x00c
#define R_DEVICE        0x010
#define R_DEVICE_SELECT 0x014
#define R_DRIVER        0x020
#define R_DRIVER_SELECT 0x024
#define R_QUEUE_SELECT  0x030
#define R_QUEUE_MAX     0x034
#define R_QUEUE_SIZE    0x038
#define R_QUEUE_READY   0x044
#define R_NOTIFY        0x050
#define R_CAUSE         0x060
#define R_ACK           0x064
#define R_STATUS        0x070
#define R_QUEUE_DESC    0x080
#define R_QUEUE_DRIVER  0x090
#define R_QUEUE_DEVICE  0x0a0
#define R_SHM_LEN_LOW   0x0b0
#define R_SHM_BASE_HIGH 0x0bc
#define R_QUEUE_RESET   0x0c0
#define R_GENERATION    0x0fc
#define R_CONFIG        0x100

#define MAGIC        0x74726976 /* "virt" */
#define VENDOR       0x4745444c
#define CAUSE_QUEUE  BIT(0)
#define CAUSE_CONFIG BIT(1)

static void raise_cause(struct vmmio *v, uint32_t cause)
{
	v->cause |= cause;
	chip_pin_set(&v->irq, v->cause);
}

static void vmmio_queue_interrupt(void *ctx, unsigned q)
{
	raise_cause(ctx, CAUSE_QUEUE);
}

static void vmmio_config_interrupt(void *ctx)
{
	raise_cause(ctx, CAUSE_CONFIG);
}

static const struct virtio_transport_ops transport = {
	vmmio_queue_interrupt,
	vmmio_config_interrupt,
};

static void drop_cause(struct vmmio *v, uint32_t cause)
{
	pthread_mutex_lock(&v->dev->lock);
	v->cause &= ~cause;
	chip_pin_set(&v->irq, v->cause);
	pthread_mutex_unlock(&v->dev->lock);
}

static struct vq *selected(struct vmmio *v)
{
	return v->queue_select < v->dev->queues ? &v->dev->vq[v->queue_select]
						: NULL;
}

static uint32_t read_queue(struct vmmio *v, unsigned reg)
{
	const struct vq *vq = selected(v);
	uint32_t val = 0;

	if (!vq)
		return 0;
	pthread_mutex_lock(&v->dev->lock);
	if (reg == R_QUEUE_MAX)
		val = vq->max;
	else if (reg == R_QUEUE_READY)
		val = vq->ready;
	else if (reg == R_QUEUE_RESET)
		val = vq->ending;
	pthread_mutex_unlock(&v->dev->lock);
	return val;
}

static uint32_t read_cause(struct vmmio *v)
{
	uint32_t cause;

	pthread_mutex_lock(&v->dev->lock);
	cause = v->cause;
	pthread_mutex_unlock(&v->dev->lock);
	return cause;
}

static uint32_t read_reg(struct vmmio *v, unsigned reg)
{
	switch (reg) {
	case R_MAGIC: return MAGIC;
	case R_VERSION: return 2;
	case R_DEVICE_ID: return v->dev->class->id;
	case R_VENDOR_ID: return VENDOR;
	case R_DEVICE: return virtio_get_features(v->dev, v->device_select);
	case R_QUEUE_MAX:
	case R_QUEUE_READY:
	case R_QUEUE_RESET: return read_queue(v, reg);
	case R_CAUSE: return read_cause(v);
	case R_STATUS: return virtio_get_status(v->dev);
	case R_GENERATION:
		return __atomic_load_n(&v->dev->generation, __ATOMIC_RELAXED);
	default: break;
	}
	/* No shared memory: a length and base of all ones. */
	return reg >= R_SHM_LEN_LOW && reg <= R_SHM_BASE_HIGH ? UINT32_MAX : 0;
}

static uint64_t vmmio_read(void *ctx, uint64_t at, unsigned size)
{
	struct vmmio *v = ctx;

	if (at >= R_CONFIG)
		return virtio_config_read(v->dev, (unsigned)at - R_CONFIG,
					  size);
	return size == 4 && at % 4 == 0 ? read_reg(v, (unsigned)at) : 0;
}

/* dev->lock held. */
static void write_address(struct vq *vq, unsigned reg, uint32_t val)
{
	uint64_t *gpa = reg < R_QUEUE_DRIVER   ? &vq->desc_gpa
			: reg < R_QUEUE_DEVICE ? &vq->driver_gpa
					       : &vq->device_gpa;

	memcpy((uint8_t *)gpa + reg % 8, &val, 4);
}

static void write_ready(struct vmmio *v, uint32_t val)
{
	if (val & 1)
		virtio_queue_enable(v->dev, v->queue_select);
	else
		virtio_queue_reset(v->dev, v->queue_select);
}

static void write_queue(struct vmmio *v, unsigned reg, uint32_t val)
{
	struct vq *vq = selected(v);

	if (!vq)
		return;
	if (reg == R_QUEUE_READY) {
		write_ready(v, val);
		return;
	}
	if (reg == R_QUEUE_RESET) {
		if (val & 1 && virtio_has(v->dev, VIRTIO_F_RING_RESET))
			virtio_queue_reset(v->dev, v->queue_select);
		return;
	}
	pthread_mutex_lock(&v->dev->lock);
	if (vq->ready)
		;
	else if (reg == R_QUEUE_SIZE)
		vq->size = (uint16_t)MIN(val, 0xffffU);
	else if (reg >= R_QUEUE_DESC && reg < R_QUEUE_DEVICE + 8 &&
		 reg % 16 < 8)
		write_address(vq, reg, val);
	pthread_mutex_unlock(&v->dev->lock);
}

static void write_status(struct vmmio *v, uint32_t val)
{
	virtio_set_status(v->dev, (uint8_t)val);
	if (!val)
		drop_cause(v, UINT32_MAX);
}

static void write_reg(struct vmmio *v, unsigned reg, uint32_t val)
{
	switch (reg) {
	case R_DEVICE_SELECT: v->device_select = val; break;
	case R_DRIVER:
		virtio_set_driver_features(v->dev, v->driver_select, val);
		break;
	case R_DRIVER_SELECT: v->driver_select = val; break;
	case R_QUEUE_SELECT: v->queue_select = val; break;
	case R_NOTIFY: virtio_notify(v->dev, val & 0xffff); break;
	case R_ACK: drop_cause(v, val); break;
	case R_STATUS: write_status(v, val); break;
	default: write_queue(v, reg, val); break;
	}
}

static void vmmio_write(void *ctx, uint64_t at, unsigned size, uint64_t val)
{
	struct vmmio *v = ctx;

	if (at >= R_CONFIG)
		virtio_config_write(v->dev, (unsigned)at - R_CONFIG, size, val);
	else if (size == 4 && at % 4 == 0)
		write_reg(v, (unsigned)at, (uint32_t)val);
}

static const struct bus_ops vmmio_ops = {vmmio_read, vmmio_write};

int vmmio_init(struct vmmio *v, struct virtio_device *dev, struct bus *mmio,
	       uint64_t gpa, const struct chip_pin *irq,
	       const struct doorbells *bells)
{
	struct bus_range range = {gpa, VMMIO_SIZE, 4, &vmmio_ops, v};
	/* A store with more in it than the queue goes by the bus. */
	const struct doorbell first = {gpa + R_NOTIFY, 4, true, 0, -1};
	int ret = bus_add(mmio, &range);

	if (ret)
		return ret;

	*v = (struct vmmio){.dev = dev, .irq = *irq};
	dev->transport = &transport;
	dev->transport_ctx = v;
	dev->kicks = virtio_kicks_new(dev, bells);
	virtio_kicks_hang(dev->kicks, &first, 0);
	return 0;
}
