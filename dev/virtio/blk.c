/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk. Document: Virtual I/O Device 1.4 "Block Device" (5.2). Requests are
 * taken apart in the thread of the kick, reads that the host has in memory and
 * writes that its memory takes are answered there, lonely flushes as well, all
 * others by the disk's workers. Left out:
 * secure erase, lifetime, zoned devices, several ranges in one discard.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dev/virtio/disk.h"
#include "dev/virtio/kick.h"
#include "dev/virtio/type.h"
#include "host/block/block.h"
#include "lib/check.h"
#include "lib/mono.h"

#define F_SEG_MAX      2
#define F_RO           5
#define F_BLK_SIZE     6
#define F_FLUSH        9
#define F_TOPOLOGY     10
#define F_CONFIG_WCE   11
#define F_MQ           12
#define F_DISCARD      13
#define F_WRITE_ZEROES 14

#define T_IN           0
#define T_OUT          1
#define T_FLUSH        4
#define T_GET_ID       8
#define T_DISCARD      11
#define T_WRITE_ZEROES 13

#define S_OK     0
#define S_IOERR  1
#define S_UNSUPP 2

#define HEADER_SIZE  16
#define SEGMENTS     254 /* of one request at most */
#define RANGE_UNMAP  BIT(0)
#define MIN_IO_MAX   (UINT16_MAX * BLOCK_SECTOR)
#define MAX_SECTORS  (1U << 21)  /* of one discard or write-zeroes */
#define TRY_HERE_MAX (1 << 20)   /* bytes */
#define LAND_BYTES   (256 << 10) /* the guest is told after so many */
#define RESIZE_WAIT  5           /* seconds for what is in flight */
#define RESET_WAIT   1           /* and before a reset takes its time */
#define MAX_QUEUES   16

#define FLUSH_REST     50ULL /* times as long as what held others up */
#define FLUSH_REST_MIN (NS_PER_SEC / 10)
#define FLUSH_REST_MAX (5 * NS_PER_SEC)

#define CONFIG_SIZE 60
#define CONFIG_WCE  32 /* offset of the write-cache byte */

struct blk_conf {
	struct virtio_conf base;
	struct prop_link drive;
	uint64_t queues;
	uint64_t queue_size;
	uint64_t logical_block; /* bytes */
	uint64_t physical_block;
	uint64_t min_io;       /* bytes; 0: a block */
	uint64_t opt_io;       /* 0: unknown */
	uint64_t discard_unit; /* 0: a block */
	uint64_t max_discard;  /* sectors */
	uint64_t max_zeroes;
	char serial[21];
	char werror[8]; /* "": as the drive has it */
	char rerror[8];
	bool write_cache;
};

/* Answered, and not given back yet: of one queue. */
struct batch {
	unsigned queue;
	unsigned n;
	uint64_t bytes; /* moved for them in the thread of the kick */
	struct vq_elem *elem[VQ_MAX_PUSH];
	uint32_t len[VQ_MAX_PUSH];
};

struct blk {
	struct virtio_device dev;
	struct blk_conf conf;
	struct block *block;
	struct drive drive;
	bool write_cache;
	unsigned flying;               /* at the workers, under dev.lock */
	unsigned of_queue[MAX_QUEUES]; /* the same, of each */
	pthread_cond_t landed;         /* all of a queue did */
	struct request *stalled;       /* failed, to be tried again; dev.lock */
	struct batch batch;            /* dev.lock */
	uint64_t no_flush_here;        /* dev.lock: until then, by mono_ns() */
};

/* One request; its pieces without header and status follow. */
struct request {
	struct block_req block;
	struct blk *blk;
	struct vq_elem *elem;
	struct request *next; /* stalled */
	unsigned queue;
	struct iovec iov[];
};

/* Whose kick this thread is busy with: it holds that one's lock. */
static __thread struct blk *kicking;

/* A discard or write-zeroes range as the driver writes it. */
struct range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

/* ---- configuration ---- */

static void put(uint8_t *p, unsigned at, uint64_t val, unsigned size)
{
	memcpy(p + at, &val, size);
}

static unsigned log2_of(uint32_t n)
{
	return 31 - (unsigned)__builtin_clz(n);
}

static void blk_config_read(struct virtio_device *dev, void *buf)
{
	struct blk *b = (struct blk *)dev;
	const struct blk_conf *c = &b->conf;

	put(buf, 0, block_size(b->block) / BLOCK_SECTOR, 8);
	/* Header and status need entries of the ring as well. */
	put(buf, 12, MIN(SEGMENTS, c->queue_size - 2), 4);
	put(buf, 20, c->logical_block, 4);
	put(buf, 24, log2_of((uint32_t)(c->physical_block / c->logical_block)),
	    1);
	/* The least sensible I/O and the best, in logical blocks. */
	put(buf, 26, MAX(c->min_io / c->logical_block, 1), 2);
	put(buf, 28, c->opt_io / c->logical_block, 4);
	put(buf, CONFIG_WCE, b->write_cache, 1);
	put(buf, 34, dev->queues, 2);
	put(buf, 36, c->max_discard, 4);
	put(buf, 40, 1, 4); /* ranges */
	put(buf, 44, MAX(c->discard_unit, c->logical_block) / BLOCK_SECTOR, 4);
	put(buf, 48, c->max_zeroes, 4);
	put(buf, 52, 1, 4);
	put(buf, 56, block_unmaps(b->block), 1);
}

static void blk_config_write(struct virtio_device *dev, unsigned offset,
			     const void *buf, unsigned len)
{
	struct blk *b = (struct blk *)dev;

	if (offset == CONFIG_WCE && len == 1 && virtio_has(dev, F_CONFIG_WCE))
		b->write_cache = *(const uint8_t *)buf & 1;
}

/* ---- the end of a request ---- */

enum counter {
	COUNT_READS,
	COUNT_READ_BYTES,
	COUNT_WRITES,
	COUNT_WRITE_BYTES,
	COUNT_FLUSHES,
	COUNT_DISCARDS,
	COUNT_ZEROES,
	COUNT_ERRORS,
};

static const char *const counters[] = {
	[COUNT_READS] = "block_reads",
	[COUNT_READ_BYTES] = "block_read_bytes",
	[COUNT_WRITES] = "block_writes",
	[COUNT_WRITE_BYTES] = "block_write_bytes",
	[COUNT_FLUSHES] = "block_flushes",
	[COUNT_DISCARDS] = "block_discards",
	[COUNT_ZEROES] = "block_write_zeroes",
	[COUNT_ERRORS] = "block_errors",
};

/* Give back what is answered, with one interrupt. dev.lock held. */
static void land(struct blk *b)
{
	struct batch *t = &b->batch;
	unsigned i;

	if (!t->n)
		return;
	vq_push_many(&b->dev.vq[t->queue], t->elem, t->len, t->n);
	for (i = 0; i < t->n; i++)
		free(t->elem[i]);
	t->n = 0;
	t->bytes = 0;
	virtio_flush(&b->dev, t->queue);
}

/* dev.lock held; land() behind the last. */
static void finish(struct request *r, uint8_t status, size_t written)
{
	struct batch *t = &r->blk->batch;
	struct vq_elem *e = r->elem;

	iov_write(e->iov + e->out_n, e->in_n, e->in_len - 1, &status, 1);
	if (t->n == ARRAY_SIZE(t->elem) || (t->n && t->queue != r->queue))
		land(r->blk);
	t->queue = r->queue;
	t->elem[t->n] = e;
	/* Nothing says how far a failed read came: only the status counts. */
	t->len[t->n++] = (uint32_t)(status == S_OK ? written + 1 : 1);
	free(r);
}

static void count(struct blk *b, const struct block_req *req, int ret)
{
	static const enum counter of[] = {
		[BLOCK_READ] = COUNT_READS,
		[BLOCK_WRITE] = COUNT_WRITES,
		[BLOCK_FLUSH] = COUNT_FLUSHES,
		[BLOCK_DISCARD] = COUNT_DISCARDS,
		[BLOCK_ZEROES] = COUNT_ZEROES,
		[BLOCK_ZEROES_UNMAP] = COUNT_ZEROES,
	};

	virtio_count(&b->dev, ret ? COUNT_ERRORS : of[req->op], 1);
	if (!ret && req->op == BLOCK_READ)
		virtio_count(&b->dev, COUNT_READ_BYTES, req->len);
	if (!ret && req->op == BLOCK_WRITE)
		virtio_count(&b->dev, COUNT_WRITE_BYTES, req->len);
}

/* What follows: REPORT, IGNORE, or STOP with which the request waits. */
static enum block_on_error fail(struct request *r, enum block_on_error policy,
				int code)
{
	struct blk *b = r->blk;
	bool stop = policy == BLOCK_STOP ||
		    (policy == BLOCK_ENOSPC && code == -ENOSPC);
	enum block_on_error action = policy == BLOCK_IGNORE ? BLOCK_IGNORE
							    : BLOCK_REPORT;

	if (stop && b->drive.failed && virtio_running(&b->dev) &&
	    !b->dev.vq[r->queue].ending) {
		action = BLOCK_STOP;
		r->next = b->stalled;
		b->stalled = r;
	}
	if (b->drive.failed)
		b->drive.failed(b->drive.ctx, r->block.op != BLOCK_READ, code,
				action);
	return action;
}

/* dev.lock held. */
static void complete(struct request *r, int ret)
{
	const struct drive *d = &r->blk->drive;
	bool read = r->block.op == BLOCK_READ;
	enum block_on_error action = BLOCK_IGNORE;

	count(r->blk, &r->block, ret);
	if (ret)
		action = fail(r, read ? d->rerror : d->werror, ret);
	if (action != BLOCK_STOP)
		finish(r, action == BLOCK_REPORT ? S_IOERR : S_OK,
		       read ? r->block.len : 0);
}

/* dev.lock held. */
static void enter(const struct request *r)
{
	r->blk->flying++;
	r->blk->of_queue[r->queue]++;
}

/* A request of queue @q is over; dev.lock held. */
static void leave(struct blk *b, unsigned q)
{
	b->flying--;
	if (--b->of_queue[q])
		return;
	pthread_cond_broadcast(&b->landed);
	if (b->dev.vq[q].ending) {
		land(b);
		virtio_ended(&b->dev);
	}
}

static void blk_done(struct block_req *req, int ret)
{
	struct request *r = container_of(req, struct request, block);
	struct blk *b = r->blk;
	bool here = kicking == b; /* it was done at once */
	bool more = here || req->more;
	unsigned q = r->queue;

	if (!here)
		pthread_mutex_lock(&b->dev.lock);
	complete(r, ret);
	if (!more)
		land(b);
	leave(b, q);
	if (!here)
		pthread_mutex_unlock(&b->dev.lock);
}

/* ---- its beginning ---- */

/* The pieces of @iov from @skip on, @len bytes of them. */
static void slice(struct request *r, const struct iovec *iov, size_t skip,
		  size_t len)
{
	struct iovec *out = r->iov;
	size_t part;

	for (; len; iov++) {
		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		part = MIN(iov->iov_len - skip, len);
		*out++ = (struct iovec){(char *)iov->iov_base + skip, part};
		len -= part;
		skip = 0;
	}
	r->block.iov = r->iov;
	r->block.iovs = (unsigned)(out - r->iov);
}

static bool inside(const struct blk *b, uint64_t sector, uint64_t len)
{
	uint64_t sectors = block_size(b->block) / BLOCK_SECTOR;

	return len % b->conf.logical_block == 0 &&
	       sector % (b->conf.logical_block / BLOCK_SECTOR) == 0 &&
	       sector <= sectors && len / BLOCK_SECTOR <= sectors - sector;
}

static bool write_through(const struct blk *b)
{
	return !b->write_cache || !virtio_has(&b->dev, F_FLUSH);
}

/* S_OK: r->block is to be done; anything else is the answer. */
static uint8_t parse_data(struct request *r, uint64_t sector, bool write)
{
	const struct vq_elem *e = r->elem;
	size_t len = write ? e->out_len - HEADER_SIZE : e->in_len - 1;

	if (!inside(r->blk, sector, len))
		return S_IOERR;
	if (write)
		slice(r, e->iov, HEADER_SIZE, len);
	else
		slice(r, e->iov + e->out_n, 0, len);
	r->block.op = write ? BLOCK_WRITE : BLOCK_READ;
	r->block.offset = sector * BLOCK_SECTOR;
	r->block.len = len;
	return S_OK;
}

static uint8_t parse_range(struct request *r, bool zeroes)
{
	const struct vq_elem *e = r->elem;
	struct range range;
	unsigned bit = zeroes ? F_WRITE_ZEROES : F_DISCARD;
	uint64_t most = zeroes ? r->blk->conf.max_zeroes
			       : r->blk->conf.max_discard;

	if (!virtio_has(&r->blk->dev, bit))
		return S_UNSUPP;
	if (e->out_len != HEADER_SIZE + sizeof(range))
		return e->out_len < HEADER_SIZE + sizeof(range) ? S_IOERR
								: S_UNSUPP;
	iov_read(e->iov, e->out_n, HEADER_SIZE, &range, sizeof(range));
	if (range.flags & (zeroes ? ~RANGE_UNMAP : ~0U))
		return S_UNSUPP;
	if (!range.sectors || range.sectors > most ||
	    !inside(r->blk, range.sector,
		    (uint64_t)range.sectors * BLOCK_SECTOR))
		return S_IOERR;
	r->block.op = !zeroes                     ? BLOCK_DISCARD
		      : range.flags & RANGE_UNMAP ? BLOCK_ZEROES_UNMAP
						  : BLOCK_ZEROES;
	r->block.offset = range.sector * BLOCK_SECTOR;
	r->block.len = (uint64_t)range.sectors * BLOCK_SECTOR;
	return S_OK;
}

static uint8_t parse(struct request *r, uint32_t type, uint64_t sector)
{
	bool changes = type == T_OUT || type == T_DISCARD ||
		       type == T_WRITE_ZEROES;

	if (changes && block_read_only(r->blk->block))
		return S_IOERR;
	r->block.sync = changes && write_through(r->blk);
	switch (type) {
	case T_IN: return parse_data(r, sector, false);
	case T_OUT: return parse_data(r, sector, true);
	case T_FLUSH: r->block.op = BLOCK_FLUSH; return S_OK;
	case T_DISCARD: return parse_range(r, false);
	case T_WRITE_ZEROES: return parse_range(r, true);
	default: return S_UNSUPP;
	}
}

static void give_id(struct request *r)
{
	const struct vq_elem *e = r->elem;
	char id[20] = "";
	size_t len = MIN(e->in_len - 1, sizeof(id));

	memcpy(id, r->blk->conf.serial,
	       strnlen(r->blk->conf.serial, sizeof(id)));
	iov_write(e->iov + e->out_n, e->in_n, 0, id, len);
	finish(r, S_OK, len);
}

/*
 * Do it in this thread, if it can be done. The lock is not held meanwhile: a
 * write may wait after all, for as long as its file system likes.
 */
static bool try_here(struct request *r)
{
	struct blk *b = r->blk;
	size_t len = r->block.len;
	unsigned q = r->queue;
	int ret;

	if (len > TRY_HERE_MAX)
		return false;
	pthread_mutex_unlock(&b->dev.lock);
	ret = block_try(b->block, &r->block);
	pthread_mutex_lock(&b->dev.lock);
	if (ret == -EAGAIN)
		return false;
	b->batch.bytes += len;
	complete(r, ret);
	leave(b, q);
	if (b->batch.bytes >= LAND_BYTES)
		land(b);
	return true;
}

static uint64_t flush_rest(uint64_t took)
{
	return MIN(MAX(FLUSH_REST * took, FLUSH_REST_MIN), FLUSH_REST_MAX);
}

/*
 * A driver that asks for nothing but a flush most often waits for it: then it
 * need not wait for another thread to wake as well. Where something came
 * meanwhile after all, which it held up, others do the next ones for so long
 * that little is lost.
 */
static bool flush_here(struct request *r)
{
	struct blk *b = r->blk;
	uint64_t start = mono_ns(), end;
	unsigned q = r->queue;
	bool done;
	int ret;

	if (r->block.op != BLOCK_FLUSH || b->flying != 1 ||
	    start < b->no_flush_here || !virtio_alone(&b->dev))
		return false;
	pthread_mutex_unlock(&b->dev.lock);
	done = block_flush_here(b->block, &ret);
	end = mono_ns();
	pthread_mutex_lock(&b->dev.lock);
	if (!done)
		return false;
	if (!virtio_alone(&b->dev))
		b->no_flush_here = end + flush_rest(end - start);
	complete(r, ret);
	leave(b, q);
	land(b);
	return true;
}

static void dispatch(struct request *r)
{
	struct blk *b = r->blk;
	uint8_t status;
	struct {
		uint32_t type;
		uint32_t reserved;
		uint64_t sector;
	} header;

	iov_read(r->elem->iov, r->elem->out_n, 0, &header, sizeof(header));
	if (header.type == T_GET_ID) {
		give_id(r);
		return;
	}
	status = parse(r, header.type, header.sector);
	if (status != S_OK) {
		virtio_count(&b->dev, COUNT_ERRORS, 1);
		finish(r, status, 0);
		return;
	}
	enter(r);
	if (!try_here(r) && !flush_here(r))
		block_submit(b->block, &r->block);
}

/* A buffer without header or status cannot be answered. */
static bool start(struct blk *b, unsigned q, struct vq_elem *e)
{
	unsigned n = MAX(e->out_n, e->in_n);
	struct request *r = NULL;

	if (e->out_len >= HEADER_SIZE && e->in_len >= 1)
		r = calloc(1, sizeof(*r) + n * sizeof(r->iov[0]));
	if (!r) {
		free(e);
		return false;
	}
	r->blk = b;
	r->elem = e;
	r->queue = q;
	r->block.done = blk_done;
	dispatch(r);
	return true;
}

static void blk_notify(struct virtio_device *dev, unsigned q)
{
	struct blk *b = (struct blk *)dev;
	struct vq *vq = &dev->vq[q];
	struct vq_elem *e;
	bool good = true;

	kicking = b;
	do {
		vq_want_kick(vq, false);
		do {
			while (good && (e = vq_pop(vq)))
				good = start(b, q, e);
			block_kick(b->block);
			land(b);
		} while (good && !b->flying && virtio_await(dev, q));
		vq_want_kick(vq, true);
	} while (good && !vq_empty(vq));
	kicking = NULL;
	if (!good || (vq->broken && !vq->ending))
		virtio_break(dev);
}

/* The machine goes on: once more what it was stopped for. */
static void blk_resume(struct virtio_device *dev)
{
	struct blk *b = (struct blk *)dev;
	struct request *list = b->stalled, *r;

	b->stalled = NULL;
	kicking = b;
	while ((r = list)) {
		list = r->next;
		enter(r);
		block_submit(b->block, &r->block);
	}
	block_kick(b->block);
	kicking = NULL;
	land(b);
}

/* Of queue @q, or of all when that is VIRTIO_MAX_QUEUES. */
static bool blk_busy(struct virtio_device *dev, unsigned q)
{
	const struct blk *b = (const struct blk *)dev;

	return q == VIRTIO_MAX_QUEUES ? b->flying : b->of_queue[q];
}

/*
 * Guests and monitors wait here, and so not for ever: a disk may be behind a
 * server that is gone. dev.lock held.
 */
static bool all_landed(struct blk *b, unsigned q, unsigned seconds)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	while (blk_busy(&b->dev, q) && !ret)
		ret = pthread_cond_timedwait(&b->landed, &b->dev.lock, &until);
	return !blk_busy(&b->dev, q);
}

/*
 * Buffers of what is in flight may be written until it ends, which then ends
 * the reset: drivers wait for that. Those who do not look are spared it where
 * the disk is as fast as disks are.
 */
static void blk_quiesce(struct virtio_device *dev, unsigned q)
{
	struct blk *b = (struct blk *)dev;
	struct request **at = &b->stalled, *r;

	all_landed(b, q, RESET_WAIT);
	while ((r = *at)) {
		if (q != VIRTIO_MAX_QUEUES && r->queue != q) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		finish(r, S_IOERR, 0);
	}
	land(b);
}

int virtio_blk_resize(struct virtio_device *dev, uint64_t size, struct err *e)
{
	struct blk *b = (struct blk *)dev;
	int ret;

	ASSERT(dev->class->id == VIRTIO_ID_BLK);
	pthread_mutex_lock(&dev->lock);
	/* Those that wait for the machine were checked against the old one. */
	if (!all_landed(b, VIRTIO_MAX_QUEUES, RESIZE_WAIT))
		ret = err_set(e, -EBUSY, "requests do not end");
	else if (b->stalled)
		ret = err_set(e, -EBUSY, "requests wait to be repeated");
	else
		ret = block_resize(b->block, size, e);
	if (!ret)
		virtio_config_changed(dev);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static void blk_reset(struct virtio_device *dev)
{
	struct blk *b = (struct blk *)dev;

	b->write_cache = b->conf.write_cache && !b->drive.write_through;
}

static void blk_destroy(struct virtio_device *dev)
{
	struct blk *b = (struct blk *)dev;

	block_stop(b->block);
	pthread_cond_destroy(&b->landed);
}

static const struct virtio_class blk_class = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLK,
	.pci_class = 0x010000,
	.counters = counters,
	.counters_n = ARRAY_SIZE(counters),
	.notify = blk_notify,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
	.quiesce = blk_quiesce,
	.busy = blk_busy,
	.resume = blk_resume,
	.reset = blk_reset,
	.destroy = blk_destroy,
};

static void offer(struct blk *b)
{
	struct virtio_features *f = &b->dev.offered;
	const uint64_t always = BIT64(F_SEG_MAX) | BIT64(F_BLK_SIZE) |
				BIT64(F_FLUSH) | BIT64(F_TOPOLOGY) |
				BIT64(F_MQ);
	const uint64_t asked = BIT64(F_CONFIG_WCE) | BIT64(F_DISCARD) |
			       BIT64(F_WRITE_ZEROES);
	bool ro = block_read_only(b->block);

	f->w[0] = b->conf.base.want.w[0] &
		  (asked | VIRTIO_COMMON_FEATURES | VIRTIO_EXTRA_FEATURES);
	f->w[0] |= always;
	features_put(f, F_RO, ro);
	if (ro || !block_unmaps(b->block))
		features_put(f, F_DISCARD, false);
	if (ro)
		features_put(f, F_WRITE_ZEROES, false);
	if (b->dev.queues == 1)
		features_put(f, F_MQ, false);
	virtio_settle(&b->dev);
}

/* What is said of the device counts, not what is said of its drive. */
static int take_policies(const struct blk_conf *c, struct drive *d,
			 struct err *e)
{
	int ret = 0;

	if (c->werror[0])
		ret = block_on_error("werror", c->werror, true, &d->werror, e);
	if (!ret && c->rerror[0])
		ret = block_on_error("rerror", c->rerror, false, &d->rerror, e);
	return ret;
}

/* What is told in blocks has to be some. */
static int check_sizes(const struct blk_conf *c, struct err *e)
{
	const struct {
		const char *name;
		uint64_t bytes;
	} sizes[] = {
		{"min_io_size", c->min_io},
		{"opt_io_size", c->opt_io},
		{"discard_granularity", c->discard_unit},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		if (sizes[i].bytes % c->logical_block)
			return err_set(e, -EINVAL,
				       "%s=%" PRIu64 " is not a multiple of "
				       "logical_block_size=%" PRIu64,
				       sizes[i].name, sizes[i].bytes,
				       c->logical_block);
	return 0;
}

static int blk_check(struct virtio_conf *base, const struct virtio_env *env,
		     struct err *e)
{
	struct blk_conf *c = (struct blk_conf *)base;
	struct drive unused;
	int ret = check_sizes(c, e);

	c->physical_block = MAX(c->physical_block, c->logical_block);
	return ret ? ret : take_policies(c, &unused, e);
}

static struct virtio_device *blk_create(const struct virtio_conf *base,
					const struct dma *dma, struct err *e)
{
	const struct blk_conf *c = (const struct blk_conf *)base;
	const struct drive *d = c->drive.object;
	pthread_condattr_t attr;
	struct blk *b;

	if (block_start(d->block, e))
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b || virtio_init(&b->dev, &blk_class, dma, (unsigned)c->queues,
			      (unsigned)c->queue_size)) {
		free(b);
		block_stop(d->block);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	b->conf = *c;
	b->drive = *d;
	ASSERT(!take_policies(c, &b->drive, e)); /* checked */
	b->block = b->drive.block;
	b->dev.config_size = CONFIG_SIZE;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->landed, &attr);
	pthread_condattr_destroy(&attr);
	blk_reset(&b->dev);
	offer(b);
	return &b->dev;
}

#define FIELD(f) offsetof(struct blk_conf, f)

static const struct prop blk_props[] = {
	{"drive", PROP_LINK, FIELD(drive), LINK_DRIVE, true, "",
	 "the -drive or -blockdev"},
	{"serial", PROP_TEXT, FIELD(serial), 0, 21, "", "serial number"},
	{"num-queues", PROP_NUMBER, FIELD(queues), 1, MAX_QUEUES, "1",
	 "queues"},
	{"queue-size", PROP_POWER, FIELD(queue_size), 4, 1024, "256",
	 "entries of a queue"},
	{"logical_block_size", PROP_POWER, FIELD(logical_block), 512, 4096,
	 "512", "bytes"},
	{"physical_block_size", PROP_POWER, FIELD(physical_block), 512, 65536,
	 "512", "bytes"},
	{"min_io_size", PROP_SIZE, FIELD(min_io), 0, MIN_IO_MAX, "0",
	 "least sensible I/O in bytes, 0: a block"},
	{"opt_io_size", PROP_SIZE, FIELD(opt_io), 0, UINT32_MAX, "0",
	 "best I/O in bytes, 0: unknown"},
	{"discard_granularity", PROP_SIZE, FIELD(discard_unit), 0, UINT32_MAX,
	 "0", "discards are multiples of it, 0: of a block"},
	{"max-discard-sectors", PROP_NUMBER, FIELD(max_discard), 1, MAX_SECTORS,
	 "2097152", "of one discard"},
	{"max-write-zeroes-sectors", PROP_NUMBER, FIELD(max_zeroes), 1,
	 MAX_SECTORS, "2097152", "of one write of zeros"},
	{"werror", PROP_TEXT, FIELD(werror), 0, 8, "",
	 "of writes: report, ignore, stop, enospc"},
	{"rerror", PROP_TEXT, FIELD(rerror), 0, 8, "",
	 "of reads: report, ignore, stop"},
	{"write-cache", PROP_BOOL, FIELD(write_cache), 0, 0, "on",
	 "the guest flushes"},
	PROP_FEATURE_ROW("config-wce", F_CONFIG_WCE, true),
	PROP_FEATURE_ROW("discard", F_DISCARD, true),
	PROP_FEATURE_ROW("write-zeroes", F_WRITE_ZEROES, true),
	{0},
};

const struct virtio_type virtio_blk_types[] = {
	{
		.name = "virtio-blk",
		.conf_size = sizeof(struct blk_conf),
		.props = blk_props,
		.check = blk_check,
		.create = blk_create,
	},
	{0},
};
