/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes, each a little file of its own. Those that hold mapped
 * owners and modes are not the client's to see.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "host/p9/priv.h"

#define MAPPED "user.virtfs."

static bool hidden(const struct p9_session *s, const char *name)
{
	return s->x->security == P9_MAPPED &&
	       !strncmp(name, MAPPED, strlen(MAPPED));
}

/* Take out of a list what is hidden; its new length. */
static size_t filter(const struct p9_session *s, char *names, size_t size)
{
	size_t in, out = 0, len;

	for (in = 0; in < size; in += len) {
		len = strnlen(names + in, size - in - 1) + 1;
		if (hidden(s, names + in))
			continue;
		memmove(names + out, names + in, len);
		out += len;
	}
	return out;
}

static ssize_t read_xattr(const struct p9_session *s, int fd, const char *name,
			  uint8_t *buf)
{
	char path[32];
	ssize_t n;

	p9_proc_path(path, fd);
	if (hidden(s, name))
		return -ENODATA;
	n = name[0] ? getxattr(path, name, buf, P9_XATTR)
		    : listxattr(path, (char *)buf, P9_XATTR);
	if (n < 0)
		return -errno;
	return name[0] ? n : (ssize_t)filter(s, (char *)buf, (size_t)n);
}

int p9_xattrwalk(struct p9_call *c)
{
	char name[P9_NAME_MAX + 1];
	struct p9_fid *f, *made;
	uint32_t number;
	uint8_t *value;
	ssize_t size;
	int fd, ret;

	f = p9_call_node(c, &fd, &ret);
	number = (uint32_t)p9_get(&c->in, 4);
	p9_get_text(&c->in, name, sizeof(name));
	if (!f || c->in.bad)
		return f ? -EINVAL : ret;
	if (p9_fid_find(c->s, number))
		return -EBADF;
	value = malloc(P9_XATTR);
	if (!value)
		return -ENOMEM;
	size = read_xattr(c->s, fd, name, value);
	ret = size < 0 ? (int)size : p9_fid_new(c->s, number, f->node, &made);
	if (ret) {
		free(value);
		return ret;
	}
	made->kind = P9_XATTR_READ;
	made->value = value;
	made->size = (size_t)size;
	p9_put(&c->out, (uint64_t)size, 8);
	return 0;
}

/* The fid becomes the value's; what is written counts when it is let go. */
int p9_xattrcreate(struct p9_call *c)
{
	struct p9_fid *f;
	uint64_t size;
	int ret, fd;

	f = p9_call_node(c, &fd, &ret);
	if (!f)
		return ret;
	if (f->kind != P9_FILE || f->fd >= 0)
		return -EINVAL;
	p9_get_text(&c->in, f->name, sizeof(f->name));
	size = p9_get(&c->in, 8);
	f->flags = (int)p9_get(&c->in, 4);
	if (c->in.bad || !f->name[0])
		return -EINVAL;
	if (c->s->x->read_only)
		return -EROFS;
	if (hidden(c->s, f->name))
		return -EACCES;
	if (size > P9_XATTR)
		return -E2BIG;
	f->value = calloc(1, size + 1);
	if (!f->value)
		return -ENOMEM;
	f->kind = P9_XATTR_WRITE;
	f->size = size;
	return 0;
}
