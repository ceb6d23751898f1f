/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and unmaking what a processor owns besides its struct: MSR slots,
 * CPUID table, vector state.
 */
#ifndef CPU_RESET_H
#define CPU_RESET_H

#include "cpu/cpu.h"

/* -ENOMEM. Before the first cpu_reset(). */
int cpu_state_create(struct cpu *cpu) __must_check;
void cpu_state_destroy(struct cpu *cpu);

#endif
