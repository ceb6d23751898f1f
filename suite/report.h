/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results for people and for programs.
 */
#ifndef SUITE_REPORT_H
#define SUITE_REPORT_H

#include <stdio.h>

#include "suite/job.h"

struct suite_counts {
	unsigned int passed, failed, skipped, missing, differ, flaky, known;
	unsigned int lost; /* of missing: in no file that was merged */
};

/* All results of one test lie side by side, in the targets' order. */
void report_count(const struct suite_results *r, struct suite_counts *c);

/* The same for shards put together: what is in none of them is missing. */
void report_count_lost(const struct suite_results *r, struct suite_counts *c);

/*
 * A column per target; where they disagree the row is marked with '*'. Known
 * failures are in parentheses.
 */
void report_table(FILE *f, const struct suite_results *r, bool colour);

/* One line of progress. */
void report_line(FILE *f, const struct suite_result *r, bool colour);

/* "N passed, N failed, N skipped" */
void report_summary(FILE *f, const struct suite_counts *c);

void report_tap(FILE *f, const struct suite_results *r);
void report_junit(FILE *f, const struct suite_results *r);

/* An array of objects, one per test and target; "": to standard output. */
int report_json(const char *path, const struct suite_results *r, struct err *e);

/*
 * Add the results of a file report_json() wrote. A test and target that is
 * there already is replaced, so that merging twice changes nothing. -errno;
 * -EINVAL where the file is something else.
 */
int report_merge(const char *path, struct suite_results *r, struct err *e);

/*
 * An array of objects with every parameter of each test, defaults among them,
 * and what would be run on each of @run's targets;
 * @path as for report_json().
 */
int report_list_json(const char *path, const struct suite_run *run,
		     const struct suite_test *const *tests, size_t n,
		     struct err *e);
void report_free(struct suite_results *r);

#endif
