/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of instruction forms a block may use. It is not written down: the
 * opcode maps (legacy, VEX, EVEX) are walked at start with the decoder as
 * judge, so no family can be forgotten. A form is one opcode with one operand
 * size or vector length, taking a register or a memory operand.
 */
#ifndef DIFF_FORM_H
#define DIFF_FORM_H

#include <Zydis/Zydis.h>

#include "lib/util.h"

struct rng;

enum form_enc { ENC_LEGACY, ENC_VEX, ENC_EVEX };

enum form_rm { RM_NONE, RM_REG, RM_MEM, RM_VSIB, RM_MOFFS };

enum form_group {
	GROUP_INT, /* arithmetic, logic, moves, stack, bit manipulation */
	GROUP_X87,
	GROUP_MMX,
	GROUP_SSE,
	GROUP_AVX,    /* VEX */
	GROUP_AVX512, /* EVEX and mask registers */
	GROUP_CRYPTO, /* AES, CLMUL, SHA, GFNI */
	GROUP_ODD,    /* privileged here, or no instruction on this host */
	GROUP_COUNT
};

struct form {
	uint32_t id;       /* in order of discovery */
	uint16_t mnemonic; /* ZydisMnemonic */
	uint8_t enc;
	uint8_t map; /* 0 one-byte, 1 0F, 2 0F38, 3 0F3A, 5, 6 */
	uint8_t pp;  /* 0, 1 = 66, 2 = F3, 3 = F2 */
	uint8_t w;
	uint8_t l; /* vector length, or rounding when b is set */
	uint8_t b; /* EVEX broadcast, rounding */
	uint8_t opcode;
	int8_t reg; /* ModRM.reg when it is part of the opcode, else -1 */
	int8_t rm;  /* the same for ModRM.rm */
	uint8_t rm_kind;
	uint8_t imm;      /* bytes */
	uint8_t mem_size; /* bytes, 0: none or not known */
	bool mem_agen;    /* address only (LEA) */
	bool lockable;
	bool needs_mask; /* EVEX with k0 is not encodable */
	bool no_gpr;     /* touches no general register but in the address */
	uint8_t group;
};

/*
 * Build the list, once per process. Returns the number of forms or -ENOMEM.
 * Left out: control transfers, string instructions and whatever else gen_*.c
 * has a template for, and all that cannot give the same answer twice (time,
 * random numbers, CPUID, descriptor tables).
 */
int form_discover(void);

const struct form *form_get(unsigned int i);

/* Move a form that turned out to be #UD here to GROUP_ODD. */
void form_mark_odd(unsigned int i);

/* Group by group and mnemonic by mnemonic; after form_mark_odd() calls. */
void form_sort(void);

/* A form of @group, every mnemonic equally likely. NULL: group is empty. */
const struct form *form_pick(struct rng *r, enum form_group group);

#endif
