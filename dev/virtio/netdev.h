/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card's parts, shared by its data paths and its control queue.
 */
#ifndef DEV_VIRTIO_NETDEV_H
#define DEV_VIRTIO_NETDEV_H

#include "dev/virtio/netfilter.h"
#include "dev/virtio/nethash.h"
#include "dev/virtio/nethdr.h"
#include "dev/virtio/nic.h"
#include "dev/virtio/type.h"
#include "host/net/vhost.h"

/* Queues of the first pair; of pair i they are 2 * i further on. */
enum { NET_RX, NET_TX };

struct evloop_watch;

struct net_conf {
	struct virtio_conf base;
	struct prop_link netdev;
	uint64_t rx_queue_size;
	uint64_t tx_queue_size;
	uint64_t mtu;    /* 0: the driver's choice */
	uint64_t speed;  /* Mbit/s, 0: not said */
	unsigned duplex; /* 0: not said, half, full */
	char mac[18];    /* "": one is made up */
};

/* What is counted; the names are in netstat.c. */
enum netstat {
	NETSTAT_RX_FRAMES,
	NETSTAT_RX_BYTES,
	NETSTAT_RX_TUNNEL,   /* superpackets of a tunnel */
	NETSTAT_RX_FILTERED, /* for other addresses or VLANs */
	NETSTAT_RX_TOO_LONG, /* no buffers can hold it */
	NETSTAT_RX_DOWN,     /* no driver, no link */
	NETSTAT_RX_HEADER,   /* its header is another one */
	NETSTAT_TX_FRAMES,
	NETSTAT_TX_BYTES,
	NETSTAT_TX_TUNNEL,
	NETSTAT_TX_DOWN,
	NETSTAT_TX_NO_HEADER, /* shorter than its header */
	NETSTAT_TX_PIECES,    /* in too many of them */
	NETSTAT_TX_REFUSED,   /* by the backend */
	NETSTAT_TX_FAULT, /* one for each enum nethdr_fault, on from SHORT */
	NETSTATS = NETSTAT_TX_FAULT + NETHDR_FAULTS - 1
};
extern const char *const netstat_names[NETSTATS];

/* A ring that the backend works on: what it says to the driver. */
struct netcall {
	struct netdev *card;
	unsigned queue;
	int fd; /* eventfd */
	struct evloop_watch *watch;
};

/* A pair of queues, with a thread of its own. */
struct netpair {
	struct netdev *card;
	unsigned index;
	struct evloop *loop;
	int kick; /* eventfd: the driver sent something */
	struct evloop_watch *kick_watch;
	/* ---- with a vhost backend only ---- */
	int rx_kick; /* kick is the transmit ring's */
	struct netcall call[2];
	/* ---- dev.lock ---- */
	bool sending;     /* what was taken is on its way, without the lock */
	uint64_t kicked;  /* when the last kick was done with */
	size_t received;  /* bytes since then */
	uint32_t waiting; /* pairs of the backend with a frame for us */
	bool dirty;       /* the driver is to be told of frames */
};

struct netdev {
	struct virtio_device dev;
	struct net *net;
	uint8_t mac[6]; /* as it is after a reset */
	struct netfilter filter;
	bool filter_changed; /* since somebody asked for it */
	struct nethash hash;
	unsigned header;     /* bytes, as agreed on */
	bool checks;         /* the driver hears of checksums */
	unsigned active;     /* pairs in use */
	bool vhost_on;       /* the backend works on the rings */
	bool unplugged;      /* the operator pulled the cable */
	bool announce;       /* the driver is to make itself known */
	pthread_cond_t idle; /* some pair is no longer sending */
	/* ---- set up once ---- */
	uint16_t mtu;
	uint32_t speed;
	uint8_t duplex;
	unsigned pairs;
	struct netpair *pair;
};

/*
 * ---- dev.lock held ----
 */
/* Answer everything in the control queue. */
void netctrl_run(struct netdev *n);

/* What the guest receives from now on, by these features. */
void netdev_offloads(struct netdev *n, const struct virtio_features *f);

/* The same by the bits of a command; false if one was not agreed on. */
bool netdev_command(struct netdev *n, uint64_t bits);

/* Whether frames pass. */
bool netdev_link(const struct netdev *n);

/* Pairs that the driver numbers its queues by. */
unsigned netdev_pairs(const struct netdev *n);

static inline struct vq *netdev_rx(struct netdev *n, unsigned pair)
{
	return &n->dev.vq[2 * pair + NET_RX];
}

static inline struct vq *netdev_tx(struct netdev *n, unsigned pair)
{
	return &n->dev.vq[2 * pair + NET_TX];
}

/* The driver has frames for @pair. Drops the lock meanwhile. */
void nettx_kick(struct netpair *p);

/* There is room for frames in @pair. */
void netrx_room(struct netdev *n, unsigned pair);

/* Hand the rings to the backend, and take them back. */
void netvhost_start(struct netdev *n);
void netvhost_stop(struct netdev *n);
/* The class's; see device.h. */
bool netvhost_queue(struct virtio_device *dev, unsigned q,
		    struct virtio_vhost *v);

/*
 * ---- without it ----
 */
/* Clear features for which the backend can not do enough. */
void netdev_limit(struct virtio_features *f, const struct net_offloads *can);

/* Eventfds for a pair's rings and a watch for what they say. */
bool netvhost_open(struct netpair *p);
void netvhost_close(struct netpair *p);

/* As the backend calls them; @opaque: the card. */
bool netrx_receive(void *opaque, unsigned q, const uint8_t *frame, size_t len,
		   unsigned header);
void netrx_flush(void *opaque, unsigned q);

/* A pair's thread: send what the driver has made available. */
void nettx_kicked(void *opaque, int revents);

#endif
