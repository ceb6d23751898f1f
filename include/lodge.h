/* SPDX-License-Identifier: Apache-2.0 */
/*
 * liblodge: the KVM ABI as functions. What <linux/kvm.h> says of a file
 * descriptor, an ioctl or a mapping holds here for the handle, the call and
 * the pages of the same name; no kernel module and no privilege is needed.
 *
 * Handles are real file descriptors (memfds), so they can be duplicated,
 * polled for errors and inherited, but only these functions give them
 * meaning. Every function is thread-safe. None of them sets errno: failures
 * are returned as -errno, with the kernel's number for the same mistake.
 */
#ifndef LODGE_H
#define LODGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LODGE_API __attribute__((visibility("default")))

/*
 * What a client of ours may know beyond KVM. Nothing here is ever needed; the
 * capability is asked for with KVM_CHECK_EXTENSION.
 *
 * LODGE_KICK, on a vCPU handle, without argument, from any thread and from
 * signal handlers: KVM_RUN of that vCPU returns -EINTR soon, or at its next
 * call if it is not running, as a signal sent to its thread would do in a
 * kernel. Signals alone do not end KVM_RUN while guest code runs, because no
 * kernel sees them there; a handler that sets kvm_run.immediate_exit does.
 *
 * LODGE_CAP_WRITES, enabled with KVM_ENABLE_CAP on a VM (args[0]: 1 on, 0 off
 * again), is a promise: whatever the client, or anyone on its behalf, does to
 * guest memory while vCPUs may run is told by LODGE_WRITES afterwards, before
 * the guest can know of it. Stores, reads of files into it, pages dropped or
 * put in their place: all of it, rings included. In return no exit and no
 * interrupt makes the guest's code be compared with what it was translated
 * from, which is most of what an exit costs otherwise. Addresses are the
 * client's own, anywhere; from any thread.
 */
#define LODGE_CAP_KICK   0x4c4f4401
#define LODGE_KICK       _IO('L', 0x01)
#define LODGE_CAP_WRITES 0x4c4f4402
#define LODGE_WRITES     _IOW('L', 0x02, struct lodge_writes)

struct lodge_range {
	uint64_t addr, size;
};

struct lodge_writes {
	uint32_t count; /* at most LODGE_WRITES_MAX, else -E2BIG */
	uint32_t pad;
	struct lodge_range range[];
};

#define LODGE_WRITES_MAX 1024

/*
 * Open the system handle, as open("/dev/kvm", O_RDWR | O_CLOEXEC) would.
 * Returns a file descriptor or -errno.
 */
LODGE_API int lodge_open(void);

/*
 * Issue a KVM request on a system, VM, vCPU, device or other handle. @arg is
 * the pointer or the integer the request takes. Returns a value >= 0 (a new
 * handle for the CREATE requests) or -errno. KVM_RUN runs the guest in the
 * calling thread.
 */
LODGE_API int lodge_ioctl(int fd, unsigned long request, unsigned long arg);

/*
 * KVM_RUN for clients whose signal handlers have to end it, as any handler
 * does in a kernel. While the vCPU may run, *@token holds what lodge_kick()
 * takes; it is NULL before and after. lodge_kick() is LODGE_KICK for a handler
 * that interrupts the thread inside lodge_run(): it takes no lock and calls
 * nothing that is not safe there.
 */
LODGE_API int lodge_run(int fd, unsigned long arg, void *volatile *token);
LODGE_API void lodge_kick(void *token);

/*
 * Map @len bytes of a handle from offset @off and store the address in *@out.
 * For a vCPU, [0, KVM_GET_VCPU_MMAP_SIZE) holds struct kvm_run, the PIO data
 * and the coalesced ring. Returns 0 or -errno; *@out is untouched on failure.
 */
LODGE_API int lodge_mmap(int fd, size_t len, int prot, int flags, uint64_t off,
			 void **out);

/* Undo lodge_mmap() with the same length. Returns 0 or -errno. */
LODGE_API int lodge_munmap(int fd, void *p, size_t len);

/*
 * Close a handle. Handles are closed by this function, not by close(): a
 * number that close() gave back may stand for something else meanwhile. A VM
 * lives until its own handle and those of its vCPUs and devices are closed,
 * duplicates included. Returns 0, or -EBADF for what is not a handle.
 */
LODGE_API int lodge_close(int fd);

/*
 * Length of the 64-bit instruction at @code, of which @len bytes can be read,
 * or -EINVAL when there is none. For programs that look for an instruction in
 * code of others, as the shim does.
 */
LODGE_API int lodge_insn_length(const void *code, size_t len);

#ifdef __cplusplus
}
#endif

#endif
