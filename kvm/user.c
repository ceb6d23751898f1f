/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault-tolerant copies by process_vm_readv() and process_vm_writev() on this
 * very process.
 */
#include "kvm/user.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "kvm/handle.h"

static bool forbidden(ssize_t n)
{
	return n < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES);
}

static int copy(void *ours, uint64_t theirs, size_t size, bool write)
{
	struct iovec l = {ours, size};
	struct iovec r = {(void *)(uintptr_t)theirs, size};
	int saved = errno;
	ssize_t n;

	if (!size)
		return 0;
	if (write)
		n = process_vm_writev(handle_pid(), &l, 1, &r, 1, 0);
	else
		n = process_vm_readv(handle_pid(), &l, 1, &r, 1, 0);
	if (forbidden(n)) {
		if (write)
			memcpy(r.iov_base, ours, size);
		else
			memcpy(ours, r.iov_base, size);
		n = (ssize_t)size;
	}
	errno = saved;
	return n == (ssize_t)size ? 0 : -EFAULT;
}

int user_read(void *dst, uint64_t src, size_t size)
{
	return copy(dst, src, size, false);
}

int user_write(uint64_t dst, const void *src, size_t size)
{
	return copy((void *)(uintptr_t)src, dst, size, true);
}
