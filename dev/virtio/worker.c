/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event loop with one eventfd of ours in it.
 */
#include "dev/virtio/worker.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dev/doorbell.h"
#include "host/evloop.h"

static void worker_woken(void *opaque, int revents)
{
	struct worker *w = opaque;
	uint64_t count;

	if (read(w->wake, &count, sizeof(count)) > 0)
		w->run(w->opaque);
}

int worker_start(struct worker *w, const char *name, void (*run)(void *opaque),
		 void *opaque, struct err *e)
{
	w->run = run;
	w->opaque = opaque;
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake < 0)
		return err_set(e, -errno, "no eventfd is left");
	w->loop = evloop_create(name, e);
	if (w->loop && evloop_add(w->loop, w->wake, POLLIN, worker_woken, w))
		return 0;
	worker_stop(w);
	return err_set(e, -ENOMEM, "cannot start a thread");
}

void worker_kick(struct worker *w)
{
	doorbell_ring(w->wake);
}

void worker_stop(struct worker *w)
{
	evloop_destroy(w->loop);
	if (w->run)
		close(w->wake);
	*w = (struct worker){0};
}
