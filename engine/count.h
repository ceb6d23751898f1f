/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting for the performance monitoring unit: the translator's part and
 * that of instructions done in C.
 */
#ifndef ENGINE_COUNT_H
#define ENGINE_COUNT_H

#include "engine/decode.h"
#include "engine/exec.h"

struct bounce_code;

/* At the entry of a block of @n instructions; t->rip is its first. */
void count_entry(struct trans *t, const struct dinsn *d, unsigned int n);
/* Before the instruction @d, which has one before and is one of @n left. */
void count_next(struct trans *t, const struct dinsn *d, unsigned int n);
/* Behind the last, where control falls through. */
void count_end(struct trans *t, const struct dinsn *last);

/* On the edge of a conditional branch to @target; t->d is the branch. */
void count_taken(struct trans *t, uint64_t target);
bool count_wants_taken(const struct trans *t);

/* Take back, on the way out; flags are not kept. */
void count_undo(struct trans *t, const struct tally *y);
/* Where an addition of emit_point() carried. */
void count_cold(struct trans *t, const struct cold *c);

/* A C function has done the instruction; @jumped: it set rip. */
void count_function(struct cpu *cpu, const struct insn_call *c, bool jumped);
void count_bounced(struct cpu *cpu, const struct bounce_code *bc);

#endif
