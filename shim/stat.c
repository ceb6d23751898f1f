/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat(), access() and their families. /dev/kvm looks like the device that
 * udev makes, readable and writable by everybody, whether the host has one or
 * not; an open system handle looks like it too.
 */
#include "shim/shim.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#define MAJOR_MISC 10
#define MINOR_KVM  232

#define PARAM_LINK "/memfd:kvm-parameter (deleted)"
#define PARAM_SIZE 4096
#define PARAM_MAX  64 /* bytes there really are */

/* What the rest of a forged answer is taken from. */
static const char *model_of(enum path_kind kind)
{
	switch (kind) {
	case PATH_KVM: return "/dev/null";
	case PATH_PARAM: return "/proc/version";
	default: return "/proc";
	}
}

static mode_t mode_of(enum path_kind kind)
{
	switch (kind) {
	case PATH_KVM: return S_IFCHR | 0666;
	case PATH_PARAM: return S_IFREG | 0444;
	default: return S_IFDIR | 0755;
	}
}

static bool is_forged(enum path_kind kind)
{
	return unlikely(kind != PATH_OTHER && kind != PATH_CPUINFO);
}

static int forge(enum path_kind kind, const char *param, struct stat *st)
{
	int saved = errno;

	if (kind == PATH_NONE) {
		errno = ENOENT;
		return -1;
	}
	if (kind != PATH_KVM || real()->stat("/dev/kvm", st))
		if (real()->stat(model_of(kind), st))
			return -1;
	st->st_mode = mode_of(kind);
	st->st_rdev = kind == PATH_KVM ? makedev(MAJOR_MISC, MINOR_KVM) : 0;
	st->st_size = kind == PATH_PARAM ? PARAM_SIZE : 0;
	errno = saved;
	return 0;
}

static bool serve(int dir, const char *path, struct stat *st, int *ret)
{
	const char *param = NULL;
	enum path_kind kind = path_kind(dir, path, &param);

	if (!is_forged(kind))
		return false;
	*ret = forge(kind, param, st);
	return true;
}

static bool serve_fd(int fd, struct stat *st, int *ret)
{
	if (likely(fd_kind(fd) != FD_SYSTEM))
		return false;
	*ret = forge(PATH_KVM, NULL, st);
	return true;
}

/*
 * A parameter that is open: like all files of sysfs as long as a page, which
 * some read by their length. A memfd has no name and not much in it.
 */
static int opened(int fd, struct stat *st, int ret)
{
	char path[32], link[32];
	ssize_t n;

	if (likely(ret || st->st_nlink || st->st_size > PARAM_MAX ||
		   !S_ISREG(st->st_mode)))
		return ret;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = real()->readlink(path, link, sizeof(link));
	if (n != sizeof(PARAM_LINK) - 1 || memcmp(link, PARAM_LINK, (size_t)n))
		return ret;
	st->st_mode = mode_of(PATH_PARAM);
	st->st_size = PARAM_SIZE;
	return ret;
}

/* One layout under two names. */
#define PLAIN(st64) ((struct stat *)(void *)(st64))
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout");

SHIM_API int stat(const char *path, struct stat *st)
{
	int r;

	return serve(AT_FDCWD, path, st, &r) ? r : real()->stat(path, st);
}

SHIM_API int lstat(const char *path, struct stat *st)
{
	int r;

	return serve(AT_FDCWD, path, st, &r) ? r : real()->lstat(path, st);
}

SHIM_API int stat64(const char *path, struct stat64 *st)
{
	int r;

	return serve(AT_FDCWD, path, PLAIN(st), &r) ? r
						    : real()->stat64(path, st);
}

SHIM_API int lstat64(const char *path, struct stat64 *st)
{
	int r;

	return serve(AT_FDCWD, path, PLAIN(st), &r) ? r
						    : real()->lstat64(path, st);
}

SHIM_API int fstat(int fd, struct stat *st)
{
	int r;

	return serve_fd(fd, st, &r) ? r : opened(fd, st, real()->fstat(fd, st));
}

SHIM_API int fstat64(int fd, struct stat64 *st)
{
	int r;

	return serve_fd(fd, PLAIN(st), &r)
		       ? r
		       : opened(fd, PLAIN(st), real()->fstat64(fd, st));
}

SHIM_API int fstatat(int dir, const char *path, struct stat *st, int flags)
{
	int r;

	if ((flags & AT_EMPTY_PATH) && path_is_empty(path) &&
	    serve_fd(dir, st, &r))
		return r;
	return serve(dir, path, st, &r) ? r
					: real()->fstatat(dir, path, st, flags);
}

SHIM_API int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	int r;

	if ((flags & AT_EMPTY_PATH) && path_is_empty(path) &&
	    serve_fd(dir, PLAIN(st), &r))
		return r;
	return serve(dir, path, PLAIN(st), &r)
		       ? r
		       : real()->fstatat64(dir, path, st, flags);
}

SHIM_API int __xstat(int ver, const char *path, struct stat *st)
{
	int r;

	return serve(AT_FDCWD, path, st, &r) ? r
					     : real()->__xstat(ver, path, st);
}

SHIM_API int __lxstat(int ver, const char *path, struct stat *st)
{
	int r;

	return serve(AT_FDCWD, path, st, &r) ? r
					     : real()->__lxstat(ver, path, st);
}

SHIM_API int __fxstat(int ver, int fd, struct stat *st)
{
	int r;

	return serve_fd(fd, st, &r) ? r : real()->__fxstat(ver, fd, st);
}

SHIM_API int __fxstatat(int ver, int dir, const char *path, struct stat *st,
			int flags)
{
	int r;

	return serve(dir, path, st, &r)
		       ? r
		       : real()->__fxstatat(ver, dir, path, st, flags);
}

SHIM_API int __xstat64(int ver, const char *path, struct stat64 *st)
{
	int r;

	return serve(AT_FDCWD, path, PLAIN(st), &r)
		       ? r
		       : real()->__xstat64(ver, path, st);
}

SHIM_API int __lxstat64(int ver, const char *path, struct stat64 *st)
{
	int r;

	return serve(AT_FDCWD, path, PLAIN(st), &r)
		       ? r
		       : real()->__lxstat64(ver, path, st);
}

SHIM_API int __fxstat64(int ver, int fd, struct stat64 *st)
{
	int r;

	return serve_fd(fd, PLAIN(st), &r) ? r
					   : real()->__fxstat64(ver, fd, st);
}

SHIM_API int __fxstatat64(int ver, int dir, const char *path, struct stat64 *st,
			  int flags)
{
	int r;

	return serve(dir, path, PLAIN(st), &r)
		       ? r
		       : real()->__fxstatat64(ver, dir, path, st, flags);
}

/* The old call's answer in the new call's words. */
static void widen(const struct stat *st, struct statx *x)
{
	*x = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (uint32_t)st->st_blksize,
		.stx_nlink = (uint32_t)st->st_nlink,
		.stx_uid = st->st_uid,
		.stx_gid = st->st_gid,
		.stx_mode = (uint16_t)st->st_mode,
		.stx_ino = st->st_ino,
		.stx_size = (uint64_t)st->st_size,
		.stx_atime.tv_sec = st->st_atime,
		.stx_ctime.tv_sec = st->st_ctime,
		.stx_mtime.tv_sec = st->st_mtime,
		.stx_rdev_major = major(st->st_rdev),
		.stx_rdev_minor = minor(st->st_rdev),
		.stx_dev_major = major(st->st_dev),
		.stx_dev_minor = minor(st->st_dev),
	};
}

SHIM_API int statx(int dir, const char *path, int flags, unsigned int mask,
		   struct statx *x)
{
	struct stat st;
	bool empty = (flags & AT_EMPTY_PATH) && path_is_empty(path);
	int r;

	if (!(empty && serve_fd(dir, &st, &r)) && !serve(dir, path, &st, &r))
		return real()->statx(dir, path, flags, mask, x);
	if (!r)
		widen(&st, x);
	return r;
}

/* ---- access ---- */

static bool serve_access(int dir, const char *path, int mode, int *ret)
{
	const char *param = NULL;
	enum path_kind kind = path_kind(dir, path, &param);

	if (!is_forged(kind))
		return false;
	*ret = -1;
	if (mode & ~(R_OK | W_OK | X_OK))
		errno = EINVAL;
	else if (kind == PATH_NONE)
		errno = ENOENT;
	else if ((kind != PATH_DIR && (mode & X_OK)) ||
		 (kind != PATH_KVM && (mode & W_OK)))
		errno = EACCES;
	else
		*ret = 0;
	return true;
}

SHIM_API int access(const char *path, int mode)
{
	int r;

	return serve_access(AT_FDCWD, path, mode, &r)
		       ? r
		       : real()->access(path, mode);
}

SHIM_API int euidaccess(const char *path, int mode)
{
	int r;

	return serve_access(AT_FDCWD, path, mode, &r)
		       ? r
		       : real()->euidaccess(path, mode);
}

SHIM_API int eaccess(const char *path, int mode)
{
	return euidaccess(path, mode);
}

SHIM_API int faccessat(int dir, const char *path, int mode, int flags)
{
	int r;

	return serve_access(dir, path, mode, &r)
		       ? r
		       : real()->faccessat(dir, path, mode, flags);
}

/* ---- names ---- */

/* Has no attributes, access lists included; ls asks for them. */
static bool serve_xattr(const char *path, ssize_t *ret)
{
	const char *param = NULL;
	enum path_kind kind = path_kind(AT_FDCWD, path, &param);

	if (!is_forged(kind))
		return false;
	errno = kind == PATH_NONE ? ENOENT : ENODATA;
	*ret = -1;
	return true;
}

SHIM_API ssize_t getxattr(const char *path, const char *name, void *value,
			  size_t size)
{
	ssize_t r;

	return serve_xattr(path, &r)
		       ? r
		       : real()->getxattr(path, name, value, size);
}

SHIM_API ssize_t lgetxattr(const char *path, const char *name, void *value,
			   size_t size)
{
	ssize_t r;

	return serve_xattr(path, &r)
		       ? r
		       : real()->lgetxattr(path, name, value, size);
}

SHIM_API ssize_t readlink(const char *path, char *buf, size_t size)
{
	const char *param = NULL;

	switch (path_kind(AT_FDCWD, path, &param)) {
	case PATH_OTHER:
	case PATH_CPUINFO: return real()->readlink(path, buf, size);
	case PATH_NONE: errno = ENOENT; return -1;
	default: errno = EINVAL; return -1;
	}
}

SHIM_API char *realpath(const char *path, char *out)
{
	const char *param = NULL;

	if (path_kind(AT_FDCWD, path, &param) != PATH_KVM)
		return real()->realpath(path, out);
	return out ? strcpy(out, "/dev/kvm") : strdup("/dev/kvm");
}
