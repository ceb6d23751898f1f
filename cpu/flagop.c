/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions on the system's flags. SDM 2 "PUSHF", "POPF", "CLI", "STI",
 * "STAC", "CLAC"; SDM 3B "Class 1/2/3 Hardware Interrupt Handling" (20.3,
 * 20.4) for VME and PVI, where VIF stands for IF.
 */
#include "cpu/seg.h"

#define FLAGS_ANY  (RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT)
#define FLAGS_WIDE (RFLAGS_AC | RFLAGS_ID)

/* PUSHF and POPF default to the stack's width in 64-bit mode. */
static unsigned int flags_size(const struct cpu *cpu, const struct insn *i)
{
	if (cpu->code_bits == 64)
		return i->opsize == 2 ? 2 : 8;
	return i->opsize;
}

/* #GP, or true: v8086 with IOPL below 3 but VME and 16 bits. */
static bool flags_virtual(struct cpu *cpu, unsigned int size)
{
	if (!cpu_v8086(cpu) || cpu_iopl(cpu) == 3)
		return false;
	if (!(cpu->cr4 & CR4_VME) || size != 2)
		cpu_raise_err(cpu, VEC_GP, 0);
	return true;
}

int exec_pushf(struct cpu *cpu, const struct insn *i)
{
	unsigned int size = flags_size(cpu, i);
	uint64_t flags = cpu_rflags(cpu) & ~(uint64_t)(RFLAGS_RF | RFLAGS_VM);

	if (flags_virtual(cpu, size)) {
		flags = (flags & ~(uint64_t)RFLAGS_IF) | RFLAGS_IOPL;
		if (flags & RFLAGS_VIF)
			flags |= RFLAGS_IF;
	}
	stack_push(cpu, flags, size);
	return EXEC_NEXT;
}

/* POPF of a v8086 task whose IF is virtual. */
static void popf_virtual(struct cpu *cpu, const struct stackref *st,
			 uint64_t image)
{
	uint64_t flags = cpu_rflags(cpu);

	if (image & RFLAGS_TF || (image & RFLAGS_IF && flags & RFLAGS_VIP))
		cpu_raise_err(cpu, VEC_GP, 0);
	flags &= ~(uint64_t)(FLAGS_ANY | RFLAGS_RF | RFLAGS_VIF);
	flags |= image & FLAGS_ANY;
	if (image & RFLAGS_IF)
		flags |= RFLAGS_VIF;
	stackref_set_sp(cpu, st->mask, st->sp + 2);
	seg_set_rflags(cpu, flags);
}

int exec_popf(struct cpu *cpu, const struct insn *i)
{
	unsigned int size = flags_size(cpu, i);
	uint64_t image, mask = FLAGS_ANY;
	struct stackref st;

	stackref_current(cpu, &st);
	if (flags_virtual(cpu, size)) {
		popf_virtual(cpu, &st, stackref_read(cpu, &st, 0, 2));
		return EXEC_NEXT;
	}
	image = stackref_read(cpu, &st, 0, size);
	if (size > 2)
		mask |= FLAGS_WIDE;
	if (cpu->cpl == 0)
		mask |= RFLAGS_IOPL;
	if (cpu->cpl <= cpu_iopl(cpu))
		mask |= RFLAGS_IF;
	stackref_set_sp(cpu, st.mask, st.sp + size);
	seg_set_rflags(cpu, (cpu_rflags(cpu) & ~(mask | RFLAGS_RF)) |
				    (image & mask));
	return EXEC_NEXT;
}

/* Where CLI and STI act: on IF, on VIF, or #GP. */
static bool if_virtual(struct cpu *cpu)
{
	uint64_t feature = cpu_v8086(cpu) ? CR4_VME : CR4_PVI;

	if (cpu->cpl <= cpu_iopl(cpu))
		return false;
	if (cpu->cpl != 3 || !(cpu->cr4 & feature))
		cpu_raise_err(cpu, VEC_GP, 0);
	return true;
}

int exec_cli(struct cpu *cpu, const struct insn *i)
{
	if (if_virtual(cpu))
		cpu->rflags_sys &= ~(uint64_t)RFLAGS_VIF;
	else
		cpu->iflag = 0;
	return EXEC_NEXT;
}

int exec_sti(struct cpu *cpu, const struct insn *i)
{
	if (if_virtual(cpu)) {
		if (cpu->rflags_sys & RFLAGS_VIP)
			cpu_raise_err(cpu, VEC_GP, 0);
		cpu->rflags_sys |= RFLAGS_VIF;
		return EXEC_NEXT;
	}
	if (!cpu->iflag)
		cpu->shadow = CPU_SHADOW_STI;
	cpu->iflag = 1;
	return EXEC_NEXT;
}

int exec_cld(struct cpu *cpu, const struct insn *i)
{
	cpu->mode_dirty |= cpu->dflag;
	cpu->dflag = 0;
	return EXEC_NEXT;
}

int exec_std(struct cpu *cpu, const struct insn *i)
{
	cpu->mode_dirty |= !cpu->dflag;
	cpu->dflag = 1;
	return EXEC_NEXT;
}

static int set_ac(struct cpu *cpu, uint8_t ac)
{
	if (cpu->cpl != 0)
		cpu_raise(cpu, VEC_UD);
	cpu->mode_dirty |= cpu->acflag != ac;
	cpu->acflag = ac;
	return EXEC_NEXT;
}

int exec_stac(struct cpu *cpu, const struct insn *i)
{
	return set_ac(cpu, 1);
}

int exec_clac(struct cpu *cpu, const struct insn *i)
{
	return set_ac(cpu, 0);
}
