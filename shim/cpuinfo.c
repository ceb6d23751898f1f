/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/cpuinfo with the flag scripts and management tools look for before
 * they look at /dev/kvm: vmx or svm.
 */
#include "shim/shim.h"

#include <errno.h>
#include <string.h>

#define FLAGS "flags\t\t:"

/* One line; those that list flags get one more. */
static int copy_line(int to, const char *line, size_t n)
{
	const char *flag = param_is_intel() ? " vmx" : " svm";
	bool add = !strncmp(line, FLAGS, sizeof(FLAGS) - 1) &&
		   !memmem(line, n, flag, 4);
	size_t body = add && n && line[n - 1] == '\n' ? n - 1 : n;

	if (write(to, line, body) != (ssize_t)body ||
	    (add && write(to, flag, 4) != 4) ||
	    write(to, line + body, n - body) != (ssize_t)(n - body))
		return -EIO;
	return 0;
}

static int copy_all(int to, FILE *from)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int ret = 0;

	while (!ret && (n = getline(&line, &room, from)) > 0)
		ret = copy_line(to, line, (size_t)n);
	free(line);
	return ret;
}

int cpuinfo_open(int flags)
{
	FILE *f = real()->fopen("/proc/cpuinfo", "re");
	int fd, ret = -ENOENT;

	if (!f)
		return -errno;
	fd = memfd_create("cpuinfo", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd >= 0)
		ret = copy_all(fd, f);
	fclose(f);
	if (fd < 0)
		return -ENOMEM;
	if (!ret && !lseek(fd, 0, SEEK_SET))
		return fd;
	real()->close(fd);
	return ret ? ret : -EIO;
}
