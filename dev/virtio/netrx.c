/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the backend to the driver. A frame goes to the pair of queues that the
 * backend has it for, or that its hash chooses. One that finds no buffers
 * stays with the backend until there are some.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/netdev.h"

#define RX_CHAIN 64 /* buffers of one frame */

/* A frame on its way. */
struct rx {
	const uint8_t *frame; /* behind the backend's header */
	size_t len;
	struct nethdr header;
	unsigned pair;
};

/*
 * The header the guest gets for the @given bytes of the backend's. A tap tells
 * of checked sums whether anybody wants to hear of them or not.
 */
static void make_header(struct nethdr *h, const uint8_t *from, unsigned given,
			bool checks)
{
	*h = (struct nethdr){0};
	memcpy(h, from, MIN(given, (unsigned)sizeof(*h)));
	h->flags &= NETHDR_NEEDS_CSUM | NETHDR_DATA_VALID | NETHDR_TUNNEL_CSUM;
	nethdr_clean(h);
	if (h->gso_type & NETHDR_TUNNEL)
		h->flags &= (uint8_t)~NETHDR_DATA_VALID;
	if (!checks)
		h->flags = 0;
}

/* The frame's hash, for its header and for the choice of its queue. */
static void steer(struct netdev *n, struct rx *rx, unsigned q)
{
	unsigned report;
	uint32_t hash;

	rx->pair = q < n->active ? q : 0;
	if (!n->hash.types && !n->hash.steers)
		return;
	report = nethash_frame(&n->hash, rx->frame, rx->len, &hash);
	if (n->hash.steers)
		rx->pair = nethash_pair(&n->hash, report, hash);
	if (virtio_has(&n->dev, NET_F_HASH_REPORT)) {
		rx->header.hash[0] = (uint16_t)hash;
		rx->header.hash[1] = (uint16_t)(hash >> 16);
		rx->header.hash_report = (uint16_t)report;
	}
}

/*
 * Take buffers for @need bytes; how many, 0 when more must come, -E2BIG when
 * no number of them would do.
 */
static int take_buffers(struct netdev *n, struct vq *vq, struct vq_elem **e,
			size_t need)
{
	int count = 0,
	    max = virtio_has(&n->dev, NET_F_MRG_RXBUF) ? RX_CHAIN : 1;
	size_t have = 0;

	while (have < need && count < max) {
		e[count] = vq_pop(vq);
		if (!e[count])
			break;
		have += e[count++]->in_len;
	}
	if (have >= need && e[0]->in_len >= n->header)
		return count;
	max = count == max || have >= need ? -E2BIG : 0;
	while (count)
		vq_unpop(vq, e[--count]);
	return max;
}

static void fill(struct netdev *n, struct rx *rx, struct vq_elem **e,
		 unsigned count)
{
	uint32_t used[RX_CHAIN];
	const uint8_t *frame = rx->frame;
	size_t done, at = n->header, len = rx->len;
	unsigned i;

	rx->header.num_buffers = (uint16_t)count;
	for (i = 0; i < count; i++, at = 0) {
		done = 0;
		if (at)
			done = iov_write(e[i]->iov + e[i]->out_n, e[i]->in_n, 0,
					 &rx->header, n->header);
		at = iov_write(e[i]->iov + e[i]->out_n, e[i]->in_n, at, frame,
			       len);
		frame += at;
		len -= at;
		used[i] = (uint32_t)(done + at);
	}
	vq_push_many(netdev_rx(n, rx->pair), e, used, count);
	for (i = 0; i < count; i++)
		free(e[i]);
	n->pair[rx->pair].dirty = true;
	n->pair[rx->pair].received += rx->len;
	virtio_count(&n->dev, NETSTAT_RX_FRAMES, 1);
	virtio_count(&n->dev, NETSTAT_RX_BYTES, rx->len);
	if (rx->header.gso_type & NETHDR_TUNNEL)
		virtio_count(&n->dev, NETSTAT_RX_TUNNEL, 1);
}

/* False: there are no buffers yet. */
static bool put(struct netdev *n, struct rx *rx, unsigned q)
{
	struct vq *vq = netdev_rx(n, rx->pair);
	struct vq_elem *e[RX_CHAIN];
	size_t need = rx->len + n->header;
	int count = take_buffers(n, vq, e, need);

	if (!count) {
		vq_want_more(vq);
		count = take_buffers(n, vq, e, need);
	}
	if (vq->broken) {
		virtio_flush(&n->dev, 2 * rx->pair + NET_RX);
		return true;
	}
	if (!count) {
		n->pair[rx->pair].waiting |= BIT(q);
		return false;
	}
	if (count < 0) {
		virtio_count(&n->dev, NETSTAT_RX_TOO_LONG, 1);
		return true;
	}
	if (!vq->quiet)
		vq_want_kick(vq, false);
	fill(n, rx, e, (unsigned)count);
	return true;
}

/* Why the frame is nothing for the driver, or -1. */
static int refuse(const struct netdev *n, const struct rx *rx, unsigned given)
{
	if (!virtio_running(&n->dev) || !netdev_link(n))
		return NETSTAT_RX_DOWN;
	if (given && given != n->header)
		return NETSTAT_RX_HEADER;
	return netfilter_takes(&n->filter, rx->frame, rx->len)
		       ? -1
		       : NETSTAT_RX_FILTERED;
}

bool netrx_receive(void *opaque, unsigned q, const uint8_t *frame, size_t len,
		   unsigned given)
{
	struct netdev *n = opaque;
	struct rx rx;
	bool taken = true;
	int why;

	if (len <= given)
		return true;
	rx = (struct rx){.frame = frame + given, .len = len - given};
	pthread_mutex_lock(&n->dev.lock);
	make_header(&rx.header, frame, given, n->checks);
	why = refuse(n, &rx, given);
	if (why >= 0) {
		virtio_count(&n->dev, why, 1);
	} else {
		steer(n, &rx, q);
		if (netdev_rx(n, rx.pair)->ready)
			taken = put(n, &rx, q);
		else
			virtio_count(&n->dev, NETSTAT_RX_DOWN, 1);
	}
	pthread_mutex_unlock(&n->dev.lock);
	return taken;
}

void netrx_flush(void *opaque, unsigned q)
{
	struct netdev *n = opaque;
	unsigned i;

	pthread_mutex_lock(&n->dev.lock);
	for (i = 0; i < n->pairs; i++) {
		if (!n->pair[i].dirty)
			continue;
		n->pair[i].dirty = false;
		virtio_flush(&n->dev, 2 * i + NET_RX);
	}
	pthread_mutex_unlock(&n->dev.lock);
}

void netrx_room(struct netdev *n, unsigned pair)
{
	uint32_t waiting = n->pair[pair].waiting;
	unsigned q;

	n->pair[pair].waiting = 0;
	for (q = 0; q < n->pairs; q++)
		if (waiting & BIT(q))
			net_room(n->net, q);
}
