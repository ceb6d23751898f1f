/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates and offsets of guests' time stamp counters. A rate within the
 * kernel's tolerance of the host's is the host's; any other is a factor
 * applied to each read (cpu/msr.h). Document: Linux
 * Documentation/virt/kvm/api.rst, KVM_SET_TSC_KHZ; devices/vcpu.rst.
 */
#include "kvm/tsc.h"

#include <errno.h>
#include <linux/kvm.h>

#include "cpu/msr.h"
#include "include/uapi/kvm_new.h"
#include "kvm/apic.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define TOLERANCE_PPM 250
#define MAX_FACTOR    255 /* as a processor with 8 bits before the point */

static uint64_t ratio_of(uint32_t khz)
{
	int64_t host = clock_host_tsc_khz();
	int64_t slack = host * TOLERANCE_PPM / 1000000;

	if (khz >= host - slack && khz <= host + slack)
		return 0;
	return (uint64_t)(((unsigned __int128)khz << TSC_RATIO_SHIFT) /
			  (uint64_t)host);
}

static bool is_rate(uint32_t khz)
{
	return khz < (uint64_t)clock_host_tsc_khz() * MAX_FACTOR &&
	       khz <= INT32_MAX;
}

struct clock_tsc tsc_of(const struct vcpu *vcpu)
{
	return (struct clock_tsc){
		.khz = vcpu->tsc_khz,
		.ratio = vcpu->cpu->tsc_ratio,
		.offset = vcpu->cpu->tsc_offset,
	};
}

static void set_rate(struct vcpu *vcpu, uint32_t khz)
{
	vcpu->tsc_khz = khz;
	vcpu->cpu->tsc_ratio = ratio_of(khz);
	vcpu->cpu->clock_dirty = true;
}

void tsc_init(struct vcpu *vcpu)
{
	uint32_t khz = vcpu->vm->tsc_khz;

	set_rate(vcpu, khz ? khz : clock_host_tsc_khz());
	vcpu->cpu->tsc_offset = vcpu->vm->clock.tsc_offset;
}

void tsc_write(struct vcpu *vcpu, uint64_t value)
{
	struct clock_tsc t = tsc_of(vcpu);

	vcpu->cpu->tsc_offset = clock_sync_tsc(&vcpu->vm->clock, &t, value);
	vcpu->cpu->clock_dirty = true;
}

/* ---- rates ---- */

int vm_get_tsc_khz(struct call *c)
{
	return (int)(c->vm->tsc_khz ? c->vm->tsc_khz : clock_host_tsc_khz());
}

/* The counters of such a VM start where they would have at the host's rate. */
int vm_set_tsc_khz(struct call *c)
{
	struct vm *vm = c->vm;
	uint32_t khz = (uint32_t)c->arg ?: clock_host_tsc_khz();

	if (vm->created || !is_rate(khz))
		return -EINVAL;
	vm->tsc_khz = khz;
	vm->clock.tsc_offset = -tsc_scale(ratio_of(khz), vm->clock.base_tsc);
	return 0;
}

int tsc_get_khz(struct call *c)
{
	return (int)c->vcpu->tsc_khz;
}

/* 0 means the host's. The counter jumps: clients set it afterwards. */
int tsc_set_khz(struct call *c)
{
	uint32_t khz = (uint32_t)c->arg ?: clock_host_tsc_khz();

	if (!is_rate(khz))
		return -EINVAL;
	set_rate(c->vcpu, khz);
	apic_update_features(c->vcpu);
	return 0;
}

/* ---- the offset as an attribute of the vCPU ---- */

int tsc_has_attr(struct call *c)
{
	const struct kvm_device_attr *a = c->data;

	if (a->group != KVM_VCPU_TSC_CTRL || a->attr != KVM_VCPU_TSC_OFFSET)
		return -ENXIO;
	return 0;
}

int tsc_get_attr(struct call *c)
{
	const struct kvm_device_attr *a = c->data;
	uint64_t offset = c->vcpu->cpu->tsc_offset;
	int ret = tsc_has_attr(c);

	return ret ? ret : user_write(a->addr, &offset, sizeof(offset));
}

int tsc_set_attr(struct call *c)
{
	const struct kvm_device_attr *a = c->data;
	struct vcpu *vcpu = c->vcpu;
	struct clock_tsc t = tsc_of(vcpu);
	uint64_t offset;
	int ret = tsc_has_attr(c);

	if (ret)
		return ret;
	if (user_read(&offset, a->addr, sizeof(offset)))
		return -EFAULT;
	clock_set_tsc_offset(&vcpu->vm->clock, &t, offset);
	vcpu->cpu->tsc_offset = offset;
	vcpu->cpu->clock_dirty = true;
	return 0;
}
