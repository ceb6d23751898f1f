/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for guests: none of it is there at first, all of it when asked for,
 * and a host that cannot give it is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "host/ram.h"

#define MIB  ((size_t)1 << 20)
#define PAGE ((size_t)4096)

static size_t resident(const struct host_ram *ram)
{
	size_t pages = ram->size / PAGE, n = 0;
	unsigned char *v = calloc(pages, 1);

	assert_non_null(v);
	assert_int_equal(mincore(ram->base, ram->size, v), 0);
	for (size_t i = 0; i < pages; i++)
		n += v[i] & 1;
	free(v);
	return n * PAGE;
}

struct steps {
	uint64_t done, total;
	unsigned n;
};

static void step(void *ctx, uint64_t done, uint64_t total)
{
	struct steps *s = ctx;

	assert_true(done > s->done && done <= total);
	*s = (struct steps){done, total, s->n + 1};
}

static void test_populate(void **state)
{
	struct steps s = {0};
	const struct progress p = {step, &s};
	struct host_ram ram;
	struct err e = {0};

	assert_int_equal(host_ram_map(&ram, 130 * MIB, &e), 0);
	assert_int_equal(resident(&ram), 0);
	assert_int_equal(host_ram_populate(&ram, &p, &e), 0);
	assert_int_equal(resident(&ram), 130 * MIB);
	assert_int_equal(s.n, 3);
	assert_true(s.done == 130 * MIB && s.total == s.done);
	host_ram_unmap(&ram);
	assert_null(ram.base);
}

static void test_refused(void **state)
{
	struct host_ram ram;
	struct err e = {0};

	assert_int_equal(host_ram_map(&ram, 128 * MIB, &e), 0);
	munmap((char *)ram.base + 96 * MIB, 32 * MIB);
	assert_int_equal(host_ram_populate(&ram, NULL, &e), -12);
	assert_non_null(strstr(e.msg, "gave 64 of 128 MiB"));
	host_ram_unmap(&ram);
	e = (struct err){0};
	assert_int_equal(host_ram_map(&ram, (size_t)1 << 46, &e), -12);
	assert_non_null(strstr(e.msg, "cannot give"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_populate),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
