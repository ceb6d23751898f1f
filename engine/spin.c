/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PAUSE in a loop. Processors have pause-loop exiting for it: so many cycles
 * of PAUSEs that come one after another make an exit, and KVM gives the time
 * to a vCPU that has no processor. Here translated code counts them, and the
 * thread yields.
 */
#include "engine/stubs.h"

#include <sys/syscall.h>

/*
 * A PAUSE takes up to 140 cycles, a loop around it some more, with a miss of
 * the caches in each: what is slower does not only wait.
 */
#define CYCLES_EACH 1024u

static uint64_t now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* Vector registers are the guest's: no library. */
static void yield(void)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_sched_yield)
			 : "rcx", "r11", "memory");
}

void spin_pause(struct cpu *cpu)
{
	uint64_t since = cpu->spin_since;

	cpu->spin_left = SPIN_WINDOW - 1;
	cpu->spin_since = now();
	if (cpu->spin_since - since > SPIN_WINDOW * CYCLES_EACH ||
	    cpu->engine->ncpus < 2 || cpu->pause_in_guest)
		return;
	yield();
	cpu->stat[CPU_STAT_SPIN]++;
	cpu->spin_since = now();
}
