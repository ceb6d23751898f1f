/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that a guest could bring about as fast as it likes: of each kind
 * (and of each object, where the kind has a key) one in a period is told, at
 * once; of those that come before it is over only the last, at its end. The
 * caller locks and looks at the clock.
 */
#ifndef VMM_QMP_EVLIMIT_H
#define VMM_QMP_EVLIMIT_H

#include "vmm/qmp/json.h"

#define EVLIMIT_PERIOD 1000000000ULL /* ns */
#define EVLIMIT_NEVER  UINT64_MAX

struct told;

/* One that is zero has seen nothing. */
struct evlimit {
	struct told *first;
};

/*
 * True: tell @event, made by qmp_event_text(), now. Else it was kept, and
 * may be told by evlimit_next(). @now: ns of a clock that never goes back.
 */
bool evlimit_pass(struct evlimit *t, struct json_object *event, uint64_t now);

/* What is to be told at @now, the caller's; NULL: no more. */
struct json_object *evlimit_next(struct evlimit *t, uint64_t now);

/* When evlimit_next() is to be asked, EVLIMIT_NEVER: not at all. */
uint64_t evlimit_due(const struct evlimit *t);

void evlimit_free(struct evlimit *t);

#endif
