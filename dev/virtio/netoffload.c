/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row for each field of struct net_offloads: which features stand for it,
 * and which bit of the command that sets offloads at run time.
 */
#include <stddef.h>

#include "dev/virtio/netdev.h"

struct offload {
	size_t field;
	uint8_t guest;   /* the driver takes it */
	uint8_t host;    /* the device does */
	uint8_t command; /* two do not fit in 64 bits and are moved down */
};

#define FIELD(f) offsetof(struct net_offloads, f)

static const struct offload offloads[] = {
	{FIELD(csum), NET_F_GUEST_CSUM, NET_F_CSUM, 1},
	{FIELD(tso4), NET_F_GUEST_TSO4, NET_F_HOST_TSO4, 7},
	{FIELD(tso6), NET_F_GUEST_TSO6, NET_F_HOST_TSO6, 8},
	{FIELD(ecn), NET_F_GUEST_ECN, NET_F_HOST_ECN, 9},
	{FIELD(ufo), NET_F_GUEST_UFO, NET_F_HOST_UFO, 10},
	{FIELD(uso4), NET_F_GUEST_USO4, NET_F_HOST_USO, 54},
	{FIELD(uso6), NET_F_GUEST_USO6, NET_F_HOST_USO, 55},
	{FIELD(tnl), NET_F_GUEST_TUNNEL, NET_F_HOST_TUNNEL, 46},
	{FIELD(tnl_csum), NET_F_GUEST_TUNNEL_SUM, NET_F_HOST_TUNNEL_SUM, 47},
};

_Static_assert(ARRAY_SIZE(offloads) ==
		       sizeof(struct net_offloads) / sizeof(bool),
	       "a row for each field");

static bool *field(struct net_offloads *o, const struct offload *row)
{
	return (bool *)((char *)o + row->field);
}

void netdev_limit(struct virtio_features *f, const struct net_offloads *can)
{
	struct net_offloads able = *can;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(offloads); i++) {
		if (*field(&able, &offloads[i]))
			continue;
		features_put(f, offloads[i].guest, false);
		features_put(f, offloads[i].host, false);
	}
}

void netdev_offloads(struct netdev *n, const struct virtio_features *f)
{
	struct net_offloads o = {0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(offloads); i++)
		*field(&o, &offloads[i]) = features_has(f, offloads[i].guest);
	n->checks = o.csum;
	net_set_up(n->net, n->header, &o);
}

bool netdev_command(struct netdev *n, uint64_t bits)
{
	struct virtio_features f = {{0}};
	const struct offload *row;

	for (row = offloads; row < offloads + ARRAY_SIZE(offloads); row++) {
		if (!(bits >> row->command & 1))
			continue;
		if (!virtio_has(&n->dev, row->guest))
			return false;
		features_put(&f, row->guest, true);
		bits &= ~BIT64(row->command);
	}
	if (bits)
		return false;
	netdev_offloads(n, &f);
	return true;
}
