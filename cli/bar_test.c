/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line of a progress bar at its ends, in between, and where there is no
 * room for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/bar.h"

#define MIB (1ULL << 20)

static void expect(uint64_t done, uint64_t total, double seconds, size_t size,
		   const char *want)
{
	char text[128];

	bar_format(text, size, "copying", done, total, seconds);
	assert_string_equal(text, want);
}

static void test_line(void **state)
{
	expect(0, 100 * MIB, 0, 60,
	       "copying [.......................]   0 %  0 of 100 MiB  0:00");
	expect(50 * MIB, 100 * MIB, 75, 60,
	       "copying [###########...........]  50 %  50 of 100 MiB  1:15");
	expect(100 * MIB, 100 * MIB, 9, 60,
	       "copying [#####################] 100 %  100 of 100 MiB  0:00");
	/* nothing to do is done */
	expect(0, 0, 1, 40, "copying [#####] 100 %  0 of 0 MiB  0:00");
}

static void test_narrow(void **state)
{
	expect(MIB, 4 * MIB, 1, 35, "copying []  25 %  1 of 4 MiB  0:03");
	expect(MIB, 4 * MIB, 1, 18, "copying []  25 % ");
	expect(MIB, 4 * MIB, 1, 4, "cop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_narrow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
