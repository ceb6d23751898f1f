/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of the table of monitors, for those who make command lines of it and
 * judge what came of them.
 */
#ifndef SUITE_VMMDEF_H
#define SUITE_VMMDEF_H

#include <stdbool.h>
#include <stddef.h>

#define REASON 256

struct accel {
	const char *name;
	const char *words;
	bool wrap; /* below `lodge kvm --` */
};

/* How the end of a monitor tells a test's verdict: judge.c. */
enum rule { RULE_DEBUG_EXIT, RULE_STATUS_LINE };

struct suite_vmm {
	const char *name;
	const char *target;    /* what suites call it: $TARGET */
	const char *program;   /* NULL: `lodge run` */
	const char *variable;  /* of the environment, names another program */
	struct accel accel[3]; /* the default first */
	const char *defaults;
	const char *kernel, *smp, *args, *initrd, *machine;
	size_t params; /* offset of its parameters in struct suite_test */
	enum rule rule;
};

/* The program's name, NULL for `lodge run`. */
const char *vmm_program(const struct suite_vmm *v);

/* By its name, or NULL. */
const struct accel *vmm_accel(const struct suite_vmm *v, const char *name);

#endif
