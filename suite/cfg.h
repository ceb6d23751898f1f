/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suites in the format of kvm-unit-tests' unittests.cfg (its documentation:
 * docs/unittests.txt): sections of `key = value` lines, any value in triple
 * quotes may span lines.
 */
#ifndef SUITE_CFG_H
#define SUITE_CFG_H

#include <stddef.h>

#include "lib/err.h"

/* Values are as written: the shell's quoting is undone by words_split(). */
struct suite_test {
	char *name;
	char *file;
	char *smp;
	char *test_args;
	char *qemu_params; /* also spelled extra_params */
	char *kvmtool_params;
	char *groups;
	char *arch;
	char *machine;
	char *accel;
	char *timeout;
	char *check; /* several lines are joined by a space */
	char *disabled_if;
	int line;
};

struct suite {
	char *path;
	struct suite_test *tests;
	size_t count;
};

/*
 * Read @path. What is doubtful (an unknown key, a key outside a section, a
 * test without a file) is told to @warn as "PATH:LINE: ..." and left out. So
 * is a name that is there already: the second [a] becomes [a.2]. -errno where
 * the file cannot be read, -EINVAL where a triple quote never ends or no test
 * is left.
 */
int suite_read(struct suite *s, const char *path, void (*warn)(const char *),
	       struct err *e);
void suite_free(struct suite *s);

/* Whether @word is one of the blank-separated words of @list (or NULL). */
bool suite_has_word(const char *list, const char *word);

/* A test's parameters by name, for listings: NULL ends the table. */
struct suite_key {
	const char *name;
	size_t offset; /* of a char * in struct suite_test */
	bool joins;    /* a second line adds to the first */
};
extern const struct suite_key suite_keys[];

#endif
