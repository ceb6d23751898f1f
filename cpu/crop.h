/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control registers. The setters follow the rules of the MOV, LMSW, XSETBV
 * and WRMSR instructions and return -EINVAL where those raise #GP(0); nothing
 * has changed then. SDM 3A "Control Registers" (2.5).
 */
#ifndef CPU_CROP_H
#define CPU_CROP_H

#include "cpu/cpu.h"

int crop_set_cr0(struct cpu *cpu, uint64_t val) __must_check;
int crop_set_cr4(struct cpu *cpu, uint64_t val) __must_check;
int crop_set_xcr0(struct cpu *cpu, uint64_t val) __must_check;

/* WRMSR to EFER; a client (@host) is only held to what we know at all. */
int crop_set_efer(struct cpu *cpu, uint64_t val, bool host) __must_check;

/* MOV to CR3, with its flushes. Raises #GP(0). */
void crop_load_cr3(struct cpu *cpu, uint64_t val);

/* Read the four PDPTEs that CR3 points to. -EINVAL: reserved bits or no RAM. */
int crop_load_pdptrs(struct cpu *cpu, uint64_t cr3) __must_check;

/* A client sets everything at once (KVM_SET_SREGS, KVM_SET_SREGS2). */
struct crop_regs {
	uint64_t cr0, cr3, cr4, efer;
	bool cs_l;             /* CS.L that comes along */
	const uint64_t *pdptr; /* NULL: read from guest memory */
};

/*
 * -EINVAL when the combination cannot exist; then nothing has changed. Else
 * sets the registers, drops the TLB, marks the mode dirty.
 */
int crop_set_regs(struct cpu *cpu, const struct crop_regs *regs) __must_check;

#endif
