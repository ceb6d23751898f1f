/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view that is printed again and again, as `lodge stat` and `lodge top` do:
 * the options for it, the terminal, the keys.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "lib/err.h"

struct watch {
	const char *command; /* of `lodge`, for messages */
	bool once;           /* not on a terminal: one view without rates */
	/*
	 * Print the view; @seconds since the last one, 0 for the first. An
	 * error ends the watch; -ESRCH after the first view does so in peace.
	 */
	int (*show)(void *ctx, double seconds, struct err *e);
	/* A key that is not q was pressed; may be NULL. */
	void (*key)(void *ctx, char c);
	void *ctx;
	/* ---- set by watch_options() ---- */
	double interval;     /* s */
	unsigned long times; /* views to print, 0: until interrupted */
};

/*
 * Take -i SECONDS and -n TIMES; @rest: the first word that is neither. 0, or
 * the exit status after a message.
 */
int watch_options(struct watch *w, int argc, char **argv,
		  int *rest) __must_check;

/* Say on standard error what is wrong with the command line; its status. */
int watch_usage(const struct watch *w, const char *text, const char *what);

/* Until told to end; the exit status. */
int watch_run(struct watch *w);

#endif
