/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT. SDM 2B, APM 3 under each mnemonic.
 * Vendors differ: Intel has SYSCALL in 64-bit mode only and checks SYSRET's
 * rip before it leaves ring 0; AMD has no SYSENTER in long mode, and its
 * SYSRET leaves SS's hidden part alone.
 */
#include "cpu/debug.h"
#include "cpu/seg.h"

#define DPL3         0x60u
#define SYSRET_FLAGS 0x3c7fd7u
#define FLAGS_RF_VM  ((uint64_t)RFLAGS_RF | RFLAGS_VM)

/* CS and SS are the selectors of STAR, never descriptors from a table. */
static void enter_ring0(struct cpu *cpu, uint16_t sel, uint16_t cs_attr)
{
	seg_commit_flat(cpu, SEG_CS, sel & ~SEL_RPL, cs_attr);
	seg_commit_flat(cpu, SEG_SS, (sel & ~SEL_RPL) + 8, SEG_ATTR_FLAT_S);
	cpu->code_bits = cs_attr & SEG_ATTR_L ? 64 : 32;
	seg_set_cpl(cpu, 0);
}

/* AMD only: the entry of the K6, in legacy mode. */
static void syscall_legacy(struct cpu *cpu, const struct insn *i)
{
	reg_write(cpu, REG_RCX, 4, i->next_rip);
	cpu->iflag = 0;
	cpu->rflags_sys &= ~FLAGS_RF_VM;
	enter_ring0(cpu, cpu->star >> 32, SEG_ATTR_FLAT32);
	cpu->rip = (uint32_t)cpu->star;
}

/* TF counts as it is afterwards. */
static void step_after(struct cpu *cpu)
{
	if (cpu->rflags_sys & RFLAGS_TF)
		cpu->db_pending |= DR6_BS;
	else
		debug_no_step(cpu);
}

int exec_syscall(struct cpu *cpu, const struct insn *i)
{
	uint64_t flags;

	if (!(cpu->efer & EFER_SCE) || !seg_protected(cpu) ||
	    (cpu->code_bits != 64 && !cpu->vendor_amd))
		cpu_raise(cpu, VEC_UD);
	if (!cpu_long_mode(cpu)) {
		syscall_legacy(cpu, i);
		return EXEC_JUMP;
	}
	flags = cpu_rflags(cpu) & ~(uint64_t)RFLAGS_RF;
	cpu->gpr[REG_RCX] = i->next_rip;
	cpu->gpr[REG_R11] = flags;
	cpu->rip = cpu->code_bits == 64 ? cpu->lstar : cpu->cstar;
	seg_set_rflags(cpu, flags & ~cpu->sfmask);
	step_after(cpu);
	enter_ring0(cpu, cpu->star >> 32, SEG_ATTR_FLAT64);
	return EXEC_JUMP;
}

static void enter_ring3(struct cpu *cpu, uint16_t cs, uint16_t cs_attr)
{
	seg_commit_flat(cpu, SEG_CS, cs | 3, cs_attr | DPL3);
	cpu->code_bits = cs_attr & SEG_ATTR_L ? 64 : 32;
	seg_set_cpl(cpu, 3);
}

static void sysret_ss(struct cpu *cpu, uint16_t sel)
{
	struct segment *ss = &cpu->seg[SEG_SS];

	if (!cpu->vendor_amd) {
		seg_commit_flat(cpu, SEG_SS, sel | 3, SEG_ATTR_FLAT_S | DPL3);
		return;
	}
	ss->sel = sel;
	ss->attr |= DPL3;
}

int exec_sysret(struct cpu *cpu, const struct insn *i)
{
	uint16_t sel = cpu->star >> 48;
	bool wide = i->opsize == 8;

	if (!(cpu->efer & EFER_SCE) ||
	    (cpu->code_bits != 64 && !cpu->vendor_amd))
		cpu_raise(cpu, VEC_UD);
	if (cpu->cpl != 0 || !seg_protected(cpu))
		cpu_raise_err(cpu, VEC_GP, 0);
	if (wide && !cpu->vendor_amd && !seg_canonical(cpu, cpu->gpr[REG_RCX]))
		cpu_raise_err(cpu, VEC_GP, 0);
	if (cpu->code_bits == 64)
		seg_set_rflags(cpu, cpu->gpr[REG_R11] & SYSRET_FLAGS);
	else
		cpu->iflag = 1;
	step_after(cpu);
	sysret_ss(cpu, sel + 8);
	if (wide)
		enter_ring3(cpu, sel + 16, SEG_ATTR_FLAT64);
	else
		enter_ring3(cpu, sel, SEG_ATTR_FLAT32);
	cpu->rip = wide ? cpu->gpr[REG_RCX] : (uint32_t)cpu->gpr[REG_RCX];
	return EXEC_JUMP;
}

static bool sysenter_refused(const struct cpu *cpu)
{
	return cpu->vendor_amd && cpu_long_mode(cpu);
}

int exec_sysenter(struct cpu *cpu, const struct insn *i)
{
	bool wide = cpu_long_mode(cpu);

	if (sysenter_refused(cpu))
		cpu_raise(cpu, VEC_UD);
	if (!cpu_protected(cpu) || sel_null(cpu->sysenter_cs))
		cpu_raise_err(cpu, VEC_GP, 0);
	cpu->iflag = 0;
	cpu->rflags_sys &= ~FLAGS_RF_VM;
	enter_ring0(cpu, cpu->sysenter_cs,
		    wide ? SEG_ATTR_FLAT64 : SEG_ATTR_FLAT32);
	cpu->rip = cpu->sysenter_eip & seg_size_mask(wide ? 8 : 4);
	cpu->gpr[REG_RSP] = cpu->sysenter_esp & seg_size_mask(wide ? 8 : 4);
	return EXEC_JUMP;
}

int exec_sysexit(struct cpu *cpu, const struct insn *i)
{
	bool wide = i->opsize == 8;
	uint16_t sel = cpu->sysenter_cs + (wide ? 32 : 16);
	uint64_t mask = seg_size_mask(wide ? 8 : 4);

	if (sysenter_refused(cpu))
		cpu_raise(cpu, VEC_UD);
	if (!seg_protected(cpu) || cpu->cpl != 0 || sel_null(cpu->sysenter_cs))
		cpu_raise_err(cpu, VEC_GP, 0);
	if (wide && (!seg_canonical(cpu, cpu->gpr[REG_RCX]) ||
		     !seg_canonical(cpu, cpu->gpr[REG_RDX])))
		cpu_raise_err(cpu, VEC_GP, 0);
	seg_commit_flat(cpu, SEG_SS, (sel + 8) | 3, SEG_ATTR_FLAT_S | DPL3);
	enter_ring3(cpu, sel, wide ? SEG_ATTR_FLAT64 : SEG_ATTR_FLAT32);
	cpu->gpr[REG_RSP] = cpu->gpr[REG_RCX] & mask;
	cpu->rip = cpu->gpr[REG_RDX] & mask;
	return EXEC_JUMP;
}
