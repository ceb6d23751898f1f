/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the 8259A pair: priorities, EOI kinds, level and edge,
 * cascade, poll, special mask mode, auto EOI, state.
 */
#include "chip/pic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct board {
	struct pic pic;
	bool intr;
	unsigned edges;
	unsigned eois[16];
	uint16_t unmasked; /* pins told to be unmasked */
	int drop_on_eoi;   /* pin to lower from inside the callback, -1 none */
};

static void intr_set(void *ctx, unsigned pin, bool level)
{
	struct board *b = ctx;

	assert_int_equal(pin, 5);
	assert_true(b->intr != level);
	b->intr = level;
	b->edges++;
}

static void on_eoi(void *ctx, unsigned pin)
{
	struct board *b = ctx;

	b->eois[pin]++;
	if (b->drop_on_eoi == (int)pin)
		pic_set_irq(&b->pic, pin, false);
}

static void on_mask(void *ctx, unsigned pin, bool masked)
{
	struct board *b = ctx;

	b->unmasked &= ~BIT(pin);
	b->unmasked |= masked ? 0 : BIT(pin);
}

static const struct pic_ops ops = {.eoi = on_eoi, .mask_changed = on_mask};

/* Program both as a PC's firmware does: vectors 0x20 and 0x28. */
static void program(struct board *b, uint8_t icw4)
{
	pic_write(&b->pic, 0x20, 0x11);
	pic_write(&b->pic, 0x21, 0x20);
	pic_write(&b->pic, 0x21, 0x04);
	pic_write(&b->pic, 0x21, icw4);
	pic_write(&b->pic, 0xa0, 0x11);
	pic_write(&b->pic, 0xa1, 0x28);
	pic_write(&b->pic, 0xa1, 0x02);
	pic_write(&b->pic, 0xa1, icw4);
}

static void setup(struct board *b)
{
	struct chip_pin pin = {intr_set, b, 5};

	memset(b, 0, sizeof(*b));
	b->drop_on_eoi = -1;
	pic_init(&b->pic, &pin, &ops, b);
	program(b, 0x01);
}

static void test_edge(void **state)
{
	struct board b;

	setup(&b);
	assert_int_equal(pic_set_irq(&b.pic, 3, true), 1);
	assert_true(b.intr);
	assert_int_equal(pic_set_irq(&b.pic, 3, true), 0);
	assert_int_equal(pic_ack(&b.pic), 0x23);
	assert_false(b.intr);
	/* Still high: no new edge, also after EOI. */
	pic_set_irq(&b.pic, 3, true);
	pic_write(&b.pic, 0x20, 0x20);
	assert_int_equal(b.eois[3], 1);
	assert_false(pic_output(&b.pic));
	pic_set_irq(&b.pic, 3, false);
	assert_int_equal(pic_set_irq(&b.pic, 3, true), 1);
	assert_true(b.intr);
}

static void test_level(void **state)
{
	struct board b;

	setup(&b);
	pic_write(&b.pic, 0x4d1, 0xff);
	assert_int_equal(pic_read(&b.pic, 0x4d1), 0xde);
	pic_write(&b.pic, 0x4d0, 0xff);
	assert_int_equal(pic_read(&b.pic, 0x4d0), 0xf8);
	pic_set_irq(&b.pic, 10, true);
	assert_int_equal(pic_ack(&b.pic), 0x2a);
	assert_false(b.intr);
	pic_write(&b.pic, 0xa0, 0x20);
	pic_write(&b.pic, 0x20, 0x20);
	assert_true(b.intr); /* line still high */
	assert_int_equal(pic_ack(&b.pic), 0x2a);
	b.drop_on_eoi = 10;
	pic_write(&b.pic, 0xa0, 0x62);
	pic_write(&b.pic, 0x20, 0x62);
	assert_false(b.intr);
	assert_int_equal(b.eois[10], 2);
	assert_int_equal(b.eois[2], 2);
}

static void test_priority(void **state)
{
	struct board b;

	setup(&b);
	pic_set_irq(&b.pic, 4, true);
	assert_int_equal(pic_ack(&b.pic), 0x24);
	pic_set_irq(&b.pic, 5, true); /* lower: waits */
	assert_false(b.intr);
	pic_set_irq(&b.pic, 1, true); /* higher: nests */
	assert_true(b.intr);
	assert_int_equal(pic_ack(&b.pic), 0x21);
	pic_write(&b.pic, 0x20, 0x20);
	assert_int_equal(pic_read(&b.pic, 0x20), 0x20); /* IRR: 5 */
	pic_write(&b.pic, 0x20, 0x0b);
	assert_int_equal(pic_read(&b.pic, 0x20), 0x10); /* ISR: 4 */
	/* Rotate on non-specific EOI: 4 becomes lowest, 5 highest. */
	pic_write(&b.pic, 0x20, 0xa0);
	assert_int_equal(pic_ack(&b.pic), 0x25);
	pic_set_irq(&b.pic, 1, false);
	pic_set_irq(&b.pic, 1, true);
	assert_false(b.intr);
	pic_write(&b.pic, 0x20, 0x65);
	assert_true(b.intr);
	/* Set priority: 0 lowest. */
	pic_write(&b.pic, 0x20, 0xc0);
	assert_int_equal(b.pic.unit[0].priority_add, 1);
}

static void test_mask_and_spurious(void **state)
{
	struct board b;

	setup(&b);
	pic_write(&b.pic, 0x21, 0xfb);
	pic_write(&b.pic, 0xa1, 0xff);
	assert_int_equal(pic_set_irq(&b.pic, 8, true), -1);
	assert_int_equal(pic_set_irq(&b.pic, 0, true), -1);
	assert_false(b.intr);
	assert_int_equal(pic_ack(&b.pic), 0x27);
	assert_int_equal(b.pic.unit[0].isr, 0);
	pic_write(&b.pic, 0xa1, 0xfe);
	assert_true(b.intr);
	assert_int_equal(b.unmasked, 0x100);
	/* The slave's request goes away: nothing is left in the master. */
	pic_write(&b.pic, 0xa1, 0xff);
	assert_false(b.intr);
	assert_int_equal(pic_read(&b.pic, 0x21), 0xfb);
}

static void test_poll(void **state)
{
	struct board b;

	setup(&b);
	pic_write(&b.pic, 0x20, 0x0c);
	assert_int_equal(pic_read(&b.pic, 0x20), 0);
	pic_set_irq(&b.pic, 6, true);
	pic_write(&b.pic, 0x20, 0x0c);
	assert_int_equal(pic_read(&b.pic, 0x20), 0x86);
	assert_int_equal(b.pic.unit[0].isr, 0x40);
	assert_false(b.intr);
	assert_int_equal(pic_read(&b.pic, 0x20), 0); /* poll is over: IRR */
	pic_write(&b.pic, 0x20, 0x20);
	assert_int_equal(b.eois[6], 1);
}

static void test_special_mask(void **state)
{
	struct board b;

	setup(&b);
	pic_set_irq(&b.pic, 1, true);
	pic_ack(&b.pic);
	pic_set_irq(&b.pic, 4, true);
	assert_false(b.intr);
	pic_write(&b.pic, 0x21, 0x02); /* mask the one in service */
	pic_write(&b.pic, 0x20, 0x68);
	assert_true(b.intr);
	assert_int_equal(pic_ack(&b.pic), 0x24);
	pic_write(&b.pic, 0x20, 0x20); /* ends 4, not the masked 1 */
	assert_int_equal(b.eois[4], 1);
	assert_int_equal(b.eois[1], 0);
	pic_write(&b.pic, 0x20, 0x48);
	assert_int_equal(b.pic.unit[0].special_mask, 0);
	pic_write(&b.pic, 0x20, 0x20);
	assert_int_equal(b.eois[1], 1);
}

static void test_auto_eoi(void **state)
{
	struct board b;

	setup(&b);
	program(&b, 0x03);
	pic_write(&b.pic, 0x20, 0x80); /* rotate in auto EOI */
	pic_set_irq(&b.pic, 3, true);
	assert_int_equal(pic_ack(&b.pic), 0x23);
	assert_int_equal(b.pic.unit[0].isr, 0);
	assert_int_equal(b.eois[3], 1);
	assert_int_equal(b.pic.unit[0].priority_add, 4);
	pic_set_irq(&b.pic, 9, true);
	assert_int_equal(pic_ack(&b.pic), 0x29);
	assert_int_equal(b.eois[9], 1);
	assert_false(b.intr);
}

static void test_fully_nested(void **state)
{
	struct board b;

	setup(&b);
	pic_set_irq(&b.pic, 12, true);
	pic_ack(&b.pic);
	pic_set_irq(&b.pic, 8, true);
	assert_false(b.intr); /* master still has IR2 in service */
	setup(&b);
	program(&b, 0x11);
	pic_set_irq(&b.pic, 12, true);
	pic_ack(&b.pic);
	pic_set_irq(&b.pic, 8, true);
	assert_true(b.intr);
	assert_int_equal(pic_ack(&b.pic), 0x28);
}

static void test_icw1_resets(void **state)
{
	struct board b;

	setup(&b);
	pic_set_irq(&b.pic, 3, true);
	pic_ack(&b.pic);
	pic_set_irq(&b.pic, 4, true);
	pic_write(&b.pic, 0x21, 0xff);
	pic_write(&b.pic, 0x20, 0x11);
	assert_int_equal(b.eois[3], 1);
	assert_int_equal(b.pic.unit[0].irr, 0);
	assert_int_equal(b.pic.unit[0].imr, 0);
	pic_write(&b.pic, 0x21, 0x40); /* ICW2, not IMR */
	assert_int_equal(b.pic.unit[0].imr, 0);
	assert_int_equal(b.pic.unit[0].irq_base, 0x40);
}

static void test_state(void **state)
{
	struct board a, b;
	struct pic_unit u;
	unsigned i;

	setup(&a);
	setup(&b);
	pic_set_irq(&a.pic, 14, true);
	pic_write(&a.pic, 0x4d1, 0x40);
	for (i = 0; i < 2; i++) {
		pic_get_state(&a.pic, i, &u);
		pic_set_state(&b.pic, i, &u);
	}
	assert_true(b.intr);
	assert_memory_equal(a.pic.unit, b.pic.unit, sizeof(a.pic.unit));
	assert_int_equal(sizeof(struct pic_unit), 16);
	assert_int_equal(pic_ack(&b.pic), 0x2e);
	assert_true(a.intr); /* the other machine is untouched */
	pic_reset(&a.pic);
	assert_false(a.intr);
	assert_int_equal(a.pic.unit[1].elcr_mask, 0xde);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_mask_and_spurious),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_special_mask),
		cmocka_unit_test(test_auto_eoi),
		cmocka_unit_test(test_fully_nested),
		cmocka_unit_test(test_icw1_resets),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
