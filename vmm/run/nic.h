/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network cards, and where their cables lead, as monitors know them. The
 * control's lock is held.
 */
#ifndef VMM_RUN_NIC_H
#define VMM_RUN_NIC_H

#include <stdbool.h>
#include <stddef.h>

struct devconf_device;
struct machine;
struct net_addr;
struct netconf;

/* Whether @d is a network card that is plugged in. */
bool nic_is(const struct devconf_device *d);

/* Its id, or without one its type and which of that it is; returns @buf. */
char *nic_name(const struct machine *m, const struct devconf_device *d,
	       char *buf, size_t size);

/*
 * Tell the monitors of each card that takes other frames than when its filter
 * was asked for; once, until they ask again (devconf_device.filter_told).
 */
void nic_tell_filters(struct machine *m);

/*
 * Tell the monitors of @control that @n's peer came, or went: NULL. Any
 * thread, any lock held.
 */
void nic_tell_peer(void *control, const struct netconf *n,
		   const struct net_addr *peer);

#endif
