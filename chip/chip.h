/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every chip is built from: output pins and a clock. A chip models
 * registers, pins and time; it never starts a thread, uses a host fd,
 * allocates, or knows the board. Nothing here locks: the owner serializes
 * all calls on one chip (chip/lapic.h names its one exception).
 *
 * Callbacks run inside the call that caused them, after the chip's state is
 * consistent, with whatever lock the owner holds. Timer chips have
 *   foo_deadline()   when foo_advance() has something to do: absolute ns,
 *                    CHIP_NEVER = nothing armed; changes only inside calls
 *   foo_advance(now) do everything due up to now; early or late is harmless
 */
#ifndef CHIP_CHIP_H
#define CHIP_CHIP_H

#include "lib/util.h"

#define CHIP_NEVER UINT64_MAX
#define NS_PER_SEC 1000000000ULL

/* An output wire. set == NULL: not connected. */
struct chip_pin {
	void (*set)(void *ctx, unsigned pin, bool level);
	void *ctx;
	unsigned pin; /* handed back to set() */
};

/* Monotonic nanoseconds; the origin is the owner's choice. */
struct chip_clock {
	uint64_t (*now_ns)(void *ctx);
	void *ctx;
};

static inline void chip_pin_set(const struct chip_pin *p, bool level)
{
	if (p->set)
		p->set(p->ctx, p->pin, level);
}

static inline uint64_t chip_now(const struct chip_clock *c)
{
	return c->now_ns(c->ctx);
}

/* a * b / c without overflow of the product, rounded down / up. */
static inline uint64_t chip_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)((unsigned __int128)a * b / c);
}

static inline uint64_t chip_muldiv_up(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)(((unsigned __int128)a * b + c - 1) / c);
}

#endif
