/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading with pread(2), so that a file that shrinks meanwhile is an error
 * and not a signal.
 */
#include "vmm/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int image_check(struct image *img, struct err *e)
{
	struct stat st;

	if (fstat(img->fd, &st)) {
		int code = -errno;

		return image_err(img, e, code, "%s", strerror(-code));
	}
	if (S_ISDIR(st.st_mode))
		return image_err(img, e, -EISDIR, "is a directory");
	if (!S_ISREG(st.st_mode))
		return image_err(img, e, -EINVAL, "is not a regular file");
	if (!st.st_size)
		return image_err(img, e, -EINVAL, "is empty");
	img->size = (uint64_t)st.st_size;
	return 0;
}

int image_open(struct image *img, const char *option, const char *path,
	       struct err *e)
{
	int ret;

	*img = (struct image){.option = option, .path = path, .fd = -1};
	/* O_NONBLOCK: a FIFO must be refused, not waited for. */
	img->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (img->fd < 0) {
		int code = -errno;

		return image_err(img, e, code, "%s", strerror(-code));
	}
	ret = image_check(img, e);
	if (ret)
		image_close(img);
	return ret;
}

int image_read(const struct image *img, uint64_t off, void *dst, uint64_t len,
	       struct err *e)
{
	uint8_t *p = dst;
	ssize_t n;

	while (len) {
		n = pread(img->fd, p, MIN(len, (uint64_t)1 << 30), (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int code = -errno;

			return image_err(img, e, code, "%s", strerror(-code));
		}
		if (!n)
			return image_err(img, e, -EINVAL,
					 "is truncated (%llu bytes are missing "
					 "at offset %llu)",
					 (unsigned long long)len,
					 (unsigned long long)off);
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

void image_close(struct image *img)
{
	if (img->fd >= 0)
		close(img->fd);
	img->fd = -1;
}
