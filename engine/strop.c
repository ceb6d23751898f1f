/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOVS, STOS and LODS of one element, as boot loaders and compilers that
 * optimize for size copy: an access or two through the TLB, then the pointers
 * move on. The direction is in the mode word. Runs under REP, comparisons and
 * elements in MMIO are done by C functions. SDM 1 7.3.9 "String Operations".
 */
#include "engine/decode.h"
#include "engine/exec.h"

#include "x86/regs.h"

bool strop_inline(uint64_t mode, const struct dinsn *d)
{
	if (d->in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
				ZYDIS_ATTRIB_HAS_REPNE))
		return false;
	/* a trap may follow it; it is counted by the element */
	if (mode & MODE_WATCH || mode_classes(mode))
		return false;
	return d->fn == exec_movs || d->fn == exec_stos || d->fn == exec_lods;
}

/* Host address of the element in S0. */
static void reach(struct trans *t, const ZydisDecodedOperand *op,
		  unsigned int acc)
{
	struct memref m;

	decode_memref(t->d, op, &m);
	mem_addr(t, &m, op->size / 8, acc, acc == ACC_READ);
}

/* Move a pointer on; an offset of 16 bits leaves the rest of its register. */
static void step(struct trans *t, unsigned int reg, unsigned int size)
{
	int32_t by = t->mode & MODE_DF ? -(int32_t)size : (int32_t)size;
	struct emit *e = &t->e;

	if (t->d->in.address_width == 16) {
		emit_lea(e, 4, S0, reg, NOHOST, 1, by);
		emit_mov_rr(e, 2, reg, S0);
		return;
	}
	emit_lea(e, t->d->in.address_width / 8, reg, reg, NOHOST, 1, by);
}

void strop_insn(struct trans *t)
{
	const ZydisDecodedOperand *op = t->d->op;
	struct emit *e = &t->e;
	unsigned int size;

	if (t->d->live_in)
		flags_protect(t);
	if (t->d->fn == exec_lods) {
		size = op[0].size / 8;
		reach(t, &op[1], ACC_READ);
		emit_ld_at(e, size, H_RAX, S0);
		step(t, H_RSI, size);
		return;
	}
	size = op[0].size / 8;
	if (t->d->fn == exec_movs) {
		reach(t, &op[1], ACC_READ);
		emit_ld_at(e, size, S1, S0);
		emit_st(e, OFF_SCRATCH(0), S1);
		reach(t, &op[0], ACC_WRITE);
		emit_ld(e, S1, OFF_SCRATCH(0));
		emit_st_at(e, size, S0, S1);
		step(t, H_RSI, size);
	} else {
		reach(t, &op[0], ACC_WRITE);
		emit_st_at(e, size, S0, H_RAX);
	}
	step(t, H_RDI, size);
}
