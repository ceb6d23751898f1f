/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners, modes, sizes and times. With P9_MAPPED the first two, and what a
 * special file is, are extended attributes of a plain file, in the names and
 * layout that QEMU gives them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/p9/priv.h"

#define GETATTR_ALL   0x7ffULL /* all but birth time and generation */
#define SET_MODE      BIT(0)
#define SET_UID       BIT(1)
#define SET_GID       BIT(2)
#define SET_SIZE      BIT(3)
#define SET_ATIME     BIT(4)
#define SET_MTIME     BIT(5)
#define SET_CTIME     BIT(6)
#define SET_ATIME_VAL BIT(7)
#define SET_MTIME_VAL BIT(8)
#define SET_KNOWN     0x1ffU

#define P9_MAGIC 0x01021997

void p9_proc_path(char buf[32], int fd)
{
	snprintf(buf, 32, "/proc/self/fd/%d", fd);
}

static bool get_mapped(const char *path, const char *name, void *val,
		       size_t size)
{
	return getxattr(path, name, val, size) == (ssize_t)size;
}

static void map_stat(int fd, struct stat *st)
{
	char path[32];
	uint32_t val;
	uint64_t rdev;

	p9_proc_path(path, fd);
	if (get_mapped(path, "user.virtfs.uid", &val, 4))
		st->st_uid = val;
	if (get_mapped(path, "user.virtfs.gid", &val, 4))
		st->st_gid = val;
	if (get_mapped(path, "user.virtfs.mode", &val, 4))
		st->st_mode = val;
	if (get_mapped(path, "user.virtfs.rdev", &rdev, 8))
		st->st_rdev = rdev;
}

int p9_stat(const struct p9_session *s, int fd, struct stat *st)
{
	if (fstat(fd, st))
		return -errno;
	if (s->x->security == P9_MAPPED &&
	    (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		map_stat(fd, st);
	return 0;
}

static int set_mapped(int fd, const char *name, const void *val, size_t size)
{
	char path[32];

	p9_proc_path(path, fd);
	return setxattr(path, name, val, size, 0) ? -errno : 0;
}

static int set_mode(struct p9_session *s, int fd, uint32_t mode)
{
	char path[32];
	struct stat st;
	uint32_t val;
	int ret;

	p9_proc_path(path, fd);
	if (s->x->security != P9_MAPPED)
		return chmod(path, mode & 07777) ? -errno : 0;
	ret = p9_stat(s, fd, &st);
	if (ret)
		return ret;
	val = (st.st_mode & S_IFMT) | (mode & 07777);
	return set_mapped(fd, "user.virtfs.mode", &val, 4);
}

static int set_owner(struct p9_session *s, int fd, uint32_t uid, uint32_t gid)
{
	int ret = 0;

	if (s->x->security == P9_MAPPED) {
		if (uid != UINT32_MAX)
			ret = set_mapped(fd, "user.virtfs.uid", &uid, 4);
		if (!ret && gid != UINT32_MAX)
			ret = set_mapped(fd, "user.virtfs.gid", &gid, 4);
		return ret;
	}
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH))
		ret = -errno;
	return s->x->security == P9_NONE && ret == -EPERM ? 0 : ret;
}

int p9_own(struct p9_session *s, int fd, const struct stat *want)
{
	uint32_t mode = want->st_mode;
	uint64_t rdev = want->st_rdev;
	int ret = 0;

	if (s->x->security == P9_MAPPED) {
		ret = set_mapped(fd, "user.virtfs.mode", &mode, 4);
		if (!ret && rdev)
			ret = set_mapped(fd, "user.virtfs.rdev", &rdev, 8);
	}
	if (!ret)
		ret = set_owner(s, fd, want->st_uid, want->st_gid);
	/* Last: a change of the owner clears the set-id bits. */
	if (!ret && s->x->security != P9_MAPPED && !S_ISLNK(mode))
		ret = set_mode(s, fd, mode);
	return ret;
}

static void put_time(struct p9_out *out, struct timespec ts)
{
	p9_put(out, (uint64_t)ts.tv_sec, 8);
	p9_put(out, (uint64_t)ts.tv_nsec, 8);
}

int p9_getattr(struct p9_call *c)
{
	struct p9_out *out = &c->out;
	const struct timespec none = {0};
	struct stat st;
	int fd, ret;

	if (!p9_call_node(c, &fd, &ret))
		return ret;
	p9_get(&c->in, 8);
	ret = p9_stat(c->s, fd, &st);
	if (ret)
		return ret;
	p9_put(out, GETATTR_ALL, 8);
	p9_put_qid(c, &st);
	p9_put(out, st.st_mode, 4);
	p9_put(out, st.st_uid, 4);
	p9_put(out, st.st_gid, 4);
	p9_put(out, st.st_nlink, 8);
	p9_put(out, st.st_rdev, 8);
	p9_put(out, (uint64_t)st.st_size, 8);
	p9_put(out, (uint64_t)st.st_blksize, 8);
	p9_put(out, (uint64_t)st.st_blocks, 8);
	put_time(out, st.st_atim);
	put_time(out, st.st_mtim);
	put_time(out, st.st_ctim);
	put_time(out, none);
	p9_put(out, 0, 8);
	p9_put(out, 0, 8);
	return 0;
}

/* What a Tsetattr says after its fid. */
struct setattr {
	uint32_t valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timespec time[2];
};

static struct timespec get_time(struct p9_call *c, uint32_t valid, uint32_t now,
				uint32_t given)
{
	struct timespec ts;

	ts.tv_sec = (time_t)p9_get(&c->in, 8);
	ts.tv_nsec = (long)p9_get(&c->in, 8);
	if (!(valid & now))
		ts.tv_nsec = UTIME_OMIT;
	else if (!(valid & given))
		ts.tv_nsec = UTIME_NOW;
	return ts;
}

static void get_setattr(struct p9_call *c, struct setattr *a)
{
	a->valid = (uint32_t)p9_get(&c->in, 4);
	a->mode = (uint32_t)p9_get(&c->in, 4);
	a->uid = (uint32_t)p9_get(&c->in, 4);
	a->gid = (uint32_t)p9_get(&c->in, 4);
	a->size = p9_get(&c->in, 8);
	a->time[0] = get_time(c, a->valid, SET_ATIME, SET_ATIME_VAL);
	a->time[1] = get_time(c, a->valid, SET_MTIME, SET_MTIME_VAL);
}

static int set_attributes(struct p9_session *s, int fd, const struct setattr *a)
{
	char path[32];
	int ret = 0;

	p9_proc_path(path, fd);
	if (a->valid & SET_SIZE)
		ret = truncate(path, (off_t)MIN(a->size, (uint64_t)INT64_MAX))
			      ? -errno
			      : 0;
	if (!ret && a->valid & (SET_UID | SET_GID))
		ret = set_owner(s, fd, a->valid & SET_UID ? a->uid : UINT32_MAX,
				a->valid & SET_GID ? a->gid : UINT32_MAX);
	if (!ret && a->valid & SET_MODE)
		ret = set_mode(s, fd, a->mode);
	if (!ret && a->valid & (SET_ATIME | SET_MTIME))
		ret = utimensat(AT_FDCWD, path, a->time, 0) ? -errno : 0;
	return ret;
}

int p9_setattr(struct p9_call *c)
{
	struct setattr a;
	int fd, ret;

	if (!p9_call_node(c, &fd, &ret))
		return ret;
	get_setattr(c, &a);
	if (c->in.bad || a.valid & ~SET_KNOWN)
		return -EINVAL;
	if (c->s->x->read_only)
		return -EROFS;
	/* SET_CTIME alone comes true by any change. */
	return set_attributes(c->s, fd, &a);
}

int p9_statfs(struct p9_call *c)
{
	struct p9_out *out = &c->out;
	struct statfs st;
	uint64_t id;
	int fd, ret;

	if (!p9_call_node(c, &fd, &ret))
		return ret;
	if (fstatfs(fd, &st))
		return -errno;
	memcpy(&id, &st.f_fsid, sizeof(id));
	p9_put(out, P9_MAGIC, 4);
	p9_put(out, (uint64_t)st.f_bsize, 4);
	p9_put(out, st.f_blocks, 8);
	p9_put(out, st.f_bfree, 8);
	p9_put(out, st.f_bavail, 8);
	p9_put(out, st.f_files, 8);
	p9_put(out, st.f_ffree, 8);
	p9_put(out, id, 8);
	p9_put(out, P9_NAME_MAX, 4);
	return 0;
}

/* A link that is mapped is a file that holds where it leads. */
static ssize_t read_mapped_link(int fd, char *to, size_t size)
{
	char path[32];
	ssize_t n;

	p9_proc_path(path, fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, to, size);
	close(fd);
	return n;
}

int p9_readlink(struct p9_call *c)
{
	char to[PATH_MAX];
	struct stat st;
	ssize_t n;
	int fd, ret;

	if (!p9_call_node(c, &fd, &ret))
		return ret;
	ret = p9_stat(c->s, fd, &st);
	if (ret)
		return ret;
	if (!S_ISLNK(st.st_mode))
		return -EINVAL;
	n = readlinkat(fd, "", to, sizeof(to));
	if (n < 0 && c->s->x->security == P9_MAPPED)
		n = read_mapped_link(fd, to, sizeof(to));
	if (n < 0)
		return -errno;
	p9_put_text(&c->out, to, (size_t)n);
	return 0;
}
