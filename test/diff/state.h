/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a block starts from and what it leaves behind. Both come as one struct
 * so that two runs compare by comparing two of them.
 */
#ifndef DIFF_STATE_H
#define DIFF_STATE_H

#include "lib/util.h"
#include "test/diff/layout.h"

#define XSAVE_SIZE 4096 /* x87 to AVX-512 need 2432 on hosts of today */
#define BLOCK_MAX  1024 /* bytes of code */
#define INSN_MAX   96

struct state {
	uint64_t gpr[16]; /* in encoding order: rax rcx rdx rbx rsp ... */
	uint64_t rip;     /* entry; on the way out only after a fault */
	uint64_t rflags;
	uint64_t fs_base;
	uint64_t gs_base;
	uint32_t vector; /* VECTOR_DONE, VECTOR_ENDLESS or the exception */
	uint32_t error;  /* its error code, 0 when it has none */
	uint64_t cr2;    /* of a page fault, else 0 */
	uint8_t xsave[XSAVE_SIZE] __attribute__((aligned(64)));
};

/* The writable pages. */
struct memory {
	uint8_t data[DATA_SIZE];
	uint8_t stack[STACK_SIZE];
} __attribute__((aligned(64)));

struct outcome {
	struct state st;
	struct memory mem;
};

/* A block: its bytes, where they lie, and where each instruction starts. */
struct block {
	uint64_t seed; /* of code, state and memory */
	uint32_t gva;
	uint16_t size; /* without the jump to RET_GVA */
	uint16_t count;
	uint16_t start[INSN_MAX];
	uint8_t len[INSN_MAX];
	uint8_t code[BLOCK_MAX];
};

/* xorshift64*: small, fast, good enough to pick instructions. */
struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * 0x2545f4914f6cdd1dULL;
}

/* 0..n-1 */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (rng_next(r) >> 32) * n >> 32;
}

/* True in @percent of 100 calls. */
static inline bool rng_chance(struct rng *r, unsigned int percent)
{
	return rng_below(r, 100) < percent;
}

static inline void rng_seed(struct rng *r, uint64_t seed)
{
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9ULL;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111ebULL;
	r->s = (seed ^ seed >> 31) | 1;
	rng_next(r);
}

/* ---- init.c ---- */

/* Build the pools of operand values; once per process. */
void init_pools(void);

/* The state and memory that belong to @seed. Pointers, small numbers and
 * random values are mixed; xsave is a whole standard-format image. */
void init_state(uint64_t seed, struct state *st);

/* Only the general registers, flags and bases of it. */
void init_gprs(uint64_t seed, struct state *st);
void init_memory(uint64_t seed, struct memory *mem);

/* The read-only page, the same for every block. */
void init_readonly(uint8_t *page);

/* ---- compare.c ---- */

/* XSAVE components compared: x87 SSE AVX and AVX-512, as the host has them. */
uint64_t xstate_mask(void);

/* Bring an image into the form compared: init values where XSTATE_BV says
 * so, instruction and data pointers of the x87 cleared. */
void xstate_normalise(uint8_t *xsave);

/* Do not compare the arithmetic flags of faults from here on. */
void outcome_loose_flags(void);
/* Bits of a page fault that the host does not tell. */
void fault_normalise(struct state *st);

bool outcome_equal(const struct outcome *a, const struct outcome *b);

/* Which kinds of things differ, one bit each. */
unsigned int outcome_signature(const struct outcome *a,
			       const struct outcome *b);

/* Print what differs, one line per register or run of bytes. */
void outcome_diff(const struct outcome *in, const struct outcome *native,
		  const struct outcome *guest);

/* Print the instructions of a block, NOPs left out. */
void block_print(const struct block *b);

const char *gpr_name(unsigned int reg);

#endif
