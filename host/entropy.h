/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where random bytes come from: the host's kernel, or a file, which may be a
 * device or a pipe that has some only now and then.
 */
#ifndef HOST_ENTROPY_H
#define HOST_ENTROPY_H

#include <sys/types.h>

#include "lib/err.h"

struct entropy;

/* @path: NULL for the kernel's own. NULL with a sentence on failure. */
struct entropy *entropy_open(const char *path, struct err *e) __must_check;
void entropy_close(struct entropy *en);

/* The bytes read, 0 at the end of a file, -EAGAIN for none now, or -errno. */
ssize_t entropy_read(struct entropy *en, void *buf, size_t n);

/* To be polled for POLLIN after -EAGAIN; -1 when that never is. */
int entropy_fd(const struct entropy *en);

#endif
