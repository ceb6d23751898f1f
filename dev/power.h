/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device may ask of the whole machine: to stop, and why.
 */
#ifndef DEV_POWER_H
#define DEV_POWER_H

#include "lib/util.h"

enum power_event {
	POWER_OFF,   /* soft-off */
	POWER_RESET, /* any reset line */
	POWER_PANIC, /* the guest says its kernel panicked */
	POWER_EXIT,  /* debug exit; code is the exit status */
};

struct power {
	/* May be called with the devices' lock held; only takes a note. */
	void (*request)(void *ctx, enum power_event event, int code);
	void *ctx;
};

static inline void power_request(const struct power *p, enum power_event ev,
				 int code)
{
	p->request(p->ctx, ev, code);
}

#endif
