/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices there are. Each create function makes one with the
 * features @want as far as they can be kept; it is ended by virtio_exit(),
 * which frees it. NULL when memory is short.
 */
#ifndef DEV_VIRTIO_CLASSES_H
#define DEV_VIRTIO_CLASSES_H

#include "dev/virtio/device.h"

struct block;
struct console;
struct net;

struct virtio_rng_conf {
	struct virtio_features want;
};

struct virtio_blk_conf {
	struct virtio_features want;
	struct block *block; /* the caller's */
	unsigned queues;
	unsigned queue_size;
	uint32_t logical_block; /* bytes */
	uint32_t physical_block;
	char serial[21];
	bool hide_read_errors; /* report success whatever happens */
	bool hide_write_errors;
	bool write_cache;
};

struct virtio_net_conf {
	struct virtio_features want;
	struct net *net; /* the caller's */
	unsigned queue_size;
	uint8_t mac[6];
};

struct virtio_device *virtio_rng_create(const struct dma *dma,
					const struct virtio_rng_conf *c);
struct virtio_device *virtio_blk_create(const struct dma *dma,
					const struct virtio_blk_conf *c);
struct virtio_device *virtio_net_create(const struct dma *dma,
					const struct virtio_net_conf *c);

/* Bits that every class offers unless told otherwise. */
#define VIRTIO_COMMON_FEATURES                                       \
	(BIT64(VIRTIO_F_INDIRECT_DESC) | BIT64(VIRTIO_F_EVENT_IDX) | \
	 BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_RESET))
/* And those it offers only when asked to. */
#define VIRTIO_EXTRA_FEATURES                                     \
	(BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER) | \
	 BIT64(VIRTIO_F_NOTIFICATION_DATA))

#endif
