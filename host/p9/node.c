/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files by their names. A client may hold more of them than a process may
 * have open, so the descriptors used longest ago are closed and opened again
 * from the nearest directory that is open, without following any link.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "host/p9/priv.h"

#define BUCKETS 4096

static struct p9_node **
bucket_of(struct p9_nodes *t, const struct p9_node *parent, const char *name)
{
	uint64_t h = (uintptr_t)parent;

	while (*name)
		h = (h ^ (uint8_t)*name++) * 0x100000001b3ULL;
	return &t->bucket[(h ^ h >> 32) % BUCKETS];
}

static struct p9_node *find(struct p9_nodes *t, const struct p9_node *parent,
			    const char *name)
{
	struct p9_node *n = *bucket_of(t, parent, name);

	while (n && (n->parent != parent || strcmp(n->name, name)))
		n = n->chain;
	return n;
}

static void hash(struct p9_nodes *t, struct p9_node *n)
{
	struct p9_node **at = bucket_of(t, n->parent, n->name);

	n->chain = *at;
	*at = n;
	n->hashed = true;
}

static void unhash(struct p9_nodes *t, struct p9_node *n)
{
	struct p9_node **at;

	if (!n->hashed)
		return;
	at = bucket_of(t, n->parent, n->name);
	while (*at != n)
		at = &(*at)->chain;
	*at = n->chain;
	n->hashed = false;
}

/* ---- descriptors ---- */

static void unlist(struct p9_nodes *t, struct p9_node *n)
{
	if (!n->listed)
		return;
	*(n->older ? &n->older->newer : &t->oldest) = n->newer;
	*(n->newer ? &n->newer->older : &t->newest) = n->older;
	n->listed = false;
}

static void list(struct p9_nodes *t, struct p9_node *n)
{
	unlist(t, n);
	/* Without a name it could not be found again. */
	if (!n->hashed || n->fd < 0)
		return;
	n->older = t->newest;
	n->newer = NULL;
	*(t->newest ? &t->newest->newer : &t->oldest) = n;
	t->newest = n;
	n->listed = true;
}

static void shut(struct p9_nodes *t, struct p9_node *n)
{
	unlist(t, n);
	if (n->fd < 0)
		return;
	close(n->fd);
	n->fd = -1;
	t->open--;
}

static void opened(struct p9_nodes *t, struct p9_node *n, int fd)
{
	n->fd = fd;
	t->open++;
	list(t, n);
	while (t->open > t->max && t->oldest && t->oldest != n)
		shut(t, t->oldest);
}

static int open_name(int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* From the nearest directory that is open down to @n. */
static int open_again(struct p9_nodes *t, struct p9_node *n)
{
	struct p9_node *up[P9_DEPTH + 1], *from = n;
	unsigned count = 0;
	int fd, next;
	struct stat st;

	for (; from->fd < 0; from = from->parent) {
		if (!from->hashed)
			return -ESTALE;
		if (count > P9_DEPTH)
			return -ENAMETOOLONG;
		up[count++] = from;
	}
	fd = from->fd;
	while (count--) {
		next = open_name(fd, up[count]->name);
		if (fd != from->fd)
			close(fd);
		if (next < 0)
			return next;
		fd = next;
	}
	if (fstat(fd, &st) || st.st_dev != n->dev || st.st_ino != n->ino) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int p9_node_fd(struct p9_nodes *t, struct p9_node *n)
{
	int fd;

	if (n->fd >= 0) {
		list(t, n);
		return n->fd;
	}
	fd = open_again(t, n);
	if (fd < 0)
		return fd;
	opened(t, n, fd);
	return fd;
}

/* ---- life ---- */

void p9_node_hold(struct p9_node *n)
{
	n->refs++;
}

void p9_node_drop(struct p9_nodes *t, struct p9_node *n)
{
	struct p9_node *parent;

	for (; n && !--n->refs; n = parent) {
		parent = n->parent;
		shut(t, n);
		unhash(t, n);
		free(n->name);
		free(n);
	}
}

/* Through /proc the memory of this very process can be reached. */
bool p9_sealed(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || fs.f_type == PROC_SUPER_MAGIC;
}

static int new_node(struct p9_nodes *t, struct p9_node *parent,
		    const char *name, int fd, struct p9_node **out)
{
	struct p9_node *n = calloc(1, sizeof(*n));
	struct stat st;

	if (n)
		n->name = strdup(name);
	if (!n || !n->name || fstat(fd, &st)) {
		if (n)
			free(n->name);
		free(n);
		close(fd);
		return -ENOMEM;
	}
	n->refs = 1;
	n->fd = -1;
	n->dev = st.st_dev;
	n->ino = st.st_ino;
	n->parent = parent;
	if (parent) {
		n->depth = parent->depth + 1;
		n->sealed = n->dev != parent->dev && p9_sealed(fd);
		p9_node_hold(parent);
		hash(t, n);
	}
	opened(t, n, fd);
	*out = n;
	return 0;
}

/* What is behind the name now may be another file. */
static bool same_file(const struct p9_node *n, int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_dev == n->dev && st.st_ino == n->ino;
}

static int walk_up(struct p9_node *dir, struct p9_node **out)
{
	*out = dir->parent ? dir->parent : dir;
	p9_node_hold(*out);
	return 0;
}

int p9_node_walk(struct p9_nodes *t, struct p9_node *dir, const char *name,
		 struct p9_node **out)
{
	int fd = p9_node_fd(t, dir);
	struct p9_node *n;

	if (fd < 0)
		return fd;
	if (!strcmp(name, ".."))
		return walk_up(dir, out);
	if (dir->sealed)
		return -EACCES;
	if (dir->depth == P9_DEPTH)
		return -ENAMETOOLONG;
	fd = open_name(fd, name);
	if (fd < 0)
		return fd;
	n = find(t, dir, name);
	if (n && same_file(n, fd)) {
		if (n->fd < 0)
			opened(t, n, fd);
		else
			close(fd);
		p9_node_hold(n);
		*out = n;
		return 0;
	}
	if (n)
		p9_node_unlinked(t, dir, name);
	return new_node(t, dir, name, fd, out);
}

void p9_node_unlinked(struct p9_nodes *t, struct p9_node *dir, const char *name)
{
	struct p9_node *n = find(t, dir, name);

	if (!n)
		return;
	unhash(t, n);
	unlist(t, n);
}

/* Whether @n is @dir or above it. */
static bool above(const struct p9_node *n, const struct p9_node *dir)
{
	while (dir && dir != n)
		dir = dir->parent;
	return dir;
}

void p9_node_renamed(struct p9_nodes *t, struct p9_node *from,
		     const char *old_name, struct p9_node *to,
		     const char *new_name)
{
	struct p9_node *n = find(t, from, old_name);
	char *name;

	p9_node_unlinked(t, to, new_name);
	if (!n)
		return;
	unhash(t, n);
	unlist(t, n);
	name = strdup(new_name);
	/* Without a name it is like a file that was unlinked. */
	if (!name || above(n, to)) {
		free(name);
		return;
	}
	free(n->name);
	n->name = name;
	p9_node_hold(to);
	n->parent = to;
	n->depth = to->depth + 1;
	hash(t, n);
	list(t, n);
	p9_node_drop(t, from);
}

int p9_nodes_init(struct p9_nodes *t, const struct p9_export *x)
{
	int fd = fcntl(x->root, F_DUPFD_CLOEXEC, 0), ret;

	*t = (struct p9_nodes){.max = x->fds};
	if (fd < 0)
		return -errno;
	t->bucket = calloc(BUCKETS, sizeof(struct p9_node *));
	if (!t->bucket) {
		close(fd);
		return -ENOMEM;
	}
	ret = new_node(t, NULL, "", fd, &t->root);
	if (ret) {
		free(t->bucket);
		t->bucket = NULL;
	}
	return ret;
}

void p9_nodes_exit(struct p9_nodes *t)
{
	if (t->bucket)
		p9_node_drop(t, t->root);
	free(t->bucket);
	t->bucket = NULL;
}
