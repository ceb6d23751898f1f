/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of open descriptors that clients handed over, each set with a number.
 * "/dev/fdset/N" is opened by finding the descriptor of set N that was opened
 * in the way that is asked for, so that who may not open files can be given
 * them. Descriptors are the process's, and so are the sets; any thread.
 */
#ifndef HOST_FDSET_H
#define HOST_FDSET_H

#include <fcntl.h>

#include "lib/err.h"

#define FDSET_ANY (-1) /* a number nobody uses; all of a set */

/*
 * open(2), mode 0666, that knows /dev/fdset/N: there, a duplicate of the
 * descriptor whose access mode and O_DIRECT are those of @flags. -ENOENT:
 * there is no such set, -EACCES: nothing in it suits. Close it by
 * fdset_close().
 */
int fdset_open(const char *path, int flags) __must_check;
/* close(2) of what fdset_open() gave. */
void fdset_close(int fd);

/* Put @fd, which is then the set's, into @set. The set's number or -errno. */
int64_t fdset_add(int64_t set, int fd, const char *opaque) __must_check;

/*
 * Close @fd of @set, or FDSET_ANY. Duplicates that were opened stay. -ENOENT:
 * there is none.
 */
int fdset_remove(int64_t set, int fd) __must_check;

/* Of each set in order, and each descriptor in it: -1 if it has none. */
void fdset_walk(void (*visit)(void *ctx, int64_t set, int fd,
			      const char *opaque),
		void *ctx);

#endif
