/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that waits for file descriptors and calls back. Callbacks run
 * on that thread, one at a time, without any lock of the loop held.
 */
#ifndef HOST_EVLOOP_H
#define HOST_EVLOOP_H

#include <poll.h>

#include "lib/err.h"

struct evloop;
struct evloop_watch;

/* @revents as poll(2) reports them. */
typedef void evloop_fn(void *opaque, int revents);

/*
 * Start the thread, with every signal blocked in it and called @name, of
 * which 15 bytes count. NULL on failure.
 */
struct evloop *evloop_create(const char *name, struct err *e) __must_check;

/* Stop the thread and free the watches. Never called from a callback. */
void evloop_destroy(struct evloop *loop);

/*
 * Watch @fd for @events; 0 watches for nothing until evloop_set(). The watch
 * belongs to the loop. NULL when memory is short.
 */
struct evloop_watch *evloop_add(struct evloop *loop, int fd, int events,
				evloop_fn *fn, void *opaque) __must_check;

/* Change what is waited for; any thread. */
void evloop_set(struct evloop_watch *watch, int events);

/*
 * Drop a watch; any thread. When called outside the loop's thread, a callback
 * in flight has ended when this returns.
 */
void evloop_remove(struct evloop_watch *watch);

/* What one wait is for. */
struct evloop_set {
	struct pollfd *fd;
	unsigned n, max;
	int ms; /* at most so long; -1: for ever */
};

/*
 * Somebody whose descriptors change from one wait to the next, and who has
 * timers. Both functions are called on the loop's thread: prepare() before
 * each wait, to add descriptors and to lower ms, ready() behind it, before
 * any watch is called.
 */
struct evloop_source {
	void (*prepare)(void *opaque, struct evloop_set *set);
	void (*ready)(void *opaque, const struct evloop_set *set);
	void *opaque;
};

/*
 * The loop's only source from now on, which has to stay; NULL: none. When
 * called outside the loop's thread, no call of the one before is under way on
 * return.
 */
void evloop_set_source(struct evloop *loop, const struct evloop_source *source);

/* For prepare(): @fd's place in the set, or -1 when memory is short. */
int evloop_want(struct evloop_set *set, int fd, int events);

/* Make the loop's thread look at everything anew; any thread. */
void evloop_wake(struct evloop *loop);

/* True on the loop's own thread; false for NULL. */
bool evloop_is_self(const struct evloop *loop);

#endif
