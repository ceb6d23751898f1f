/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge run --root DIR -- COMMAND`: a guest whose root file system is the
 * host's, read-only by 9p under a layer of memory, that runs one command with
 * our input, output, signals and terminal, and whose exit status is ours.
 */
#ifndef VMM_ROOT_ROOT_H
#define VMM_ROOT_ROOT_H

#include "lib/err.h"

struct config;
struct root;
struct stop;
struct tty;

/* The command's machine could not do, as container tools have it. */
#define ROOT_FAILED 125

/*
 * Complete @c, whose root_path and command are set: kernel, initial RAM disk,
 * command line, devices; c->root.
 */
int root_configure(struct config *c, struct err *e) __must_check;
/* Harmless on NULL, as all of these. */
void root_free(struct root *r);

/* Everything is open. The command's end goes to @stop; @tty is made raw. */
int root_start(struct root *r, struct stop *stop, struct tty *tty,
	       struct err *e) __must_check;
/* Nothing goes to @stop any more. */
void root_stop(struct root *r);

/*
 * Pass a signal on: true when the command will get it, false when it is ours,
 * as the third in a row is.
 */
bool root_signal(struct root *r, int sig);

/* The guest said why it never came to the command, or "". */
const char *root_complaint(const struct root *r);

/*
 * ---- image.c: the initial RAM disk ----
 */

/* What goes into it besides drivers. */
struct root_spec {
	const char *kernel; /* its drivers are looked for */
	const char *text;   /* ROOT_SPEC */
	size_t size;
};

/* A descriptor of it, or -errno with a sentence. */
int root_image(const struct root_spec *s, struct err *e) __must_check;

#endif
