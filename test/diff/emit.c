/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoder for forms: prefixes, REX/VEX/EVEX, ModRM, SIB, displacement and
 * immediate. SDM 2 "Instruction Format" (2.1), "VEX" (2.3), "EVEX" (2.7).
 * An EVEX displacement of 8 bits is scaled by the form's tuple size, so it is
 * used only where the operand asks for it (disp8) and any multiple will do.
 */
#include "test/diff/gen.h"

#include <string.h>

struct out {
	uint8_t *p;
	unsigned int n;
};

static void put(struct out *o, unsigned int byte)
{
	o->p[o->n++] = byte;
}

static bool has_mem(const struct form *f)
{
	return f->rm_kind == RM_MEM || f->rm_kind == RM_VSIB;
}

/* High bits of reg, index and base or rm, as REX.R, X and B carry them. */
static unsigned int rxb(const struct form *f, const struct operands *o)
{
	unsigned int bits = (o->reg >> 3 & 1) << 2;

	if (f->reg >= 0)
		bits = 0;
	if (has_mem(f)) {
		if (o->mem.index != NO_REG)
			bits |= (o->mem.index >> 3 & 1) << 1;
		if (o->mem.base < 16)
			bits |= o->mem.base >> 3;
	} else if (f->rm_kind == RM_REG && f->rm < 0) {
		bits |= o->rm >> 3 & 1;
		if (f->enc == ENC_EVEX)
			bits |= (o->rm >> 4 & 1) << 1;
	} else if (f->rm_kind == RM_NONE && f->rm < 0) {
		bits = o->rm >> 3 & 1; /* register in the opcode, if any */
	}
	return bits;
}

static void put_prefixes(struct out *out, const struct form *f,
			 const struct operands *o)
{
	static const uint8_t pp[4] = {0, 0x66, 0xf3, 0xf2};

	if (o->extra)
		put(out, o->extra);
	if (o->lock)
		put(out, 0xf0);
	if (has_mem(f) || f->rm_kind == RM_MOFFS) {
		if (o->mem.seg)
			put(out, o->mem.seg);
		if (o->mem.addr32)
			put(out, 0x67);
	}
	if (f->enc == ENC_LEGACY && f->pp)
		put(out, pp[f->pp]);
}

static void put_opcode_legacy(struct out *out, const struct form *f,
			      const struct operands *o)
{
	unsigned int rex = f->w << 3 | rxb(f, o);

	if (rex || o->rex)
		put(out, 0x40 | rex);
	if (f->map)
		put(out, 0x0f);
	if (f->map == 2)
		put(out, 0x38);
	if (f->map == 3)
		put(out, 0x3a);
	put(out, f->opcode);
}

static void put_opcode_vex(struct out *out, const struct form *f,
			   const struct operands *o)
{
	unsigned int bits = ~rxb(f, o) & 7, v = ~o->vvvv & 15;

	if (f->map == 1 && !f->w && (bits & 3) == 3 && !o->rex) {
		put(out, 0xc5);
		put(out, bits >> 2 << 7 | v << 3 | f->l << 2 | f->pp);
	} else {
		put(out, 0xc4);
		put(out, bits << 5 | f->map);
		put(out, f->w << 7 | v << 3 | f->l << 2 | f->pp);
	}
	put(out, f->opcode);
}

static void put_opcode_evex(struct out *out, const struct form *f,
			    const struct operands *o)
{
	unsigned int bits = ~rxb(f, o) & 7, v = ~o->vvvv & 31;
	unsigned int r2 = f->reg >= 0 || !(o->reg & 16);
	unsigned int v2 = v >> 4;

	/*
	 * EVEX.X means nothing for a general register, but with it set Zen 5
	 * reads the stack pointer from before the last PUSH, POP or CALL.
	 */
	if (f->rm_kind == RM_REG && !f->no_gpr && (o->rm & 7) == 4)
		bits |= 2;
	if (f->rm_kind == RM_VSIB)
		v2 = !(o->mem.index & 16);
	put(out, 0x62);
	put(out, bits << 5 | r2 << 4 | f->map);
	put(out, f->w << 7 | (v & 15) << 3 | 4 | f->pp);
	put(out, o->z << 7 | f->l << 5 | f->b << 4 | v2 << 3 | o->aaa);
	put(out, f->opcode);
}

static void put_le(struct out *out, uint64_t val, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		put(out, val >> 8 * i & 0xff);
}

static bool short_disp(const struct form *f, const struct mem_operand *m)
{
	return !m->wide_disp && (f->enc != ENC_EVEX || m->disp8) &&
	       m->disp >= -128 && m->disp <= 127;
}

static void put_mem(struct out *out, const struct form *f, unsigned int reg,
		    const struct mem_operand *m, uint64_t gva,
		    unsigned int after)
{
	bool sib = m->index != NO_REG || m->base == NO_REG ||
		   (m->base < 16 && (m->base & 7) == 4);
	unsigned int index = m->index == NO_REG ? 4 : m->index & 7;

	reg = (reg & 7) << 3;
	if (m->base == 16) {
		put(out, reg | 5);
		put_le(out, m->target - (gva + out->n + 4 + after), 4);
		return;
	}
	if (m->base == NO_REG) {
		put(out, reg | 4);
		put(out, m->scale << 6 | index << 3 | 5);
		put_le(out, m->disp, 4);
		return;
	}
	if (!m->disp && (m->base & 7) != 5 && !m->wide_disp)
		put(out, 0x00 | reg | (sib ? 4 : m->base & 7));
	else if (short_disp(f, m))
		put(out, 0x40 | reg | (sib ? 4 : m->base & 7));
	else
		put(out, 0x80 | reg | (sib ? 4 : m->base & 7));
	if (sib)
		put(out, m->scale << 6 | index << 3 | (m->base & 7));
	if (!m->disp && (m->base & 7) != 5 && !m->wide_disp)
		return;
	put_le(out, m->disp, short_disp(f, m) ? 1 : 4);
}

unsigned int emit_form(const struct form *f, const struct operands *o,
		       uint64_t gva, uint8_t *p)
{
	struct out out = {.p = p};
	unsigned int reg = f->reg >= 0 ? (unsigned int)f->reg : o->reg;

	put_prefixes(&out, f, o);
	if (f->enc == ENC_LEGACY)
		put_opcode_legacy(&out, f, o);
	else if (f->enc == ENC_VEX)
		put_opcode_vex(&out, f, o);
	else
		put_opcode_evex(&out, f, o);
	if (has_mem(f))
		put_mem(&out, f, reg, &o->mem, gva, f->imm);
	else if (f->rm_kind == RM_REG)
		put(&out,
		    0xc0 | (reg & 7) << 3 |
			    (f->rm >= 0 ? (unsigned int)f->rm : o->rm & 7));
	else if (f->rm_kind == RM_MOFFS)
		put_le(&out, o->mem.target, o->mem.addr32 ? 4 : 8);
	put_le(&out, o->imm, f->imm);
	return out.n <= 15 ? out.n : 0;
}
