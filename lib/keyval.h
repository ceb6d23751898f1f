/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of option values: "first,key=value,key=value" where ",," is a
 * comma inside a value, and numbers and sizes as QEMU's command line has
 * them.
 */
#ifndef LIB_KEYVAL_H
#define LIB_KEYVAL_H

#include "lib/err.h"

#define KEYVAL_MAX 4096 /* longest key or value, with its NUL */

/* One element of a list; the strings are copies. */
struct keyval {
	char key[KEYVAL_MAX];
	char value[KEYVAL_MAX];
	bool bare; /* no '=': the text is in value, key is empty */
};

/*
 * Take the next element from *@text, which moves on. Returns 1, 0 at the end
 * of the text, or -EINVAL.
 */
int keyval_next(const char **text, struct keyval *kv, struct err *e);

/*
 * A byte count: decimal with an optional fraction, or 0x hexadecimal, and a
 * suffix B K M G T P E in either case; @unit is the factor without suffix.
 */
int keyval_size(const char *text, uint64_t unit, uint64_t *out, struct err *e);

/* An unsigned number in [@min, @max], decimal or 0x hexadecimal. */
int keyval_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
		  struct err *e);

/* on, off, yes, no, true, false, y, n. */
int keyval_bool(const char *text, bool *out, struct err *e);

#endif
