/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg as a guest uses it: byte by byte, by requests in memory, through its
 * directory; and requests that lead nowhere.
 */
#include "dev/fwcfg.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dev/bus.h"
#include "dev/dma.h"

#define GPA  0x100000
#define SIZE 0x2000

struct board {
	struct bus pio;
	struct dma dma;
	struct fwcfg *f;
	uint8_t ram[SIZE];
};

static struct board *set_up(void)
{
	struct board *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->dma = (struct dma){.count = 1, .region = {{GPA, SIZE, b->ram}}};
	assert_int_equal(fwcfg_create(&b->f, &b->pio, &b->dma), 0);
	return b;
}

static void tear_down(struct board *b)
{
	fwcfg_destroy(b->f);
	free(b);
}

static void read_bytes(struct board *b, unsigned key, void *to, unsigned n)
{
	uint8_t *p = to;

	bus_write(&b->pio, 0x510, 2, key);
	while (n--)
		*p++ = (uint8_t)bus_read(&b->pio, 0x511, 1);
}

/* Put a request at @at and start it; its control word afterwards. */
static uint32_t request(struct board *b, unsigned at, uint32_t control,
			uint32_t length, uint64_t to)
{
	uint32_t words[2] = {htobe32(control), htobe32(length)};

	to = htobe64(to);
	memcpy(b->ram + at, words, 8);
	memcpy(b->ram + at + 8, &to, 8);
	bus_write(&b->pio, 0x514, 4, 0);
	bus_write(&b->pio, 0x518, 4, htobe32(GPA + at));
	memcpy(words, b->ram + at, 4);
	return be32toh(words[0]);
}

static void test_bytes(void **state)
{
	struct board *b = set_up();
	char text[8] = "xxxxxxx";
	uint32_t id;

	read_bytes(b, 0, text, 6);
	assert_memory_equal(text, "QEMU\0\0x", 7);
	read_bytes(b, 1, &id, 4);
	assert_int_equal(id, 3);
	assert_int_equal(fwcfg_add(b->f, 0x8002, "ab", 2), 0);
	read_bytes(b, 0x8002, text, 3);
	assert_memory_equal(text, "ab\0", 3);
	read_bytes(b, 0xc002, text, 2); /* for writing, once */
	assert_memory_equal(text, "ab", 2);
	read_bytes(b, 2, text, 2); /* the number alone is another item */
	assert_memory_equal(text, "\0\0", 2);
	bus_write(&b->pio, 0x510, 2, 0);
	bus_write(&b->pio, 0x511, 1, 'x'); /* no write, no step */
	assert_int_equal(bus_read(&b->pio, 0x510, 1), 'Q');
	assert_int_equal(bus_read(&b->pio, 0x511, 1), 'E');
	assert_int_equal(fwcfg_add(b->f, 0, "", 0), -EEXIST);
	tear_down(b);
}

static void check_entry(const uint8_t *dir, unsigned i, unsigned size,
			const char *name)
{
	const uint8_t *p = dir + 4 + 64 * i;

	assert_int_equal(p[2] << 8 | p[3], size);
	assert_int_equal(p[4] << 8 | p[5], 0x20 + i);
	assert_string_equal((const char *)p + 8, name);
}

static void test_directory(void **state)
{
	char name[FWCFG_NAME + 1] = "", text[4];
	struct board *b = set_up();
	uint8_t dir[4 + 3 * 64];

	read_bytes(b, 0x19, dir, 4);
	assert_memory_equal(dir, "\0\0\0\0", 4);
	assert_int_equal(fwcfg_add_file(b->f, "opt/b", "bbb", 3), 0);
	assert_int_equal(fwcfg_add_file(b->f, "etc/c", "c", 1), 0);
	assert_int_equal(fwcfg_add_file(b->f, "opt/a", "", 0), 0);
	assert_int_equal(fwcfg_add(b->f, 5, "5", 1), 0);
	assert_int_equal(fwcfg_add_file(b->f, "opt/b", "", 0), -EEXIST);
	memset(name, 'n', FWCFG_NAME);
	assert_int_equal(fwcfg_add_file(b->f, name, "", 0), -ENAMETOOLONG);
	read_bytes(b, 0x19, dir, sizeof(dir));
	assert_memory_equal(dir, "\0\0\0\3", 4);
	check_entry(dir, 0, 1, "etc/c");
	check_entry(dir, 1, 0, "opt/a");
	check_entry(dir, 2, 3, "opt/b");
	read_bytes(b, 0x22, text, 4);
	assert_memory_equal(text, "bbb\0", 4);
	tear_down(b);
}

static void test_requests(void **state)
{
	struct board *b = set_up();

	assert_int_equal(fwcfg_add_file(b->f, "f", "0123456789", 10), 0);
	assert_int_equal(bus_read(&b->pio, 0x514, 4), htobe32(0x51454d55));
	assert_int_equal(bus_read(&b->pio, 0x518, 4), htobe32(0x20434647));
	memset(b->ram, 0xee, SIZE);
	assert_int_equal(request(b, 0, 0x20 << 16 | 8 | 2, 4, GPA + 64), 0);
	assert_memory_equal(b->ram + 64, "0123\xee", 5);
	assert_int_equal(request(b, 0, 4, 3, 0), 0); /* skip */
	assert_int_equal(request(b, 0, 2, 5, GPA + 64), 0);
	assert_memory_equal(b->ram + 64, "789\0\0\xee", 6);
	assert_int_equal(request(b, 0, 4, UINT32_MAX, 0), 0);
	assert_int_equal(request(b, 0, 2, 1, GPA + 64), 0);
	assert_int_equal(b->ram[64], 0);
	/* select alone, and what the ports see of it */
	assert_int_equal(request(b, 0, 0x20 << 16 | 8, 7, 0), 0);
	assert_int_equal(bus_read(&b->pio, 0x511, 1), '0');
	/* no such item: zeroes */
	assert_int_equal(request(b, 0, 0x99 << 16 | 8 | 2, 2, GPA + 64), 0);
	assert_memory_equal(b->ram + 64, "\0\0", 2);
	tear_down(b);
}

static void test_bad_requests(void **state)
{
	struct board *b = set_up();

	assert_int_equal(request(b, 0, 8 | 2, 4, GPA - 2), 1);
	assert_int_equal(request(b, 0, 8 | 2, 4, GPA + SIZE - 3), 1);
	assert_int_equal(request(b, 0, 8 | 2, UINT32_MAX, GPA), 1);
	assert_int_equal(request(b, 0, 8 | 2, 8, UINT64_MAX - 3), 1);
	/* nothing can be written */
	assert_int_equal(request(b, 0, 8 | 16, 4, GPA + 64), 1);
	assert_int_equal(request(b, 0, 8 | 2, 4, GPA + SIZE - 4), 0);
	assert_memory_equal(b->ram + SIZE - 4, "QEMU", 4);
	/* a request that lies nowhere, and one over the end */
	bus_write(&b->pio, 0x518, 4, 0);
	memset(b->ram + SIZE - 12, 0, 12);
	bus_write(&b->pio, 0x518, 4, htobe32(GPA + SIZE - 12));
	/* the high half counts, once */
	bus_write(&b->pio, 0x514, 4, htobe32(1));
	bus_write(&b->pio, 0x518, 4, htobe32(GPA));
	assert_int_equal(request(b, 16, 8 | 2, 4, GPA + 64), 0);
	tear_down(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_bad_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
