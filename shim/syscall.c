/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall(): those numbers whose functions the shim takes the place of go
 * there, all others to the kernel as they are.
 */
#include "shim/shim.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

/* What rt_sigaction() takes. */
struct kernel_sigaction {
	void (*handler)(int sig, siginfo_t *info, void *uc);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

#define PTR(type, n) ((type)(uintptr_t)a[n])
#define INT(n)       ((int)a[n])

static long pass(long nr, const long a[6])
{
	return real()->syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* libc supplies the restorer, so its own function does the work. */
static long sigaction_raw(const long a[6])
{
	const struct kernel_sigaction *in = PTR(const void *, 1);
	struct kernel_sigaction *out = PTR(void *, 2);
	struct sigaction act = {0}, old = {0};
	int ret;

	if (a[3] != sizeof(in->mask))
		return shim_return(-EINVAL);
	if (in) {
		act.sa_sigaction = in->handler;
		act.sa_flags = (int)(in->flags & ~0x04000000ul);
		memcpy(&act.sa_mask, &in->mask, sizeof(in->mask));
	}
	ret = signal_action(INT(0), in ? &act : NULL, out ? &old : NULL);
	if (!ret && out) {
		*out = (struct kernel_sigaction){
			.handler = old.sa_sigaction,
			.flags = (unsigned int)old.sa_flags,
			.restorer = old.sa_restorer,
		};
		memcpy(&out->mask, &old.sa_mask, sizeof(out->mask));
	}
	return ret;
}

static long openat2_raw(const long a[6])
{
	const struct open_how *how = PTR(const void *, 2);
	const char *param = NULL;
	enum path_kind kind = path_kind(INT(0), PTR(const char *, 1), &param);

	if (kind == PATH_OTHER || kind == PATH_DIR || kind == PATH_CPUINFO)
		return pass(SYS_openat2, a);
	return shim_return(open_special(kind, param, (int)how->flags));
}

static long access_raw(long nr, const long a[6])
{
	int flags = nr == SYS_faccessat2 ? INT(3) : 0;

	return faccessat(INT(0), PTR(const char *, 1), INT(2), flags);
}

static long mask_raw(const long a[6])
{
	sigset_t set, old;
	int ret;

	if (a[3] != sizeof(uint64_t))
		return shim_return(-EINVAL);
	sigemptyset(&set);
	if (a[1])
		memcpy(&set, PTR(const void *, 1), sizeof(uint64_t));
	ret = sigprocmask(INT(0), a[1] ? &set : NULL, &old);
	if (!ret && a[2])
		memcpy(PTR(void *, 2), &old, sizeof(uint64_t));
	return ret;
}

static long files(long nr, const long a[6])
{
	switch (nr) {
	case SYS_open: return open(PTR(const char *, 0), INT(1), (mode_t)a[2]);
	case SYS_openat:
		return openat(INT(0), PTR(const char *, 1), INT(2),
			      (mode_t)a[3]);
	case SYS_openat2: return openat2_raw(a);
	case SYS_stat: return stat(PTR(const char *, 0), PTR(void *, 1));
	case SYS_lstat: return lstat(PTR(const char *, 0), PTR(void *, 1));
	case SYS_fstat: return fstat(INT(0), PTR(void *, 1));
	case SYS_newfstatat:
		return fstatat(INT(0), PTR(const char *, 1), PTR(void *, 2),
			       INT(3));
	case SYS_statx:
		return statx(INT(0), PTR(const char *, 1), INT(2),
			     (unsigned int)a[3], PTR(void *, 4));
	case SYS_access: return access(PTR(const char *, 0), INT(1));
	case SYS_faccessat:
	case SYS_faccessat2: return access_raw(nr, a);
	default: return pass(nr, a);
	}
}

static long dispatch(long nr, const long a[6])
{
	switch (nr) {
	case SYS_ioctl:
		return ioctl(INT(0), (unsigned long)a[1], (unsigned long)a[2]);
	case SYS_mmap:
		return (long)mmap(PTR(void *, 0), (size_t)a[1], INT(2), INT(3),
				  INT(4), a[5]);
	case SYS_close: return close(INT(0));
	case SYS_close_range:
		return close_range((unsigned int)a[0], (unsigned int)a[1],
				   INT(2));
	case SYS_dup: return dup(INT(0));
	case SYS_dup2: return dup2(INT(0), INT(1));
	case SYS_dup3: return dup3(INT(0), INT(1), INT(2));
	case SYS_fcntl: return fcntl(INT(0), INT(1), (unsigned long)a[2]);
	case SYS_read: return read(INT(0), PTR(void *, 1), (size_t)a[2]);
	case SYS_write:
		return write(INT(0), PTR(const void *, 1), (size_t)a[2]);
	case SYS_pread64:
		return pread(INT(0), PTR(void *, 1), (size_t)a[2], a[3]);
	case SYS_pwrite64:
		return pwrite(INT(0), PTR(const void *, 1), (size_t)a[2], a[3]);
	case SYS_madvise: return madvise(PTR(void *, 0), (size_t)a[1], INT(2));
	case SYS_fallocate: return fallocate(INT(0), INT(1), a[2], a[3]);
	case SYS_rt_sigaction: return sigaction_raw(a);
	case SYS_rt_sigprocmask: return mask_raw(a);
	default: return files(nr, a);
	}
}

SHIM_API long syscall(long nr, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return dispatch(nr, a);
}
