/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An eventfd for each queue, and a loop that waits for those that the device
 * does not wait for itself.
 */
#include "dev/virtio/kick.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/evloop.h"
#include "lib/lookout.h"
#include "lib/mono.h"

#define SPINS 32 /* pauses between two looks */

struct kick {
	struct virtio_device *dev;
	unsigned queue;
	bool owned;           /* the descriptor is the class's */
	bool ready;           /* somebody waits for it */
	struct doorbell bell; /* its descriptor counts from the start */
	bool hung;
	bool alone;             /* the host has one processor */
	struct lookout lookout; /* for its next one */
	uint64_t missed;        /* when it began in vain, 0: it did not */
};

struct virtio_kicks {
	const struct doorbells *bells;
	struct evloop *loop;
	unsigned count;
	struct kick kick[];
};

/* What this thread sees to, if it is a loop's. */
static __thread struct kick *ringing;

static void on_kick(void *opaque, int revents)
{
	struct kick *k = opaque;
	uint64_t n;

	if (read(k->bell.fd, &n, sizeof(n)) != sizeof(n))
		return;
	if (k->missed)
		lookout_missed(&k->lookout, mono_ns() - k->missed);
	k->missed = 0;
	ringing = k;
	virtio_notify(k->dev, k->queue);
	ringing = NULL;
}

static bool all_empty(struct virtio_device *dev)
{
	unsigned i = 0;

	while (i < dev->queues && vq_empty(&dev->vq[i]))
		i++;
	return i == dev->queues;
}

bool virtio_alone(struct virtio_device *dev)
{
	return ringing && ringing->dev == dev && all_empty(dev);
}

/* dev->lock held. Whether to look on: other queues are not to wait. */
static bool look(struct kick *k, bool *found)
{
	struct virtio_device *dev = k->dev;

	*found = false;
	if (!virtio_running(dev) || !dev->vq[k->queue].ready)
		return false;
	*found = !vq_empty(&dev->vq[k->queue]);
	return all_empty(dev);
}

/* Let others have the lock, and the processor at times: now and then. */
static void look_aside(struct virtio_device *dev, uint64_t now, uint64_t *aside)
{
	pthread_mutex_unlock(&dev->lock);
	for (int i = 0; i < SPINS; i++)
		__builtin_ia32_pause();
	if (now - *aside >= LOOKOUT_YIELD_NS) {
		sched_yield();
		*aside = now;
	}
	pthread_mutex_lock(&dev->lock);
}

bool virtio_await(struct virtio_device *dev, unsigned q)
{
	struct kick *k = ringing;
	uint64_t start, now, aside, before, ns;
	bool found;

	if (!k || k->dev != dev || k->queue != q || k->alone)
		return false;
	ns = lookout_ns(&k->lookout);
	if (!ns)
		return false;
	start = now = aside = before = mono_ns();
	while (look(k, &found) && now - start < ns &&
	       now - before < LOOKOUT_GAP_NS) {
		look_aside(dev, now, &aside);
		before = now;
		now = mono_ns();
	}
	if (found)
		lookout_hit(&k->lookout);
	else if (now - before >= LOOKOUT_GAP_NS) /* others want the processor */
		lookout_crowded(&k->lookout);
	else
		k->missed = start;
	return found;
}

static void open_kick(struct virtio_kicks *all, struct kick *k)
{
	const struct virtio_class *class = k->dev->class;
	const struct doorbells *bells = all->bells;
	bool near;

	k->alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;
	k->bell.fd = class->kick_fd ? class->kick_fd(k->dev, k->queue) : -1;
	k->owned = k->bell.fd >= 0;
	near = bells->spare && class->near && class->near(k->dev, k->queue);
	k->ready = k->owned && !near;
	if (k->owned || near)
		return;
	k->bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->bell.fd >= 0)
		k->ready = evloop_add(all->loop, k->bell.fd, POLLIN, on_kick,
				      k);
}

struct virtio_kicks *virtio_kicks_new(struct virtio_device *dev,
				      const struct doorbells *bells)
{
	struct virtio_kicks *all;
	unsigned i;

	if (!bells)
		return NULL;
	all = calloc(1, sizeof(*all) + dev->queues * sizeof(all->kick[0]));
	if (!all)
		return NULL;
	all->bells = bells;
	all->loop = evloop_create(dev->class->name, NULL);
	if (!all->loop) {
		free(all);
		return NULL;
	}
	all->count = dev->queues;
	for (i = 0; i < all->count; i++) {
		all->kick[i].dev = dev;
		all->kick[i].queue = i;
		open_kick(all, &all->kick[i]);
	}
	return all;
}

void virtio_kicks_free(struct virtio_kicks *k)
{
	unsigned i;

	if (!k)
		return;
	virtio_kicks_take_down(k);
	evloop_destroy(k->loop);
	for (i = 0; i < k->count; i++)
		if (!k->kick[i].owned && k->kick[i].bell.fd >= 0)
			close(k->kick[i].bell.fd);
	free(k);
}

void virtio_kicks_hang(struct virtio_kicks *all, const struct doorbell *bell,
		       unsigned step)
{
	struct kick *k;
	unsigned i;

	for (i = 0; all && i < all->count; i++) {
		k = &all->kick[i];
		if (!k->ready)
			continue;
		/* not its descriptor, which the loop may be reading */
		k->bell.gpa = bell->gpa + (uint64_t)i * step;
		k->bell.size = bell->size;
		k->bell.match = bell->match;
		k->bell.pio = bell->pio;
		k->bell.value = bell->match ? i : 0;
		k->hung = !all->bells->set(all->bells->ctx, &k->bell, true);
	}
}

/* A kick that rang before and was not seen yet still is, in the loop. */
void virtio_kicks_take_down(struct virtio_kicks *all)
{
	struct kick *k;
	unsigned i;

	for (i = 0; all && i < all->count; i++) {
		k = &all->kick[i];
		if (k->hung)
			all->bells->set(all->bells->ctx, &k->bell, false);
		k->hung = false;
	}
}
