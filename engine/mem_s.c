/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory operands, tier S: every access goes through the inlined TLB of
 * cpu/tlb.h. The check is
 *
 *	lea  s0, [operand]
 *	rorx s1d, s0d, 8 ; and s1d, index mask * 16
 *	xor  s0, [rsp + s1 + tag]
 *	cmp  s0, 4096 - size ; ja cold
 *	add  s0, [rsp + s1 + hva]
 *
 * so that one comparison covers page and page crossing and no third register
 * is needed. It destroys host flags: callers save the guest's first.
 */
#include "engine/decode.h"
#include "engine/internal.h"
#include "engine/reloc.h"

#define TLB_IDX_MASK ((TLB_ENTRIES - 1) * sizeof(struct tlb_entry))

_Static_assert(sizeof(struct tlb_entry) == 16, "index is gva >> 12 << 4");

static unsigned int reg_or_load(struct trans *t, unsigned int guest,
				unsigned int scratch)
{
	unsigned int h = home(guest);

	if (h != NOHOST)
		return h;
	emit_ld(&t->e, scratch, OFF_GPR(guest));
	return scratch;
}

void mem_ea(struct trans *t, const struct memref *m, unsigned int dst)
{
	unsigned int size = m->asize == 8 ? 8 : 4;
	unsigned int base = NOHOST, index = NOHOST;
	struct emit *e = &t->e;

	if (m->absolute || (m->base == OPND_NOREG && m->index == OPND_NOREG)) {
		uint64_t off = m->disp;

		if (m->asize == 4)
			off &= 0xffffffff;
		else if (m->asize == 2)
			off &= 0xffff;
		if (m->rip_rel && m->asize == 8)
			reloc_mov_gva(t, dst, off);
		else if (m->rip_rel)
			reloc_note(t, RELOC_LOW32, emit_mov_imm(e, dst, off));
		else
			emit_mov_imm(e, dst, off);
		return;
	}
	if (m->base != OPND_NOREG)
		base = reg_or_load(t, m->base, S0);
	if (m->index != OPND_NOREG)
		index = reg_or_load(t, m->index, S1);
	if (index == NOHOST && m->disp == 0) {
		if (base != dst || size == 4)
			emit_mov_rr(e, size, dst, base);
	} else {
		emit_lea(e, size, dst, base, index, m->scale, m->disp);
	}
	if (m->asize == 2) { /* movzx dst, dst16 */
		emit_rex(e, false, dst, 0, dst);
		emit1(e, 0x0f);
		emit1(e, 0xb7);
		emit1(e, 0xc0 | (dst & 7) << 3 | (dst & 7));
	}
}

static void cmp_s1_cpu(struct trans *t, int32_t disp)
{
	emit_op_cpu(&t->e, 0x3b, 8, S1, disp);
}

/* Segment base and limit outside 64-bit mode; S0 = offset, zero-extended. */
static void legacy_segment(struct trans *t, const struct memref *m,
			   unsigned int size, unsigned int acc)
{
	int32_t seg = OFF(seg) + m->seg * (int32_t)sizeof(struct segment);
	struct emit *e = &t->e;

	if (t->mode & MODE_FLAT && m->seg != SEG_FS && m->seg != SEG_GS)
		return;
	emit_lea(e, 8, S1, S0, NOHOST, 1, size);
	cmp_s1_cpu(t,
		   seg + (acc == ACC_WRITE
				  ? (int32_t)offsetof(struct segment, lim_w)
				  : (int32_t)offsetof(struct segment, lim_r)));
	cold_add(t, COLD_SLOW, emit_jcc(e, CC_A));
	emit_ld(e, S1, seg + offsetof(struct segment, base));
	emit_lea(e, 4, S0, S0, S1, 1, 0);
}

static void add_segment(struct trans *t, const struct memref *m,
			unsigned int size, unsigned int acc)
{
	int32_t seg = OFF(seg) + m->seg * (int32_t)sizeof(struct segment);

	if (t->bits != 64) {
		legacy_segment(t, m, size, acc);
		return;
	}
	if (m->seg == SEG_FS || m->seg == SEG_GS) {
		emit_ld(&t->e, S1, seg + offsetof(struct segment, base));
		emit_lea(&t->e, 8, S0, S0, S1, 1, 0);
	}
}

/* The bit at a signed offset from S0, in units of the register's size. */
static void add_bit_offset(struct trans *t, const struct memref *m)
{
	unsigned int h = home(m->bit_reg);
	struct emit *e = &t->e;

	if (h == NOHOST)
		emit_ld(e, S1, OFF_GPR(m->bit_reg));
	else
		emit_mov_rr(e, 8, S1, h);
	if (m->bit_size == 4) {
		emit_op_rr(e, 0x63, 8, S1, S1); /* movsxd */
	} else if (m->bit_size == 2) {
		emit_rex(e, true, S1, 0, S1); /* movsx s1, s1w */
		emit1(e, 0x0f);
		emit1(e, 0xbf);
		emit1(e, 0xc0 | (S1 & 7) << 3 | (S1 & 7));
	}
	emit1(e, 0x49); /* sar s1, log2 of bits */
	emit1(e, 0xc1);
	emit1(e, 0xf8 | (S1 & 7));
	emit1(e, m->bit_size == 8 ? 6 : m->bit_size == 4 ? 5 : 4);
	emit_lea(e, m->asize == 8 ? 8 : 4, S0, S0, S1, m->bit_size, 0);
	if (m->asize == 2) {
		emit_rex(e, false, S0, 0, S0);
		emit1(e, 0x0f);
		emit1(e, 0xb7);
		emit1(e, 0xc0 | (S0 & 7) << 3 | (S0 & 7));
	}
}

static void bounce_addr(struct trans *t, const struct memref *m,
			unsigned int size, unsigned int acc, bool reads)
{
	unsigned int n = t->nrefs;

	if (n == MAX_BOUNCE || size > BOUNCE_SIZE) {
		t->too_big = true;
		return;
	}
	t->refs[n] = (struct bounce_ref){
		.m = *m,
		.size = size,
		.acc = acc,
		.reads = reads,
	};
	emit_ld(&t->e, S0, OFF_SCRATCH(2 + n));
	t->nrefs++;
}

static void tlb_check(struct trans *t, unsigned int size, unsigned int acc)
{
	int32_t table = OFF_VIEW(t->view) +
			(acc == ACC_WRITE
				 ? (int32_t)offsetof(struct tlb_view, w)
				 : (int32_t)offsetof(struct tlb_view, r));
	struct emit *e = &t->e;
	struct cold *c;

	emit_mov_rr(e, 4, S1, S0);
	emit1(e, 0x41); /* shr s1d, 8 */
	emit1(e, 0xc1);
	emit1(e, 0xe8 | (S1 & 7));
	emit1(e, 8);
	emit1(e, 0x41); /* and s1d, mask */
	emit1(e, 0x81);
	emit1(e, 0xe0 | (S1 & 7));
	emit4(e, TLB_IDX_MASK);
	emit_op_cpu_idx(e, 0x33, S0, S1,
			table + offsetof(struct tlb_entry, tag));
	emit1(e, 0x49); /* cmp s0, 4096 - size */
	emit1(e, 0x81);
	emit1(e, 0xf8 | (S0 & 7));
	emit4(e, 4096 - size);
	c = cold_add(t, COLD_MEM, emit_jcc(e, CC_A));
	emit_op_cpu_idx(e, 0x03, S0, S1,
			table + offsetof(struct tlb_entry, hva));
	if (c) {
		c->back = e->p;
		c->size = size;
		c->acc = acc;
		c->tag_disp = table + offsetof(struct tlb_entry, tag);
	}
}

/* Places of the entry's tag, and of @page in code that was just emitted. */
static void note_const(struct trans *t, const struct memref *m,
		       const uint8_t *tag, const uint8_t *at, uint64_t page)
{
	if (m->asize != 8) /* it is cut, which reloc.c does not know */
		t->fixed = true;
	reloc_note(t, RELOC_TLB, tag);
	reloc_note_imm(t, at, page);
	reloc_note(t, RELOC_TLB, t->e.p - 4);
}

/*
 * An address known now: index and page are constants, four instructions.
 * False: the general way is needed.
 */
static bool const_check(struct trans *t, const struct memref *m,
			unsigned int size, unsigned int acc)
{
	uint64_t gva = m->asize == 8   ? (uint64_t)m->disp
		       : m->asize == 4 ? m->disp & 0xffffffff
				       : m->disp & 0xffff;
	unsigned int off = gva & 4095;
	int32_t entry = OFF_VIEW(t->view) +
			(acc == ACC_WRITE
				 ? (int32_t)offsetof(struct tlb_view, w)
				 : (int32_t)offsetof(struct tlb_view, r)) +
			(int32_t)(tlb_index(gva) * sizeof(struct tlb_entry));
	struct emit *e = &t->e;
	uint8_t *tag, *at;
	struct cold *c;

	if (!m->absolute || !(t->mode & MODE_FLAT) || m->seg == SEG_FS ||
	    m->seg == SEG_GS || off + size > 4096)
		return false;
	gva &= ~4095ULL;
	if ((int64_t)gva == (int32_t)gva) {
		emit_op_cpu(e, 0x81, 8, 7, entry); /* cmp qword [], imm32 */
		tag = e->p - 4;
		at = e->p;
		emit4(e, gva);
	} else {
		at = emit_mov_imm(e, S0, gva);
		emit_op_cpu(e, 0x39, 8, S0, entry);
		tag = e->p - 4;
	}
	c = cold_add(t, COLD_MEM, emit_jcc(e, CC_NE));
	emit_ld(e, S0, entry + offsetof(struct tlb_entry, hva));
	if (m->rip_rel)
		note_const(t, m, tag, at, gva);
	emit_lea(e, 8, S0, S0, NOHOST, 1, off);
	if (c) {
		c->back = e->p;
		c->size = size;
		c->acc = acc;
		c->gva = gva + off;
		c->rip_rel = m->rip_rel;
	}
	return true;
}

/* Told accesses are looked at by slow.c. */
static bool tells_lock(const struct trans *t)
{
	return unlikely(t->mode & MODE_BUS_LOCK) && decode_locks(t->d);
}

/* A jump is always taken; what follows keeps the usual form. */
static void to_slow(struct trans *t)
{
	emit_op_rr(&t->e, 0x3b, 8, S0, S0);
	cold_add(t, COLD_SLOW, emit_jcc(&t->e, CC_E));
}

void mem_addr(struct trans *t, const struct memref *m, unsigned int size,
	      unsigned int acc, bool reads)
{
	if (t->bounce) {
		bounce_addr(t, m, size, acc, reads);
		return;
	}
	t->flags_host = false;
	if (size > 4096) {
		t->too_big = true;
		return;
	}
	if (tells_lock(t))
		to_slow(t);
	if (!m->bit_size && const_check(t, m, size, acc))
		return;
	mem_ea(t, m, S0);
	if (m->bit_size)
		add_bit_offset(t, m);
	add_segment(t, m, size, acc);
	tlb_check(t, size, acc);
}
