/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each queue lives in a memory of its own; the card sees one after the other
 * while they are enabled.
 */
#include "dev/virtio/fakecard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/check.h"

static int rec_attach(struct net *net, struct evloop *const *loop,
		      const struct net_user *user)
{
	((struct recorder *)net)->user = *user;
	return 0;
}

static void rec_detach(struct net *net)
{
}

static int rec_send(struct net *net, unsigned q, const struct iovec *iov,
		    unsigned n)
{
	struct recorder *r = (struct recorder *)net;

	r->sent_len = iov_read(iov, n, 0, r->sent, sizeof(r->sent));
	r->sent_pair = q;
	r->sent_by = pthread_self();
	__atomic_add_fetch(&r->sends, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void rec_room(struct net *net, unsigned q)
{
	((struct recorder *)net)->rooms++;
	((struct recorder *)net)->roomy |= BIT(q);
}

static void rec_set_up(struct net *net, unsigned header,
		       const struct net_offloads *guest)
{
	((struct recorder *)net)->header = header;
	((struct recorder *)net)->guest = *guest;
}

static void rec_set_queues(struct net *net, unsigned n)
{
	((struct recorder *)net)->queues = n;
}

const struct net_ops recorder_ops = {
	.attach = rec_attach,
	.detach = rec_detach,
	.send = rec_send,
	.room = rec_room,
	.set_up = rec_set_up,
	.set_queues = rec_set_queues,
};

static int rec_start(struct net *net, const struct vhost_setup *s)
{
	struct recorder *r = (struct recorder *)net;

	r->setup = *s;
	r->starts++;
	return net_is_down(net) ? -ENOTCONN : 0;
}

static void rec_stop(struct net *net)
{
	((struct recorder *)net)->stops++;
}

static void rec_reset(struct net *net)
{
	((struct recorder *)net)->resets++;
}

static const struct vhost_ops rec_vhost = {rec_start, rec_stop, rec_reset};

const struct net_ops recorder_vhost_ops = {
	.attach = rec_attach,
	.detach = rec_detach,
	.send = rec_send,
	.room = rec_room,
	.vhost = &rec_vhost,
};

static void no_interrupt(void *ctx, unsigned q)
{
}

static void count_config(void *ctx)
{
	((struct card *)ctx)->config_changes++;
}

static const struct virtio_transport_ops transport = {
	no_interrupt,
	count_config,
};

static void enable(struct card *c, unsigned q)
{
	struct vq *vq = &c->dev->vq[q];

	vq->size = 64;
	vq->desc_gpa = FAKE_DESC;
	vq->driver_gpa = FAKE_DRIVER;
	vq->device_gpa = FAKE_DEVICE;
	c->dev->dma = &c->ring[q].dma;
	virtio_queue_enable(c->dev, q);
	ASSERT(vq->ready);
}

static struct card *make(const struct net_ops *ops, const char *arg,
			 unsigned pairs, const struct virtio_features *f,
			 bool has_header)
{
	struct card *c = calloc(1, sizeof(*c));
	unsigned q;

	ASSERT(c && pairs <= CARD_PAIRS);
	c->pairs = pairs;
	c->rec.net = (struct net){
		.ops = ops,
		.has_header = has_header,
		.queues = pairs,
		.can = {true, true, true, true, true, true, true, true, true},
	};
	for (q = 0; q < 2 * pairs + 1; q++)
		fake_init(&c->ring[q], 64, BIT64(32));
	c->dev = fake_device(arg, &c->ring[0].dma, &c->rec.net);
	c->dev->transport = &transport;
	c->dev->transport_ctx = c;
	c->dev->driver = *f;
	virtio_set_status(c->dev, 0xb);
	ASSERT(virtio_get_status(c->dev) == 0xb);
	c->ctrl = 2 * netdev_pairs(card_net(c));
	for (q = 0; q <= c->ctrl; q++)
		enable(c, q);
	virtio_set_status(c->dev, 0xf);
	return c;
}

struct card *card_new(const char *arg, unsigned pairs, uint64_t low,
		      uint64_t high, bool has_header)
{
	const struct virtio_features f = {{low, high}};

	return make(&recorder_ops, arg, pairs, &f, has_header);
}

struct card *card_new_vhost(const char *arg, unsigned pairs, uint64_t low)
{
	const struct virtio_features f = {{low, 0}};

	return make(&recorder_vhost_ops, arg, pairs, &f, true);
}

void card_free(struct card *c)
{
	unsigned q;

	virtio_exit(c->dev);
	for (q = 0; q < 2 * c->pairs + 1; q++)
		fake_exit(&c->ring[q]);
	free(c);
}

struct iovec card_piece(uint64_t gpa, size_t len)
{
	return (struct iovec){(void *)(uintptr_t)gpa, len};
}

bool card_send(struct card *c, unsigned pair, unsigned header, unsigned len)
{
	struct fakering *r = &c->ring[2 * pair + NET_TX];
	struct iovec p[2] = {card_piece(FAKE_DATA, header),
			     card_piece(FAKE_DATA + header, len)};
	unsigned before = __atomic_load_n(&c->rec.sends, __ATOMIC_SEQ_CST);
	uint16_t id;
	uint32_t got;
	int i;

	fake_add(r, 0, p, 2, 2, false);
	virtio_notify(c->dev, 2 * pair + NET_TX);
	for (i = 0; i < 5000 && !fake_get(r, &id, &got); i++)
		usleep(1000);
	ASSERT(i != 5000);
	return __atomic_load_n(&c->rec.sends, __ATOMIC_SEQ_CST) != before;
}

bool card_receive(struct card *c, unsigned q, const void *frame, size_t len,
		  unsigned header)
{
	bool taken = c->rec.user.receive(c->rec.user.opaque, q, frame, len,
					 header);

	c->rec.user.flush(c->rec.user.opaque, q);
	return taken;
}

int card_control(struct card *c, const void *cmd, unsigned len)
{
	struct fakering *r = &c->ring[c->ctrl];
	struct iovec p[2] = {card_piece(FAKE_DATA, len),
			     card_piece(FAKE_DATA + 0x2000, 1)};
	uint16_t id;
	uint32_t got;

	memcpy(fake_ptr(r, FAKE_DATA), cmd, len);
	fake_add(r, 0, p, 2, 1, false);
	virtio_notify(c->dev, c->ctrl);
	ASSERT(fake_get(r, &id, &got) && got == 1);
	return *(uint8_t *)fake_ptr(r, FAKE_DATA + 0x2000);
}

uint64_t card_counter(struct card *c, const char *name)
{
	const char *is;
	uint64_t value;
	unsigned i;

	for (i = 0; virtio_counter(c->dev, i, &is, &value); i++)
		if (!strcmp(is, name))
			return value;
	ASSERT(!"a counter of that name");
	return 0;
}
