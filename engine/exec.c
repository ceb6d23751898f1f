/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Near transfers and stack instructions by C functions, for modes with
 * segment bases, 16-bit stacks or 16-bit code; and refused instructions.
 */
#include "engine/exec.h"

#include <Zydis/Mnemonic.h>

#include "cpu/mem.h"
#include "x86/regs.h"

int exec_ud(struct cpu *cpu, const struct insn *i)
{
	cpu_raise(cpu, VEC_UD);
}

int exec_nm(struct cpu *cpu, const struct insn *i)
{
	cpu_raise(cpu, VEC_NM);
}

int exec_gp(struct cpu *cpu, const struct insn *i)
{
	cpu_raise_err(cpu, VEC_GP, 0);
}

int exec_push(struct cpu *cpu, const struct insn *i)
{
	stack_push(cpu, insn_read(cpu, i, 0), i->opsize);
	return EXEC_NEXT;
}

/* POP mem: the address is computed with the incremented stack pointer. */
int exec_pop(struct cpu *cpu, const struct insn *i)
{
	uint64_t rsp = cpu->gpr[REG_RSP];
	uint64_t val = stack_pop(cpu, i->opsize);
	uint64_t after = cpu->gpr[REG_RSP];

	if (i->op[0].kind == OPND_MEM) {
		uint64_t off = insn_ea(cpu, i, 0);
		gva_t gva;

		cpu->gpr[REG_RSP] = rsp;
		gva = mem_linear(cpu, i->op[0].seg, off, i->opsize, ACC_WRITE);
		mem_write(cpu, gva, i->opsize, val, mem_acc(cpu, ACC_WRITE));
		cpu->gpr[REG_RSP] = after;
		return EXEC_NEXT;
	}
	insn_write(cpu, i, 0, val);
	return EXEC_NEXT;
}

int exec_leave(struct cpu *cpu, const struct insn *i)
{
	uint64_t bp = reg_read(cpu, REG_RBP, i->stacksize);
	gva_t gva = mem_linear(cpu, SEG_SS, bp, i->opsize, ACC_READ);
	uint64_t val = mem_read(cpu, gva, i->opsize, mem_acc(cpu, ACC_READ));

	reg_write(cpu, REG_RSP, i->stacksize, bp + i->opsize);
	reg_write(cpu, REG_RBP, i->opsize, val);
	return EXEC_NEXT;
}

/* Near target: truncated to the operand size, checked against CS. */
static void jump_to(struct cpu *cpu, uint64_t target, unsigned int opsize)
{
	if (opsize == 2)
		target &= 0xffff;
	else if (opsize == 4)
		target &= 0xffffffff;
	cpu->rip = target;
}

static void check_target(struct cpu *cpu, uint64_t target, unsigned int opsize)
{
	if (opsize == 2)
		target &= 0xffff;
	if (cpu->code_bits == 64) {
		if (!mmu_canonical(cpu, target))
			cpu_raise_err(cpu, VEC_GP, 0);
		return;
	}
	target &= 0xffffffff;
	if (target > cpu->seg[SEG_CS].limit)
		cpu_raise_err(cpu, VEC_GP, 0);
}

static uint64_t near_target(struct cpu *cpu, const struct insn *i)
{
	if (i->op[0].kind == OPND_IMM)
		return i->next_rip + i->op[0].disp;
	return insn_read(cpu, i, 0);
}

int exec_call_near(struct cpu *cpu, const struct insn *i)
{
	uint64_t target = near_target(cpu, i);

	check_target(cpu, target, i->opsize);
	stack_push(cpu, i->next_rip, i->opsize);
	jump_to(cpu, target, i->opsize);
	return EXEC_JUMP;
}

int exec_jmp_near(struct cpu *cpu, const struct insn *i)
{
	uint64_t target = near_target(cpu, i);

	check_target(cpu, target, i->opsize);
	jump_to(cpu, target, i->opsize);
	return EXEC_JUMP;
}

int exec_ret_near(struct cpu *cpu, const struct insn *i)
{
	uint64_t rsp = cpu->gpr[REG_RSP];
	uint64_t target = stack_pop(cpu, i->opsize);
	uint64_t extra = i->nops && i->op[0].kind == OPND_IMM
				 ? (uint16_t)i->op[0].disp
				 : 0;
	uint64_t after = reg_read(cpu, REG_RSP, i->stacksize) + extra;

	cpu->gpr[REG_RSP] = rsp;
	check_target(cpu, target, i->opsize);
	reg_write(cpu, REG_RSP, i->stacksize, after);
	jump_to(cpu, target, i->opsize);
	return EXEC_JUMP;
}

static bool condition(uint64_t rflags, unsigned int cc)
{
	bool sign = !(rflags & RFLAGS_SF) != !(rflags & RFLAGS_OF);
	bool yes;

	switch (cc >> 1) {
	case 0: yes = rflags & RFLAGS_OF; break;
	case 1: yes = rflags & RFLAGS_CF; break;
	case 2: yes = rflags & RFLAGS_ZF; break;
	case 3: yes = rflags & (RFLAGS_CF | RFLAGS_ZF); break;
	case 4: yes = rflags & RFLAGS_SF; break;
	case 5: yes = rflags & RFLAGS_PF; break;
	case 6: yes = sign; break;
	default: yes = sign || rflags & RFLAGS_ZF; break;
	}
	return yes != (cc & 1);
}

/* Jcc whose target is truncated to 16 bits in 64-bit code. */
int exec_jcc(struct cpu *cpu, const struct insn *i)
{
	unsigned int at = insn_opcode_at(cpu, i);
	uint8_t op = i->bytes[at] == 0x0f ? i->bytes[at + 1] : i->bytes[at];

	if (!condition(cpu_rflags(cpu), op & 15))
		return EXEC_NEXT;
	jump_to(cpu, near_target(cpu, i), i->opsize);
	return EXEC_JUMP;
}

/* LOOP, LOOPcc and JCXZ with a 16-bit counter. */
int exec_loop(struct cpu *cpu, const struct insn *i)
{
	uint64_t rflags = cpu_rflags(cpu), target = near_target(cpu, i);
	uint64_t count = reg_read(cpu, REG_RCX, i->addrsize);
	bool taken;

	switch (i->id) {
	case ZYDIS_MNEMONIC_LOOPE: taken = --count && rflags & RFLAGS_ZF; break;
	case ZYDIS_MNEMONIC_LOOPNE:
		taken = --count && !(rflags & RFLAGS_ZF);
		break;
	case ZYDIS_MNEMONIC_LOOP: taken = --count; break;
	default: taken = !count; break;
	}
	if (taken)
		check_target(cpu, target, i->opsize);
	if (i->id == ZYDIS_MNEMONIC_LOOP || i->id == ZYDIS_MNEMONIC_LOOPE ||
	    i->id == ZYDIS_MNEMONIC_LOOPNE)
		reg_write(cpu, REG_RCX, i->addrsize, count);
	if (!taken)
		return EXEC_NEXT;
	jump_to(cpu, target, i->opsize);
	return EXEC_JUMP;
}
