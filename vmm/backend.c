/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens what -drive, -blockdev and -netdev name.
 */
#include "vmm/backend.h"

#include "host/block/block.h"
#include "host/net/net.h"

static int open_drive(struct backends *b, const struct devconf *c, unsigned i,
		      struct err *e)
{
	const struct devconf_drive *d = &c->drive[i];
	const struct block_options o = {
		.path = d->path,
		.read_only = d->read_only,
		.share = d->share,
		.unmap = d->unmap,
		.no_flush = d->no_flush,
	};

	b->block[i] = block_open(&o, e);
	return b->block[i] ? 0 : err_wrap(e, "drive %s", d->id);
}

static int open_netdev(struct backends *b, const struct devconf *c, unsigned i,
		       struct err *e)
{
	const struct devconf_netdev *n = &c->netdev[i];

	b->net[i] = n->kind == DEVCONF_TAP ? net_tap_open(n->ifname, n->fd, e)
					   : net_user_open(&n->user, e);
	return b->net[i] ? 0 : err_wrap(e, "netdev %s", n->id);
}

int backends_open(struct backends *b, const struct devconf *c, struct err *e)
{
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < c->drives; i++)
		ret = open_drive(b, c, i, e);
	for (i = 0; !ret && i < c->netdevs; i++)
		ret = open_netdev(b, c, i, e);
	if (ret)
		backends_close(b);
	return ret;
}

void backends_close(struct backends *b)
{
	unsigned i;

	for (i = 0; i < DEVCONF_MAX; i++) {
		block_close(b->block[i]);
		b->block[i] = NULL;
		net_close(b->net[i]);
		b->net[i] = NULL;
	}
}
