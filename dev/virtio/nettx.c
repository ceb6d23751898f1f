/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the driver to the backend, a burst at a time: taken from the queue and
 * given back under the lock, sent without it, so that neither processors nor
 * other pairs of queues wait for the host's kernel. The pair's thread does
 * so, but for a lone frame that was kicked by way of the bus: that goes out
 * at once, and whoever waits for it has it a thread's wake-up sooner.
 */
#include <stdlib.h>

#include "dev/doorbell.h"
#include "dev/virtio/netdev.h"
#include "lib/mono.h"

#define BURST 64

/*
 * What is no lone frame: a long one, a stream's answer, one of many: nothing
 * came since the one before, or that is just over.
 */
#define LONE_LEN      2048u
#define LONE_RECEIVED 4096u
#define LONE_GAP_NS   20000ULL
#define LONE_IDLE_NS  1000000ULL /* a new beginning */

struct burst {
	struct vq_elem *e[BURST];
	unsigned n;
	uint64_t stat[NETSTATS];
};

/* The frame of @e behind its header, as pieces from @out on; how many. */
static unsigned frame_pieces(const struct vq_elem *e, size_t skip,
			     struct iovec *out)
{
	unsigned i, n = 0;

	for (i = 0; i < e->out_n; i++) {
		if (skip >= e->iov[i].iov_len) {
			skip -= e->iov[i].iov_len;
			continue;
		}
		out[n++] = (struct iovec){
			(uint8_t *)e->iov[i].iov_base + skip,
			e->iov[i].iov_len - skip,
		};
		skip = 0;
	}
	return n;
}

/* What becomes of the frame: a counter. */
static enum netstat send(struct netpair *p, const struct vq_elem *e,
			 bool *tunnel)
{
	struct iovec iov[1 + VQ_MAX_IOV];
	struct netdev *n = p->card;
	struct nethdr h = {0};
	enum nethdr_fault fault;
	unsigned used = 0;

	if (e->out_len < n->header)
		return NETSTAT_TX_NO_HEADER;
	iov_read(e->iov, e->out_n, 0, &h, n->header);
	if (!(h.gso_type & NETHDR_TUNNEL))
		nethdr_clean(&h);
	fault = nethdr_check(&h, &n->dev.agreed, e->out_len - n->header);
	if (fault)
		return NETSTAT_TX_FAULT + fault - 1;
	nethdr_clean(&h);
	*tunnel = h.gso_type & NETHDR_TUNNEL;
	if (n->net->has_header)
		iov[used++] = (struct iovec){&h, n->header};
	used += frame_pieces(e, n->header, iov + used);
	if (used > NET_IOV_MAX)
		return NETSTAT_TX_PIECES;
	return net_send(n->net, p->index, iov, used) ? NETSTAT_TX_REFUSED
						     : NETSTAT_TX_FRAMES;
}

static void send_burst(struct netpair *p, struct burst *b, bool link)
{
	const struct netdev *n = p->card;
	enum netstat what;
	bool tunnel;
	unsigned i;

	for (i = 0; i < b->n; i++) {
		tunnel = false;
		what = link ? send(p, b->e[i], &tunnel) : NETSTAT_TX_DOWN;
		b->stat[what]++;
		if (what != NETSTAT_TX_FRAMES)
			continue;
		b->stat[NETSTAT_TX_BYTES] += b->e[i]->out_len - n->header;
		b->stat[NETSTAT_TX_TUNNEL] += tunnel;
	}
}

static void give_back(struct netdev *n, struct vq *vq, struct burst *b)
{
	static const uint32_t nothing[BURST];
	unsigned i;

	vq_push_many(vq, b->e, nothing, b->n);
	for (i = 0; i < b->n; i++)
		free(b->e[i]);
	for (i = NETSTAT_TX_FRAMES; i < NETSTATS; i++)
		if (b->stat[i])
			virtio_count(&n->dev, i, b->stat[i]);
}

/* dev.lock held, dropped meanwhile; true when there may be more. */
static bool transmit(struct netpair *p, struct burst *b)
{
	struct netdev *n = p->card;
	struct vq *vq = netdev_tx(n, p->index);
	bool link = netdev_link(n);

	if (b->n) {
		p->sending = true;
		pthread_mutex_unlock(&n->dev.lock);
		send_burst(p, b, link);
		pthread_mutex_lock(&n->dev.lock);
		p->sending = false;
		pthread_cond_broadcast(&n->idle);
		give_back(n, vq, b);
	}
	/* Also when a burst took just the last one. */
	if (vq_empty(vq))
		vq_want_kick(vq, true);
	virtio_flush(&n->dev, 2 * p->index + NET_TX);
	return !vq_empty(vq);
}

static bool transmit_burst(struct netpair *p)
{
	struct vq *vq = netdev_tx(p->card, p->index);
	struct burst b = {.n = 0};

	if (!vq->quiet)
		vq_want_kick(vq, false);
	while (b.n < BURST && (b.e[b.n] = vq_pop(vq)))
		b.n++;
	return transmit(p, &b);
}

void nettx_kicked(void *opaque, int revents)
{
	struct netpair *p = opaque;
	struct netdev *n = p->card;
	uint64_t count;

	if (read(p->kick, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&n->dev.lock);
	while (p->sending)
		pthread_cond_wait(&n->idle, &n->dev.lock);
	while (virtio_running(&n->dev) && p->index < netdev_pairs(n) &&
	       transmit_burst(p))
		;
	pthread_mutex_unlock(&n->dev.lock);
}

static bool take_lone(struct netpair *p, struct burst *b)
{
	struct vq *vq = netdev_tx(p->card, p->index);
	uint64_t gap = p->received ? LONE_GAP_NS : LONE_IDLE_NS;

	if (p->sending || p->received > LONE_RECEIVED ||
	    mono_ns() - p->kicked < gap)
		return false;
	b->e[0] = vq_pop(vq);
	if (!b->e[0])
		return false;
	if (b->e[0]->out_len <= LONE_LEN && vq_empty(vq)) {
		b->n = 1;
		return true;
	}
	vq_unpop(vq, b->e[0]);
	return false;
}

void nettx_kick(struct netpair *p)
{
	struct burst b = {.n = 0};

	if (!take_lone(p, &b) || transmit(p, &b))
		doorbell_ring(p->kick);
	p->kicked = mono_ns();
	p->received = 0;
}
