/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door: the functions of include/lodge.h.
 */
#include "include/lodge.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/mman.h>

#include "engine/engine.h"
#include "kvm/call.h"
#include "kvm/gmem.h"
#include "kvm/handler.h"
#include "kvm/system.h"
#include "kvm/vcpu.h"

int lodge_open(void)
{
	return system_open();
}

int lodge_ioctl(int fd, unsigned long request, unsigned long arg)
{
	struct object *obj;
	bool trust;
	int ret;

	/* The hot requests do without a look at the descriptor. */
	trust = (uint32_t)request == KVM_RUN ||
		(uint32_t)request == KVM_SIGNAL_MSI ||
		(uint32_t)request == (uint32_t)LODGE_WRITES;
	ret = handle_get(fd, trust, &obj);
	if (ret)
		return ret;
	ret = call_dispatch(obj, (uint32_t)request, arg);
	object_unref(obj);
	return ret;
}

int lodge_run(int fd, unsigned long arg, void *volatile *token)
{
	struct object *obj;
	int ret;

	ret = handle_get(fd, true, &obj);
	if (ret)
		return ret;
	if (obj->kind == OBJECT_VCPU)
		*token = container_of(obj, struct vcpu, obj);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	ret = call_dispatch(obj, KVM_RUN, arg);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*token = NULL;
	object_unref(obj);
	return ret;
}

void lodge_kick(void *token)
{
	struct call c = {.vcpu = token};

	run_kick(&c);
}

int lodge_mmap(int fd, size_t len, int prot, int flags, uint64_t off,
	       void **out)
{
	const struct vcpu_mapping m = {
		.len = len, .off = off, .prot = prot, .flags = flags};
	struct object *obj;
	int ret;

	ret = handle_get(fd, false, &obj);
	if (ret)
		return ret;
	if (obj->kind == OBJECT_VCPU)
		ret = vcpu_mmap(container_of(obj, struct vcpu, obj), fd, &m,
				out);
	else if (obj->kind == OBJECT_GMEM)
		ret = gmem_mmap(container_of(obj, struct gmem, obj), &m, out);
	else
		ret = -ENODEV;
	object_unref(obj);
	return ret;
}

int lodge_munmap(int fd, void *p, size_t len)
{
	(void)fd;
	return munmap(p, len) ? -errno : 0;
}

int lodge_close(int fd)
{
	return handle_close(fd);
}

int lodge_insn_length(const void *code, size_t len)
{
	return engine_insn_length(code, len);
}
