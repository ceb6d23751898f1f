/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's numbers for files, in a hash table.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/p9/priv.h"

#define BUCKETS 1024

static struct p9_fid **slot_of(struct p9_session *s, uint32_t number)
{
	struct p9_fid **at = &s->fid[number % BUCKETS];

	while (*at && (*at)->number != number)
		at = &(*at)->chain;
	return at;
}

struct p9_fid *p9_fid_find(struct p9_session *s, uint32_t number)
{
	return *slot_of(s, number);
}

int p9_fid_new(struct p9_session *s, uint32_t number, struct p9_node *node,
	       struct p9_fid **out)
{
	struct p9_fid **at = slot_of(s, number), *f;

	if (*at || number == P9_NOFID)
		return -EBADF;
	if (s->fids == P9_FIDS)
		return -EMFILE;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->number = number;
	f->node = node;
	f->fd = -1;
	p9_node_hold(node);
	*at = f;
	s->fids++;
	*out = f;
	return 0;
}

/* A value that was written whole goes to the file now. */
static int store_value(struct p9_session *s, struct p9_fid *f)
{
	char path[32];
	int fd = p9_node_fd(&s->nodes, f->node), ret;

	if (fd < 0)
		return fd;
	if (f->filled != f->size)
		return -EINVAL;
	p9_proc_path(path, fd);
	if (f->size)
		ret = setxattr(path, f->name, f->value, f->size, f->flags);
	else
		ret = removexattr(path, f->name);
	return ret ? -errno : 0;
}

int p9_fid_clunk(struct p9_session *s, struct p9_fid *f)
{
	int ret = 0;

	if (f->kind == P9_XATTR_WRITE)
		ret = store_value(s, f);
	*slot_of(s, f->number) = f->chain;
	s->fids--;
	p9_node_drop(&s->nodes, f->node);
	if (f->fd >= 0)
		close(f->fd);
	free(f->value);
	free(f);
	return ret;
}

void p9_fid_clunk_all(struct p9_session *s)
{
	unsigned i;

	for (i = 0; i < BUCKETS; i++) {
		while (s->fid[i]) {
			/* What is half written stays undone. */
			s->fid[i]->kind = P9_FILE;
			p9_fid_clunk(s, s->fid[i]);
		}
	}
}
