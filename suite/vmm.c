/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of monitors, and targets by name.
 */
#include "suite/vmm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite/vmmdef.h"

#define PC_DEVICES                                        \
	"-nodefaults -vnc none -serial stdio -no-reboot " \
	"-device pc-testdev -device pci-testdev "         \
	"-device isa-debug-exit,iobase=0xf4,iosize=0x4"

/* Of QEMU, and of all that take its options. */
#define QEMU_WORDS                                                     \
	.target = "qemu", .defaults = PC_DEVICES, .kernel = "-kernel", \
	.smp = "-smp", .args = "-append", .initrd = "-initrd",         \
	.machine = "-machine",                                         \
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
		.target = "kvmtool",
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

static int bad_target(const char *text, const char *accel, struct err *e)
{
	char list[256];
	size_t i, a, n = 0;

	for (i = 0; i < ARRAY_SIZE(vmms); i++)
		for (a = 0; a < 3 && vmms[i].accel[a].name; a++)
			n += (size_t)snprintf(list + n, sizeof(list) - n,
					      "%s%s:%s", n ? ", " : "",
					      vmms[i].name,
					      vmms[i].accel[a].name);
	return err_set(e, -EINVAL, "'%s%s%s' is not one of %s", text,
		       accel ? ":" : "", accel ? accel : "", list);
}

const struct accel *vmm_accel(const struct suite_vmm *v, const char *name)
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
			a = vmm_accel(v, text + n + 1);
		else
			a = accel ? vmm_accel(v, accel) : &v->accel[0];
		if (!a)
			break;
		t->vmm = v;
		t->accel = a->name;
		snprintf(t->name, sizeof(t->name), "%s:%s", v->name, a->name);
		return 0;
	}
	return bad_target(text, text[n] ? NULL : accel, e);
}

const char *vmm_program(const struct suite_vmm *v)
{
	const char *program = v->variable ? getenv(v->variable) : NULL;

	return program && *program ? program : v->program;
}

static bool in_path(const char *program)
{
	const char *p = getenv("PATH");
	char path[4096];

	if (strchr(program, '/'))
		return !access(program, X_OK);
	for (; p && *p; p += strspn(p, ":")) {
		int n = (int)strcspn(p, ":");

		snprintf(path, sizeof(path), "%.*s/%s", n, p, program);
		if (!access(path, X_OK))
			return true;
		p += n;
	}
	return false;
}

int suite_target_find(const struct suite_target *t, struct err *e)
{
	const char *program = vmm_program(t->vmm);

	if (!program || in_path(program))
		return 0;
	return err_set(e, -ENOENT, "%s: there is no %s; $%s names another",
		       t->name, program, t->vmm->variable);
}
