/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue: receive modes, addresses, VLANs, announcements, numbers
 * of queues and what chooses them, offloads at run time.
 * Document: Virtual I/O Device 1.4 "Control Virtqueue" (5.1.6.5).
 */
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/netdev.h"

#define CLASS_RX       0
#define CLASS_MAC      1
#define CLASS_VLAN     2
#define CLASS_ANNOUNCE 3
#define CLASS_MQ       4
#define CLASS_OFFLOADS 5

#define MAC_TABLE_SET 0
#define MAC_ADDR_SET  1

#define MQ_PAIRS_SET   0
#define MQ_RSS_CONFIG  1
#define MQ_HASH_CONFIG 2

#define ACK_OK  0
#define ACK_ERR 1

#define COMMAND_SHORT 512
/* Bytes of the longest one: more addresses than a table of any driver has. */
#define COMMAND_MAX   (1U << 20)

static bool command_rx(struct netdev *n, unsigned cmd, const uint8_t *p,
		       size_t len)
{
	unsigned feature = cmd < 2 ? NET_F_CTRL_RX : NET_F_CTRL_RX_EXTRA;

	return virtio_has(&n->dev, feature) && len == 1 &&
	       netfilter_mode(&n->filter, cmd, p[0]);
}

static bool command_mac(struct netdev *n, unsigned cmd, const uint8_t *p,
			size_t len)
{
	if (cmd == MAC_TABLE_SET && virtio_has(&n->dev, NET_F_CTRL_RX))
		return netfilter_table(&n->filter, p, len);
	if (cmd != MAC_ADDR_SET || len != 6 ||
	    !virtio_has(&n->dev, NET_F_CTRL_MAC))
		return false;
	memcpy(n->filter.mac, p, 6);
	return true;
}

static bool command_vlan(struct netdev *n, unsigned cmd, const uint8_t *p,
			 size_t len)
{
	unsigned id;

	if (cmd > 1 || len != 2 || !virtio_has(&n->dev, NET_F_CTRL_VLAN))
		return false;
	id = p[0] | (unsigned)p[1] << 8;
	if (id > 4095)
		return false;
	netfilter_vlan(&n->filter, id, cmd == 0);
	return true;
}

/* The driver has made itself known. */
static bool command_announce(struct netdev *n, unsigned cmd, const uint8_t *p,
			     size_t len)
{
	if (cmd || len || !virtio_has(&n->dev, NET_F_ANNOUNCE))
		return false;
	n->announce = false;
	return true;
}

static void use_pairs(struct netdev *n, unsigned pairs)
{
	unsigned i;

	n->active = pairs;
	net_set_queues(n->net, pairs);
	/* What waits for a queue that is off goes elsewhere. */
	for (i = 0; i < n->pairs; i++)
		netrx_room(n, i);
}

static bool command_mq(struct netdev *n, unsigned cmd, const uint8_t *p,
		       size_t len)
{
	unsigned pairs;

	switch (cmd) {
	case MQ_PAIRS_SET:
		pairs = len == 2 ? p[0] | (unsigned)p[1] << 8 : 0;
		if (!virtio_has(&n->dev, NET_F_MQ) || !pairs ||
		    pairs > n->pairs)
			return false;
		n->hash.steers = false;
		use_pairs(n, pairs);
		return true;
	case MQ_RSS_CONFIG:
		if (!virtio_has(&n->dev, NET_F_RSS) ||
		    !nethash_config(&n->hash, true, p, len, n->pairs))
			return false;
		use_pairs(n, n->pairs);
		return true;
	case MQ_HASH_CONFIG:
		return virtio_has(&n->dev, NET_F_HASH_REPORT) &&
		       nethash_config(&n->hash, false, p, len, n->pairs);
	default: return false;
	}
}

static bool command_offloads(struct netdev *n, unsigned cmd, const uint8_t *p,
			     size_t len)
{
	uint64_t bits;

	if (cmd || len != 8 || !virtio_has(&n->dev, NET_F_GUEST_OFFLOADS))
		return false;
	memcpy(&bits, p, 8);
	return netdev_command(n, bits);
}

/* Who asks hears of the first change only, however many a driver makes. */
static bool tell_filter(struct netdev *n, bool done)
{
	if (!done || n->filter_changed)
		return done;
	n->filter_changed = true;
	if (n->dev.news)
		n->dev.news->filter(n->dev.news_ctx);
	return true;
}

static bool command_filter(struct netdev *n, const uint8_t *p, size_t len)
{
	switch (p[0]) {
	case CLASS_RX: return command_rx(n, p[1], p + 2, len - 2);
	case CLASS_MAC: return command_mac(n, p[1], p + 2, len - 2);
	default: return command_vlan(n, p[1], p + 2, len - 2);
	}
}

static bool command(struct netdev *n, const uint8_t *p, size_t len)
{
	if (len < 2)
		return false;
	switch (p[0]) {
	case CLASS_RX:
	case CLASS_MAC:
	case CLASS_VLAN: return tell_filter(n, command_filter(n, p, len));
	case CLASS_ANNOUNCE: return command_announce(n, p[1], p + 2, len - 2);
	case CLASS_MQ: return command_mq(n, p[1], p + 2, len - 2);
	case CLASS_OFFLOADS: return command_offloads(n, p[1], p + 2, len - 2);
	default: return false;
	}
}

/* An address table may have thousands, of which it is told all. */
static bool long_command(struct netdev *n, const struct vq_elem *e)
{
	uint8_t *buf = e->out_len > COMMAND_MAX ? NULL : malloc(e->out_len);
	bool ok = buf &&
		  command(n, buf,
			  iov_read(e->iov, e->out_n, 0, buf, e->out_len));

	free(buf);
	return ok;
}

static bool run(struct netdev *n, const struct vq_elem *e)
{
	uint8_t buf[COMMAND_SHORT];

	if (e->out_len > sizeof(buf))
		return long_command(n, e);
	return command(n, buf, iov_read(e->iov, e->out_n, 0, buf, sizeof(buf)));
}

static void answer(struct netdev *n, struct vq *vq, struct vq_elem *e)
{
	uint8_t ack = run(n, e) ? ACK_OK : ACK_ERR;
	size_t len;

	len = iov_write(e->iov + e->out_n, e->in_n, 0, &ack, 1);
	vq_push(vq, e, (uint32_t)len);
	free(e);
}

void netctrl_run(struct netdev *n)
{
	unsigned q = 2 * netdev_pairs(n);
	struct vq *vq = &n->dev.vq[q];
	struct vq_elem *e;

	do {
		while ((e = vq_pop(vq)))
			answer(n, vq, e);
		vq_want_kick(vq, true);
	} while (!vq_empty(vq));
	virtio_flush(&n->dev, q);
}
