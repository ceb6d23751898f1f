/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block generator. While it writes instructions it follows which registers
 * still hold a value it knows, so that memory operands reach the data pages,
 * their edges, the read-only page or the hole on purpose and not by luck.
 */
#ifndef DIFF_GEN_H
#define DIFF_GEN_H

#include "test/diff/form.h"
#include "test/diff/state.h"

/*
 * Write the block of @seed that starts at @gva into @b. Its code ends with a
 * jump to RET_GVA and needs at most BLOCK_MAX bytes.
 */
void gen_block(uint64_t seed, uint32_t gva, struct block *b);

/* Take code from elsewhere: find the instructions, add the jump to RET_GVA.
 * -EINVAL when it does not fit. */
int gen_adopt(struct block *b, const uint8_t *code, unsigned int size);

/* The shortest block that uses a form once; false: not encodable alone. */
bool gen_single(const struct form *f, uint64_t seed, uint32_t gva,
		struct block *b);

/* Under this host INT @vector does not do what the manual says. */
void gen_refuse_int(uint8_t vector);

/* How often each mnemonic was generated, indexed by ZydisMnemonic. */
extern uint32_t gen_count[];

/* ---- shared by the generator's files ---- */

#define NO_REG 0xff

struct gen {
	struct rng rng;
	struct block *b;
	uint64_t val[16]; /* where known */
	uint16_t known;   /* mask */
	uint16_t frozen;  /* registers that must keep their value */
	uint64_t fs_base, gs_base;
	uint8_t profile; /* index into profiles */
	uint8_t depth;   /* of nested control flow */
	uint8_t budget;  /* instructions left */
	bool stepping; /* TF may be set: the next instruction may be the last */
	bool restored; /* XRSTOR was used */
	bool wild;     /* unknown addresses are fine in this instruction */
};

struct mem_operand {
	uint8_t base;  /* 0..15, 16 rip, NO_REG */
	uint8_t index; /* 0..15 (VSIB: 0..31), NO_REG */
	uint8_t scale; /* 0..3 */
	uint8_t seg;   /* prefix byte or 0 */
	bool addr32;
	bool wide_disp; /* 32 bits though 8 would do */
	bool disp8;     /* EVEX: 8 bits, to be scaled by the form's size */
	int32_t disp;   /* rip: filled in from target */
	uint64_t target;
};

struct operands {
	uint8_t reg;  /* ModRM.reg, 0..31 */
	uint8_t rm;   /* register operand */
	uint8_t vvvv; /* 0..31 */
	uint8_t aaa;  /* mask register */
	bool z;       /* zeroing */
	bool lock;
	bool rex;      /* a REX even when it carries no bit */
	uint8_t extra; /* meaningless prefix, or 0 */
	struct mem_operand mem;
	uint64_t imm;
};

/* ---- emit.c ---- */

/* Encode at @p for execution at @gva; the length (0: cannot be encoded). */
unsigned int emit_form(const struct form *f, const struct operands *o,
		       uint64_t gva, uint8_t *p);

/* ---- gen.c ---- */

/* Address the next byte will run at. */
uint32_t gen_gva(const struct gen *g);

/* Append one instruction given as bytes and follow what it does. */
void gen_bytes(struct gen *g, const void *bytes, unsigned int len);

/* Would it read or write an unknown address, or a frozen register? */
bool gen_acceptable(struct gen *g, const uint8_t *code, unsigned int len);

/* mov reg, imm (the shortest or a random form). */
void gen_load(struct gen *g, unsigned int reg, uint64_t val);

/* A register the generator may use up; never rsp nor frozen. */
unsigned int gen_free_reg(struct gen *g);

/* An address for an access of @size: mostly good, sometimes misaligned,
 * across pages, read-only or unmapped. */
uint64_t gen_address(struct gen *g, unsigned int size);

/* A memory operand that reaches @target with what is known now. */
void gen_mem_operand(struct gen *g, uint64_t target, struct mem_operand *m);

/* Some instructions of the block's profile, without control flow. */
void gen_filler(struct gen *g, unsigned int count);

/* True when another @count instructions of full length still fit. */
bool gen_room(const struct gen *g, unsigned int count);

/* What is known, set aside before a branch and joined where paths meet. */
struct gen_known {
	uint64_t val[16];
	uint16_t known;
};
void gen_save(const struct gen *g, struct gen_known *k);
void gen_join(struct gen *g, const struct gen_known *k);

/* Encode @f with @o (reg, vvvv and mask adjusted until it decodes) and append
 * it. False when no encoding was found or it is not acceptable. */
bool gen_form(struct gen *g, const struct form *f, struct operands *o);

/* Random register operands and immediate for @f; no memory operand. */
void gen_operands(struct gen *g, const struct form *f, struct operands *o);

/* Put @target's distance into the rel32 whose field ends at code offset. */
void gen_patch32(struct gen *g, unsigned int end, uint32_t target);

/* ---- templates: each appends a short sequence ---- */
typedef void gen_fn(struct gen *g);

/* gen_ctl.c */
gen_fn gen_jcc, gen_jmp, gen_call, gen_loop, gen_indirect, gen_far, gen_int;
/* gen_str.c */
gen_fn gen_string, gen_string_pair;
/* gen_sys.c */
gen_fn gen_div, gen_popf, gen_enter, gen_leave, gen_segment, gen_xsave,
	gen_x87_env, gen_mxcsr, gen_stack_switch, gen_long_insn, gen_bit_string;
/* gen_vec.c */
gen_fn gen_gather, gen_kmask;

#endif
