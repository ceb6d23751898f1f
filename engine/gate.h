/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest may not execute now: its CPUID does not offer it, or the
 * FPU or vector state is disabled.
 */
#ifndef ENGINE_GATE_H
#define ENGINE_GATE_H

#include "engine/decode.h"

/* Turn @d into a fault (class K_END, exec_ud or exec_nm) where refused. */
void gate_insn(struct cpu *cpu, uint64_t mode, struct dinsn *d);

/* engine/isa.c: the guest's CPUID has what @d belongs to. */
bool isa_offered(const struct cpu *cpu, uint64_t mode, const struct dinsn *d);

#endif
