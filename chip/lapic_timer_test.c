/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the local APIC's timer: the three modes, dividers, masks,
 * mode changes, late owners, saved pages, Linux's calibration.
 */
#include "chip/lapic.h"

#include "chip/lapic_fake.h"
#include "chip/pit.h"

#include <errno.h>

#define VECTOR   0xec
#define PERIODIC 0x20000
#define TSC      0x40000

static void setup(struct fake *f, uint32_t lvtt)
{
	fake_init(f, 0);
	fake_enable(f);
	fake_put(f, LAPIC_TDCR, 0xb);
	fake_put(f, LAPIC_LVTT, lvtt | VECTOR);
}

static uint64_t deadline(struct fake *f)
{
	return lapic_deadline(&f->l, f->now);
}

/* Let time reach @now, as an owner with a perfect timer. */
static unsigned run_to(struct fake *f, uint64_t now)
{
	unsigned fired = 0;

	while (deadline(f) <= now) {
		f->now = MAX(f->now, deadline(f));
		if (!lapic_expire(&f->l, f->now))
			continue;
		fired++;
		lapic_ack(&f->l, VECTOR);
		lapic_eoi(&f->l);
	}
	f->now = now;
	return fired;
}

static void test_oneshot(void **state)
{
	struct fake f;

	setup(&f, 0);
	assert_int_equal(deadline(&f), CHIP_NEVER);
	fake_put(&f, LAPIC_TMICT, 5000);
	assert_int_equal(deadline(&f), f.now + 5000);
	assert_int_equal(fake_get(&f, LAPIC_TMCCT), 5000);
	f.now += 4999;
	assert_false(lapic_expire(&f.l, f.now));
	assert_int_equal(fake_get(&f, LAPIC_TMCCT), 1);
	f.now++;
	assert_true(lapic_expire(&f.l, f.now));
	assert_int_equal(lapic_pending(&f.l), VECTOR);
	assert_int_equal(fake_get(&f, LAPIC_TMCCT), 0);
	assert_int_equal(fake_get(&f, LAPIC_TMICT), 5000);
	assert_int_equal(deadline(&f), CHIP_NEVER);
	fake_put(&f, LAPIC_TMICT, 5000);
	fake_put(&f, LAPIC_TMICT, 0);
	assert_int_equal(deadline(&f), CHIP_NEVER);
	assert_int_equal(fake_get(&f, LAPIC_TMCCT), 0);
}

static void test_dividers(void **state)
{
	static const uint8_t tdcr[8] = {0xb, 0, 1, 2, 3, 8, 9, 0xa};
	struct lapic_features feat;
	struct fake f;
	unsigned i;

	setup(&f, 0);
	feat = f.l.feat;
	feat.bus_cycle_ns = 40;
	lapic_set_features(&f.l, &feat);
	for (i = 0; i < 8; i++) {
		fake_put(&f, LAPIC_TDCR, tdcr[i]);
		fake_put(&f, LAPIC_TMICT, 1000);
		assert_int_equal(deadline(&f), f.now + (40000ULL << i));
		f.now += 10000ULL << i;
		assert_int_equal(fake_get(&f, LAPIC_TMCCT), 750);
	}
	/* A new divider while counting keeps the count. */
	fake_put(&f, LAPIC_TDCR, 0xb);
	assert_int_equal(fake_get(&f, LAPIC_TMCCT), 750);
	assert_int_equal(deadline(&f), f.now + 30000);
	fake_put(&f, LAPIC_TDCR, 0xffffffff);
	assert_int_equal(fake_get(&f, LAPIC_TDCR), 0xb);
}

static void test_periodic(void **state)
{
	struct fake f;
	uint64_t t0;

	setup(&f, PERIODIC);
	t0 = f.now;
	fake_put(&f, LAPIC_TMICT, 1000);
	assert_int_equal(run_to(&f, t0 + 100000), 100);
	assert_int_equal(deadline(&f), t0 + 101000);
	/* Late by several periods: one interrupt, phase kept. */
	f.now = t0 + 105300;
	assert_int_equal(fake_get(&f, LAPIC_TMCCT), 700);
	assert_true(lapic_expire(&f.l, f.now));
	assert_int_equal(deadline(&f), t0 + 106000);
	assert_false(lapic_expire(&f.l, f.now));
	fake_put(&f, LAPIC_TMICT, 0);
	assert_int_equal(deadline(&f), CHIP_NEVER);
}

static void test_masked(void **state)
{
	struct fake f;
	uint64_t t0;

	setup(&f, PERIODIC | 0x10000);
	t0 = f.now;
	fake_put(&f, LAPIC_TMICT, 1000);
	assert_int_equal(deadline(&f), CHIP_NEVER); /* wakes nobody */
	f.now = t0 + 2500;
	assert_int_equal(fake_get(&f, LAPIC_TMCCT), 500);
	fake_put(&f, LAPIC_LVTT, PERIODIC | VECTOR);
	assert_int_equal(lapic_pending(&f.l), -1); /* missed ones are gone */
	assert_int_equal(deadline(&f), t0 + 3000);
	/* One-shot that ran out while masked does not come back. */
	setup(&f, 0x10000);
	fake_put(&f, LAPIC_TMICT, 1000);
	f.now += 2000;
	fake_put(&f, LAPIC_LVTT, VECTOR);
	assert_int_equal(deadline(&f), CHIP_NEVER);
	assert_int_equal(lapic_pending(&f.l), -1);
	/* Due but not yet served when the guest masks: it did happen. */
	fake_put(&f, LAPIC_TMICT, 1000);
	f.now += 1000;
	fake_put(&f, LAPIC_LVTT, VECTOR | 0x10000);
	assert_int_equal(lapic_pending(&f.l), VECTOR);
}

static void test_tsc_deadline(void **state)
{
	struct fake f;
	uint64_t t0;

	setup(&f, 0);
	lapic_set_tsc_deadline(&f.l, 1); /* other mode: ignored */
	assert_int_equal(lapic_get_tsc_deadline(&f.l), 0);
	assert_int_equal(lapic_highest_irr(&f.l), -1);
	fake_put(&f, LAPIC_TMICT, 1000);
	fake_put(&f, LAPIC_LVTT, TSC | VECTOR);
	assert_int_equal(fake_get(&f, LAPIC_TMICT), 0);
	assert_int_equal(deadline(&f), CHIP_NEVER);
	fake_put(&f, LAPIC_TMICT, 1000);
	assert_int_equal(fake_get(&f, LAPIC_TMICT), 0);
	t0 = f.now;
	lapic_set_tsc_deadline(&f.l, t0 * 3 + 3001);
	assert_int_equal(lapic_get_tsc_deadline(&f.l), t0 * 3 + 3001);
	assert_int_equal(deadline(&f), t0 + 1001);
	f.now = t0 + 1000;
	assert_false(lapic_expire(&f.l, f.now));
	f.now = t0 + 1001;
	assert_true(lapic_expire(&f.l, f.now));
	assert_int_equal(lapic_get_tsc_deadline(&f.l), 0);
	lapic_ack(&f.l, VECTOR);
	lapic_eoi(&f.l);
	lapic_set_tsc_deadline(&f.l, 5); /* the past: at once */
	assert_int_equal(lapic_pending(&f.l), VECTOR);
	lapic_set_tsc_deadline(&f.l, UINT64_MAX);
	assert_true(deadline(&f) > f.now + NS_PER_SEC);
	assert_true(deadline(&f) < CHIP_NEVER);
	lapic_set_tsc_deadline(&f.l, 0);
	assert_int_equal(deadline(&f), CHIP_NEVER);
	lapic_set_tsc_deadline(&f.l, f.now * 3 + 30);
	fake_put(&f, LAPIC_LVTT, VECTOR);
	fake_put(&f, LAPIC_LVTT, TSC | VECTOR);
	assert_int_equal(lapic_get_tsc_deadline(&f.l), 0);
}

static void test_tsc_masked(void **state)
{
	struct lapic_features feat;
	struct fake f;

	setup(&f, TSC | 0x10000);
	lapic_set_tsc_deadline(&f.l, f.now * 3 + 300);
	assert_int_equal(deadline(&f), CHIP_NEVER);
	f.now += 200;
	assert_int_equal(lapic_get_tsc_deadline(&f.l), 0);
	assert_int_equal(lapic_highest_irr(&f.l), -1);
	feat = f.l.feat;
	feat.tsc_deadline = false;
	lapic_set_features(&f.l, &feat);
	fake_put(&f, LAPIC_LVTT, TSC | VECTOR); /* no such mode */
	assert_int_equal(fake_get(&f, LAPIC_LVTT), VECTOR);
	assert_int_equal(lapic_set_base(&f.l, 0xfee00d00, true), 0);
	assert_int_equal(lapic_msr_write(&f.l, 0x832, TSC | VECTOR), -EINVAL);
}

static void test_callback(void **state)
{
	struct fake f;
	unsigned n;

	setup(&f, 0);
	n = f.timers;
	fake_put(&f, LAPIC_TMICT, 1000);
	assert_int_equal(f.timers, ++n);
	fake_put(&f, LAPIC_LVTT, PERIODIC | VECTOR);
	assert_int_equal(f.timers, ++n);
	fake_put(&f, LAPIC_TDCR, 0);
	assert_int_equal(f.timers, ++n);
	lapic_reset(&f.l, true);
	assert_int_equal(f.timers, ++n);
	assert_int_equal(deadline(&f), CHIP_NEVER);
}

static void test_page(void **state)
{
	uint8_t page[LAPIC_REGS_SIZE];
	struct fake a, b;

	setup(&a, 0);
	fake_put(&a, LAPIC_TMICT, 1000);
	a.now += 300;
	lapic_get_regs(&a.l, page, false);
	setup(&b, PERIODIC);
	b.now = 77;
	assert_int_equal(lapic_set_regs(&b.l, page, false), 0);
	assert_int_equal(deadline(&b), 77 + 700);
	assert_int_equal(fake_get(&b, LAPIC_TMCCT), 700);
	/* Ran out but not served yet: the page has it in IRR. */
	a.now += 700;
	lapic_get_regs(&a.l, page, false);
	assert_int_equal(lapic_set_regs(&b.l, page, false), 0);
	assert_int_equal(lapic_pending(&b.l), VECTOR);
	/* A page without the count: what may be over fires again. */
	assert_int_equal(deadline(&b), b.now);
	/* TSC deadline: page first, then the MSR. */
	setup(&a, TSC);
	lapic_get_regs(&a.l, page, false);
	setup(&b, 0);
	assert_int_equal(lapic_set_regs(&b.l, page, false), 0);
	lapic_set_tsc_deadline(&b.l, b.now * 3 + 300);
	assert_int_equal(deadline(&b), b.now + 100);
}

/* The kernel counts TMCCT down from the top over PIT ticks of 10 ms. */
static void test_calibration(void **state)
{
	struct chip_pin none = {0};
	struct pit pit;
	struct fake f;
	uint32_t before, after;
	unsigned ticks = 0;

	setup(&f, 0);
	fake_put(&f, LAPIC_TDCR, 3); /* by 16 */
	pit_init(&pit, &none, f.now);
	pit_write(&pit, 3, 0x34, f.now);
	pit_write(&pit, 0, 11932 & 0xff, f.now);
	pit_write(&pit, 0, 11932 >> 8, f.now);
	fake_put(&f, LAPIC_TMICT, 0xffffffff);
	before = fake_get(&f, LAPIC_TMCCT);
	for (ticks = 0; ticks < 10; ticks++) {
		f.now = pit_deadline(&pit);
		pit_advance(&pit, f.now);
		pit_ack(&pit);
	}
	after = fake_get(&f, LAPIC_TMCCT);
	/* 100 ms of 1 GHz by 16. */
	assert_in_range(before - after, 6249900, 6250300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oneshot),
		cmocka_unit_test(test_dividers),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_tsc_deadline),
		cmocka_unit_test(test_tsc_masked),
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_calibration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
