/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: walking along them, listing, making, moving and removing them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "host/p9/priv.h"

#define WALK_MAX     16
#define DIRENTS      (32U << 10) /* bytes the kernel is asked for at once */
#define DIRENT_FIXED 24          /* bytes of an entry besides its name */
#define ATFD_REMOVE  0x200       /* the protocol's AT_REMOVEDIR */

int p9_call_name(struct p9_call *c, char *name)
{
	p9_get_text(&c->in, name, P9_NAME_MAX + 1);
	if (c->in.bad || !name[0] || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

/* ---- walking ---- */

static int walk_name(struct p9_call *c, struct p9_node **at)
{
	struct p9_nodes *t = &c->s->nodes;
	char name[P9_NAME_MAX + 1];
	struct p9_node *next;
	struct stat st;
	int ret, fd;

	p9_get_text(&c->in, name, sizeof(name));
	if (c->in.bad || !name[0] || strchr(name, '/'))
		return -ENOENT;
	if (!strcmp(name, ".")) {
		next = *at;
		p9_node_hold(next);
	} else {
		ret = p9_node_walk(t, *at, name, &next);
		if (ret)
			return ret;
	}
	fd = p9_node_fd(t, next);
	ret = fd < 0 ? fd : p9_stat(c->s, fd, &st);
	if (ret) {
		p9_node_drop(t, next);
		return ret;
	}
	p9_put_qid(c, &st);
	p9_node_drop(t, *at);
	*at = next;
	return 0;
}

/* The names of the request; how many could be walked, or why not the first. */
static int walk_names(struct p9_call *c, unsigned count, struct p9_node **at)
{
	size_t begin = c->out.used;
	unsigned i;
	int ret = 0;

	p9_put(&c->out, 0, 2);
	for (i = 0; i < count && !ret; i++)
		ret = walk_name(c, at);
	i -= ret != 0;
	if (ret && !i)
		return ret;
	memcpy(c->out.p + begin, &i, 2);
	return (int)i;
}

int p9_walk(struct p9_call *c)
{
	struct p9_session *s = c->s;
	struct p9_fid *f, *made;
	struct p9_node *at;
	uint32_t number;
	unsigned count;
	int ret;

	f = p9_call_fid(c, &ret);
	number = (uint32_t)p9_get(&c->in, 4);
	count = (unsigned)p9_get(&c->in, 2);
	if (!f)
		return ret;
	if (c->in.bad || count > WALK_MAX || f->kind != P9_FILE)
		return -EINVAL;
	if (number != f->number && p9_fid_find(s, number))
		return -EBADF;
	at = f->node;
	p9_node_hold(at);
	ret = walk_names(c, count, &at);
	if (ret == (int)count && number == f->number) {
		p9_node_drop(&s->nodes, f->node);
		f->node = at;
		return 0;
	}
	if (ret == (int)count) {
		ret = p9_fid_new(s, number, at, &made);
		if (!ret)
			made->uid = f->uid;
	}
	p9_node_drop(&s->nodes, at);
	return MIN(ret, 0);
}

/* ---- listing ---- */

struct dirent_buf {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* A whole entry, or nothing when it does not fit. */
static bool put_entry(struct p9_call *c, const struct p9_fid *f,
		      const struct dirent_buf *d, size_t end)
{
	size_t len = strlen(d->name);
	struct stat st = {.st_dev = f->node->dev, .st_ino = d->ino};
	bool mapped = c->s->x->security == P9_MAPPED;

	if (c->out.used + DIRENT_FIXED + len > end)
		return false;
	st.st_mode = DTTOIF(d->type);
	p9_put_qid(c, &st);
	p9_put(&c->out, (uint64_t)d->off, 8);
	/* Only a look at the file tells what it stands for. */
	p9_put(&c->out, mapped && d->type == DT_REG ? DT_UNKNOWN : d->type, 1);
	p9_put_text(&c->out, d->name, len);
	return true;
}

/* 1 when there may be more, 0 at the end, -errno. */
static int put_some(struct p9_call *c, struct p9_fid *f, size_t end)
{
	char buf[DIRENTS] __attribute__((aligned(8)));
	const struct dirent_buf *d;
	long n, at;

	n = syscall(SYS_getdents64, f->fd, buf,
		    MIN(sizeof(buf), end - c->out.used));
	/* Less room than one entry needs: nothing more fits. */
	if (n < 0)
		return errno == EINVAL ? 0 : -errno;
	for (at = 0; at < n; at += d->len) {
		d = (const struct dirent_buf *)(buf + at);
		if (!put_entry(c, f, d, end))
			return 0;
	}
	return n > 0;
}

int p9_readdir(struct p9_call *c)
{
	struct p9_fid *f;
	uint64_t offset;
	size_t begin, count;
	uint32_t len;
	int ret;

	f = p9_call_fid(c, &ret);
	offset = p9_get(&c->in, 8);
	count = p9_get(&c->in, 4);
	if (!f)
		return ret;
	if (f->fd < 0 || !f->is_dir)
		return -EBADF;
	p9_put(&c->out, 0, 4);
	begin = c->out.used;
	if (c->out.full || count > c->out.max - begin)
		count = c->out.max - begin;
	if (lseek(f->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	do {
		ret = put_some(c, f, begin + count);
	} while (ret > 0);
	if (ret && c->out.used == begin)
		return ret;
	len = (uint32_t)(c->out.used - begin);
	memcpy(c->out.p + begin - 4, &len, 4);
	return 0;
}

/* ---- making ---- */

/* Directory and name, which most of these begin with. */
static int get_place(struct p9_call *c, struct p9_fid **f, int *dir, char *name)
{
	int ret;

	*f = p9_call_node(c, dir, &ret);
	if (!*f)
		return ret;
	ret = p9_call_name(c, name);
	if (ret)
		return ret;
	return c->s->x->read_only ? -EROFS : 0;
}

/* Owner and mode of what was made; it is removed again if that fails. */
static int finish(struct p9_call *c, const struct p9_fid *f, int dir,
		  const char *name, struct stat *st)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	st->st_uid = f->uid;
	ret = p9_own(c->s, fd, st);
	if (ret)
		unlinkat(dir, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0);
	else
		ret = p9_stat(c->s, fd, st);
	close(fd);
	return ret;
}

static int answer_made(struct p9_call *c, const struct p9_fid *f, int dir,
		       const char *name, struct stat *st)
{
	int ret = finish(c, f, dir, name, st);

	if (!ret)
		p9_put_qid(c, st);
	return ret;
}

static bool mapped(const struct p9_call *c)
{
	return c->s->x->security == P9_MAPPED;
}

/* The name is @f's from now on, and @fd what it is opened by. */
static int become(struct p9_call *c, struct p9_fid *f, const char *name, int fd)
{
	struct p9_node *node;
	int ret = p9_node_walk(&c->s->nodes, f->node, name, &node);

	if (ret) {
		close(fd);
		return ret;
	}
	p9_node_drop(&c->s->nodes, f->node);
	f->node = node;
	f->fd = fd;
	return 0;
}

int p9_lcreate(struct p9_call *c)
{
	char name[P9_NAME_MAX + 1];
	struct stat st = {0};
	struct p9_fid *f;
	uint32_t flags;
	int dir, fd, ret = get_place(c, &f, &dir, name);

	flags = (uint32_t)p9_get(&c->in, 4);
	st.st_mode = S_IFREG | (p9_get(&c->in, 4) & 07777);
	st.st_gid = (gid_t)p9_get(&c->in, 4);
	if (ret || c->in.bad || f->fd >= 0)
		return ret ? ret : -EINVAL;
	flags &= O_ACCMODE | O_TRUNC | O_EXCL | O_SYNC | O_DSYNC;
	/* The client creates what it has seen is not there. */
	fd = openat(dir, name,
		    (int)flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK |
			    O_CLOEXEC,
		    mapped(c) ? 0600 : st.st_mode & 0777);
	if (fd < 0)
		return -errno;
	ret = finish(c, f, dir, name, &st);
	if (ret) {
		close(fd);
		return ret;
	}
	ret = become(c, f, name, fd);
	if (ret)
		return ret;
	p9_put_qid(c, &st);
	p9_put(&c->out, 0, 4);
	return 0;
}

/* A mapped file that stands for another kind. */
static int make_mapped(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);
	size_t len = strlen(text);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len) {
		ret = -ENOSPC;
		unlinkat(dir, name, 0);
	}
	close(fd);
	return ret;
}

int p9_symlink(struct p9_call *c)
{
	char name[P9_NAME_MAX + 1], to[PATH_MAX];
	struct stat st = {.st_mode = S_IFLNK | 0777};
	struct p9_fid *f;
	int dir, ret = get_place(c, &f, &dir, name);

	p9_get_text(&c->in, to, sizeof(to));
	st.st_gid = (gid_t)p9_get(&c->in, 4);
	if (ret || c->in.bad)
		return ret ? ret : -EINVAL;
	if (mapped(c))
		ret = make_mapped(dir, name, to);
	else if (symlinkat(to, dir, name))
		ret = -errno;
	return ret ? ret : answer_made(c, f, dir, name, &st);
}

int p9_mknod(struct p9_call *c)
{
	char name[P9_NAME_MAX + 1];
	struct stat st = {0};
	struct p9_fid *f;
	unsigned major, minor;
	int dir, ret = get_place(c, &f, &dir, name);

	st.st_mode = (mode_t)p9_get(&c->in, 4);
	major = (unsigned)p9_get(&c->in, 4);
	minor = (unsigned)p9_get(&c->in, 4);
	st.st_gid = (gid_t)p9_get(&c->in, 4);
	if (ret || c->in.bad)
		return ret ? ret : -EINVAL;
	if (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode))
		st.st_rdev = makedev(major, minor);
	if (mapped(c))
		ret = make_mapped(dir, name, "");
	else if (mknodat(dir, name, st.st_mode, st.st_rdev))
		ret = -errno;
	return ret ? ret : answer_made(c, f, dir, name, &st);
}

int p9_mkdir(struct p9_call *c)
{
	char name[P9_NAME_MAX + 1];
	struct stat st = {0};
	struct p9_fid *f;
	int dir, ret = get_place(c, &f, &dir, name);

	st.st_mode = S_IFDIR | (p9_get(&c->in, 4) & 07777);
	st.st_gid = (gid_t)p9_get(&c->in, 4);
	if (ret || c->in.bad)
		return ret ? ret : -EINVAL;
	if (mkdirat(dir, name, mapped(c) ? 0700 : st.st_mode & 0777))
		return -errno;
	return answer_made(c, f, dir, name, &st);
}

int p9_link(struct p9_call *c)
{
	char name[P9_NAME_MAX + 1], path[32];
	int dir, fd, ret;

	if (!p9_call_node(c, &dir, &ret) || !p9_call_node(c, &fd, &ret))
		return ret;
	ret = p9_call_name(c, name);
	if (ret)
		return ret;
	if (c->s->x->read_only)
		return -EROFS;
	p9_proc_path(path, fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) ? -errno
								    : 0;
}

/* ---- moving and removing ---- */

static int move(struct p9_call *c, struct p9_node *from, const char *old_name,
		struct p9_node *to, const char *new_name)
{
	struct p9_nodes *t = &c->s->nodes;
	int a = p9_node_fd(t, from), b = p9_node_fd(t, to);

	if (a < 0 || b < 0)
		return MIN(a, b);
	if (c->s->x->read_only)
		return -EROFS;
	if (renameat(a, old_name, b, new_name))
		return -errno;
	p9_node_renamed(t, from, old_name, to, new_name);
	return 0;
}

int p9_renameat(struct p9_call *c)
{
	char old_name[P9_NAME_MAX + 1], new_name[P9_NAME_MAX + 1];
	struct p9_fid *from, *to;
	int ret, bad;

	from = p9_call_fid(c, &ret);
	if (!from)
		return ret;
	bad = p9_call_name(c, old_name);
	to = p9_call_fid(c, &ret);
	if (!to)
		return ret;
	if (bad || p9_call_name(c, new_name))
		return -EINVAL;
	return move(c, from->node, old_name, to->node, new_name);
}

int p9_rename(struct p9_call *c)
{
	char old_name[P9_NAME_MAX + 1], name[P9_NAME_MAX + 1];
	struct p9_fid *f, *to;
	int ret;

	f = p9_call_fid(c, &ret);
	if (!f)
		return ret;
	to = p9_call_fid(c, &ret);
	if (!to)
		return ret;
	if (p9_call_name(c, name) || !f->node->parent)
		return -EINVAL;
	if (!f->node->hashed)
		return -ENOENT;
	strcpy(old_name, f->node->name);
	return move(c, f->node->parent, old_name, to->node, name);
}

static int unlink_name(struct p9_call *c, struct p9_node *dir, const char *name,
		       int flags)
{
	int fd = p9_node_fd(&c->s->nodes, dir);

	if (fd < 0)
		return fd;
	if (c->s->x->read_only)
		return -EROFS;
	if (unlinkat(fd, name, flags))
		return -errno;
	p9_node_unlinked(&c->s->nodes, dir, name);
	return 0;
}

int p9_unlinkat(struct p9_call *c)
{
	char name[P9_NAME_MAX + 1];
	struct p9_fid *f;
	uint32_t flags;
	int ret, bad;

	f = p9_call_fid(c, &ret);
	if (!f)
		return ret;
	bad = p9_call_name(c, name);
	flags = (uint32_t)p9_get(&c->in, 4);
	if (bad || flags & ~ATFD_REMOVE)
		return -EINVAL;
	return unlink_name(c, f->node, name,
			   flags & ATFD_REMOVE ? AT_REMOVEDIR : 0);
}

/* The fid goes whether the file does or not. */
int p9_remove(struct p9_call *c)
{
	struct p9_fid *f;
	struct stat st;
	int ret, fd;

	f = p9_call_fid(c, &ret);
	if (!f)
		return ret;
	fd = p9_node_fd(&c->s->nodes, f->node);
	if (fd < 0)
		ret = fd;
	else if (!f->node->parent)
		ret = -EBUSY;
	else if (!f->node->hashed)
		ret = -ENOENT;
	else if (fstat(fd, &st))
		ret = -errno;
	else
		ret = unlink_name(c, f->node->parent, f->node->name,
				  S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	p9_fid_clunk(c->s, f);
	return ret;
}
