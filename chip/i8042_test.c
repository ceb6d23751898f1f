/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the keyboard controller: the order in which Linux probes it,
 * resets, A20.
 */
#include "chip/i8042.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct board {
	struct i8042 kbc;
	bool irq;
	unsigned edges;
	unsigned resets;
	int a20;
};

static void irq_set(void *ctx, unsigned pin, bool level)
{
	struct board *b = ctx;

	b->edges += level && !b->irq;
	b->irq = level;
}

static void on_reset(void *ctx)
{
	((struct board *)ctx)->resets++;
}

static void on_a20(void *ctx, bool on)
{
	((struct board *)ctx)->a20 = on;
}

static const struct i8042_ops ops = {.reset = on_reset, .a20 = on_a20};

static void setup(struct board *b)
{
	struct chip_pin pin = {irq_set, b, 1};

	memset(b, 0, sizeof(*b));
	b->a20 = -1;
	i8042_init(&b->kbc, &pin, &ops, b);
}

/* Send a command, expect one byte, input buffer never busy. */
static uint8_t ask(struct board *b, uint8_t cmd)
{
	assert_int_equal(i8042_read(&b->kbc, 0x64) & 2, 0);
	i8042_write(&b->kbc, 0x64, cmd);
	assert_int_equal(i8042_read(&b->kbc, 0x64) & 0x29, 0x09);
	return i8042_read(&b->kbc, 0x60);
}

static void tell(struct board *b, uint8_t cmd, uint8_t val)
{
	i8042_write(&b->kbc, 0x64, cmd);
	i8042_write(&b->kbc, 0x60, val);
}

static void test_probe(void **state)
{
	struct board b;
	uint8_t cb;

	setup(&b);
	assert_int_equal(i8042_read(&b.kbc, 0x64) & 1, 0);
	assert_int_equal(ask(&b, 0xaa), 0x55);
	cb = ask(&b, 0x20);
	assert_int_equal(cb, 0x65);
	tell(&b, 0x60, (cb | 0x10) & ~1); /* disable port and interrupt */
	assert_int_equal(ask(&b, 0x20), 0x74);
	b.edges = 0;
	/* Aux loop: answered, but not as aux data; test: an error. */
	tell(&b, 0xd3, 0x5a);
	assert_int_equal(i8042_read(&b.kbc, 0x64) & 0x21, 0x01);
	assert_int_equal(i8042_read(&b.kbc, 0x60), 0x5a);
	assert_int_equal(ask(&b, 0xa9), 0x02);
	assert_int_equal(ask(&b, 0xab), 0x00);
	assert_int_equal(b.edges, 0);
	tell(&b, 0x60, cb);
	/* The absent keyboard: a time-out at once, with its interrupt. */
	i8042_write(&b.kbc, 0x60, 0xf2);
	assert_true(b.irq);
	assert_int_equal(i8042_read(&b.kbc, 0x64) & 0x49, 0x41);
	assert_int_equal(i8042_read(&b.kbc, 0x60), 0xfe);
	assert_false(b.irq);
	assert_int_equal(i8042_read(&b.kbc, 0x64) & 0x41, 0);
	tell(&b, 0xd4, 0xf2);
	assert_int_equal(i8042_read(&b.kbc, 0x64) & 0x41, 0x41);
}

static void test_edges(void **state)
{
	struct board b;

	setup(&b);
	tell(&b, 0xd2, 1);
	tell(&b, 0xd2, 2); /* unread byte replaced: a new edge */
	assert_int_equal(b.edges, 2);
	assert_int_equal(i8042_read(&b.kbc, 0x60), 2);
	tell(&b, 0x60, 0x64);
	tell(&b, 0xd2, 3);
	assert_int_equal(b.edges, 2);
	tell(&b, 0x60, 0x65); /* enabled with a byte waiting */
	assert_int_equal(b.edges, 3);
}

static void test_reset(void **state)
{
	struct board b;

	setup(&b);
	i8042_write(&b.kbc, 0x64, 0xff);
	assert_int_equal(b.resets, 0);
	i8042_write(&b.kbc, 0x64, 0xfe);
	assert_int_equal(b.resets, 1);
	tell(&b, 0xd1, 0x02);
	assert_int_equal(b.resets, 2);
	assert_int_equal(b.a20, -1);
}

static void test_a20(void **state)
{
	struct board b;

	setup(&b);
	assert_int_equal(ask(&b, 0xd0), 0x03);
	tell(&b, 0xd1, 0x01);
	assert_int_equal(b.a20, 0);
	assert_int_equal(ask(&b, 0xd0), 0x01);
	tell(&b, 0xd1, 0xdf);
	assert_int_equal(b.a20, 1);
	i8042_write(&b.kbc, 0x64, 0xdd);
	assert_int_equal(b.a20, 0);
	i8042_write(&b.kbc, 0x64, 0xdf);
	assert_int_equal(b.a20, 1);
	assert_int_equal(b.resets, 0);
}

static void test_ram(void **state)
{
	struct board b;

	setup(&b);
	tell(&b, 0x7f, 0x99);
	assert_int_equal(ask(&b, 0x3f), 0x99);
	i8042_write(&b.kbc, 0x64, 0xad);
	assert_int_equal(ask(&b, 0x20), 0x75);
	i8042_write(&b.kbc, 0x64, 0xae);
	assert_int_equal(ask(&b, 0x20), 0x65);
	assert_int_equal(ask(&b, 0xc0), 0x80);
	i8042_write(&b.kbc, 0x64, 0x60);
	i8042_write(&b.kbc, 0x64, 0xaa); /* a command cancels the wait */
	i8042_read(&b.kbc, 0x60);
	i8042_write(&b.kbc, 0x60, 0x00);
	assert_int_equal(ask(&b, 0x20), 0x65);
	i8042_reset(&b.kbc);
	assert_int_equal(ask(&b, 0x3f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe), cmocka_unit_test(test_edges),
		cmocka_unit_test(test_reset), cmocka_unit_test(test_a20),
		cmocka_unit_test(test_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
