/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of a class, for work that may sleep: it runs without dev->lock and
 * takes that for the moments it needs it.
 */
#ifndef DEV_VIRTIO_WORKER_H
#define DEV_VIRTIO_WORKER_H

#include "lib/err.h"

struct evloop;

struct worker {
	struct evloop *loop; /* others may hang watches on it */
	int wake;            /* eventfd */
	void (*run)(void *opaque);
	void *opaque;
};

/*
 * Start it, its thread called @name; @run is called on that after each
 * worker_kick().
 */
int worker_start(struct worker *w, const char *name, void (*run)(void *opaque),
		 void *opaque, struct err *e) __must_check;

/* Any thread, any lock held; several may lead to one call. */
void worker_kick(struct worker *w);

/* Wait for its thread's end; no lock held. Harmless on one of all zeroes. */
void worker_stop(struct worker *w);

#endif
