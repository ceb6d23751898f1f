/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The performance monitoring unit of one processor: counters, their rules by
 * vendor and version, and when they overflow. Intel: SDM 3B "Performance
 * Monitoring"; AMD: APM 2 "Performance Monitoring Counters", PPR "Core
 * Performance Monitor Counters".
 *
 * Counts are exact: each retired instruction is counted once, at the
 * privilege level it began at. Translated code and count_*() add to
 * cpu->count[]; a counter is brought up to date ("settled") when somebody
 * looks, when privilege changes and when it overflows. cpu->count[c] is
 * negative as long as no counter of its class that wants an interrupt has
 * overflowed, so that an addition carries exactly then.
 *
 * Accesses to memory are counted by instruction, as its operands are read and
 * written by what the manuals list for it: the explicit ones, those of string
 * instructions and XLAT, and the stack's of PUSH, POP, CALL, RET, IRET, ENTER
 * and LEAVE. Of each instruction once, however wide the access is and however
 * often REP repeats it, and also where it turns out to access nothing (REP
 * with a count of 0, CMOV, a mask of zeros, a CMPXCHG that fails). One operand
 * that is loaded and stored (ADD to memory, XCHG, CMPXCHG) is an update; an
 * instruction that loads from one place and stores to another (PUSH and POP of
 * memory, an indirect CALL through memory, MOVS) is a load and a store. Not
 * accesses: LEA, NOP, prefetches, what writes cache lines back, the tables of
 * pages and descriptors, frames of interrupts, exceptions and INT.
 *
 *   Intel MEM_INST_RETIRED  81H loads, 82H stores, 83H either; updates count
 *                           for both of the former and once for the latter
 *   AMD LS Dispatch         1 loads, 2 stores, 4 updates, each by itself;
 *                           what unit masks are combined is added up
 *
 * Cycles and reference cycles are ticks of the guest's TSC between entry to
 * and exit from guest code. An event that cannot be counted truthfully (caches,
 * mispredictions) counts nothing.
 */
#ifndef CPU_PMU_PMU_H
#define CPU_PMU_PMU_H

#include "cpu/cpu.h"

#define PMU_VERSION      5 /* of Intel's architectural unit, the highest */
#define PMU_GP           8 /* general counters, Intel */
#define PMU_GP_AMD       6 /* core extension counters */
#define PMU_FIXED        3
#define PMU_WIDTH        48        /* bits of a counter */
#define PMU_EVENTS       8         /* Intel's architectural ones */
#define PMU_NO_EVENTS    0xd8      /* of them: caches, mispredictions, slots */
#define PMU_NO_ANYTHREAD BIT(15)   /* leaf 0AH EDX */
#define PMU_FW_WRITE     BIT64(13) /* in PERF_CAPABILITIES */

/*
 * KVM_SET_PMU_EVENT_FILTER, in the masked form: event select in bits 0-7 and
 * 32-35, value of the unit mask in 8-15, exclude in 55, its mask in 56-63.
 */
struct pmu_filter {
	bool deny;      /* listed ones; else only listed ones are allowed */
	uint32_t fixed; /* bitmap of fixed counters that are listed */
	unsigned int count;
	uint64_t event[];
};

#define PMU_FILTER_EXCLUDE BIT64(55)
/* Bits of an event select register that name the event. */
#define PMU_EVENT_INTEL    0xffULL
#define PMU_EVENT_AMD      (0xffULL | 0xfULL << 32)

int pmu_init(struct cpu *cpu) __must_check;
void pmu_fini(struct cpu *cpu);

/* Power-on, or CPUID or cpu->no_pmu changed. INIT leaves the unit alone. */
void pmu_reset(struct cpu *cpu);

/* cpu->pmu_filter changed, or DEBUGCTL. */
void pmu_rederive(struct cpu *cpu);

/*
 * Registers, as msr_get() and msr_set(). Absent ones are -ENXIO for a guest
 * (but those of old processors which read as 0 and ignore writes); the client
 * reads 0 and may write 0.
 */
int pmu_get(struct cpu *cpu, uint32_t index, uint64_t *val,
	    bool host) __must_check;
int pmu_set(struct cpu *cpu, uint32_t index, uint64_t val,
	    bool host) __must_check;

/* RDPMC with this ECX: 0, or -EINVAL for #GP. */
int pmu_rdpmc(struct cpu *cpu, uint32_t ecx, uint64_t *val) __must_check;

/* DEBUGCTL.FREEZE_PERFMON_ON_PMI exists. */
bool pmu_can_freeze(const struct cpu *cpu);

/* ---- count.c: the engine's side; nothing here looks at CPUID ---- */

/* The privilege level is another one: cpu_update_mode() calls it. */
void pmu_privilege(struct cpu *cpu);

/* A class in cpu->count_armed may have reached its end: see to it. */
void pmu_overflow(struct cpu *cpu);

/* True when one of them has. */
static inline bool pmu_hit(const struct cpu *cpu)
{
	uint32_t left = cpu->count_armed;

	for (; left; left &= left - 1)
		if (cpu->count[__builtin_ctz(left)] >= 0)
			return true;
	return false;
}

/* Guest code begins or ends to run: time. */
void pmu_clock(struct cpu *cpu, bool on);

/* Ticks of guest time until a counter of time overflows; UINT64_MAX: none. */
uint64_t pmu_deadline(const struct cpu *cpu);

/*
 * A C function retired an instruction. Branches taken tell so; for AMD far
 * transfers are taken branches as well.
 */
void pmu_retire(struct cpu *cpu, enum retired kind, bool taken);

/* An interrupt or exception was taken: branches in AMD's view. */
void pmu_event(struct cpu *cpu, bool irq);

/* It had memory operands. */
void pmu_retire_mem(struct cpu *cpu, enum retired_mem mem);

/*
 * Translated code has counted ahead what it did not come to: take that back
 * (@sign -1), or give it again (1).
 */
void pmu_unretire(struct cpu *cpu, const struct tally *y, int sign);

static inline void count_retire(struct cpu *cpu, enum retired kind, bool taken)
{
	if (unlikely(cpu->count_on))
		pmu_retire(cpu, kind, taken);
}

static inline void count_retire_mem(struct cpu *cpu, enum retired_mem mem)
{
	if (unlikely(cpu->count_on & COUNT_MEM_MASK) && mem)
		pmu_retire_mem(cpu, mem);
}

#endif
