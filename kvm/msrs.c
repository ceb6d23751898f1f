/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_GET_MSRS and KVM_SET_MSRS, the MSRs whose state is in this room (local
 * APIC, TSC deadline, paravirtual ones), CPUID and machine-check ioctls.
 */
#include "kvm/msrs.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "kvm/apic.h"
#include "kvm/handler.h"
#include "kvm/tsc.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

_Static_assert(sizeof(struct kvm_cpuid_entry2) == sizeof(struct cpuid_entry),
	       "CPUID entry");

#define MCI_STATUS_VAL  BIT64(63)
#define MCI_STATUS_OVER BIT64(62)
#define MCI_STATUS_UC   BIT64(61)
#define MCI_STATUS_PCC  BIT64(57)
#define MCI_STATUS_S    BIT64(56)
#define MCI_STATUS_AR   BIT64(55)
#define MCG_STATUS_MCIP BIT64(2)
#define VEC_MCE         18

static bool is_x2apic(uint32_t index)
{
	return index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST;
}

static bool is_pv(uint32_t index)
{
	return index >= MSR_KVM_PV_FIRST && index <= MSR_KVM_PV_LAST;
}

/* Features that are not offered: absent for a guest, zero for the client. */
static int absent(bool host, bool zero)
{
	return host && zero ? 0 : -EINVAL;
}

int msrs_read_own(struct vcpu *vcpu, uint32_t index, uint64_t *val, bool host)
{
	int ret;

	*val = 0;
	if (index == MSR_APIC_BASE) {
		*val = vcpu->cpu->apic_base;
		return 0;
	}
	if (is_x2apic(index))
		return vcpu->has_lapic
			       ? lapic_msr_read(&vcpu->lapic, index, val)
			       : -EINVAL;
	if (index == MSR_TSC_DEADLINE) {
		if (vcpu->has_lapic)
			*val = lapic_get_tsc_deadline(&vcpu->lapic);
		return 0;
	}
	ret = pv_msr_get(vcpu, index, val, host);
	if (ret == -ENOENT && is_pv(index))
		return absent(host, true);
	return ret;
}

int msrs_write_own(struct vcpu *vcpu, uint32_t index, uint64_t val, bool host)
{
	int ret;

	if (index == MSR_APIC_BASE)
		return apic_set_base(vcpu, val, host);
	if (is_x2apic(index)) {
		if (!vcpu->has_lapic)
			return -EINVAL;
		ret = lapic_msr_write(&vcpu->lapic, index, val);
		apic_sync_cr8(vcpu);
		return ret;
	}
	if (index == MSR_TSC_DEADLINE) {
		if (vcpu->has_lapic)
			lapic_set_tsc_deadline(&vcpu->lapic, val);
		vcpu->lapic_timer_moved = true;
		return 0;
	}
	ret = pv_msr_set(vcpu, index, val, host);
	if (ret == -ENOENT && is_pv(index))
		return absent(host, val == 0);
	return ret;
}

void msrs_exit(struct vcpu *vcpu)
{
	struct cpu_msr_access *a = &vcpu->cpu->msr;
	int ret;

	if (a->write)
		ret = msrs_write_own(vcpu, a->index, a->data, false);
	else
		ret = msrs_read_own(vcpu, a->index, &a->data, false);
	a->failed = ret != 0;
}

/* ---- KVM_GET_MSRS, KVM_SET_MSRS ---- */

static int get_one(struct vcpu *vcpu, struct kvm_msr_entry *e)
{
	uint64_t val = 0;
	int ret = msr_get(vcpu->cpu, e->index, &val, true);

	if (ret == -ENOENT)
		ret = msrs_read_own(vcpu, e->index, &val, true);
	e->data = val;
	return ret;
}

static int set_one(struct vcpu *vcpu, const struct kvm_msr_entry *e)
{
	int ret;

	/* Restored one after the other, the TSCs of a VM are to agree. */
	if (e->index == MSR_TSC) {
		tsc_write(vcpu, e->data);
		return 0;
	}
	if (vcpu->ran && msr_settled(e->index)) {
		uint64_t val;

		return msr_get(vcpu->cpu, e->index, &val, true) ||
				       val != e->data
			       ? -EINVAL
			       : 0;
	}
	ret = msr_set(vcpu->cpu, e->index, e->data, true);
	if (ret == -ENOENT)
		ret = msrs_write_own(vcpu, e->index, e->data, true);
	return ret;
}

static int put_back(struct call *c)
{
	const struct kvm_msrs *m = c->data;

	return user_write(c->arg + sizeof(*m), m->entries,
			  c->count * sizeof(m->entries[0]));
}

/* Both return how many entries were good before the first bad one. */
int msrs_get(struct call *c)
{
	struct kvm_msrs *m = c->data;
	uint32_t n = 0;

	while (n < c->count && get_one(c->vcpu, &m->entries[n]) == 0)
		n++;
	return put_back(c) ? -EFAULT : (int)n;
}

int msrs_set(struct call *c)
{
	struct kvm_msrs *m = c->data;
	uint32_t n = 0;

	while (n < c->count && set_one(c->vcpu, &m->entries[n]) == 0)
		n++;
	return (int)n;
}

/* ---- KVM_GET_ONE_REG, KVM_SET_ONE_REG: MSRs again, one at a time ---- */

#define REG_X86      0x2000000000000000ull
#define REG_ARCH     0xff00000000000000ull
#define REG_SIZE_U64 0x0030000000000000ull
#define REG_TYPE_MSR 2u
#define REG_RESERVED 0x000fff0000000000ull

/*
 * The number: index in bits 0-31, type in 32-39, size in 52-55. The type of
 * KVM's own registers has the shadow stack pointer only, which there is not.
 */
static int one_msr(const struct kvm_one_reg *r, uint32_t *index)
{
	if ((r->id & REG_ARCH) != REG_X86 || (r->id & REG_RESERVED))
		return -EINVAL;
	if ((r->id >> 32 & 0xff) != REG_TYPE_MSR ||
	    (r->id & KVM_REG_SIZE_MASK) != REG_SIZE_U64)
		return -EINVAL;
	*index = (uint32_t)r->id;
	return 0;
}

int msrs_get_reg(struct call *c)
{
	const struct kvm_one_reg *r = c->data;
	struct kvm_msr_entry e = {0};

	if (one_msr(r, &e.index) || get_one(c->vcpu, &e))
		return -EINVAL;
	return user_write(r->addr, &e.data, sizeof(e.data));
}

int msrs_set_reg(struct call *c)
{
	const struct kvm_one_reg *r = c->data;
	struct kvm_msr_entry e = {0};

	if (one_msr(r, &e.index))
		return -EINVAL;
	if (user_read(&e.data, r->addr, sizeof(e.data)))
		return -EFAULT;
	return set_one(c->vcpu, &e) ? -EINVAL : 0;
}

/* Those that can be had by no other call: none. */
int msrs_reg_list(struct call *c)
{
	uint64_t n;

	if (user_read(&n, c->arg, sizeof(n)))
		return -EFAULT;
	n = 0;
	return user_write(c->arg, &n, sizeof(n));
}

/* ---- the system handle ---- */

int system_get_msrs(struct call *c)
{
	struct kvm_msrs *m = c->data;
	uint64_t val;
	uint32_t n = 0;

	for (; n < c->count; n++) {
		if (msr_get_feature(m->entries[n].index, &val))
			break;
		m->entries[n].data = val;
	}
	return put_back(c) ? -EFAULT : (int)n;
}

static int put_list(struct call *c, bool feature)
{
	uint32_t room, n, list[1024];

	if (user_read(&room, c->arg, sizeof(room)))
		return -EFAULT;
	n = msr_list(feature, list, ARRAY_SIZE(list));
	if (n > room) {
		if (user_write(c->arg, &n, sizeof(n)))
			return -EFAULT;
		return -E2BIG;
	}
	return call_put_list(c, sizeof(n), n, list, sizeof(list[0]));
}

int system_get_msr_index_list(struct call *c)
{
	return put_list(c, false);
}

int system_get_msr_feature_list(struct call *c)
{
	return put_list(c, true);
}

/* ---- CPUID ---- */

int system_get_supported_cpuid(struct call *c)
{
	struct cpuid_entry *e;
	uint32_t room;
	int n;

	if (user_read(&room, c->arg, sizeof(room)))
		return -EFAULT;
	if (!room)
		return -E2BIG;
	room = MIN(room, CPUID_MAX);
	e = calloc(room, sizeof(*e));
	if (!e)
		return -ENOMEM;
	n = cpuid_supported(e, room);
	if (n >= 0)
		n = call_put_list(c, sizeof(struct kvm_cpuid2), (uint32_t)n, e,
				  sizeof(*e));
	free(e);
	return n;
}

int cpuid_set(struct call *c)
{
	struct kvm_cpuid2 *k = c->data;
	struct cpuid_entry *e = (void *)k->entries;
	struct vcpu *vcpu = c->vcpu;
	int ret;

	pv_adjust_cpuid(vcpu, e, c->count);
	if (vcpu->ran)
		return cpuid_same_table(vcpu->cpu, e, c->count) ? 0 : -EINVAL;
	ret = cpuid_set_table(vcpu->cpu, e, c->count);
	if (!ret)
		apic_update_features(vcpu);
	return ret;
}

int cpuid_get(struct call *c)
{
	struct cpuid_entry e[CPUID_MAX];
	uint32_t room, n = 0;

	if (user_read(&room, c->arg, sizeof(room)))
		return -EFAULT;
	while (n < CPUID_MAX && cpuid_get_entry(c->vcpu->cpu, n, &e[n]))
		n++;
	if (n > room)
		return -E2BIG;
	return call_put_list(c, sizeof(struct kvm_cpuid2), n, e, sizeof(*e));
}

/* ---- machine checks ---- */

int system_get_mce_cap(struct call *c)
{
	*(uint64_t *)c->data = MCE_CAP_MASK;
	return 0;
}

int msrs_setup_mce(struct call *c)
{
	uint64_t cap = *(const uint64_t *)c->data;
	int ret = msr_setup_mce(c->vcpu->cpu, cap);

	if (ret)
		return ret;
	c->vcpu->mcg_cap = cap;
	apic_update_features(c->vcpu);
	return 0;
}

static uint64_t read_msr(struct vcpu *vcpu, uint32_t index)
{
	uint64_t val;

	return msr_get(vcpu->cpu, index, &val, true) ? 0 : val;
}

/* An uncorrected error the guest asked to hear of; shutdown if it cannot. */
static int uncorrected(struct vcpu *vcpu, struct mce_bank *bank,
		       const struct kvm_x86_mce *mce)
{
	struct cpu *cpu = vcpu->cpu;

	if ((read_msr(vcpu, MSR_MCG_STATUS) & MCG_STATUS_MCIP) ||
	    !(cpu->cr4 & BIT64(6))) {
		vcpu->shutdown = true;
		return 0;
	}
	bank->addr = mce->addr;
	bank->misc = mce->misc;
	bank->status = mce->status |
		       (bank->status & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
	if (msr_set(cpu, MSR_MCG_STATUS, mce->mcg_status, true))
		return -EINVAL;
	cpu->event = (struct cpu_event){
		.valid = true, .vector = VEC_MCE, .kind = EVENT_FAULT};
	return 0;
}

/* Uncorrected, but nobody has to do anything about it. */
static bool is_ucna(const struct kvm_x86_mce *mce)
{
	return !mce->mcg_status && (mce->status & MCI_STATUS_UC) &&
	       !(mce->status & (MCI_STATUS_PCC | MCI_STATUS_S | MCI_STATUS_AR));
}

/* Told by an interrupt, if the guest asked for it. */
static int no_action(struct vcpu *vcpu, struct mce_bank *bank,
		     const struct kvm_x86_mce *mce)
{
	bank->status = mce->status;
	bank->addr = mce->addr;
	bank->misc = mce->misc;
	if (msr_set(vcpu->cpu, MSR_MCG_STATUS, mce->mcg_status, true))
		return -EINVAL;
	if (vcpu->has_lapic && (vcpu->mcg_cap & MCG_CMCI_P) &&
	    (read_msr(vcpu, MSR_MC0_CTL2 + mce->bank) & MCI_CTL2_CMCI_EN))
		lapic_local_irq(&vcpu->lapic, LAPIC_LVT_CMCI);
	return 0;
}

int msrs_set_mce(struct call *c)
{
	const struct kvm_x86_mce *mce = c->data;
	struct vcpu *vcpu = c->vcpu;
	struct mce_bank *bank;

	if (mce->bank >= (vcpu->mcg_cap & 0xff) ||
	    !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	bank = msr_mce_bank(vcpu->cpu, mce->bank);
	if (!bank)
		return -EINVAL;
	if (is_ucna(mce))
		return no_action(vcpu, bank, mce);
	if (mce->status & MCI_STATUS_UC) {
		if ((vcpu->mcg_cap & MCG_CTL_P) &&
		    read_msr(vcpu, MSR_MCG_CTL) != UINT64_MAX)
			return 0;
		if (bank->ctl != UINT64_MAX)
			return 0;
		return uncorrected(vcpu, bank, mce);
	}
	if ((bank->status & MCI_STATUS_VAL) && (bank->status & MCI_STATUS_UC)) {
		bank->status |= MCI_STATUS_OVER;
		return 0;
	}
	bank->addr = mce->addr;
	bank->misc = mce->misc;
	bank->status = mce->status |
		       (bank->status & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
	return 0;
}
