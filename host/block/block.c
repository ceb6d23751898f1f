/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue and a few threads, which wait for what nodes do. Order between
 * requests is the guest's affair (it flushes).
 */
#include "host/block/block.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "host/block/node.h"
#include "host/block/qcow2make.h"
#include "host/block/uring.h"
#include "lib/check.h"
#include "lib/log.h"
#include "lib/mono.h"

#define WORKERS 4
#define SLOW_NS 1000000ULL   /* of a write here: it was made to wait */
#define REST_NS 100000000ULL /* others then go to threads for so long */

/* A transfer that io_uring does. */
struct flight {
	struct block_req *req;
	struct node_extent extent;
	struct iovec iov[];
};

struct block {
	struct node *node;
	struct uring *uring;  /* NULL: threads do everything */
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t work;
	pthread_cond_t idle;
	struct throttle throttle;
	uint64_t no_write_here; /* atomic: until then, by mono_ns() */
	uint64_t watch_writes;  /* the same */
	struct block_req *head;
	struct block_req **tail;
	unsigned flying; /* submitted and not done */
	bool stop;
	bool hurry;  /* limits do not count */
	bool closed; /* last was submitted */
	struct block_req last;
	unsigned workers;
	pthread_t worker[WORKERS];
};

/* ---- the end of a request ---- */

static void ended(struct block *b, unsigned n)
{
	pthread_mutex_lock(&b->lock);
	b->flying -= n;
	if (!b->flying)
		pthread_cond_broadcast(&b->idle);
	pthread_mutex_unlock(&b->lock);
}

static void finish(struct block *b, struct block_req *req, int ret)
{
	req->more = false;
	req->done(req, ret);
	ended(b, 1);
}

/* ---- threads ---- */

static int run(struct block *b, struct block_req *req)
{
	const struct vec v = {req->iov, 0, req->len};
	struct node *n = b->node;
	int ret = 0;

	switch (req->op) {
	case BLOCK_READ: ret = node_read(n, req->offset, &v); break;
	case BLOCK_WRITE: ret = node_write(n, req->offset, &v); break;
	case BLOCK_FLUSH: return node_flush(n);
	case BLOCK_DISCARD: ret = node_discard(n, req->offset, req->len); break;
	case BLOCK_ZEROES:
	case BLOCK_ZEROES_UNMAP:
		ret = node_zero(n, req->offset, req->len,
				req->op == BLOCK_ZEROES_UNMAP);
		break;
	}
	return ret || !req->sync ? ret : node_flush(n);
}

/* Without the lock: what is not throttled yet need not be. */
static bool throttled(struct block *b)
{
	return __atomic_load_n(&b->throttle.on, __ATOMIC_RELAXED);
}

/* Lock held: false after a wait, look again. */
static bool may_go(struct block *b, const struct block_req *req)
{
	uint64_t now, wait;
	struct timespec until;

	if (!throttled(b) || b->stop || b->hurry ||
	    (req->op != BLOCK_READ && req->op != BLOCK_WRITE))
		return true;
	now = mono_ns();
	wait = throttle_request(&b->throttle, now, req->op == BLOCK_WRITE,
				req->len);
	if (!wait)
		return true;
	now += wait;
	until.tv_sec = (time_t)(now / NS_PER_SEC);
	until.tv_nsec = (long)(now % NS_PER_SEC);
	pthread_cond_timedwait(&b->work, &b->lock, &until);
	return false;
}

static void *work(void *arg)
{
	struct block *b = arg;
	struct block_req *req;
	bool more;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		while (!b->head && !b->stop)
			pthread_cond_wait(&b->work, &b->lock);
		if (!b->head)
			break;
		if (!may_go(b, b->head))
			continue;
		req = b->head;
		b->head = req->next;
		if (!b->head)
			b->tail = &b->head;
		more = b->head;
		pthread_mutex_unlock(&b->lock);
		if (more)
			pthread_cond_signal(&b->work);
		finish(b, req, run(b, req));
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void enqueue(struct block *b, struct block_req *req)
{
	req->next = NULL;
	pthread_mutex_lock(&b->lock);
	*b->tail = req;
	b->tail = &req->next;
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
}

/* ---- io_uring ---- */

/* The request of a flight that is over. */
static struct block_req *leave(struct flight *f)
{
	struct block_req *req = f->req;

	node_put_extent(&f->extent);
	free(f);
	return req;
}

static void landed(void *ctx, struct uring_event *ev, unsigned n)
{
	struct block *b = ctx;
	struct block_req *req;
	unsigned i, k = 0;
	int res;

	for (i = 0; i < n; i++) {
		req = leave(ev[i].tag);
		res = ev[i].res;
		/* What came short is done again by a thread, from the start. */
		if (res == -EAGAIN || res == -EINTR ||
		    (res >= 0 && (uint64_t)res != req->len))
			enqueue(b, req);
		else
			ev[k++] = (struct uring_event){req, MIN(res, 0)};
	}
	for (i = 0; i < k; i++) {
		req = ev[i].tag;
		req->more = i + 1 < k;
		req->done(req, ev[i].res);
	}
	ended(b, k);
}

static bool fits(const struct node_extent *x, const struct block_req *req)
{
	const struct vec v = {req->iov, 0, req->len};

	return x->align == 1 || vec_aligned(&v, x->align);
}

static bool fly(struct block *b, struct block_req *req)
{
	bool write = req->op == BLOCK_WRITE;
	struct node_extent x;
	struct flight *f;

	if (!b->uring || (req->op != BLOCK_READ && !write) || req->sync ||
	    throttled(b) || req->iovs > VEC_PIECES ||
	    node_extent(b->node, req->offset, req->len, write, &x))
		return false;
	f = fits(&x, req) ? malloc(sizeof(*f) + req->iovs * sizeof(f->iov[0]))
			  : NULL;
	if (f) {
		f->req = req;
		f->extent = x;
		memcpy(f->iov, req->iov, req->iovs * sizeof(f->iov[0]));
		if (uring_queue(b->uring, &x, write, f->iov, req->iovs, f))
			return true;
		free(f);
	}
	node_put_extent(&x);
	return false;
}

/* ---- the front ---- */

void block_submit(struct block *b, struct block_req *req)
{
	ASSERT(req->op == BLOCK_FLUSH ||
	       (req->offset <= b->node->size &&
		req->len <= b->node->size - req->offset));
	pthread_mutex_lock(&b->lock);
	b->flying++;
	pthread_mutex_unlock(&b->lock);
	if (!fly(b, req))
		enqueue(b, req);
}

void block_kick(struct block *b)
{
	if (b->uring)
		uring_kick(b->uring);
}

/* How often this thread has waited for something. */
static long waits(void)
{
	struct rusage r;

	return getrusage(RUSAGE_THREAD, &r) ? 0 : r.ru_nvcsw;
}

/*
 * The page cache takes a write for the price of a copy, and few file systems
 * can tell beforehand whether it will. Where it waits after all, because the
 * host has too much to write back, the next ones are left to others. A write
 * that only had to wait for a processor says nothing of the kind: after a slow
 * one it is watched which it is, for that costs a system call each time.
 */
static ssize_t write_here(struct block *b, const struct block_req *req,
			  const struct node_extent *x)
{
	uint64_t start = mono_ns(), end;
	long before = 0;
	bool watched;
	ssize_t n;

	if (!x->local ||
	    start < __atomic_load_n(&b->no_write_here, __ATOMIC_RELAXED))
		return -1;
	watched = start < __atomic_load_n(&b->watch_writes, __ATOMIC_RELAXED);
	if (watched)
		before = waits();
	n = pwritev(x->fd, req->iov, (int)req->iovs, (off_t)x->at);
	end = mono_ns();
	if (end - start <= SLOW_NS)
		return n;
	if (watched && waits() != before)
		__atomic_store_n(&b->no_write_here, end + REST_NS,
				 __ATOMIC_RELAXED);
	__atomic_store_n(&b->watch_writes, end + 2 * REST_NS, __ATOMIC_RELAXED);
	return n;
}

int block_try(struct block *b, struct block_req *req)
{
	bool write = req->op == BLOCK_WRITE;
	struct node_extent x;
	ssize_t n = -1;

	if ((req->op != BLOCK_READ && !write) || req->sync || throttled(b) ||
	    req->iovs > VEC_PIECES ||
	    node_extent(b->node, req->offset, req->len, write, &x))
		return -EAGAIN;
	if (x.align == 1)
		n = write ? write_here(b, req, &x)
			  : preadv2(x.fd, req->iov, (int)req->iovs, (off_t)x.at,
				    RWF_NOWAIT);
	node_put_extent(&x);
	if (n < 0 || (uint64_t)n != req->len)
		return -EAGAIN;
	return 0;
}

/* The disk or memory of this host has what is written to it. */
static bool is_local(const struct block *b)
{
	const struct node *n = b->node;

	while (n->file)
		n = n->file;
	return n->local;
}

bool block_flush_here(struct block *b, int *ret)
{
	if (!is_local(b))
		return false;
	*ret = node_flush(b->node);
	return true;
}

bool block_rest(struct block *b)
{
	bool rest;

	pthread_mutex_lock(&b->lock);
	if (!b->hurry)
		pthread_cond_broadcast(&b->work);
	b->hurry = true;
	rest = !b->flying;
	pthread_mutex_unlock(&b->lock);
	return rest;
}

static void flushed(struct block_req *req, int ret)
{
	if (ret)
		log_warn("block", "the last flush failed: %s", strerror(-ret));
}

bool block_last_flush(struct block *b, bool all)
{
	if (!b->workers || b->closed || b->node->read_only ||
	    (!all && is_local(b)))
		return false;
	b->closed = true;
	b->last = (struct block_req){.op = BLOCK_FLUSH, .done = flushed};
	block_submit(b, &b->last);
	return true;
}

static int start_workers(struct block *b)
{
	sigset_t all, old;
	int ret = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (!ret && b->workers < WORKERS) {
		ret = pthread_create(&b->worker[b->workers], NULL, work, b);
		if (!ret)
			pthread_setname_np(b->worker[b->workers++], "block");
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

/* A named node that is there already, or new ones. */
static struct node *open_node(const struct block_options *o, struct err *e)
{
	struct node_open n = {
		.dict = o->node,
		.list = o->list,
		.share = o->share,
		.read_only = o->snapshot,
	};
	struct node *base = node_open(&n, e), *top;

	if (!base || !o->snapshot)
		return base;
	top = qcow2_make_overlay(base, e);
	if (!top)
		node_put(base);
	return top;
}

static int choose_aio(struct block *b, struct err *e)
{
	enum block_aio aio = b->node->aio;

	if (aio == BLOCK_AIO_THREADS)
		return 0;
	b->uring = uring_new(landed, b);
	if (b->uring || aio == BLOCK_AIO_AUTO)
		return 0;
	return err_set(e, -ENOTSUP,
		       "this host refuses io_uring (aio=threads does not need "
		       "it)");
}

static void init_sync(struct block *b)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, &attr);
	pthread_cond_init(&b->idle, NULL);
	pthread_condattr_destroy(&attr);
}

struct block *block_open(const struct block_options *o, struct err *e)
{
	struct block *b = calloc(1, sizeof(*b));
	struct err unread = {0};

	e = e ? e : &unread;
	if (!b) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	b->tail = &b->head;
	throttle_init(&b->throttle, &o->throttle);
	init_sync(b);
	b->node = open_node(o, e);
	if (b->node)
		return b;
	block_close(b);
	return NULL;
}

int block_start(struct block *b, struct err *e)
{
	int ret;

	if (b->workers)
		return 0;
	if (b->node->written)
		return err_set(e, -EBUSY, "node '%s' has one that writes to it",
			       b->node->name);
	ret = choose_aio(b, e);
	if (ret)
		return ret;
	b->stop = b->hurry = b->closed = false;
	if (start_workers(b)) {
		block_stop(b);
		return err_set(e, -EAGAIN, "cannot start threads");
	}
	b->node->written = !b->node->read_only;
	return 0;
}

void block_stop(struct block *b)
{
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_broadcast(&b->work);
	while (b->flying)
		pthread_cond_wait(&b->idle, &b->lock);
	pthread_mutex_unlock(&b->lock);
	if (b->workers)
		b->node->written = false;
	while (b->workers)
		pthread_join(b->worker[--b->workers], NULL);
	uring_free(b->uring);
	b->uring = NULL;
}

struct block *block_open_raw(const char *path, bool read_only, bool unmap,
			     struct err *e)
{
	struct dict d = {0};
	const struct block_options o = {.node = &d};
	struct block *b = NULL;

	if (!dict_put(&d, "driver", "raw", e) &&
	    !dict_put(&d, "file.driver", "file", e) &&
	    !dict_put(&d, "file.filename", path, e) &&
	    !dict_put(&d, "read-only", read_only ? "on" : "off", e) &&
	    !dict_put(&d, "discard", unmap ? "unmap" : "ignore", e))
		b = block_open(&o, e);
	dict_clear(&d);
	return b;
}

void block_close(struct block *b)
{
	if (!b)
		return;
	block_stop(b);
	node_put(b->node);
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->idle);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void block_limits(struct block *b, struct throttle_conf *c)
{
	pthread_mutex_lock(&b->lock);
	*c = b->throttle.conf;
	pthread_mutex_unlock(&b->lock);
}

void block_set_limits(struct block *b, const struct throttle_conf *c)
{
	struct throttle t;

	throttle_init(&t, c);
	pthread_mutex_lock(&b->lock);
	b->throttle.conf = t.conf;
	b->throttle.last = mono_ns();
	memset(b->throttle.level, 0, sizeof(t.level));
	memset(b->throttle.burst, 0, sizeof(t.burst));
	__atomic_store_n(&b->throttle.on, t.on, __ATOMIC_RELAXED);
	/* Who waits for the old ones looks again. */
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->lock);
}

int block_resize(struct block *b, uint64_t size, struct err *e)
{
	struct node *n = b->node;
	int ret = n->driver->resize ? -EROFS : -EOPNOTSUPP;

	if (!size || size % BLOCK_SECTOR || size > INT64_MAX)
		return err_set(e, -EINVAL,
			       "a disk's size is a multiple of %d bytes",
			       BLOCK_SECTOR);
	if (n->driver->resize && !n->read_only)
		ret = n->driver->resize(n, size);
	if (ret == -EOPNOTSUPP)
		return err_set(e, ret,
			       "a disk of this kind (%s) cannot be resized: "
			       "only raw files can, and qcow2 images but those "
			       "of version 2 with snapshots",
			       n->driver->name);
	if (ret == -ERANGE)
		return err_set(e, ret, "a disk of this kind (%s) can only grow",
			       n->driver->name);
	if (ret)
		return err_set(e, ret, "cannot resize: %s", strerror(-ret));
	n->size = size;
	return 0;
}

struct block_flags block_flags(const struct block *b)
{
	const struct node *n = b->node;
	struct block_flags f = {
		.direct = n->direct,
		.no_flush = n->no_flush,
		.zeroes = n->zeroes,
	};

	while ((n = n->backing))
		f.backing++;
	return f;
}

bool block_image(const struct block *b, unsigned depth, struct block_image *out)
{
	const struct node *n = b->node;

	while (n && depth--)
		n = n->backing;
	if (!n)
		return false;
	*out = (struct block_image){n->path, n->driver->name, n->size};
	return true;
}

int block_on_error(const char *key, const char *text, bool write,
		   enum block_on_error *out, struct err *e)
{
	static const char *const names[] = {
		[BLOCK_REPORT] = "report",
		[BLOCK_IGNORE] = "ignore",
		[BLOCK_STOP] = "stop",
		[BLOCK_ENOSPC] = "enospc",
	};
	unsigned i, n = write ? ARRAY_SIZE(names) : BLOCK_ENOSPC;

	if (!strcmp(text, "auto"))
		text = write ? "enospc" : "report";
	for (i = 0; i < n; i++)
		if (!strcmp(text, names[i]))
			break;
	if (i == n)
		return err_set(e, -EINVAL,
			       "%s=%s is not offered (report, ignore, stop%s)",
			       key, text, write ? ", enospc" : "");
	*out = i;
	return 0;
}

uint64_t block_size(const struct block *b)
{
	return b->node->size;
}

bool block_read_only(const struct block *b)
{
	return b->node->read_only;
}

bool block_unmaps(const struct block *b)
{
	return b->node->unmap;
}

const char *block_format(const struct block *b)
{
	return b->node->driver->name;
}

const char *block_path(const struct block *b)
{
	return b->node->path;
}
