/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a command line as the shell splits them. Values of unittests.cfg
 * are shell text: quotes, variables, `date +%s`, $((...)). A suite is
 * trusted as a Makefile is.
 */
#ifndef SUITE_WORDS_H
#define SUITE_WORDS_H

#include <stddef.h>

#include "lib/err.h"

struct words {
	char **v; /* NULL-terminated */
	size_t n;
};

int words_add(struct words *w, const char *word, struct err *e);

/*
 * Add the words of @text, split by bash without file name expansion, where
 * a line's end is a blank and ends a comment; its variables are those of the environment and @env ("NAME=value", NULL ends).
 * -EINVAL where bash does not take it.
 */
int words_split(struct words *w, const char *text, const char *const *env,
		struct err *e);

/* 1 if bash finds @text true, 0 if not; -EINVAL where it does not take it. */
int words_true(const char *text, const char *const *env, struct err *e);
void words_free(struct words *w);

#endif
