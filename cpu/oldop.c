/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only 16-bit and 32-bit code has, and ENTER and XLAT: BCD adjustment,
 * PUSHA/POPA, BOUND, SALC. SDM 2 under each name.
 */
#include "cpu/insn.h"
#include "cpu/mem.h"
#include "x86/regs.h"

static uint64_t stack_mask(const struct cpu *cpu)
{
	if (cpu->code_bits == 64)
		return ~0ULL;
	return cpu->seg[SEG_SS].attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
}

static unsigned int stack_width(const struct cpu *cpu)
{
	uint64_t mask = stack_mask(cpu);

	return mask == 0xffff ? 2 : mask == 0xffffffff ? 4 : 8;
}

static void stack_store(struct cpu *cpu, uint64_t sp, unsigned int size,
			uint64_t val)
{
	gva_t gva = mem_linear(cpu, SEG_SS, sp & stack_mask(cpu), size,
			       ACC_WRITE);

	mem_write(cpu, gva, size, val, mem_acc(cpu, ACC_WRITE));
}

static uint64_t stack_load(struct cpu *cpu, uint64_t sp, unsigned int size)
{
	gva_t gva = mem_linear(cpu, SEG_SS, sp & stack_mask(cpu), size,
			       ACC_READ);

	return mem_read(cpu, gva, size, mem_acc(cpu, ACC_READ));
}

/* Raise now what a store of @size bytes at @sp would raise. */
static void stack_probe(struct cpu *cpu, uint64_t sp, unsigned int size)
{
	gva_t gva = mem_linear(cpu, SEG_SS, sp & stack_mask(cpu), size,
			       ACC_WRITE);

	mem_check(cpu, gva, size, mem_acc(cpu, ACC_WRITE));
}

int exec_pusha(struct cpu *cpu, const struct insn *i)
{
	uint64_t sp = cpu->gpr[REG_RSP];
	unsigned int n, size = i->opsize;

	for (n = 1; n <= 8; n++)
		stack_probe(cpu, sp - n * size, size);
	for (n = 0; n < 8; n++)
		stack_store(cpu, sp - (n + 1) * size, size, cpu->gpr[n]);
	reg_write(cpu, REG_RSP, stack_width(cpu), sp - 8 * size);
	return EXEC_NEXT;
}

int exec_popa(struct cpu *cpu, const struct insn *i)
{
	uint64_t val[8], sp = cpu->gpr[REG_RSP];
	unsigned int n, size = i->opsize;

	for (n = 8; n-- > 0;)
		val[n] = stack_load(cpu, sp + (7 - n) * size, size);
	for (n = 0; n < 8; n++)
		if (n != REG_RSP)
			reg_write(cpu, n, size, val[n]);
	reg_write(cpu, REG_RSP, stack_width(cpu), sp + 8 * size);
	return EXEC_NEXT;
}

/* The bytes end with the frame's size (16 bits) and the nesting level. */
int exec_enter(struct cpu *cpu, const struct insn *i)
{
	unsigned int level = i->bytes[i->len - 1] & 31, size = i->opsize, n;
	unsigned int room = i->bytes[i->len - 3] | i->bytes[i->len - 2] << 8;
	uint64_t bp = cpu->gpr[REG_RBP], sp = cpu->gpr[REG_RSP] - size;
	uint64_t mask = stack_mask(cpu), val;
	uint64_t frame = (cpu->gpr[REG_RSP] & ~mask) | (sp & mask);

	stack_store(cpu, sp, size, bp);
	for (n = 1; n < level; n++) {
		bp -= size;
		val = stack_load(cpu, bp, size);
		sp -= size;
		stack_store(cpu, sp, size, val);
	}
	if (level) {
		sp -= size;
		stack_store(cpu, sp, size, frame);
	}
	sp -= room;
	stack_probe(cpu, sp, size);
	reg_write(cpu, REG_RBP, size, frame);
	reg_write(cpu, REG_RSP, stack_width(cpu), sp);
	return EXEC_NEXT;
}

static int64_t sign_extend(uint64_t val, unsigned int size)
{
	unsigned int spare = 64 - size * 8;

	return (int64_t)(val << spare) >> spare;
}

int exec_bound(struct cpu *cpu, const struct insn *i)
{
	unsigned int size = i->opsize, acc = mem_acc(cpu, ACC_READ);
	gva_t gva = insn_linear(cpu, i, 1, 2 * size, ACC_READ);
	int64_t low = sign_extend(mem_read(cpu, gva, size, acc), size);
	int64_t high = sign_extend(
		mem_read(cpu, (uint32_t)(gva + size), size, acc), size);
	int64_t val = sign_extend(insn_read(cpu, i, 0), size);

	if (val < low || val > high)
		cpu_raise(cpu, VEC_BR);
	return EXEC_NEXT;
}

int exec_xlat(struct cpu *cpu, const struct insn *i)
{
	uint64_t mask = i->addrsize == 8 ? ~0ULL : BIT64(i->addrsize * 8) - 1;
	uint64_t off = (cpu->gpr[REG_RBX] + (cpu->gpr[REG_RAX] & 0xff)) & mask;
	gva_t gva = mem_linear(cpu, insn_source_seg(cpu, i), off, 1, ACC_READ);

	reg_write(cpu, REG_RAX, 1,
		  mem_read(cpu, gva, 1, mem_acc(cpu, ACC_READ)));
	return EXEC_NEXT;
}

int exec_salc(struct cpu *cpu, const struct insn *i)
{
	reg_write(cpu, REG_RAX, 1, cpu->ah & RFLAGS_CF ? 0xff : 0);
	return EXEC_NEXT;
}

/* ---- BCD ---- */

/*
 * Undefined flags are those of the addition or subtraction inside, as seen
 * on AMD's Zen; AF and CF of the adjustments are defined.
 */
#define AF_CF (RFLAGS_AF | RFLAGS_CF)

/* SF, ZF and PF of a result of @bits bits. */
static uint32_t result_flags(uint32_t val, unsigned int bits)
{
	uint32_t mask = BIT(bits) - 1;

	return (val >> (bits - 1) & 1 ? RFLAGS_SF : 0) |
	       (val & mask ? 0 : RFLAGS_ZF) |
	       (__builtin_parity(val & 0xff) ? 0 : RFLAGS_PF);
}

static uint32_t add_flags(uint32_t a, uint32_t b, unsigned int bits)
{
	uint32_t sum = a + b, sign = ~(a ^ b) & (a ^ sum);

	return result_flags(sum, bits) | (sum >> bits & 1 ? RFLAGS_CF : 0) |
	       ((a ^ b ^ sum) & RFLAGS_AF) |
	       (sign >> (bits - 1) & 1 ? RFLAGS_OF : 0);
}

static uint32_t sub_flags(uint32_t a, uint32_t b, unsigned int bits)
{
	uint32_t diff = a - b, sign = (a ^ b) & (a ^ diff);

	return result_flags(diff, bits) | (a < b ? RFLAGS_CF : 0) |
	       ((a ^ b ^ diff) & RFLAGS_AF) |
	       (sign >> (bits - 1) & 1 ? RFLAGS_OF : 0);
}

static bool low_digit_over(const struct cpu *cpu)
{
	return (cpu->gpr[REG_RAX] & 15) > 9 || cpu->ah & RFLAGS_AF;
}

int exec_aaa(struct cpu *cpu, const struct insn *i)
{
	bool over = low_digit_over(cpu);
	uint16_t ax = cpu->gpr[REG_RAX], add = over ? 0x106 : 0;

	reg_write(cpu, REG_RAX, 2, (ax + add) & 0xff0f);
	cpu_set_arith(cpu,
		      (add_flags(ax, add, 16) & ~AF_CF) | (over ? AF_CF : 0));
	return EXEC_NEXT;
}

int exec_aas(struct cpu *cpu, const struct insn *i)
{
	bool over = low_digit_over(cpu);
	uint16_t ax = cpu->gpr[REG_RAX], sub = over ? 0x106 : 0;

	reg_write(cpu, REG_RAX, 2, (ax - sub) & 0xff0f);
	cpu_set_arith(cpu,
		      (sub_flags(ax, sub, 16) & ~AF_CF) | (over ? AF_CF : 0));
	return EXEC_NEXT;
}

int exec_aam(struct cpu *cpu, const struct insn *i)
{
	uint8_t al = cpu->gpr[REG_RAX], base = i->bytes[i->len - 1];

	if (!base)
		cpu_raise(cpu, VEC_DE);
	reg_write(cpu, REG_RAX, 2, (al / base) << 8 | al % base);
	cpu_set_arith(cpu, result_flags(al % base, 8));
	return EXEC_NEXT;
}

int exec_aad(struct cpu *cpu, const struct insn *i)
{
	uint16_t ax = cpu->gpr[REG_RAX];
	uint8_t al = ax, add = (ax >> 8) * i->bytes[i->len - 1];

	reg_write(cpu, REG_RAX, 2, (uint8_t)(al + add));
	cpu_set_arith(cpu, add_flags(al, add, 8));
	return EXEC_NEXT;
}

/* What DAA adds and DAS subtracts, and AF and CF for it. */
static uint8_t decimal_step(const struct cpu *cpu, uint32_t *flags)
{
	bool low = low_digit_over(cpu);
	bool high = (cpu->gpr[REG_RAX] & 0xff) > 0x99 || cpu->ah & RFLAGS_CF;

	*flags = (low ? RFLAGS_AF : 0) | (high ? RFLAGS_CF : 0);
	return (low ? 6 : 0) + (high ? 0x60 : 0);
}

int exec_daa(struct cpu *cpu, const struct insn *i)
{
	uint8_t al = cpu->gpr[REG_RAX];
	uint32_t flags;
	uint8_t step = decimal_step(cpu, &flags);

	reg_write(cpu, REG_RAX, 1, al + step);
	cpu_set_arith(cpu, (add_flags(al, step, 8) & ~AF_CF) | flags);
	return EXEC_NEXT;
}

int exec_das(struct cpu *cpu, const struct insn *i)
{
	uint8_t al = cpu->gpr[REG_RAX];
	uint32_t flags;
	uint8_t step = decimal_step(cpu, &flags);

	if (flags & RFLAGS_AF && al < 6)
		flags |= RFLAGS_CF;
	reg_write(cpu, REG_RAX, 1, al - step);
	cpu_set_arith(cpu, (sub_flags(al, step, 8) & ~AF_CF) | flags);
	return EXEC_NEXT;
}
