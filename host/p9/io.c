/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents: data goes between the message's memory and the file directly.
 * Only plain files and directories are opened; the client has the devices,
 * pipes and sockets behind the other names itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/p9/priv.h"

#define PIECES 256 /* of one read or write */

#define P9_LOCK_READ    0 /* as the protocol numbers them */
#define P9_LOCK_WRITE   1
#define P9_LOCK_UNLOCK  2
#define P9_LOCK_SUCCESS 0
#define P9_LOCK_BLOCKED 1

/* What the client may ask for, by the numbers both sides have. */
#define OPEN_KEEP (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_DIRECTORY)

int p9_lopen(struct p9_call *c)
{
	struct p9_session *s = c->s;
	struct p9_fid *f;
	struct stat st, real;
	char path[32];
	int fd, ret, flags;

	f = p9_call_node(c, &fd, &ret);
	flags = (int)p9_get(&c->in, 4) & OPEN_KEEP;
	if (!f)
		return ret;
	if (f->fd >= 0 || f->kind != P9_FILE || c->in.bad)
		return -EINVAL;
	ret = p9_stat(s, fd, &st);
	if (ret || fstat(fd, &real))
		return ret ? ret : -errno;
	if (!S_ISREG(real.st_mode) && !S_ISDIR(real.st_mode))
		return -ENXIO;
	if (f->node->sealed)
		return -EACCES;
	if (s->x->read_only &&
	    (flags & O_TRUNC || (flags & O_ACCMODE) != O_RDONLY))
		return -EROFS;
	p9_proc_path(path, fd);
	fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	f->fd = fd;
	f->is_dir = S_ISDIR(real.st_mode);
	p9_put_qid(c, &st);
	p9_put(&c->out, 0, 4);
	return 0;
}

/* @len bytes of @iov from @skip on; how many pieces. */
static unsigned slice(const struct iovec *iov, unsigned n, size_t skip,
		      size_t len, struct iovec *out)
{
	unsigned used = 0;
	size_t part;

	for (; n && len && used < PIECES; n--, iov++) {
		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		part = MIN(iov->iov_len - skip, len);
		out[used++] = (struct iovec){(char *)iov->iov_base + skip,
					     part};
		len -= part;
		skip = 0;
	}
	return used;
}

static ssize_t read_value(const struct p9_fid *f, uint64_t offset,
			  const struct iovec *iov, unsigned n)
{
	size_t at = MIN(offset, f->size), part, begin = at;

	for (; n; n--, iov++) {
		part = MIN(iov->iov_len, f->size - at);
		memcpy(iov->iov_base, f->value + at, part);
		at += part;
	}
	return (ssize_t)(at - begin);
}

/* What both transfers begin with: whose, from where on, how many bytes. */
static int get_span(struct p9_call *c, struct p9_fid **f, uint64_t *offset,
		    size_t *count)
{
	int ret;

	*f = p9_call_fid(c, &ret);
	*offset = p9_get(&c->in, 8);
	*count = p9_get(&c->in, 4);
	if (!*f)
		return ret;
	return c->in.bad || *offset > INT64_MAX ? -EINVAL : 0;
}

int p9_read(struct p9_call *c)
{
	struct iovec iov[PIECES];
	struct p9_fid *f;
	uint64_t offset;
	size_t count;
	ssize_t done;
	unsigned n;
	int ret;

	ret = get_span(c, &f, &offset, &count);
	if (ret)
		return ret;
	count = MIN(count, (size_t)c->max - P9_ANSWER);
	n = slice(c->out_iov, c->out_n, P9_ANSWER, count, iov);
	if (f->kind == P9_XATTR_READ)
		done = read_value(f, offset, iov, n);
	else if (f->fd < 0 || f->is_dir)
		return f->fd < 0 ? -EBADF : -EISDIR;
	else
		done = preadv(f->fd, iov, (int)n, (off_t)offset);
	if (done < 0)
		return -errno;
	p9_put(&c->out, (uint64_t)done, 4);
	c->direct = (size_t)done;
	return 0;
}

static ssize_t write_value(struct p9_fid *f, uint64_t offset,
			   const struct iovec *iov, unsigned n)
{
	size_t part, begin = f->filled;

	if (offset != f->filled) {
		errno = EINVAL;
		return -1;
	}
	for (; n; n--, iov++) {
		part = MIN(iov->iov_len, f->size - f->filled);
		memcpy(f->value + f->filled, iov->iov_base, part);
		f->filled += part;
	}
	return (ssize_t)(f->filled - begin);
}

int p9_write(struct p9_call *c)
{
	struct iovec iov[PIECES];
	struct p9_fid *f;
	uint64_t offset;
	size_t count, at;
	ssize_t done;
	unsigned n;
	int ret;

	ret = get_span(c, &f, &offset, &count);
	if (ret)
		return ret;
	/* Behind type, tag, fid, offset and count. */
	at = P9_HEADER + 4 + 8 + 4;
	n = slice(c->in_iov, c->in_n, at, MIN(count, (size_t)P9_MSIZE), iov);
	if (f->kind == P9_XATTR_WRITE)
		done = write_value(f, offset, iov, n);
	else if (f->fd < 0 || f->is_dir)
		return -EBADF;
	else
		done = pwritev(f->fd, iov, (int)n, (off_t)offset);
	if (done < 0)
		return -errno;
	p9_put(&c->out, (uint64_t)done, 4);
	return 0;
}

int p9_fsync(struct p9_call *c)
{
	struct p9_fid *f;
	bool data;
	int ret;

	f = p9_call_fid(c, &ret);
	data = p9_get(&c->in, 4);
	if (!f)
		return ret;
	if (f->fd < 0)
		return -EBADF;
	return (data ? fdatasync(f->fd) : fsync(f->fd)) ? -errno : 0;
}

/* ---- locks: those of this open file, tried without waiting ---- */

static int get_lock(struct p9_call *c, uint8_t type, struct flock *l)
{
	static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	uint64_t start = p9_get(&c->in, 8), len = p9_get(&c->in, 8);

	if (c->in.bad || type > P9_LOCK_UNLOCK || start > INT64_MAX ||
	    len > INT64_MAX)
		return -EINVAL;
	*l = (struct flock){
		.l_type = types[type],
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		.l_len = (off_t)len,
	};
	return 0;
}

int p9_lock(struct p9_call *c)
{
	struct p9_fid *f;
	struct flock l;
	uint8_t type, status = P9_LOCK_SUCCESS;
	int ret;

	f = p9_call_fid(c, &ret);
	type = (uint8_t)p9_get(&c->in, 1);
	p9_get(&c->in, 4); /* whether the client will try again */
	if (!f)
		return ret;
	ret = get_lock(c, type, &l);
	if (ret)
		return ret;
	if (f->fd < 0)
		return -EBADF;
	if (fcntl(f->fd, F_OFD_SETLK, &l)) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		status = P9_LOCK_BLOCKED;
	}
	p9_put(&c->out, status, 1);
	return 0;
}

int p9_getlock(struct p9_call *c)
{
	struct p9_fid *f;
	struct flock l;
	char client[P9_NAME_MAX + 1];
	uint32_t process;
	uint8_t type;
	int ret;

	f = p9_call_fid(c, &ret);
	type = (uint8_t)p9_get(&c->in, 1);
	if (!f)
		return ret;
	ret = get_lock(c, type, &l);
	process = (uint32_t)p9_get(&c->in, 4);
	p9_get_text(&c->in, client, sizeof(client));
	if (ret || c->in.bad)
		return ret ? ret : -EINVAL;
	if (f->fd < 0)
		return -EBADF;
	if (type == P9_LOCK_UNLOCK)
		return -EINVAL;
	if (fcntl(f->fd, F_OFD_GETLK, &l))
		return -errno;
	p9_put(&c->out,
	       l.l_type == F_UNLCK   ? P9_LOCK_UNLOCK
	       : l.l_type == F_WRLCK ? P9_LOCK_WRITE
				     : P9_LOCK_READ,
	       1);
	p9_put(&c->out, (uint64_t)l.l_start, 8);
	p9_put(&c->out, (uint64_t)l.l_len, 8);
	p9_put(&c->out, process, 4);
	p9_put_text(&c->out, client, strlen(client));
	return 0;
}
