/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of guest memory: guest_memfd cannot be read or written, only whole
 * pages of it are allocated or given back, none are joined. liblodge keeps
 * such memory in an ordinary memory file, so these rules are made here.
 */
#include "shim/shim.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#define PAGE 4096ll
#define NAME "/memfd:kvm-gmem"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static bool is_gmem(int fd)
{
	return unlikely(fd_kind(fd) == FD_GMEM);
}

static ssize_t refuse(void)
{
	errno = EINVAL;
	return -1;
}

SHIM_API ssize_t read(int fd, void *buf, size_t n)
{
	return is_gmem(fd) ? refuse() : real()->read(fd, buf, n);
}

SHIM_API ssize_t write(int fd, const void *buf, size_t n)
{
	return is_gmem(fd) ? refuse() : real()->write(fd, buf, n);
}

SHIM_API ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
	return is_gmem(fd) ? refuse() : real()->pread(fd, buf, n, off);
}

SHIM_API ssize_t pread64(int fd, void *buf, size_t n, off64_t off)
{
	return is_gmem(fd) ? refuse() : real()->pread64(fd, buf, n, off);
}

SHIM_API ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return is_gmem(fd) ? refuse() : real()->pwrite(fd, buf, n, off);
}

SHIM_API ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	return is_gmem(fd) ? refuse() : real()->pwrite64(fd, buf, n, off);
}

/* 0 when the kernel's guest_memfd would allocate or punch this. */
static int check_range(int fd, int mode, off64_t off, off64_t len)
{
	struct stat st;

	if (!(mode & FALLOC_FL_KEEP_SIZE) ||
	    mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return EOPNOTSUPP;
	if (off < 0 || len <= 0 || off % PAGE || len % PAGE)
		return EINVAL;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return 0;
	if (real()->fstat(fd, &st))
		return errno;
	return off > st.st_size || len > st.st_size - off ? EINVAL : 0;
}

SHIM_API int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	int err = is_gmem(fd) ? check_range(fd, mode, off, len) : 0;

	if (!err)
		return real()->fallocate64(fd, mode, off, len);
	errno = err;
	return -1;
}

SHIM_API int fallocate(int fd, int mode, off_t off, off_t len)
{
	return fallocate64(fd, mode, off, len);
}

/* Whether @addr is mapped from such a file. Slow. */
static bool is_mapped(const void *addr)
{
	unsigned long at = (unsigned long)(uintptr_t)addr, start, end;
	FILE *f = real()->fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%lx-%lx", &start, &end) == 2 &&
			at >= start && at < end && strstr(line, NAME);
	if (f)
		fclose(f);
	return found;
}

/* Its pages are never made one large page: that might hold private ones. */
SHIM_API int madvise(void *addr, size_t len, int advice)
{
	if (unlikely(advice == MADV_COLLAPSE) && is_mapped(addr))
		return (int)refuse();
	return real()->madvise(addr, len, advice);
}
