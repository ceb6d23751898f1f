/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk as it is, or a part of a file. When that is a guess the guest is kept
 * from writing what would make it another format the next time: whoever may
 * choose the format may name any of the host's files as a backing one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "host/block/node.h"

struct raw {
	uint64_t offset;
	bool guessed;
};

static int raw_read(struct node *n, uint64_t at, const struct vec *v)
{
	const struct raw *r = n->state;

	return node_read(n->file, r->offset + at, v);
}

static int check_head(const struct vec *v)
{
	uint8_t head[BLOCK_SECTOR];
	struct vec start = vec_slice(v, 0, MIN(v->len, sizeof(head)));

	vec_from(&start, head);
	return node_probe(head, start.len) ? -EPERM : 0;
}

static int raw_write(struct node *n, uint64_t at, const struct vec *v)
{
	const struct raw *r = n->state;
	int ret = r->guessed && !at && v->len ? check_head(v) : 0;

	return ret ? ret : node_write(n->file, r->offset + at, v);
}

static int raw_flush(struct node *n)
{
	return node_flush(n->file);
}

static int raw_discard(struct node *n, uint64_t at, uint64_t len)
{
	const struct raw *r = n->state;

	return node_discard(n->file, r->offset + at, len);
}

static int raw_zero(struct node *n, uint64_t at, uint64_t len, bool unmap)
{
	const struct raw *r = n->state;

	return node_zero(n->file, r->offset + at, len, unmap);
}

/* The whole of a file, or nothing: what is behind a part is not ours. */
static int raw_resize(struct node *n, uint64_t size)
{
	const struct raw *r = n->state;
	struct node *f = n->file;
	int ret;

	if (r->offset || n->size != f->size || !f->driver->resize)
		return -EOPNOTSUPP;
	ret = f->driver->resize(f, size);
	if (!ret)
		f->size = size;
	return ret;
}

static int raw_extent(struct node *n, uint64_t at, uint64_t len, bool write,
		      struct node_extent *x)
{
	const struct raw *r = n->state;

	if (write && r->guessed && !at)
		return -EAGAIN;
	return node_extent(n->file, r->offset + at, len, write, x);
}

static void raw_close(struct node *n)
{
	free(n->state);
}

/* The part [offset, offset + size) of the file. */
static int set_range(struct node *n, struct raw *r, struct dict *d,
		     struct err *e)
{
	const char *path = n->file->path ? n->file->path : "raw";
	uint64_t whole = n->file->size, size;
	int ret = dict_take_size(d, "offset", &r->offset, e);

	size = r->offset < whole ? whole - r->offset : 0;
	if (!ret)
		ret = dict_take_size(d, "size", &size, e);
	if (ret)
		return ret;
	if (r->offset > whole || size > whole - r->offset)
		return err_set(e, -EINVAL,
			       "%s: offset %" PRIu64 " and size %" PRIu64
			       " lie outside the file's %" PRIu64 " bytes",
			       path, r->offset, size, whole);
	if (r->offset % BLOCK_SECTOR || size % BLOCK_SECTOR)
		return err_set(e, -EINVAL,
			       "%s: its %s is not a multiple of %d bytes", path,
			       r->offset % BLOCK_SECTOR ? "offset" : "size",
			       BLOCK_SECTOR);
	n->size = size;
	return 0;
}

static int raw_open(struct node *n, struct node_open *o, struct err *e)
{
	struct raw *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	n->state = r;
	r->guessed = o->probed;
	n->file = node_open_child(o, "file", e);
	if (!n->file)
		return err_set(e, -EINVAL, "raw: file= is missing");
	return set_range(n, r, o->dict, e);
}

const struct node_driver node_raw = {
	.name = "raw",
	.open = raw_open,
	.close = raw_close,
	.read = raw_read,
	.write = raw_write,
	.flush = raw_flush,
	.discard = raw_discard,
	.zero = raw_zero,
	.resize = raw_resize,
	.extent = raw_extent,
};
