/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault-tolerant copies by process_vm_readv() and process_vm_writev() on this
 * very process; where those are forbidden, slowly, through a pipe. Most
 * arguments are on the caller's stack, which needs no kernel.
 */
#include "kvm/user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm/handle.h"

#define PAGE_BYTES 4096u

/* The calling thread's stack as it was made; an empty one when unknown. */
struct stack {
	uintptr_t low, high;
	bool known;
};

static void find_stack(struct stack *s)
{
	pthread_attr_t attr;
	size_t size;
	void *low;

	s->known = true;
	if (pthread_getattr_np(pthread_self(), &attr))
		return;
	if (!pthread_attr_getstack(&attr, &low, &size)) {
		s->low = (uintptr_t)low;
		s->high = s->low + size;
	}
	pthread_attr_destroy(&attr);
}

/*
 * Frames of the caller's are there, or it could not be returned to. Whoever
 * runs on another stack (a signal's, a coroutine's) has to ask the kernel.
 */
static bool on_stack(uint64_t p, size_t size)
{
	static _Thread_local struct stack stack;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	int saved = errno;

	if (unlikely(!stack.known)) {
		find_stack(&stack);
		errno = saved;
	}
	return here >= stack.low && here < p && p < stack.high &&
	       size <= stack.high - p;
}

static bool forbidden(ssize_t n)
{
	return n < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES);
}

/* The kernel answers EFAULT for either end. */
static int copy_piped(void *to, const void *from, size_t size)
{
	int fd[2], ret = -EFAULT;

	if (pipe2(fd, O_CLOEXEC))
		return -ENOMEM;
	while (size) {
		size_t part = MIN(size, (size_t)PIPE_BUF);

		if (write(fd[1], from, part) != (ssize_t)part ||
		    read(fd[0], to, part) != (ssize_t)part)
			goto out;
		to = (uint8_t *)to + part;
		from = (const uint8_t *)from + part;
		size -= part;
	}
	ret = 0;
out:
	close(fd[0]);
	close(fd[1]);
	return ret;
}

static int copy(void *ours, uint64_t theirs, size_t size, bool write)
{
	struct iovec l = {ours, size};
	struct iovec r = {(void *)(uintptr_t)theirs, size};
	int saved = errno, ret;
	ssize_t n;

	if (!size)
		return 0;
	if (on_stack(theirs, size)) {
		memcpy(write ? r.iov_base : ours, write ? ours : r.iov_base,
		       size);
		return 0;
	}
	if (write)
		n = process_vm_writev(handle_pid(), &l, 1, &r, 1, 0);
	else
		n = process_vm_readv(handle_pid(), &l, 1, &r, 1, 0);
	if (forbidden(n))
		ret = copy_piped(write ? r.iov_base : ours,
				 write ? ours : r.iov_base, size);
	else
		ret = n == (ssize_t)size ? 0 : -EFAULT;
	errno = saved;
	return ret;
}

size_t user_read_some(void *dst, uint64_t src, size_t least, size_t size)
{
	const size_t page = PAGE_BYTES - src % PAGE_BYTES;
	struct iovec l = {dst, size};
	struct iovec r = {(void *)(uintptr_t)src, size};
	int saved = errno;
	ssize_t n;

	if (on_stack(src, least)) {
		memcpy(dst, r.iov_base, least);
		return least;
	}
	n = process_vm_readv(handle_pid(), &l, 1, &r, 1, 0);
	if (forbidden(n)) {
		n = (ssize_t)size;
		if (copy_piped(dst, r.iov_base, size))
			n = page < size && !copy_piped(dst, r.iov_base, page)
				    ? (ssize_t)page
				    : 0;
	}
	errno = saved;
	return n < 0 ? 0 : (size_t)n;
}

int user_read(void *dst, uint64_t src, size_t size)
{
	return copy(dst, src, size, false);
}

int user_write(uint64_t dst, const void *src, size_t size)
{
	return copy((void *)(uintptr_t)src, dst, size, true);
}
