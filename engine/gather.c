/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gather and scatter: one access an element, indices and masks in vector
 * registers.
 */
#include "engine/exec.h"

int exec_gather(struct cpu *cpu, const struct insn *i)
{
	cpu_internal_error(cpu, 1, cpu->rip);
}
