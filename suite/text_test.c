/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is a character and what is not.
 */
#include "suite/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

static void cleaned(const char *from, const char *want, const char *want_utf8)
{
	char text[64];

	strcpy(text, from);
	assert_int_equal(text_clean(text), strcmp(from, want) != 0);
	assert_string_equal(text, want);
	strcpy(text, from);
	assert_int_equal(text_clean_utf8(text), strcmp(from, want_utf8) != 0);
	assert_string_equal(text, want_utf8);
}

static void test_clean(void **state)
{
	cleaned("", "", "");
	cleaned("plain ~", "plain ~", "plain ~");
	cleaned("\303\251 \342\202\254 \360\237\220\247",
		"\303\251 \342\202\254 \360\237\220\247",
		"\303\251 \342\202\254 \360\237\220\247");
	cleaned("a\033[1m\n\t\177", "a?[1m???", "a\033[1m\n\t\177");
	/* alone, cut, longer than need be, a surrogate, too large */
	cleaned("\377\200x", "??x", "??x");
	cleaned("\342\202", "??", "??");
	cleaned("\303(", "?(", "?(");
	cleaned("\300\257\340\200\257", "?????", "?????");
	cleaned("\355\240\200", "???", "???");
	cleaned("\364\220\200\200", "????", "????");
	/* controls of two bytes, and what XML does not have */
	cleaned("\302\205", "??", "\302\205");
	cleaned("\357\277\276", "???", "\357\277\276");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_clean)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
