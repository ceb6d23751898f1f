/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor may ask of a balloon. Any thread; each takes dev->lock.
 */
#ifndef DEV_VIRTIO_BALLOON_H
#define DEV_VIRTIO_BALLOON_H

#include "dev/virtio/device.h"
#include "lib/err.h"

/* A property that can be set while the device runs: s, see below. */
#define BALLOON_PERIOD "guest-stats-polling-interval"

/* The tags of Virtio's "Memory Statistics Tags" (5.5.6.4), in order. */
#define BALLOON_STATS 16

struct balloon_stats {
	uint32_t known; /* bits of those that the driver gave */
	int64_t when;   /* ... in seconds of the epoch, 0: never */
	uint64_t value[BALLOON_STATS];
};

/* The name that QMP has for statistic @i, or NULL. */
const char *virtio_balloon_stat_name(unsigned i);

/* True when @dev is one. */
bool virtio_is_balloon(const struct virtio_device *dev);

/* Ask the guest to do without @bytes. */
void virtio_balloon_inflate(struct virtio_device *dev, uint64_t bytes);

/* The bytes it does without, as it says. */
uint64_t virtio_balloon_actual(struct virtio_device *dev);

/* The latest statistics. */
void virtio_balloon_stats(struct virtio_device *dev, struct balloon_stats *s);

/* Ask for newer ones every @seconds from now on, 0: no more. 0 or -errno. */
int virtio_balloon_poll(struct virtio_device *dev, unsigned seconds,
			struct err *e) __must_check;

#endif
