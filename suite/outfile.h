/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of results: whole or as they were, whenever we are ended.
 */
#ifndef SUITE_OUTFILE_H
#define SUITE_OUTFILE_H

#include <stdio.h>

#include "lib/err.h"

struct outfile {
	FILE *f;
	const char *path;
	char *temp; /* NULL: written in place, as pipes and terminals are */
};

/* -errno; @path must stay. */
int outfile_open(struct outfile *o, const char *path, struct err *e);
int outfile_close(struct outfile *o, struct err *e);

/* Whether it could be opened, before there is anything to write. */
int outfile_check(const char *path, struct err *e);

#endif
