/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes in general: what all drivers would otherwise repeat.
 */
#include "host/block/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ZERO_CHUNK (64U << 10) /* bytes of zeros written at once */

struct node *node_get(struct node *n)
{
	n->refs++;
	return n;
}

static void unlist(struct node *n)
{
	struct node **at = &n->list->first;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
}

void node_put(struct node *n)
{
	if (!n || --n->refs)
		return;
	if (n->driver->close && n->state)
		n->driver->close(n);
	if (n->file && !n->read_only)
		n->file->written = false;
	if (n->list)
		unlist(n);
	node_put(n->file);
	node_put(n->backing);
	free(n->path);
	free(n);
}

struct node *node_find(const struct node_list *list, const char *name)
{
	struct node *n = list ? list->first : NULL;

	while (n && strcmp(n->name, name))
		n = n->next;
	return n;
}

int node_read(struct node *n, uint64_t at, const struct vec *v)
{
	return v->len ? n->driver->read(n, at, v) : 0;
}

int node_write(struct node *n, uint64_t at, const struct vec *v)
{
	if (n->read_only)
		return -EROFS;
	if (!v->len)
		return 0;
	if (n->zeroes && vec_is_zero(v))
		return node_zero(n, at, v->len, n->unmap);
	return n->driver->write(n, at, v);
}

int node_flush(struct node *n)
{
	/* A format writes what it keeps in memory even then. */
	if (n->read_only || (n->driver->protocol && n->no_flush))
		return 0;
	return n->driver->flush(n);
}

int node_discard(struct node *n, uint64_t at, uint64_t len)
{
	if (n->read_only)
		return -EROFS;
	if (!n->unmap || !n->driver->discard || !len)
		return 0;
	return n->driver->discard(n, at, len);
}

static int write_zeros(struct node *n, uint64_t at, uint64_t len)
{
	static const char zeros[ZERO_CHUNK];
	size_t part;
	int ret = 0;

	for (; !ret && len; at += part, len -= part) {
		struct iovec iov = {(void *)(uintptr_t)zeros, 0};
		struct vec v = {&iov, 0, 0};

		part = (size_t)MIN(len, sizeof(zeros));
		iov.iov_len = v.len = part;
		ret = n->driver->write(n, at, &v);
	}
	return ret;
}

int node_zero(struct node *n, uint64_t at, uint64_t len, bool unmap)
{
	int ret = -EOPNOTSUPP;

	if (n->read_only)
		return -EROFS;
	if (!len)
		return 0;
	if (n->driver->zero)
		ret = n->driver->zero(n, at, len, unmap && n->unmap);
	return ret == -EOPNOTSUPP ? write_zeros(n, at, len) : ret;
}

int node_extent(struct node *n, uint64_t at, uint64_t len, bool write,
		struct node_extent *x)
{
	if (!n->driver->extent || !len ||
	    (write && (n->read_only || n->zeroes)))
		return -EAGAIN;
	return n->driver->extent(n, at, len, write, x);
}

void node_put_extent(struct node_extent *x)
{
	if (x->owner)
		x->owner->driver->put_extent(x->owner, x);
}

int node_pread(struct node *n, uint64_t at, void *p, size_t len)
{
	struct iovec iov;
	struct vec v = vec_one(&iov, p, len);

	return node_read(n, at, &v);
}

int node_pwrite(struct node *n, uint64_t at, const void *p, size_t len)
{
	struct iovec iov;
	struct vec v = vec_one(&iov, (void *)(uintptr_t)p, len);

	return node_write(n, at, &v);
}
