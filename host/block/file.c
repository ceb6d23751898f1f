/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and block devices of the host. With O_DIRECT, what is not aligned as
 * the host wants it goes through a buffer; a write of less than a block then
 * reads the rest first, and keeps other writes away meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "host/block/lock.h"
#include "host/block/node.h"
#include "host/fdset.h"
#include "lib/keyval.h"
#include "lib/log.h"

#define MAX_ALIGN 4096U

struct file {
	int fd;
	bool device;
	int lost; /* atomic: -errno since a flush failed, else 0 */
	pthread_rwlock_t blocks; /* direct: held to write, alone for parts */
};

/* ---- plain transfers ---- */

static int read_all(int fd, uint64_t at, struct vec v)
{
	struct iovec iov[VEC_PIECES];
	unsigned n;
	ssize_t got;
	size_t len;

	while (v.len) {
		n = vec_pieces(&v, iov, &len);
		got = preadv(fd, iov, (int)n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got) { /* behind the end */
			vec_zero(&v);
			return 0;
		}
		at += (size_t)got;
		v = vec_slice(&v, (size_t)got, v.len - (size_t)got);
	}
	return 0;
}

static int write_all(int fd, uint64_t at, struct vec v)
{
	struct iovec iov[VEC_PIECES];
	unsigned n;
	ssize_t got;
	size_t len;

	while (v.len) {
		n = vec_pieces(&v, iov, &len);
		got = pwritev(fd, iov, (int)n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EIO;
		at += (size_t)got;
		v = vec_slice(&v, (size_t)got, v.len - (size_t)got);
	}
	return 0;
}

/* ---- through a buffer ---- */

static void *buffer(size_t len)
{
	return aligned_alloc(MAX_ALIGN, ALIGN_UP(len, (size_t)MAX_ALIGN));
}

static int read_bounced(struct node *n, uint64_t at, const struct vec *v)
{
	const struct file *f = n->state;
	uint64_t from = ALIGN_DOWN(at, n->align);
	size_t len = (size_t)(ALIGN_UP(at + v->len, n->align) - from);
	char *p = buffer(len);
	struct iovec iov;
	int ret;

	if (!p)
		return -ENOMEM;
	ret = read_all(f->fd, from, vec_one(&iov, p, len));
	if (!ret)
		vec_to(v, p + (at - from));
	free(p);
	return ret;
}

/* @len bytes at @p from @from on, where the ends of what is written lie in. */
static int read_ends(struct node *n, char *p, uint64_t from, size_t len,
		     bool head, bool tail)
{
	const struct file *f = n->state;
	uint64_t last = from + len - n->align;
	struct iovec iov;
	int ret = 0;

	if (head)
		ret = read_all(f->fd, from, vec_one(&iov, p, n->align));
	if (!ret && tail && !(head && last == from))
		ret = read_all(f->fd, last,
			       vec_one(&iov, p + (last - from), n->align));
	return ret;
}

static int write_bounced(struct node *n, uint64_t at, const struct vec *v)
{
	const struct file *f = n->state;
	uint64_t from = ALIGN_DOWN(at, n->align);
	uint64_t end = at + v->len;
	size_t len = (size_t)(ALIGN_UP(end, n->align) - from);
	char *p = buffer(len);
	struct iovec iov;
	int ret;

	if (!p)
		return -ENOMEM;
	ret = read_ends(n, p, from, len, from != at, end % n->align);
	if (!ret) {
		vec_from(v, p + (at - from));
		ret = write_all(f->fd, from, vec_one(&iov, p, len));
	}
	free(p);
	return ret;
}

static bool aligned(const struct node *n, uint64_t at, const struct vec *v)
{
	return !((at | v->len) & (n->align - 1)) && vec_aligned(v, n->align);
}

static int file_read(struct node *n, uint64_t at, const struct vec *v)
{
	const struct file *f = n->state;

	return n->align == 1 || aligned(n, at, v) ? read_all(f->fd, at, *v)
						  : read_bounced(n, at, v);
}

static int file_write(struct node *n, uint64_t at, const struct vec *v)
{
	struct file *f = n->state;
	int ret;

	if (n->align == 1)
		return write_all(f->fd, at, *v);
	if ((at | v->len) & (n->align - 1))
		pthread_rwlock_wrlock(&f->blocks);
	else
		pthread_rwlock_rdlock(&f->blocks);
	ret = aligned(n, at, v) ? write_all(f->fd, at, *v)
				: write_bounced(n, at, v);
	pthread_rwlock_unlock(&f->blocks);
	return ret;
}

/*
 * The host tells of a page it could not write once, and takes it for clean
 * from then on: the next flush would succeed without it.
 */
static int file_flush(struct node *n)
{
	struct file *f = n->state;
	int lost = __atomic_load_n(&f->lost, __ATOMIC_RELAXED);

	if (lost || !fdatasync(f->fd))
		return lost;
	lost = -errno;
	if (n->direct)
		return lost;
	if (!__atomic_exchange_n(&f->lost, lost, __ATOMIC_RELAXED))
		log_error(
			"block",
			"%s: a flush failed (%s): what was written before may "
			"be lost; flushes fail from here on",
			n->path, strerror(-lost));
	return lost;
}

/* ---- space ---- */

static int allocate(const struct file *f, uint64_t at, uint64_t len, int mode)
{
	int ret;

	do {
		ret = fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at,
				(off_t)len);
	} while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

static int file_discard(struct node *n, uint64_t at, uint64_t len)
{
	const struct file *f = n->state;
	uint64_t range[2] = {at, len};
	int ret;

	if (f->device)
		ret = ioctl(f->fd, BLKDISCARD, range) ? -errno : 0;
	else
		ret = allocate(f, at, len, FALLOC_FL_PUNCH_HOLE);
	/* A hint: what cannot be freed stays. */
	return ret == -EOPNOTSUPP || ret == -EINVAL ? 0 : ret;
}

static int file_zero(struct node *n, uint64_t at, uint64_t len, bool unmap)
{
	const struct file *f = n->state;
	int ret = -EOPNOTSUPP;

	if (unmap)
		ret = allocate(f, at, len, FALLOC_FL_PUNCH_HOLE);
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = allocate(f, at, len, FALLOC_FL_ZERO_RANGE);
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

static int file_resize(struct node *n, uint64_t size)
{
	const struct file *f = n->state;

	if (f->device)
		return -EOPNOTSUPP;
	return ftruncate(f->fd, (off_t)size) ? -errno : 0;
}

static int file_extent(struct node *n, uint64_t at, uint64_t len, bool write,
		       struct node_extent *x)
{
	const struct file *f = n->state;

	if ((at | len) & (n->align - 1))
		return -EAGAIN;
	*x = (struct node_extent){
		.fd = f->fd,
		.local = n->local,
		.align = n->align,
		.at = at,
	};
	return 0;
}

/* ---- opening ---- */

/* The least power of two that a direct read at its multiples is taken. */
static unsigned find_align(int fd)
{
	unsigned align = BLOCK_SECTOR;
	char *p = buffer(MAX_ALIGN);

	for (; p && align < MAX_ALIGN; align *= 2)
		if (pread(fd, p + align, align, 0) >= 0)
			break;
	free(p);
	return align;
}

/* Writes to others' files may wait for a server that is gone. */
static bool is_local(const struct file *f)
{
	static const uint32_t types[] = {
		EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC,      TMPFS_MAGIC,     RAMFS_MAGIC,
		OVERLAYFS_SUPER_MAGIC,
	};
	struct statfs fs;
	unsigned i;

	if (f->device)
		return true;
	if (fstatfs(f->fd, &fs))
		return false;
	for (i = 0; i < ARRAY_SIZE(types); i++)
		if ((uint32_t)fs.f_type == types[i])
			return true;
	return false;
}

static int find_size(struct node *n, const char *path, struct err *e)
{
	struct file *f = n->state;
	struct stat st;
	off_t end;

	if (fstat(f->fd, &st))
		return err_set(e, -errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL,
			       "%s is neither a file nor a block device", path);
	f->device = S_ISBLK(st.st_mode);
	n->local = is_local(f);
	end = lseek(f->fd, 0, SEEK_END);
	if (end < 0)
		return err_set(e, -errno, "cannot tell the size of %s", path);
	n->size = (uint64_t)end;
	n->fixed = f->device;
	return 0;
}

static int take_lock(struct node *n, struct node_open *o, const char *path,
		     const char *text, struct err *e)
{
	const struct file *f = n->state;
	struct lock_image l = {
		.write = !o->read_only,
		.resize = !o->read_only && o->format_below,
		.share = o->share,
	};
	bool on = true;

	l.must = text && strcmp(text, "auto");
	if (l.must && keyval_bool(text, &on, NULL))
		return err_set(e, -EINVAL, "locking=%s is not on, off or auto",
			       text);
	return on ? lock_image(f->fd, path, &l, e) : 0;
}

static int take_aio(struct node *n, const struct node_open *o, const char *text,
		    struct err *e)
{
	static const char *const names[] = {
		[BLOCK_AIO_AUTO] = "auto",
		[BLOCK_AIO_THREADS] = "threads",
		[BLOCK_AIO_NATIVE] = "native",
		[BLOCK_AIO_URING] = "io_uring",
	};
	unsigned i;

	for (i = 0; text && i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i]))
			break;
	if (i == ARRAY_SIZE(names))
		return err_set(e, -EINVAL,
			       "aio=%s is not offered (threads, native, "
			       "io_uring)",
			       text);
	n->aio = text ? i : BLOCK_AIO_AUTO;
	return n->aio == BLOCK_AIO_NATIVE && !o->direct
		       ? err_set(e, -EINVAL,
				 "aio=native needs cache.direct=on "
				 "(cache=none)")
		       : 0;
}

static int open_path(struct node *n, struct node_open *o, const char *path,
		     struct err *e)
{
	struct file *f = n->state;
	int flags = (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC, code;

	if (o->direct)
		flags |= O_DIRECT;
	f->fd = fdset_open(path, flags);
	code = f->fd;
	if (f->fd < 0 && o->auto_read_only && !o->read_only &&
	    (code == -EACCES || code == -EROFS || code == -EPERM)) {
		o->read_only = n->read_only = true;
		return open_path(n, o, path, e);
	}
	if (f->fd < 0 && code == -EINVAL && o->direct)
		return err_set(e, code,
			       "%s: its file system has no O_DIRECT "
			       "(cache.direct=on)",
			       path);
	if (f->fd < 0)
		return err_set(e, code, "cannot open %s: %s", path,
			       strerror(-code));
	n->align = o->direct ? find_align(f->fd) : 1;
	return find_size(n, path, e);
}

static void file_close(struct node *n)
{
	struct file *f = n->state;

	if (!f)
		return;
	if (f->fd >= 0)
		fdset_close(f->fd);
	pthread_rwlock_destroy(&f->blocks);
	free(f);
}

static int file_open(struct node *n, struct node_open *o, struct err *e)
{
	const char *path = dict_take(o->dict, "filename");
	const char *aio = dict_take(o->dict, "aio");
	const char *locking = dict_take(o->dict, "locking");
	struct file *f;
	int ret;

	if (!path || !path[0])
		return err_set(e, -EINVAL, "filename= is missing");
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	f->fd = -1;
	pthread_rwlock_init(&f->blocks, NULL);
	n->state = f;
	n->path = strdup(path);
	ret = open_path(n, o, path, e);
	if (!ret)
		ret = take_aio(n, o, aio, e);
	return ret ? ret : take_lock(n, o, path, locking, e);
}

static int device_open(struct node *n, struct node_open *o, struct err *e)
{
	const char *path = dict_get(o->dict, "filename");
	int ret = file_open(n, o, e);

	if (ret || ((struct file *)n->state)->device)
		return ret;
	return err_set(e, -EINVAL, "%s is no block device", path);
}

#define FILE_OPS                                                           \
	.protocol = true, .close = file_close, .read = file_read,          \
	.write = file_write, .flush = file_flush, .discard = file_discard, \
	.zero = file_zero, .resize = file_resize, .extent = file_extent

const struct node_driver node_file = {
	.name = "file",
	.open = file_open,
	FILE_OPS,
};

const struct node_driver node_host_device = {
	.name = "host_device",
	.open = device_open,
	FILE_OPS,
};
