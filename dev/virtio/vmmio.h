/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio as a block of registers in memory with one interrupt line, version
 * 2. Document: Virtual I/O Device 1.4 "Virtio Over MMIO" (4.2). Left out:
 * the legacy version 1, shared memory regions (their length reads as none).
 */
#ifndef DEV_VIRTIO_VMMIO_H
#define DEV_VIRTIO_VMMIO_H

#include "chip/chip.h"
#include "dev/virtio/device.h"

#define VMMIO_SIZE 0x200 /* bytes of registers */

struct bus;
struct doorbells;

struct vmmio {
	struct virtio_device *dev;
	struct chip_pin irq; /* level; any thread, dev->lock held */
	uint32_t device_select;
	uint32_t driver_select;
	uint32_t queue_select;
	uint32_t cause; /* under dev->lock */
};

/*
 * Claims [@gpa, @gpa + VMMIO_SIZE), with doorbells unless @bells is NULL; 0 or
 * bus_add()'s -errno.
 */
int vmmio_init(struct vmmio *v, struct virtio_device *dev, struct bus *mmio,
	       uint64_t gpa, const struct chip_pin *irq,
	       const struct doorbells *bells) __must_check;

#endif
