/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines and verdicts of each monitor.
 */
#include "suite/vmm.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct suite_setup setup = {
	.lodge = "/bin/lodge", .dir = "/t", .arch = "x86_64", .max_smp = 4};

static struct suite_target target(const char *name)
{
	struct suite_target t;
	struct err e = {0};

	if (suite_target_parse(&t, name, NULL, &e))
		fail_msg("%s", e.msg);
	return t;
}

/* The command line as one string, or the reason in brackets. */
static const char *command(const char *name, const struct suite_setup *s,
			   const struct suite_test *test)
{
	struct suite_target t = target(name);
	struct words w = {NULL, 0};
	static char text[4096];
	char reason[256];
	struct err e = {0};

	text[0] = 0;
	if (suite_command(s, &t, test, &w, reason, &e))
		snprintf(text, sizeof(text), "!%s", e.msg);
	else if (*reason)
		snprintf(text, sizeof(text), "(%s)", reason);
	for (size_t i = 0; i < w.n && !*reason; i++) {
		strcat(text, i ? "|" : "");
		strcat(text, w.v[i]);
	}
	words_free(&w);
	return text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in '%s'", part, text);
}

static void test_targets(void **state)
{
	struct suite_target t;
	struct err e = {0};

	assert_string_equal(target("lodge").name, "lodge:lodge");
	assert_string_equal(target("qemu").name, "qemu:tcg");
	assert_string_equal(target("kvmtool:lodge").name, "kvmtool:lodge");
	assert_int_equal(suite_target_parse(&t, "qemu", "kvm", &e), 0);
	assert_string_equal(t.name, "qemu:kvm");
	assert_int_equal(suite_target_parse(&t, "qem", NULL, &e), -EINVAL);
	assert_int_equal(suite_target_parse(&t, "lodge:tcg", NULL, &e),
			 -EINVAL);
	has(e.msg, "qemu:tcg, qemu:kvm, qemu:lodge");
	e.code = 0;
	assert_int_equal(suite_target_parse(&t, "lodge", "tcg", &e), -EINVAL);
	has(e.msg, "'lodge:tcg' is not one of ");
}

static void test_commands(void **state)
{
	struct suite_test t = {
		.name = (char *)"x",
		.file = (char *)"x.flat",
		.smp = (char *)"$MAX_SMP",
		.test_args = (char *)"a \"b  c\"",
		.qemu_params = (char *)"-cpu max -m 256",
		.kvmtool_params = (char *)"--mem 256",
	};
	struct suite_setup s = setup;
	const char *c;

	unsetenv("QEMU");
	c = command("lodge", &s, &t);
	has(c, "/bin/lodge|run|-nodefaults|");
	has(c, "|-accel|lodge|-kernel|/t/x.flat|-smp|4|-append|a b  c|"
	       "-cpu|max|-m|256");
	c = command("qemu:lodge", &s, &t);
	has(c, "/bin/lodge|kvm|--|qemu-system-x86_64|-nodefaults|");
	has(c, "|-device|pci-testdev|");
	has(c, "|-accel|kvm|-kernel|");
	c = command("kvmtool:kvm", &s, &t);
	assert_string_equal(c, "lkvm|run|--nodefaults|--network|mode=none|"
			       "--loglevel=warning|--kernel|/t/x.flat|--cpus|"
			       "4|--params|a b  c|--mem|256");
	s.machine = "q35";
	s.env = "/e";
	c = command("qemu:tcg", &s, &t);
	has(c, "|-smp|4|-machine|q35|-initrd|/e|-append|");
	setenv("QEMU", "/my/qemu", 1);
	has(command("qemu:tcg", &s, &t), "/my/qemu|-nodefaults");
	unsetenv("QEMU");
	t.smp = (char *)"1 2";
	has(command("qemu:tcg", &s, &t), "!");
	t.smp = (char *)"cpus=16,sockets=2,dies=2,cores=2,threads=2,maxcpus=16";
	has(command("qemu:tcg", &s, &t),
	    "|-smp|cpus=16,sockets=2,dies=2,cores=2,threads=2,maxcpus=16|");
	t.smp = (char *)"$((($MAX_SMP < 8)?$MAX_SMP:8))";
	has(command("lodge", &s, &t), "|-smp|4|");
}

/* Values over several lines, each monitor its own. */
static void test_lines(void **state)
{
	struct suite_test t = {
		.name = (char *)"x",
		.file = (char *)"x.flat",
		.test_args = (char *)"\none # first\n'two  three'\n",
		.qemu_params = (char *)"-cpu max # all\n# -m 1\n-m 256\n",
		.kvmtool_params = (char *)"--mem 1 \n --x\n",
	};

	has(command("qemu", &setup, &t), "|-append|one two  three|-cpu|max|-m|"
					 "256");
	has(command("kvmtool", &setup, &t), "|--params|one two  three|--mem|1|"
					    "--x");
}

/* What the text of a suite refers to. */
static void test_variables(void **state)
{
	struct suite_test t = {
		.name = (char *)"x",
		.file = (char *)"x.flat",
		.disabled_if = (char *)"[[ \"$TARGET\" != qemu ]]",
		.qemu_params = (char *)"$TARGET $ACCEL $ARCH $TESTNAME "
				       "$TEST_DIR $CONFIG_EFI $MAX_SMP",
	};

	has(command("qemu:tcg", &setup, &t), "|qemu|tcg|x86_64|x|/t|n|4");
	has(command("lodge", &setup, &t), "|qemu|kvm|x86_64|x|/t|n|4");
	has(command("kvmtool", &setup, &t), "(disabled if [[ ");
	t.disabled_if = (char *)"[[ \"$TARGET\" = qemu ]] &&\n"
				"[[ $CONFIG_EFI = y ]]";
	has(command("qemu:tcg", &setup, &t), "qemu");
	t.disabled_if = (char *)"[[ \"$TARGET\" = qemu";
	has(command("qemu:tcg", &setup, &t), "!bash does not take '[[ ");
}

/* A test's machine is what it runs on, unless another is asked for. */
static void test_machines(void **state)
{
	struct suite_test t = {.name = (char *)"x",
			       .file = (char *)"x",
			       .machine = (char *)"q35"};
	struct suite_setup s = setup;

	has(command("qemu:tcg", &s, &t), "|-machine|q35");
	has(command("lodge", &s, &t), "|-machine|q35");
	assert_string_equal(command("kvmtool", &s, &t), "(machine q35 only)");
	s.machine = "pc";
	assert_string_equal(command("lodge", &s, &t), "(machine q35 only)");
	s.machine = "q35";
	has(command("lodge", &s, &t), "|-machine|q35");
	t.machine = NULL;
	has(command("lodge", &s, &t), "|-machine|q35");
}

static void test_reasons(void **state)
{
	struct suite_test t = {.name = (char *)"x", .file = (char *)"x"};

	t.arch = (char *)"i386";
	assert_string_equal(command("lodge", &setup, &t), "(i386 only)");
	t.arch = (char *)"x86_64";
	t.accel = (char *)"kvm";
	has(command("lodge:lodge", &setup, &t), "run");
	has(command("qemu:kvm", &setup, &t), "qemu");
	assert_string_equal(command("qemu:tcg", &setup, &t), "(kvm only)");
	t.accel = (char *)"kvm|tcg";
	has(command("qemu:tcg", &setup, &t), "qemu");
	t.accel = (char *)"kvm | tcg,thread=single";
	has(command("qemu:tcg", &setup, &t), "|-accel|tcg,thread=single|");
	has(command("qemu:kvm", &setup, &t), "|-accel|kvm|");
	has(command("lodge", &setup, &t), "|-accel|lodge|");
	t.accel = (char *)"kvm,dirty-ring-size=64";
	has(command("qemu:lodge", &setup, &t),
	    "|-accel|kvm,dirty-ring-size=64|");
	has(command("kvmtool", &setup, &t), "|--loglevel=warning|--kernel|");
	assert_string_equal(command("qemu:tcg", &setup, &t),
			    "(kvm,dirty-ring-size=64 only)");
	t.accel = NULL;
	t.check = (char *)"/proc/sys/kernel/ostype=Linux";
	has(command("lodge", &setup, &t), "run");
	t.check = (char *)"/proc/sys/kernel/ostype=Linux /dev/null=1";
	assert_string_equal(command("lodge", &setup, &t),
			    "(/dev/null is not 1)");
	t.check = (char *)"/proc/self/status=Name:";
	has(command("lodge", &setup, &t), " is not ");
	t.check = (char *)"/proc/sys/kernel/ostype = Linux";
	assert_string_equal(command("lodge", &setup, &t),
			    "![x]: check is PATH=VALUE, not "
			    "'/proc/sys/kernel/ostype'");
	t.check = NULL;
	t.disabled_if = (char *)"[ $ACCEL = kvm ]";
	assert_string_equal(command("lodge", &setup, &t),
			    "(disabled if [ $ACCEL = kvm ])");
	has(command("qemu:tcg", &setup, &t), "qemu");
	t.disabled_if = NULL;
	t.arch = (char *)"i386|x86_64";
	has(command("qemu:tcg", &setup, &t), "qemu");
}

static enum verdict judge(const char *name, int status, const char *out,
			  const char *errors, char *reason)
{
	struct suite_target t = target(name);
	struct suite_end end = {
		.status = status << 8, .out = out, .errors = errors};

	return suite_judge(&t, NULL, &end, reason);
}

static void test_verdicts(void **state)
{
	struct suite_target t = target("qemu");
	struct suite_end end = {.status = SIGSEGV, .out = "", .errors = ""};
	char reason[256];

	assert_int_equal(judge("qemu", 1, "x\nSUMMARY: 3 tests\n", "", reason),
			 VERDICT_PASS);
	assert_string_equal(reason, "3 tests");
	assert_int_equal(judge("qemu", 1, "", "qemu: no such thing\n", reason),
			 VERDICT_FAIL);
	assert_string_equal(reason, "qemu: no such thing");
	assert_int_equal(judge("qemu", 1, "", "qemu: Warning: x\n", reason),
			 VERDICT_PASS);
	assert_int_equal(judge("qemu", 3, "", "", reason), VERDICT_FAIL);
	assert_string_equal(reason, "exit code 1");
	assert_int_equal(judge("qemu", 155, "", "", reason), VERDICT_SKIP);
	assert_int_equal(judge("qemu", 255, "", "", reason), VERDICT_ABORT);
	assert_int_equal(judge("lodge", 0, "", "", reason), VERDICT_FAIL);
	assert_int_equal(judge("qemu", 127, "", "q: not found\n", reason),
			 VERDICT_FAIL);
	assert_int_equal(judge("kvmtool", 0, "\nEXIT: STATUS=1\n", "", reason),
			 VERDICT_PASS);
	assert_int_equal(judge("kvmtool", 0, "\nEXIT: STATUS=3\n", "", reason),
			 VERDICT_FAIL);
	assert_int_equal(judge("kvmtool", 0, "nothing\n", "", reason),
			 VERDICT_FAIL);
	assert_int_equal(suite_judge(&t, NULL, &end, reason), VERDICT_SIGNAL);
	assert_string_equal(reason, "SIGSEGV");
	assert_int_equal(judge("qemu", 0, "",
			       "qemu: terminating on signal 15 from pid 1\n",
			       reason),
			 VERDICT_SIGNAL);
	assert_string_equal(reason, "SIGTERM");
	end.timed_out = true;
	assert_int_equal(suite_judge(&t, NULL, &end, reason), VERDICT_TIMEOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_machines),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
