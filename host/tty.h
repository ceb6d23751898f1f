/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal the operator sits at, put into raw mode and back.
 */
#ifndef HOST_TTY_H
#define HOST_TTY_H

#include <termios.h>

#include "lib/err.h"

struct tty {
	int fd;
	struct termios saved;
	volatile bool raw; /* saved must be put back */
	bool keep_signals; /* Ctrl-C, Ctrl-Z and Ctrl-\ stay the terminal's */
};

/* Raw mode on @fd; a descriptor that is no terminal is left alone, with 0. */
int tty_raw(struct tty *t, int fd, bool keep_signals, struct err *e);

/* Enter raw mode again after a job-control stop. */
void tty_resume(struct tty *t);

/* Back to what it was. Safe in a signal handler, and when called twice. */
void tty_restore(struct tty *t);

#endif
