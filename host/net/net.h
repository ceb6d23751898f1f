/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a network card's cable leads on the host. Backends: a TCP/IP stack in
 * this process that needs no privilege (user), a tap interface. Frames pass
 * with a virtio-net header of a size the card chooses, or without one when
 * the backend has none.
 */
#ifndef HOST_NET_NET_H
#define HOST_NET_NET_H

#include <sys/uio.h>

#include "lib/err.h"

struct evloop;
struct net;

/*
 * All offloads there are, in one place. As a backend's ability: what it takes
 * from and gives to a card. As a card's wish: what the guest can receive.
 */
struct net_offloads {
	bool csum;
	bool tso4;
	bool tso6;
	bool ecn;
	bool ufo;
	bool uso4;
	bool uso6;
	bool tnl;      /* GSO over UDP tunnels */
	bool tnl_csum; /* ... with the outer checksum left open */
};

/* The card. Any thread. */
struct net_user {
	/*
	 * A frame, behind @header bytes of virtio-net header when the
	 * backend has one. False: no room, net_room() tells when there is.
	 */
	bool (*receive)(void *opaque, const uint8_t *frame, size_t len,
			unsigned header);
	void *opaque;
};

/* A backend; the functions are those below. */
struct net_ops {
	int (*attach)(struct net *net, struct evloop *loop,
		      const struct net_user *user);
	void (*detach)(struct net *net);
	int (*send)(struct net *net, const struct iovec *iov, unsigned n);
	void (*room)(struct net *net);
	void (*set_up)(struct net *net, unsigned header,
		       const struct net_offloads *guest);
	void (*close)(struct net *net);
};

struct net {
	const struct net_ops *ops;
	bool has_header;
	struct net_offloads can;
};

struct net_user_options {
	bool restricted; /* no way out but forwarded ports */
	char net[64];    /* "10.0.2.0/24" */
	char host[64];   /* our address in it, "" for .2 */
	char dhcp[64];   /* first address given out, "" for .15 */
	char dns[64];    /* "" for .3 */
	char hostname[64];
	char domain[64];
	unsigned forwards;
	char forward[8][128]; /* "tcp:ADDR:PORT-ADDR:PORT" */
};

/* NULL with a sentence on failure. */
struct net *net_user_open(const struct net_user_options *o,
			  struct err *e) __must_check;

/*
 * The tap interface @name ("" or a pattern with %d: a new one), or an open
 * descriptor of one when @fd is not -1, which is then ours.
 */
struct net *net_tap_open(const char *name, int fd, struct err *e) __must_check;

/* Frames go to @user from now on; watches run on @loop. 0 or -errno. */
static inline int net_attach(struct net *net, struct evloop *loop,
			     const struct net_user *user)
{
	return net->ops->attach(net, loop, user);
}

/* On return no call of receive() is under way, and none comes. */
static inline void net_detach(struct net *net)
{
	net->ops->detach(net);
}

/*
 * Send the frame in @iov, header first if there is one. 0, or -errno when it
 * was refused; a frame nobody has room for is dropped with 0.
 */
static inline int net_send(struct net *net, const struct iovec *iov, unsigned n)
{
	return net->ops->send(net, iov, n);
}

/* receive() may be tried again. */
static inline void net_room(struct net *net)
{
	net->ops->room(net);
}

/* The header's size and what the guest receives; no effect without header. */
static inline void net_set_up(struct net *net, unsigned header,
			      const struct net_offloads *guest)
{
	net->ops->set_up(net, header, guest);
}

static inline void net_close(struct net *net)
{
	if (net)
		net->ops->close(net);
}

#endif
