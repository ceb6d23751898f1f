/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of known failures: what is read, what is refused, what they do.
 */
#include "suite/known.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_text(struct known *k, const char *text, struct err *e)
{
	char path[] = "/tmp/known.XXXXXX";
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	ret = known_read(k, path, e);
	unlink(path);
	return ret;
}

static const char text[] =
	"# a list\n"
	"\n"
	"a  qemu:tcg  fail  3 tests, 1 failed  # the manual says otherwise\n"
	"b\tqemu:tcg\tfail|timeout\n"
	"c qemu:tcg timeout # hangs\n";

static struct suite_result result(const char *test, const char *target,
				  enum verdict v, const char *reason)
{
	struct suite_result r = {
		.test = (char *)test, .target = (char *)target, .verdict = v};

	strcpy(r.reason, reason);
	return r;
}

static bool is(const struct known *k, const char *test, const char *target,
	       enum verdict v, const char *reason)
{
	struct suite_result r = result(test, target, v, reason);

	return known_is(k, &r);
}

static void test_is(void **state)
{
	struct known k = {0};
	struct err e = {0};

	assert_int_equal(read_text(&k, text, &e), 0);
	assert_int_equal(k.n, 3);
	assert_true(is(&k, "a", "qemu:tcg", VERDICT_FAIL, "3 tests, 1 failed"));
	assert_false(
		is(&k, "a", "qemu:tcg", VERDICT_FAIL, "3 tests, 2 failed"));
	assert_false(
		is(&k, "a", "lodge:lodge", VERDICT_FAIL, "3 tests, 1 failed"));
	assert_false(is(&k, "a", "qemu:tcg", VERDICT_PASS, ""));
	assert_true(is(&k, "b", "qemu:tcg", VERDICT_FAIL, "whatever"));
	assert_true(is(&k, "b", "qemu:tcg", VERDICT_TIMEOUT, "after 20 s"));
	assert_false(is(&k, "b", "qemu:tcg", VERDICT_ABORT, ""));
	assert_false(is(&k, "d", "qemu:tcg", VERDICT_FAIL, ""));
	known_free(&k);
}

static void test_apply(void **state)
{
	struct known k = {0};
	struct err e = {0};
	struct suite_result rows[] = {
		result("a", "qemu:tcg", VERDICT_PASS, "3 tests, 0 failed"),
		result("b", "qemu:tcg", VERDICT_FAIL, ""),
		result("c", "qemu:tcg", VERDICT_FAIL, "x"),
		result("d", "qemu:tcg", VERDICT_FAIL, "y"),
	};
	struct suite_results all = {rows, 4};
	char *told;
	size_t n;
	FILE *f = open_memstream(&told, &n);

	assert_int_equal(read_text(&k, text, &e), 0);
	assert_int_equal(known_apply(&k, &all, f), 1); /* a, which passes */
	fclose(f);
	assert_false(rows[0].known);
	assert_true(rows[1].known);
	assert_false(rows[2].known);
	assert_false(rows[3].known);
	assert_non_null(strstr(told, ":3: a [qemu:tcg] is pass"));
	assert_non_null(strstr(told, ":5: c [qemu:tcg] is fail (x), listed "
				     "as timeout\n"));
	assert_null(strstr(told, " b ["));
	free(told);
	known_free(&k);
}

static void refused(const char *line, const char *why)
{
	struct known k = {0};
	struct err e = {0};

	assert_int_equal(read_text(&k, line, &e), -EINVAL);
	assert_non_null(strstr(e.msg, why));
	known_free(&k);
}

static void test_refused(void **state)
{
	struct known k = {0};
	struct err e = {0};

	refused("ok lodge pass\na qemu:tcg\n", ":2: not TEST TARGET VERDICT");
	refused("a qemu:tcg fails\n", ":1: 'fails' is no verdict");
	refused("a qemu:tcg fail|\n", "is no verdict");
	assert_int_equal(known_read(&k, "/nonexistent", &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
