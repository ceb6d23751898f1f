/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands of instructions that are carried out in C: registers, effective
 * addresses, memory, and the stack of the current mode. SDM 1 chapter 3.7
 * "Operand Addressing", SDM 2A 2.1; stack size after SDM 1 6.2.3.
 */
#include "cpu/insn.h"
#include "cpu/mem.h"
#include "lib/check.h"

static uint64_t size_mask(unsigned int size)
{
	return size >= 8 ? ~0ULL : BIT64(size * 8) - 1;
}

uint64_t reg_read(const struct cpu *cpu, unsigned int reg, unsigned int size)
{
	if (reg & OPND_HIGH8)
		return cpu->gpr[reg & 3] >> 8 & 0xff;
	return cpu->gpr[reg & 15] & size_mask(size);
}

void reg_write(struct cpu *cpu, unsigned int reg, unsigned int size,
	       uint64_t val)
{
	uint64_t *r = &cpu->gpr[reg & 15];

	if (reg & OPND_HIGH8) {
		r = &cpu->gpr[reg & 3];
		*r = (*r & ~0xff00ULL) | (val & 0xff) << 8;
	} else if (size >= 4) {
		*r = val & size_mask(size);
	} else {
		*r = (*r & ~size_mask(size)) | (val & size_mask(size));
	}
}

uint64_t insn_ea(struct cpu *cpu, const struct insn *i, unsigned int n)
{
	const struct opnd *o = &i->op[n];
	uint64_t ea = o->disp;

	if (o->base != OPND_NOREG)
		ea += cpu->gpr[o->base & 15];
	if (o->index != OPND_NOREG)
		ea += cpu->gpr[o->index & 15] * o->scale;
	return ea & size_mask(i->addrsize);
}

bool insn_is_prefix(const struct cpu *cpu, uint8_t byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3: return true;
	default: return cpu->code_bits == 64 && (byte & 0xf0) == 0x40;
	}
}

unsigned int insn_opcode_at(const struct cpu *cpu, const struct insn *i)
{
	unsigned int n = 0;

	while (n + 1 < i->len && insn_is_prefix(cpu, i->bytes[n]))
		n++;
	return n;
}

enum cpu_seg insn_source_seg(const struct cpu *cpu, const struct insn *i)
{
	unsigned int n, end = insn_opcode_at(cpu, i);
	enum cpu_seg seg = SEG_DS;

	for (n = 0; n < end; n++) {
		uint8_t b = i->bytes[n];

		if (b == 0x64 || b == 0x65)
			seg = SEG_FS + (b & 1);
		else if ((b & 0xe7) == 0x26 && cpu->code_bits != 64)
			seg = b >> 3 & 3;
	}
	return seg;
}

uint64_t insn_linear(struct cpu *cpu, const struct insn *i, unsigned int n,
		     unsigned int size, unsigned int kind)
{
	return mem_linear(cpu, i->op[n].seg, insn_ea(cpu, i, n), size, kind);
}

uint64_t insn_read(struct cpu *cpu, const struct insn *i, unsigned int n)
{
	const struct opnd *o = &i->op[n];

	switch (o->kind) {
	case OPND_REG: return reg_read(cpu, o->reg, o->size);
	case OPND_IMM: return o->disp & size_mask(o->size);
	case OPND_MEM:
		return mem_read(cpu, insn_linear(cpu, i, n, o->size, ACC_READ),
				o->size, mem_acc(cpu, ACC_READ));
	default: ASSERT(!"operand cannot be read");
	}
	return 0;
}

void insn_write(struct cpu *cpu, const struct insn *i, unsigned int n,
		uint64_t val)
{
	const struct opnd *o = &i->op[n];

	switch (o->kind) {
	case OPND_REG: reg_write(cpu, o->reg, o->size, val); break;
	case OPND_MEM:
		mem_write(cpu, insn_linear(cpu, i, n, o->size, ACC_WRITE),
			  o->size, val, mem_acc(cpu, ACC_WRITE));
		break;
	default: ASSERT(!"operand cannot be written");
	}
}

/* Bytes of the stack pointer in use: 2, 4 or 8. */
static unsigned int stack_width(const struct cpu *cpu)
{
	if (cpu->code_bits == 64)
		return 8;
	return cpu->seg[SEG_SS].attr & SEG_ATTR_DB ? 4 : 2;
}

void stack_push(struct cpu *cpu, uint64_t val, unsigned int size)
{
	unsigned int width = stack_width(cpu);
	uint64_t sp = (cpu->gpr[REG_RSP] - size) & size_mask(width);
	gva_t gva = mem_linear(cpu, SEG_SS, sp, size, ACC_WRITE);

	mem_write(cpu, gva, size, val, mem_acc(cpu, ACC_WRITE));
	reg_write(cpu, REG_RSP, width, sp);
}

uint64_t stack_pop(struct cpu *cpu, unsigned int size)
{
	unsigned int width = stack_width(cpu);
	uint64_t sp = cpu->gpr[REG_RSP] & size_mask(width);
	gva_t gva = mem_linear(cpu, SEG_SS, sp, size, ACC_READ);
	uint64_t val = mem_read(cpu, gva, size, mem_acc(cpu, ACC_READ));

	reg_write(cpu, REG_RSP, width, sp + size);
	return val;
}
