/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator says about a user network, made into what libslirp takes.
 */
#ifndef HOST_NET_USERCONF_H
#define HOST_NET_USERCONF_H

#include <slirp/libslirp.h>

#include "host/net/net.h"

#define USERCONF_SEARCH 16

struct userconf {
	SlirpConfig slirp;
	const char *search[USERCONF_SEARCH + 1];
};

/* Fill @c from @o, which must outlive it. */
int userconf_fill(struct userconf *c, const struct net_user_options *o,
		  struct err *e) __must_check;

/* Listen for one hostfwd rule. */
int userconf_forward(Slirp *slirp, const struct userconf *c, const char *rule,
		     struct err *e) __must_check;

/* End what one listens for: its part before the dash. */
int userconf_unforward(Slirp *slirp, const char *rule,
		       struct err *e) __must_check;

/* A guestfwd rule, taken apart. */
struct userconf_guestfwd {
	struct in_addr addr; /* in the guest's network */
	int port;
	enum { GUESTFWD_TCP, GUESTFWD_UNIX, GUESTFWD_COMMAND } kind;
	char target[NET_RULE]; /* a path, a command */
	struct sockaddr_in host;
};

int userconf_guestfwd(struct userconf_guestfwd *out, const struct userconf *c,
		      const char *rule, struct err *e) __must_check;

#endif
