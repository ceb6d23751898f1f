/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are read whole, pipes and devices among them.
 */
#ifndef HOST_FILE_H
#define HOST_FILE_H

#include "lib/err.h"

struct file_data {
	void *p; /* malloc()ed */
	size_t size;
};

/*
 * Read @path to its end. -errno, -EFBIG beyond @max bytes; then @out holds
 * nothing.
 */
int file_read(struct file_data *out, const char *path, size_t max,
	      struct err *e) __must_check;

#endif
