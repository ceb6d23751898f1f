/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's timer: one-shot, periodic, TSC-deadline. Document: SDM 3A
 * "APIC Timer". The count is not stepped: it is computed from the time of
 * the next expiry. A masked timer keeps counting but wakes nobody; what it
 * did meanwhile is caught up with when somebody looks.
 */
#include "chip/lapic.h"

#include "chip/lapic_priv.h"

/* One step of the counter: bus cycle times the divider. */
static uint64_t tick_ns(const struct lapic *l)
{
	uint32_t tdcr = reg_get(l, LAPIC_TDCR);
	unsigned shift = ((tdcr & 3) | (tdcr >> 1 & 4)) + 1;
	uint64_t bus = l->feat.bus_cycle_ns ? l->feat.bus_cycle_ns : 1;

	return bus << (shift & 7);
}

static void changed(struct lapic *l)
{
	if (l->ops->timer_changed)
		l->ops->timer_changed(l->ctx);
}

unsigned lapic_timer_mode(const struct lapic *l)
{
	return (reg_get(l, LAPIC_LVTT) & LVTT_MODE) >> 17;
}

static bool is_masked(const struct lapic *l)
{
	return reg_get(l, LAPIC_LVTT) & LVT_MASKED;
}

/* Did the timer run out by @now? Moves it to its next state. */
static bool run_out(struct lapic *l, uint64_t now)
{
	if (lapic_timer_mode(l) == TIMER_TSC_DEADLINE) {
		if (!l->tsc_deadline || l->ops->tsc(l->ctx) < l->tsc_deadline)
			return false;
		l->tsc_deadline = 0;
		return true;
	}
	if (now < l->timer_target || l->timer_target == CHIP_NEVER)
		return false;
	if (lapic_timer_mode(l) == TIMER_PERIODIC)
		l->timer_target += ((now - l->timer_target) / l->timer_period +
				    1) *
				   l->timer_period;
	else
		l->timer_target = CHIP_NEVER;
	return true;
}

bool lapic_expire(struct lapic *l, uint64_t now)
{
	if (!run_out(l, now) || is_masked(l))
		return false;
	return lapic_set_irq(l, (uint8_t)reg_get(l, LAPIC_LVTT), false);
}

/* Guest TSC ticks to ns, rounded up, below a century. */
static uint64_t tsc_to_ns(const struct lapic *l, uint64_t ticks)
{
	if (ticks >> 50)
		ticks = 1ULL << 50;
	return chip_muldiv_up(ticks, 1000000, l->feat.tsc_khz);
}

uint64_t lapic_deadline(const struct lapic *l, uint64_t now)
{
	uint64_t tsc;

	if (is_masked(l))
		return CHIP_NEVER;
	if (lapic_timer_mode(l) != TIMER_TSC_DEADLINE)
		return l->timer_target;
	if (!l->tsc_deadline)
		return CHIP_NEVER;
	tsc = l->ops->tsc(l->ctx);
	if (tsc >= l->tsc_deadline)
		return now;
	return now + tsc_to_ns(l, l->tsc_deadline - tsc);
}

void lapic_timer_stop(struct lapic *l)
{
	l->timer_target = CHIP_NEVER;
	l->timer_period = 0;
	l->tsc_deadline = 0;
	reg_set(l, LAPIC_TMICT, 0);
	changed(l);
}

void lapic_timer_write_lvtt(struct lapic *l, uint32_t val)
{
	bool was_tsc = lapic_timer_mode(l) == TIMER_TSC_DEADLINE;
	bool is_tsc = (val & LVTT_MODE) >> 17 == TIMER_TSC_DEADLINE;

	/* What ran out before this write follows the old register. */
	lapic_expire(l, chip_now(&l->clock));
	reg_set(l, LAPIC_LVTT, val);
	if (was_tsc != is_tsc)
		lapic_timer_stop(l);
	else
		changed(l);
}

void lapic_timer_write_tmict(struct lapic *l, uint32_t val)
{
	uint64_t now;

	if (lapic_timer_mode(l) == TIMER_TSC_DEADLINE)
		return;
	now = chip_now(&l->clock);
	lapic_expire(l, now);
	reg_set(l, LAPIC_TMICT, val);
	l->timer_period = val * tick_ns(l);
	l->timer_target = val ? now + l->timer_period : CHIP_NEVER;
	changed(l);
}

/* The count stays, its steps change length. */
void lapic_timer_write_tdcr(struct lapic *l, uint32_t val)
{
	uint64_t now = chip_now(&l->clock);
	uint64_t old = tick_ns(l);

	lapic_expire(l, now);
	reg_set(l, LAPIC_TDCR, val);
	l->timer_period = reg_get(l, LAPIC_TMICT) * tick_ns(l);
	if (l->timer_target != CHIP_NEVER) {
		l->timer_target = now + chip_muldiv_up(l->timer_target - now,
						       tick_ns(l), old);
		changed(l);
	}
}

uint32_t lapic_timer_tmcct(const struct lapic *l)
{
	uint64_t now, late, left;

	if (lapic_timer_mode(l) == TIMER_TSC_DEADLINE ||
	    l->timer_target == CHIP_NEVER)
		return 0;
	now = chip_now(&l->clock);
	if (now < l->timer_target) {
		left = l->timer_target - now;
	} else {
		if (lapic_timer_mode(l) != TIMER_PERIODIC)
			return 0;
		late = now - l->timer_target;
		left = l->timer_period - late % l->timer_period;
	}
	return (uint32_t)((left + tick_ns(l) - 1) / tick_ns(l));
}

void lapic_timer_restore(struct lapic *l, uint32_t tmcct)
{
	uint32_t tmict = reg_get(l, LAPIC_TMICT);
	unsigned mode = lapic_timer_mode(l);

	if (mode != TIMER_TSC_DEADLINE)
		l->tsc_deadline = 0;
	l->timer_period = 0;
	l->timer_target = CHIP_NEVER;
	if (mode != TIMER_TSC_DEADLINE && tmict) {
		l->timer_period = tmict * tick_ns(l);
		if (tmcct > tmict || (mode == TIMER_PERIODIC && !tmcct))
			tmcct = tmict;
		/*
		 * A one-shot that is over fires again: clients leave the count
		 * out (QEMU does), and a tick too many does less harm than one
		 * that never comes. The kernel's KVM does the same.
		 */
		l->timer_target = chip_now(&l->clock) + tmcct * tick_ns(l);
	}
	changed(l);
}

void lapic_set_tsc_deadline(struct lapic *l, uint64_t tsc)
{
	if (!hw_enabled(l) || lapic_timer_mode(l) != TIMER_TSC_DEADLINE)
		return;
	l->tsc_deadline = tsc;
	lapic_expire(l, 0); /* one in the past fires at once */
	changed(l);
}

uint64_t lapic_get_tsc_deadline(struct lapic *l)
{
	if (!hw_enabled(l) || lapic_timer_mode(l) != TIMER_TSC_DEADLINE)
		return 0;
	/* A masked deadline that passed reads as 0. */
	lapic_expire(l, 0);
	return l->tsc_deadline;
}
