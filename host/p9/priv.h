/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's parts: messages, nodes (files by their names), fids (the
 * client's numbers for them), and the requests.
 */
#ifndef HOST_P9_PRIV_H
#define HOST_P9_PRIV_H

#include <sys/stat.h>

#include "host/p9/p9.h"

#define P9_MSIZE    (512U << 10) /* bytes of a message, at most */
#define P9_TEXT     (64U << 10)  /* of one without its data */
#define P9_NAME_MAX 255
#define P9_DEPTH    1024 /* directories above a file */
#define P9_FIDS     (1 << 18)
#define P9_NOFID    0xffffffffU
#define P9_IOHDR    24 /* bytes of a message around its data */
#define P9_XATTR    (64U << 10)

struct p9_export {
	int root; /* O_PATH */
	enum p9_security security;
	bool read_only;
	unsigned fds; /* descriptors a session may keep for nodes */
};

/* ---- msg.c ---- */

struct p9_in {
	const uint8_t *p;
	size_t left;
	bool bad; /* it ended too early */
};

struct p9_out {
	uint8_t *p;
	size_t used;
	size_t max;
	bool full; /* something did not fit */
};

uint64_t p9_get(struct p9_in *in, unsigned size);
/* A string into @buf of @size bytes; one that does not fit is bad. */
void p9_get_text(struct p9_in *in, char *buf, size_t size);
void p9_put(struct p9_out *out, uint64_t val, unsigned size);
void p9_put_text(struct p9_out *out, const char *text, size_t len);

/* ---- node.c ---- */

/*
 * A name in a directory. All fids of a name share it, so that renaming it
 * moves what is below. Its descriptor may be closed when there are too many,
 * and is looked up again; another file of that name is then -ESTALE.
 */
struct p9_node {
	struct p9_node *parent;        /* NULL: the root; held */
	struct p9_node *chain;         /* in a bucket */
	struct p9_node *older, *newer; /* by use of fd, while it may go */
	unsigned refs;
	unsigned depth;
	int fd;      /* O_PATH, -1: closed */
	bool hashed; /* the name is (still) this file's */
	bool listed;
	bool sealed; /* nothing in it can be reached */
	dev_t dev;
	ino_t ino;
	char *name;
};

struct p9_nodes {
	struct p9_node *root;
	struct p9_node **bucket;
	struct p9_node *oldest, *newest;
	unsigned open, max; /* descriptors */
};

int p9_nodes_init(struct p9_nodes *t, const struct p9_export *x);
void p9_nodes_exit(struct p9_nodes *t);
/* The file @name in @dir, held. -errno. */
int p9_node_walk(struct p9_nodes *t, struct p9_node *dir, const char *name,
		 struct p9_node **out);
void p9_node_hold(struct p9_node *n);
void p9_node_drop(struct p9_nodes *t, struct p9_node *n);
/* Its descriptor, valid until the next call with another node; or -errno. */
int p9_node_fd(struct p9_nodes *t, struct p9_node *n);
/* The name is gone, or another's; the file stays with those who have it. */
void p9_node_unlinked(struct p9_nodes *t, struct p9_node *dir,
		      const char *name);
/* Whether @fd is of a file system no client may look into. */
bool p9_sealed(int fd);
void p9_node_renamed(struct p9_nodes *t, struct p9_node *from,
		     const char *old_name, struct p9_node *to,
		     const char *new_name);

/* ---- fid.c ---- */

enum p9_fid_kind { P9_FILE, P9_XATTR_READ, P9_XATTR_WRITE };

struct p9_fid {
	struct p9_fid *chain;
	uint32_t number;
	enum p9_fid_kind kind;
	struct p9_node *node; /* held */
	uint32_t uid;         /* who attached */
	int fd;               /* opened, -1: not */
	bool is_dir;          /* fd is a directory's */
	/* An extended attribute's value. */
	char name[P9_NAME_MAX + 1];
	uint8_t *value;
	size_t size;
	size_t filled;
	int flags;
};

struct p9_session {
	const struct p9_export *x;
	uint32_t msize; /* 0: no Tversion yet */
	struct p9_nodes nodes;
	struct p9_fid **fid; /* buckets */
	unsigned fids;
	dev_t dev[256]; /* seen; the index goes into qids */
	unsigned devs;
	uint8_t *in_buf;  /* P9_TEXT */
	uint8_t *out_buf; /* P9_MSIZE */
};

struct p9_fid *p9_fid_find(struct p9_session *s, uint32_t number);
/* A new one, that holds @node. -EEXIST (as EBADF), -EMFILE, -ENOMEM. */
int p9_fid_new(struct p9_session *s, uint32_t number, struct p9_node *node,
	       struct p9_fid **out);
/* Let it go; 0, or -errno of a value that could not be stored. */
int p9_fid_clunk(struct p9_session *s, struct p9_fid *f);
void p9_fid_clunk_all(struct p9_session *s);

/* ---- requests ---- */

struct p9_call {
	struct p9_session *s;
	struct p9_in in;
	struct p9_out out;
	uint32_t max; /* bytes the whole answer may have */
	/* All of the message's memory, for data that is not copied. */
	const struct iovec *in_iov, *out_iov;
	unsigned in_n, out_n;
	size_t in_at;  /* where in's text ends */
	size_t direct; /* bytes put behind out's by the handler */
};

typedef int p9_handler(struct p9_call *c);

p9_handler p9_walk, p9_readdir, p9_lcreate, p9_symlink, p9_mknod, p9_mkdir,
	p9_link, p9_rename, p9_renameat, p9_unlinkat, p9_remove;
p9_handler p9_lopen, p9_read, p9_write, p9_fsync, p9_lock, p9_getlock;
p9_handler p9_getattr, p9_setattr, p9_statfs, p9_readlink;
p9_handler p9_xattrwalk, p9_xattrcreate;

/* The fid the request names next, or NULL with *@ret set. */
struct p9_fid *p9_call_fid(struct p9_call *c, int *ret);
/* The same with its node's descriptor in @fd. */
struct p9_fid *p9_call_node(struct p9_call *c, int *fd, int *ret);
/* A name that can be one in a directory; 0 or -errno. */
int p9_call_name(struct p9_call *c, char *name);

void p9_put_qid(struct p9_call *c, const struct stat *st);
/* "/proc/self/fd/N" for calls that want a path. */
void p9_proc_path(char buf[32], int fd);

/* ---- attr.c ---- */

/* As the client shall see @fd. */
int p9_stat(const struct p9_session *s, int fd, struct stat *st);
/* What is new at @fd gets owner and mode; @rdev: a device's number. */
int p9_own(struct p9_session *s, int fd, const struct stat *want);

#endif
