/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend that moves frames between guest memory and the wire itself: the
 * host's kernel, or another process. The card tells it where its rings are and
 * keeps out of them.
 */
#ifndef HOST_NET_VHOST_H
#define HOST_NET_VHOST_H

#include "host/net/net.h"

#define VHOST_REGIONS 8

struct vhost_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	int fd; /* what it is mapped from, -1: nothing others can map */
	uint64_t offset;
};

struct vhost_ring {
	bool ready;
	uint16_t size;
	uint16_t base; /* the next entry to be taken */
	uint8_t *desc, *driver, *device;
	int kick, call; /* eventfds, the card's */
};

struct vhost_setup {
	uint64_t features[2]; /* as agreed on */
	unsigned regions;
	struct vhost_region region[VHOST_REGIONS];
	unsigned rings;  /* receive, transmit, receive, ... */
	unsigned active; /* pairs in use */
	struct vhost_ring ring[2 * NET_QUEUES];
};

struct vhost_ops {
	/* Take the rings up; 0 or -errno. */
	int (*start)(struct net *net, const struct vhost_setup *s);
	/* Guest memory is not touched any more. Harmless when not started. */
	void (*stop)(struct net *net);
	/* The card was reset: nothing of its state stays. May be NULL. */
	void (*reset)(struct net *net);
};

/* ---- vhostuser.c: another process, by a socket ---- */

struct vhost_user_options {
	struct net_addr addr;
	bool server;
	unsigned reconnect_ms;
	unsigned queues;  /* pairs wanted */
	unsigned wait_ms; /* for the first connection */
	struct net_watcher watcher;
};

struct net *net_vhost_user_open(const struct vhost_user_options *o,
				struct err *e) __must_check;

/* ---- vhostnet.c: the host's kernel, for a tap ---- */

/* The calls it makes, so that a test can be the kernel. */
struct vhost_sys {
	int (*open)(void *ctx);
	int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
	void (*close)(void *ctx, int fd);
	void *ctx;
};

struct vhost_net;

/* /dev/vhost-net. */
extern const struct vhost_sys vhost_sys_kernel;

/*
 * @pairs of queues, each with one of @given, which on success are then its
 * own; NULL: it opens them. NULL with a sentence.
 */
struct vhost_net *vhost_net_open(const struct vhost_sys *sys, const int *given,
				 unsigned pairs, struct err *e) __must_check;
void vhost_net_close(struct vhost_net *v);

/* Bits it offers itself; others it knows nothing of. */
void vhost_net_features(const struct vhost_net *v, uint64_t features[2]);

/* @tap: a descriptor for each pair. */
int vhost_net_start(struct vhost_net *v, const struct vhost_setup *s,
		    const int *tap);
void vhost_net_stop(struct vhost_net *v);

#endif
