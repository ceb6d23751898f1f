/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card. Document: Virtual I/O Device 1.4 "Network Device" (5.1).
 * Frames from the driver are sent by the card's own thread, which a kick
 * wakes; frames from the backend come on the backend's thread. The whole
 * header travels both ways. Left out: several queue pairs, RSS and hashes,
 * announcements, coalescing, the legacy header of 10 bytes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dev/virtio/netdev.h"
#include "host/evloop.h"
#include "lib/check.h"

#define CONFIG_SIZE 12
#define LINK_UP     1
#define RX_CHAIN    64 /* buffers of one frame */
#define TX_BURST    64 /* frames until others may have the lock */

/* ---- configuration ---- */

static void net_config_read(struct virtio_device *dev, void *buf)
{
	struct netdev *n = (struct netdev *)dev;
	uint16_t status = LINK_UP, pairs = 1, mtu = 1500;

	memcpy(buf, n->filter.mac, 6);
	memcpy((uint8_t *)buf + 6, &status, 2);
	memcpy((uint8_t *)buf + 8, &pairs, 2);
	memcpy((uint8_t *)buf + 10, &mtu, 2);
}

void netdev_offloads(const struct virtio_features *f, struct net_offloads *o)
{
	*o = (struct net_offloads){
		.csum = features_has(f, NET_F_GUEST_CSUM),
		.tso4 = features_has(f, NET_F_GUEST_TSO4),
		.tso6 = features_has(f, NET_F_GUEST_TSO6),
		.ecn = features_has(f, NET_F_GUEST_ECN),
		.ufo = features_has(f, NET_F_GUEST_UFO),
		.uso4 = features_has(f, NET_F_GUEST_USO4),
		.uso6 = features_has(f, NET_F_GUEST_USO6),
		.tnl = features_has(f, NET_F_GUEST_TUNNEL),
		.tnl_csum = features_has(f, NET_F_GUEST_TUNNEL_SUM),
	};
}

static void net_features_ok(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;
	struct net_offloads o;

	n->header = nethdr_size(&dev->agreed);
	netfilter_reset(&n->filter, n->mac, virtio_has(dev, NET_F_CTRL_RX),
			virtio_has(dev, NET_F_CTRL_VLAN));
	netdev_offloads(&dev->agreed, &o);
	net_set_up(n->net, n->header, &o);
}

/* ---- to the guest ---- */

/* The header the guest gets for what the backend gave. */
static void rx_header(const struct netdev *n, struct nethdr *h,
		      const uint8_t *frame, unsigned given, unsigned buffers)
{
	*h = (struct nethdr){0};
	memcpy(h, frame, MIN(given, (unsigned)sizeof(*h)));
	h->flags &= NETHDR_NEEDS_CSUM | NETHDR_DATA_VALID | NETHDR_TUNNEL_CSUM;
	nethdr_clean(h);
	if (h->gso_type & NETHDR_TUNNEL)
		h->flags &= (uint8_t)~NETHDR_DATA_VALID;
	h->num_buffers = (uint16_t)buffers;
}

/*
 * Take buffers for @need bytes; how many, 0 when more must come, -E2BIG when
 * no number of them would do.
 */
static int take_buffers(struct netdev *n, struct vq_elem **e, size_t need)
{
	struct vq *vq = &n->dev.vq[NET_RX];
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

static void fill(struct netdev *n, struct vq_elem **e, unsigned count,
		 const uint8_t *frame, size_t len, unsigned given)
{
	uint32_t used[RX_CHAIN];
	struct nethdr h;
	size_t done, at = n->header;
	unsigned i;

	rx_header(n, &h, frame, given, count);
	frame += given;
	len -= given;
	for (i = 0; i < count; i++, at = 0) {
		done = 0;
		if (at)
			done = iov_write(e[i]->iov + e[i]->out_n, e[i]->in_n, 0,
					 &h, n->header);
		at = iov_write(e[i]->iov + e[i]->out_n, e[i]->in_n, at, frame,
			       len);
		frame += at;
		len -= at;
		used[i] = (uint32_t)(done + at);
	}
	vq_push_many(&n->dev.vq[NET_RX], e, used, count);
	for (i = 0; i < count; i++)
		free(e[i]);
}

/* dev.lock held; false: keep it until there are buffers. */
static bool receive(struct netdev *n, const uint8_t *frame, size_t len,
		    unsigned given)
{
	struct vq *vq = &n->dev.vq[NET_RX];
	struct vq_elem *e[RX_CHAIN];
	size_t need = len - given + n->header;
	int count;

	if (!virtio_running(&n->dev) || !vq->ready ||
	    (given && given != n->header) ||
	    !netfilter_takes(&n->filter, frame + given, len - given))
		return true;
	count = take_buffers(n, e, need);
	if (!count) {
		vq_want_more(vq);
		count = take_buffers(n, e, need);
	}
	if (count <= 0) {
		n->starved = !count && !vq->broken;
		if (vq->broken)
			virtio_break(&n->dev);
		return !n->starved;
	}
	vq_want_kick(vq, false);
	fill(n, e, (unsigned)count, frame, len, given);
	virtio_flush(&n->dev, NET_RX);
	return true;
}

static bool net_receive(void *opaque, const uint8_t *frame, size_t len,
			unsigned given)
{
	struct netdev *n = opaque;
	bool taken = true;

	pthread_mutex_lock(&n->dev.lock);
	if (len > given)
		taken = receive(n, frame, len, given);
	pthread_mutex_unlock(&n->dev.lock);
	return taken;
}

/* ---- from the guest ---- */

static void send(struct netdev *n, struct vq_elem *e)
{
	struct iovec iov[1 + VQ_MAX_IOV];
	struct nethdr h = {0};
	size_t skip = n->header, len = e->out_len - skip;
	unsigned i, used = 0;

	iov_read(e->iov, e->out_n, 0, &h, n->header);
	if (!(h.gso_type & NETHDR_TUNNEL))
		nethdr_clean(&h);
	if (!nethdr_valid(&h, &n->dev.agreed, len)) {
		n->dropped++;
		return;
	}
	nethdr_clean(&h);
	if (n->net->has_header)
		iov[used++] = (struct iovec){&h, n->header};
	for (i = 0; i < e->out_n; i++) {
		if (skip >= e->iov[i].iov_len) {
			skip -= e->iov[i].iov_len;
			continue;
		}
		iov[used++] = (struct iovec){
			(uint8_t *)e->iov[i].iov_base + skip,
			e->iov[i].iov_len - skip,
		};
		skip = 0;
	}
	if (used > 1024 || net_send(n->net, iov, used))
		n->dropped++;
}

/* dev.lock held; true when there may be more. */
static bool transmit(struct netdev *n)
{
	struct vq *vq = &n->dev.vq[NET_TX];
	struct vq_elem *e;
	unsigned i;

	vq_want_kick(vq, false);
	for (i = 0; i < TX_BURST; i++) {
		e = vq_pop(vq);
		if (!e)
			break;
		if (e->out_len >= n->header)
			send(n, e);
		else
			n->dropped++;
		vq_push(vq, e, 0);
		free(e);
	}
	/* Also when a burst took just the last one. */
	if (vq_empty(vq))
		vq_want_kick(vq, true);
	virtio_flush(&n->dev, NET_TX);
	return !vq_empty(vq);
}

static void net_kicked(void *opaque, int revents)
{
	struct netdev *n = opaque;
	uint64_t count;
	bool more = true;

	if (read(n->kick, &count, sizeof(count)) < 0)
		return;
	while (more) {
		pthread_mutex_lock(&n->dev.lock);
		more = virtio_running(&n->dev) && transmit(n);
		pthread_mutex_unlock(&n->dev.lock);
	}
}

/* ---- the device ---- */

static void net_notify(struct virtio_device *dev, unsigned q)
{
	struct netdev *n = (struct netdev *)dev;
	uint64_t one = 1;

	if (q == NET_RX && n->starved) {
		n->starved = false;
		net_room(n->net);
	} else if (q == NET_TX) {
		while (write(n->kick, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	} else if (q == NET_CTRL) {
		netctrl_run(n);
	}
}

static void net_start(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;

	n->starved = false;
	net_room(n->net);
}

static void net_reset(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;
	const struct net_offloads none = {0};

	n->header = 12;
	n->starved = false;
	netfilter_reset(&n->filter, n->mac, false, false);
	net_set_up(n->net, n->header, &none);
	/* What waits is for nobody; it is read and dropped. */
	net_room(n->net);
}

static void net_destroy(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;

	net_detach(n->net);
	evloop_destroy(n->loop);
	if (n->kick >= 0)
		close(n->kick);
}

static const struct virtio_class net_class = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000,
	.notify = net_notify,
	.config_read = net_config_read,
	.features_ok = net_features_ok,
	.start = net_start,
	.reset = net_reset,
	.destroy = net_destroy,
};

/* Bits that need an ability of the backend. */
static void clear_unable(struct virtio_features *f,
			 const struct net_offloads *can)
{
	const struct {
		bool can;
		uint8_t bit[3]; /* 0 ends, but for the first */
	} rows[] = {
		{can->csum, {NET_F_CSUM, NET_F_GUEST_CSUM}},
		{can->tso4, {NET_F_HOST_TSO4, NET_F_GUEST_TSO4}},
		{can->tso6, {NET_F_HOST_TSO6, NET_F_GUEST_TSO6}},
		{can->ecn, {NET_F_HOST_ECN, NET_F_GUEST_ECN}},
		{can->ufo, {NET_F_HOST_UFO, NET_F_GUEST_UFO}},
		{can->uso4 && can->uso6,
		 {NET_F_HOST_USO, NET_F_GUEST_USO4, NET_F_GUEST_USO6}},
		{can->tnl, {NET_F_HOST_TUNNEL, NET_F_GUEST_TUNNEL}},
		{can->tnl_csum,
		 {NET_F_HOST_TUNNEL_SUM, NET_F_GUEST_TUNNEL_SUM}},
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		for (k = 0; !rows[i].can && k < 3; k++)
			if (!k || rows[i].bit[k])
				features_put(f, rows[i].bit[k], false);
}

static void offer(struct netdev *n, const struct virtio_features *want)
{
	struct virtio_features *f = &n->dev.offered;

	*f = *want;
	features_put(f, NET_F_MAC, true);
	clear_unable(f, &n->net->can);
	virtio_settle(&n->dev);
}

static bool start_thread(struct netdev *n)
{
	const struct net_user user = {net_receive, n};

	n->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->loop = evloop_create(NULL);
	if (n->kick < 0 || !n->loop)
		return false;
	n->kick_watch = evloop_add(n->loop, n->kick, POLLIN, net_kicked, n);
	return n->kick_watch && !net_attach(n->net, n->loop, &user);
}

/* "52:54:00:12:34:56" into @mac; -EINVAL when it is none a card can have. */
static int parse_mac(const char *text, uint8_t mac[6])
{
	unsigned byte[6], i;
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1],
		   &byte[2], &byte[3], &byte[4], &byte[5], &end) != 6 ||
	    text[end] || byte[0] & 1)
		return -EINVAL;
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
	return 0;
}

static int net_check(struct virtio_conf *base, const struct virtio_env *env,
		     struct err *e)
{
	struct net_conf *c = (struct net_conf *)base;
	uint8_t mac[6];
	unsigned bit;

	/* Drivers reach the second word of features on PCI only. */
	for (bit = NET_F_GUEST_TUNNEL; bit <= NET_F_HOST_TUNNEL_SUM; bit++)
		if (!env->pci ||
		    (env->version < 1002 && !features_has(&base->named, bit)))
			features_put(&base->want, bit, false);
	/* As QEMU counts them: one more for each card. */
	if (!c->mac[0])
		snprintf(c->mac, sizeof(c->mac), "52:54:00:12:34:%02x",
			 (0x56 + base->nth) & 0xff);
	return parse_mac(c->mac, mac)
		       ? err_set(e, -EINVAL,
				 "mac '%s' is not the address of one card",
				 c->mac)
		       : 0;
}

static struct virtio_device *net_create(const struct virtio_conf *base,
					const struct dma *dma, struct err *e)
{
	const struct net_conf *c = (const struct net_conf *)base;
	bool ctrl = features_has(&base->want, NET_F_CTRL_VQ);
	struct netdev *n = calloc(1, sizeof(*n));

	if (!n || virtio_init(&n->dev, &net_class, dma, ctrl ? 3 : 2,
			      (unsigned)c->queue_size)) {
		free(n);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	n->net = c->netdev.object;
	n->header = 12;
	n->dev.config_size = CONFIG_SIZE;
	ASSERT(!parse_mac(c->mac, n->mac));
	netfilter_reset(&n->filter, n->mac, false, false);
	offer(n, &base->want);
	if (start_thread(n))
		return &n->dev;
	virtio_exit(&n->dev);
	err_set(e, -ENOMEM, "cannot start its thread");
	return NULL;
}

#define FIELD(f) offsetof(struct net_conf, f)

static const struct prop net_props[] = {
	{"netdev", PROP_LINK, FIELD(netdev), LINK_NET, true, "", "the -netdev"},
	{"mac", PROP_TEXT, FIELD(mac), 0, 18, "", "address"},
	{"rx_queue_size", PROP_POWER, FIELD(queue_size), 16, 1024, "256",
	 "entries of a queue"},
	PROP_FEATURE_ROW("csum", NET_F_CSUM, true),
	PROP_FEATURE_ROW("guest_csum", NET_F_GUEST_CSUM, true),
	PROP_FEATURE_ROW("ctrl_guest_offloads", NET_F_GUEST_OFFLOADS, true),
	PROP_FEATURE_ROW("guest_tso4", NET_F_GUEST_TSO4, true),
	PROP_FEATURE_ROW("guest_tso6", NET_F_GUEST_TSO6, true),
	PROP_FEATURE_ROW("guest_ecn", NET_F_GUEST_ECN, true),
	PROP_FEATURE_ROW("guest_ufo", NET_F_GUEST_UFO, true),
	PROP_FEATURE_ROW("host_tso4", NET_F_HOST_TSO4, true),
	PROP_FEATURE_ROW("host_tso6", NET_F_HOST_TSO6, true),
	PROP_FEATURE_ROW("host_ecn", NET_F_HOST_ECN, true),
	PROP_FEATURE_ROW("host_ufo", NET_F_HOST_UFO, true),
	PROP_FEATURE_ROW("mrg_rxbuf", NET_F_MRG_RXBUF, true),
	PROP_FEATURE_ROW("status", NET_F_STATUS, true),
	PROP_FEATURE_ROW("ctrl_vq", NET_F_CTRL_VQ, true),
	PROP_FEATURE_ROW("ctrl_rx", NET_F_CTRL_RX, true),
	PROP_FEATURE_ROW("ctrl_vlan", NET_F_CTRL_VLAN, true),
	PROP_FEATURE_ROW("ctrl_rx_extra", NET_F_CTRL_RX_EXTRA, true),
	PROP_FEATURE_ROW("ctrl_mac_addr", NET_F_CTRL_MAC, true),
	PROP_FEATURE_ROW("guest_uso4", NET_F_GUEST_USO4, true),
	PROP_FEATURE_ROW("guest_uso6", NET_F_GUEST_USO6, true),
	PROP_FEATURE_ROW("host_uso", NET_F_HOST_USO, true),
	PROP_FEATURE_ROW("guest_tunnel", NET_F_GUEST_TUNNEL, true),
	PROP_FEATURE_ROW("guest_tunnel_csum", NET_F_GUEST_TUNNEL_SUM, true),
	PROP_FEATURE_ROW("host_tunnel", NET_F_HOST_TUNNEL, true),
	PROP_FEATURE_ROW("host_tunnel_csum", NET_F_HOST_TUNNEL_SUM, true),
	{0},
};

const struct virtio_type virtio_net_types[] = {
	{
		.name = "virtio-net",
		.conf_size = sizeof(struct net_conf),
		.props = net_props,
		.check = net_check,
		.create = net_create,
	},
	{0},
};
