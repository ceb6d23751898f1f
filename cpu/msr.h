/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers: cpu/msr.def has a row for each. Those of the kvm
 * room (local APIC, TSC deadline, paravirtual clock) are only known here as
 * such.
 */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#include "cpu/cpu.h"
#include "x86/msr.h"

/*
 * Access by RDMSR/WRMSR, or by the client with @host. 0; -EINVAL: not
 * allowed, #GP for a guest; -ENXIO: no such MSR, #GP too; -ENOENT: the kvm
 * room's. The vCPU must be stopped or be the caller.
 */
int msr_get(struct cpu *cpu, uint32_t index, uint64_t *val,
	    bool host) __must_check;
int msr_set(struct cpu *cpu, uint32_t index, uint64_t val,
	    bool host) __must_check;

/*
 * KVM_GET_MSR_INDEX_LIST (@feature false) and KVM_GET_MSR_FEATURE_INDEX_LIST:
 * total count, at most @n of them stored. MSRs of the kvm room are included.
 */
unsigned int msr_list(bool feature, uint32_t *out, unsigned int n);

/* Value of a feature MSR for the system handle: 0 or -EINVAL. */
int msr_get_feature(uint32_t index, uint64_t *val) __must_check;

/* What a vCPU that ran may not be given another value of. */
bool msr_settled(uint32_t index);

/* Name for traces, NULL when there is no row. */
const char *msr_name(uint32_t index);

/*
 * Finish RDMSR/WRMSR after CPU_EXIT_MSR: writes EDX:EAX and moves rip, or
 * raises #GP when msr.failed.
 */
void msr_complete(struct cpu *cpu);

/* KVM_X86_SETUP_MCE: bank count and capability bits. 0 or -EINVAL. */
#define MCE_BANKS    32u
#define MCE_CAP_MASK (MCG_CTL_P | MCG_CMCI_P | MCG_SER_P)
int msr_setup_mce(struct cpu *cpu, uint64_t mcg_cap) __must_check;

/* A machine check reported by the client, by its bank registers. */
struct mce_bank {
	uint64_t ctl, status, addr, misc;
};
struct mce_bank *msr_mce_bank(struct cpu *cpu, unsigned int bank);

/* cpu->tsc_ratio is the guest's cycles for each of the host's, a fraction. */
#define TSC_RATIO_SHIFT 48

/* What the guest's TSC counts while the host's counts @cycles. */
static inline uint64_t tsc_scale(uint64_t ratio, uint64_t cycles)
{
	if (likely(!ratio))
		return cycles;
	return (uint64_t)((unsigned __int128)cycles * ratio >> TSC_RATIO_SHIFT);
}

uint64_t tsc_read(const struct cpu *cpu);

int msr_init(struct cpu *cpu) __must_check;
void msr_fini(struct cpu *cpu);

/* Power-on values of everything kept in slots. */
void msr_reset(struct cpu *cpu);

#endif
