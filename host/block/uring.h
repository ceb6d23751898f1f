/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers between memory and files by io_uring. Its own thread looks for
 * what ended later; what ended at once is found by who started it. Private to
 * the room.
 */
#ifndef HOST_BLOCK_URING_H
#define HOST_BLOCK_URING_H

#include "host/block/node.h"

struct uring;

struct uring_event {
	void *tag;
	int res; /* bytes moved, fewer than asked for at times, or -errno */
};

/* What ended together; @ev is the callback's to change. */
typedef void uring_done(void *ctx, struct uring_event *ev, unsigned n);

/* NULL when the host has none, or refuses it. */
struct uring *uring_new(uring_done *done, void *ctx);
/* Nothing is in flight. NULL is fine. */
void uring_free(struct uring *u);

/*
 * Queue a transfer of @v, whose pieces live until it is done. False when the
 * ring is full.
 */
bool uring_queue(struct uring *u, const struct node_extent *x, bool write,
		 const struct iovec *iov, unsigned iovs, void *tag);

/* Start what is queued, and call back for what is done by then. */
void uring_kick(struct uring *u);

#endif
