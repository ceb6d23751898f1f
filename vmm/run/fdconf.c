/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -add-fd: a descriptor that whoever started us left open.
 */
#include "vmm/run/fdconf.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/fdset.h"
#include "lib/keyval.h"

static int take(int fd, int64_t set, const char *opaque, struct err *e)
{
	int flags = fcntl(fd, F_GETFD);
	int64_t got;

	if (fd <= STDERR_FILENO)
		return err_set(e, -EINVAL, "fd=%d is standard input or output",
			       fd);
	/* Ours have that flag; what was inherited never has. */
	if (flags < 0 || flags & FD_CLOEXEC)
		return err_set(e, -EBADF,
			       "fd=%d is not open, or somebody's already", fd);
	if (fcntl(fd, F_SETFD, flags | FD_CLOEXEC))
		return err_set(e, -errno, "fd=%d cannot be kept", fd);
	got = fdset_add(set, fd, opaque);
	return got < 0 ? err_set(e, (int)got, "out of memory") : 0;
}

int fdconf_add(const char *arg, struct err *e)
{
	char opaque[KEYVAL_MAX] = "";
	uint64_t fd = 0, set = 0;
	bool has_fd = false, has_set = false, has_opaque = false;
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (!kv.bare && !strcmp(kv.key, "fd")) {
			has_fd = true;
			ret = keyval_number(kv.value, 0, INT32_MAX, &fd, e);
		} else if (!kv.bare && !strcmp(kv.key, "set")) {
			has_set = true;
			ret = keyval_number(kv.value, 0, INT32_MAX, &set, e);
		} else if (!kv.bare && !strcmp(kv.key, "opaque")) {
			has_opaque = true;
			strcpy(opaque, kv.value);
		} else {
			ret = err_set(e, -EINVAL,
				      "'%s' is not one of fd=, set=, opaque=",
				      kv.bare ? kv.value : kv.key);
		}
		if (ret < 0)
			return ret;
	}
	if (!ret && (!has_fd || !has_set))
		return err_set(e, -EINVAL, "%s= is missing",
			       has_fd ? "set" : "fd");
	return ret ? ret
		   : take((int)fd, (int64_t)set, has_opaque ? opaque : NULL, e);
}
