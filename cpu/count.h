/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a processor counts for its performance monitoring unit (cpu/pmu): the
 * classes that events of both vendors are made of. Translated code adds to
 * the first ones where its mode word asks for them.
 */
#ifndef CPU_COUNT_H
#define CPU_COUNT_H

#include "lib/util.h"

enum count_class {
	COUNT_INSN,   /* instructions retired */
	COUNT_BRANCH, /* branches of every kind */
	COUNT_COND,   /* Jcc, JrCXZ, LOOP */
	COUNT_TAKEN,  /* taken branches */
	COUNT_COND_TAKEN,
	COUNT_COND_NTAKEN,
	COUNT_CALL,     /* near calls */
	COUNT_RET,      /* near returns */
	COUNT_INDIRECT, /* near jumps and calls by register or memory */

	/* memory: all of them in translated code, or none (MODE_COUNT_MEM) */
	COUNT_LOADS,  /* instructions that load */
	COUNT_STORES, /* that store */
	COUNT_MEM,    /* that do either */
	COUNT_LD,     /* loads, but of those that store there as well */
	COUNT_ST,     /* stores, likewise */
	COUNT_LD_ST,  /* both: two of an instruction that copies */
	COUNT_RMW,    /* a load and a store at the same place */
	COUNT_ACCESS, /* the sum of the last two */
	COUNT_INLINE, /* up to here: by translated code, too */

	COUNT_FAR = COUNT_INLINE, /* far transfers */
	COUNT_IRQ,                /* external interrupts taken */
	COUNT_CLASSES,

	COUNT_RING = COUNT_CLASSES, /* entries to a privilege level */
	COUNT_TIME,                 /* ticks of the TSC in the guest */
	COUNT_NONE,
};

/* Which classes one more retired instruction belongs to. */
enum retired {
	RETIRED_PLAIN,
	RETIRED_COND, /* taken or not is added apart */
	RETIRED_JMP,
	RETIRED_JMP_INDIRECT,
	RETIRED_CALL,
	RETIRED_CALL_INDIRECT,
	RETIRED_RET,
	RETIRED_FAR,
	/* no instruction, but what became of a RETIRED_COND */
	RETIRED_COND_TAKEN,
	RETIRED_COND_NTAKEN,
};

/* What it does to memory (cpu/pmu/pmu.h). */
enum retired_mem {
	RETIRED_NO_MEM,
	RETIRED_LOAD,
	RETIRED_STORE,
	RETIRED_UPDATE, /* load and store of one operand */
	RETIRED_COPY,   /* of different ones */
};

/*
 * A run of instructions: how many, and what the last of them is; the others
 * are neither branches nor, where memory is counted, accesses.
 */
struct tally {
	uint8_t n;
	uint8_t kind; /* enum retired */
	uint8_t mem;  /* enum retired_mem */
};

/* More than a block of translated code counts at a time. */
#define COUNT_NEAR 64

#define COUNT_INLINE_MASK (BIT(COUNT_INLINE) - 1)
#define COUNT_MEM_MASK    (COUNT_INLINE_MASK & ~(BIT(COUNT_LOADS) - 1))
#define COUNT_NEAR_JUMP   (BIT(COUNT_INSN) | BIT(COUNT_BRANCH) | BIT(COUNT_TAKEN))

/* Near kinds only; of far ones the vendors have different views. */
static inline uint32_t count_classes(enum retired kind)
{
	static const uint32_t classes[] = {
		[RETIRED_PLAIN] = BIT(COUNT_INSN),
		[RETIRED_COND] = BIT(COUNT_INSN) | BIT(COUNT_BRANCH) |
				 BIT(COUNT_COND),
		[RETIRED_JMP] = COUNT_NEAR_JUMP,
		[RETIRED_JMP_INDIRECT] = COUNT_NEAR_JUMP | BIT(COUNT_INDIRECT),
		[RETIRED_CALL] = COUNT_NEAR_JUMP | BIT(COUNT_CALL),
		[RETIRED_CALL_INDIRECT] = COUNT_NEAR_JUMP | BIT(COUNT_CALL) |
					  BIT(COUNT_INDIRECT),
		[RETIRED_RET] = COUNT_NEAR_JUMP | BIT(COUNT_RET),
		[RETIRED_FAR] = BIT(COUNT_INSN) | BIT(COUNT_BRANCH) |
				BIT(COUNT_FAR),
		[RETIRED_COND_TAKEN] = BIT(COUNT_TAKEN) | BIT(COUNT_COND_TAKEN),
		[RETIRED_COND_NTAKEN] = BIT(COUNT_COND_NTAKEN),
	};

	return classes[kind];
}

/* How much it adds to a class of memory. */
static inline unsigned int count_mem(enum retired_mem mem,
				     enum count_class class)
{
	static const uint8_t add[][COUNT_INLINE - COUNT_LOADS] = {
		/* LOADS STORES MEM LD ST LD_ST RMW ACCESS */
		[RETIRED_NO_MEM] = {0, 0, 0, 0, 0, 0, 0, 0},
		[RETIRED_LOAD] = {1, 0, 1, 1, 0, 1, 0, 1},
		[RETIRED_STORE] = {0, 1, 1, 0, 1, 1, 0, 1},
		[RETIRED_UPDATE] = {1, 1, 1, 0, 0, 0, 1, 1},
		[RETIRED_COPY] = {1, 1, 1, 1, 1, 2, 0, 2},
	};

	return add[mem][class - COUNT_LOADS];
}

/* How much the last one of a tally adds to any class. */
static inline unsigned int count_last(const struct tally *y,
				      enum count_class class)
{
	if (BIT(class) & COUNT_MEM_MASK)
		return count_mem(y->mem, class);
	return count_classes(y->kind) >> class & 1;
}

#endif
