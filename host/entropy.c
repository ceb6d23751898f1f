/* SPDX-License-Identifier: Apache-2.0 */
#include "host/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct entropy {
	int fd; /* -1: the kernel */
};

static int open_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(e, -errno, "cannot read '%s': %s", path,
			       strerror(errno));
	if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(e, -EISDIR, "'%s' is a folder", path);
	}
	return fd;
}

struct entropy *entropy_open(const char *path, struct err *e)
{
	struct entropy *en = malloc(sizeof(*en));

	if (!en) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	en->fd = path ? open_file(path, e) : -1;
	if (path && en->fd < 0) {
		free(en);
		return NULL;
	}
	return en;
}

void entropy_close(struct entropy *en)
{
	if (!en)
		return;
	if (en->fd >= 0)
		close(en->fd);
	free(en);
}

ssize_t entropy_read(struct entropy *en, void *buf, size_t n)
{
	ssize_t ret;

	do {
		ret = en->fd < 0 ? getrandom(buf, n, 0) : read(en->fd, buf, n);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

int entropy_fd(const struct entropy *en)
{
	return en->fd;
}
