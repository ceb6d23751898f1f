/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack as far transfers and event delivery see it: perhaps not the current
 * one, checked as a whole before anything is written. SDM 3A "Stack
 * Switching" (5.8.5), SDM 1 "Stack Alignment and Size" (6.2.2, 6.2.3).
 */
#include "cpu/seg.h"
#include "lib/check.h"

void stackref_current(const struct cpu *cpu, struct stackref *st)
{
	const struct segment *ss = &cpu->seg[SEG_SS];

	st->base = ss->base;
	st->limit = ss->limit;
	st->attr = ss->attr;
	st->mask = stackref_mask(ss->attr);
	if (cpu->code_bits == 64) {
		st->base = 0;
		st->mask = ~0ULL;
	}
	st->sp = cpu->gpr[REG_RSP] & st->mask;
	st->acc = mem_acc(cpu, 0);
	st->err = 0;
}

void stackref_desc(const struct cpu *cpu, struct stackref *st, uint64_t lo,
		   uint64_t sp, unsigned int cpl, uint32_t err)
{
	st->base = desc_base(lo);
	st->limit = desc_limit(lo);
	st->attr = desc_attr(lo);
	st->mask = stackref_mask(st->attr);
	st->sp = sp & st->mask;
	st->acc = seg_acc(cpu, cpl);
	st->err = err;
}

static bool in_limit(const struct stackref *st, uint64_t off, unsigned int size)
{
	uint64_t last = off + size - 1;

	if (st->attr & SEG_ATTR_UNUSABLE)
		return false;
	if ((st->attr & 0xc) == 4) /* data that grows down */
		return off > st->limit && last <= stackref_mask(st->attr);
	return last <= st->limit;
}

/* Linear address of [off, off + size), or #SS. */
static gva_t stack_linear(struct cpu *cpu, const struct stackref *st,
			  uint64_t off, unsigned int size)
{
	bool ok;

	if (st->mask == ~0ULL)
		ok = seg_canonical(cpu, off) &&
		     seg_canonical(cpu, off + size - 1);
	else
		ok = in_limit(st, off, size);
	if (!ok)
		cpu_raise_err(cpu, VEC_SS, st->err);
	return st->mask == ~0ULL ? off : (uint32_t)(st->base + off);
}

/* One by one: cut in two by the end of the address space, or in MMIO. */
static void push_each(struct cpu *cpu, const struct stackref *st,
		      const uint64_t *val, unsigned int n, unsigned int size)
{
	const unsigned int acc = st->acc | ACC_WRITE;
	gva_t gva[STACKREF_MAX];
	unsigned int i;

	for (i = 0; i < n; i++) {
		gva[i] = stack_linear(
			cpu, st, (st->sp - (i + 1) * size) & st->mask, size);
		mem_check(cpu, gva[i], size, acc);
	}
	for (i = 0; i < n; i++)
		mem_write(cpu, gva[i], size, val[i], acc);
}

static bool in_mmio(struct cpu *cpu, gva_t gva, unsigned int size,
		    unsigned int acc)
{
	gva_t last = (gva + size - 1) & ~0xfffULL;

	return cpu->mmlog && (!mem_hva(cpu, gva, 1, acc, NULL) ||
			      !mem_hva(cpu, MAX(gva, last), 1, acc, NULL));
}

static void store(uint8_t *p, uint64_t val, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		p[i] = val >> i * 8;
}

void stackref_push(struct cpu *cpu, struct stackref *st, const uint64_t *val,
		   unsigned int n, unsigned int size)
{
	uint8_t buf[STACKREF_MAX * 8];
	unsigned int total = n * size, i;
	uint64_t sp = (st->sp - total) & st->mask;
	gva_t gva;

	ASSERT(n <= STACKREF_MAX);
	/* an sp of zero is the end of the space, not its start */
	if (((sp + total - 1) & st->mask) < sp ||
	    (st->mask != ~0ULL &&
	     (st->base + sp) % BIT64(32) + total > BIT64(32))) {
		push_each(cpu, st, val, n, size);
	} else {
		gva = stack_linear(cpu, st, sp, total);
		if (unlikely(in_mmio(cpu, gva, total, st->acc | ACC_WRITE))) {
			push_each(cpu, st, val, n, size);
			st->sp = sp;
			return;
		}
		for (i = 0; i < n; i++)
			store(buf + total - (i + 1) * size, val[i], size);
		mem_write_buf(cpu, gva, buf, total, st->acc | ACC_WRITE);
	}
	st->sp = sp;
}

uint64_t stackref_read(struct cpu *cpu, const struct stackref *st,
		       unsigned int off, unsigned int size)
{
	gva_t gva = stack_linear(cpu, st, (st->sp + off) & st->mask, size);

	return mem_read(cpu, gva, size, st->acc | ACC_READ);
}

void stackref_set_sp(struct cpu *cpu, uint64_t mask, uint64_t sp)
{
	uint64_t *rsp = &cpu->gpr[REG_RSP];

	if (mask == 0xffff)
		*rsp = (*rsp & ~mask) | (sp & mask);
	else
		*rsp = sp & mask;
}
