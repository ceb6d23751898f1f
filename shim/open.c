/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open() and its family, for /dev/kvm and module parameters. A parameter is
 * a memfd with its text, so that reading, seeking and closing need no help.
 */
#include "shim/shim.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static int open_kvm(int flags)
{
	const struct lib *lib;
	int fd;

	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	lib = lib_load();
	if (!lib)
		return -ENODEV;
	cpuid_open();
	fd = lib->open();
	cpuid_close();
	if (fd < 0)
		return fd;
	if (!(flags & O_CLOEXEC))
		real()->fcntl(fd, F_SETFD, 0);
	fd_set_kind(fd, FD_SYSTEM);
	return fd;
}

static int open_param(const char *text, int flags)
{
	size_t n = strlen(text);
	int fd, ret;

	if ((flags & O_ACCMODE) != O_RDONLY)
		return -EACCES;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	fd = memfd_create("kvm-parameter",
			  MFD_ALLOW_SEALING |
				  (flags & O_CLOEXEC ? MFD_CLOEXEC : 0));
	if (fd < 0)
		return -errno;
	if (write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) ||
	    real()->fcntl(fd, F_ADD_SEALS,
			  F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)) {
		ret = -errno;
		real()->close(fd);
		return ret;
	}
	return fd;
}

int open_special(enum path_kind kind, const char *param, int flags)
{
	int saved = errno, fd;

	switch (kind) {
	case PATH_KVM: fd = open_kvm(flags); break;
	case PATH_PARAM: fd = open_param(param, flags); break;
	case PATH_CPUINFO: fd = cpuinfo_open(flags); break;
	default: return -ENOENT;
	}
	if (fd >= 0)
		errno = saved;
	return fd;
}

static bool is_served(enum path_kind kind, int flags)
{
	if (likely(kind == PATH_OTHER || kind == PATH_DIR))
		return false;
	return kind != PATH_CPUINFO || (flags & O_ACCMODE) == O_RDONLY;
}

/* True when the path is ours; *@fd is what open() returns then. */
static bool serve(int dir, const char *path, int flags, int *fd)
{
	const char *param = NULL;
	enum path_kind kind = path_kind(dir, path, &param);

	if (!is_served(kind, flags))
		return false;
	*fd = (int)shim_return(open_special(kind, param, flags));
	return true;
}

/* The third argument is only there with flags that make a file. */
static mode_t mode_arg(int flags, va_list ap)
{
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		return va_arg(ap, mode_t);
	return 0;
}

/* The names of one call: with a mode, and checked by _FORTIFY_SOURCE. */
#define OPEN(name)                                             \
	SHIM_API int name(const char *path, int flags, ...)    \
	{                                                      \
		mode_t mode;                                   \
		va_list ap;                                    \
		int fd;                                        \
                                                               \
		va_start(ap, flags);                           \
		mode = mode_arg(flags, ap);                    \
		va_end(ap);                                    \
		if (serve(AT_FDCWD, path, flags, &fd))         \
			return fd;                             \
		return real()->name(path, flags, mode);        \
	}                                                      \
	SHIM_API int __##name##_2(const char *path, int flags) \
	{                                                      \
		int fd;                                        \
                                                               \
		if (serve(AT_FDCWD, path, flags, &fd))         \
			return fd;                             \
		return real()->__##name##_2(path, flags);      \
	}

#define OPENAT(name)                                                    \
	SHIM_API int name(int dir, const char *path, int flags, ...)    \
	{                                                               \
		mode_t mode;                                            \
		va_list ap;                                             \
		int fd;                                                 \
                                                                        \
		va_start(ap, flags);                                    \
		mode = mode_arg(flags, ap);                             \
		va_end(ap);                                             \
		if (serve(dir, path, flags, &fd))                       \
			return fd;                                      \
		return real()->name(dir, path, flags, mode);            \
	}                                                               \
	SHIM_API int __##name##_2(int dir, const char *path, int flags) \
	{                                                               \
		int fd;                                                 \
                                                                        \
		if (serve(dir, path, flags, &fd))                       \
			return fd;                                      \
		return real()->__##name##_2(dir, path, flags);          \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* ---- streams ---- */

static int stream_flags(const char *mode)
{
	int flags = mode[0] == 'r' ? O_RDONLY : O_WRONLY;

	if (strchr(mode, '+'))
		flags = O_RDWR;
	return flags | (strchr(mode, 'e') ? O_CLOEXEC : 0);
}

static bool serve_stream(const char *path, const char *mode, FILE **out)
{
	int fd;

	*out = NULL;
	if (!mode || !serve(AT_FDCWD, path, stream_flags(mode), &fd))
		return false;
	if (fd >= 0)
		*out = fdopen(fd, mode);
	return true;
}

SHIM_API FILE *fopen(const char *path, const char *mode)
{
	FILE *f;

	return serve_stream(path, mode, &f) ? f : real()->fopen(path, mode);
}

SHIM_API FILE *fopen64(const char *path, const char *mode)
{
	FILE *f;

	return serve_stream(path, mode, &f) ? f : real()->fopen64(path, mode);
}
