/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed pieces of host code, and what they hand over.
 */
#ifndef ENGINE_STUBS_H
#define ENGINE_STUBS_H

#include "engine/internal.h"

void stubs_emit(struct engine *engine);
uint64_t engine_mem_slow(struct cpu *cpu, uint64_t gva, const uint8_t *meta);

/* engine/spin.c: after SPIN_WINDOW PAUSEs */
#define SPIN_WINDOW 64u
void spin_pause(struct cpu *cpu);

/* What a cold memory stub hands to engine_mem_slow(). */
struct mem_meta {
	uint64_t rip;
	uint16_t size;
	uint8_t acc;
	struct mem_rule rule;
	struct tally left;
	uint8_t pad[3];
} __attribute__((packed));
_Static_assert(sizeof(struct mem_meta) == 24, "stub_mem steps over it");

#endif
