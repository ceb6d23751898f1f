/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers in kvm_run: KVM API "KVM_CAP_SYNC_REGS". The page is shared with
 * a client that may write at any moment: every block is copied once, and the
 * copy is what gets checked and loaded.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "kvm/events.h"
#include "kvm/regs.h"
#include "kvm/vcpu.h"

static uint64_t read_once(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static int load(struct vcpu *vcpu, uint64_t dirty)
{
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (dirty & KVM_SYNC_X86_REGS) {
		memcpy(&regs, &s->regs, sizeof(regs));
		__asm__("" : "+m"(regs));
		regs_load(vcpu, &regs);
	}
	if (dirty & KVM_SYNC_X86_SREGS) {
		memcpy(&sregs, &s->sregs, sizeof(sregs));
		__asm__("" : "+m"(sregs));
		if (sregs_load(vcpu, &sregs))
			return -EINVAL;
	}
	if (dirty & KVM_SYNC_X86_EVENTS) {
		memcpy(&events, &s->events, sizeof(events));
		__asm__("" : "+m"(events));
		if (events_load(vcpu, &events))
			return -EINVAL;
	}
	return 0;
}

int sync_load(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t dirty = read_once(&run->kvm_dirty_regs);
	int ret;

	if ((dirty | read_once(&run->kvm_valid_regs)) &
	    ~(uint64_t)KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (!dirty)
		return 0;
	ret = load(vcpu, dirty);
	if (!ret)
		__atomic_store_n(&run->kvm_dirty_regs, 0, __ATOMIC_RELAXED);
	return ret;
}

void sync_store(struct vcpu *vcpu)
{
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	uint64_t valid = read_once(&vcpu->run->kvm_valid_regs);

	if (likely(!valid))
		return;
	if (valid & KVM_SYNC_X86_REGS)
		regs_save(vcpu, &s->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		sregs_save(vcpu, &s->sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		events_save(vcpu, &s->events);
}
