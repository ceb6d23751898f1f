/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest instruction as Zydis gives it, with what the translator adds.
 */
#ifndef ENGINE_DECODE_H
#define ENGINE_DECODE_H

#include <Zydis/Zydis.h>

#include "engine/internal.h"

/* How an instruction is translated (engine/insn.def). */
enum insn_class {
	K_COPY, /* as it is, memory operand rewritten */
	K_NOP,  /* nothing */
	K_CALL, /* C function, goes on behind it */
	K_END,  /* C function, ends the block */
	K_LEA,
	K_PUSH,
	K_POP,
	K_CALLN,
	K_RETN,
	K_JMP,
	K_JCC,
	K_LOOP,
	K_LEAVE,
	K_CLI,
	K_CLD,
	K_STD,
	K_SWAPGS,
	K_STSEG, /* MOV m16, Sreg */
	K_XCHG,
	K_MASKMOV, /* implicit [rDI] store */
	K_STRING,  /* one element of MOVS, STOS, LODS */
	K_PAUSE,
};

struct dinsn {
	ZydisDecodedInstruction in;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t bytes[16];
	uint64_t rip, next_rip;
	uint8_t cls;
	exec_fn *fn;
	/* arithmetic flags, RFLAGS bits */
	uint16_t reads, writes, kills, live_in, live_out, live_taken;
};

/*
 * Decode at most @len bytes as the guest's CPUID has it. 0, -EFAULT (more
 * bytes needed), -EINVAL (no such instruction), -ERANGE (too long).
 */
int decode_insn(const struct cpu *cpu, unsigned int bits, const uint8_t *bytes,
		unsigned int len, uint64_t rip, struct dinsn *d);

/* What raises the fault of bytes that decode_insn() refuses. */
exec_fn *decode_refusal(int err);

/* Class, exec function, flags; applies the guest's CPUID and mode gates. */
void decode_classify(struct cpu *cpu, uint64_t mode, struct dinsn *d);

/* engine/translate.c: nothing of a block comes behind @d. */
bool trans_ends_block(const struct dinsn *d, uint64_t mode);

/* Guest register number and size in bytes; false: not general purpose. */
bool decode_gpr(ZydisRegister r, unsigned int *num, unsigned int *size,
		bool *high);

/* The plain memory operand, or NULL. */
const ZydisDecodedOperand *decode_mem(const struct dinsn *d);
bool decode_rip_rel(const ZydisDecodedOperand *op); /* of a memory operand */
void decode_memref(const struct dinsn *d, const ZydisDecodedOperand *op,
		   struct memref *m);

/* The access is locked, by a prefix or, with XCHG, by itself. */
bool decode_locks(const struct dinsn *d);

/* What it does to memory, for the counters. */
enum retired_mem decode_touches(const struct dinsn *d);

/* How the plain memory operand is masked, and the alignment it must have. */
void decode_access(const struct dinsn *d, struct mem_rule *out);

/* engine/strop.c: a string instruction that needs no C function. */
bool strop_inline(uint64_t mode, const struct dinsn *d);

/* For exec_*: operands in our own form. */
void decode_to_insn(const struct dinsn *d, unsigned int stack_bits,
		    struct insn *out);

#endif
