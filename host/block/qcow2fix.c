/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The refcounts of an image that was marked dirty and not closed: a client
 * with lazy refcounts raised them in its memory only. All that points to
 * clusters is walked and counted anew; what nothing points to becomes free.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/block/qcow2.h"

#define SNAPSHOT_HEAD 40 /* bytes */

struct count {
	uint64_t clusters; /* of the file */
	uint32_t *use;
};

static int add(struct qcow2 *q, struct count *c, uint64_t at, uint64_t len)
{
	uint64_t i, end = (at + len + q->cluster - 1) >> q->bits;

	if (!len)
		return 0;
	if (end > c->clusters)
		return -EIO;
	for (i = at >> q->bits; i < end; i++)
		c->use[i]++;
	return 0;
}

static int add_entry(struct qcow2 *q, struct count *c, uint64_t entry)
{
	uint64_t at, len;

	if (entry & Q_COMPRESSED) {
		q_zip_place(q, entry, &at, &len);
		return add(q, c, at, MIN(len, (c->clusters << q->bits) - at));
	}
	return entry & Q_OFFSET ? add(q, c, entry & Q_OFFSET, q->cluster) : 0;
}

static int add_l2(struct qcow2 *q, struct count *c, uint64_t table)
{
	uint64_t *l2 = malloc(q->cluster), i;
	int ret = l2 ? add(q, c, table, q->cluster) : -ENOMEM;

	if (!ret)
		ret = node_pread(q->file, table, l2, q->cluster);
	for (i = 0; !ret && i < BIT64(q->l2_bits); i++)
		ret = add_entry(q, c, __builtin_bswap64(l2[i]));
	free(l2);
	return ret;
}

static int add_l1(struct qcow2 *q, struct count *c, uint64_t at, uint64_t size)
{
	uint64_t *l1 = malloc(size * 8 + 8), i, table;
	int ret = l1 ? add(q, c, at, size * 8) : -ENOMEM;

	if (!ret && size)
		ret = node_pread(q->file, at, l1, size * 8);
	for (i = 0; !ret && i < size; i++) {
		table = __builtin_bswap64(l1[i]) & Q_OFFSET;
		if (table)
			ret = add_l2(q, c, table);
	}
	free(l1);
	return ret;
}

/* The snapshot table's rows have no fixed length. */
static int add_snapshots(struct qcow2 *q, struct count *c)
{
	uint8_t head[SNAPSHOT_HEAD];
	uint64_t at, start;
	unsigned i;
	int ret = node_pread(q->file, 64, head, 8);

	start = at = q_get64(head);
	for (i = 0; !ret && i < q->snapshots; i++) {
		ret = node_pread(q->file, at, head, sizeof(head));
		if (!ret && q_get32(head + 8) > (32U << 20) / 8)
			ret = -EIO;
		if (!ret)
			ret = add_l1(q, c, q_get64(head), q_get32(head + 8));
		at += SNAPSHOT_HEAD + q_get32(head + 36) +
		      (uint64_t)(head[12] << 8 | head[13]) +
		      (uint64_t)(head[14] << 8 | head[15]);
		at = ALIGN_UP(at, (uint64_t)8);
	}
	return ret ? ret : add(q, c, start, at - start);
}

static int count_all(struct qcow2 *q, struct count *c)
{
	uint64_t i;
	int ret = add(q, c, 0, q->cluster);

	if (!ret)
		ret = add(q, c, q->ref_at, q->ref_size * 8);
	for (i = 0; !ret && i < q->ref_size; i++)
		if (q->ref[i])
			ret = add(q, c, q->ref[i], q->cluster);
	if (!ret)
		ret = add_l1(q, c, q->l1_at, q->l1_size);
	if (!ret && q->snapshots)
		ret = add_snapshots(q, c);
	return ret;
}

/* A block for the range of @cluster, where nothing else is. */
static int make_block(struct qcow2 *q, struct count *c, uint64_t cluster)
{
	uint64_t n = q->cluster * 8 >> q->ref_order;
	uint64_t at = cluster - cluster % n, end = at + n;

	while (at < end && at < c->clusters && c->use[at])
		at++;
	if (at == end || cluster / n >= q->ref_size)
		return -EIO;
	if (at < c->clusters)
		c->use[at] = 1;
	return q_new_block(q, at);
}

static int set_count(struct qcow2 *q, struct count *c, uint64_t cluster)
{
	uint64_t have;
	int ret = q_refcount(q, cluster, &have);

	if (ret || have == c->use[cluster])
		return ret;
	ret = q_set_refcount(q, cluster, c->use[cluster]);
	if (ret == -ERANGE)
		ret = make_block(q, c, cluster);
	return ret ? ret : q_set_refcount(q, cluster, c->use[cluster]);
}

int q_repair(struct qcow2 *q)
{
	struct count c = {
		.clusters = (q->file->size + q->cluster - 1) >> q->bits,
	};
	uint64_t i;
	int ret;

	c.use = calloc(c.clusters + 1, sizeof(*c.use));
	if (!c.use)
		return -ENOMEM;
	ret = count_all(q, &c);
	for (i = 0; !ret && i < c.clusters; i++)
		ret = set_count(q, &c, i);
	free(c.use);
	if (!ret)
		ret = qcache_write(&q->blocks);
	return ret ? ret : node_flush(q->file);
}
