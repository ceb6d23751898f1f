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
