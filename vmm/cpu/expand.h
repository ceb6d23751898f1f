/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from a CPU's features once all have been said: others that
 * need them go, limits rise, states appear, and what the accelerator lacks
 * is taken out.
 */
#ifndef VMM_CPU_EXPAND_H
#define VMM_CPU_EXPAND_H

#include "vmm/cpu/def.h"

/* The bits of leaf 1 EDX that AMD repeats in leaf 0x80000001. */
#define EXPAND_AMD_ALIASES 0x0183f3ffu

/* Features of the topology, dependencies, levels, extended states. */
void expand_features(struct cpu_def *def);

/* Take out what @accel lacks; it goes into def->missing. */
void expand_filter(struct cpu_def *def, const struct cpu_accel *accel);

/* Make those copies, on AMD's CPUs only. */
void expand_amd_aliases(struct cpu_def *def);

#endif
