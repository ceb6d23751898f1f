/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The performance counters of the models.
 */
#ifndef VMM_CPU_PMU_H
#define VMM_CPU_PMU_H

#include "vmm/cpu/def.h"

/* Counters that leaf 80000022H has of AMD's models. */
#define CPU_PMU_AMD 6

/* Leaf 0AH of one of Intel's models; zeros where it has none. */
void cpu_pmu_leaf(const struct cpu_def *def, uint32_t out[4]);

#endif
