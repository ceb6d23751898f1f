/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: a table of which are KVM's, and the calls that make and end
 * descriptors. The table is two levels of atomics, so that looking costs
 * every close() of a client next to nothing and works in signal handlers.
 *
 * What libc closes behind our back (fclose(), file actions) leaves a mark
 * that is too much; every user of a mark checks what liblodge says.
 */
#include "shim/shim.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#define LEAF   1024u
#define LEAVES 1024u
#define MAX_FD (LEAF * LEAVES)

struct leaf {
	uint8_t kind[LEAF]; /* enum fd_kind */
	void *run[LEAF];
};

static struct leaf *leaves[LEAVES];
static int *stamp; /* our pid; zero after a fork() libc knows nothing of */

static struct leaf *leaf_of(int fd, bool make)
{
	struct leaf *l, *none = NULL;
	void *p;

	if ((unsigned int)fd >= MAX_FD)
		return NULL;
	l = __atomic_load_n(&leaves[(unsigned int)fd / LEAF], __ATOMIC_ACQUIRE);
	if (l || !make)
		return l;
	p = real()->mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&leaves[(unsigned int)fd / LEAF], &none,
					(struct leaf *)p, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return p;
	munmap(p, sizeof(*l));
	return none;
}

enum fd_kind fd_kind(int fd)
{
	struct leaf *l = leaf_of(fd, false);

	if (likely(!l))
		return FD_FOREIGN;
	return __atomic_load_n(&l->kind[(unsigned int)fd % LEAF],
			       __ATOMIC_RELAXED);
}

static void renew_stamp(void)
{
	__atomic_store_n(stamp, getpid(), __ATOMIC_RELAXED);
}

void fd_init(void)
{
	void *p = real()->mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	madvise(p, 4096, MADV_WIPEONFORK);
	stamp = p;
	renew_stamp();
	/* Before a child of this one can borrow its memory. */
	pthread_atfork(NULL, NULL, renew_stamp);
}

bool fd_borrowed(void)
{
	if (!stamp)
		return false;
	if (!__atomic_load_n(stamp, __ATOMIC_RELAXED))
		renew_stamp();
	return *stamp != getpid();
}

void fd_set_kind(int fd, enum fd_kind kind)
{
	struct leaf *l = leaf_of(fd, kind != FD_FOREIGN);

	if (!l)
		return;
	__atomic_store_n(&l->run[(unsigned int)fd % LEAF], NULL,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&l->kind[(unsigned int)fd % LEAF], (uint8_t)kind,
			 __ATOMIC_RELAXED);
}

void *fd_run(int fd)
{
	struct leaf *l = leaf_of(fd, false);

	return l ? l->run[(unsigned int)fd % LEAF] : NULL;
}

void fd_set_run(int fd, void *run)
{
	struct leaf *l = leaf_of(fd, false);

	if (l)
		l->run[(unsigned int)fd % LEAF] = run;
}

/* ---- ending ---- */

static int close_kvm(int fd)
{
	int saved = errno, ret;

	if (fd_borrowed())
		return real()->close(fd);
	fd_set_kind(fd, FD_FOREIGN);
	ret = lib_get() ? lib_get()->close(fd) : -EBADF;
	if (ret)
		return real()->close(fd);
	errno = saved;
	return 0;
}

SHIM_API int close(int fd)
{
	if (likely(fd_kind(fd) == FD_FOREIGN))
		return real()->close(fd);
	return close_kvm(fd);
}

/* Close our own in [first, last]. */
static void close_ours(unsigned int first, unsigned int last)
{
	for (unsigned int i = first / LEAF; i < LEAVES && i <= last / LEAF;
	     i++) {
		if (!__atomic_load_n(&leaves[i], __ATOMIC_ACQUIRE))
			continue;
		for (unsigned int fd = MAX(i * LEAF, first);
		     fd < (i + 1) * LEAF && fd <= last; fd++)
			if (fd_kind((int)fd) != FD_FOREIGN)
				close_kvm((int)fd);
	}
}

SHIM_API int close_range(unsigned int first, unsigned int last, int flags)
{
	if (first <= last && !(flags & CLOSE_RANGE_CLOEXEC) && !fd_borrowed())
		close_ours(first, last);
	return real()->close_range(first, last, flags);
}

SHIM_API void closefrom(int first)
{
	if (!fd_borrowed())
		close_ours(first < 0 ? 0 : (unsigned int)first, MAX_FD - 1);
	real()->closefrom(first);
}

/* ---- making ---- */

/* A number got a new meaning: liblodge must not trust what it knew of it. */
static void refresh(int fd)
{
	int saved = errno;

	if (lib_get())
		lib_get()->ioctl(fd, KVM_CHECK_EXTENSION, 0);
	errno = saved;
}

/* @fd is a duplicate of @of now. */
static int note_dup(int of, int fd)
{
	enum fd_kind kind = fd_kind(of);
	void *run = fd_run(of);

	if (fd < 0 || fd == of || (!kind && !fd_kind(fd)) || fd_borrowed())
		return fd;
	fd_set_kind(fd, kind);
	fd_set_run(fd, run);
	refresh(fd);
	return fd;
}

SHIM_API int dup(int fd)
{
	return note_dup(fd, real()->dup(fd));
}

/* What is at @to, kept open while the kernel puts something else there. */
static int keep(int to)
{
	if (fd_kind(to) == FD_FOREIGN || fd_borrowed())
		return -1;
	return real()->fcntl(to, F_DUPFD_CLOEXEC, 0);
}

static void drop(int kept)
{
	int saved = errno;

	if (kept >= 0 && lib_get()->close(kept))
		real()->close(kept);
	errno = saved;
}

SHIM_API int dup2(int fd, int to)
{
	int kept = fd == to ? -1 : keep(to);
	int ret = note_dup(fd, real()->dup2(fd, to));

	drop(kept);
	return ret;
}

SHIM_API int dup3(int fd, int to, int flags)
{
	int kept = fd == to ? -1 : keep(to);
	int ret = note_dup(fd, real()->dup3(fd, to, flags));

	drop(kept);
	return ret;
}

static int control(int fd, int cmd, unsigned long arg)
{
	int ret = real()->fcntl(fd, cmd, arg);

	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		note_dup(fd, ret);
	return ret;
}

SHIM_API int fcntl(int fd, int cmd, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	return control(fd, cmd, arg);
}

SHIM_API int fcntl64(int fd, int cmd, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	return control(fd, cmd, arg);
}
