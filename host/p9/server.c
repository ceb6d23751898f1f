/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: its messages are taken apart here, answered by a row of a table.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/p9/priv.h"

#define RLERROR  7
#define TVERSION 100
#define QID_DIR  0x80
#define QID_LINK 0x02
#define BUCKETS  1024 /* of fids */
#define FDS_MAX  16384

struct p9_fid *p9_call_fid(struct p9_call *c, int *ret)
{
	struct p9_fid *f;

	*ret = 0;
	f = p9_fid_find(c->s, (uint32_t)p9_get(&c->in, 4));
	if (c->in.bad)
		f = NULL;
	if (!f)
		*ret = c->in.bad ? -EINVAL : -EBADF;
	return f;
}

struct p9_fid *p9_call_node(struct p9_call *c, int *fd, int *ret)
{
	struct p9_fid *f = p9_call_fid(c, ret);

	if (!f)
		return NULL;
	*fd = p9_node_fd(&c->s->nodes, f->node);
	*ret = MIN(*fd, 0);
	return *fd < 0 ? NULL : f;
}

/* Inode numbers are only unique on one device. */
static uint64_t qid_path(struct p9_session *s, const struct stat *st)
{
	unsigned i = 0;

	while (i < s->devs && s->dev[i] != st->st_dev)
		i++;
	if (i == s->devs && i < ARRAY_SIZE(s->dev))
		s->dev[s->devs++] = st->st_dev;
	return st->st_ino ^ (uint64_t)i << 56;
}

void p9_put_qid(struct p9_call *c, const struct stat *st)
{
	p9_put(&c->out,
	       S_ISDIR(st->st_mode)   ? QID_DIR
	       : S_ISLNK(st->st_mode) ? QID_LINK
				      : 0,
	       1);
	p9_put(&c->out, (uint64_t)st->st_mtim.tv_sec ^ (uint64_t)st->st_size,
	       4);
	p9_put(&c->out, qid_path(c->s, st), 8);
}

static int p9_version(struct p9_call *c)
{
	char version[32];
	uint32_t msize = (uint32_t)p9_get(&c->in, 4);
	bool known;

	p9_get_text(&c->in, version, sizeof(version));
	if (c->in.bad || msize < 4096)
		return -EINVAL;
	p9_fid_clunk_all(c->s);
	known = !strcmp(version, "9P2000.L");
	c->s->msize = known ? MIN(msize, P9_MSIZE) : 0;
	p9_put(&c->out, MIN(msize, P9_MSIZE), 4);
	strcpy(version, known ? "9P2000.L" : "unknown");
	p9_put_text(&c->out, version, strlen(version));
	return 0;
}

static int p9_attach(struct p9_call *c)
{
	struct p9_session *s = c->s;
	uint32_t number = (uint32_t)p9_get(&c->in, 4);
	char user[P9_NAME_MAX + 1], tree[4096];
	struct p9_fid *f;
	struct stat st;
	int ret;

	p9_get(&c->in, 4);
	p9_get_text(&c->in, user, sizeof(user));
	p9_get_text(&c->in, tree, sizeof(tree));
	if (c->in.bad)
		return -EINVAL;
	if (!s->nodes.bucket) {
		ret = p9_nodes_init(&s->nodes, s->x);
		if (ret)
			return ret;
	}
	ret = p9_stat(s, s->nodes.root->fd, &st);
	if (!ret)
		ret = p9_fid_new(s, number, s->nodes.root, &f);
	if (ret)
		return ret;
	f->uid = (uint32_t)p9_get(&c->in, 4);
	p9_put_qid(c, &st);
	return 0;
}

/* Requests are answered in order: what is to be flushed has been. */
static int p9_flush(struct p9_call *c)
{
	return 0;
}

static int p9_auth(struct p9_call *c)
{
	return -EOPNOTSUPP;
}

static int p9_clunk(struct p9_call *c)
{
	int ret;
	struct p9_fid *f = p9_call_fid(c, &ret);

	return f ? p9_fid_clunk(c->s, f) : ret;
}

static p9_handler *const handlers[256] = {
	[8] = p9_statfs,     [12] = p9_lopen,         [14] = p9_lcreate,
	[16] = p9_symlink,   [18] = p9_mknod,         [20] = p9_rename,
	[22] = p9_readlink,  [24] = p9_getattr,       [26] = p9_setattr,
	[30] = p9_xattrwalk, [32] = p9_xattrcreate,   [40] = p9_readdir,
	[50] = p9_fsync,     [52] = p9_lock,          [54] = p9_getlock,
	[70] = p9_link,      [72] = p9_mkdir,         [74] = p9_renameat,
	[76] = p9_unlinkat,  [TVERSION] = p9_version, [102] = p9_auth,
	[104] = p9_attach,   [108] = p9_flush,        [110] = p9_walk,
	[116] = p9_read,     [118] = p9_write,        [120] = p9_clunk,
	[122] = p9_remove,
};

static size_t copy_in(uint8_t *to, size_t max, const struct iovec *iov,
		      unsigned n)
{
	size_t done = 0, part;

	for (; n && done < max; n--, iov++) {
		part = MIN(iov->iov_len, max - done);
		memcpy(to + done, iov->iov_base, part);
		done += part;
	}
	return done;
}

static void copy_out(const struct iovec *iov, unsigned n, const uint8_t *p,
		     size_t len)
{
	size_t part;

	for (; n && len; n--, iov++) {
		part = MIN(iov->iov_len, len);
		memcpy(iov->iov_base, p, part);
		p += part;
		len -= part;
	}
}

static size_t total(const struct iovec *iov, unsigned n)
{
	size_t sum = 0;

	while (n--)
		sum += iov[n].iov_len;
	return sum;
}

static int run(struct p9_call *c, unsigned type)
{
	p9_handler *h = handlers[type];

	if (!h)
		return -EOPNOTSUPP;
	if (!c->s->msize && type != TVERSION)
		return -EPROTO;
	return h(c);
}

/* The head of the answer, and its text; data is there already. */
static size_t answer(struct p9_call *c, unsigned type, unsigned tag, int ret)
{
	size_t len;

	if (!ret && c->out.full)
		ret = -EMSGSIZE;
	if (ret) {
		c->direct = 0;
		c->out.used = P9_HEADER;
		p9_put(&c->out, (uint64_t)-ret, 4);
	}
	len = c->out.used + c->direct;
	memcpy(c->out.p, &len, 4);
	c->out.p[4] = (uint8_t)(ret ? RLERROR : type + 1);
	memcpy(c->out.p + 5, &tag, 2);
	copy_out(c->out_iov, c->out_n, c->out.p, c->out.used);
	return len;
}

size_t p9_handle(struct p9_session *s, const struct iovec *in, unsigned in_n,
		 const struct iovec *out, unsigned out_n)
{
	size_t len = copy_in(s->in_buf, P9_TEXT, in, in_n);
	size_t max = MIN(total(out, out_n), P9_MSIZE);
	struct p9_call c = {
		.s = s,
		.in = {s->in_buf, len},
		.in_iov = in,
		.in_n = in_n,
		.out_iov = out,
		.out_n = out_n,
	};
	size_t size = p9_get(&c.in, 4);
	unsigned type = (unsigned)p9_get(&c.in, 1);
	unsigned tag = (unsigned)p9_get(&c.in, 2);
	int ret;

	if (s->msize)
		max = MIN(max, s->msize);
	c.max = (uint32_t)max;
	c.out = (struct p9_out){s->out_buf, P9_HEADER, max};
	c.in.left = MIN(c.in.left, size - MIN(size, P9_HEADER));
	ret = size < P9_HEADER || size > total(in, in_n) ? -EINVAL
							 : run(&c, type);
	return answer(&c, type, tag, ret);
}

/* ---- exports and sessions ---- */

/* Many files can be open: as many as the system lets us. */
static unsigned raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return 256;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) && getrlimit(RLIMIT_NOFILE, &l))
		return 256;
	return (unsigned)MIN(l.rlim_cur / 2, (rlim_t)FDS_MAX);
}

struct p9_export *p9_export_open(const struct p9_options *o, struct err *e)
{
	struct p9_export *x = calloc(1, sizeof(*x));

	if (!x) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	x->security = o->security;
	x->read_only = o->read_only;
	x->fds = raise_limit();
	x->root = open(o->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (x->root < 0)
		err_set(e, -errno, "%s: %s", o->path, strerror(errno));
	else if (p9_sealed(x->root))
		err_set(e, -EACCES, "%s: processes are not exported", o->path);
	else if (access("/proc/self/fd", X_OK))
		err_set(e, -ENOTSUP, "/proc is not mounted");
	else
		return x;
	p9_export_close(x);
	return NULL;
}

void p9_export_close(struct p9_export *x)
{
	if (x && x->root >= 0)
		close(x->root);
	free(x);
}

struct p9_session *p9_session_new(const struct p9_export *x)
{
	struct p9_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->x = x;
	s->fid = calloc(BUCKETS, sizeof(struct p9_fid *));
	s->in_buf = malloc(P9_TEXT);
	s->out_buf = malloc(P9_MSIZE);
	if (s->fid && s->in_buf && s->out_buf)
		return s;
	p9_session_free(s);
	return NULL;
}

void p9_session_reset(struct p9_session *s)
{
	p9_fid_clunk_all(s);
	p9_nodes_exit(&s->nodes);
	s->msize = 0;
	s->devs = 0;
}

void p9_session_free(struct p9_session *s)
{
	if (!s)
		return;
	if (s->fid)
		p9_session_reset(s);
	free(s->fid);
	free(s->in_buf);
	free(s->out_buf);
	free(s);
}
