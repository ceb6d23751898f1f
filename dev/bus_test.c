/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch on the bus, PCI configuration space by both ways, guest memory by
 * range, and the one-port devices.
 */
#include "dev/bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dev/dma.h"
#include "dev/pci.h"
#include "dev/pcihp.h"
#include "dev/pctestdev.h"
#include "dev/testdev.h"

#define ECAM 0xe0000000ULL

/* A device that keeps a record of what it was asked. */
struct record {
	char text[256];
};

static void note(struct record *r, const char *what, uint64_t offset,
		 unsigned size, uint64_t val)
{
	size_t n = strlen(r->text);

	snprintf(r->text + n, sizeof(r->text) - n, "%s%x:%u=%x ", what,
		 (unsigned)offset, size, (unsigned)val);
}

static uint64_t record_read(void *ctx, uint64_t offset, unsigned size)
{
	note(ctx, "r", offset, size, 0);
	return 0xf0e0d0c0b0a09080ULL + offset;
}

static void record_write(void *ctx, uint64_t offset, unsigned size,
			 uint64_t val)
{
	note(ctx, "w", offset, size, val);
}

static const struct bus_ops record_ops = {record_read, record_write};

static int add(struct bus *bus, uint64_t base, uint64_t size, unsigned width,
	       struct record *r)
{
	struct bus_range range = {base, size, width, &record_ops, r};

	return bus_add(bus, &range);
}

static void test_add(void **state)
{
	struct bus bus = {0};
	unsigned i;

	assert_int_equal(add(&bus, 0x10, 0x10, 4, NULL), 0);
	assert_int_equal(add(&bus, 0x30, 0x10, 4, NULL), 0);
	assert_int_equal(add(&bus, 0x20, 0x10, 4, NULL), 0);
	assert_int_equal(add(&bus, 0x00, 0x11, 4, NULL), -EEXIST);
	assert_int_equal(add(&bus, 0x3f, 1, 4, NULL), -EEXIST);
	assert_int_equal(add(&bus, 0x0f, 0x40, 4, NULL), -EEXIST);
	assert_int_equal(add(&bus, 0x28, 1, 4, NULL), -EEXIST);
	assert_int_equal(add(&bus, 5, 0, 4, NULL), -EINVAL);
	assert_int_equal(add(&bus, UINT64_MAX, 2, 4, NULL), -EINVAL);
	assert_int_equal(add(&bus, UINT64_MAX, 1, 4, NULL), 0);
	for (i = bus.count; i < BUS_MAX; i++)
		assert_int_equal(add(&bus, 0x1000 + i, 1, 1, NULL), 0);
	assert_int_equal(add(&bus, 0x5000, 1, 1, NULL), -ENOSPC);
	for (i = 1; i < bus.count; i++)
		assert_true(bus.range[i].base > bus.range[i - 1].base);
}

static void test_nobody(void **state)
{
	struct bus bus = {0};

	assert_int_equal(bus_read(&bus, 0x80, 1), 0xff);
	assert_int_equal(bus_read(&bus, 0x80, 2), 0xffff);
	assert_int_equal(bus_read(&bus, 0x80, 4), 0xffffffff);
	assert_true(bus_read(&bus, 0x80, 8) == UINT64_MAX);
	bus_write(&bus, 0x80, 8, 1);
}

static void check(struct record *r, const char *want)
{
	assert_string_equal(r->text, want);
	r->text[0] = '\0';
}

static void test_split(void **state)
{
	struct bus bus = {0};
	struct record a = {""}, b = {""};

	assert_int_equal(add(&bus, 0x70, 2, 1, &a), 0);
	assert_int_equal(add(&bus, 0x72, 4, 4, &b), 0);
	bus_write(&bus, 0x70, 2, 0x1234);
	check(&a, "w0:1=34 w1:1=12 ");
	bus_write(&bus, 0x72, 4, 0xdeadbeef);
	check(&b, "w0:4=deadbeef ");
	/* From one device into the next and beyond. */
	bus_write(&bus, 0x71, 4, 0x44332211);
	check(&a, "w1:1=11 ");
	check(&b, "w0:2=3322 w2:1=44 ");
	assert_int_equal(bus_read(&bus, 0x74, 4), 0xffff9082);
	check(&b, "r2:2=0 ");
	assert_true(bus_read(&bus, 0x72, 8) == 0xffffffffb0a09080ULL);
	check(&b, "r0:4=0 ");
}

static uint64_t cf9_read(void *ctx, uint64_t offset, unsigned size)
{
	return 0x55;
}

static void cf9_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	*(uint64_t *)ctx = val;
}

static const struct bus_ops cf9_ops = {cf9_read, cf9_write};

static uint32_t config(struct bus *pio, uint32_t address)
{
	bus_write(pio, 0xcf8, 4, address);
	return (uint32_t)bus_read(pio, 0xcfc, 4);
}

static void test_pci(void **state)
{
	struct bus pio = {0}, mmio = {0};
	uint64_t cf9 = 0;
	struct pci_board board = {
		.ecam = ECAM,
		.ecam_size = 16 << 20,
		.cf9_ops = &cf9_ops,
		.cf9_ctx = &cf9,
	};
	struct pci pci;

	assert_int_equal(pci_init(&pci, &pio, &mmio, &board), 0);
	assert_int_equal(config(&pio, 0x80000000), 0x00081b36);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0x80000000);
	assert_int_equal(config(&pio, 0x80000008), 0x06000000);
	assert_int_equal(bus_read(&pio, 0xcff, 1), 6);
	/* Disabled, another device, another function, another bus. */
	assert_int_equal(config(&pio, 0x00000000), 0xffffffff);
	assert_int_equal(config(&pio, 0x80000800), 0xffffffff);
	assert_int_equal(config(&pio, 0x80000100), 0xffffffff);
	assert_int_equal(config(&pio, 0x80010000), 0xffffffff);
	/* Read-only identity, writable command. */
	config(&pio, 0x80000000);
	bus_write(&pio, 0xcfc, 4, 0);
	assert_int_equal(config(&pio, 0x80000000), 0x00081b36);
	config(&pio, 0x80000004);
	bus_write(&pio, 0xcfc, 4, 0xffffffff);
	assert_int_equal(config(&pio, 0x80000004), 0x547);
	/* The byte between is the reset register. */
	bus_write(&pio, 0xcf9, 1, 6);
	assert_int_equal(cf9, 6);
	assert_int_equal(bus_read(&pio, 0xcf9, 1), 0x55);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0x80000004);
	assert_int_equal(bus_read(&mmio, ECAM, 4), 0x00081b36);
	assert_int_equal(bus_read(&mmio, ECAM + 0x100, 4), 0);
	assert_int_equal(bus_read(&mmio, ECAM + 0x1000, 4), 0xffffffff);
	assert_int_equal(bus_read(&mmio, ECAM + 0x100000, 2), 0xffff);
}

static void test_dma(void **state)
{
	uint8_t low[16], high[16], out[4] = {0};
	struct dma dma = {
		.count = 2,
		.region = {{0, 16, low}, {0x1000, 16, high}},
	};

	assert_ptr_equal(dma_ptr(&dma, 0x1004, 12), high + 4);
	assert_null(dma_ptr(&dma, 0x1004, 13));
	assert_null(dma_ptr(&dma, 8, UINT64_MAX));
	assert_null(dma_ptr(&dma, 16, 0));
	assert_null(dma_ptr(&dma, UINT64_MAX, 1));
	assert_int_equal(dma_write(&dma, 12, "abcd", 4), 0);
	assert_int_equal(dma_read(&dma, 12, out, 4), 0);
	assert_memory_equal(out, "abcd", 4);
	assert_int_equal(dma_write(&dma, 13, "abcd", 4), -EFAULT);
	assert_int_equal(dma_read(&dma, 13, out, 4), -EFAULT);
}

struct request {
	int count;
	enum power_event event;
	int code;
};

static void on_request(void *ctx, enum power_event event, int code)
{
	struct request *r = ctx;

	r->count++;
	r->event = event;
	r->code = code;
}

static void test_testdev(void **state)
{
	struct bus pio = {0};
	struct request r = {0};
	struct power power = {on_request, &r};

	assert_int_equal(pvpanic_init(&pio, 0x505, &power), 0);
	assert_int_equal(debug_exit_init(&pio, 0x505, 2, &power), -EEXIST);
	assert_int_equal(debug_exit_init(&pio, 0xf4, 4, &power), 0);
	assert_int_equal(bus_read(&pio, 0x505, 1), 3);
	bus_write(&pio, 0x505, 1, PVPANIC_CRASH_LOADED);
	assert_int_equal(r.count, 0);
	bus_write(&pio, 0x505, 1, PVPANIC_PANICKED);
	assert_int_equal(r.event, POWER_PANIC);
	bus_write(&pio, 0xf4, 4, 16);
	assert_int_equal(r.event, POWER_EXIT);
	assert_int_equal(r.code, 33);
	bus_write(&pio, 0xf4, 1, 0);
	assert_int_equal(r.code, 1);
	assert_int_equal(r.count, 3);
}

static void line_set(void *ctx, unsigned pin, bool level)
{
	unsigned *last = ctx;

	*last = pin << 1 | level;
}

static void test_pctestdev(void **state)
{
	static uint8_t ram[3 * 4096] __attribute__((aligned(4096)));
	static struct pctestdev d;
	struct dma dma = {1, {{0x1000, sizeof(ram), ram}}};
	struct bus pio = {0}, mmio = {0};
	unsigned line = 0;

	d.irq = (struct chip_pin){line_set, &line, 0};
	d.dma = &dma;
	assert_int_equal(pctestdev_init(&d, &pio, &mmio), 0);
	bus_write(&pio, 0xe0, 4, 0x12345678);
	assert_int_equal(bus_read(&pio, 0xe1, 1), 0x56);
	assert_int_equal(bus_read(&pio, 0xe2, 2), 0x1234);
	bus_write(&pio, 0xe1, 1, 0xff);
	assert_int_equal(bus_read(&pio, 0xe0, 4), 0x1234ff78);
	assert_int_equal(bus_read(&pio, 0xe8, 4), 0x1234ff78);
	bus_write(&pio, 0xe8, 2, 0xabcd);
	assert_int_equal(bus_read(&pio, 0xe0, 4), 0x1234abcd);
	bus_write(&pio, 0x200b, 1, 1);
	assert_int_equal(line, 11 << 1 | 1);
	bus_write(&pio, 0x200b, 1, 0);
	assert_int_equal(line, 11 << 1);
	memset(ram, 0x5a, sizeof(ram));
	bus_write(&pio, 0xe4, 4, 0x2345);
	bus_write(&pio, 0xe4, 4, 0x10000000); /* no memory there */
	ram[4096] = 1;                        /* and it can be used again */
	assert_int_equal(ram[4097], 0x5a);
	bus_write(&mmio, PCTESTDEV_MMIO + 0xfff8, 8, 0x1122334455667788);
	assert_int_equal(bus_read(&mmio, PCTESTDEV_MMIO + 0xfffa, 2), 0x5566);
	assert_int_equal(pctestdev_init(&d, &pio, &mmio), -EEXIST);
}

/* A debug console in the middle of its ports keeps its own. */
static void test_pctestdev_shares(void **state)
{
	static struct pctestdev d;
	struct bus pio = {0}, mmio = {0};
	struct record r = {""};

	assert_int_equal(add(&pio, 0xe9, 1, 1, &r), 0);
	assert_int_equal(pctestdev_init(&d, &pio, &mmio), 0);
	bus_write(&pio, 0xe0, 4, 0x12345678);
	assert_int_equal(bus_read(&pio, 0xe8, 1), 0x78);
	assert_int_equal(bus_read(&pio, 0xea, 2), 0x1234);
	bus_write(&pio, 0xe8, 4, 0);
	assert_int_equal(bus_read(&pio, 0xe0, 4), 0x5600);
	assert_string_equal(r.text, "w0:1=0 ");
}

static void on_eject(void *ctx, unsigned slot)
{
	*(uint32_t *)ctx |= BIT(slot);
}

/* Filled slots are told once, those to be emptied until they are. */
static void test_pcihp(void **state)
{
	static struct bus pio;
	uint32_t ejected = 0;
	struct pcihp hp;

	assert_int_equal(pcihp_init(&hp, &pio, on_eject, &ejected), 0);
	hp.up = BIT(3);
	hp.down = BIT(4) | BIT(31);
	assert_int_equal(bus_read(&pio, PCIHP_PORT + PCIHP_UP, 4), BIT(3));
	assert_int_equal(bus_read(&pio, PCIHP_PORT + PCIHP_UP, 4), 0);
	assert_int_equal(bus_read(&pio, PCIHP_PORT + PCIHP_DOWN, 4),
			 BIT(4) | BIT(31));
	bus_write(&pio, PCIHP_PORT + PCIHP_EJECT, 2, BIT(4));
	bus_write(&pio, PCIHP_PORT + PCIHP_DOWN, 4, BIT(4));
	bus_write(&pio, PCIHP_PORT + PCIHP_EJECT, 4, BIT(0));
	assert_int_equal(ejected, 0);
	bus_write(&pio, PCIHP_PORT + PCIHP_EJECT, 4, BIT(4));
	assert_int_equal(ejected, BIT(4));
	assert_int_equal(bus_read(&pio, PCIHP_PORT + PCIHP_DOWN, 4), BIT(31));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pctestdev_shares),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_pctestdev),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_pci),
		cmocka_unit_test(test_pcihp),
		cmocka_unit_test(test_dma),
		cmocka_unit_test(test_testdev),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
