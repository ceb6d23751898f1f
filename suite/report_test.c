/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of a few made-up results, and merging.
 */
#include "suite/report.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct suite_result rows[] = {
	{(char *)"a", (char *)"lodge:lodge", VERDICT_PASS, "", NULL, 0.5, 1},
	{(char *)"a", (char *)"qemu:tcg", VERDICT_FAIL, "exit <1>", NULL, 1, 2},
	{(char *)"b", (char *)"lodge:lodge", VERDICT_PASS, "", NULL, 2, 2},
	{(char *)"b", (char *)"qemu:tcg", VERDICT_SKIP, "kvm only", NULL, 0, 1},
	{(char *)"c", (char *)"lodge:lodge", VERDICT_NONE, "", NULL, 0, 0},
};
static struct suite_results all = {rows, ARRAY_SIZE(rows)};

static char *printed(void (*print)(FILE *f, const struct suite_results *r))
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	print(f, &all);
	fclose(f);
	return text;
}

static void plain_table(FILE *f, const struct suite_results *r)
{
	report_table(f, r, false);
}

static void test_table(void **state)
{
	char *text = printed(plain_table);

	assert_string_equal(text, "  test  lodge:lodge  qemu:tcg \n"
				  "* a     pass         fail     \n"
				  "  b     flaky        skip     \n"
				  "  c     not run      -        \n");
	free(text);
}

static void test_count(void **state)
{
	struct suite_counts c;

	report_count(&all, &c);
	assert_int_equal(c.passed, 2);
	assert_int_equal(c.failed, 1);
	assert_int_equal(c.skipped, 1);
	assert_int_equal(c.missing, 1);
	assert_int_equal(c.differ, 1);
	assert_int_equal(c.flaky, 1);
}

/* What is known to fail is no failure, and no pass. */
static void test_known_formats(void **state)
{
	char *text;

	rows[1].known = true;
	text = printed(report_tap);
	assert_non_null(strstr(text, "\nnot ok 2 - a [qemu:tcg] # TO"
				     "DO known: fail (exit <1>)\nok 3 - "));
	free(text);
	text = printed(report_junit);
	assert_non_null(strstr(text, "tests=\"5\" failures=\"0\" "
				     "skipped=\"3\""));
	assert_non_null(strstr(text, "<skipped message=\"known: fail: exit "
				     "&lt;1&gt;\"/>"));
	free(text);
	rows[1].known = false;
}

static void test_formats(void **state)
{
	char *text = printed(report_tap);

	assert_non_null(strstr(text, "1..5\nok 1 - a [lodge:lodge]\n"
				     "not ok 2 - a [qemu:tcg]\n"
				     "# fail: exit <1>\n"));
	assert_non_null(strstr(text, "ok 4 - b [qemu:tcg] # SKIP kvm only\n"));
	free(text);
	text = printed(report_junit);
	assert_non_null(strstr(text, "tests=\"5\" failures=\"1\" "
				     "skipped=\"2\""));
	assert_non_null(strstr(text, "<failure message=\"fail: exit "
				     "&lt;1&gt;\"/>"));
	free(text);
}

static void merge_one(struct suite_results *r, const char *path,
		      struct suite_result *row)
{
	struct suite_results one = {row, 1};
	struct err e = {0};

	assert_int_equal(report_json(path, &one, &e), 0);
	assert_int_equal(report_merge(path, r, &e), 0);
}

/* Shards say how many results there are in all. */
static void test_lost(void **state)
{
	char path[] = "/tmp/suite-report-XXXXXX";
	struct suite_result a = {(char *)"a", (char *)"x:y", VERDICT_PASS,
				 "",          NULL,          0,
				 1,           .of = 3};
	struct suite_results r = {NULL, 0};
	struct suite_counts c;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	merge_one(&r, path, &a);
	a.test = (char *)"b";
	merge_one(&r, path, &a);
	merge_one(&r, path, &a);
	a.of = 1; /* of another run */
	a.target = (char *)"x:z";
	merge_one(&r, path, &a);
	a.of = 0; /* of a file that does not say */
	a.test = (char *)"\033\377";
	merge_one(&r, path, &a);
	report_count(&r, &c);
	assert_int_equal(c.missing, 0);
	report_count_lost(&r, &c);
	assert_int_equal(c.lost, 1);
	assert_int_equal(c.missing, 1);
	assert_string_equal(r.v[r.n - 1].test, "??");
	report_free(&r);
	unlink(path);
}

/* Files that others wrote, or half of them. */
static void test_bad_merges(void **state)
{
	static const char *const bad[] = {
		"",
		"[",
		"5",
		"{}",
		"[null]",
		"[5]",
		"[[]]",
		"[{}]",
		"[{\"test\": \"a\"}]",
		"[{\"test\": \"a\", \"target\": \"b\"}]",
		"[{\"test\": \"a\", \"target\": \"b\", \"verdict\": \"x\"}]",
		"[{\"test\": null, \"target\": {}, \"verdict\": \"pass\"}]",
	};
	static const char odd[] =
		"[{\"test\": \"a\\n\", \"target\": \"b\", \"verdict\": "
		"\"pass\", \"tries\": -1, \"of\": 1e300, \"seconds\": \"x\", "
		"\"reason\": [1], \"log\": null}]";
	char path[] = "/tmp/suite-report-XXXXXX";
	int fd = mkstemp(path);
	size_t i;

	assert_true(fd >= 0);
	for (i = 0; i <= ARRAY_SIZE(bad); i++) {
		const char *text = i < ARRAY_SIZE(bad) ? bad[i] : odd;
		struct suite_results r = {NULL, 0};
		struct err e = {0};

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, strlen(text), 0),
				 strlen(text));
		if (report_merge(path, &r, &e) != (text == odd ? 0 : -EINVAL))
			fail_msg("%s: %s", text, e.msg);
		if (text == odd)
			assert_string_equal(r.v[0].test, "a?");
		report_free(&r);
	}
	close(fd);
	unlink(path);
}

static void test_merge(void **state)
{
	char path[] = "/tmp/suite-report-XXXXXX";
	struct suite_results r = {NULL, 0};
	struct err e = {0};
	struct suite_counts c;
	int fd = mkstemp(path);
	FILE *f;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(report_json(path, &all, &e), 0);
	assert_int_equal(report_merge(path, &r, &e), 0);
	assert_int_equal(report_merge(path, &r, &e), 0);
	assert_int_equal(r.n, all.n);
	report_count(&r, &c);
	assert_int_equal(c.passed, 2);
	assert_int_equal(c.flaky, 1);
	assert_string_equal(r.v[1].reason, "exit <1>");
	/* what another shard did not run takes nothing away */
	rows[0].verdict = VERDICT_NONE;
	assert_int_equal(report_json(path, &all, &e), 0);
	assert_int_equal(report_merge(path, &r, &e), 0);
	assert_int_equal(r.v[0].verdict, VERDICT_PASS);
	rows[0].verdict = VERDICT_PASS;
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("{\"a\": 1}\n", f);
	fclose(f);
	assert_int_equal(report_merge(path, &r, &e), -EINVAL);
	e.code = 0;
	assert_int_equal(report_merge("/nowhere", &r, &e), -ENOENT);
	report_free(&r);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_known_formats),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_bad_merges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
