/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card. Document: Virtual I/O Device 1.4 "Network Device" (5.1).
 * Each pair of queues has a thread: frames from the driver are sent by it
 * (nettx.c), frames from the backend come on it (netrx.c) or on a thread of
 * the backend's. The whole header travels both ways. Left out: coalescing of
 * notifications, the legacy header of 10 bytes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dev/doorbell.h"
#include "dev/virtio/netdev.h"
#include "host/evloop.h"
#include "lib/check.h"

#define STATUS_LINK_UP  BIT(0)
#define STATUS_ANNOUNCE BIT(1)

#define SPEED_UNKNOWN  UINT32_MAX
#define DUPLEX_UNKNOWN 0xff

#define MTU_MIN      68 /* IPv4's */
#define HEADER_RESET 12 /* bytes, before features are agreed on */

/* ---- configuration ---- */

/* The configuration space, Virtual I/O Device 1.4 (5.1.4). */
struct net_space {
	uint8_t mac[6];
	uint16_t status;
	uint16_t pairs;
	uint16_t mtu;
	uint32_t speed;
	uint8_t duplex;
	uint8_t hash_key_size;
	uint16_t table_size;
	uint32_t hash_types;
};

_Static_assert(sizeof(struct net_space) == 24, "as the specification says");

bool netdev_link(const struct netdev *n)
{
	return !n->unplugged && !net_is_down(n->net);
}

unsigned netdev_pairs(const struct netdev *n)
{
	return virtio_has(&n->dev, NET_F_MQ) || virtio_has(&n->dev, NET_F_RSS)
		       ? n->pairs
		       : 1;
}

static void net_config_read(struct virtio_device *dev, void *buf)
{
	struct netdev *n = (struct netdev *)dev;
	struct net_space c = {
		.status = (uint16_t)((netdev_link(n) ? STATUS_LINK_UP : 0) |
				     (n->announce ? STATUS_ANNOUNCE : 0)),
		.pairs = (uint16_t)n->pairs,
		.mtu = n->mtu,
		.speed = n->speed,
		.duplex = n->duplex,
		.hash_key_size = NETHASH_KEY,
		.table_size = NETHASH_TABLE,
		.hash_types = NETHASH_TYPES,
	};

	memcpy(c.mac, n->filter.mac, 6);
	memcpy(buf, &c, sizeof(c));
}

static void net_features_ok(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;

	n->header = nethdr_size(&dev->agreed);
	netfilter_reset(&n->filter, n->mac, virtio_has(dev, NET_F_CTRL_RX),
			virtio_has(dev, NET_F_CTRL_VLAN));
	netdev_offloads(n, &dev->agreed);
}

/* ---- the device ---- */

static bool is_vhost(const struct netdev *n)
{
	return n->net->ops->vhost;
}

static void net_notify(struct virtio_device *dev, unsigned q)
{
	struct netdev *n = (struct netdev *)dev;
	unsigned pairs = netdev_pairs(n);

	if (q == 2 * pairs)
		netctrl_run(n);
	else if (q < 2 * pairs && is_vhost(n))
		doorbell_ring(q % 2 == NET_TX ? n->pair[q / 2].kick
					      : n->pair[q / 2].rx_kick);
	else if (q < 2 * pairs && q % 2 == NET_TX)
		nettx_kick(&n->pair[q / 2]);
	else if (q < 2 * pairs && n->pair[q / 2].waiting)
		netrx_room(n, q / 2);
}

/* A pair's thread waits for its transmit queue itself; vhost for both. */
static int net_kick_fd(struct virtio_device *dev, unsigned q)
{
	struct netdev *n = (struct netdev *)dev;

	if (q >= 2 * n->pairs)
		return -1;
	if (q % 2 == NET_TX)
		return n->pair[q / 2].kick;
	return is_vhost(n) ? n->pair[q / 2].rx_kick : -1;
}

/*
 * A lone frame may go out at once. A card with several pairs is for many of
 * them, and its processors would wait for each other.
 */
static bool net_near(struct virtio_device *dev, unsigned q)
{
	const struct netdev *n = (struct netdev *)dev;

	return q == NET_TX && n->pairs == 1 && !is_vhost(n);
}

/* Whatever waits may try again, if only to find that it is for nobody. */
static void wake_all(struct netdev *n)
{
	unsigned i;

	for (i = 0; i < n->pairs; i++) {
		n->pair[i].waiting = 0;
		net_room(n->net, i);
	}
}

static void net_start(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;

	if (is_vhost(n))
		netvhost_start(n);
	else
		wake_all(n);
}

static bool is_sending(const struct netdev *n, unsigned q)
{
	unsigned i;

	for (i = 0; i < n->pairs; i++)
		if (n->pair[i].sending &&
		    (q == VIRTIO_MAX_QUEUES || q / 2 == i))
			return true;
	return false;
}

static void net_quiesce(struct virtio_device *dev, unsigned q)
{
	struct netdev *n = (struct netdev *)dev;

	if (is_vhost(n) && q == VIRTIO_MAX_QUEUES)
		netvhost_stop(n);
	while (is_sending(n, q))
		pthread_cond_wait(&n->idle, &dev->lock);
}

static void net_reset(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;

	n->header = HEADER_RESET;
	n->active = 1;
	n->announce = false;
	if (is_vhost(n) && n->net->ops->vhost->reset)
		n->net->ops->vhost->reset(n->net);
	netfilter_reset(&n->filter, n->mac, false, false);
	nethash_reset(&n->hash);
	netdev_offloads(n, &dev->agreed);
	net_set_queues(n->net, 1);
	wake_all(n);
}

/* The backend's cable. What is on its other end now may not know us. */
static void net_link(void *opaque, bool up)
{
	struct netdev *n = opaque;

	pthread_mutex_lock(&n->dev.lock);
	n->vhost_on = false;
	if (up && is_vhost(n) && virtio_running(&n->dev))
		netvhost_start(n);
	virtio_config_changed(&n->dev);
	pthread_mutex_unlock(&n->dev.lock);
	if (up)
		virtio_net_announce(&n->dev);
}

static void net_destroy(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;
	unsigned i;

	net_detach(n->net);
	for (i = 0; n->pair && i < n->pairs; i++) {
		evloop_destroy(n->pair[i].loop);
		if (n->pair[i].kick >= 0)
			close(n->pair[i].kick);
		netvhost_close(&n->pair[i]);
	}
	free(n->pair);
	pthread_cond_destroy(&n->idle);
}

static const struct virtio_class net_class = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000,
	.counters = netstat_names,
	.counters_n = NETSTATS,
	.notify = net_notify,
	.kick_fd = net_kick_fd,
	.near = net_near,
	.config_read = net_config_read,
	.vhost = netvhost_queue,
	.features_ok = net_features_ok,
	.start = net_start,
	.quiesce = net_quiesce,
	.reset = net_reset,
	.destroy = net_destroy,
};

static void offer(struct netdev *n, const struct virtio_features *want)
{
	struct virtio_features *f = &n->dev.offered;

	*f = *want;
	features_put(f, NET_F_MAC, true);
	features_put(f, NET_F_MTU, n->mtu);
	features_put(f, NET_F_SPEED_DUPLEX,
		     n->speed != SPEED_UNKNOWN || n->duplex != DUPLEX_UNKNOWN);
	if (n->pairs == 1)
		features_put(f, NET_F_MQ, false);
	netdev_limit(f, &n->net->can);
	f->w[0] &= ~n->net->deny[0];
	f->w[1] &= ~n->net->deny[1];
	virtio_settle(&n->dev);
}

static bool start_pair(struct netdev *n, unsigned i)
{
	struct netpair *p = &n->pair[i];

	p->card = n;
	p->index = i;
	p->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->loop = evloop_create("net", NULL);
	if (p->kick < 0 || !p->loop)
		return false;
	if (is_vhost(n))
		return netvhost_open(p);
	p->kick_watch = evloop_add(p->loop, p->kick, POLLIN, nettx_kicked, p);
	return p->kick_watch;
}

static bool start_threads(struct netdev *n)
{
	const struct net_user user = {
		.receive = netrx_receive,
		.flush = netrx_flush,
		.link = net_link,
		.opaque = n,
	};
	struct evloop *loop[NET_QUEUES];
	unsigned i;

	n->pair = calloc(n->pairs, sizeof(*n->pair));
	for (i = 0; n->pair && i < n->pairs; i++)
		n->pair[i].kick = n->pair[i].rx_kick = n->pair[i].call[0].fd =
			n->pair[i].call[1].fd = -1;
	for (i = 0; n->pair && i < n->pairs; i++) {
		if (!start_pair(n, i))
			return false;
		loop[i] = n->pair[i].loop;
	}
	return n->pair && !net_attach(n->net, loop, &user);
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

	if (c->mtu && c->mtu < MTU_MIN)
		return err_set(e, -EINVAL, "host_mtu is less than %d", MTU_MIN);
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

static struct netdev *new_card(const struct net_conf *c, const struct dma *dma)
{
	bool ctrl = features_has(&c->base.want, NET_F_CTRL_VQ);
	unsigned i, pairs = net_queues(c->netdev.object);
	struct netdev *n = calloc(1, sizeof(*n));

	if (!n || virtio_init(&n->dev, &net_class, dma, 2 * pairs + ctrl,
			      (unsigned)c->rx_queue_size)) {
		free(n);
		return NULL;
	}
	pthread_cond_init(&n->idle, NULL);
	n->net = c->netdev.object;
	n->pairs = pairs;
	for (i = 0; i < pairs; i++)
		netdev_tx(n, i)->max = netdev_tx(n, i)->size =
			(uint16_t)c->tx_queue_size;
	return n;
}

static struct virtio_device *net_create(const struct virtio_conf *base,
					const struct dma *dma, struct err *e)
{
	const struct net_conf *c = (const struct net_conf *)base;
	struct netdev *n = new_card(c, dma);

	if (!n) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	n->header = HEADER_RESET;
	n->active = 1;
	n->mtu = (uint16_t)c->mtu;
	n->speed = c->speed ? (uint32_t)c->speed : SPEED_UNKNOWN;
	n->duplex = c->duplex ? (uint8_t)(c->duplex - 1) : DUPLEX_UNKNOWN;
	n->dev.config_size = sizeof(struct net_space);
	ASSERT(!parse_mac(c->mac, n->mac));
	netfilter_reset(&n->filter, n->mac, false, false);
	offer(n, &base->want);
	if (start_threads(n))
		return &n->dev;
	virtio_exit(&n->dev);
	err_set(e, -ENOMEM, "cannot start its threads");
	return NULL;
}

#define FIELD(f) offsetof(struct net_conf, f)
#define TUNNEL_ROW(name, bit)                                              \
	{                                                                  \
		name, PROP_FEATURE, 0, bit, 0, "on",                       \
			"feature; off on machines before 10.2 and on mmio" \
	}

static const char *const duplexes[] = {"unknown", "half", "full", NULL};

static const struct prop net_props[] = {
	{"netdev", PROP_LINK, FIELD(netdev), LINK_NET, true, "", "the -netdev"},
	{"mac", PROP_TEXT, FIELD(mac), 0, 18, "", "address"},
	{"rx_queue_size", PROP_POWER, FIELD(rx_queue_size), 16, 1024, "256",
	 "entries of a receive queue"},
	{"tx_queue_size", PROP_POWER, FIELD(tx_queue_size), 16, 1024, "256",
	 "entries of a transmit queue"},
	{"host_mtu", PROP_NUMBER, FIELD(mtu), 0, 65535, "0",
	 "MTU for the guest, 0: its choice"},
	{"speed", PROP_NUMBER, FIELD(speed), 0, INT32_MAX, "0",
	 "Mbit/s to be shown, 0: unknown"},
	{"duplex", PROP_CHOICE, FIELD(duplex), 0, 0, "unknown",
	 "to be shown: half, full, unknown", duplexes},
	PROP_FEATURE_ROW("mq", NET_F_MQ, false),
	PROP_FEATURE_ROW("rss", NET_F_RSS, false),
	PROP_FEATURE_ROW("hash", NET_F_HASH_REPORT, false),
	PROP_FEATURE_ROW("guest_announce", NET_F_ANNOUNCE, true),
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
	TUNNEL_ROW("guest_tunnel", NET_F_GUEST_TUNNEL),
	TUNNEL_ROW("guest_tunnel_csum", NET_F_GUEST_TUNNEL_SUM),
	TUNNEL_ROW("host_tunnel", NET_F_HOST_TUNNEL),
	TUNNEL_ROW("host_tunnel_csum", NET_F_HOST_TUNNEL_SUM),
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
