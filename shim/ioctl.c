/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioctl(): whether a descriptor is ours, and over to liblodge.
 *
 * A descriptor with no mark can still be ours when a KVM request is made on
 * it: duplicated by a raw system call, passed through a socket, or inherited
 * through exec. The kernel keeps the system handle usable in all of these
 * and answers EIO for VMs and vCPUs of another process.
 */
#include "shim/shim.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "include/uapi/kvm_new.h"

#define LINK_SYSTEM "/memfd:kvm (deleted)"
#define LINK_VM     "/memfd:kvm-vm"
#define LINK_VCPU   "/memfd:kvm-vcpu:"

/* Kind by the name of the file. */
static enum fd_kind kind_by_name(int fd)
{
	char path[32], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = real()->readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return FD_FOREIGN;
	link[n] = '\0';
	if (!strcmp(link, LINK_SYSTEM))
		return FD_SYSTEM;
	if (!strncmp(link, LINK_VM, sizeof(LINK_VM) - 1))
		return FD_VM;
	if (!strncmp(link, LINK_VCPU, sizeof(LINK_VCPU) - 1))
		return FD_VCPU;
	return FD_FOREIGN;
}

/* Put a system handle of this process in the place of an inherited one. */
static int adopt(int fd)
{
	int cloexec = real()->fcntl(fd, F_GETFD) & FD_CLOEXEC;
	const struct lib *lib = lib_load();
	int own;

	if (!lib)
		return -ENODEV;
	cpuid_open();
	own = lib->open();
	cpuid_close();
	if (own < 0)
		return own;
	if (real()->dup3(own, fd, cloexec ? O_CLOEXEC : 0) < 0) {
		lib->close(own);
		return -EBADF;
	}
	/* The number has a new meaning. */
	lib->ioctl(fd, KVM_CHECK_EXTENSION, 0);
	lib->close(own);
	fd_set_kind(fd, FD_SYSTEM);
	return 0;
}

/* Descriptors that requests answer with. */
static void note_result(unsigned long request, long ret)
{
	const struct lib *lib = lib_get();
	void *run;

	if (ret < 0)
		return;
	switch ((uint32_t)request) {
	case KVM_CREATE_VM: fd_set_kind((int)ret, FD_VM); break;
	case KVM_GET_STATS_FD: fd_set_kind((int)ret, FD_OTHER); break;
	case KVM_CREATE_VCPU:
		fd_set_kind((int)ret, FD_VCPU);
		if (trace_on() &&
		    !lib->mmap((int)ret, 4096, PROT_READ, MAP_SHARED, 0, &run))
			fd_set_run((int)ret, run);
		break;
#ifdef KVM_CREATE_GUEST_MEMFD
	case KVM_CREATE_GUEST_MEMFD: fd_set_kind((int)ret, FD_GMEM); break;
#endif
	default: break;
	}
}

static long run(const struct lib *lib, int fd, unsigned long arg)
{
	struct thread *t = thread_self();
	long ret;

	if (unlikely(!t->faults_open))
		signal_enter_thread(t);
	ret = lib->run(fd, arg, &t->token);
	if (unlikely(t->ndeferred))
		signal_replay(t);
	return ret;
}

/* The kind of a descriptor without a mark, marked now; or -errno. */
static int learn(int fd)
{
	enum fd_kind kind = kind_by_name(fd);
	int ret = -ENOTTY;

	if (kind == FD_FOREIGN)
		return FD_FOREIGN;
	if (lib_get())
		ret = lib_get()->ioctl(fd, KVM_CHECK_EXTENSION, 0);
	if (ret == -ENOTTY && kind != FD_SYSTEM)
		return -EIO;
	if (ret == -ENOTTY) {
		ret = adopt(fd);
		return ret ? ret : FD_SYSTEM;
	}
	fd_set_kind(fd, kind);
	return (int)kind;
}

static bool of_the_file_layer(unsigned long request)
{
	return request == FIOCLEX || request == FIONCLEX ||
	       request == FIONBIO || request == FIOASYNC;
}

static long serve(int fd, enum fd_kind kind, unsigned long request,
		  unsigned long arg)
{
	uint64_t start = trace_on() ? trace_clock() : 0;
	const struct lib *lib = lib_get();
	long ret;

	/* Making things, liblodge asks the processor; vCPUs have asked. */
	if (kind != FD_VCPU)
		cpuid_open();
	if ((uint32_t)request == KVM_RUN && kind == FD_VCPU)
		ret = run(lib, fd, arg);
	else
		ret = lib->ioctl(fd, request, arg);
	if (kind != FD_VCPU)
		cpuid_close();
	note_result(request, ret);
	if (trace_on())
		trace_ioctl(fd, kind, request, arg, ret, start);
	return ret;
}

long ioctl_call(int fd, unsigned long request, unsigned long arg)
{
	int kind = (int)fd_kind(fd), saved = errno;
	long ret;

	if (kind == FD_FOREIGN && _IOC_TYPE(request) == KVMIO)
		kind = learn(fd);
	if (kind < 0)
		return shim_return(kind);
	if (kind == FD_FOREIGN || of_the_file_layer(request))
		return real()->ioctl(fd, request, arg);
	ret = serve(fd, (enum fd_kind)kind, request, arg);
	/* Closed where nobody saw it: the kernel knows what it is now. */
	if (unlikely(ret == -ENOTTY && kind_by_name(fd) == FD_FOREIGN)) {
		fd_set_kind(fd, FD_FOREIGN);
		return real()->ioctl(fd, request, arg);
	}
	errno = saved;
	return shim_return(ret);
}

SHIM_API int ioctl(int fd, unsigned long request, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (likely(fd_kind(fd) == FD_FOREIGN && _IOC_TYPE(request) != KVMIO))
		return real()->ioctl(fd, request, arg);
	return (int)ioctl_call(fd, request, arg);
}
