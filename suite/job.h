/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of tests: several at a time, each in a process group of its own with
 * a time limit and a log.
 */
#ifndef SUITE_JOB_H
#define SUITE_JOB_H

#include "suite/vmm.h"

struct suite_result {
	char *test;
	char *target;
	enum verdict verdict;
	char reason[256];
	char *log; /* path, NULL if it did not run */
	double seconds;
	unsigned int tries; /* more than 1: it failed before */
	unsigned int of;    /* tests in all shards together; 0: unknown */
	bool known;         /* a failure that was expected: suite/known.h */
};

struct suite_results {
	struct suite_result *v;
	size_t n;
};

/* One test on one target. */
struct suite_job {
	const struct suite_test *test;
	const struct suite_target *target;
	struct suite_result *result;
};

struct suite_run {
	struct suite_setup setup;
	const char *logs;     /* directory, made if need be */
	unsigned int jobs;    /* at once */
	unsigned int retries; /* of what failed */
	double timeout;       /* seconds of a test that names none; 0: none */
	double overall;       /* of the whole run; 0: none */
	const struct suite_target *target; /* of listings */
	size_t targets;
	/* a failure not worth a retry; NULL: none is */
	bool (*expected)(const struct suite_result *r, void *arg);
	/* told of each result when it is there */
	void (*progress)(const struct suite_result *r, void *arg);
	void *arg;
};

/*
 * Run @n jobs. SIGINT, SIGTERM and SIGHUP end all children; what did not run
 * stays VERDICT_NONE. Nothing that a child started is left when this returns,
 * in whatever session. Returns 0, the signal's number, or -errno.
 */
int suite_run_jobs(const struct suite_run *run, struct suite_job *jobs,
		   size_t n, struct err *e);

#define SUITE_LOG_NAME 256

/*
 * Where the output of @test on @target goes, without ".log": tests of
 * different names have different files, whatever their names are.
 */
void suite_log_name(char *out, const char *test, const char *target);

/* "90", "90s", "10m", "1h", "1d" in seconds, or -1. */
double suite_duration(const char *text);

#endif
