/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaving the terminal, and a file that says which process this is.
 */
#ifndef VMM_RUN_DAEMON_H
#define VMM_RUN_DAEMON_H

#include "lib/err.h"

/*
 * Go on in a child, before there are threads. 0 in the child, with @fd for
 * daemon_ready(); 1 in the parent, once the child is ready or over, with the
 * status to exit with; -errno.
 */
int daemon_split(int *fd, int *status, struct err *e) __must_check;

/* Let the parent go, and the terminal; @fd -1: there is none. */
void daemon_ready(int fd);

/*
 * Write our number into @path and lock it. A descriptor to be kept, -EBUSY
 * when another process has it, or -errno.
 */
int pidfile_create(const char *path, struct err *e) __must_check;

#endif
