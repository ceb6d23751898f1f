/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a network card's cable leads on the host. Backends: a TCP/IP stack in
 * this process that needs no privilege (user), a tap interface, stream and
 * datagram sockets. Frames pass with a virtio-net header of a size the card
 * chooses, or without one when the backend has none.
 */
#ifndef HOST_NET_NET_H
#define HOST_NET_NET_H

#include <sys/uio.h>

#include "lib/err.h"

struct evloop;
struct net;
struct vhost_ops;

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

#define NET_QUEUES  16   /* pairs of queues, at most */
#define NET_IOV_MAX 1024 /* pieces of a frame with its header, at most */

/* The card. Any thread. */
struct net_user {
	/*
	 * A frame for queue pair @q, behind @header bytes of virtio-net
	 * header when the backend has one. False: no room, net_room() tells
	 * when there is.
	 */
	bool (*receive)(void *opaque, unsigned q, const uint8_t *frame,
			size_t len, unsigned header);
	/* No more for now: what was received can be told of. */
	void (*flush)(void *opaque, unsigned q);
	/* The cable was plugged in or pulled. */
	void (*link)(void *opaque, bool up);
	void *opaque;
};

/* A backend; the functions are those below. set_up, set_queues: or NULL. */
struct net_ops {
	int (*attach)(struct net *net, struct evloop *const *loop,
		      const struct net_user *user);
	void (*detach)(struct net *net);
	int (*send)(struct net *net, unsigned q, const struct iovec *iov,
		    unsigned n);
	void (*room)(struct net *net, unsigned q);
	void (*set_up)(struct net *net, unsigned header,
		       const struct net_offloads *guest);
	void (*set_queues)(struct net *net, unsigned n);
	void (*close)(struct net *net);
	/* Frames do not pass through the card (host/net/vhost.h). */
	const struct vhost_ops *vhost;
};

struct net {
	const struct net_ops *ops;
	bool has_header;
	bool down;        /* atomic: the cable leads nowhere */
	unsigned queues;  /* pairs it can serve; 0 is one */
	uint64_t deny[2]; /* features a card cannot have with it */
	struct net_offloads can;
};

/* An end of a socket. */
struct net_addr {
	enum { NET_ADDR_NONE, NET_ADDR_INET, NET_ADDR_UNIX, NET_ADDR_FD } kind;
	char host[64]; /* "": any */
	char port[16]; /* a number or a service's name */
	bool only4, only6;
	char path[108];
	bool abstract;
	int fd;
};

/* Who hears of a backend's peers, if anybody. */
struct net_watcher {
	/* One came, from @peer, or the one there was went: NULL. Any thread. */
	void (*peer)(void *opaque, const struct net_addr *peer);
	void *opaque;
};

struct net_stream_options {
	struct net_addr addr;
	bool server;
	unsigned reconnect_ms; /* of a client; 0: it does not */
	struct net_watcher watcher;
	/* Peers come and go there while no card is attached; NULL: nowhere. */
	struct evloop *loop;
};

struct net_dgram_options {
	struct net_addr local; /* with a group: the way there */
	struct net_addr remote;
};

struct net_tap_options {
	char ifname[16]; /* "" or a pattern with %d: a new one */
	unsigned queues; /* to open, when no descriptors are given */
	unsigned fds;    /* given ones: ours once it is open */
	int fd[NET_QUEUES];
	unsigned vhost_fds; /* the same of /dev/vhost-net, one for each */
	int vhost_fd[NET_QUEUES];
	bool no_header; /* as if the interface had none */
	bool vhost;     /* the host's kernel works on the card's rings */
};

#define NET_RULE 256 /* bytes of a forwarding rule, with its NUL */

struct net_user_options {
	bool restricted; /* no way out but forwarded ports */
	bool no_ipv4;
	bool no_ipv6;
	char net[64];   /* "10.0.2.0/24" */
	char host[64];  /* our address in it, "" for .2 */
	char dhcp[64];  /* first address given out, "" for .15 */
	char dns[64];   /* "" for .3 */
	char net6[64];  /* "fec0::/64" */
	char host6[64]; /* "" for ::2 */
	char dns6[64];  /* "" for ::3 */
	char hostname[64];
	char domain[64];
	char tftp[NET_RULE]; /* folder that TFTP serves, "": no TFTP */
	char tftp_server[64];
	char bootfile[128];
	unsigned searches;
	char search[16][64]; /* domains to look names up in */
	unsigned forwards;
	char forward[16][NET_RULE];
	unsigned guestfwds;
	char guestfwd[8][NET_RULE];
};

/* NULL with a sentence on failure. */
struct net *net_user_open(const struct net_user_options *o,
			  struct err *e) __must_check;

/*
 * Of one of those, opened with @o: listen for one more hostfwd rule, or no
 * more for one, by its part before the dash. Any thread.
 */
int net_user_forward(struct net *net, const struct net_user_options *o,
		     const char *rule, struct err *e) __must_check;
int net_user_unforward(struct net *net, const char *rule,
		       struct err *e) __must_check;
/* Its connections, a line for each; free() it. NULL when memory is short. */
char *net_user_connections(struct net *net);

struct net *net_tap_open(const struct net_tap_options *o,
			 struct err *e) __must_check;
struct net *net_stream_open(const struct net_stream_options *o,
			    struct err *e) __must_check;
struct net *net_dgram_open(const struct net_dgram_options *o,
			   struct err *e) __must_check;

static inline unsigned net_queues(const struct net *net)
{
	return net->queues ? net->queues : 1;
}

static inline void net_tell_peer(const struct net_watcher *w,
				 const struct net_addr *peer)
{
	if (w->peer)
		w->peer(w->opaque, peer);
}

static inline size_t iov_length(const struct iovec *iov, unsigned n)
{
	size_t len = 0;

	while (n)
		len += iov[--n].iov_len;
	return len;
}

/*
 * Frames go to @user from now on; those of queue pair q come on @loop[q], of
 * which there are net_queues(). 0 or -errno.
 */
static inline int net_attach(struct net *net, struct evloop *const *loop,
			     const struct net_user *user)
{
	return net->ops->attach(net, loop, user);
}

/*
 * On return no call of receive() is under way, and none comes. No send() may
 * be under way.
 */
static inline void net_detach(struct net *net)
{
	net->ops->detach(net);
}

/*
 * Send the frame in @iov, header first if there is one. 0, or -errno when it
 * was refused; a frame nobody has room for is dropped with 0.
 */
static inline int net_send(struct net *net, unsigned q, const struct iovec *iov,
			   unsigned n)
{
	return net->ops->send(net, q, iov, n);
}

/* receive() may be tried again. */
static inline void net_room(struct net *net, unsigned q)
{
	net->ops->room(net, q);
}

/* The header's size and what the guest receives; no effect without header. */
static inline void net_set_up(struct net *net, unsigned header,
			      const struct net_offloads *guest)
{
	if (net->ops->set_up)
		net->ops->set_up(net, header, guest);
}

/* Spread frames over the first @n pairs of queues. */
static inline void net_set_queues(struct net *net, unsigned n)
{
	if (net->ops->set_queues)
		net->ops->set_queues(net, n);
}

static inline bool net_is_down(const struct net *net)
{
	return __atomic_load_n(&net->down, __ATOMIC_SEQ_CST);
}

static inline void net_close(struct net *net)
{
	if (net)
		net->ops->close(net);
}

#endif
