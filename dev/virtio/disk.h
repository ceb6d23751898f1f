/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor may ask of a disk's device.
 */
#ifndef DEV_VIRTIO_DISK_H
#define DEV_VIRTIO_DISK_H

#include "dev/virtio/device.h"
#include "lib/err.h"

/*
 * Wait for what is in flight, resize what @dev, a disk, is on, and tell the
 * driver. Any thread; takes dev->lock.
 */
int virtio_blk_resize(struct virtio_device *dev, uint64_t size,
		      struct err *e) __must_check;

#endif
