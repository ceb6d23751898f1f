/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The qcow2 format, versions 2 and 3. Document: QEMU's "docs/interop/qcow2".
 *
 * What may be lost and what may not: guest data is in its cluster before a
 * table says so, and a refcount is raised in the file before a table uses
 * the cluster, and lowered after no table does. Whenever the process dies, the
 * worst it leaves are clusters that nothing uses (leaks). With a flush between
 * these steps the same holds when the host dies.
 *
 * q->lock guards everything; guest data moves without it. Left out, and
 * refused by name: encryption, external data files, extended L2 entries;
 * writing to images with bitmaps.
 */
#ifndef HOST_BLOCK_QCOW2_H
#define HOST_BLOCK_QCOW2_H

#include <pthread.h>

#include "host/block/node.h"

#define Q_MAGIC      0x514649fb
#define Q_COPIED     BIT64(63) /* refcount is 1: written in place */
#define Q_COMPRESSED BIT64(62)
#define Q_ZERO       BIT64(0)
#define Q_OFFSET     0x00fffffffffffe00ULL

#define Q_INCOMPAT_DIRTY    BIT64(0)
#define Q_INCOMPAT_CORRUPT  BIT64(1)
#define Q_INCOMPAT_DATA     BIT64(2)
#define Q_INCOMPAT_COMPRESS BIT64(3)
#define Q_INCOMPAT_EXTL2    BIT64(4)

#define Q_H_SIZE      24 /* header: bytes of the disk */
#define Q_H_L1        36 /* entries of the L1 table, and where it is */
#define Q_H_REFTABLE  48
#define Q_H_INCOMPAT  72
#define Q_H_AUTOCLEAR 88
#define Q_L1_MAX      (32U << 20) /* bytes */
#define Q_V2_HEADER   72          /* bytes */
#define Q_V3_HEADER   104

struct qcow2;

/* Tables of one cluster each, kept in memory and written when told so. */
struct qcache_table {
	uint64_t at;   /* in the file, 0: empty */
	uint64_t used; /* when, for eviction */
	bool dirty;
	void *data;
};

struct qcache {
	struct qcow2 *q;
	unsigned slots;
	unsigned last; /* slot found last */
	unsigned dirty;
	uint64_t clock;
	int (*clean)(struct qcow2 *q); /* so that one can be evicted */
	struct qcache_table *table;
};

/* Clusters whose refcount is to be lowered. */
struct qfrees {
	size_t count, room;
	uint64_t *cluster;
};

/* A write that gives guest clusters new places. */
struct qalloc {
	struct qalloc *next;
	uint64_t first, count; /* guest clusters */
};

struct qcow2 {
	struct node *node;
	struct node *file;
	unsigned version;
	unsigned bits; /* log2 of the cluster size */
	uint64_t cluster;
	unsigned l2_bits; /* log2 of entries of an L2 table */
	unsigned ref_order;
	unsigned snapshots;
	bool zstd;
	uint64_t incompat;
	uint64_t autoclear;
	uint32_t header_size;
	uint64_t backing_at; /* its name in the header, 0: none */
	uint32_t backing_len;
	char backing_format[32];
	bool bitmaps;
	pthread_mutex_t lock;
	pthread_cond_t landed; /* an allocation is over */
	bool corrupt;
	uint32_t l1_size;
	uint64_t l1_at;
	uint64_t *l1;      /* host order */
	uint8_t *l1_dirty; /* each entry: to be written */
	bool l1_any;       /* one of them is */
	uint64_t ref_at;
	uint64_t ref_size; /* entries of the refcount table */
	uint64_t *ref;     /* host order */
	uint64_t l2_room;  /* bytes that its cache may take */
	struct qcache l2;  /* entries in the file's order, as the blocks' */
	struct qcache blocks;
	uint64_t hint;  /* no free cluster before this one */
	uint64_t fresh; /* from here on the file was never written */
	struct qalloc *allocs;
	/*
	 * Reads and writes in flight, by the parity they began in. What was
	 * unlinked in one is freed when none of the other is left.
	 */
	unsigned flying[2];
	unsigned parity;
	struct qfrees young, old;
	pthread_mutex_t zip_lock;
	uint64_t zip_entry; /* whose cluster zip holds, 0: none */
	uint8_t *zip;
};

enum qkind { Q_NONE, Q_ZEROS, Q_ZEROS_KEPT, Q_NORMAL, Q_PACKED };

/* Where a piece of the guest's disk is. */
struct qmap {
	enum qkind kind;
	bool copied;
	uint64_t host;  /* NORMAL, ZEROS_KEPT: of its first byte */
	uint64_t entry; /* of its first cluster */
	uint64_t len;   /* bytes that are alike */
};

/* ---- qcow2open.c ---- */

int q_open(struct node *n, struct node_open *o, struct err *e);

/* Mark the image corrupt and say why, once. Returns -EIO; lock held. */
int q_corrupt(struct qcow2 *q, const char *fmt, ...) __printf(2, 3);

/* ---- qcow2cache.c; lock held ---- */

int qcache_init(struct qcache *c, struct qcow2 *q, uint64_t bytes,
		int (*clean)(struct qcow2 *q)) __must_check;
void qcache_exit(struct qcache *c);
/* NULL when it is not in memory. */
void *qcache_find(struct qcache *c, uint64_t at);
/* Read it if need be; valid until the next call. */
int qcache_get(struct qcache *c, uint64_t at, void **out) __must_check;
/* The same for a table that is written for the first time: all zeros. */
int qcache_new(struct qcache *c, uint64_t at, void **out) __must_check;
void qcache_mark(struct qcache *c, const void *data); /* it is dirty */
void qcache_drop(struct qcache *c, uint64_t at);
int qcache_write(struct qcache *c) __must_check; /* all that are dirty */

/* ---- qcow2ref.c; lock held ---- */

/* Up to @want clusters in a row; how many in *@got, where in *@at. */
int q_alloc(struct qcow2 *q, uint64_t want, uint64_t *at, uint64_t *got);
/* Later, when nothing can use it any more. */
void q_free(struct qcow2 *q, uint64_t at, uint64_t clusters);
/* After a flush has made all unlinking stable. */
int q_age(struct qcow2 *q);
/* -EIO when metadata is in the way. */
int q_check_overlap(struct qcow2 *q, uint64_t at, uint64_t len);
/* @cluster, a free one, becomes the block of the range it is in. */
int q_new_block(struct qcow2 *q, uint64_t cluster);
int q_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *out);
/* -ERANGE when there is no block for it. */
int q_set_refcount(struct qcow2 *q, uint64_t cluster, uint64_t count);

/* ---- qcow2map.c; lock held ---- */

/* The piece at @at, up to @len bytes; @cached: -EAGAIN rather than read. */
int q_find(struct qcow2 *q, uint64_t at, uint64_t len, bool cached,
	   struct qmap *m);
/* @count guest clusters from @at on are where @entry says, or all like it. */
int q_link(struct qcow2 *q, uint64_t at, uint64_t count, uint64_t entry);
/* Write all tables, in the order that is safe. */
int q_sync(struct qcow2 *q);
/* Have an L1 table for a disk of @size bytes; nothing is in flight. */
int q_grow_l1(struct qcow2 *q, uint64_t old, uint64_t size);
/* The header tells of @size bytes, and of the L1 table there is. */
int q_put_size(struct qcow2 *q, uint64_t size, uint64_t l1_at,
	       uint32_t l1_size);

/* ---- qcow2zip.c ---- */

int q_unzip(struct qcow2 *q, const struct qmap *m, uint64_t at,
	    const struct vec *v);
/* The clusters that a compressed one lies in. */
void q_zip_place(const struct qcow2 *q, uint64_t entry, uint64_t *at,
		 uint64_t *len);

/* ---- qcow2fix.c ---- */

/* Refcounts of an image that was not closed; lock held. */
int q_repair(struct qcow2 *q);

/* ---- qcow2.c ---- */

int q_read(struct node *n, uint64_t at, const struct vec *v);
int q_flush(struct node *n);

static inline uint64_t q_get64(const void *p)
{
	return __builtin_bswap64(*(const uint64_t *)p);
}

static inline uint32_t q_get32(const void *p)
{
	return __builtin_bswap32(*(const uint32_t *)p);
}

static inline void q_put64(void *p, uint64_t v)
{
	*(uint64_t *)p = __builtin_bswap64(v);
}

static inline void q_put32(void *p, uint32_t v)
{
	*(uint32_t *)p = __builtin_bswap32(v);
}

#endif
