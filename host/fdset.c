/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists: what was handed over, and what of it is open. A set exists while
 * it has something in either.
 */
#include "host/fdset.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/keyval.h"

#define PREFIX    "/dev/fdset/"
#define FDSET_MAX INT32_MAX
/* What tells one descriptor of a set from another. */
#define SAME_MODE (O_ACCMODE | O_DIRECT)
/* What a duplicate is given as it is opened. */
#define SETTABLE  (O_APPEND | O_NONBLOCK | O_NOATIME)

struct entry {
	struct entry *next; /* by set, then by age */
	int64_t set;
	int fd;
	bool open; /* a duplicate in use, else handed over */
	char *opaque;
};

static struct entry *entries;
static pthread_mutex_t entries_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- lock held ---- */

static bool has_set(int64_t set)
{
	const struct entry *i = entries;

	while (i && i->set != set)
		i = i->next;
	return i;
}

static int64_t unused_set(void)
{
	int64_t set = 0;

	while (has_set(set))
		set++;
	return set;
}

static int insert(int64_t set, int fd, bool open, const char *opaque)
{
	struct entry **at = &entries, *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->set = set;
	new->fd = fd;
	new->open = open;
	new->opaque = opaque ? strdup(opaque) : NULL;
	if (opaque && !new->opaque) {
		free(new);
		return -ENOMEM;
	}
	while (*at && (*at)->set <= set)
		at = &(*at)->next;
	new->next = *at;
	*at = new;
	return 0;
}

static void drop(struct entry **at)
{
	struct entry *old = *at;

	*at = old->next;
	close(old->fd);
	free(old->opaque);
	free(old);
}

static int duplicate(int64_t set, int flags)
{
	const struct entry *i;
	int fd, has, ret;

	for (i = entries; i; i = i->next) {
		has = i->set == set && !i->open ? fcntl(i->fd, F_GETFL) : -1;
		if (has >= 0 && !((has ^ flags) & SAME_MODE))
			break;
	}
	if (!i)
		return has_set(set) ? -EACCES : -ENOENT;
	fd = fcntl(i->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ret = fcntl(fd, F_SETFL, has | (flags & SETTABLE)) ? -errno : 0;
	if (!ret)
		ret = insert(set, fd, true, NULL);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* ---- for all ---- */

static int parse(const char *path, int64_t *set)
{
	uint64_t n;

	if (strncmp(path, PREFIX, strlen(PREFIX)))
		return -EINVAL;
	if (keyval_number(path + strlen(PREFIX), 0, FDSET_MAX, &n, NULL))
		return -ENOENT;
	*set = (int64_t)n;
	return 0;
}

int fdset_open(const char *path, int flags)
{
	int64_t set;
	int ret = parse(path, &set);

	if (ret == -EINVAL) {
		ret = open(path, flags, 0666);
		return ret < 0 ? -errno : ret;
	}
	if (ret)
		return ret;
	pthread_mutex_lock(&entries_lock);
	ret = duplicate(set, flags);
	pthread_mutex_unlock(&entries_lock);
	return ret;
}

void fdset_close(int fd)
{
	struct entry **at = &entries;

	pthread_mutex_lock(&entries_lock);
	while (*at && !((*at)->open && (*at)->fd == fd))
		at = &(*at)->next;
	if (*at)
		drop(at);
	else
		close(fd);
	pthread_mutex_unlock(&entries_lock);
}

int64_t fdset_add(int64_t set, int fd, const char *opaque)
{
	int ret;

	if (set < FDSET_ANY || set > FDSET_MAX)
		return -EINVAL;
	pthread_mutex_lock(&entries_lock);
	if (set == FDSET_ANY)
		set = unused_set();
	ret = insert(set, fd, false, opaque);
	pthread_mutex_unlock(&entries_lock);
	return ret ? ret : set;
}

int fdset_remove(int64_t set, int fd)
{
	struct entry **at = &entries;
	int ret = -ENOENT;

	pthread_mutex_lock(&entries_lock);
	while (*at) {
		if ((*at)->set != set || (*at)->open ||
		    (fd != FDSET_ANY && (*at)->fd != fd)) {
			at = &(*at)->next;
			continue;
		}
		drop(at);
		ret = 0;
	}
	/* One whose descriptors are all in use has nothing to remove. */
	if (ret && fd == FDSET_ANY && has_set(set))
		ret = 0;
	pthread_mutex_unlock(&entries_lock);
	return ret;
}

void fdset_walk(void (*visit)(void *ctx, int64_t set, int fd,
			      const char *opaque),
		void *ctx)
{
	const struct entry *i;
	int64_t last = FDSET_ANY;

	pthread_mutex_lock(&entries_lock);
	for (i = entries; i; i = i->next) {
		if (i->set != last)
			visit(ctx, i->set, -1, NULL);
		last = i->set;
		if (!i->open)
			visit(ctx, i->set, i->fd, i->opaque);
	}
	pthread_mutex_unlock(&entries_lock);
}
