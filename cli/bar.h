/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on standard error, when that is a terminal; nothing else.
 */
#ifndef CLI_BAR_H
#define CLI_BAR_H

#include "lib/progress.h"

struct bar {
	struct progress progress; /* hand a pointer to this to the work */
	const char *what;         /* is done, a few words */
	/* ---- bar.c's ---- */
	double started; /* s */
	double drawn;   /* s, of the last line; 0: none */
	bool terminal;
};

/* Ready for work; nothing is drawn yet. Not to be moved afterwards. */
void bar_init(struct bar *b, const char *what);

/* Leave an empty line where the bar was, as the last step does by itself. */
void bar_end(struct bar *b);

/*
 * The line for @done of @total after @seconds, without an end of line; as wide
 * as @size allows.
 */
void bar_format(char *text, size_t size, const char *what, uint64_t done,
		uint64_t total, double seconds);

#endif
