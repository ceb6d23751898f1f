/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board around one local APIC in unit tests: records callbacks, and time
 * is a field. The guest's TSC runs at 3 per ns.
 */
#ifndef CHIP_LAPIC_FAKE_H
#define CHIP_LAPIC_FAKE_H

#include "chip/lapic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct fake {
	struct lapic l;
	uint64_t now;
	struct irq_msg ipi;
	unsigned ipis;
	int eoi; /* last vector, -1 none */
	bool eoi_level;
	int local; /* last delivery mode, -1 none */
	unsigned maps;
	unsigned timers;
};

static inline uint64_t fake_now(void *ctx)
{
	return ((struct fake *)ctx)->now;
}

static inline uint64_t fake_tsc(void *ctx)
{
	return ((struct fake *)ctx)->now * 3;
}

static inline void fake_ipi(void *ctx, const struct irq_msg *m)
{
	struct fake *f = ctx;

	f->ipi = *m;
	f->ipis++;
}

static inline void fake_eoi(void *ctx, uint8_t vector, bool level)
{
	struct fake *f = ctx;

	f->eoi = vector;
	f->eoi_level = level;
}

static inline void fake_local(void *ctx, enum irq_delivery delivery)
{
	((struct fake *)ctx)->local = (int)delivery;
}

static inline void fake_map(void *ctx)
{
	((struct fake *)ctx)->maps++;
}

static inline void fake_timer(void *ctx)
{
	((struct fake *)ctx)->timers++;
}

static inline void fake_init(struct fake *f, uint32_t id)
{
	static const struct lapic_ops ops = {
		.send_ipi = fake_ipi,
		.eoi = fake_eoi,
		.local = fake_local,
		.timer_changed = fake_timer,
		.map_changed = fake_map,
		.tsc = fake_tsc,
	};
	const struct lapic_features feat = {
		.x2apic = true,
		.tsc_deadline = true,
		.lint0_extint = true,
		.maxphyaddr = 46,
		.tsc_khz = 3000000,
	};
	struct chip_clock clock = {fake_now, f};

	memset(f, 0, sizeof(*f));
	f->eoi = f->local = -1;
	f->now = 1000000;
	lapic_init(&f->l, id, id == 0, &clock, &ops, f);
	lapic_set_features(&f->l, &feat);
	lapic_reset(&f->l, false);
	f->maps = f->timers = 0;
}

/* xAPIC accesses as the guest does them. */
static inline uint32_t fake_get(struct fake *f, unsigned offset)
{
	uint32_t val;

	lapic_mmio_read(&f->l, offset, &val, 4);
	return val;
}

static inline void fake_put(struct fake *f, unsigned offset, uint32_t val)
{
	lapic_mmio_write(&f->l, offset, &val, 4);
}

/* A guest that switched its APIC on. */
static inline void fake_enable(struct fake *f)
{
	fake_put(f, LAPIC_SVR, 0x1ff);
}

static inline void fake_enable_x2apic(struct fake *f)
{
	assert_int_equal(lapic_set_base(&f->l,
					f->l.apic_base | LAPIC_BASE_X2APIC,
					false),
			 0);
	assert_int_equal(lapic_msr_write(&f->l, 0x80f, 0x1ff), 0);
}

#endif
