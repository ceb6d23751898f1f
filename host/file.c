/* SPDX-License-Identifier: Apache-2.0 */
#include "host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP 65536

/* 1 while there may be more, 0 at the end, -errno. */
static int read_more(int fd, struct file_data *d, size_t *room, size_t max)
{
	ssize_t n;

	if (*room - d->size < STEP) {
		void *p = realloc(d->p, *room * 2 + STEP);

		if (!p)
			return -ENOMEM;
		d->p = p;
		*room = *room * 2 + STEP;
	}
	n = read(fd, (char *)d->p + d->size, *room - d->size);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	d->size += (size_t)n;
	return d->size > max ? -EFBIG : n > 0;
}

int file_read(struct file_data *out, const char *path, size_t max,
	      struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 1;
	size_t room = 0;

	*out = (struct file_data){0};
	if (fd < 0) {
		ret = -errno;
		return err_set(e, ret, "%s: %s", path, strerror(-ret));
	}
	while (ret > 0)
		ret = read_more(fd, out, &room, max);
	close(fd);
	if (!ret)
		return 0;
	free(out->p);
	*out = (struct file_data){0};
	return err_set(e, ret, "%s: %s", path, strerror(-ret));
}
