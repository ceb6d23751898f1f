/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the checks that run inside a booted guest share. A check returns 0
 * when all was right, and says on stderr what was not.
 */
#ifndef BOOT_GUEST_CHECK_H
#define BOOT_GUEST_CHECK_H

#include <stdio.h>
#include <stdint.h>

int check_cpuinfo(void);
int check_storm(void);
int check_signal(void);
int check_ptrace(void);
int check_fpu(void);
int check_clock(void);
int check_drift(void);
int check_topology(void);
int check_blkrandom(void);
int check_blktick(void);

int64_t now_ns(void);
int cpu_count(void);

/* Ends the check it stands in with a sentence. */
#define FAIL(...)                                               \
	do {                                                    \
		fprintf(stderr, "%s:%d: ", __func__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                   \
		fputc('\n', stderr);                            \
		return 1;                                       \
	} while (0)

/* Not checks by name: code off a disk; a file to a TCP port and back. */
int check_code(const char *path);
int check_receive(const char *port, const char *path);
int check_feature(const char *name, const char *feature, const char *set);
int check_send(const char *address, const char *port, const char *path);

#endif
