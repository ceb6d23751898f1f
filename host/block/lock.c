/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For each thing one can do with an image there is a byte that is locked by
 * those who do it, and one by those who cannot bear it. All locks are shared
 * ones; conflicts are found by asking for an exclusive one. Ours come first
 * and are then checked, so that of two who start at once at least one sees
 * the other.
 */
#include "host/block/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DOES    100 /* first byte of those who do */
#define REFUSES 200 /* and of those who cannot bear it */

enum { READ, WRITE, WRITE_SAME, RESIZE, RIGHTS };

static int lock_byte(int fd, int cmd, short type, off_t at)
{
	struct flock l = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = at,
		.l_len = 1,
	};

	if (fcntl(fd, cmd, &l))
		return -errno;
	return cmd == F_OFD_GETLK && l.l_type != F_UNLCK ? -EBUSY : 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return a != b && !fstat(a, &x) && !fstat(b, &y) &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Whether a descriptor of ours but @fd is of the same file. */
static bool open_twice(int fd)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' &&
			same_file(fd, atoi(entry->d_name));
	if (dir)
		closedir(dir);
	return found;
}

/* Locks do not tell whose they are. */
static const char *holder(int fd)
{
	return open_twice(fd) ? "another disk of this process"
			      : "another process";
}

static int check(int fd, off_t at, const char *path, const char *what,
		 struct err *e)
{
	int ret = lock_byte(fd, F_OFD_GETLK, F_WRLCK, at);

	return ret == -EBUSY ? err_set(e, ret, "%s is in use: %s %s", path,
				       holder(fd), what)
			     : 0;
}

int lock_image(int fd, const char *path, const struct lock_image *l,
	       struct err *e)
{
	static const char *const refuses[RIGHTS] = {
		[READ] = "lets nobody read it",
		[WRITE] = "lets nobody write to it",
		[WRITE_SAME] = "lets nobody write to it",
		[RESIZE] = "lets nobody change its size",
	};
	const bool does[RIGHTS] = {true, l->write, false, l->resize};
	const bool bears[RIGHTS] = {true, l->share, true, l->share};
	int i, ret = 0;

	for (i = 0; i < RIGHTS; i++) {
		if (does[i])
			ret = lock_byte(fd, F_OFD_SETLK, F_RDLCK, DOES + i);
		if (!ret && !bears[i])
			ret = lock_byte(fd, F_OFD_SETLK, F_RDLCK, REFUSES + i);
		if (ret == -EAGAIN || ret == -EACCES)
			return err_set(e, -EBUSY, "%s is in use by %s", path,
				       holder(fd));
		if (ret && l->must)
			return err_set(e, ret,
				       "%s cannot be locked (locking=on): %s",
				       path, strerror(-ret));
		if (ret)
			return 0; /* no locks here */
	}
	for (i = 0; !ret && i < RIGHTS; i++) {
		if (does[i])
			ret = check(fd, REFUSES + i, path, refuses[i], e);
		if (!ret && !bears[i])
			ret = check(fd, DOES + i, path,
				    i == WRITE ? "writes to it"
					       : "may change its size",
				    e);
	}
	return ret;
}
