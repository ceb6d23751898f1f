/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the local APIC: requests and service, EOI, PV EOI, LVTs,
 * errors, IPIs, and a sender on another thread.
 */
#include "chip/lapic.h"

#include "chip/lapic_fake.h"

#include <pthread.h>

static void test_reset_values(void **state)
{
	struct fake f;

	fake_init(&f, 0);
	assert_int_equal(f.l.apic_base, 0xfee00900);
	assert_int_equal(fake_get(&f, LAPIC_VERSION), 0x50014);
	assert_int_equal(fake_get(&f, LAPIC_DFR), 0xffffffff);
	assert_int_equal(fake_get(&f, LAPIC_SVR), 0xff);
	assert_int_equal(fake_get(&f, LAPIC_LVT0), 0x700);
	assert_int_equal(fake_get(&f, LAPIC_LVT1), 0x10000);
	assert_int_equal(fake_get(&f, LAPIC_LVTT), 0x10000);
	assert_true(lapic_accepts_pic(&f.l));
	assert_false(lapic_enabled(&f.l));
	assert_false(lapic_set_irq(&f.l, 0x40, false));
	fake_init(&f, 7);
	assert_int_equal(f.l.apic_base, 0xfee00800);
	assert_int_equal(fake_get(&f, LAPIC_ID), 0x07000000);
	assert_int_equal(fake_get(&f, LAPIC_LVT0), 0x10000);
	assert_false(lapic_accepts_pic(&f.l));
}

static void test_service(void **state)
{
	struct fake f;

	fake_init(&f, 0);
	fake_enable(&f);
	assert_int_equal(lapic_pending(&f.l), -1);
	assert_true(lapic_set_irq(&f.l, 0x41, false));
	assert_false(lapic_set_irq(&f.l, 0x41, false));
	assert_true(lapic_set_irq(&f.l, 0xef, false));
	assert_int_equal(lapic_pending(&f.l), 0xef);
	lapic_ack(&f.l, 0xef);
	assert_int_equal(fake_get(&f, LAPIC_PPR), 0xe0);
	assert_int_equal(fake_get(&f, LAPIC_ISR + 0x70), 1U << 15);
	assert_int_equal(lapic_pending(&f.l), -1);
	assert_true(lapic_set_irq(&f.l, 0xf1, false)); /* nests */
	assert_int_equal(lapic_pending(&f.l), 0xf1);
	lapic_ack(&f.l, 0xf1);
	fake_put(&f, LAPIC_EOI, 0);
	assert_int_equal(lapic_highest_isr(&f.l), 0xef);
	fake_put(&f, LAPIC_EOI, 0);
	assert_int_equal(f.eoi, -1);
	assert_int_equal(lapic_pending(&f.l), 0x41);
	fake_put(&f, LAPIC_EOI, 0); /* nothing in service */
	assert_int_equal(lapic_pending(&f.l), 0x41);
}

static void test_tpr(void **state)
{
	struct fake f;

	fake_init(&f, 0);
	fake_enable(&f);
	lapic_set_irq(&f.l, 0x45, false);
	lapic_set_cr8(&f.l, 4);
	assert_int_equal(fake_get(&f, LAPIC_TPR), 0x40);
	assert_int_equal(fake_get(&f, LAPIC_PPR), 0x40);
	assert_int_equal(lapic_pending(&f.l), -1);
	fake_put(&f, LAPIC_TPR, 0x13f);
	assert_int_equal(lapic_get_cr8(&f.l), 3);
	assert_int_equal(fake_get(&f, LAPIC_PPR), 0x3f);
	assert_int_equal(lapic_pending(&f.l), 0x45);
	lapic_ack(&f.l, 0x45);
	assert_int_equal(fake_get(&f, LAPIC_PPR), 0x40);
	fake_put(&f, LAPIC_TPR, 0x4a);
	assert_int_equal(fake_get(&f, LAPIC_PPR), 0x4a);
}

static void test_eoi_callback(void **state)
{
	const uint64_t watch[4] = {0, BIT64(0x50 - 64), 0, 0};
	struct fake f;

	fake_init(&f, 0);
	fake_enable(&f);
	lapic_set_irq(&f.l, 0x60, true);
	assert_int_equal(fake_get(&f, LAPIC_TMR + 0x30), 1);
	lapic_ack(&f.l, 0x60);
	assert_false(lapic_eoi_lazy(&f.l));
	lapic_eoi(&f.l);
	assert_int_equal(f.eoi, 0x60);
	assert_true(f.eoi_level);
	f.eoi = -1;
	lapic_set_irq(&f.l, 0x60, false);
	assert_int_equal(fake_get(&f, LAPIC_TMR + 0x30), 0);
	lapic_ack(&f.l, 0x60);
	lapic_eoi(&f.l);
	assert_int_equal(f.eoi, -1);
	lapic_watch_eoi(&f.l, watch);
	lapic_set_irq(&f.l, 0x50, false);
	lapic_ack(&f.l, 0x50);
	assert_false(lapic_eoi_lazy(&f.l));
	lapic_eoi(&f.l);
	assert_int_equal(f.eoi, 0x50);
	assert_false(f.eoi_level);
}

static void test_suppressed_eoi(void **state)
{
	struct lapic_features feat;
	struct fake f;

	fake_init(&f, 0);
	fake_put(&f, LAPIC_SVR, 0x11ff);
	assert_int_equal(fake_get(&f, LAPIC_SVR), 0x1ff);
	feat = f.l.feat;
	feat.directed_eoi = true;
	feat.cmci = true;
	lapic_set_features(&f.l, &feat);
	assert_int_equal(fake_get(&f, LAPIC_VERSION), 0x01060014);
	fake_put(&f, LAPIC_SVR, 0x11ff);
	assert_int_equal(fake_get(&f, LAPIC_SVR), 0x11ff);
	lapic_set_irq(&f.l, 0x60, true);
	lapic_ack(&f.l, 0x60);
	lapic_eoi(&f.l);
	assert_int_equal(f.eoi, -1);
}

static void test_lazy_eoi(void **state)
{
	struct fake f;

	fake_init(&f, 0);
	fake_enable(&f);
	assert_false(lapic_eoi_lazy(&f.l));
	lapic_set_irq(&f.l, 0x50, false);
	lapic_ack(&f.l, 0x50);
	assert_true(lapic_eoi_lazy(&f.l));
	lapic_set_irq(&f.l, 0x30, false);
	assert_false(lapic_eoi_lazy(&f.l));
}

static void test_lint(void **state)
{
	struct fake f;

	fake_init(&f, 0);
	fake_enable(&f);
	assert_false(lapic_local_irq(&f.l, LAPIC_LVT1));
	fake_put(&f, LAPIC_LVT1, 0x400);
	assert_true(lapic_local_irq(&f.l, LAPIC_LVT1));
	assert_int_equal(f.local, IRQ_NMI);
	fake_put(&f, LAPIC_LVT0, 0x8035);
	assert_true(lapic_local_irq(&f.l, LAPIC_LVT0));
	assert_int_equal(lapic_pending(&f.l), 0x35);
	assert_int_equal(fake_get(&f, LAPIC_TMR + 0x10), 1U << 21);
	fake_put(&f, LAPIC_LVTPC, 0x400);
	assert_true(lapic_local_irq(&f.l, LAPIC_LVTPC));
	assert_int_equal(fake_get(&f, LAPIC_LVTPC), 0x10400);
	assert_false(lapic_local_irq(&f.l, LAPIC_LVTPC));
	f.l.feat.pmi_unmasked = true;
	fake_put(&f, LAPIC_LVTPC, 0x400);
	assert_true(lapic_local_irq(&f.l, LAPIC_LVTPC));
	assert_int_equal(fake_get(&f, LAPIC_LVTPC), 0x400);
	fake_put(&f, LAPIC_LVT0, 0x700);
	assert_true(lapic_accepts_pic(&f.l));
	/* Software disable masks all and they stay so. */
	fake_put(&f, LAPIC_SVR, 0xff);
	assert_int_equal(fake_get(&f, LAPIC_LVT0), 0x10700);
	fake_put(&f, LAPIC_LVT1, 0x400);
	assert_int_equal(fake_get(&f, LAPIC_LVT1), 0x10400);
	fake_enable(&f);
	assert_int_equal(fake_get(&f, LAPIC_LVT1), 0x10400);
	assert_int_equal(f.maps, 3);
}

static void test_errors(void **state)
{
	struct fake f;

	fake_init(&f, 0);
	fake_enable(&f);
	fake_put(&f, LAPIC_LVTERR, 0xfe);
	fake_put(&f, LAPIC_ICR, 0x0f); /* illegal vector */
	assert_int_equal(f.ipis, 0);
	assert_int_equal(fake_get(&f, LAPIC_ESR), 0);
	assert_int_equal(lapic_pending(&f.l), 0xfe);
	lapic_ack(&f.l, 0xfe);
	assert_false(lapic_set_irq(&f.l, 3, false));
	assert_int_equal(lapic_highest_irr(&f.l), -1); /* not armed again */
	assert_int_equal(fake_get(&f, 0x070), 0);
	fake_put(&f, LAPIC_ESR, 0);
	assert_int_equal(fake_get(&f, LAPIC_ESR), 0xe0);
	fake_put(&f, LAPIC_ESR, 0);
	assert_int_equal(fake_get(&f, LAPIC_ESR), 0);
	fake_put(&f, 0x3f0, 0x40); /* x2APIC only */
	assert_int_equal(lapic_highest_irr(&f.l), 0xfe);
	fake_put(&f, LAPIC_ESR, 0);
	assert_int_equal(fake_get(&f, LAPIC_ESR), 0x80);
	/* An illegal error vector must not recurse. */
	fake_put(&f, LAPIC_LVTERR, 5);
	lapic_set_irq(&f.l, 3, false);
	fake_put(&f, LAPIC_ESR, 0);
	assert_int_equal(fake_get(&f, LAPIC_ESR), 0x40);
}

static void test_mmio_shapes(void **state)
{
	uint64_t wide = UINT64_MAX;
	uint8_t byte;
	uint16_t word;
	struct fake f;

	fake_init(&f, 5);
	lapic_mmio_read(&f.l, LAPIC_ID + 3, &byte, 1);
	assert_int_equal(byte, 5);
	lapic_mmio_read(&f.l, LAPIC_VERSION + 2, &word, 2);
	assert_int_equal(word, 5);
	lapic_mmio_read(&f.l, LAPIC_ID, &wide, 8);
	assert_int_equal(wide, 0);
	byte = 0xff;
	lapic_mmio_write(&f.l, LAPIC_TPR, &byte, 1);
	assert_int_equal(fake_get(&f, LAPIC_TPR), 0);
	fake_put(&f, LAPIC_VERSION, 1);
	fake_put(&f, LAPIC_PPR, 1);
	assert_int_equal(fake_get(&f, LAPIC_PPR), 0);
	fake_put(&f, 0xffc, 1);
	assert_int_equal(fake_get(&f, 0xff0), 0);
	fake_put(&f, LAPIC_ID, 0x09abcdef);
	assert_int_equal(fake_get(&f, LAPIC_ID), 0x09000000);
	fake_put(&f, LAPIC_DFR, 0);
	assert_int_equal(fake_get(&f, LAPIC_DFR), 0x0fffffff);
}

static void test_ipi(void **state)
{
	struct fake f;

	fake_init(&f, 0);
	fake_enable(&f);
	fake_put(&f, LAPIC_ICR2, 0x03ffffff);
	assert_int_equal(fake_get(&f, LAPIC_ICR2), 0x03000000);
	fake_put(&f, LAPIC_ICR, 0x18fd); /* lowest, logical, busy bit */
	assert_int_equal(fake_get(&f, LAPIC_ICR), 0x08fd);
	assert_int_equal(f.ipis, 1);
	assert_int_equal(f.ipi.dest, 3);
	assert_true(f.ipi.logical);
	fake_put(&f, LAPIC_ICR, 0xc0500); /* INIT to others */
	assert_int_equal(f.ipi.delivery, IRQ_INIT);
	assert_int_equal(f.ipi.shorthand, IRQ_TO_OTHERS);
	assert_int_equal(f.ipis, 2);
	fake_put(&f, LAPIC_ICR, 0x8500); /* de-assert */
	assert_int_equal(f.ipis, 2);
	fake_put(&f, LAPIC_ICR, 0x699); /* SIPI */
	assert_int_equal(f.ipi.delivery, IRQ_STARTUP);
	assert_int_equal(f.ipi.vector, 0x99);
	fake_put(&f, LAPIC_ICR, 0x40077); /* self */
	assert_int_equal(f.ipis, 3);
	assert_int_equal(lapic_pending(&f.l), 0x77);
	fake_put(&f, LAPIC_ICR, 0x700);
	assert_int_equal(f.ipis, 3);
}

static void test_init_reset(void **state)
{
	struct fake f;

	fake_init(&f, 3);
	fake_enable_x2apic(&f);
	lapic_set_irq(&f.l, 0x40, true);
	lapic_set_cr8(&f.l, 9);
	lapic_reset(&f.l, true);
	assert_true(f.l.apic_base & LAPIC_BASE_X2APIC);
	assert_int_equal(lapic_highest_irr(&f.l), -1);
	assert_int_equal(lapic_read(&f.l, LAPIC_ID), 3);
	assert_int_equal(lapic_read(&f.l, LAPIC_LDR), 8);
	assert_int_equal(lapic_read(&f.l, LAPIC_PPR), 0);
	lapic_reset(&f.l, false);
	assert_int_equal(f.l.apic_base, 0xfee00800);
}

#define TAKES 100000

struct sender {
	struct lapic *l;
	bool stop;
	uintptr_t set;
	pthread_t thread;
};

static void *sender(void *arg)
{
	struct sender *s = arg;
	unsigned i;

	for (i = 0; !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++)
		s->set += lapic_set_irq(s->l, (uint8_t)(32 + i * 7 % 200),
					i & 1);
	return NULL;
}

static unsigned take_one(struct lapic *l)
{
	int v = lapic_pending(l);

	if (v < 0)
		return 0;
	lapic_ack(l, (uint8_t)v);
	lapic_eoi(l);
	return 1;
}

/* No request is lost or counted twice between two senders and the owner. */
static void test_threads(void **state)
{
	struct sender s[2];
	struct fake f;
	uintptr_t taken = 0;
	int i;

	fake_init(&f, 0);
	fake_enable(&f);
	for (i = 0; i < 2; i++) {
		s[i] = (struct sender){.l = &f.l};
		assert_int_equal(
			pthread_create(&s[i].thread, NULL, sender, &s[i]), 0);
	}
	while (taken < TAKES)
		taken += take_one(&f.l);
	for (i = 0; i < 2; i++)
		__atomic_store_n(&s[i].stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(s[i].thread, NULL);
	while (take_one(&f.l))
		taken++;
	assert_int_equal(s[0].set + s[1].set, taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_values),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_tpr),
		cmocka_unit_test(test_eoi_callback),
		cmocka_unit_test(test_suppressed_eoi),
		cmocka_unit_test(test_lazy_eoi),
		cmocka_unit_test(test_lint),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_mmio_shapes),
		cmocka_unit_test(test_ipi),
		cmocka_unit_test(test_init_reset),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
