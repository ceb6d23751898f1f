/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue from the device's side, split or packed. Documents: Virtual I/O
 * Device 1.4 "Split Virtqueues" (2.7) and "Packed Virtqueues" (2.8).
 *
 * The driver may write anything at any time. Each descriptor is read once,
 * each address and length is checked against guest memory, and what breaks
 * the format marks the queue broken: it then yields nothing more until reset.
 * The owner serializes all calls on one queue.
 */
#ifndef DEV_VIRTIO_QUEUE_H
#define DEV_VIRTIO_QUEUE_H

#include <sys/uio.h>

#include "dev/virtio/features.h"

#define VQ_MAX_SIZE 1024 /* entries of a ring */
#define VQ_MAX_IOV  1024 /* pieces of one buffer */
#define VQ_MAX_PUSH 64   /* buffers given back at once */

struct dma;

/* A buffer the driver made available. */
struct vq_elem {
	uint32_t seq;   /* which in the order they were taken */
	uint16_t id;    /* what is given back */
	uint16_t slots; /* descriptors of a packed ring it takes */
	unsigned out_n; /* pieces to read from: iov[0] and on */
	unsigned in_n;  /* pieces to write to: iov[out_n] and on */
	size_t out_len; /* bytes */
	size_t in_len;
	struct iovec iov[];
};

/* A buffer given back out of order waits here for its turn. */
struct vq_done {
	uint32_t len;
	uint16_t id;
	uint16_t slots;
	bool done;
};

struct vq {
	uint16_t max;  /* entries, at most */
	uint16_t size; /* entries the driver chose */
	bool ready;
	bool broken;
	bool ending; /* it is being reset, and broken for that alone */
	uint64_t desc_gpa;
	uint64_t driver_gpa;
	uint64_t device_gpa;
	/* ---- below: set by vq_start() ---- */
	bool packed;
	bool indirect;
	bool event_idx;
	bool in_order;
	const struct dma *dma;
	uint8_t *desc;
	uint8_t *driver;
	uint8_t *device;
	uint16_t next;  /* index in the ring of the next buffer */
	uint16_t used;  /* where the next used one is written */
	bool next_wrap; /* packed: wrap counters of the two */
	bool used_wrap;
	uint16_t told; /* used index when the driver was last told */
	bool told_valid;
	bool quiet;      /* notifications are not wanted now */
	uint32_t taken;  /* sequence number of the next buffer */
	uint32_t flying; /* buffers taken and not given back */
	uint32_t given;  /* in order: first not given back yet */
	struct vq_done *order;
	struct iovec *scratch;
	unsigned out_n, in_n;
	size_t out_len, in_len;
};

/*
 * Take up the rings at the addresses set. 0, or -EINVAL when size, alignment
 * or addresses cannot be (the queue is then broken), or -ENOMEM.
 */
int vq_start(struct vq *vq, const struct dma *dma,
	     const struct virtio_features *f) __must_check;

/* Forget all but @max; frees what vq_start() took. */
void vq_reset(struct vq *vq);

/*
 * The next buffer, to be released by free() after vq_push(); NULL when there
 * is none or the queue is or becomes broken.
 */
struct vq_elem *vq_pop(struct vq *vq);

/* Put the last popped buffer back, as if it had not been taken; frees it. */
void vq_unpop(struct vq *vq, struct vq_elem *e);

/* Give @e back with @len bytes written into it. Does not free it. */
void vq_push(struct vq *vq, const struct vq_elem *e, uint32_t len);

/*
 * Give @n buffers back, VQ_MAX_PUSH at most, so that the driver sees all of
 * them or none.
 */
void vq_push_many(struct vq *vq, struct vq_elem *const *e, const uint32_t *len,
		  unsigned n);

/* Whether the driver wants to hear of what was pushed since the last call. */
bool vq_wants_interrupt(struct vq *vq);

/* Ask for kicks or not. After true, look with vq_empty() again. */
void vq_want_kick(struct vq *vq, bool on);

/*
 * Ask for a kick when the driver adds to what is there now, which is not
 * enough; popping and vq_unpop() leave that alone. Then try once more.
 */
void vq_want_more(struct vq *vq);

/* Whether there is nothing to pop. */
bool vq_empty(struct vq *vq);

/* Copy between a buffer's pieces and @p; returns the bytes copied. */
size_t iov_read(const struct iovec *iov, unsigned n, size_t skip, void *p,
		size_t len);
size_t iov_write(const struct iovec *iov, unsigned n, size_t skip,
		 const void *p, size_t len);

/* ---- between queue.c and the two formats ---- */

/* One descriptor in memory; both formats have 16 bytes. */
struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t a; /* split: flags; packed: buffer id */
	uint16_t b; /* split: next; packed: flags */
};

#define VQ_DESC_NEXT     BIT(0)
#define VQ_DESC_WRITE    BIT(1)
#define VQ_DESC_INDIRECT BIT(2)
/* Of a packed ring: whose it is. */
#define VQ_DESC_AVAIL    BIT(7)
#define VQ_DESC_USED     BIT(15)

struct vq_format {
	unsigned (*driver_bytes)(unsigned size);
	unsigned (*device_bytes)(unsigned size);
	unsigned driver_align, device_align;
	bool (*empty)(struct vq *vq);
	/* Fill vq->scratch; 1, 0: empty, -EINVAL: broken. */
	int (*take)(struct vq *vq, struct vq_elem *head);
	void (*untake)(struct vq *vq, const struct vq_elem *e);
	/* Write @n used entries and make them visible together. */
	void (*give)(struct vq *vq, const struct vq_done *d, unsigned n);
	bool (*wants_interrupt)(struct vq *vq);
	/* Whether that took a store. */
	bool (*want_kick)(struct vq *vq);
	void (*want_more)(struct vq *vq);
};

extern const struct vq_format vq_split;
extern const struct vq_format vq_packed;

/* Take one piece of a buffer into scratch; 0 or -EINVAL. */
int vq_piece(struct vq *vq, uint64_t gpa, uint32_t len, bool write);

/* Read descriptor @i of the table at @table, once. */
struct vq_desc vq_read_desc(const uint8_t *table, unsigned i);

/* The table an indirect descriptor points to, and its entries; or NULL. */
const uint8_t *vq_indirect(struct vq *vq, uint64_t gpa, uint32_t len,
			   unsigned *count);

static inline uint16_t vq_load16(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)(const void *)p,
			       __ATOMIC_ACQUIRE);
}

static inline void vq_store16(uint8_t *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)(void *)p, v, __ATOMIC_RELEASE);
}

/* Stores before are visible to the driver before loads after. */
static inline void vq_fence(void)
{
	/* The builtin fence is one the thread sanitizer cannot have. */
	__asm__ volatile("mfence" : : : "memory");
}

/* True when @event lies in (@old, @now]. */
static inline bool vq_event_passed(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

#endif
