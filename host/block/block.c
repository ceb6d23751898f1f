/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue and a few threads. A request is done in one thread from start to
 * end; order between requests is the guest's affair (it flushes).
 */
#include "host/block/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/check.h"

#define WORKERS 4

struct block {
	int fd;
	bool read_only;
	bool unmap;
	bool no_flush;
	uint64_t size;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t work;
	struct block_req *head;
	struct block_req **tail;
	bool stop;
	unsigned workers;
	pthread_t worker[WORKERS];
};

/* Step over @n bytes of @req's pieces. */
static void advance(struct block_req *req, size_t n)
{
	while (n && n >= req->iov->iov_len) {
		n -= req->iov->iov_len;
		req->iov++;
		req->iovs--;
	}
	if (n) {
		req->iov->iov_base = (char *)req->iov->iov_base + n;
		req->iov->iov_len -= n;
	}
}

/* A file that was cut meanwhile reads as zeros. */
static void clear(struct block_req *req)
{
	unsigned i;

	for (i = 0; i < req->iovs; i++)
		memset(req->iov[i].iov_base, 0, req->iov[i].iov_len);
}

static int transfer(struct block *b, struct block_req *req, int flags)
{
	ssize_t n;
	off_t at;

	while (req->iovs) {
		at = (off_t)(req->offset + req->moved);
		if (req->op == BLOCK_READ)
			n = preadv2(b->fd, req->iov, (int)req->iovs, (off_t)at,
				    flags);
		else
			n = pwritev2(b->fd, req->iov, (int)req->iovs, (off_t)at,
				     flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n && req->op == BLOCK_WRITE)
			return -EIO;
		if (!n) {
			clear(req);
			return 0;
		}
		advance(req, (size_t)n);
		req->moved += (uint64_t)n;
	}
	return 0;
}

static int flush(struct block *b)
{
	if (b->no_flush)
		return 0;
	return fdatasync(b->fd) ? -errno : 0;
}

static int write_zeroes(struct block *b, const struct block_req *req)
{
	static const char zeros[1 << 16];
	uint64_t at = req->offset, end = at + req->len;
	ssize_t n;

	while (at < end) {
		n = pwrite(b->fd, zeros, MIN(end - at, sizeof(zeros)),
			   (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (uint64_t)n;
	}
	return 0;
}

static int allocate(struct block *b, const struct block_req *req, int mode)
{
	return fallocate(b->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)req->offset,
			 (off_t)req->len)
		       ? -errno
		       : 0;
}

static int discard(struct block *b, const struct block_req *req)
{
	int ret = b->unmap ? allocate(b, req, FALLOC_FL_PUNCH_HOLE) : 0;

	/* A hint: what cannot be freed stays. */
	return ret == -EOPNOTSUPP ? 0 : ret;
}

static int zero(struct block *b, const struct block_req *req)
{
	int ret = -EOPNOTSUPP;

	if (req->op == BLOCK_ZEROES_UNMAP && b->unmap)
		ret = allocate(b, req, FALLOC_FL_PUNCH_HOLE);
	if (ret == -EOPNOTSUPP)
		ret = allocate(b, req, FALLOC_FL_ZERO_RANGE);
	return ret == -EOPNOTSUPP ? write_zeroes(b, req) : ret;
}

static int run(struct block *b, struct block_req *req)
{
	int ret = 0;

	switch (req->op) {
	case BLOCK_READ:
	case BLOCK_WRITE: ret = transfer(b, req, 0); break;
	case BLOCK_FLUSH: return flush(b);
	case BLOCK_DISCARD: ret = discard(b, req); break;
	case BLOCK_ZEROES:
	case BLOCK_ZEROES_UNMAP: ret = zero(b, req); break;
	}
	return ret || !req->sync ? ret : flush(b);
}

int block_try(struct block *b, struct block_req *req)
{
	int ret;

	if (req->op != BLOCK_READ)
		return -EAGAIN;
	ret = transfer(b, req, RWF_NOWAIT);
	return ret == -EOPNOTSUPP ? -EAGAIN : ret;
}

static void *work(void *arg)
{
	struct block *b = arg;
	struct block_req *req;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		while (!b->head && !b->stop)
			pthread_cond_wait(&b->work, &b->lock);
		req = b->head;
		if (!req)
			break;
		b->head = req->next;
		if (!b->head)
			b->tail = &b->head;
		pthread_mutex_unlock(&b->lock);
		req->done(req, run(b, req));
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

void block_submit(struct block *b, struct block_req *req)
{
	ASSERT(req->op == BLOCK_FLUSH ||
	       (req->offset <= b->size && req->len <= b->size - req->offset));
	req->next = NULL;
	pthread_mutex_lock(&b->lock);
	*b->tail = req;
	b->tail = &req->next;
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
}

static int start_workers(struct block *b)
{
	sigset_t all, old;
	int ret = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (!ret && b->workers < WORKERS) {
		ret = pthread_create(&b->worker[b->workers], NULL, work, b);
		b->workers += !ret;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

/* Locks of the open file: they end with it, whoever else closes what. */
static int lock_file(int fd, const struct block_options *o, struct err *e)
{
	struct flock l = {
		.l_type = o->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (o->share || !fcntl(fd, F_OFD_SETLK, &l))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, -EBUSY, "%s is in use by another process",
			       o->path);
	return 0; /* a file system without locks */
}

static int find_size(struct block *b, const char *path, struct err *e)
{
	struct stat st;
	off_t end;

	if (fstat(b->fd, &st))
		return err_set(e, -errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL,
			       "%s is neither a file nor a block device", path);
	end = lseek(b->fd, 0, SEEK_END);
	if (end < 0)
		return err_set(e, -errno, "cannot tell the size of %s", path);
	if (end % BLOCK_SECTOR)
		return err_set(e, -EINVAL,
			       "%s: its size is not a multiple of %d bytes",
			       path, BLOCK_SECTOR);
	b->size = (uint64_t)end;
	return 0;
}

static int open_file(struct block *b, const struct block_options *o,
		     struct err *e)
{
	int code, ret;

	b->fd = open(o->path, (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (b->fd < 0) {
		code = -errno;
		return err_set(e, code, "cannot open %s: %s", o->path,
			       strerror(-code));
	}
	ret = find_size(b, o->path, e);
	return ret ? ret : lock_file(b->fd, o, e);
}

struct block *block_open(const struct block_options *o, struct err *e)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	b->tail = &b->head;
	b->read_only = o->read_only;
	b->unmap = o->unmap;
	b->no_flush = o->no_flush;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	if (open_file(b, o, e))
		goto fail;
	if (!start_workers(b))
		return b;
	err_set(e, -EAGAIN, "cannot start threads for %s", o->path);
fail:
	block_close(b);
	return NULL;
}

void block_close(struct block *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->lock);
	while (b->workers)
		pthread_join(b->worker[--b->workers], NULL);
	if (b->fd >= 0)
		close(b->fd);
	pthread_cond_destroy(&b->work);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

uint64_t block_size(const struct block *b)
{
	return b->size;
}

bool block_read_only(const struct block *b)
{
	return b->read_only;
}

bool block_unmaps(const struct block *b)
{
	return b->unmap;
}
