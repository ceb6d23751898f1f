/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that waits for file descriptors and calls back. Callbacks run
 * on that thread, one at a time, without any lock of the loop held.
 */
#ifndef HOST_EVLOOP_H
#define HOST_EVLOOP_H

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

/* True on the loop's own thread; false for NULL. */
bool evloop_is_self(const struct evloop *loop);

#endif
