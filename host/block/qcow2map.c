/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From guest clusters to host ones: the L1 table is in memory, L2 tables in a
 * cache.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/block/qcow2.h"

#define RUN_TRIES 64

static uint64_t l1_index(const struct qcow2 *q, uint64_t at)
{
	return at >> (q->bits + q->l2_bits);
}

static uint64_t l2_index(const struct qcow2 *q, uint64_t at)
{
	return at >> q->bits & (BIT64(q->l2_bits) - 1);
}

static enum qkind kind_of(const struct qcow2 *q, uint64_t entry)
{
	if (entry & Q_COMPRESSED)
		return Q_PACKED;
	if (q->version >= 3 && entry & Q_ZERO)
		return entry & Q_OFFSET ? Q_ZEROS_KEPT : Q_ZEROS;
	return entry & Q_OFFSET ? Q_NORMAL : Q_NONE;
}

/* The table @at is described in, or NULL where there is none. */
static int get_l2(struct qcow2 *q, uint64_t at, bool cached, uint64_t **l2)
{
	uint64_t table = q->l1[l1_index(q, at)] & Q_OFFSET;
	void *p = NULL;
	int ret = 0;

	if (table & (q->cluster - 1))
		return q_corrupt(q, "L2 table %#" PRIx64 " is not aligned",
				 table);
	if (table && cached) {
		p = qcache_find(&q->l2, table);
		ret = p ? 0 : -EAGAIN;
	} else if (table) {
		ret = qcache_get(&q->l2, table, &p);
	}
	*l2 = p;
	return ret;
}

static int fill_map(struct qcow2 *q, uint64_t at, uint64_t entry,
		    struct qmap *m)
{
	uint64_t off = at & (q->cluster - 1);

	*m = (struct qmap){
		.kind = kind_of(q, entry),
		.copied = entry & Q_COPIED,
		.entry = entry,
		.host = entry & Q_OFFSET,
		.len = q->cluster - off,
	};
	if (m->kind != Q_NORMAL && m->kind != Q_ZEROS_KEPT)
		return 0;
	if (m->host & (q->cluster - 1))
		return q_corrupt(q,
				 "cluster %#" PRIx64 " of the guest's %#" PRIx64
				 " is not aligned",
				 m->host, at);
	m->host += off;
	return 0;
}

static bool goes_on(const struct qcow2 *q, const struct qmap *m, uint64_t entry)
{
	if (kind_of(q, entry) != m->kind || m->kind == Q_PACKED)
		return false;
	if (m->kind == Q_NONE || m->kind == Q_ZEROS)
		return true;
	return (entry & Q_OFFSET) == m->host + m->len &&
	       !(entry & Q_COPIED) == !m->copied;
}

int q_find(struct qcow2 *q, uint64_t at, uint64_t len, bool cached,
	   struct qmap *m)
{
	uint64_t i = l2_index(q, at), n = BIT64(q->l2_bits), *l2;
	int ret = q->corrupt ? -EIO : get_l2(q, at, cached, &l2);

	if (ret)
		return ret;
	if (!l2) {
		*m = (struct qmap){.kind = Q_NONE};
		m->len = ((n - i) << q->bits) - (at & (q->cluster - 1));
		m->len = MIN(m->len, len);
		return 0;
	}
	ret = fill_map(q, at, __builtin_bswap64(l2[i]), m);
	while (!ret && m->len < len && ++i < n &&
	       goes_on(q, m, __builtin_bswap64(l2[i])))
		m->len += q->cluster;
	m->len = MIN(m->len, len);
	return ret;
}

/* ---- changing ---- */

static void set_l1(struct qcow2 *q, uint64_t i, uint64_t entry)
{
	q->l1[i] = entry;
	q->l1_dirty[i] = true;
	q->l1_any = true;
}

/* A table of this image's own: new, or a copy of one that a snapshot has. */
static int own_l2(struct qcow2 *q, uint64_t at, uint64_t **out)
{
	uint64_t i = l1_index(q, at), old = q->l1[i] & Q_OFFSET, table, got;
	void *copy = NULL, *p;
	uint64_t *l2;
	int ret = get_l2(q, at, false, &l2);

	if (ret)
		return ret;
	if (l2 && q->l1[i] & Q_COPIED) {
		*out = l2;
		return 0;
	}
	if (l2) {
		copy = malloc(q->cluster);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, l2, q->cluster);
	}
	ret = q_alloc(q, 1, &table, &got);
	if (!ret) {
		ret = qcache_new(&q->l2, table, &p);
		if (ret)
			q_free(q, table, 1);
	}
	if (!ret) {
		if (copy)
			memcpy(p, copy, q->cluster);
		/* So that there is room for it when it counts. */
		ret = node_pwrite(q->file, table, p, q->cluster);
		if (ret) {
			qcache_drop(&q->l2, table);
			q_free(q, table, 1);
		}
	}
	if (!ret) {
		if (old)
			q_free(q, old, 1);
		set_l1(q, i, table | Q_COPIED);
		*out = p;
	}
	free(copy);
	return ret;
}

/* Nothing points to what @entry points to any more. */
static void unlink_entry(struct qcow2 *q, uint64_t entry, uint64_t kept)
{
	uint64_t at, len;

	switch (kind_of(q, entry)) {
	case Q_NORMAL:
	case Q_ZEROS_KEPT:
		if ((entry & Q_OFFSET) != (kept & Q_OFFSET))
			q_free(q, entry & Q_OFFSET, 1);
		break;
	case Q_PACKED:
		q_zip_place(q, entry, &at, &len);
		q_free(q, ALIGN_DOWN(at, q->cluster),
		       ((at + len - 1) >> q->bits) - (at >> q->bits) + 1);
		break;
	default: break;
	}
}

int q_link(struct qcow2 *q, uint64_t at, uint64_t count, uint64_t entry)
{
	bool placed = entry & Q_OFFSET;
	uint64_t *l2, i, old, new;
	int ret;

	while (count) {
		ret = own_l2(q, at, &l2);
		if (ret)
			return ret;
		qcache_mark(&q->l2, l2);
		for (i = l2_index(q, at); count && i < BIT64(q->l2_bits);
		     i++, count--, at += q->cluster) {
			old = __builtin_bswap64(l2[i]);
			new = entry;
			l2[i] = __builtin_bswap64(new);
			unlink_entry(q, old, new);
			entry += placed ? q->cluster : 0;
		}
	}
	return 0;
}

/* ---- writing ---- */

static int write_l1(struct qcow2 *q)
{
	uint64_t i, be;
	int ret = 0;

	for (i = 0; !ret && i < q->l1_size; i++) {
		if (!q->l1_dirty[i])
			continue;
		be = __builtin_bswap64(q->l1[i]);
		ret = node_pwrite(q->file, q->l1_at + i * 8, &be, 8);
		q->l1_dirty[i] = ret;
	}
	q->l1_any = ret;
	return ret;
}

int q_sync(struct qcow2 *q)
{
	int ret = q->corrupt ? -EIO : qcache_write(&q->blocks);

	if (ret || (!q->l2.dirty && !q->l1_any))
		return ret;
	/* Data and refcounts before what points to them. */
	ret = node_flush(q->file);
	if (!ret)
		ret = qcache_write(&q->l2);
	if (ret || !q->l1_any)
		return ret;
	ret = node_flush(q->file);
	return ret ? ret : write_l1(q);
}

/* ---- growing ---- */

/* @want clusters in a row; shorter runs that come first are given back. */
static int alloc_run(struct qcow2 *q, uint64_t want, uint64_t *at)
{
	struct {
		uint64_t at, count;
	} run[RUN_TRIES];
	unsigned n = 0;
	uint64_t got = 0;
	int ret;

	for (;;) {
		ret = q_alloc(q, want, at, &got);
		if (ret || got == want || n == RUN_TRIES)
			break;
		run[n].at = *at;
		run[n++].count = got;
	}
	if (!ret && got != want) {
		q_free(q, *at, got);
		ret = -EFBIG;
	}
	while (n--)
		q_free(q, run[n].at, run[n].count);
	return ret;
}

/* In one sector: the host's disk writes all of it or nothing. */
int q_put_size(struct qcow2 *q, uint64_t size, uint64_t l1_at, uint32_t l1_size)
{
	uint8_t be[Q_H_REFTABLE - Q_H_SIZE] = {0}; /* not encrypted */
	int ret;

	q_put64(be, size);
	q_put32(be + Q_H_L1 - Q_H_SIZE, l1_size);
	q_put64(be + Q_H_L1 + 4 - Q_H_SIZE, l1_at);
	ret = node_pwrite(q->file, Q_H_SIZE, be, sizeof(be));
	return ret ? ret : node_flush(q->file);
}

/* The table goes to @at, on stable storage, as do the refcounts of it. */
static int put_l1(struct qcow2 *q, const uint64_t *l1, uint64_t entries,
		  uint64_t at)
{
	size_t bytes = ALIGN_UP(entries * 8, q->cluster);
	uint64_t *be = calloc(1, bytes), i;
	int ret;

	if (!be)
		return -ENOMEM;
	for (i = 0; i < entries; i++)
		be[i] = __builtin_bswap64(l1[i]);
	ret = node_pwrite(q->file, at, be, bytes);
	free(be);
	if (!ret)
		ret = q_sync(q);
	return ret ? ret : node_flush(q->file);
}

/* What was small enough for few L2 tables may have more in memory now. */
static void grow_cache(struct qcow2 *q)
{
	uint64_t room = MIN(q->l2_room, (uint64_t)q->l1_size << q->bits);
	struct qcache c;

	if (q->l2.dirty || qcache_init(&c, q, room, q->l2.clean))
		return;
	qcache_exit(&q->l2);
	q->l2 = c;
}

static void replace_l1(struct qcow2 *q, uint64_t *l1, uint8_t *dirty,
		       uint64_t entries, uint64_t at)
{
	uint64_t old = q->l1_size * 8ULL;

	q_free(q, q->l1_at, ALIGN_UP(old, q->cluster) >> q->bits);
	free(q->l1);
	free(q->l1_dirty);
	q->l1 = l1;
	q->l1_dirty = dirty;
	q->l1_at = at;
	q->l1_size = (uint32_t)entries;
	grow_cache(q);
}

int q_grow_l1(struct qcow2 *q, uint64_t old, uint64_t size)
{
	uint64_t per = BIT64(q->bits + q->l2_bits), at;
	uint64_t need = size / per + !!(size % per);
	uint8_t *dirty;
	uint64_t *l1;
	int ret = need > Q_L1_MAX / 8 ? -EFBIG : q_sync(q);

	if (ret || need <= q->l1_size)
		return ret;
	l1 = calloc(need, sizeof(*l1));
	dirty = calloc(need + 1, 1);
	ret = l1 && dirty
		      ? alloc_run(q, ALIGN_UP(need * 8, q->cluster) >> q->bits,
				  &at)
		      : -ENOMEM;
	if (!ret) {
		memcpy(l1, q->l1, q->l1_size * sizeof(*l1));
		ret = put_l1(q, l1, need, at);
		/* Failed, its clusters leak: the header may name them. */
		if (!ret)
			ret = q_put_size(q, old, at, (uint32_t)need);
	}
	if (!ret) {
		replace_l1(q, l1, dirty, need, at);
		return 0;
	}
	free(l1);
	free(dirty);
	return ret;
}
