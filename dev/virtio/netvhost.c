/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card whose backend works on the rings itself. Kicks go to it by eventfds,
 * which are the doorbells' where the board has them; what it has for the
 * driver comes by others and becomes an interrupt here.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dev/dma.h"
#include "dev/virtio/netdev.h"
#include "host/evloop.h"

#define USED_IDX 2

static void on_call(void *opaque, int revents)
{
	struct netcall *c = opaque;
	struct virtio_device *dev = &c->card->dev;
	uint64_t n;

	if (read(c->fd, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&dev->lock);
	/* Whether the driver wants to know the backend has looked. */
	if (virtio_running(dev))
		dev->transport->queue_interrupt(dev->transport_ctx, c->queue);
	pthread_mutex_unlock(&dev->lock);
}

bool netvhost_open(struct netpair *p)
{
	struct netcall *c;
	unsigned i;

	p->rx_kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < 2; i++) {
		c = &p->call[i];
		c->card = p->card;
		c->queue = 2 * p->index + i;
		c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		c->watch = c->fd < 0 ? NULL
				     : evloop_add(p->loop, c->fd, POLLIN,
						  on_call, c);
		if (!c->watch)
			return false;
	}
	return p->rx_kick >= 0;
}

void netvhost_close(struct netpair *p)
{
	unsigned i;

	if (p->rx_kick >= 0)
		close(p->rx_kick);
	for (i = 0; i < 2; i++)
		if (p->call[i].fd >= 0)
			close(p->call[i].fd);
}

static void add_memory(struct vhost_setup *s, const struct dma *dma)
{
	unsigned i;

	for (i = 0; i < dma->count && i < VHOST_REGIONS; i++) {
		const struct dma_region *r = &dma->region[i];

		s->region[i] = (struct vhost_region){
			.gpa = r->gpa,
			.size = r->size,
			.hva = r->hva,
			.fd = r->shared ? r->fd : -1,
			.offset = r->offset,
		};
	}
	s->regions = i;
}

/* After a backend that is gone, the next goes on where it gave back last. */
static struct vhost_ring ring_of(const struct vq *vq)
{
	struct vhost_ring r = {.ready = vq->ready};

	if (!vq->ready)
		return r;
	r.size = vq->size;
	r.base = vq_load16(vq->device + USED_IDX);
	r.desc = vq->desc;
	r.driver = vq->driver;
	r.device = vq->device;
	return r;
}

void netvhost_start(struct netdev *n)
{
	struct vhost_setup s = {
		.features = {n->dev.agreed.w[0], n->dev.agreed.w[1]},
		.rings = 2 * netdev_pairs(n),
		.active = n->active,
	};
	struct netpair *p;
	unsigned i;

	add_memory(&s, n->dev.dma);
	for (i = 0; i < s.rings; i++) {
		p = &n->pair[i / 2];
		s.ring[i] = ring_of(&n->dev.vq[i]);
		s.ring[i].kick = i % 2 == NET_TX ? p->kick : p->rx_kick;
		s.ring[i].call = p->call[i % 2].fd;
	}
	n->vhost_on = !n->net->ops->vhost->start(n->net, &s);
}

void netvhost_stop(struct netdev *n)
{
	n->net->ops->vhost->stop(n->net);
	n->vhost_on = false;
}

bool netvhost_queue(struct virtio_device *dev, unsigned q,
		    struct virtio_vhost *v)
{
	const struct netdev *n = (const struct netdev *)dev;
	const struct netpair *p;

	if (!n->vhost_on || q >= 2 * netdev_pairs(n) || !dev->vq[q].ready)
		return false;
	p = &n->pair[q / 2];
	v->kick = q % 2 == NET_TX ? p->kick : p->rx_kick;
	v->call = p->call[q % 2].fd;
	return true;
}
