/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci-testdev on a board with doorbells, without, and with some that cannot
 * be hung; and ports that a function decodes.
 */
#include "dev/pcitestdev.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dev/bus.h"
#include "dev/doorbell.h"
#include "dev/pci.h"

#define WINDOW 0xc0000000ULL
#define PORTS  0xc000

struct board {
	struct bus pio, mmio;
	struct pci pci;
	struct pcitestdev *dev;
	struct doorbells bells;
	struct doorbell hung;
	unsigned hanging;
	int answer; /* of set_bell() */
};

static int set_bell(void *ctx, const struct doorbell *bell, bool on)
{
	struct board *b = ctx;

	if (b->answer)
		return b->answer;
	if (on)
		b->hung = *bell;
	else
		assert_memory_equal(&b->hung, bell, sizeof(*bell));
	b->hanging += on ? 1U : -1U;
	return 0;
}

static uint32_t config(struct board *b, unsigned reg)
{
	bus_write(&b->pio, 0xcf8, 4, 0x80000800 | reg);
	return (uint32_t)bus_read(&b->pio, 0xcfc, 4);
}

static void set_config(struct board *b, unsigned reg, uint32_t v)
{
	bus_write(&b->pio, 0xcf8, 4, 0x80000800 | reg);
	bus_write(&b->pio, 0xcfc, 4, v);
}

static struct board *set_up(bool bells)
{
	static const struct bus_ops none;
	struct board *b = calloc(1, sizeof(*b));
	struct pci_board board = {
		.ecam = 0xe0000000,
		.ecam_size = 1 << 20,
		.cf9_ops = &none,
		.window = {{WINDOW, WINDOW + (1 << 20)}, {PORTS, 0x10000}},
		.ctx = b,
	};

	assert_non_null(b);
	b->bells = (struct doorbells){set_bell, b};
	board.doorbells = bells ? &b->bells : NULL;
	assert_int_equal(pci_init(&b->pci, &b->pio, &b->mmio, &board), 0);
	b->dev = pcitestdev_create();
	assert_non_null(b->dev);
	assert_int_equal(pci_plug(&b->pci, pcitestdev_function(b->dev), 0), 0);
	set_config(b, 4, 3);
	return b;
}

static void tear_down(struct board *b)
{
	pci_unplug(&b->pci, pcitestdev_function(b->dev));
	assert_int_equal(b->hanging, 0);
	pcitestdev_destroy(b->dev);
	pcitestdev_destroy(NULL);
	pci_exit(&b->pci);
	free(b);
}

static void test_ports(void **state)
{
	struct board *b = set_up(true);

	assert_int_equal(config(b, 0x14), PORTS | 1);
	bus_write(&b->pio, PORTS, 1, 0);
	assert_int_equal(bus_read(&b->pio, PORTS + 16, 4), 0x74726f70);
	/* outside of what the board gives to PCI there is nobody */
	set_config(b, 0x14, 0x100);
	assert_int_equal(bus_read(&b->pio, 0x110, 1), 0xff);
	assert_int_equal(bus_read(&b->pio, PORTS + 16, 1), 0xff);
	set_config(b, 0x14, 0xff00);
	assert_int_equal(bus_read(&b->pio, 0xff10, 1), 'p');
	set_config(b, 4, 2);
	assert_int_equal(bus_read(&b->pio, 0xff10, 1), 0xff);
	tear_down(b);
}

static void test_bells(void **state)
{
	struct board *b = set_up(true);

	bus_write(&b->mmio, WINDOW, 1, 1);
	assert_int_equal(b->hanging, 1);
	assert_int_equal(b->hung.gpa, WINDOW + 2049);
	assert_int_equal(b->hung.size, 0);
	assert_false(b->hung.match || b->hung.pio);
	bus_write(&b->pio, PORTS, 1, 2);
	assert_int_equal(b->hanging, 1);
	assert_int_equal(b->hung.gpa, PORTS + 133);
	assert_int_equal(b->hung.size, 1);
	assert_true(b->hung.match && b->hung.value == 0xfa && b->hung.pio);
	set_config(b, 0x14, 0xd000);
	assert_int_equal(b->hung.gpa, 0xd000 + 133);
	set_config(b, 4, 0);
	assert_int_equal(b->hanging, 0);
	set_config(b, 4, 3);
	assert_int_equal(b->hanging, 1);
	tear_down(b);
}

static uint64_t count(struct board *b, unsigned test, uint64_t val)
{
	unsigned at = 2048 + test;

	bus_write(&b->mmio, WINDOW, 1, test);
	assert_int_equal(bus_read(&b->mmio, WINDOW + 4, 4), at);
	bus_write(&b->mmio, WINDOW + at, 1, val);
	bus_write(&b->mmio, WINDOW + at - 3, 4, val << 24);
	return bus_read(&b->mmio, WINDOW + 12, 4);
}

/* What is not taken by a doorbell comes to the device. */
static void test_without(void **state)
{
	struct board *b = set_up(false);

	assert_int_equal(count(b, 0, 0xfa), 2);
	assert_int_equal(count(b, 0, 0xfb), 0);
	assert_int_equal(count(b, 1, 7), 2);
	assert_int_equal(count(b, 2, 0xfa), 2);
	tear_down(b);
	b = set_up(true);
	b->answer = -ENOSPC;
	assert_int_equal(count(b, 1, 7), 2);
	tear_down(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_bells),
		cmocka_unit_test(test_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
