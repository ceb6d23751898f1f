/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An eventfd for each queue, and a loop that waits for those that the device
 * does not wait for itself.
 */
#include "dev/virtio/kick.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/evloop.h"

struct kick {
	struct virtio_device *dev;
	unsigned queue;
	bool owned;           /* the descriptor is the class's */
	bool ready;           /* somebody waits for it */
	struct doorbell bell; /* its descriptor counts from the start */
	bool hung;
};

struct virtio_kicks {
	const struct doorbells *bells;
	struct evloop *loop;
	unsigned count;
	struct kick kick[];
};

static void on_kick(void *opaque, int revents)
{
	struct kick *k = opaque;
	uint64_t n;

	if (read(k->bell.fd, &n, sizeof(n)) == sizeof(n))
		virtio_notify(k->dev, k->queue);
}

static void open_kick(struct virtio_kicks *all, struct kick *k)
{
	const struct virtio_class *class = k->dev->class;

	k->bell.fd = class->kick_fd ? class->kick_fd(k->dev, k->queue) : -1;
	k->owned = k->ready = k->bell.fd >= 0;
	if (k->owned)
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
