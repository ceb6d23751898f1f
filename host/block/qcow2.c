/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading, writing and forgetting guest clusters.
 */
#include "host/block/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FREES_MAX 65536 /* clusters that wait before we flush by ourselves */

/* Lock held, both. */
static unsigned begin(struct qcow2 *q)
{
	q->flying[q->parity]++;
	return q->parity;
}

static void end(struct qcow2 *q, unsigned token)
{
	q->flying[token]--;
}

static void lock(struct qcow2 *q)
{
	pthread_mutex_lock(&q->lock);
}

static void unlock(struct qcow2 *q)
{
	pthread_mutex_unlock(&q->lock);
}

/* ---- reading ---- */

static int read_backing(struct node *n, uint64_t at, const struct vec *v)
{
	uint64_t size = n->backing ? n->backing->size : 0;
	size_t len = at < size ? (size_t)MIN(size - at, v->len) : 0;
	struct vec have = vec_slice(v, 0, len);
	struct vec rest = vec_slice(v, len, v->len - len);

	vec_zero(&rest);
	return len ? node_read(n->backing, at, &have) : 0;
}

static int read_map(struct node *n, const struct qmap *m, uint64_t at,
		    const struct vec *v)
{
	struct qcow2 *q = n->state;

	switch (m->kind) {
	case Q_NONE: return read_backing(n, at, v);
	case Q_NORMAL: return node_read(q->file, m->host, v);
	case Q_PACKED: return q_unzip(q, m, at, v);
	default: vec_zero(v); return 0;
	}
}

int q_read(struct node *n, uint64_t at, const struct vec *v)
{
	struct qcow2 *q = n->state;
	unsigned token = 0;
	struct vec part;
	struct qmap m;
	size_t done;
	int ret = 0;

	for (done = 0; !ret && done < v->len; done += m.len) {
		lock(q);
		ret = q_find(q, at + done, v->len - done, false, &m);
		if (!ret)
			token = begin(q);
		unlock(q);
		if (ret)
			break;
		part = vec_slice(v, done, m.len);
		ret = read_map(n, &m, at + done, &part);
		lock(q);
		end(q, token);
		unlock(q);
	}
	return ret;
}

/* ---- writing ---- */

/* Lock held. True when it waited for others: look again. */
static bool wait_alloc(struct qcow2 *q, uint64_t first, uint64_t count)
{
	const struct qalloc *a;

	for (a = q->allocs; a; a = a->next) {
		if (first >= a->first + a->count || a->first >= first + count)
			continue;
		pthread_cond_wait(&q->landed, &q->lock);
		return true;
	}
	return false;
}

/* Lock held. */
static void leave(struct qcow2 *q, struct qalloc *a)
{
	struct qalloc **p = &q->allocs;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	pthread_cond_broadcast(&q->landed);
}

/* Guest clusters that get a new place, and what is written there. */
struct place {
	struct qalloc alloc;
	struct qmap old;
	uint64_t host;
	bool new;   /* the place was free before */
	bool blank; /* nothing was ever written there */
	size_t head, len, tail;
};

/* Lock held: fill @p for up to @len bytes at @at, whose map is p->old. */
static int find_place(struct qcow2 *q, uint64_t at, struct place *p)
{
	uint64_t off = at & (q->cluster - 1), fresh = q->fresh, room;
	uint64_t count = (off + p->old.len + q->cluster - 1) >> q->bits;
	int ret = 0;

	if (p->old.kind == Q_ZEROS_KEPT && p->old.copied) {
		p->host = p->old.host - off;
	} else {
		ret = q_alloc(q, count, &p->host, &count);
		p->new = true;
		p->blank = p->host >> q->bits >= fresh;
	}
	if (ret)
		return ret;
	room = (count << q->bits) - off;
	p->alloc.first = at >> q->bits;
	p->alloc.count = count;
	p->head = off;
	p->len = (size_t)MIN(room, p->old.len);
	p->tail = room - p->len;
	p->alloc.next = q->allocs;
	q->allocs = &p->alloc;
	return 0;
}

/* What was around the new data, so that its clusters are whole. */
static int copy_around(struct node *n, const struct place *p, uint64_t at,
		       uint64_t host, size_t len)
{
	const struct qcow2 *q = n->state;
	bool zeros = p->old.kind == Q_ZEROS || p->old.kind == Q_ZEROS_KEPT ||
		     (p->old.kind == Q_NONE &&
		      (!n->backing || at >= n->backing->size));
	struct iovec iov;
	struct vec v;
	char *buf;
	int ret;

	if (!len || (zeros && p->blank))
		return 0;
	buf = aligned_alloc(4096, ALIGN_UP(len, (size_t)4096));
	if (!buf)
		return -ENOMEM;
	v = vec_one(&iov, buf, len);
	ret = q_read(n, at, &v);
	if (!ret)
		ret = node_write(q->file, host, &v);
	free(buf);
	return ret;
}

static int write_place(struct node *n, const struct place *p, uint64_t at,
		       const struct vec *v)
{
	const struct qcow2 *q = n->state;
	struct vec part = vec_slice(v, 0, p->len);
	int ret = copy_around(n, p, at - p->head, p->host, p->head);

	if (!ret)
		ret = node_write(q->file, p->host + p->head, &part);
	if (!ret)
		ret = copy_around(n, p, at + p->len, p->host + p->head + p->len,
				  p->tail);
	return ret;
}

/* Lock held, and again when it is back. */
static int write_new(struct node *n, uint64_t at, const struct vec *v,
		     const struct qmap *m, size_t *done)
{
	struct qcow2 *q = n->state;
	struct place p = {.old = *m};
	int ret = find_place(q, at, &p);

	if (ret)
		return ret;
	unlock(q);
	ret = write_place(n, &p, at, v);
	lock(q);
	if (!ret)
		ret = q->corrupt ? -EIO
				 : q_link(q, p.alloc.first << q->bits,
					  p.alloc.count, p.host | Q_COPIED);
	if (ret && p.new)
		q_free(q, p.host, p.alloc.count);
	leave(q, &p.alloc);
	*done = p.len;
	return ret;
}

/* Lock held, and again when it is back. */
static int write_old(struct qcow2 *q, const struct qmap *m, const struct vec *v)
{
	struct vec part = vec_slice(v, 0, m->len);
	unsigned token;
	int ret = q_check_overlap(q, m->host, m->len);

	if (ret)
		return ret;
	token = begin(q);
	unlock(q);
	ret = node_write(q->file, m->host, &part);
	lock(q);
	end(q, token);
	return ret;
}

static int write_part(struct node *n, uint64_t at, const struct vec *v,
		      size_t *done)
{
	struct qcow2 *q = n->state;
	struct qmap m;
	int ret;

	for (;;) {
		ret = q_find(q, at, v->len, false, &m);
		if (ret)
			return ret;
		if (m.kind == Q_NORMAL && m.copied) {
			*done = m.len;
			return write_old(q, &m, v);
		}
		if (!wait_alloc(q, at >> q->bits,
				((at + m.len - 1) >> q->bits) -
					(at >> q->bits) + 1))
			return write_new(n, at, v, &m, done);
	}
}

static int q_write(struct node *n, uint64_t at, const struct vec *v)
{
	struct qcow2 *q = n->state;
	struct vec rest = *v;
	size_t done;
	int ret = 0;

	lock(q);
	while (!ret && rest.len) {
		ret = write_part(n, at, &rest, &done);
		if (ret)
			break;
		at += done;
		rest = vec_slice(&rest, done, rest.len - done);
	}
	unlock(q);
	return ret;
}

int q_flush(struct node *n)
{
	struct qcow2 *q = n->state;
	int ret;

	lock(q);
	ret = q_sync(q);
	unlock(q);
	if (!ret)
		ret = node_flush(q->file);
	lock(q);
	if (!ret)
		ret = q_age(q);
	unlock(q);
	return ret;
}

/* ---- forgetting ---- */

enum forget { DISCARD, ZERO, ZERO_UNMAP };

/* What an entry becomes; false: it stays. */
static bool becomes(const struct node *n, const struct qmap *m, enum forget how,
		    uint64_t *entry)
{
	const struct qcow2 *q = n->state;
	bool v3 = q->version >= 3;

	*entry = v3 && (how != DISCARD || n->backing) ? Q_ZERO : 0;
	switch (m->kind) {
	case Q_NONE: return how != DISCARD && n->backing;
	case Q_ZEROS: return false;
	case Q_ZEROS_KEPT: return how != ZERO;
	case Q_NORMAL:
		if (how == ZERO && m->copied && v3)
			*entry = m->host | Q_COPIED | Q_ZERO;
		return true;
	default: return true;
	}
}

/* @count clusters from @at on; lock held. */
static int forget(struct node *n, uint64_t at, uint64_t count, enum forget how)
{
	struct qcow2 *q = n->state;
	uint64_t end = at + (count << q->bits), entry;
	struct qmap m;
	int ret = 0;

	while (!ret && at < end) {
		ret = q_find(q, at, end - at, false, &m);
		if (ret || wait_alloc(q, at >> q->bits, m.len >> q->bits))
			continue;
		if (becomes(n, &m, how, &entry))
			ret = q_link(q, at, m.len >> q->bits, entry);
		at += m.len;
	}
	return ret;
}

/* The whole clusters of a range; the last one may be cut by the disk's end. */
static bool inner(const struct node *n, uint64_t at, uint64_t len,
		  uint64_t *first, uint64_t *count)
{
	const struct qcow2 *q = n->state;
	uint64_t end = at + len;

	if (end == n->size)
		end = ALIGN_UP(end, q->cluster);
	*first = ALIGN_UP(at, q->cluster);
	end = ALIGN_DOWN(end, q->cluster);
	*count = end > *first ? (end - *first) >> q->bits : 0;
	return *count;
}

static int forget_all(struct node *n, uint64_t at, uint64_t count,
		      enum forget how)
{
	struct qcow2 *q = n->state;
	bool many;
	int ret;

	lock(q);
	ret = forget(n, at, count, how);
	many = q->young.count + q->old.count > FREES_MAX;
	unlock(q);
	return !ret && many ? q_flush(n) : ret;
}

static int q_discard(struct node *n, uint64_t at, uint64_t len)
{
	const struct qcow2 *q = n->state;
	uint64_t first, count;

	/* Version 2 has no way to hide what is in the backing file. */
	if ((q->version < 3 && n->backing) ||
	    !inner(n, at, len, &first, &count))
		return 0;
	return forget_all(n, first, count, DISCARD);
}

static int write_zeros(struct node *n, uint64_t at, uint64_t end)
{
	char *zeros;
	struct iovec iov;
	struct vec v;
	int ret;

	if (at >= end)
		return 0;
	zeros = calloc(1, (size_t)(end - at));
	if (!zeros)
		return -ENOMEM;
	v = vec_one(&iov, zeros, (size_t)(end - at));
	ret = q_write(n, at, &v);
	free(zeros);
	return ret;
}

static int q_zero(struct node *n, uint64_t at, uint64_t len, bool unmap)
{
	const struct qcow2 *q = n->state;
	uint64_t first, count, end = at + len;
	int ret;

	if (q->version < 3 && (n->backing || !unmap))
		return -EOPNOTSUPP;
	if (!inner(n, at, len, &first, &count))
		return -EOPNOTSUPP;
	ret = write_zeros(n, at, MIN(first, end));
	if (!ret)
		ret = forget_all(n, first, count, unmap ? ZERO_UNMAP : ZERO);
	return ret ? ret : write_zeros(n, first + (count << q->bits), end);
}

/* ---- growing ---- */

/*
 * What a longer backing file has behind the end, or a cluster that the end cut,
 * is covered with zeros before the header tells of it.
 */
static int q_resize(struct node *n, uint64_t size)
{
	struct qcow2 *q = n->state;
	uint64_t old = n->size, shown = ALIGN_UP(old, q->cluster);
	int ret;

	if (size < old)
		return -ERANGE;
	if (q->version < 3 && q->snapshots) /* which do not tell their size */
		return -EOPNOTSUPP;
	if (n->backing)
		shown = MAX(shown, n->backing->size);
	lock(q);
	ret = q_grow_l1(q, old, size);
	unlock(q);
	if (ret)
		return ret;
	n->size = size;
	shown = MIN(shown, size);
	if (shown > old)
		ret = node_zero(n, old, shown - old, false);
	if (!ret)
		ret = q_flush(n);
	if (!ret)
		ret = q_put_size(q, size, q->l1_at, q->l1_size);
	if (ret)
		n->size = old;
	return ret;
}

/* ---- in place ---- */

static int q_extent(struct node *n, uint64_t at, uint64_t len, bool write,
		    struct node_extent *x)
{
	struct qcow2 *q = n->state;
	struct qmap m;
	int ret;

	if (pthread_mutex_trylock(&q->lock))
		return -EAGAIN;
	ret = q_find(q, at, len, true, &m);
	if (!ret && (m.kind != Q_NORMAL || m.len < len || (write && !m.copied)))
		ret = -EAGAIN;
	if (!ret && write)
		ret = q_check_overlap(q, m.host, m.len);
	if (!ret)
		ret = node_extent(q->file, m.host, len, write, x);
	if (!ret) {
		x->owner = n;
		x->token = begin(q);
	}
	unlock(q);
	return ret ? -EAGAIN : 0;
}

static void q_put_extent(struct node *n, struct node_extent *x)
{
	struct qcow2 *q = n->state;

	lock(q);
	end(q, x->token);
	unlock(q);
}

/* ---- the end ---- */

/* What was freed is written as free; there is nobody left to use it. */
static void settle(struct node *n)
{
	int i;

	for (i = 0; i < 3; i++)
		if (q_flush(n))
			return;
}

static void q_close(struct node *n)
{
	struct qcow2 *q = n->state;

	if (q->l1 && q->l2.table && q->blocks.table && !n->read_only &&
	    !q->corrupt)
		settle(n);
	qcache_exit(&q->l2);
	qcache_exit(&q->blocks);
	free(q->l1);
	free(q->l1_dirty);
	free(q->ref);
	free(q->young.cluster);
	free(q->old.cluster);
	free(q->zip);
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->zip_lock);
	pthread_cond_destroy(&q->landed);
	free(q);
}

const struct node_driver node_qcow2 = {
	.name = "qcow2",
	.open = q_open,
	.close = q_close,
	.read = q_read,
	.write = q_write,
	.flush = q_flush,
	.discard = q_discard,
	.zero = q_zero,
	.resize = q_resize,
	.extent = q_extent,
	.put_extent = q_put_extent,
};
