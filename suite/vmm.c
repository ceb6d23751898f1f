/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines and exit statuses. With isa-debug-exit a status is twice the
 * value the test wrote, plus one: 1 is a pass, 3 a failure, 155 a skip (77),
 * 255 an abort (127). kvmtool has no such device: there the last line
 * "EXIT: STATUS=N", with the same N, tells.
 */
#include "suite/vmm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define REASON 256

struct accel {
	const char *name;
	const char *words;
	bool wrap; /* below `lodge kvm --` */
};

enum rule { RULE_DEBUG_EXIT, RULE_STATUS_LINE };

struct suite_vmm {
	const char *name;
	const char *program;   /* NULL: `lodge run` */
	const char *variable;  /* of the environment, names another program */
	struct accel accel[3]; /* the default first */
	const char *defaults;
	const char *kernel, *smp, *args, *initrd, *machine;
	size_t params; /* offset of its parameters in struct suite_test */
	enum rule rule;
};

#define PC_DEVICES                                        \
	"-nodefaults -vnc none -serial stdio -no-reboot " \
	"-device pc-testdev -device pci-testdev "         \
	"-device isa-debug-exit,iobase=0xf4,iosize=0x4"

/* Of QEMU, and of all that take its options. */
#define QEMU_WORDS                                                     \
	.defaults = PC_DEVICES, .kernel = "-kernel", .smp = "-smp",    \
	.args = "-append", .initrd = "-initrd", .machine = "-machine", \
	.params = offsetof(struct suite_test, qemu_params),            \
	.rule = RULE_DEBUG_EXIT

static const struct suite_vmm vmms[] = {
	{
		.name = "lodge",
		.accel = {{"lodge", "-accel lodge"}, {"kvm", "-accel kvm"}},
		QEMU_WORDS,
	},
	{
		.name = "qemu",
		.program = "qemu-system-x86_64",
		.variable = "QEMU",
		.accel = {{"tcg", "-accel tcg"},
			  {"kvm", "-accel kvm"},
			  {"lodge", "-accel kvm", .wrap = true}},
		QEMU_WORDS,
	},
	{
		.name = "kvmtool",
		.program = "lkvm",
		.variable = "KVMTOOL",
		.accel = {{"kvm", ""}, {"lodge", "", .wrap = true}},
		.defaults = "run --nodefaults --network mode=none "
			    "--loglevel=warning",
		.kernel = "--kernel",
		.smp = "--cpus",
		.args = "--params",
		.initrd = "--initrd",
		.params = offsetof(struct suite_test, kvmtool_params),
		.rule = RULE_STATUS_LINE,
	},
};

static const char *const names[VERDICT_COUNT] = {
	"not run", "pass", "skip", "fail", "abort", "timeout", "signal"};

const char *verdict_name(enum verdict v)
{
	return names[v];
}

bool verdict_failed(enum verdict v)
{
	return v >= VERDICT_FAIL;
}

/* ---- targets ---- */

static int bad_target(const char *text, struct err *e)
{
	char list[256];
	size_t i, a, n = 0;

	for (i = 0; i < ARRAY_SIZE(vmms); i++)
		for (a = 0; a < 3 && vmms[i].accel[a].name; a++)
			n += (size_t)snprintf(list + n, sizeof(list) - n,
					      "%s%s:%s", n ? ", " : "",
					      vmms[i].name,
					      vmms[i].accel[a].name);
	return err_set(e, -EINVAL, "'%s' is not one of %s", text, list);
}

static const struct accel *find_accel(const struct suite_vmm *v,
				      const char *name)
{
	size_t a;

	for (a = 0; a < 3 && v->accel[a].name; a++)
		if (!strcmp(v->accel[a].name, name))
			return &v->accel[a];
	return NULL;
}

int suite_target_parse(struct suite_target *t, const char *text,
		       const char *accel, struct err *e)
{
	size_t n = strcspn(text, ":"), i;
	const struct accel *a;

	for (i = 0; i < ARRAY_SIZE(vmms); i++) {
		const struct suite_vmm *v = &vmms[i];

		if (strlen(v->name) != n || strncmp(v->name, text, n))
			continue;
		if (text[n])
			a = find_accel(v, text + n + 1);
		else
			a = accel ? find_accel(v, accel) : &v->accel[0];
		if (!a)
			break;
		t->vmm = v;
		t->accel = a->name;
		snprintf(t->name, sizeof(t->name), "%s:%s", v->name, a->name);
		return 0;
	}
	return bad_target(text, e);
}

/* ---- whether and how ---- */

/* The kernel's KVM and ours are both what a suite means by kvm. */
static bool accel_fits(const char *want, const char *have)
{
	char list[128];
	char *p;

	if (!want || !*want)
		return true;
	snprintf(list, sizeof(list), "%s", want);
	for (p = list; *p; p++)
		if (*p == '|' || *p == ',')
			*p = ' ';
	return suite_has_word(list, have) ||
	       (!strcmp(have, "lodge") && suite_has_word(list, "kvm"));
}

/* "PATH=VALUE ...": true, or @reason says which does not hold. */
static bool checks_hold(const char *check, char *reason)
{
	char *copy = strdup(check ? check : ""), *save, *p;
	bool good = copy != NULL;

	for (p = copy ? strtok_r(copy, " \t\n", &save) : NULL; p && good;
	     p = strtok_r(NULL, " \t\n", &save)) {
		char *eq = strchr(p, '='), value[256] = "";
		FILE *f;

		if (!eq)
			continue;
		*eq = 0;
		f = fopen(p, "re");
		if (f && !fgets(value, sizeof(value), f))
			value[0] = 0;
		if (f)
			fclose(f);
		value[strcspn(value, "\n")] = 0;
		good = f && !strcmp(value, eq + 1);
		if (!good)
			snprintf(reason, REASON, "%s is not %s", p, eq + 1);
	}
	free(copy);
	return good;
}

static int disabled(const struct suite_test *t, const char *const *env,
		    char *reason, struct err *e)
{
	int ret;

	if (!t->disabled_if || !*t->disabled_if)
		return 0;
	ret = words_true(t->disabled_if, env, e);
	if (ret > 0)
		snprintf(reason, REASON, "disabled if %s", t->disabled_if);
	return ret < 0 ? ret : 0;
}

/* Leaves a reason where the test is not for this target. */
static int find_reason(const struct suite_setup *s,
		       const struct suite_target *t,
		       const struct suite_test *test, const char *const *env,
		       char *reason, struct err *e)
{
	const char *machine = s->machine ? s->machine : "pc";

	if (test->arch && *test->arch && strcmp(test->arch, s->arch))
		snprintf(reason, REASON, "%s only", test->arch);
	else if (test->machine && *test->machine &&
		 strcmp(test->machine, machine))
		snprintf(reason, REASON, "machine %s only", test->machine);
	else if (!accel_fits(test->accel, t->accel))
		snprintf(reason, REASON, "%s only", test->accel);
	else if (suite_has_word(test->groups, "migration"))
		snprintf(reason, REASON, "needs a migration harness");
	else if (suite_has_word(test->groups, "panic"))
		snprintf(reason, REASON, "needs a harness for panics");
	else if (checks_hold(test->check, reason))
		return disabled(test, env, reason, e);
	return 0;
}

static int add_program(const struct suite_setup *s,
		       const struct suite_target *t, struct words *w,
		       struct err *e)
{
	const struct accel *a = find_accel(t->vmm, t->accel);
	const char *program = t->vmm->variable ? getenv(t->vmm->variable)
					       : NULL;
	int ret = 0;

	if (!program || !*program)
		program = t->vmm->program;
	if (!program || a->wrap)
		ret = words_add(w, s->lodge, e);
	if (!ret && !program)
		ret = words_add(w, "run", e);
	if (!ret && a->wrap)
		ret = words_split(w, "kvm --", NULL, e);
	if (!ret && program)
		ret = words_add(w, program, e);
	if (!ret)
		ret = words_split(w, t->vmm->defaults, NULL, e);
	return ret ? ret : words_split(w, a->words, NULL, e);
}

static int add_pair(struct words *w, const char *opt, const char *value,
		    struct err *e)
{
	int ret = words_add(w, opt, e);

	return ret ? ret : words_add(w, value, e);
}

/* test_args are one argument of the monitor, whatever they hold. */
static int add_args(struct words *w, const struct suite_vmm *v,
		    const struct suite_test *t, const char *const *env,
		    struct err *e)
{
	struct words args = {NULL, 0};
	char text[4096];
	size_t i, n = 0;
	int ret;

	if (!t->test_args || !*t->test_args)
		return 0;
	ret = words_split(&args, t->test_args, env, e);
	for (i = 0, text[0] = 0; !ret && i < args.n; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
				      i ? " " : "", args.v[i]);
		if (n >= sizeof(text))
			ret = err_set(e, -EINVAL, "[%s]: test_args too long",
				      t->name);
	}
	words_free(&args);
	return ret ? ret : add_pair(w, v->args, text, e);
}

static int resolve_smp(const struct suite_test *t, const char *const *env,
		       char *out, struct err *e)
{
	struct words smp = {NULL, 0};
	int ret = words_split(&smp, t->smp ? t->smp : "1", env, e);

	if (!ret && smp.n != 1)
		ret = err_set(e, -EINVAL, "[%s]: smp is one word", t->name);
	if (!ret)
		snprintf(out, SUITE_SMP, "%s", smp.v[0]);
	words_free(&smp);
	return ret;
}

static void max_smp(const struct suite_setup *s, char *out)
{
	snprintf(out, SUITE_SMP, "MAX_SMP=%d", s->max_smp);
}

int suite_smp(const struct suite_setup *s, const struct suite_test *t,
	      char *out, struct err *e)
{
	char smp[SUITE_SMP];
	const char *const env[] = {smp, NULL};

	max_smp(s, smp);
	return resolve_smp(t, env, out, e);
}

static int add_test(const struct suite_setup *s, const struct suite_vmm *v,
		    const struct suite_test *t, const char *const *env,
		    struct words *w, struct err *e)
{
	const char *params = *(char *const *)((const char *)t + v->params);
	char path[4096], smp[SUITE_SMP];
	int ret;

	snprintf(path, sizeof(path), "%s/%s", s->dir, t->file);
	ret = add_pair(w, v->kernel, path, e);
	if (!ret)
		ret = resolve_smp(t, env, smp, e);
	if (!ret)
		ret = add_pair(w, v->smp, smp, e);
	if (!ret && s->machine && v->machine)
		ret = add_pair(w, v->machine, s->machine, e);
	if (!ret && s->env && v->initrd)
		ret = add_pair(w, v->initrd, s->env, e);
	if (!ret)
		ret = add_args(w, v, t, env, e);
	return ret ? ret : words_split(w, params, env, e);
}

int suite_command(const struct suite_setup *s, const struct suite_target *t,
		  const struct suite_test *test, struct words *out,
		  char *reason, struct err *e)
{
	char smp[SUITE_SMP], accel[32], dir[4096 + 16];
	const char *env[] = {smp, accel, dir, NULL};
	int ret;

	max_smp(s, smp);
	snprintf(accel, sizeof(accel), "ACCEL=%s",
		 strcmp(t->accel, "lodge") ? t->accel : "kvm");
	snprintf(dir, sizeof(dir), "TEST_DIR=%s", s->dir);
	*reason = 0;
	ret = find_reason(s, t, test, env, reason, e);
	if (ret || *reason)
		return ret;
	ret = add_program(s, t, out, e);
	return ret ? ret : add_test(s, t->vmm, test, env, out, e);
}

/* ---- the end ---- */

/* "SUMMARY: ..." of the last lines. */
static void copy_summary(const char *out, char *reason)
{
	static const char tag[] = "SUMMARY: ";
	const char *p, *last = NULL;

	for (p = out; (p = strstr(p, tag)); p += sizeof(tag) - 1)
		if (p == out || p[-1] == '\n')
			last = p + sizeof(tag) - 1;
	if (last)
		snprintf(reason, REASON, "%.*s",
			 (int)MIN(strcspn(last, "\r\n"), 200ul), last);
}

/* The first line on standard error that is no warning. */
static bool copy_error(const char *errors, char *reason)
{
	const char *p = errors;

	while (*p) {
		int n = (int)strcspn(p, "\n");
		char line[200];

		snprintf(line, sizeof(line), "%.*s", n, p);
		if (n && !strcasestr(line, "warning")) {
			snprintf(reason, REASON, "%s", line);
			return true;
		}
		p += n + (p[n] == '\n');
	}
	return false;
}

/* By what the test wrote to the debug port. */
static enum verdict by_value(int value, char *reason)
{
	switch (value) {
	case 0: return VERDICT_PASS;
	case 77: return VERDICT_SKIP;
	case 127: return VERDICT_ABORT;
	default:
		if (!*reason)
			snprintf(reason, REASON, "exit code %d", value);
		return VERDICT_FAIL;
	}
}

static int status_line(const char *out)
{
	static const char tag[] = "EXIT: STATUS=";
	const char *p, *last = NULL;

	for (p = out; (p = strstr(p, tag)); p += sizeof(tag) - 1)
		if (p == out || p[-1] == '\n')
			last = p + sizeof(tag) - 1;
	return last ? atoi(last) : -1;
}

static enum verdict judge_status(int status, const struct suite_end *end,
				 char *reason)
{
	/* a monitor that cannot start has status 1 as well */
	if (status == 1 && !*reason && copy_error(end->errors, reason))
		return VERDICT_FAIL;
	if (status & 1)
		return by_value(status >> 1, reason);
	if (!copy_error(end->errors, reason))
		snprintf(reason, REASON, "ended with status %d, not by itself",
			 status);
	return VERDICT_FAIL;
}

/* A guest's bytes go into reports that others read. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static enum verdict judge(const struct suite_target *t,
			  const struct suite_end *end, char *reason)
{
	int status;

	copy_summary(end->out, reason);
	if (end->timed_out)
		return VERDICT_TIMEOUT;
	if (WIFSIGNALED(end->status)) {
		snprintf(reason, REASON, "SIG%s",
			 sigabbrev_np(WTERMSIG(end->status)));
		return VERDICT_SIGNAL;
	}
	status = WEXITSTATUS(end->status);
	if (status == 127 && copy_error(end->errors, reason))
		return VERDICT_FAIL;
	if (t->vmm->rule == RULE_STATUS_LINE)
		status = status_line(end->out);
	if (status < 0) {
		if (!copy_error(end->errors, reason))
			snprintf(reason, REASON, "no exit status was printed");
		return VERDICT_FAIL;
	}
	return judge_status(status, end, reason);
}

enum verdict suite_judge(const struct suite_target *t,
			 const struct suite_test *test,
			 const struct suite_end *end, char *reason)
{
	enum verdict v;

	*reason = 0;
	v = judge(t, end, reason);
	make_plain(reason);
	return v;
}
