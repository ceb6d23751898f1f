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
	COUNT_INLINE,   /* up to here: by translated code, too */

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
};

/* More than a block of translated code counts at a time. */
#define COUNT_NEAR 64

#define COUNT_INLINE_MASK (BIT(COUNT_INLINE) - 1)
#define COUNT_NEAR_JUMP   (BIT(COUNT_INSN) | BIT(COUNT_BRANCH) | BIT(COUNT_TAKEN))

/* Near kinds only; of far ones the vendors have different views. */
static inline uint32_t count_classes(enum retired kind)
{
	static const uint16_t classes[] = {
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
	};

	return classes[kind];
}

#endif
