/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target is locked before anything in it is touched, so an image that a
 * machine has open is never overwritten.
 */
#include "host/block/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/block/lock.h"
#include "host/block/node.h"
#include "host/block/qcow2make.h"

#define CHUNK (2UL << 20)
#define GRAIN (64UL << 10) /* zeros of so many bytes are left out */

static struct node *open_image(const char *name, const char *format,
			       bool read_only, struct err *e)
{
	struct dict d = {0};
	struct node_open o = {.dict = &d, .read_only = read_only};
	struct node *n = NULL;

	if (!dict_put(&d, "file.filename", name, e) &&
	    (!format || !dict_put(&d, "driver", format, e)))
		n = node_open(&o, e);
	dict_clear(&d);
	if (!n)
		err_wrap(e, "%s", name);
	return n;
}

/* ---- a new one ---- */

static bool is_qcow2(const struct image_new *to)
{
	return !strcmp(to->format, "qcow2");
}

static int check(const struct image_new *to, struct err *e)
{
	if (!is_qcow2(to) && strcmp(to->format, "raw"))
		return err_set(e, -EINVAL,
			       "images are made as raw or qcow2, not '%s'",
			       to->format);
	if (is_qcow2(to) && to->prealloc == IMAGE_PREALLOC_FALLOC)
		return err_set(e, -ENOTSUP,
			       "preallocation=falloc is for raw images; off or "
			       "full");
	return 0;
}

static int reserve(int fd, uint64_t size, const struct progress *p)
{
	uint64_t at, part;
	int ret;

	for (at = 0; at < size; at += part) {
		part = MIN(size - at, 16 * CHUNK);
		ret = posix_fallocate(fd, (off_t)at, (off_t)part);
		if (ret)
			return -ret;
		progress_step(p, at + part, size);
	}
	return 0;
}

/* An empty image in the file @fd, whatever was in it. */
static int make_in(int fd, const struct image_new *to, uint64_t size,
		   const struct progress *p, struct err *e)
{
	int ret = ftruncate(fd, 0) ? -errno : 0;

	if (!ret && is_qcow2(to))
		ret = qcow2_make(fd, size);
	else if (!ret)
		ret = ftruncate(fd, (off_t)size) ? -errno : 0;
	if (!ret && to->prealloc == IMAGE_PREALLOC_FALLOC)
		ret = reserve(fd, size, p);
	return ret ? err_set(e, ret, "%s: %s", to->path, strerror(-ret)) : 0;
}

static int make(const struct image_new *to, uint64_t size,
		const struct progress *p, struct err *e)
{
	const struct lock_image all = {.write = true, .resize = true};
	int fd, ret;

	fd = open(to->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, -errno, "%s: %s", to->path, strerror(errno));
	ret = lock_image(fd, to->path, &all, e);
	if (!ret)
		ret = make_in(fd, to, size, p, e);
	close(fd);
	return ret;
}

/* ---- contents ---- */

struct copy {
	struct node *from; /* NULL: zeros */
	struct node *to;
	bool all; /* zeros as well */
	uint8_t *buf;
	const struct progress *p;
};

static bool is_zero(const uint8_t *p, size_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* Write the runs of grains that are not zero. */
static int write_data(struct copy *c, uint64_t at, size_t len)
{
	size_t begin = 0, end = 0, part;
	int ret;

	if (c->all)
		return node_pwrite(c->to, at, c->buf, len);
	for (;;) {
		part = MIN(len - end, GRAIN);
		if (part && !is_zero(c->buf + end, part)) {
			end += part;
			continue;
		}
		if (end > begin) {
			ret = node_pwrite(c->to, at + begin, c->buf + begin,
					  end - begin);
			if (ret)
				return ret;
		}
		if (!part)
			return 0;
		begin = end = end + part;
	}
}

static int copy_all(struct copy *c, uint64_t size, struct err *e)
{
	uint64_t at;
	size_t len;
	int ret = 0;

	for (at = 0; at < size; at += len) {
		len = (size_t)MIN(size - at, CHUNK);
		ret = c->from ? node_pread(c->from, at, c->buf, len) : 0;
		if (ret)
			return err_set(e, ret, "cannot read at %llu: %s",
				       (unsigned long long)at, strerror(-ret));
		ret = write_data(c, at, len);
		if (ret)
			return err_set(e, ret, "cannot write at %llu: %s",
				       (unsigned long long)at, strerror(-ret));
		progress_step(c->p, at + len, size);
	}
	ret = node_flush(c->to);
	return ret ? err_set(e, ret, "cannot flush: %s", strerror(-ret)) : 0;
}

/* Fill the image @to, which is there, from @from. */
static int fill(struct node *from, const struct image_new *to, uint64_t size,
		const struct progress *p, struct err *e)
{
	struct copy c = {
		.from = from,
		.to = open_image(to->path, to->format, false, e),
		.all = to->prealloc == IMAGE_PREALLOC_FULL,
		.buf = calloc(1, CHUNK),
		.p = p,
	};
	int ret = e->code;

	if (c.to)
		ret = c.buf ? copy_all(&c, size, e)
			    : err_set(e, -ENOMEM, "out of memory");
	free(c.buf);
	node_put(c.to);
	return ret;
}

int image_create(const struct image_new *to, const struct progress *p,
		 struct err *e)
{
	uint64_t size = ALIGN_UP(to->size, (uint64_t)BLOCK_SECTOR);
	int ret = check(to, e);

	if (!ret)
		ret = make(to, size, p, e);
	if (!ret && to->prealloc == IMAGE_PREALLOC_FULL)
		ret = fill(NULL, to, size, p, e);
	return ret;
}

/* The target is the source: it would be empty before it is read. */
static bool same_file(const struct node *from, const char *to)
{
	struct stat a, b;

	return from->path && !stat(from->path, &a) && !stat(to, &b) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int image_convert(const char *from, const char *format,
		  const struct image_new *to, const struct progress *p,
		  struct err *e)
{
	struct node *n;
	uint64_t size;
	int ret = check(to, e);

	if (ret)
		return ret;
	n = open_image(from, format, true, e);
	if (!n)
		return e->code;
	size = ALIGN_UP(n->size, (uint64_t)BLOCK_SECTOR);
	if (n->size % BLOCK_SECTOR)
		ret = err_set(e, -EINVAL, "%s: %llu bytes are no sectors", from,
			      (unsigned long long)n->size);
	else if (same_file(n, to->path))
		ret = err_set(e, -EINVAL, "%s is the source as well", to->path);
	if (!ret)
		ret = make(to, size, NULL, e);
	if (!ret)
		ret = fill(n, to, size, p, e);
	node_put(n);
	return ret;
}

/* ---- what one is ---- */

int image_describe(const char *name, const char *format,
		   struct image_info *info, struct err *e)
{
	struct node *n = open_image(name, format, true, e);
	struct stat st;

	if (!n)
		return e->code;
	*info = (struct image_info){.size = n->size};
	snprintf(info->format, sizeof(info->format), "%s", n->driver->name);
	if (n->path) {
		snprintf(info->file, sizeof(info->file), "%s", n->path);
		if (!stat(n->path, &st))
			info->allocated = (uint64_t)st.st_blocks * 512;
	}
	if (n->backing && n->backing->path)
		snprintf(info->backing, sizeof(info->backing), "%s",
			 n->backing->path);
	node_put(n);
	return 0;
}
