/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far long work has come, told to whoever wants to show it. The work
 * reports steps; what is shown, where and how often is the receiver's.
 */
#ifndef LIB_PROGRESS_H
#define LIB_PROGRESS_H

#include "lib/util.h"

struct progress {
	/* @done of @total bytes; at least once with @done equal to @total. */
	void (*step)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

/* @p may be NULL: nobody is interested. */
static inline void progress_step(const struct progress *p, uint64_t done,
				 uint64_t total)
{
	if (p && p->step)
		p->step(p->ctx, done, total);
}

#endif
