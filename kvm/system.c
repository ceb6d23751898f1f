/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system handle: open("/dev/kvm") and its requests that are not about
 * CPUID or MSRs (kvm/msrs.c) or capabilities (kvm/cap.c).
 */
#include "kvm/system.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>

#include "cpu/cpuid.h"
#include "cpu/xstate.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "lib/log.h"

static pthread_once_t host_once = PTHREAD_ONCE_INIT;
static int host_result;

/*
 * What guests are to see of the host: the vendor it passes for, as `lodge kvm`
 * sets it, and, for tests, features to hide: LODGE_MASK=avx512,pku.
 */
static void choose_host(void)
{
	const char *vendor = getenv("LODGE_VENDOR");
	const char *list = getenv("LODGE_MASK");

	if (vendor && *vendor)
		host_result = cpuid_host_vendor(vendor);
	if (host_result) {
		log_error("kvm", "LODGE_VENDOR=%s is neither intel nor amd",
			  vendor);
		return;
	}
	if (!list || !*list)
		return;
	host_result = cpuid_host_mask(list);
	if (host_result)
		log_error("kvm", "LODGE_MASK=%s names no feature", list);
}

static void system_release(struct object *obj)
{
	free(obj);
}

int system_open(void)
{
	struct object *obj;
	int fd;

	pthread_once(&host_once, choose_host);
	if (host_result)
		return host_result;
	obj = calloc(1, sizeof(*obj));
	if (!obj)
		return -ENOMEM;
	object_init(obj, OBJECT_SYSTEM, system_release);
	fd = handle_open(obj, "kvm", 0);
	if (fd < 0)
		object_unref(obj);
	return fd;
}

int system_get_api_version(struct call *c)
{
	return c->arg ? -EINVAL : KVM_API_VERSION;
}

int system_get_vcpu_mmap_size(struct call *c)
{
	return c->arg ? -EINVAL : VCPU_MMAP_PAGES * 4096;
}

/* Protected by software is as far as it goes: no confidential VMs. */
int system_create_vm(struct call *c)
{
	if (c->arg >= 64 || !(CAP_VM_TYPES >> c->arg & 1))
		return -EINVAL;
	return vm_open((uint32_t)c->arg);
}

int system_has_device_attr(struct call *c)
{
	const struct kvm_device_attr *a = c->data;

	if (a->flags || a->group || a->attr != KVM_X86_XCOMP_GUEST_SUPP)
		return -ENXIO;
	return 0;
}

int system_get_device_attr(struct call *c)
{
	const struct kvm_device_attr *a = c->data;
	uint64_t mask = xstate_layout()->mask;
	int ret = system_has_device_attr(c);

	return ret ? ret : user_write(a->addr, &mask, sizeof(mask));
}
