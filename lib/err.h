/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error a person reads: one sentence beside the -errno a function returns.
 * The first error wins; wrapping only prefixes it. No allocation.
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include "lib/util.h"

struct err {
	int code;      /* -errno, 0 while nothing went wrong */
	char msg[512]; /* one sentence, no newline */
};

/*
 * Record @code (a negative errno) with a sentence and return @code, so that
 * `return err_set(e, -EINVAL, ...)` is a whole error path. @e may be NULL.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __printf(3, 4);

/* Prefix the recorded sentence with "<text>: " and return its code. */
int err_wrap(struct err *e, const char *fmt, ...) __printf(2, 3);

#endif
