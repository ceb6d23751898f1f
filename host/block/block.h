/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's contents on the host: a raw file or block device. Requests run on
 * worker threads; those a page cache can answer at once may be tried in the
 * caller's. Left out: image formats, O_DIRECT, throttling.
 */
#ifndef HOST_BLOCK_BLOCK_H
#define HOST_BLOCK_BLOCK_H

#include <sys/uio.h>

#include "lib/err.h"

#define BLOCK_SECTOR 512

struct block;

struct block_options {
	const char *path;
	bool read_only;
	bool share;    /* no lock: others may write at the same time */
	bool unmap;    /* discards free space on the host */
	bool no_flush; /* flushes are not waited for: data dies with the host */
};

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	BLOCK_DISCARD,
	BLOCK_ZEROES,       /* keep the space allocated */
	BLOCK_ZEROES_UNMAP, /* may free it */
};

/* One request; the caller's until block_submit(), and from done() on. */
struct block_req {
	enum block_op op;
	bool sync; /* a write is on stable storage when it is done */
	unsigned iovs;
	struct iovec *iov; /* READ, WRITE: changed while it runs */
	uint64_t offset;
	uint64_t len;   /* bytes; of all pieces when there are some */
	uint64_t moved; /* bytes done so far; 0 at first */
	/* On a worker thread: 0 or -errno. */
	void (*done)(struct block_req *req, int ret);
	struct block_req *next;
};

/* A disk with what its device is to make of it; -drive makes one. */
struct drive {
	struct block *block;
	bool write_through;    /* the guest sees no cache to flush */
	bool hide_read_errors; /* report success whatever happens */
	bool hide_write_errors;
};

/*
 * Open and lock a disk: against writers when read-only, against all others
 * when not. NULL with a sentence on failure.
 */
struct block *block_open(const struct block_options *o,
			 struct err *e) __must_check;

/* Waits for what was submitted. Harmless on NULL. */
void block_close(struct block *b);

uint64_t block_size(const struct block *b); /* bytes */
bool block_read_only(const struct block *b);
bool block_unmaps(const struct block *b);

/* Queue @req, whose range must lie inside the disk. */
void block_submit(struct block *b, struct block_req *req);

/*
 * Do @req here if that takes no waiting: 0 or -errno as done() would get
 * them (done() is not called), or -EAGAIN: submit it.
 */
int block_try(struct block *b, struct block_req *req) __must_check;

#endif
