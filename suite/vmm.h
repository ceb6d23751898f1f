/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitors a suite can run on, a row each, and how a test's parameters
 * become a command line of theirs.
 */
#ifndef SUITE_VMM_H
#define SUITE_VMM_H

#include "suite/cfg.h"
#include "suite/words.h"

/* What is known when a test has ended. */
struct suite_end {
	int status;         /* as of waitpid() */
	bool timed_out;     /* we ended it */
	const char *out;    /* what it printed, zero-terminated */
	const char *errors; /* on standard error, likewise */
};

enum verdict {
	VERDICT_NONE, /* not run */
	VERDICT_PASS,
	VERDICT_SKIP,
	VERDICT_FAIL,
	VERDICT_ABORT,
	VERDICT_TIMEOUT,
	VERDICT_SIGNAL,
};
#define VERDICT_COUNT (VERDICT_SIGNAL + 1)

struct suite_vmm;

/* A monitor with an accelerator: a column of the table. */
struct suite_target {
	const struct suite_vmm *vmm;
	const char *accel; /* "lodge", "kvm", "tcg" */
	char name[32];     /* "qemu:tcg" */
};

/* What all tests of a run share. */
struct suite_setup {
	const char *lodge;   /* path of this program */
	const char *dir;     /* of the tests' files */
	const char *machine; /* NULL: a test's own, or the monitor's */
	const char *arch;    /* "x86_64" or "i386" */
	const char *env;     /* file with NAME=value lines, or NULL */
	const char *check;   /* instead of the tests' own, or NULL */
	int max_smp;
};

/*
 * "VMM" or "VMM:ACCEL"; without, @accel or the monitor's first. -EINVAL names
 * what is accepted.
 */
int suite_target_parse(struct suite_target *t, const char *text,
		       const char *accel, struct err *e);

/* -ENOENT where the monitor's program is not to be found; it says how. */
int suite_target_find(const struct suite_target *t, struct err *e);

/*
 * Why the test is not run on the target (""), or the command line for it.
 * @reason has 256 bytes. -EINVAL where the test's parameters are no words.
 */
int suite_command(const struct suite_setup *s, const struct suite_target *t,
		  const struct suite_test *test, struct words *out,
		  char *reason, struct err *e);

#define SUITE_SMP 256

/* The number of processors in words, "1" where none is said; SUITE_SMP. */
int suite_smp(const struct suite_setup *s, const struct suite_test *t,
	      char *out, struct err *e);

/* The verdict by the monitor's convention, and in @reason (256) why. */
enum verdict suite_judge(const struct suite_target *t,
			 const struct suite_test *test,
			 const struct suite_end *end, char *reason);

const char *verdict_name(enum verdict v);
bool verdict_failed(enum verdict v);

#endif
