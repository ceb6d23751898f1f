/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are to use our KVM: finding them, and judging whether a
 * library can be loaded into them.
 */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <stdbool.h>

#include "lib/err.h"

/* Look @name up as execvp() does; @path has PATH_MAX bytes. */
int program_find(const char *name, char *path, struct err *e) __must_check;

/* 0 when the shim can be loaded into the program at @path. */
int program_check(const char *path, struct err *e) __must_check;

/* Where the shim is; @path has PATH_MAX bytes. */
int program_find_shim(char *path, struct err *e) __must_check;

/* Whether this host can make CPUID fault; whether it can be replaced. */
bool program_can_fault_cpuid(void);
bool program_can_patch_cpuid(void);

/*
 * Tell the shim and the library which vendor guests and clients are to see;
 * NULL for the host's.
 */
int program_set_vendor(const char *vendor, struct err *e) __must_check;

/* Whether that is another vendor than the processor's. */
bool program_other_vendor(void);

#endif
