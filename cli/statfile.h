/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters that processes with VMs of ours keep in files, read from
 * outside: KVM API "KVM_GET_STATS_FD" has the format.
 */
#ifndef CLI_STATFILE_H
#define CLI_STATFILE_H

#include <sys/types.h>

#include "lib/err.h"

#define STATFILE_NAME 64
#define STATFILE_ROWS 128

/* Counters of one name, summed over all files that have it. */
struct stat_row {
	char name[STATFILE_NAME];
	uint64_t value;
};

struct stat_sum {
	struct stat_row row[STATFILE_ROWS];
	unsigned int rows;
	unsigned int vms, vcpus; /* how many files were of each */
};

/* Add what the file @fd holds. -EINVAL when it is not such a file. */
int statfile_add(struct stat_sum *sum, int fd) __must_check;

/*
 * Add all of a process, or with @pid 0 of every process that may be looked
 * into. 0 also when it has none; -ESRCH, -EACCES with a sentence.
 */
int statfile_add_process(struct stat_sum *sum, pid_t pid,
			 struct err *e) __must_check;

/* The row of this name, or NULL. */
const struct stat_row *statfile_find(const struct stat_sum *sum,
				     const char *name);

/*
 * How much a counter grew per second; 0 when it is in one of them only, or
 * went back, as it does when a VM ends. @before may be NULL.
 */
double statfile_rate(const struct stat_sum *now, const struct stat_sum *before,
		     const char *name, double seconds);

#endif
