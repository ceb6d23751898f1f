/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodings the engine itself needs; guest instructions are copied, not
 * encoded (engine/copy.c). SDM 2A "Instruction Format" (2.1).
 */
#include "engine/emit.h"

#include <string.h>

void emit2(struct emit *e, uint16_t v)
{
	emit1(e, v & 0xff);
	emit1(e, v >> 8);
}

void emit4(struct emit *e, uint32_t v)
{
	if (unlikely(e->end - e->p < 4)) {
		e->overflow = true;
		return;
	}
	memcpy(e->p, &v, 4);
	e->p += 4;
}

void emit8(struct emit *e, uint64_t v)
{
	emit4(e, v & 0xffffffff);
	emit4(e, v >> 32);
}

void emit_rex(struct emit *e, bool w, unsigned int reg, unsigned int index,
	      unsigned int base)
{
	uint8_t rex = (w ? 8 : 0) | (reg & 8 ? 4 : 0) | (index & 8 ? 2 : 0) |
		      (base & 8 ? 1 : 0);

	if (rex)
		emit1(e, 0x40 | rex);
}

static void modrm_cpu(struct emit *e, unsigned int reg, int32_t disp)
{
	bool small = disp >= -128 && disp <= 127;

	emit1(e, (small ? 0x44 : 0x84) | (reg & 7) << 3);
	emit1(e, 0x24);
	if (small)
		emit1(e, disp & 0xff);
	else
		emit4(e, disp);
}

static void op_size(struct emit *e, uint8_t op, unsigned int size,
		    unsigned int reg, unsigned int index, unsigned int base)
{
	if (size == 2)
		emit1(e, 0x66);
	if (size == 1 && reg >= 4 && reg < 8)
		emit1(e, 0x40 | (index & 8 ? 2 : 0) | (base & 8 ? 1 : 0));
	else
		emit_rex(e, size == 8, reg, index, base);
	emit1(e, op);
}

void emit_op_cpu(struct emit *e, uint8_t op, unsigned int size,
		 unsigned int reg, int32_t disp)
{
	op_size(e, op, size, reg, 0, 0);
	modrm_cpu(e, reg, disp);
}

void emit_op_cpu_idx(struct emit *e, uint8_t op, unsigned int reg,
		     unsigned int index, int32_t disp)
{
	emit_rex(e, true, reg, index, 0);
	emit1(e, op);
	emit1(e, 0x84 | (reg & 7) << 3);
	emit1(e, (index & 7) << 3 | 4);
	emit4(e, disp);
}

void emit_op_rr(struct emit *e, uint8_t op, unsigned int size, unsigned int reg,
		unsigned int rm)
{
	op_size(e, op, size, reg, 0, rm);
	emit1(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void emit_ld(struct emit *e, unsigned int reg, int32_t disp)
{
	emit_op_cpu(e, 0x8b, 8, reg, disp);
}

void emit_ld32(struct emit *e, unsigned int reg, int32_t disp)
{
	emit_op_cpu(e, 0x8b, 4, reg, disp);
}

void emit_st(struct emit *e, int32_t disp, unsigned int reg)
{
	emit_op_cpu(e, 0x89, 8, reg, disp);
}

void emit_st_imm8(struct emit *e, int32_t disp, uint8_t imm)
{
	emit_op_cpu(e, 0xc6, 1, 0, disp);
	emit1(e, imm);
}

void emit_st_imm32(struct emit *e, int32_t disp, uint32_t imm)
{
	emit_op_cpu(e, 0xc7, 4, 0, disp);
	emit4(e, imm);
}

uint8_t *emit_st_imm64(struct emit *e, int32_t disp, uint64_t imm,
		       unsigned int scratch)
{
	uint8_t *at;

	if ((int64_t)imm == (int32_t)imm) {
		emit_op_cpu(e, 0xc7, 8, 0, disp);
		emit4(e, imm);
		return e->p - 4;
	}
	at = emit_mov_imm(e, scratch, imm);
	emit_st(e, disp, scratch);
	return at;
}

void emit_mov_rr(struct emit *e, unsigned int size, unsigned int dst,
		 unsigned int src)
{
	emit_op_rr(e, 0x89, size, src, dst);
}

uint8_t *emit_mov_imm(struct emit *e, unsigned int reg, uint64_t imm)
{
	if (imm <= UINT32_MAX) {
		emit_rex(e, false, 0, 0, reg);
		emit1(e, 0xb8 | (reg & 7));
		emit4(e, imm);
	} else if ((int64_t)imm == (int32_t)imm) {
		emit_rex(e, true, 0, 0, reg);
		emit1(e, 0xc7);
		emit1(e, 0xc0 | (reg & 7));
		emit4(e, imm);
	} else {
		emit_rex(e, true, 0, 0, reg);
		emit1(e, 0xb8 | (reg & 7));
		emit8(e, imm);
		return e->p - 8;
	}
	return e->p - 4;
}

void emit_lea(struct emit *e, unsigned int size, unsigned int dst,
	      unsigned int base, unsigned int index, unsigned int scale,
	      int32_t disp)
{
	unsigned int ss = scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
	unsigned int mod = base == 0xff                   ? 0
			   : disp == 0 && (base & 7) != 5 ? 0
			   : disp >= -128 && disp <= 127  ? 1
							  : 2;

	emit_rex(e, size == 8, dst, index == 0xff ? 0 : index,
		 base == 0xff ? 0 : base);
	emit1(e, 0x8d);
	if (index == 0xff && base != 0xff && (base & 7) != 4) {
		emit1(e, mod << 6 | (dst & 7) << 3 | (base & 7));
	} else {
		emit1(e, mod << 6 | (dst & 7) << 3 | 4);
		emit1(e, ss << 6 | (index == 0xff ? 4 : index & 7) << 3 |
				 (base == 0xff ? 5 : base & 7));
	}
	if (base == 0xff || mod == 2)
		emit4(e, disp);
	else if (mod == 1)
		emit1(e, disp & 0xff);
}

static void op_at(struct emit *e, uint8_t op, unsigned int size,
		  unsigned int reg, unsigned int base)
{
	op_size(e, op, size, reg, 0, base);
	if ((base & 7) == 5) {
		emit1(e, 0x40 | (reg & 7) << 3 | 5);
		emit1(e, 0);
		return;
	}
	emit1(e, (reg & 7) << 3 | (base & 7));
	if ((base & 7) == 4)
		emit1(e, 0x24);
}

void emit_ld_at(struct emit *e, unsigned int size, unsigned int reg,
		unsigned int base)
{
	op_at(e, size == 1 ? 0x8a : 0x8b, size, reg, base);
}

void emit_st_at(struct emit *e, unsigned int size, unsigned int base,
		unsigned int reg)
{
	op_at(e, size == 1 ? 0x88 : 0x89, size, reg, base);
}

uint8_t *emit_jcc(struct emit *e, enum host_cc cc)
{
	emit1(e, 0x0f);
	emit1(e, 0x80 | cc);
	emit4(e, 0);
	return e->p - 4;
}

uint8_t *emit_jmp(struct emit *e)
{
	emit1(e, 0xe9);
	emit4(e, 0);
	return e->p - 4;
}

void emit_bind(uint8_t *rel32, const uint8_t *target_rw)
{
	int32_t rel = target_rw - (rel32 + 4);

	memcpy(rel32, &rel, 4);
}

static void rel_to(struct emit *e, uint8_t op, const void *target_rx,
		   int64_t rx_off)
{
	emit1(e, op);
	emit4(e, (const uint8_t *)target_rx - (e->p + 4 + rx_off));
}

void emit_jmp_to(struct emit *e, const void *target_rx, int64_t rx_off)
{
	rel_to(e, 0xe9, target_rx, rx_off);
}

void emit_call_to(struct emit *e, const void *target_rx, int64_t rx_off)
{
	rel_to(e, 0xe8, target_rx, rx_off);
}

void emit_align(struct emit *e, unsigned int align, unsigned int ahead)
{
	static const uint8_t nops[9][9] = {
		{0x90},
		{0x66, 0x90},
		{0x0f, 0x1f, 0x00},
		{0x0f, 0x1f, 0x40, 0x00},
		{0x0f, 0x1f, 0x44, 0x00, 0x00},
		{0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
		{0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
		{0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
		{0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
	};
	unsigned int pad = -((uintptr_t)e->p + ahead) & (align - 1);

	while (pad) {
		unsigned int n = MIN(pad, 9u);

		for (unsigned int i = 0; i < n; i++)
			emit1(e, nops[n - 1][i]);
		pad -= n;
	}
}
