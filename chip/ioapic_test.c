/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the I/O APIC: registers, edge, level with remote IRR and
 * redelivery, masks, EOI register, state.
 */
#include "chip/ioapic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct board {
	struct ioapic io;
	struct irq_msg last;
	unsigned last_pin;
	unsigned sent;
	unsigned eois;
	unsigned changes;
	int answer;      /* what deliver() returns */
	int drop_on_eoi; /* pin to lower from inside the callback */
};

static int deliver(void *ctx, unsigned pin, const struct irq_msg *m)
{
	struct board *b = ctx;

	b->last = *m;
	b->last_pin = pin;
	b->sent++;
	return b->answer;
}

static void on_eoi(void *ctx, unsigned pin)
{
	struct board *b = ctx;

	b->eois++;
	if (b->drop_on_eoi == (int)pin)
		ioapic_set_irq(&b->io, pin, false);
}

static void changed(void *ctx, unsigned pin)
{
	struct board *b = ctx;

	b->changes++;
}

static const struct ioapic_ops ops = {
	.deliver = deliver, .eoi = on_eoi, .changed = changed};

static void setup(struct board *b, uint8_t version)
{
	memset(b, 0, sizeof(*b));
	b->answer = 1;
	b->drop_on_eoi = -1;
	ioapic_init(&b->io, version, &ops, b);
}

static uint32_t get(struct board *b, uint8_t reg)
{
	ioapic_write(&b->io, 0, reg);
	return ioapic_read(&b->io, 0x10);
}

static void put(struct board *b, uint8_t reg, uint32_t val)
{
	ioapic_write(&b->io, 0, reg);
	ioapic_write(&b->io, 0x10, val);
}

static void set_rte(struct board *b, unsigned pin, uint64_t rte)
{
	put(b, 0x11 + 2 * pin, (uint32_t)(rte >> 32));
	put(b, 0x10 + 2 * pin, (uint32_t)rte);
}

static void test_registers(void **state)
{
	struct board b;

	setup(&b, IOAPIC_VERSION_KVM);
	assert_int_equal(get(&b, 1), 0x00170011);
	put(&b, 1, 0xffffffff);
	assert_int_equal(get(&b, 1), 0x00170011);
	put(&b, 0, 0xffffffff);
	assert_int_equal(get(&b, 0), 0x0f000000);
	assert_int_equal(get(&b, 2), 0x0f000000);
	assert_int_equal(get(&b, 0x10), 0x10000);
	set_rte(&b, 23, UINT64_MAX);
	assert_int_equal(get(&b, 0x3e), 0x1afff);
	assert_int_equal(get(&b, 0x3f), 0xff000000);
	assert_int_equal(get(&b, 0x40), 0xffffffff);
	assert_int_equal(ioapic_read(&b.io, 0), 0x40);
	put(&b, 0x40, 1);
	assert_int_equal(b.changes, 2);
}

static void test_edge(void **state)
{
	struct board b;

	setup(&b, IOAPIC_VERSION_KVM);
	assert_int_equal(ioapic_set_irq(&b.io, 4, true), -1);
	assert_int_equal(ioapic_set_irq(&b.io, 4, false), 1);
	set_rte(&b, 4, 0x0300000000000934); /* logical, lowest */
	assert_int_equal(b.sent, 0);        /* a masked edge is lost */
	b.answer = 2;
	assert_int_equal(ioapic_set_irq(&b.io, 4, true), 2);
	assert_int_equal(b.last.vector, 0x34);
	assert_int_equal(b.last.dest, 3);
	assert_int_equal(b.last.delivery, IRQ_LOWEST);
	assert_true(b.last.logical);
	assert_false(b.last.level_trig);
	assert_true(b.last.assert_);
	assert_int_equal(b.last_pin, 4);
	assert_int_equal(ioapic_set_irq(&b.io, 4, true), 0);
	assert_int_equal(b.sent, 1);
	ioapic_eoi(&b.io, 0x34);
	assert_int_equal(b.eois, 1);
	assert_int_equal(b.sent, 1);
	ioapic_set_irq(&b.io, 4, false);
	ioapic_set_irq(&b.io, 4, true);
	assert_int_equal(b.sent, 2);
}

static void test_level(void **state)
{
	struct board b;

	setup(&b, IOAPIC_VERSION_KVM);
	set_rte(&b, 9, 0x0100000000008059);
	assert_int_equal(ioapic_set_irq(&b.io, 9, true), 1);
	assert_true(b.last.level_trig);
	assert_int_equal(get(&b, 0x22), 0xc059);
	assert_int_equal(ioapic_set_irq(&b.io, 9, true), 0);
	put(&b, 0x22, 0x8059); /* remote IRR is read-only */
	assert_int_equal(get(&b, 0x22), 0xc059);
	assert_int_equal(b.sent, 1);
	ioapic_eoi(&b.io, 0x58);
	assert_int_equal(b.eois, 0);
	ioapic_eoi_pins(&b.io, 0x59, ~BIT(9));
	assert_int_equal(b.eois, 0);
	ioapic_eoi_pins(&b.io, 0x59, BIT(9)); /* an edge's: only told */
	assert_int_equal(b.eois, 1);
	assert_int_equal(get(&b, 0x22), 0xc059);
	b.eois = 0;
	ioapic_eoi(&b.io, 0x59); /* still high: again */
	assert_int_equal(b.eois, 1);
	assert_int_equal(b.sent, 2);
	b.drop_on_eoi = 9;
	ioapic_eoi(&b.io, 0x59);
	assert_int_equal(b.sent, 2);
	assert_int_equal(get(&b, 0x22), 0x8059);
}

static void test_level_mask(void **state)
{
	struct board b;

	setup(&b, IOAPIC_VERSION_KVM);
	set_rte(&b, 9, 0x18059);
	assert_int_equal(ioapic_set_irq(&b.io, 9, true), -1);
	put(&b, 0x22, 0x8059); /* unmask with the line high */
	assert_int_equal(b.sent, 1);
	put(&b, 0x22, 0x18059);
	ioapic_eoi(&b.io, 0x59);
	assert_int_equal(b.sent, 1);
	put(&b, 0x22, 0x8059);
	assert_int_equal(b.sent, 2);
	/* Mask, edge, level: how Linux clears remote IRR on 0x11. */
	put(&b, 0x22, 0x10059);
	assert_int_equal(get(&b, 0x22), 0x10059);
	put(&b, 0x22, 0x8059);
	assert_int_equal(b.sent, 3);
	/* Nobody took it: no remote IRR to wait for. */
	put(&b, 0x22, 0x10059);
	b.answer = -1;
	put(&b, 0x22, 0x8059);
	assert_int_equal(get(&b, 0x22), 0x8059);
}

static void test_eoi_register(void **state)
{
	struct board b;

	setup(&b, IOAPIC_VERSION_EOI);
	assert_int_equal(get(&b, 1), 0x00170020);
	set_rte(&b, 1, 0x8031);
	ioapic_set_irq(&b.io, 1, true);
	ioapic_set_irq(&b.io, 1, false);
	ioapic_write(&b.io, 0x40, 0x31);
	assert_int_equal(get(&b, 0x12), 0x8031);
	setup(&b, IOAPIC_VERSION_KVM);
	set_rte(&b, 1, 0x8031);
	ioapic_set_irq(&b.io, 1, true);
	ioapic_write(&b.io, 0x40, 0x31);
	assert_int_equal(get(&b, 0x12), 0xc031);
}

static void test_vectors(void **state)
{
	struct board b;
	uint64_t map[4] = {0};

	setup(&b, IOAPIC_VERSION_KVM);
	set_rte(&b, 0, 0x30);
	set_rte(&b, 2, 0x41);
	set_rte(&b, 9, 0x80c2);
	set_rte(&b, 10, 0x180c3);
	ioapic_vectors(&b.io, BIT(2), map);
	assert_int_equal(map[0], 0);
	assert_int_equal(map[1], BIT64(1));
	assert_int_equal(map[2], 0);
	assert_int_equal(map[3], BIT64(2));
}

static void test_state(void **state)
{
	struct board a, b;
	struct ioapic_state s, again;

	setup(&a, IOAPIC_VERSION_KVM);
	setup(&b, IOAPIC_VERSION_KVM);
	assert_int_equal(sizeof(s), 24 + 8 * IOAPIC_PINS);
	set_rte(&a, 3, 0x33);
	set_rte(&a, 9, 0x8059);
	set_rte(&a, 11, 0x1805b);
	ioapic_set_irq(&a.io, 3, true);
	ioapic_set_irq(&a.io, 9, true);
	ioapic_set_irq(&a.io, 11, true);
	ioapic_get_state(&a.io, &s);
	assert_int_equal(s.irr, BIT(9) | BIT(11));
	ioapic_set_state(&b.io, &s);
	assert_int_equal(b.sent, 0); /* 9 awaits its EOI */
	ioapic_eoi(&b.io, 0x59);
	assert_int_equal(b.sent, 1);
	ioapic_get_state(&b.io, &again);
	assert_memory_equal(&s, &again, sizeof(s));
	ioapic_reset(&b.io);
	assert_int_equal(get(&b, 0x22), 0x10000);
	assert_int_equal(get(&a, 0x22), 0xc059);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_level_mask),
		cmocka_unit_test(test_eoi_register),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
