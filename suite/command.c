/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a test is for a target, and the command line that runs it there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite/vmm.h"
#include "suite/vmmdef.h"

/* The item of "a|b,properties" that is @have, or NULL. */
static const char *find_item(const char *list, const char *have)
{
	size_t n = strlen(have);
	const char *p;

	for (p = list; *p; p += strcspn(p, "| \t\n")) {
		p += strspn(p, "| \t\n");
		if (strcspn(p, ",| \t\n") == n && n && !strncmp(p, have, n))
			return p;
	}
	return NULL;
}

/* No list has all. */
static bool fits(const char *list, const char *have)
{
	return !list || !*list || find_item(list, have);
}

/* The kernel's KVM and ours are both what a suite means by kvm. */
static const char *find_accel(const char *list, const char *have)
{
	const char *p = find_item(list, have);

	return p || strcmp(have, "lodge") ? p : find_item(list, "kvm");
}

static bool accel_fits(const char *list, const char *have)
{
	return !list || !*list || find_accel(list, have);
}

/* Whether the file holds @value and nothing else but its last newlines. */
static bool file_is(const char *path, const char *value)
{
	FILE *f = fopen(path, "re");
	size_t n = strlen(value), i = 0;
	bool same = f != NULL;
	int c;

	while (same && (c = fgetc(f)) != EOF) {
		if (i < n)
			same = c == (unsigned char)value[i++];
		else
			same = c == '\n';
	}
	if (f)
		fclose(f);
	return same && i == n;
}

/* "PATH=VALUE ...": @reason says which does not hold. */
static int run_checks(const struct suite_test *t, const char *check,
		      char *reason, struct err *e)
{
	char *copy = strdup(check ? check : ""), *save, *p;
	int ret = copy ? 0 : err_set(e, -ENOMEM, "no memory");

	for (p = copy ? strtok_r(copy, " \t\n", &save) : NULL;
	     p && !ret && !*reason; p = strtok_r(NULL, " \t\n", &save)) {
		char *eq = strchr(p, '=');

		if (!eq || eq == p) {
			ret = err_set(e, -EINVAL,
				      "[%s]: check is PATH=VALUE, not '%s'",
				      t->name, p);
			break;
		}
		*eq = 0;
		if (!file_is(p, eq + 1))
			snprintf(reason, REASON, "%s is not %s", p, eq + 1);
	}
	free(copy);
	return ret;
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
	bool wants = test->machine && *test->machine;
	int ret;

	if (!fits(test->arch, s->arch))
		snprintf(reason, REASON, "%s only", test->arch);
	else if (wants && (!t->vmm->machine ||
			   (s->machine && strcmp(test->machine, s->machine))))
		snprintf(reason, REASON, "machine %s only", test->machine);
	else if (!accel_fits(test->accel, t->accel))
		snprintf(reason, REASON, "%s only", test->accel);
	else if (suite_has_word(test->groups, "migration"))
		snprintf(reason, REASON, "needs a migration harness");
	else if (suite_has_word(test->groups, "panic"))
		snprintf(reason, REASON, "needs a harness for panics");
	if (*reason)
		return 0;
	ret = run_checks(test, s->check ? s->check : test->check, reason, e);
	return ret || *reason ? ret : disabled(test, env, reason, e);
}

/* "tcg,thread=single": what is behind the name is the monitor's to take. */
static int add_accel(const struct suite_target *t,
		     const struct suite_test *test, struct words *w,
		     struct err *e)
{
	const char *words = vmm_accel(t->vmm, t->accel)->words;
	const char *p = find_accel(test->accel ? test->accel : "", t->accel);
	char text[256];
	int n;

	if (!*words || !p)
		return words_split(w, words, NULL, e);
	p += strcspn(p, ",| \t\n");
	n = snprintf(text, sizeof(text), "%s%.*s", words,
		     (int)strcspn(p, "| \t\n"), p);
	if (n >= (int)sizeof(text))
		return err_set(e, -EINVAL, "[%s]: accel is too long",
			       test->name);
	return words_split(w, text, NULL, e);
}

static int add_program(const struct suite_setup *s,
		       const struct suite_target *t,
		       const struct suite_test *test, struct words *w,
		       struct err *e)
{
	const struct accel *a = vmm_accel(t->vmm, t->accel);
	const char *program = vmm_program(t->vmm);
	int ret = 0;

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
	return ret ? ret : add_accel(t, test, w, e);
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
	if (!ret && strlen(smp.v[0]) >= SUITE_SMP)
		ret = err_set(e, -EINVAL, "[%s]: smp is too long", t->name);
	if (!ret)
		snprintf(out, SUITE_SMP, "%s", smp.v[0]);
	words_free(&smp);
	return ret;
}

static int set_env(struct words *env, const char *name, const char *value,
		   struct err *e)
{
	char *text;
	int ret;

	if (asprintf(&text, "%s=%s", name, value ? value : "") < 0)
		return err_set(e, -ENOMEM, "no memory");
	ret = words_add(env, text, e);
	free(text);
	return ret;
}

/* What the shell text of a suite may refer to. */
static int make_env(const struct suite_setup *s, const struct suite_target *t,
		    const struct suite_test *test, struct words *env,
		    struct err *e)
{
	const char *accel = t && strcmp(t->accel, "lodge") ? t->accel : "kvm";
	const char *machine = s->machine ? s->machine : test->machine;
	const char *target = t ? t->vmm->target : "qemu";
	const char *const pairs[][2] = {
		{"ACCEL", accel},     {"TARGET", target},
		{"MACHINE", machine}, {"ARCH", s->arch},
		{"TEST_DIR", s->dir}, {"TESTNAME", test->name},
		{"CONFIG_EFI", "n"},
	};
	char smp[16];
	size_t i;
	int ret;

	snprintf(smp, sizeof(smp), "%d", s->max_smp);
	ret = set_env(env, "MAX_SMP", smp, e);
	for (i = 0; i < ARRAY_SIZE(pairs) && !ret; i++)
		ret = set_env(env, pairs[i][0], pairs[i][1], e);
	return ret;
}

int suite_smp(const struct suite_setup *s, const struct suite_test *t,
	      char *out, struct err *e)
{
	struct words env = {NULL, 0};
	int ret = make_env(s, NULL, t, &env, e);

	if (!ret)
		ret = resolve_smp(t, (const char *const *)env.v, out, e);
	words_free(&env);
	return ret;
}

static int add_test(const struct suite_setup *s, const struct suite_vmm *v,
		    const struct suite_test *t, const char *const *env,
		    struct words *w, struct err *e)
{
	const char *params = *(char *const *)((const char *)t + v->params);
	const char *machine = s->machine ? s->machine : t->machine;
	char path[4096], smp[SUITE_SMP];
	int ret;

	snprintf(path, sizeof(path), "%s/%s", s->dir, t->file);
	ret = add_pair(w, v->kernel, path, e);
	if (!ret)
		ret = resolve_smp(t, env, smp, e);
	if (!ret)
		ret = add_pair(w, v->smp, smp, e);
	if (!ret && v->machine && machine && *machine)
		ret = add_pair(w, v->machine, machine, e);
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
	struct words env = {NULL, 0};
	const char *const *v;
	int ret = make_env(s, t, test, &env, e);

	*reason = 0;
	v = (const char *const *)env.v;
	if (!ret)
		ret = find_reason(s, t, test, v, reason, e);
	if (!ret && !*reason)
		ret = add_program(s, t, test, out, e);
	if (!ret && !*reason)
		ret = add_test(s, t->vmm, test, v, out, e);
	words_free(&env);
	return ret;
}
