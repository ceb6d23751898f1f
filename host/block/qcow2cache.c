/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few hundred tables at most, searched from the one found last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/block/qcow2.h"

#define SLOTS_MIN 4

int qcache_init(struct qcache *c, struct qcow2 *q, uint64_t bytes,
		int (*clean)(struct qcow2 *q))
{
	uint64_t slots = MAX(bytes / q->cluster, (uint64_t)SLOTS_MIN);

	*c = (struct qcache){.q = q, .slots = (unsigned)slots, .clean = clean};
	c->table = calloc(slots, sizeof(*c->table));
	return c->table ? 0 : -ENOMEM;
}

void qcache_exit(struct qcache *c)
{
	unsigned i;

	for (i = 0; c->table && i < c->slots; i++)
		free(c->table[i].data);
	free(c->table);
	c->table = NULL;
}

static struct qcache_table *find(struct qcache *c, uint64_t at)
{
	unsigned i;

	if (c->table[c->last].at == at)
		return &c->table[c->last];
	for (i = 0; i < c->slots; i++) {
		if (c->table[i].at == at) {
			c->last = i;
			return &c->table[i];
		}
	}
	return NULL;
}

void *qcache_find(struct qcache *c, uint64_t at)
{
	struct qcache_table *t = find(c, at);

	if (!t)
		return NULL;
	t->used = ++c->clock;
	return t->data;
}

static int write_table(struct qcache *c, struct qcache_table *t)
{
	struct qcow2 *q = c->q;
	int ret = node_pwrite(q->file, t->at, t->data, q->cluster);

	if (ret)
		return ret;
	t->dirty = false;
	c->dirty--;
	return 0;
}

int qcache_write(struct qcache *c)
{
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && c->dirty && i < c->slots; i++)
		if (c->table[i].dirty)
			ret = write_table(c, &c->table[i]);
	return ret;
}

/* One to use for @at: an empty one, or the one unused for longest. */
static int take_slot(struct qcache *c, uint64_t at, struct qcache_table **out)
{
	struct qcache_table *t = &c->table[0];
	unsigned i;
	int ret;

	for (i = 1; i < c->slots && t->at; i++)
		if (!c->table[i].at || c->table[i].used < t->used)
			t = &c->table[i];
	if (t->at && t->dirty) {
		ret = c->clean(c->q);
		if (ret)
			return ret;
	}
	if (!t->data)
		t->data = aligned_alloc(4096, ALIGN_UP(c->q->cluster, 4096U));
	if (!t->data)
		return -ENOMEM;
	t->at = 0;
	t->dirty = false;
	t->used = ++c->clock;
	*out = t;
	return 0;
}

int qcache_get(struct qcache *c, uint64_t at, void **out)
{
	struct qcache_table *t;
	int ret;

	*out = qcache_find(c, at);
	if (*out)
		return 0;
	ret = take_slot(c, at, &t);
	if (!ret)
		ret = node_pread(c->q->file, at, t->data, c->q->cluster);
	if (ret)
		return ret;
	t->at = at;
	*out = t->data;
	return 0;
}

int qcache_new(struct qcache *c, uint64_t at, void **out)
{
	struct qcache_table *t;
	int ret;

	qcache_drop(c, at);
	ret = take_slot(c, at, &t);
	if (ret)
		return ret;
	memset(t->data, 0, c->q->cluster);
	t->at = at;
	*out = t->data;
	qcache_mark(c, t->data);
	return 0;
}

void qcache_mark(struct qcache *c, const void *data)
{
	unsigned i = c->last;

	if (c->table[i].data != data)
		for (i = 0; c->table[i].data != data; i++)
			;
	c->dirty += !c->table[i].dirty;
	c->table[i].dirty = true;
}

void qcache_drop(struct qcache *c, uint64_t at)
{
	struct qcache_table *t = find(c, at);

	if (!t)
		return;
	c->dirty -= t->dirty;
	t->dirty = false;
	t->at = 0;
	t->used = 0;
}
