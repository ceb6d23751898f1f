/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the devices: opened once, lent to one machine after the
 * other.
 */
#ifndef VMM_BACKEND_H
#define VMM_BACKEND_H

#include "vmm/devconf.h"

struct block;
struct net;

struct backends {
	struct block *block[DEVCONF_MAX]; /* of each drive */
	struct net *net[DEVCONF_MAX];     /* of each netdev */
};

/* Open all of @c; on failure nothing is left open. */
int backends_open(struct backends *b, const struct devconf *c,
		  struct err *e) __must_check;
/* Harmless on one that was never opened but is zero. */
void backends_close(struct backends *b);

#endif
