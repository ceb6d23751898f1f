/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The character ports of a run, opened once and lent to one machine after
 * the other.
 */
#ifndef VMM_RUN_CHARDEV_H
#define VMM_RUN_CHARDEV_H

#include "vmm/run/charconf.h"

struct console;
struct evloop;
struct stop;
struct tty;

struct chardevs {
	struct charconf *conf;
	struct evloop *loop;
	struct console *port[CHARCONF_MAX];
};

/* Open all of @c; chardevs_close() in any case. */
int chardevs_open(struct chardevs *d, struct charconf *c, struct evloop *loop,
		  struct tty *tty, struct err *e) __must_check;
/* Sleep until those who are to be waited for came, or @stop is asked. */
void chardevs_wait(struct chardevs *d, struct stop *stop);
/* SIGWINCH came; on the loop's thread. */
void chardevs_resized(struct chardevs *d);
void chardevs_close(struct chardevs *d);

/*
 * ---- while a machine runs: the loop's thread ----
 *
 * Open @p as number @at: one more, or in the place of one that is closed then.
 * On failure all is as it was.
 */
int chardevs_put(struct chardevs *d, unsigned at, const struct charconf_port *p,
		 struct err *e) __must_check;
/* Close it, without waiting for who reads there. */
void chardevs_drop(struct chardevs *d, unsigned at);

/* NULL for "". */
struct console *chardevs_find(const struct chardevs *d, const char *id);

/* How QMP calls where port @i leads. */
void chardevs_describe(const struct chardevs *d, unsigned i, char *buf,
		       size_t size);

#endif
