/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of unittests.cfg, by example.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite/cfg.h"
#include "suite/words.h"

static char warnings[16384];
static char path[] = "/tmp/suite-cfg-XXXXXX";

static void warn(const char *text)
{
	strcat(warnings, text + strlen(path) + 1);
	strcat(warnings, "\n");
}

static int read_text(struct suite *s, const char *text, struct err *e)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	warnings[0] = 0;
	return suite_read(s, path, warn, e);
}

static void read_good(struct suite *s, const char *text)
{
	struct err e = {0};

	if (read_text(s, text, &e))
		fail_msg("%s", e.msg);
}

static void test_keys(void **state)
{
	struct suite s;
	const struct suite_test *t;

	read_good(&s, "# comment\n"
		      "\n"
		      "[first]\n"
		      "file = a.flat\n"
		      "smp=2\n"
		      "test_args   =   'a b' # not this\n"
		      "qemu_params = -cpu max\n"
		      "kvmtool_params = --irqchip=gicv2\n"
		      "groups = x y\n"
		      "arch = x86_64\n"
		      "machine = q35\n"
		      "accel = tcg\n"
		      "timeout = 30\n"
		      "check = /a=1 /b=2\n"
		      "check = /c=3\n"
		      "disabled_if = [ a = b ]\n"
		      "  [second]  \n"
		      "\tfile = b#c.flat\n");
	assert_string_equal(warnings, "");
	assert_int_equal(s.count, 2);
	t = &s.tests[0];
	assert_string_equal(t->name, "first");
	assert_string_equal(t->file, "a.flat");
	assert_string_equal(t->smp, "2");
	assert_string_equal(t->test_args, "'a b'");
	assert_string_equal(t->qemu_params, "-cpu max");
	assert_string_equal(t->kvmtool_params, "--irqchip=gicv2");
	assert_string_equal(t->groups, "x y");
	assert_string_equal(t->machine, "q35");
	assert_string_equal(t->accel, "tcg");
	assert_string_equal(t->check, "/a=1 /b=2 /c=3");
	assert_string_equal(t->disabled_if, "[ a = b ]");
	assert_string_equal(s.tests[1].name, "second");
	assert_string_equal(s.tests[1].file, "b#c.flat");
	assert_null(s.tests[1].groups);
	suite_free(&s);
}

/* A longer key is another key. */
static void test_whole_keys(void **state)
{
	struct suite s;

	read_good(&s, "[t]\nfile = a\nfiles = b\nsmpx = 3\naccelerator = q\n"
		      "qemu_params_old = x\n");
	assert_string_equal(s.tests[0].file, "a");
	assert_null(s.tests[0].smp);
	assert_null(s.tests[0].accel);
	assert_null(s.tests[0].qemu_params);
	assert_string_equal(warnings, "3: unknown key 'files'\n"
				      "4: unknown key 'smpx'\n"
				      "5: unknown key 'accelerator'\n"
				      "6: unknown key 'qemu_params_old'\n");
	suite_free(&s);
}

static void test_triple(void **state)
{
	struct suite s;
	const struct suite_test *t;

	read_good(&s, "[t]\nfile = a\n"
		      "extra_params = \"\"\"-cpu max \\\n"
		      "-m 256\n"
		      "# kept\n"
		      "-x \\\\\n"
		      "last\"\"\"  \n"
		      "test_args=\"\"\"one line\"\"\"\n"
		      "kvmtool_params = \"\"\"\n"
		      "--a\n"
		      "--b\n"
		      "\"\"\"\n"
		      "groups = g\n");
	t = &s.tests[0];
	assert_string_equal(warnings, "");
	assert_string_equal(t->qemu_params,
			    "-cpu max -m 256\n# kept\n-x \\\\\nlast");
	assert_string_equal(t->test_args, "one line");
	assert_string_equal(t->kvmtool_params, "\n--a\n--b\n");
	assert_string_equal(t->groups, "g");
	suite_free(&s);
}

static void test_mistakes(void **state)
{
	struct err e = {0};
	struct suite s;

	assert_int_equal(read_text(&s, "[a]\nfile=x\ntest_args=\"\"\"b\n", &e),
			 -EINVAL);
	assert_non_null(strstr(e.msg, ":3: the triple quote never ends"));
	e.code = 0;
	assert_int_equal(suite_read(&s, "/nowhere/x", warn, &e), -ENOENT);
	e.code = 0;
	assert_int_equal(read_text(&s, "\177ELF\1=\n\n[a]\n", &e), -EINVAL);
	assert_non_null(strstr(e.msg, ": has no test"));
	assert_string_equal(warnings, "1: unknown key '?ELF?'\n"
				      "3: [a] has no file\n");
	read_good(&s, "smp = 2\n[a\n[]\n[b]\nnonsense\nsmp = 1\n[c]\n"
		      "file = c\nfile = d\n");
	assert_int_equal(s.count, 1);
	assert_string_equal(s.tests[0].file, "d");
	assert_string_equal(warnings,
			    "1: 'smp' outside a section\n"
			    "2: a section is '[name]'\n"
			    "3: a section is '[name]'\n"
			    "5: neither a section nor 'key = value'\n"
			    "9: 'file' of [c] again; the last one counts\n"
			    "4: [b] has no file\n");
	suite_free(&s);
}

/* The format's own runner takes a second one of the same name for a test. */
static void test_same_name(void **state)
{
	struct suite s;

	read_good(&s, "[a]\nfile = x\n[a.2]\nfile = y\n[a]\nfile = z\n"
		      "[a]\nfile = w\n");
	assert_int_equal(s.count, 4);
	assert_string_equal(s.tests[2].name, "a.3");
	assert_string_equal(s.tests[2].file, "z");
	assert_string_equal(s.tests[3].name, "a.4");
	assert_string_equal(warnings,
			    "5: [a] is there already (line 1); this one is "
			    "[a.3]\n"
			    "7: [a] is there already (line 1); this one is "
			    "[a.4]\n");
	suite_free(&s);
}

/* Where the quotes end, and what is no key although it looks like one. */
static void test_triple_ends(void **state)
{
	struct suite s;
	const struct suite_test *t;

	read_good(&s, "[t]\nfile = a\n"
		      "qemu_params = \"\"\"-append \"a b\"\"\"\"\n"
		      "kvmtool_params = \"\"\"--x \"\"\" --y\n"
		      "smp = 3 \n"
		      "[no section]\"\"\"\t \n"
		      "crosvm_params = \"\"\"\n"
		      "smp = 4\n"
		      "[u]\n"
		      "\"\"\"\n"
		      "test_args = \"\"\"\"\"\"\n"
		      "disabled_if = \"\"\"[ a = b ] ||\n[ c = d ]\"\"\"\n"
		      "groups = \"\"\"a\nb\"\"\"\n");
	t = &s.tests[0];
	assert_int_equal(s.count, 1);
	assert_string_equal(warnings, "7: unknown key 'crosvm_params'\n");
	assert_string_equal(t->qemu_params, "-append \"a b\"");
	assert_string_equal(t->kvmtool_params,
			    "--x \"\"\" --y\nsmp = 3 \n[no section]");
	assert_null(t->smp);
	assert_string_equal(t->test_args, "");
	assert_string_equal(t->disabled_if, "[ a = b ] ||\n[ c = d ]");
	assert_true(suite_has_word(t->groups, "b"));
	suite_free(&s);
}

/* As editors of other systems leave files, and the format's own header. */
static void test_line_ends(void **state)
{
	struct suite s;

	read_good(&s, "##########\r\n"
		      "# [unittest_name]\r\n"
		      "# file = <name>.flat\t\t# Name of the file.\r\n"
		      "\r\n"
		      "[a]\t# comment\r\n"
		      "file = a.flat\t\t# comment\r\n"
		      "smp  = 2\r\n"
		      "test_args = \"x # y\" # z\r\n"
		      "#smp = 3\r\n"
		      "qemu_params = \"\"\"-a \\\r\n-b\"\"\"\r\n"
		      "\r\n"
		      "[empty]\r\n"
		      "[b]\r\n"
		      "file = b.flat");
	assert_int_equal(s.count, 2);
	assert_string_equal(s.tests[0].name, "a");
	assert_string_equal(s.tests[0].file, "a.flat");
	assert_string_equal(s.tests[0].smp, "2");
	assert_string_equal(s.tests[0].test_args, "\"x # y\"");
	assert_string_equal(s.tests[0].qemu_params, "-a -b");
	assert_string_equal(s.tests[1].file, "b.flat");
	assert_string_equal(warnings, "13: [empty] has no file\n");
	suite_free(&s);
}

/* Pieces of the format in any order: no crash, and tests that can be run. */
static void test_any_text(void **state)
{
	static const char *const pieces[] = {
		"[",        "]",        "a",
		"b",        "=",        " ",
		"\t",       "\n",       "\n",
		"\r\n",     "#",        "\"",
		"\"\"\"",   "\\",       "'",
		"\\\n",     "\n[a]\n",  "\nfile=x\n",
		"\nsmp =",  "\ncheck=", "\nqemu_params = \"\"\"",
		"\"\"\"\n", "\n[b",     "\377",
		"\1",
	};
	uint32_t seed = 1;
	char text[512];
	int i, k;

	for (i = 0; i < 400; i++) {
		struct err e = {0};
		struct suite s;
		size_t j;

		text[0] = 0;
		for (k = 0; k < 40; k++) {
			seed = seed * 1664525 + 1013904223;
			strcat(text, pieces[(seed >> 16) % ARRAY_SIZE(pieces)]);
		}
		if (read_text(&s, text, &e))
			continue;
		for (j = 0; j < s.count; j++)
			assert_true(s.tests[j].name[0] && s.tests[j].file[0]);
		suite_free(&s);
	}
}

static void check_words(const char *text, const char *const *want)
{
	const char *env[] = {"MAX_SMP=16", NULL};
	struct words w = {NULL, 0};
	struct err e = {0};
	size_t i;

	if (words_split(&w, text, env, &e))
		fail_msg("%s", e.msg);
	for (i = 0; want[i]; i++)
		assert_string_equal(w.v[i], want[i]);
	assert_int_equal(w.n, i);
	words_free(&w);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_words(void **state)
{
	struct words w = {NULL, 0};
	struct err e = {0};

	check_words("-cpu max,+x2apic  -m 1",
		    WORDS("-cpu", "max,+x2apic", "-m", "1"));
	check_words("-append 'a  b' \"c d\" e\\ f",
		    WORDS("-append", "a  b", "c d", "e f"));
	check_words("$MAX_SMP $((MAX_SMP/2)) `echo x y`",
		    WORDS("16", "8", "x", "y"));
	check_words("-append \"ept_access*\" *",
		    WORDS("-append", "ept_access*", "*"));
	check_words("-a 'x'\n-b\n", WORDS("-a", "x", "-b"));
	check_words("-a # not -c\n-b # last", WORDS("-a", "-b"));
	check_words("$(((MAX_SMP < 8)?MAX_SMP:8)) max,{a,b}",
		    WORDS("8", "max,a", "max,b"));
	check_words("-append 'a\nb'", WORDS("-append", "a\nb"));
	check_words("'[0]=x'", WORDS("[0]=x"));
	check_words("''", WORDS(""));
	check_words("\n# nothing\n", WORDS(NULL));
	check_words("", WORDS(NULL));
	assert_int_equal(words_split(&w, "'open", NULL, &e), -EINVAL);
	assert_int_equal(words_true("[ 1 = 1 ]", NULL, &e), 1);
	assert_int_equal(words_true("[ 1 = 2 ]", NULL, &e), 0);
	assert_int_equal(words_true("[[ a != b ]] &&\n[[ c = c ]]", NULL, &e),
			 1);
	assert_int_equal(words_true("! [[ a = a ]] # no", NULL, &e), 0);
	assert_int_equal(words_true("[[ a = a", NULL, &e), -EINVAL);
}

static void test_has_word(void **state)
{
	assert_true(suite_has_word("a bc\td", "bc"));
	assert_true(suite_has_word("a bc\td", "d"));
	assert_false(suite_has_word("a bc\td", "b"));
	assert_false(suite_has_word("abc", "ab"));
	assert_false(suite_has_word(NULL, "ab"));
	assert_false(suite_has_word("a", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_whole_keys),
		cmocka_unit_test(test_triple),
		cmocka_unit_test(test_triple_ends),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_any_text),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_has_word),
	};
	int fd = mkstemp(path), ret;

	if (fd < 0)
		return 1;
	close(fd);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return ret;
}
