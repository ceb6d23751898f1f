/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ASSERT is for our own bugs and stays on in release builds. The kvm room
 * may install a hook that marks the machine dead before the process ends.
 */
#ifndef LIB_CHECK_H
#define LIB_CHECK_H

#include "lib/util.h"

#define ASSERT(cond)                                             \
	do {                                                     \
		if (unlikely(!(cond)))                           \
			check_failed(#cond, __FILE__, __LINE__); \
	} while (0)

/* Print the failed condition to stderr and abort. Never returns. */
void check_failed(const char *cond, const char *file, int line) __noreturn;

#endif
