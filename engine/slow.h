/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that need more than translated code has inlined: one at a time
 * on bounce buffers, and C functions that meet MMIO.
 */
#ifndef ENGINE_SLOW_H
#define ENGINE_SLOW_H

#include "engine/internal.h"

/* One instruction on bounce buffers, in the cpu's own part of code memory. */
#define BOUNCE_CODE_SIZE 2048
#define BOUNCE_SLOTS     8 /* recent ones that are kept */
#define BOUNCE_CPU_SIZE  (BOUNCE_SLOTS * BOUNCE_CODE_SIZE)
struct bounce_code {
	uint8_t cls;
	bool lock;
	bool general; /* touches no vector or x87 register */
	exec_fn *fn;
	struct insn insn;
	void *entry;
	struct bounce_ref refs[MAX_BOUNCE];
	unsigned int nrefs;
};
int translate_bounce(struct cpu *cpu, const uint8_t *bytes, unsigned int len,
		     unsigned int slot, struct bounce_code *out);

int slow_init(struct cpu *cpu);
void slow_fini(struct cpu *cpu);

/* At cpu->rip; may raise or exit. Non-NULL: this C function does it all. */
struct insn_call *slow_start(struct cpu *cpu);
/* One iteration of a string instruction. */
void slow_string(struct cpu *cpu, const struct insn *i);
/* What slow_resume() will do wants the guest's vector registers. */
bool slow_needs_vectors(const struct cpu *cpu);
/* After CPU_EXIT_MMIO. Non-NULL: this C function has to run again. */
const struct insn_call *slow_resume(struct cpu *cpu);
void slow_drop(struct cpu *cpu);
/* A C function, or the rest of a port access, that may reach MMIO. */
int slow_exec(struct cpu *cpu, const struct insn_call *c);
int slow_io_complete(struct cpu *cpu);
/* The instruction is over and rip is set: stores to MMIO may leave now. */
void slow_drain(struct cpu *cpu);
/* cpu_code_ops.mmio */
void slow_mmio(struct cpu *cpu);
/* A C function was left by a fault or an exit. */
void slow_left(struct cpu *cpu);
/* Client memory was not there: give up, with the exclusive section. */
void slow_abort(struct cpu *cpu);

#endif
