/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the local APIC's modes: APIC_BASE transitions, x2APIC MSRs
 * and their faults, destinations, arbitration, saved pages.
 */
#include "chip/lapic.h"

#include "chip/lapic_fake.h"

#include <errno.h>

#define X2 LAPIC_BASE_X2APIC
#define EN LAPIC_BASE_ENABLE

static int set_mode(struct fake *f, uint64_t mode, bool host)
{
	uint64_t base = f->l.apic_base & ~(uint64_t)(X2 | EN);

	return lapic_set_base(&f->l, base | mode, host);
}

static void test_base(void **state)
{
	struct lapic_features feat;
	struct fake f;

	fake_init(&f, 0x123);
	assert_int_equal(lapic_mmio_base(&f.l), 0xfee00000);
	assert_int_equal(set_mode(&f, X2, true), -EINVAL);
	assert_int_equal(lapic_set_base(&f.l, 0xfee00801, true), -EINVAL);
	assert_int_equal(lapic_set_base(&f.l, 0xfee00a00, true), -EINVAL);
	assert_int_equal(lapic_set_base(&f.l, BIT64(46) | EN, true), -EINVAL);
	assert_int_equal(f.maps, 0);
	assert_int_equal(lapic_set_base(&f.l, BIT64(45) | EN, false), 0);
	assert_int_equal(lapic_mmio_base(&f.l), BIT64(45));
	assert_int_equal(f.maps, 1);
	assert_int_equal(set_mode(&f, EN | X2, false), 0);
	assert_int_equal(lapic_mmio_base(&f.l), UINT64_MAX);
	assert_int_equal(lapic_read(&f.l, LAPIC_ID), 0x123);
	assert_int_equal(lapic_read(&f.l, LAPIC_LDR), 0x00120008);
	assert_int_equal(set_mode(&f, EN, false), -EINVAL);
	assert_int_equal(lapic_msr_write(&f.l, 0x808, 0x20), 0);
	assert_int_equal(set_mode(&f, 0, false), 0);
	assert_int_equal(lapic_mmio_base(&f.l), UINT64_MAX);
	assert_int_equal(lapic_pending(&f.l), -1);
	assert_int_equal(set_mode(&f, EN | X2, false), -EINVAL);
	assert_int_equal(set_mode(&f, EN, false), 0);
	assert_int_equal(fake_get(&f, LAPIC_TPR), 0);
	assert_int_equal(fake_get(&f, LAPIC_LDR), 0);
	assert_int_equal(fake_get(&f, LAPIC_ID), 0x23000000);
	/* The client may go anywhere legal. */
	assert_int_equal(set_mode(&f, 0, true), 0);
	assert_int_equal(set_mode(&f, EN | X2, true), 0);
	assert_int_equal(set_mode(&f, EN, true), 0);
	feat = f.l.feat;
	feat.x2apic = false;
	lapic_set_features(&f.l, &feat);
	assert_int_equal(set_mode(&f, EN | X2, true), -EINVAL);
}

static const struct {
	uint32_t msr;
	uint64_t val;
	int ret;
} writes[] = {
	{0x802, 0, -EINVAL}, /* ID */
	{0x803, 0, -EINVAL}, /* version */
	{0x808, 0xff, 0},    /* TPR */
	{0x808, 0x100, -EINVAL},
	{0x808, 1ULL << 32, -EINVAL},
	{0x809, 0, -EINVAL}, /* APR */
	{0x80a, 0, -EINVAL}, /* PPR */
	{0x80b, 0, 0},       /* EOI */
	{0x80b, 1, -EINVAL},
	{0x80d, 0, -EINVAL}, /* LDR */
	{0x80e, 0, -EINVAL}, /* DFR */
	{0x80f, 0x1ff, 0},   /* SVR */
	{0x80f, 0x11ff, -EINVAL},
	{0x80f, 0x5ff, -EINVAL},
	{0x810, 0, -EINVAL}, /* ISR */
	{0x828, 0, 0},       /* ESR */
	{0x828, 1, -EINVAL},
	{0x82f, 0, -EINVAL},          /* CMCI: absent */
	{0x830, 0x1ff000000fdULL, 0}, /* ICR */
	{0x830, 0x20fd, -EINVAL},
	{0x830, 0x100fd, -EINVAL},
	{0x830, 0x1000fd, -EINVAL},
	{0x831, 0, -EINVAL}, /* ICR2 */
	{0x832, 0x400ef, 0}, /* LVTT, TSC deadline */
	{0x832, 0x800ef, -EINVAL},
	{0x832, 0x2ef, -EINVAL},
	{0x833, 0x100f0, 0}, /* thermal */
	{0x834, 0x400, 0},   /* PMI */
	{0x834, 0x8400, -EINVAL},
	{0x835, 0x1a735, 0}, /* LINT0 */
	{0x835, 0x835, -EINVAL},
	{0x836, 0x400, 0}, /* LINT1 */
	{0x837, 0xfe, 0},  /* error */
	{0x837, 0x1fe, -EINVAL},
	{0x838, 0xffffffff, 0}, /* TMICT */
	{0x838, 1ULL << 32, -EINVAL},
	{0x839, 0, -EINVAL}, /* TMCCT */
	{0x83e, 0xb, 0},     /* TDCR */
	{0x83e, 0x4, -EINVAL},
	{0x83f, 0xf0, 0}, /* self IPI */
	{0x83f, 0x1f0, -EINVAL},
	{0x83a, 0, -EINVAL},
	{0x840, 0, -EINVAL},
	{0x8ff, 0, -EINVAL},
};

static void test_msr_write(void **state)
{
	uint64_t val;
	struct fake f;
	unsigned i;

	fake_init(&f, 0);
	assert_int_equal(lapic_msr_write(&f.l, 0x808, 0), -EINVAL);
	assert_int_equal(lapic_msr_read(&f.l, 0x802, &val), -EINVAL);
	fake_enable_x2apic(&f);
	for (i = 0; i < ARRAY_SIZE(writes); i++)
		assert_int_equal(
			lapic_msr_write(&f.l, writes[i].msr, writes[i].val),
			writes[i].ret);
	assert_int_equal(f.ipi.dest, 0x1ff);
	assert_int_equal(lapic_highest_irr(&f.l), 0xf0);
	assert_int_equal(lapic_msr_read(&f.l, 0x830, &val), 0);
	assert_int_equal(val, 0x1ff000000fdULL);
	assert_int_equal(lapic_msr_read(&f.l, 0x835, &val), 0);
	assert_int_equal(val, 0x1a735);
}

static void test_msr_read(void **state)
{
	static const uint8_t good[] = {0x02, 0x03, 0x08, 0x0a, 0x0d, 0x0f,
				       0x28, 0x30, 0x32, 0x33, 0x34, 0x35,
				       0x36, 0x37, 0x38, 0x39, 0x3e};
	struct fake f;
	uint64_t val;
	uint32_t i;

	fake_init(&f, 0);
	fake_enable_x2apic(&f);
	for (i = 0; i < 0x100; i++) {
		bool ok = (i >= 0x10 && i < 0x28) ||
			  (i < 0x40 && memchr(good, (int)i, sizeof(good)));

		assert_int_equal(lapic_msr_read(&f.l, 0x800 + i, &val),
				 ok ? 0 : -EINVAL);
	}
	assert_int_equal(lapic_msr_read(&f.l, 0x7ff, &val), -EINVAL);
}

static bool hits(struct fake *f, struct fake *src, uint32_t dest, bool logical)
{
	struct irq_msg m = {.dest = dest, .logical = logical};

	return lapic_match_dest(&f->l, src ? &src->l : NULL, &m);
}

static void test_dest_xapic(void **state)
{
	struct irq_msg m = {.shorthand = IRQ_TO_OTHERS};
	struct fake a, b;

	fake_init(&a, 2);
	fake_init(&b, 3);
	assert_true(hits(&a, NULL, 2, false));
	assert_false(hits(&b, NULL, 2, false));
	assert_true(hits(&b, &a, 0xff, false));
	assert_true(hits(&b, NULL, 0xff, true));
	fake_put(&a, LAPIC_LDR, 0x04000000); /* flat */
	assert_true(hits(&a, NULL, 0x0c, true));
	assert_false(hits(&a, NULL, 0x08, true));
	fake_put(&a, LAPIC_DFR, 0); /* cluster 2, member 1 */
	fake_put(&a, LAPIC_LDR, 0x22000000);
	assert_true(hits(&a, NULL, 0x23, true));
	assert_false(hits(&a, NULL, 0x21, true));
	assert_false(hits(&a, NULL, 0x12, true));
	assert_true(lapic_match_dest(&b.l, &a.l, &m));
	assert_false(lapic_match_dest(&a.l, &a.l, &m));
	m.shorthand = IRQ_TO_SELF;
	assert_true(lapic_match_dest(&a.l, &a.l, &m));
	m.shorthand = IRQ_TO_ALL;
	assert_true(lapic_match_dest(&a.l, &a.l, &m));
	assert_int_equal(set_mode(&a, 0, true), 0);
	assert_false(lapic_match_dest(&a.l, &b.l, &m));
}

static void test_dest_x2apic(void **state)
{
	struct lapic_features feat;
	struct fake a, b;

	fake_init(&a, 0x1ff);
	fake_init(&b, 0x21);
	fake_enable_x2apic(&a);
	fake_enable_x2apic(&b);
	assert_true(hits(&a, &b, 0x1ff, false));
	assert_false(hits(&a, &b, 0xff, false));
	assert_true(hits(&a, NULL, 0xff, false));
	assert_true(hits(&a, &b, 0xffffffff, false));
	assert_true(hits(&a, &b, 0xffffffff, true));
	assert_true(hits(&a, &b, 0x001f8000, true));
	assert_false(hits(&a, &b, 0x001e8000, true));
	assert_true(hits(&b, &a, 0x00020003, true));
	assert_false(hits(&b, &a, 0x00020001, true));
	feat = a.l.feat;
	feat.no_ff_broadcast = true;
	lapic_set_features(&a.l, &feat);
	assert_false(hits(&a, NULL, 0xff, false));
}

static void test_arbitration(void **state)
{
	struct lapic *best = NULL;
	unsigned wins[3] = {0};
	struct fake f[3];
	unsigned i, n;

	for (i = 0; i < 3; i++)
		fake_init(&f[i], i);
	fake_enable(&f[0]);
	fake_enable(&f[2]); /* 1 stays disabled */
	for (n = 0; n < 10; n++) {
		for (best = NULL, i = 0; i < 3; i++)
			best = lapic_arbitrate(best, &f[i].l);
		lapic_arbitrated(best);
		wins[best->id]++;
	}
	assert_int_equal(wins[0], 5);
	assert_int_equal(wins[1], 0);
	assert_int_equal(wins[2], 5);
	lapic_set_cr8(&f[0].l, 3);
	assert_ptr_equal(lapic_arbitrate(&f[0].l, &f[2].l), &f[2].l);
	assert_ptr_equal(lapic_arbitrate(&f[2].l, &f[0].l), &f[2].l);
}

static void test_msi(void **state)
{
	struct irq_msg m;

	irq_msg_from_msi(&m, 0xfee1200c, 0xc131, false);
	assert_int_equal(m.dest, 0x12);
	assert_true(m.logical);
	assert_true(m.redir_hint);
	assert_true(irq_msg_is_lowest(&m));
	assert_true(m.level_trig);
	assert_int_equal(m.delivery, IRQ_LOWEST);
	assert_int_equal(m.vector, 0x31);
	irq_msg_from_msi(&m, 0x12340000fee34000, 0x31, true);
	assert_int_equal(m.dest, 0x12340034);
	assert_false(irq_msg_is_lowest(&m));
}

static void test_page_xapic(void **state)
{
	uint8_t page[LAPIC_REGS_SIZE], again[LAPIC_REGS_SIZE];
	struct fake a, b;
	uint32_t v;

	fake_init(&a, 2);
	fake_init(&b, 2);
	fake_enable(&a);
	fake_put(&a, LAPIC_ICR2, 0x05000000);
	fake_put(&a, LAPIC_ICR, 0x6040);
	lapic_set_irq(&a.l, 0x81, true);
	lapic_set_irq(&a.l, 0x99, false);
	lapic_ack(&a.l, 0x99);
	lapic_set_cr8(&a.l, 2);
	lapic_get_regs(&a.l, page, false);
	memcpy(&v, page + LAPIC_ID, 4);
	assert_int_equal(v, 0x02000000);
	memcpy(&v, page + LAPIC_ICR2, 4);
	assert_int_equal(v, 0x05000000);
	assert_int_equal(lapic_set_regs(&b.l, page, false), 0);
	lapic_get_regs(&b.l, again, false);
	assert_memory_equal(page, again, sizeof(page));
	assert_int_equal(lapic_pending(&b.l), -1);
	lapic_eoi(&b.l);
	assert_int_equal(lapic_pending(&b.l), 0x81);
	assert_int_equal(lapic_pending(&a.l), -1); /* another machine */
}

static void test_page_x2apic(void **state)
{
	uint8_t page[LAPIC_REGS_SIZE];
	struct fake a, b;
	uint32_t v;

	fake_init(&a, 0x12);
	fake_init(&b, 0x12);
	fake_enable_x2apic(&a);
	assert_int_equal(lapic_msr_write(&a.l, 0x830, 0x12345678000000fd), 0);
	lapic_get_regs(&a.l, page, false);
	memcpy(&v, page + LAPIC_ID, 4);
	assert_int_equal(v, 0x12000000);
	memcpy(&v, page + LAPIC_ICR2, 4);
	assert_int_equal(v, 0x12345678);
	assert_int_equal(set_mode(&b, EN | X2, true), 0);
	assert_int_equal(lapic_set_regs(&b.l, page, true), -EINVAL);
	assert_int_equal(lapic_read(&b.l, LAPIC_SVR), 0xff); /* untouched */
	memset(page + LAPIC_LDR, 0xff, 4);
	memset(page + LAPIC_ID, 0x77, 4); /* of no interest here */
	assert_int_equal(lapic_set_regs(&b.l, page, false), 0);
	assert_int_equal(lapic_read(&b.l, LAPIC_LDR), 0x00010004);
	assert_int_equal(lapic_read(&b.l, LAPIC_ID), 0x12);
	lapic_get_regs(&a.l, page, true);
	memcpy(&v, page + LAPIC_ID, 4);
	assert_int_equal(v, 0x12);
	assert_int_equal(lapic_set_regs(&b.l, page, true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_msr_write),
		cmocka_unit_test(test_msr_read),
		cmocka_unit_test(test_dest_xapic),
		cmocka_unit_test(test_dest_x2apic),
		cmocka_unit_test(test_arbitration),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_page_xapic),
		cmocka_unit_test(test_page_x2apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
