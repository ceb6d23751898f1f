/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For how long to look out for something before sleeping until it is there.
 * A partner on another processor often answers sooner than a sleep and the
 * interrupt that ends it take. Where it shares this processor, or there is
 * none, looking out only holds it up. So the time grows to what it took of
 * late, and after each failure that nothing of the kind would have spared,
 * ever more sleeps go without.
 */
#ifndef LIB_LOOKOUT_H
#define LIB_LOOKOUT_H

#include <stdint.h>

#include "lib/util.h"

#define LOOKOUT_MIN_NS 20000ULL
#define LOOKOUT_MAX_NS 200000ULL
#define LOOKOUT_SKIP   64u

/* How often to look aside, and what that took when others wanted to run. */
#define LOOKOUT_YIELD_NS 4000ULL
#define LOOKOUT_GAP_NS   10000ULL

struct lookout {
	uint64_t ns;
	uint64_t max;  /* 0: LOOKOUT_MAX_NS */
	unsigned skip; /* sleeps to go without */
	unsigned backoff;
};

static inline uint64_t lookout_max(const struct lookout *l)
{
	return l->max ? l->max : LOOKOUT_MAX_NS;
}

/* This time for so long; 0: not at all. */
static inline uint64_t lookout_ns(struct lookout *l)
{
	if (l->skip) {
		l->skip--;
		return 0;
	}
	l->ns = MIN(MAX(l->ns, LOOKOUT_MIN_NS), lookout_max(l));
	return l->ns;
}

/* It came meanwhile. */
static inline void lookout_hit(struct lookout *l)
{
	l->backoff = 1;
}

/* Somebody else had the processor. */
static inline void lookout_crowded(struct lookout *l)
{
	l->backoff = MIN(MAX(l->backoff * 2, 1u), LOOKOUT_SKIP);
	l->skip = l->backoff;
}

/* It did not, but @waited after the beginning. */
static inline void lookout_missed(struct lookout *l, uint64_t waited)
{
	if (waited < lookout_max(l) && l->ns < lookout_max(l)) {
		l->ns = MIN(l->ns * 2, lookout_max(l));
		return;
	}
	l->ns = LOOKOUT_MIN_NS;
	lookout_crowded(l);
}

#endif
