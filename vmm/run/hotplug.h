/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go while a machine runs. A device is plugged in at
 * once and the guest told; it is taken out when the guest has let go of its
 * slot, or with the next reset. The control's lock is held in all of these
 * but where it says otherwise.
 */
#ifndef VMM_RUN_HOTPLUG_H
#define VMM_RUN_HOTPLUG_H

#include "lib/err.h"

struct control;
struct devconf_device;
struct evloop;
struct evloop_watch;
struct machine;

struct hotplug {
	struct control *control;
	int wake; /* eventfd: a guest let go of something */
	struct evloop_watch *watch;
};

/* No lock held. 0 or -errno; hotplug_exit() in any case. */
int hotplug_init(struct hotplug *h, struct control *control,
		 struct evloop *loop, struct err *e) __must_check;
void hotplug_exit(struct hotplug *h);

/* The guest emptied @slot; with the machine's lock only. */
void hotplug_eject(struct machine *m, unsigned slot);

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
