/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures that are known: a list that is kept beside a suite, so that only
 * what is new counts. A line is
 *
 *	TEST TARGET VERDICT[|VERDICT]... [REASON] [# why]
 *
 * REASON, where there is one, must be what the test says, so that a test
 * that fails in one place more is noticed. A listed test with another verdict
 * is told as well: the list does not outlive its reasons.
 */
#ifndef SUITE_KNOWN_H
#define SUITE_KNOWN_H

#include <stdio.h>

#include "suite/job.h"

struct known_entry {
	char *test, *target, *verdicts, *reason;
	unsigned int line;
};

struct known {
	char *path;
	struct known_entry *v;
	size_t n;
};

/* Add the lines of @path. -errno, -EINVAL for a line that is none. */
int known_read(struct known *k, const char *path, struct err *e);
void known_free(struct known *k);

/* Whether it is a failure as listed. */
bool known_is(const struct known *k, const struct suite_result *r);

/* Tells @f of listed tests that @s does not have; returns their number. */
unsigned int known_check(const struct known *k, const struct suite *s, FILE *f);

/*
 * Mark the results that are as listed. Those that ran and are listed with
 * another verdict are told to @f; returns their number.
 */
unsigned int known_apply(const struct known *k, struct suite_results *r,
			 FILE *f);

#endif
