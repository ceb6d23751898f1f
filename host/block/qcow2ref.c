/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clusters of the file are used, and how often. A refcount block lies
 * in the range it describes, so that it can be made where the first cluster
 * of that range is wanted; a table that has become too small moves behind
 * everything there is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/block/qcow2.h"

#define MAX_OFFSET BIT64(56)

static uint64_t per_block(const struct qcow2 *q)
{
	return q->cluster * 8 >> q->ref_order;
}

static uint64_t get_count(const struct qcow2 *q, const void *block, uint64_t i)
{
	const uint8_t *p = block;
	unsigned bits = 1U << q->ref_order;
	uint64_t v = 0, at;

	if (bits < 8)
		return p[i * bits / 8] >> i * bits % 8 & (BIT(bits) - 1);
	for (at = i * bits / 8; at < (i + 1) * bits / 8; at++)
		v = v << 8 | p[at];
	return v;
}

static void put_count(const struct qcow2 *q, void *block, uint64_t i,
		      uint64_t v)
{
	uint8_t *p = block;
	unsigned bits = 1U << q->ref_order, n;

	if (bits < 8) {
		n = i * bits % 8;
		p += i * bits / 8;
		*p = (uint8_t)((*p & ~((BIT(bits) - 1) << n)) | v << n);
		return;
	}
	p += i * bits / 8;
	for (n = bits / 8; n--; v >>= 8)
		p[n] = (uint8_t)v;
}

/* ---- what must not be written over ---- */

static bool within(uint64_t at, uint64_t len, uint64_t from, uint64_t size)
{
	return at < from + size && from < at + len;
}

int q_check_overlap(struct qcow2 *q, uint64_t at, uint64_t len)
{
	uint64_t i;

	if (within(at, len, 0, q->cluster))
		return q_corrupt(q, "a write to its header");
	if (within(at, len, q->l1_at, q->l1_size * 8ULL))
		return q_corrupt(q, "a write to its L1 table");
	if (within(at, len, q->ref_at, q->ref_size * 8))
		return q_corrupt(q, "a write to its refcount table");
	for (i = 0; i < q->ref_size; i++)
		if (q->ref[i] && within(at, len, q->ref[i], q->cluster))
			return q_corrupt(q, "a write to a refcount block");
	for (i = 0; i < q->l1_size; i++)
		if (q->l1[i] &&
		    within(at, len, q->l1[i] & Q_OFFSET, q->cluster))
			return q_corrupt(q, "a write to an L2 table");
	return 0;
}

/* ---- blocks ---- */

static int barrier(struct qcow2 *q)
{
	return node_flush(q->file);
}

static int write_entry(struct qcow2 *q, uint64_t i)
{
	uint64_t be = __builtin_bswap64(q->ref[i]);

	return node_pwrite(q->file, q->ref_at + i * 8, &be, 8);
}

int q_new_block(struct qcow2 *q, uint64_t cluster)
{
	uint64_t i = cluster / per_block(q), at = cluster << q->bits;
	void *block;
	int ret = q_check_overlap(q, at, q->cluster);

	if (!ret)
		ret = qcache_new(&q->blocks, at, &block);
	if (ret)
		return ret;
	put_count(q, block, cluster % per_block(q), 1);
	ret = node_pwrite(q->file, at, block, q->cluster);
	if (!ret)
		ret = barrier(q);
	if (!ret) {
		q->ref[i] = at;
		ret = write_entry(q, i);
	}
	if (ret) {
		q->ref[i] = 0;
		qcache_drop(&q->blocks, at);
		return ret;
	}
	q->fresh = MAX(q->fresh, cluster + 1);
	return 0;
}

static int get_block(struct qcow2 *q, uint64_t cluster, void **block)
{
	uint64_t i = cluster / per_block(q);

	*block = NULL;
	if (i >= q->ref_size || !q->ref[i])
		return 0;
	if (q->ref[i] & (q->cluster - 1))
		return q_corrupt(q, "a refcount block that is not aligned");
	return qcache_get(&q->blocks, q->ref[i], block);
}

int q_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *out)
{
	void *block;
	int ret = get_block(q, cluster, &block);

	*out = !ret && block ? get_count(q, block, cluster % per_block(q)) : 0;
	return ret;
}

int q_set_refcount(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
	void *block;
	int ret = get_block(q, cluster, &block);

	if (ret)
		return ret;
	if (!block)
		return -ERANGE;
	put_count(q, block, cluster % per_block(q), count);
	qcache_mark(&q->blocks, block);
	return 0;
}

/* ---- a bigger table ---- */

struct growth {
	uint64_t first;  /* cluster from which on nothing is described */
	uint64_t blocks; /* that describe themselves and the table */
	uint64_t table;  /* its clusters */
	uint64_t size;   /* its entries */
};

static struct growth plan(const struct qcow2 *q)
{
	struct growth g = {.first = q->ref_size * per_block(q), .blocks = 1};
	uint64_t blocks;

	do {
		blocks = g.blocks;
		g.size = MAX(q->ref_size * 2, q->ref_size + blocks);
		g.table = (g.size * 8 + q->cluster - 1) >> q->bits;
		g.size = g.table * (q->cluster / 8);
		g.blocks = (blocks + g.table + per_block(q) - 1) / per_block(q);
		g.blocks = MAX(g.blocks, blocks);
	} while (g.blocks != blocks);
	return g;
}

static int write_blocks(struct qcow2 *q, const struct growth *g, uint8_t *buf)
{
	uint64_t used = g->blocks + g->table, i, n;
	int ret = 0;

	for (i = 0; !ret && i < g->blocks; i++) {
		memset(buf, 0, q->cluster);
		for (n = 0; n < per_block(q) && i * per_block(q) + n < used;
		     n++)
			put_count(q, buf, n, 1);
		ret = node_pwrite(q->file, (g->first + i) << q->bits, buf,
				  q->cluster);
	}
	return ret;
}

static int write_table(struct qcow2 *q, const struct growth *g,
		       const uint64_t *table)
{
	uint8_t head[12];
	uint64_t *be = malloc(g->size * 8), i;
	int ret;

	if (!be)
		return -ENOMEM;
	for (i = 0; i < g->size; i++)
		be[i] = __builtin_bswap64(table[i]);
	ret = node_pwrite(q->file, (g->first + g->blocks) << q->bits, be,
			  g->size * 8);
	free(be);
	if (!ret)
		ret = barrier(q);
	if (ret)
		return ret;
	q_put64(head, (g->first + g->blocks) << q->bits);
	q_put32(head + 8, (uint32_t)g->table);
	ret = node_pwrite(q->file, Q_H_REFTABLE, head, sizeof(head));
	return ret ? ret : barrier(q);
}

static int grow(struct qcow2 *q)
{
	struct growth g = plan(q);
	uint64_t old_at = q->ref_at, old = q->ref_size * 8, i;
	uint64_t *table = calloc(g.size, 8);
	uint8_t *buf = malloc(q->cluster);
	int ret = table && buf ? 0 : -ENOMEM;

	if (!ret && (g.first + g.blocks + g.table) << q->bits >= MAX_OFFSET)
		ret = -EFBIG;
	if (!ret)
		ret = qcache_write(&q->blocks);
	if (!ret)
		ret = write_blocks(q, &g, buf);
	if (!ret) {
		memcpy(table, q->ref, old);
		for (i = 0; i < g.blocks; i++)
			table[q->ref_size + i] = (g.first + i) << q->bits;
		ret = write_table(q, &g, table);
	}
	free(buf);
	if (ret) {
		free(table);
		return ret;
	}
	free(q->ref);
	q->ref = table;
	q->ref_size = g.size;
	q->ref_at = (g.first + g.blocks) << q->bits;
	q->fresh = MAX(q->fresh, g.first + g.blocks + g.table);
	q_free(q, old_at, (old + q->cluster - 1) >> q->bits);
	return 0;
}

/* ---- allocating ---- */

/* Free clusters from @c on in one block, at most @want. */
static uint64_t take_run(struct qcow2 *q, void *block, uint64_t c,
			 uint64_t want)
{
	uint64_t i = c % per_block(q), n;

	for (n = 0; n < want && i + n < per_block(q); n++) {
		if (get_count(q, block, i + n))
			break;
		put_count(q, block, i + n, 1);
	}
	if (n)
		qcache_mark(&q->blocks, block);
	return n;
}

static uint64_t first_free(struct qcow2 *q, const void *block, uint64_t c)
{
	uint64_t i = c % per_block(q), end = c - i + per_block(q);

	while (c < end && get_count(q, block, i++))
		c++;
	return c;
}

static int check_place(const struct qcow2 *q, uint64_t c, uint64_t n)
{
	uint64_t end = (c + n) << q->bits;

	if (end >= MAX_OFFSET)
		return -EFBIG;
	return q->file->fixed && end > q->file->size ? -ENOSPC : 0;
}

int q_alloc(struct qcow2 *q, uint64_t want, uint64_t *at, uint64_t *got)
{
	uint64_t c = q->hint, end;
	void *block;
	int ret = 0;

	for (;;) {
		ret = check_place(q, c, 1);
		if (!ret && c / per_block(q) >= q->ref_size)
			ret = grow(q);
		if (!ret)
			ret = get_block(q, c, &block);
		if (!ret && !block) {
			ret = q_new_block(q, c);
			q->hint = ++c;
			if (!ret)
				continue;
		}
		if (ret)
			return ret;
		end = c - c % per_block(q) + per_block(q);
		c = first_free(q, block, c);
		if (c < end)
			break;
	}
	*got = take_run(q, block, c, want);
	*at = c << q->bits;
	q->hint = c + *got;
	q->fresh = MAX(q->fresh, q->hint);
	ret = check_place(q, c, *got);
	if (!ret)
		ret = q_check_overlap(q, *at, *got << q->bits);
	if (ret)
		q_free(q, *at, *got);
	return ret;
}

/* ---- freeing ---- */

void q_free(struct qcow2 *q, uint64_t at, uint64_t clusters)
{
	struct qfrees *f = &q->young;
	uint64_t *p, i;
	size_t room;

	if (f->count + clusters > f->room) {
		room = MAX(f->room * 2, f->count + clusters + 64);
		p = realloc(f->cluster, room * sizeof(*p));
		if (!p)
			return; /* leaks */
		f->cluster = p;
		f->room = room;
	}
	for (i = 0; i < clusters; i++)
		f->cluster[f->count++] = (at >> q->bits) + i;
}

static int lower(struct qcow2 *q, uint64_t c)
{
	uint64_t count;
	int ret = q_refcount(q, c, &count);

	if (!ret && !count)
		ret = q_corrupt(q, "a used cluster whose refcount is 0");
	if (!ret)
		ret = q_set_refcount(q, c, count - 1);
	if (ret || count != 1)
		return ret;
	q->hint = MIN(q->hint, c);
	qcache_drop(&q->l2, c << q->bits);
	/* A hint, whose failure hurts nobody. */
	(void)!node_discard(q->file, c << q->bits, q->cluster);
	return 0;
}

int q_age(struct qcow2 *q)
{
	struct qfrees f;
	size_t i;
	int ret = 0;

	if (q->flying[!q->parity])
		return 0;
	for (i = 0; !ret && i < q->old.count; i++)
		ret = lower(q, q->old.cluster[i]);
	f = q->old;
	f.count = 0;
	q->old = q->young;
	q->young = f;
	q->parity = !q->parity;
	return ret;
}
