/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores whose address is a register operand: CLZERO and MOVDIR64B. Both
 * write one aligned line of 64 bytes. APM 3 "CLZERO", SDM 2 "MOVDIR64B".
 */
#include "engine/exec.h"

#include "cpu/mem.h"
#include "x86/regs.h"

#include <string.h>

#define LINE 64u

int exec_clzero(struct cpu *cpu, const struct insn *i)
{
	uint64_t off = reg_read(cpu, REG_RAX, i->addrsize);
	uint8_t zero[LINE];
	gva_t gva;

	gva = mem_linear(cpu, insn_source_seg(cpu, i), off & ~(LINE - 1ULL),
			 LINE, ACC_WRITE);
	memset(zero, 0, LINE);
	mem_write_buf(cpu, gva & ~(LINE - 1ULL), zero, LINE,
		      mem_acc(cpu, ACC_WRITE));
	return EXEC_NEXT;
}

int exec_movdir64b(struct cpu *cpu, const struct insn *i)
{
	uint64_t off = reg_read(cpu, i->op[0].reg, i->addrsize);
	uint8_t line[LINE];
	gva_t from, to;

	from = insn_linear(cpu, i, 1, LINE, ACC_READ);
	mem_read_buf(cpu, from, line, LINE, mem_acc(cpu, ACC_READ));
	to = mem_linear(cpu, SEG_ES, off, LINE, ACC_WRITE);
	if (to % LINE)
		cpu_raise_err(cpu, VEC_GP, 0);
	mem_write_buf(cpu, to, line, LINE, mem_acc(cpu, ACC_WRITE));
	return EXEC_NEXT;
}
