/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the 16550A: FIFO and triggers, interrupt priority, THR-empty
 * rules, loopback, modem lines, break, and how a driver finds its type.
 */
#include "chip/uart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct board {
	struct uart u;
	bool irq;
	unsigned edges;
	char out[64];
	unsigned n;
	unsigned rooms;
	int lines;
};

static void irq_set(void *ctx, unsigned pin, bool level)
{
	struct board *b = ctx;

	assert_true(b->irq != level);
	b->irq = level;
	b->edges += level;
}

static void tx(void *ctx, uint8_t byte)
{
	struct board *b = ctx;

	b->out[b->n++ % sizeof(b->out)] = (char)byte;
}

static void rx_room(void *ctx)
{
	((struct board *)ctx)->rooms++;
}

static void modem(void *ctx, uint8_t lines)
{
	((struct board *)ctx)->lines = lines;
}

static void setup(struct board *b)
{
	static const struct uart_ops ops = {
		.tx = tx, .rx_room = rx_room, .modem = modem};
	struct chip_pin pin = {irq_set, b, 4};

	memset(b, 0, sizeof(*b));
	b->lines = -1;
	uart_init(&b->u, &pin, &ops, b);
}

static size_t rx(struct board *b, const char *s)
{
	return uart_receive(&b->u, (const uint8_t *)s, strlen(s));
}

static void test_probe(void **state)
{
	struct board b;

	setup(&b);
	assert_int_equal(uart_read(&b.u, 5), 0x60);
	uart_write(&b.u, 1, 0xff);
	assert_int_equal(uart_read(&b.u, 1), 0x0f);
	uart_write(&b.u, 1, 0);
	assert_int_equal(uart_read(&b.u, 2), 0x01);
	uart_write(&b.u, 2, 0x01);
	assert_int_equal(uart_read(&b.u, 2), 0xc1);
	uart_write(&b.u, 7, 0xa5);
	assert_int_equal(uart_read(&b.u, 7), 0xa5);
	uart_write(&b.u, 3, 0x83);
	uart_write(&b.u, 0, 0x01);
	uart_write(&b.u, 1, 0x02);
	assert_int_equal(uart_read(&b.u, 0), 0x01);
	assert_int_equal(uart_read(&b.u, 1), 0x02);
	uart_write(&b.u, 3, 0x03);
	assert_int_equal(uart_read(&b.u, 1), 0);
	assert_int_equal(uart_read(&b.u, 3), 3);
	assert_int_equal(b.n, 0);
	/* Loopback: DTR and OUT1 come back as DSR and RI. */
	uart_write(&b.u, 4, 0x15);
	assert_int_equal(uart_read(&b.u, 6) & 0xf0, 0x60);
	uart_write(&b.u, 4, 0x1a);
	assert_int_equal(uart_read(&b.u, 6) & 0xf0, 0x90);
	uart_write(&b.u, 4, 0);
	assert_int_equal(uart_read(&b.u, 6) & 0xf0, 0xb0);
}

static void test_transmit(void **state)
{
	struct board b;

	setup(&b);
	uart_write(&b.u, 0, 'a');
	assert_int_equal(b.out[0], 'a');
	assert_false(b.irq);
	uart_write(&b.u, 1, 0x02); /* empty already: interrupt at once */
	assert_true(b.irq);
	assert_int_equal(uart_read(&b.u, 2), 0x02);
	assert_false(b.irq); /* reading it is the acknowledge */
	assert_int_equal(uart_read(&b.u, 2), 0x01);
	uart_write(&b.u, 1, 0x02); /* no rise, no interrupt */
	assert_false(b.irq);
	uart_write(&b.u, 0, 'b');
	assert_true(b.irq);
	uart_write(&b.u, 1, 0);
	assert_false(b.irq);
	uart_write(&b.u, 1, 0x02);
	assert_int_equal(uart_read(&b.u, 2), 0x02);
	assert_int_equal(b.n, 2);
	assert_int_equal(b.edges, 3);
}

static void test_fifo(void **state)
{
	struct board b;
	unsigned i;

	setup(&b);
	uart_write(&b.u, 1, 0x01);
	uart_write(&b.u, 2, 0x81); /* trigger at 8 */
	assert_int_equal(uart_room(&b.u), 16);
	assert_int_equal(rx(&b, "1234567"), 7);
	assert_int_equal(uart_read(&b.u, 2), 0xcc); /* time-out */
	rx(&b, "8");
	assert_int_equal(uart_read(&b.u, 2), 0xc4);
	assert_int_equal(rx(&b, "9abcdefghij"), 8);
	assert_int_equal(uart_room(&b.u), 0);
	assert_int_equal(uart_read(&b.u, 5), 0x61); /* no overrun: kept out */
	for (i = 0; i < 16; i++)
		assert_int_equal(uart_read(&b.u, 0), "123456789abcdefg"[i]);
	assert_int_equal(b.rooms, 1);
	assert_false(b.irq);
	assert_int_equal(uart_read(&b.u, 5), 0x60);
	rx(&b, "xyz");
	uart_write(&b.u, 2, 0x83); /* clear the receiver */
	assert_int_equal(uart_read(&b.u, 5), 0x60);
	assert_false(b.irq);
	uart_write(&b.u, 2, 0);
	assert_int_equal(rx(&b, "xyz"), 1);
	assert_int_equal(uart_read(&b.u, 2), 0x04);
}

static void test_priority(void **state)
{
	struct board b;

	setup(&b);
	uart_write(&b.u, 2, 0x01);
	uart_write(&b.u, 1, 0x0f);
	uart_set_inputs(&b.u, UART_DSR | UART_DCD); /* CTS drops */
	uart_receive_break(&b.u);
	assert_int_equal(uart_read(&b.u, 2), 0xc6);
	assert_int_equal(uart_read(&b.u, 5), 0xf1); /* BI, FIFO error */
	assert_int_equal(uart_read(&b.u, 5), 0x61);
	assert_int_equal(uart_read(&b.u, 2), 0xc4);
	assert_int_equal(uart_read(&b.u, 0), 0);
	assert_int_equal(uart_read(&b.u, 2), 0xc2);
	assert_int_equal(uart_read(&b.u, 2), 0xc0);
	assert_true(b.irq);
	assert_int_equal(uart_read(&b.u, 6), 0xa1);
	assert_int_equal(uart_read(&b.u, 2), 0xc1);
	assert_false(b.irq);
	/* The ring counts at its end only. */
	uart_set_inputs(&b.u, UART_DSR | UART_DCD | UART_RI);
	assert_false(b.irq);
	uart_set_inputs(&b.u, UART_DSR | UART_DCD);
	assert_int_equal(uart_read(&b.u, 6), 0xa4);
}

static void test_overrun(void **state)
{
	struct board b;

	setup(&b);
	uart_write(&b.u, 1, 0x04);
	rx(&b, "a");
	uart_receive_break(&b.u);
	assert_true(b.irq);
	assert_int_equal(uart_read(&b.u, 5), 0x73); /* OE and BI, newest */
	assert_int_equal(uart_read(&b.u, 5), 0x61);
	assert_false(b.irq);
	assert_int_equal(uart_read(&b.u, 0), 0);
	assert_int_equal(uart_read(&b.u, 0), 0); /* empty */
}

static void test_loopback(void **state)
{
	struct board b;

	setup(&b);
	uart_write(&b.u, 4, 0x0b);
	assert_int_equal(b.lines, 0x0b);
	uart_write(&b.u, 3, 0x43);
	assert_int_equal(b.lines, 0x4b);
	uart_write(&b.u, 3, 0x03);
	uart_write(&b.u, 2, 0x01);
	uart_write(&b.u, 4, 0x1b);
	assert_int_equal(b.lines, 0);
	uart_write(&b.u, 0, 'L');
	assert_int_equal(b.n, 0);
	assert_int_equal(rx(&b, "line"), 0);
	assert_int_equal(uart_read(&b.u, 0), 'L');
	assert_int_equal(b.rooms, 0);
	uart_write(&b.u, 4, 0x0b);
	assert_int_equal(b.rooms, 1);
	assert_int_equal(rx(&b, "line"), 4);
}

static void test_state(void **state)
{
	struct board a, b;

	setup(&a);
	setup(&b);
	uart_write(&a.u, 2, 0x01);
	uart_write(&a.u, 1, 0x01);
	rx(&a, "hello");
	memcpy(&b.u, &a.u, offsetof(struct uart, intr));
	uart_restored(&b.u);
	assert_true(b.irq);
	assert_int_equal(uart_read(&b.u, 0), 'h');
	uart_reset(&b.u);
	assert_false(b.irq);
	assert_true(a.irq);
	assert_int_equal(uart_read(&a.u, 0), 'h');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),   cmocka_unit_test(test_transmit),
		cmocka_unit_test(test_fifo),    cmocka_unit_test(test_priority),
		cmocka_unit_test(test_overrun), cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
