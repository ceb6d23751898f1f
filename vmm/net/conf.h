/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -netdev: one kind of backend after the other, each with its properties and
 * the keys that are more than a value in a place.
 */
#ifndef VMM_NET_CONF_H
#define VMM_NET_CONF_H

#include "host/net/vhost.h"
#include "vmm/devconf.h"
#include "vmm/run/charconf.h"

struct netconf_kind;

/* A -netdev. Of the options, those of its kind. */
struct netconf {
	struct backend base;
	const struct netconf_kind *kind;
	struct devconf *conf;
	struct net_user_options user;
	struct net_tap_options tap;
	uint64_t tap_queues;
	bool vnet_hdr;
	struct net_stream_options stream;
	uint64_t reconnect_ms;
	struct net_dgram_options dgram;
	struct vhost_user_options vhost;
	uint64_t vhost_queues;
	char vhost_chardev[PROP_NAME]; /* whose socket it has, or "" */
};

struct netconf_key {
	const char *name; /* a final dot: any key that begins with it */
	int (*set)(struct netconf *n, const char *key, const char *value,
		   struct err *e);
	const char *help;  /* NULL: it is refused, with a reason */
	const char *value; /* what it takes, NULL: text */
	const char *def;   /* without it, NULL: nothing */
};

struct netconf_kind {
	const char *name;
	const struct prop *props;       /* fields of struct netconf */
	const struct netconf_key *keys; /* a row without name ends them */
	/* All keys are set: do they fit together? May be NULL. */
	int (*check)(struct netconf *n, struct err *e);
	struct net *(*open)(const struct netconf *n, struct err *e);
};

extern const struct netconf_kind netconf_user;
extern const struct netconf_kind netconf_tap;
extern const struct netconf_kind netconf_socket;
extern const struct netconf_kind netconf_stream;
extern const struct netconf_kind netconf_dgram;
extern const struct netconf_kind netconf_vhost_user;

/*
 * Whether somebody else works on a card's rings: memory is then shared with
 * others, and written by them.
 */
bool netconf_has_vhost(const struct backends *list);

/* Those that name a -chardev get its socket. */
int netconf_chardevs(const struct backends *list, struct charconf *c,
		     struct err *e) __must_check;

/* Hears of @n's peers. */
struct net_watcher netconf_watcher(struct netconf *n);

/* Copy @text to where @size bytes are. */
int netconf_copy(char *to, size_t size, const char *text, struct err *e);

/* A descriptor's number. */
int netconf_fd(const char *text, int *fd, struct err *e);

#endif
