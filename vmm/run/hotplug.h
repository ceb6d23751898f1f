/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go while a machine runs. A device is plugged in at
 * once and the guest told; it is taken out when the guest has let go of its
 * slot, or with the next reset. The control's lock is held in all of these
 * but hotplug_eject().
 */
#ifndef VMM_RUN_HOTPLUG_H
#define VMM_RUN_HOTPLUG_H

#include "lib/err.h"

struct devconf_device;
struct machine;

/* The guest emptied @slot; with the machine's lock only. */
void hotplug_eject(struct machine *m, unsigned slot);

/* Forget what was ejected, and tell the monitors. */
void hotplug_forget(struct machine *m);

/* Plug in @d, which is the list's from then on, or freed on failure. */
int hotplug_add(struct machine *m, struct devconf_device *d,
		struct err *e) __must_check;

/* Ask the guest to let go of @d. */
int hotplug_remove(struct machine *m, struct devconf_device *d,
		   struct err *e) __must_check;

/* The machine ends: what was asked for is done. */
void hotplug_settle(struct machine *m);

/* How QMP calls it: "/machine/peripheral/ID"; returns @buf. */
char *hotplug_path(const struct machine *m, const struct devconf_device *d,
		   char *buf, size_t size);

#endif
