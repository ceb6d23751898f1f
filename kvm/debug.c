/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_SET_GUEST_DEBUG and KVM_TRANSLATE.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "cpu/mem.h"
#include "engine/engine.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "x86/regs.h"

/* A breakpoint that was the guest's own: its handler sees rip behind it. */
static int inject(struct vcpu *vcpu, uint32_t control)
{
	struct cpu *cpu = vcpu->cpu;

	if (cpu->event.valid)
		return -EBUSY;
	cpu->event = (struct cpu_event){
		.valid = true,
		.kind = EVENT_TRAP,
		.vector = VEC_DB,
	};
	if (control & KVM_GUESTDBG_INJECT_DB)
		return 0;
	cpu->event.kind = EVENT_SOFT_EXC;
	cpu->event.vector = VEC_BP;
	cpu->event.insn_len = vcpu->bp_len;
	return 0;
}

int debug_set(struct call *c)
{
	const struct kvm_guest_debug *d = c->data;
	struct cpu *cpu = c->vcpu->cpu;
	int ret;

	if (d->control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
		ret = inject(c->vcpu, d->control);
		if (ret)
			return ret;
	}
	cpu->guest_debug = d->control & KVM_GUESTDBG_ENABLE ? d->control : 0;
	memset(cpu->guest_debug_dr, 0, sizeof(cpu->guest_debug_dr));
	if (cpu->guest_debug & KVM_GUESTDBG_USE_HW_BP)
		memcpy(cpu->guest_debug_dr, d->arch.debugreg,
		       sizeof(cpu->guest_debug_dr));
	cpu->mode_dirty = true;
	c->vcpu->acquire = true;
	return 0;
}

static int translate(struct cpu *cpu, void *arg)
{
	struct kvm_translation *t = arg;
	struct walk w;
	int ret = -EFAULT;

	if (mmu_canonical(cpu, t->linear_address))
		ret = mmu_probe(cpu, t->linear_address, ACC_READ | ACC_SYSTEM,
				&w);
	if (!ret)
		t->physical_address = w.gpa;
	return ret;
}

int debug_translate(struct call *c)
{
	struct kvm_translation *t = c->data;
	struct vcpu *vcpu = c->vcpu;
	int ret;

	t->physical_address = UINT64_MAX;
	pthread_rwlock_rdlock(&vcpu->vm->mem.map_lock);
	ret = engine_guard(vcpu->cpu, translate, t);
	pthread_rwlock_unlock(&vcpu->vm->mem.map_lock);
	t->valid = !ret;
	t->writeable = 1;
	t->usermode = 0;
	return 0;
}
