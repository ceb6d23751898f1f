/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci-testdev: base address registers of both kinds, and stores that ring an
 * eventfd instead of coming to the device. QEMU "QEMU PCI test device".
 */
#include "test/arch/guest/arch.h"

#define COMMAND 0x04
#define BAR(n)  (0x10 + 4 * (n))
#define IO      1
#define MEMORY  2

#define R_TEST   0
#define R_WIDTH  1
#define R_OFFSET 4
#define R_DATA   8
#define R_COUNT  12
#define R_NAME   16

static unsigned int dev; /* 0: there is none */
static reg_t base[2];    /* memory, ports */

static void config_at(unsigned int d, unsigned int reg)
{
	outl(0xcf8, 0x80000000 | d << 11 | reg);
}

static uint32_t config(unsigned int reg)
{
	config_at(dev, reg);
	return inl(0xcfc);
}

static void set_config(unsigned int reg, uint32_t v)
{
	config_at(dev, reg);
	outl(0xcfc, v);
}

static uint8_t get8(bool io, unsigned int at)
{
	return io ? inb(base[1] + at) : *(volatile uint8_t *)(base[0] + at);
}

static uint32_t get32(bool io, unsigned int at)
{
	return io ? inl(base[1] + at) : *(volatile uint32_t *)(base[0] + at);
}

static void put8(bool io, unsigned int at, uint8_t v)
{
	if (io)
		outb(base[1] + at, v);
	else
		*(volatile uint8_t *)(base[0] + at) = v;
}

static bool missing(void)
{
	if (!dev)
		skip("there is no pci-testdev");
	return !dev;
}

static void test_header(void)
{
	uint32_t bar;

	if (missing())
		return;
	check(config(8) >> 8 == 0x00ff00, "a class of its own");
	check(!(config(0x3c) >> 8 & 0xff), "no interrupt");
	set_config(COMMAND, 0);
	bar = config(BAR(0));
	set_config(BAR(0), ~0U);
	check(config(BAR(0)) == 0xfffff000, "4 KiB of memory: %x",
	      (reg_t)config(BAR(0)));
	set_config(BAR(0), bar);
	bar = config(BAR(1));
	check((bar & 3) == 1, "ports: %x", (reg_t)bar);
	set_config(BAR(1), ~0U);
	check(config(BAR(1)) == 0xffffff01, "256 of them: %x",
	      (reg_t)config(BAR(1)));
	set_config(BAR(1), bar);
	check(config(BAR(1)) == bar, "and back");
	set_config(COMMAND, IO | MEMORY);
}

static void test_decoding(void)
{
	if (missing())
		return;
	put8(false, R_TEST, 0);
	check(get8(false, R_NAME) == 'm', "both answer");
	set_config(COMMAND, IO);
	check(get8(false, R_NAME) != 'm' && get8(true, R_NAME) == 'm',
	      "ports without memory");
	set_config(COMMAND, MEMORY);
	check(get8(false, R_NAME) == 'm' && get8(true, R_NAME) != 'm',
	      "memory without ports");
	set_config(COMMAND, IO | MEMORY);
}

static bool has_name(bool io, const char *name)
{
	unsigned int at = R_NAME;

	for (; *name; at++, name++)
		if (get8(io, at) != (uint8_t)*name)
			return false;
	return !get8(io, at);
}

/* @n stores of the test's value plus @off; how many came. */
static uint32_t count(bool io, unsigned int test, unsigned int n, uint8_t off)
{
	uint32_t offset;
	uint8_t data;

	put8(io, R_TEST, test);
	offset = get32(io, R_OFFSET);
	data = get8(io, R_DATA);
	while (n--)
		put8(io, offset, data + off);
	return get32(io, R_COUNT);
}

static void run_space(bool io)
{
	static const char *const names[2][3] = {
		{"mmio-no-eventfd", "mmio-wildcard-eventfd",
		 "mmio-datamatch-eventfd"},
		{"portio-no-eventfd", "portio-wildcard-eventfd",
		 "portio-datamatch-eventfd"},
	};
	unsigned int i;

	for (i = 0; i < 3; i++) {
		put8(io, R_TEST, i);
		check(has_name(io, names[io][i]) && get8(io, R_WIDTH) == 1 &&
			      !get32(io, R_COUNT),
		      "%s", names[io][i]);
	}
	put8(io, R_TEST, 3);
	check(!get8(io, R_NAME), "there is no fourth one");
	check(count(io, 0, 7, 0) == 7, "stores come to the device");
	check(!count(io, 0, 7, 1), "those of another value do not count");
	check(!count(io, 1, 7, 0) && !count(io, 1, 7, 1),
	      "an eventfd takes them all");
	check(!count(io, 2, 7, 0), "one for a value takes that");
	check(count(io, 0, 5, 0) == 5, "and is gone with its test");
}

static void test_memory(void)
{
	if (!missing())
		run_space(false);
}

static void test_ports(void)
{
	if (!missing())
		run_space(true);
}

/* The BAR goes elsewhere while an eventfd hangs there. */
static void test_moving(void)
{
	reg_t old = base[0];

	if (missing())
		return;
	put8(false, R_TEST, 1);
	base[0] += 0x100000;
	set_config(BAR(0), base[0]);
	check(get8(false, R_NAME) == 'm', "it answers elsewhere");
	put8(false, get32(false, R_OFFSET), get8(false, R_DATA));
	check(!get32(false, R_COUNT), "where the eventfd has come along");
	check(*(volatile uint8_t *)(old + R_NAME) != 'm',
	      "nothing is left behind");
	put8(false, R_TEST, 0);
	put8(false, get32(false, R_OFFSET), get8(false, R_DATA));
	check(get32(false, R_COUNT) == 1, "stores count there");
	base[0] = old;
	set_config(BAR(0), old);
}

/* QEMU's boards leave BARs to firmware, which may have been there or not. */
void setup(void)
{
	unsigned int d;

	for (d = 1; d < 32 && !dev; d++) {
		config_at(d, 0);
		if (inl(0xcfc) == 0x00051b36)
			dev = d;
	}
	if (!dev)
		return;
	base[0] = config(BAR(0)) & ~15U;
	base[1] = config(BAR(1)) & ~3U;
	set_config(COMMAND, IO | MEMORY);
}

const struct test tests[] = {
	{"header", test_header, "PCI \"Base Addresses\"", NEEDS_BOARD},
	{"decoding", test_decoding, "PCI \"Device Control\"", NEEDS_BOARD},
	{"memory", test_memory, "pci-testdev \"QEMU PCI test device\"",
	 NEEDS_BOARD},
	{"ports", test_ports, "pci-testdev \"QEMU PCI test device\"",
	 NEEDS_BOARD},
	{"moving", test_moving,
	 "PCI \"Base Addresses\": a new address while in use", NEEDS_BOARD},
	{NULL},
};
