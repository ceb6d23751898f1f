/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device between its transport (PCI or memory-mapped) and its class
 * (net, block, ...). Document: Virtual I/O Device 1.4 "Basic Facilities of a
 * Virtio Device" (2) and "Device Initialization" (3.1).
 *
 * dev->lock guards everything in it and its queues. A transport's calls come
 * with the machine's lock held and take dev->lock; a class's own threads take
 * only dev->lock. Class functions are called with dev->lock held.
 */
#ifndef DEV_VIRTIO_DEVICE_H
#define DEV_VIRTIO_DEVICE_H

#include <pthread.h>

#include "dev/virtio/queue.h"
#include "lib/binstat.h"

#define VIRTIO_STATUS_ACKNOWLEDGE BIT(0)
#define VIRTIO_STATUS_DRIVER      BIT(1)
#define VIRTIO_STATUS_DRIVER_OK   BIT(2)
#define VIRTIO_STATUS_FEATURES_OK BIT(3)
#define VIRTIO_STATUS_NEEDS_RESET BIT(6)
#define VIRTIO_STATUS_FAILED      BIT(7)

#define VIRTIO_MAX_QUEUES 64

struct virtio_device;
struct virtio_kicks;

/* A queue that a backend works on: what each side rings. */
struct virtio_vhost {
	int kick, call; /* eventfds */
};

/* What a class is. Only notify is required. */
struct virtio_class {
	const char *name;
	enum virtio_id id;
	uint32_t pci_class; /* 24 bits, 0: one of its own */
	/* What it counts for `lodge stat` and `lodge top`; may be none. */
	const char *const *counters;
	unsigned counters_n;
	/* The driver made buffers available in queue @q. */
	void (*notify)(struct virtio_device *dev, unsigned q);
	/*
	 * An eventfd that the class waits for in a thread of its own, to be
	 * rung instead of notify() where the board can, and where notify()
	 * would wait for the lock; -1: none for @q. It may be rung at any
	 * time. No lock held.
	 */
	int (*kick_fd)(struct virtio_device *dev, unsigned q);
	/*
	 * Whether notify() does better than an eventfd for queue @q, where it
	 * costs the guest's processor little more. No lock held.
	 */
	bool (*near)(struct virtio_device *dev, unsigned q);
	/* Configuration space; the caller checked offset and length. */
	void (*config_read)(struct virtio_device *dev, void *buf);
	void (*config_write)(struct virtio_device *dev, unsigned offset,
			     const void *buf, unsigned len);
	/* Whether a backend works on queue @q itself at this moment. */
	bool (*vhost)(struct virtio_device *dev, unsigned q,
		      struct virtio_vhost *v);
	/* The features are agreed on; queues are not up yet. */
	void (*features_ok)(struct virtio_device *dev);
	/* DRIVER_OK: queues may be used. */
	void (*start)(struct virtio_device *dev);
	/*
	 * Give up what is in flight on queue @q, or on all when @q is
	 * VIRTIO_MAX_QUEUES; may drop and take dev->lock meanwhile. The
	 * machine waits for it: what may take longer is left to busy().
	 */
	void (*quiesce)(struct virtio_device *dev, unsigned q);
	/*
	 * Whether something of @q, as in quiesce(), is in flight yet, and
	 * virtio_ended() will tell of its end. NULL: never behind quiesce().
	 */
	bool (*busy)(struct virtio_device *dev, unsigned q);
	/* The machine goes on after a stop. */
	void (*resume)(struct virtio_device *dev);
	/* Back to the state at power-on; the queues are already. */
	void (*reset)(struct virtio_device *dev);
	/* End its threads and free what it owns but @dev; no lock held. */
	void (*destroy)(struct virtio_device *dev);
};

/* What a transport does for the device; any thread, dev->lock held. */
struct virtio_transport_ops {
	void (*queue_interrupt)(void *ctx, unsigned q);
	void (*config_interrupt)(void *ctx);
};

/* What the guest did that a monitor tells of; any thread, dev->lock held. */
struct virtio_news {
	/* Its balloon has @bytes now. */
	void (*balloon)(void *ctx, uint64_t bytes);
	/* It opened or closed the console's port @id. */
	void (*port)(void *ctx, const char *id, bool open);
	/* Its card takes other frames, for the first time since asked. */
	void (*filter)(void *ctx);
};

struct virtio_device {
	const struct virtio_class *class;
	pthread_mutex_t lock;
	const struct dma *dma;
	struct virtio_features offered;
	struct virtio_features driver; /* as the driver writes them */
	struct virtio_features agreed; /* driver's, since FEATURES_OK */
	uint8_t status;
	bool cut_off;   /* its bus does not let it reach memory */
	bool resetting; /* until nothing is busy; the status stays so long */
	uint32_t generation; /* of the configuration space */
	unsigned config_size;
	unsigned queues;
	struct vq *vq;
	struct virtio_kicks *kicks; /* its transport's, NULL: none */
	struct binstat stat;
	const struct virtio_transport_ops *transport;
	void *transport_ctx;
	const struct virtio_news *news; /* NULL: nobody listens */
	void *news_ctx;
};

/*
 * Set up @dev, the first member of what the class allocated, with @queues
 * queues of at most @size entries. 0 or -errno.
 */
int virtio_init(struct virtio_device *dev, const struct virtio_class *class,
		const struct dma *dma, unsigned queues,
		unsigned size) __must_check;
/* Drop features of @dev that lack what they need; before the driver looks. */
void virtio_settle(struct virtio_device *dev);
/* Reset the device for good, and free it. */
void virtio_exit(struct virtio_device *dev);

/*
 * ---- for transports; each takes dev->lock ----
 */
uint8_t virtio_get_status(struct virtio_device *dev);
/*
 * Writing 0 asks for a reset, which may take its time: it is over when 0 is
 * read. Nothing else is taken from the driver until then.
 */
void virtio_set_status(struct virtio_device *dev, uint8_t status);
uint32_t virtio_get_features(struct virtio_device *dev, uint32_t select);
uint32_t virtio_get_driver_features(struct virtio_device *dev, uint32_t select);
/* Ignored once FEATURES_OK is set. */
void virtio_set_driver_features(struct virtio_device *dev, uint32_t select,
				uint32_t value);
uint64_t virtio_config_read(struct virtio_device *dev, unsigned offset,
			    unsigned size);
void virtio_config_write(struct virtio_device *dev, unsigned offset,
			 unsigned size, uint64_t value);
/* Enabling takes up the addresses; broken ones make DEVICE_NEEDS_RESET. */
void virtio_queue_enable(struct virtio_device *dev, unsigned q);
/* The same of one queue, which is not ready any more then. */
void virtio_queue_reset(struct virtio_device *dev, unsigned q);
void virtio_notify(struct virtio_device *dev, unsigned q);
/* The machine goes on after a stop. */
void virtio_resume(struct virtio_device *dev);
/*
 * Whether the bus lets the device reach memory. A driver that takes that away
 * while the device runs has to reset it: what was on its way is lost.
 */
void virtio_set_master(struct virtio_device *dev, bool on);

/*
 * ---- for classes; dev->lock held ----
 */
/* True while the driver runs the device, and lets it, and it is not broken. */
bool virtio_running(const struct virtio_device *dev);
/* Tell the driver of used buffers if it wants to hear; looks for breakage. */
void virtio_flush(struct virtio_device *dev, unsigned q);
void virtio_flush_all(struct virtio_device *dev);
/* Something that was busy() is so no more; ends resets that waited for it. */
void virtio_ended(struct virtio_device *dev);
/* The driver broke the protocol: stop until reset. */
void virtio_break(struct virtio_device *dev);
/* The configuration space is another one now. */
void virtio_config_changed(struct virtio_device *dev);

/* Add to one of the class's counters; any thread, without the lock too. */
static inline void virtio_count(struct virtio_device *dev, unsigned counter,
				uint64_t n)
{
	binstat_add(&dev->stat, counter, n);
}

/* Counter @i of the class; false behind the last one. Any thread. */
bool virtio_counter(const struct virtio_device *dev, unsigned i,
		    const char **name, uint64_t *value);

static inline bool virtio_has(const struct virtio_device *dev, unsigned bit)
{
	return features_has(&dev->agreed, bit);
}

#endif
