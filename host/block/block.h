/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's contents on the host, as a device sees them: nodes (node.h) behind
 * a queue of requests. Requests are done by io_uring where bytes of the disk
 * are bytes of a file, and by worker threads otherwise; what takes no waiting
 * may be tried in the caller's.
 */
#ifndef HOST_BLOCK_BLOCK_H
#define HOST_BLOCK_BLOCK_H

#include <sys/uio.h>

#include "host/block/throttle.h"
#include "lib/err.h"

#define BLOCK_SECTOR 512

struct block;
struct dict;
struct node;

/* Nodes with names; one that is zero is empty. */
struct node_list {
	struct node *first;
};

/* How a file is read and written; AUTO is what serves best here. */
enum block_aio {
	BLOCK_AIO_AUTO,
	BLOCK_AIO_THREADS,
	BLOCK_AIO_NATIVE,
	BLOCK_AIO_URING,
};

/* What a device does with a request that failed. */
enum block_on_error {
	BLOCK_REPORT, /* tell the guest */
	BLOCK_IGNORE, /* tell it all went well */
	BLOCK_STOP, /* stop the machine; it is tried again when that goes on */
	BLOCK_ENOSPC, /* stop when there is no space, else report */
};

/*
 * What @text says, "auto" being "enospc" for writes and "report" for reads;
 * @key is what the sentence calls it.
 */
int block_on_error(const char *key, const char *text, bool write,
		   enum block_on_error *out, struct err *e);

struct block_options {
	struct dict *node;      /* of its node; all must be understood */
	struct node_list *list; /* nodes with names; the caller's */
	bool share;             /* others may write at the same time */
	bool snapshot;          /* what is written is forgotten at the end */
	struct throttle_conf throttle;
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
	const struct iovec *iov; /* READ, WRITE */
	uint64_t offset;
	uint64_t len; /* bytes; of all pieces when there are some */
	/* On any thread: 0 or -errno. */
	void (*done)(struct block_req *req, int ret);
	bool more; /* in done(): another one ends right behind it, there */
	struct block_req *next;
	void *state; /* block's, while it runs */
};

/* A disk with what its device is to make of it; -drive makes one. */
struct drive {
	struct block *block;
	bool write_through; /* the guest sees no cache to flush */
	enum block_on_error rerror;
	enum block_on_error werror;
	/*
	 * A request failed with @code, and @action (REPORT, IGNORE, STOP) is
	 * what follows: tell people, and do stop the machine. Any thread, the
	 * device's lock held. NULL: nobody can.
	 */
	void (*failed)(void *ctx, bool write, int code,
		       enum block_on_error action);
	void *ctx;
};

/* Open a disk, locked against others. NULL with a sentence on failure. */
struct block *block_open(const struct block_options *o,
			 struct err *e) __must_check;

/* The same, of a plain file or device, for those who want no more. */
struct block *block_open_raw(const char *path, bool read_only, bool unmap,
			     struct err *e) __must_check;

/*
 * A device is about to use it: start its threads. -EBUSY when another one
 * writes to it already. Again on one that has started: nothing.
 */
int block_start(struct block *b, struct err *e) __must_check;
/* The device is gone; nothing is in flight. */
void block_stop(struct block *b);

/*
 * Whether nothing is in flight. What waits for its limits does not from here
 * on, until block_start().
 */
bool block_rest(struct block *b);

/*
 * At its end: flush what is left, if that was not begun already. Where it can
 * hang, or @all. True when it is begun; block_rest() will tell of its end.
 */
bool block_last_flush(struct block *b, bool all);

/* Waits for what was submitted, and flushes. Harmless on NULL. */
void block_close(struct block *b);

/* The limits now, and others from now on. */
void block_limits(struct block *b, struct throttle_conf *c);
void block_set_limits(struct block *b, const struct throttle_conf *c);

/* Be of @size bytes; nothing is in flight, and nothing is submitted. */
int block_resize(struct block *b, uint64_t size, struct err *e) __must_check;

/* How it was opened. */
struct block_flags {
	bool direct; /* past the host's page cache */
	bool no_flush;
	bool zeroes;      /* zeros are looked for in what is written */
	unsigned backing; /* images below it */
};

struct block_flags block_flags(const struct block *b);

/* The disk's image, or of those below it. */
struct block_image {
	const char *path; /* NULL: in no file */
	const char *format;
	uint64_t size; /* bytes the guest would see */
};

/* That @depth levels below the disk's own, which is 0; false: none. */
bool block_image(const struct block *b, unsigned depth,
		 struct block_image *out);

uint64_t block_size(const struct block *b); /* bytes */
bool block_read_only(const struct block *b);
bool block_unmaps(const struct block *b);
const char *block_format(const struct block *b);
const char *block_path(const struct block *b); /* NULL: in no file */

/* Queue @req, whose range must lie inside the disk. block_kick() behind. */
void block_submit(struct block *b, struct block_req *req);

/* Start what was queued. */
void block_kick(struct block *b);

/*
 * Do @req here if that takes no waiting, as far as one can know: 0 or -errno as done() would get
 * them (done() is not called), or -EAGAIN: submit it.
 */
int block_try(struct block *b, struct block_req *req) __must_check;

/* Flush, and wait here. False where that could take for ever: submit it. */
bool block_flush_here(struct block *b, int *ret) __must_check;

#endif
