/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of a process that may run VMs.
 */
#ifndef CLI_PROCINFO_H
#define CLI_PROCINFO_H

#include <sys/types.h>

#include "lib/util.h"

struct procinfo {
	char name[32];      /* -name of its command line, or its program */
	double cpu_seconds; /* user and system time of all its threads */
	unsigned long long start; /* with the number, tells processes apart */
	uint64_t resident;        /* bytes */
};

/* -errno when there is no such process (any more). */
int procinfo_read(pid_t pid, struct procinfo *info) __must_check;

#endif
