/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations and names of logs; runs are in test/suite.
 */
#include "suite/job.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

static void test_duration(void **state)
{
	assert_true(suite_duration("90") == 90);
	assert_true(suite_duration("90s") == 90);
	assert_true(suite_duration("0.5") == 0.5);
	assert_true(suite_duration("4m") == 240);
	assert_true(suite_duration("2h") == 7200);
	assert_true(suite_duration("1d") == 86400);
	assert_true(suite_duration("0") == 0);
	assert_true(suite_duration("") < 0);
	assert_true(suite_duration("s") < 0);
	assert_true(suite_duration("-1") < 0);
	assert_true(suite_duration("5x") < 0);
	assert_true(suite_duration("5 s") < 0);
	assert_true(suite_duration("5ms") < 0);
	assert_true(suite_duration("nan") < 0);
	assert_true(suite_duration("inf") < 0);
	assert_true(suite_duration("1e30d") < 0);
}

static void log_is(const char *test, const char *want)
{
	char name[SUITE_LOG_NAME];

	suite_log_name(name, test, "qemu:tcg");
	assert_string_equal(name, want);
}

static void test_log_names(void **state)
{
	char one[1000], two[1000], a[SUITE_LOG_NAME], b[SUITE_LOG_NAME];

	log_is("paging-4k", "paging-4k.qemu-tcg");
	log_is("a_b.c+d", "a_b.c+d.qemu-tcg");
	log_is("a b", "a%20b.qemu-tcg");
	log_is("a/b", "a%2Fb.qemu-tcg");
	log_is("../../etc", "..%2F..%2Fetc.qemu-tcg");
	log_is("a%b:\n", "a%25b%3A%0A.qemu-tcg");
	memset(one, '%', sizeof(one) - 1);
	one[sizeof(one) - 1] = 0;
	strcpy(two, one);
	two[900] = 'x';
	suite_log_name(a, one, "kvmtool:lodge");
	suite_log_name(b, two, "kvmtool:lodge");
	assert_string_not_equal(a, b);
	assert_true(strlen(a) < 256 - strlen(".try4096.log"));
	assert_non_null(strstr(a, ".kvmtool-lodge"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_log_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
