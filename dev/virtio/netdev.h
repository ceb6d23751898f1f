/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card's parts, shared by its data path and its control queue.
 */
#ifndef DEV_VIRTIO_NETDEV_H
#define DEV_VIRTIO_NETDEV_H

#include "dev/virtio/netfilter.h"
#include "dev/virtio/nethdr.h"
#include "dev/virtio/type.h"
#include "host/net/net.h"

enum { NET_RX, NET_TX, NET_CTRL };

struct evloop_watch;

struct net_conf {
	struct virtio_conf base;
	struct prop_link netdev;
	uint64_t queue_size;
	char mac[18]; /* "": one is made up */
};

struct netdev {
	struct virtio_device dev;
	struct net *net;
	uint8_t mac[6]; /* as it is after a reset */
	struct netfilter filter;
	unsigned header;  /* bytes, as agreed on */
	bool starved;     /* a frame waits for buffers */
	uint64_t dropped; /* headers that were refused */
	/* ---- set up once ---- */
	struct evloop *loop;
	int kick; /* eventfd: the driver sent something */
	struct evloop_watch *kick_watch;
};

/* Answer everything in the control queue; dev.lock held. */
void netctrl_run(struct netdev *n);

/* What the guest can receive by these features. */
void netdev_offloads(const struct virtio_features *f, struct net_offloads *o);

#endif
