/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host code, byte by byte. Registers are host numbers 0..15; memory operands
 * of the engine's own are [rsp + disp], that is, fields of struct cpu.
 */
#ifndef ENGINE_EMIT_H
#define ENGINE_EMIT_H

#include "lib/util.h"

struct emit {
	uint8_t *p;   /* next byte, writable mapping */
	uint8_t *end; /* past it: overflow is set and bytes are dropped */
	bool overflow;
};

enum host_reg {
	H_RAX,
	H_RCX,
	H_RDX,
	H_RBX,
	H_RSP,
	H_RBP,
	H_RSI,
	H_RDI,
	H_R8,
	H_R9,
	H_R10,
	H_R11,
	H_R12,
	H_R13,
	H_R14,
	H_R15
};

enum host_cc {
	CC_O,
	CC_NO,
	CC_B,
	CC_AE,
	CC_E,
	CC_NE,
	CC_BE,
	CC_A,
	CC_S,
	CC_NS,
	CC_P,
	CC_NP,
	CC_L,
	CC_GE,
	CC_LE,
	CC_G
};

static inline void emit1(struct emit *e, uint8_t b)
{
	if (likely(e->p < e->end))
		*e->p++ = b;
	else
		e->overflow = true;
}

void emit2(struct emit *e, uint16_t v);
void emit4(struct emit *e, uint32_t v);
void emit8(struct emit *e, uint64_t v);

/* REX when needed; @w operand size 64. */
void emit_rex(struct emit *e, bool w, unsigned int reg, unsigned int index,
	      unsigned int base);

/* op reg, [rsp + disp] with @size 1, 2, 4, 8 of the operand. */
void emit_op_cpu(struct emit *e, uint8_t op, unsigned int size,
		 unsigned int reg, int32_t disp);
/* op reg, [rsp + index + disp] */
void emit_op_cpu_idx(struct emit *e, uint8_t op, unsigned int reg,
		     unsigned int index, int32_t disp);
/* op reg, rm (registers) */
void emit_op_rr(struct emit *e, uint8_t op, unsigned int size, unsigned int reg,
		unsigned int rm);

void emit_ld(struct emit *e, unsigned int reg, int32_t disp);   /* 64 bits */
void emit_ld32(struct emit *e, unsigned int reg, int32_t disp); /* zero ext. */
void emit_st(struct emit *e, int32_t disp, unsigned int reg);
void emit_st_imm8(struct emit *e, int32_t disp, uint8_t imm);
void emit_st_imm32(struct emit *e, int32_t disp, uint32_t imm);
/* 64-bit store of an immediate; may use @scratch. Where the immediate is. */
uint8_t *emit_st_imm64(struct emit *e, int32_t disp, uint64_t imm,
		       unsigned int scratch);
void emit_mov_rr(struct emit *e, unsigned int size, unsigned int dst,
		 unsigned int src);
/* Returns where the immediate is. */
uint8_t *emit_mov_imm(struct emit *e, unsigned int reg, uint64_t imm);

/* lea dst, [base + index*scale + disp]; size 4 or 8; 0xff: no register. */
void emit_lea(struct emit *e, unsigned int size, unsigned int dst,
	      unsigned int base, unsigned int index, unsigned int scale,
	      int32_t disp);
/* mov reg, [base] and mov [base], reg; any base but rsp. */
void emit_ld_at(struct emit *e, unsigned int size, unsigned int reg,
		unsigned int base);
void emit_st_at(struct emit *e, unsigned int size, unsigned int base,
		unsigned int reg);

/* Jumps to be bound later: the address of the rel32 is returned. */
uint8_t *emit_jcc(struct emit *e, enum host_cc cc);
uint8_t *emit_jmp(struct emit *e);
void emit_bind(uint8_t *rel32, const uint8_t *target_rw);
void emit_jmp_to(struct emit *e, const void *target_rx, int64_t rx_off);
void emit_call_to(struct emit *e, const void *target_rx, int64_t rx_off);
/* Pad with NOPs until (p + ahead) is a multiple of @align. */
void emit_align(struct emit *e, unsigned int align, unsigned int ahead);

#endif
