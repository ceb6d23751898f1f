/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What translated code assumes, derived from the architectural state.
 * SDM 3A "Modes of Operation" (2.2), "Segment Limit Checking" (5.3).
 */
#include "cpu/mode.h"

#include "cpu/debug.h"
#include "cpu/pmu/pmu.h"
#include "cpu/tlb.h"
#include "x86/regs.h"

#define SEG_FLAT_ATTR (SEG_ATTR_P | SEG_ATTR_S)

/* First offset past the segment; 0 sends every access to the slow path. */
static uint64_t expand_up_limit(const struct segment *s)
{
	if (s->attr & SEG_ATTR_UNUSABLE || !(s->attr & SEG_ATTR_P))
		return 0;
	if (!(s->attr & 8) && s->attr & 4)
		return 0; /* expand-down: checked in C */
	return (uint64_t)s->limit + 1;
}

void cpu_segment_derive(struct cpu *cpu, enum cpu_seg seg)
{
	struct segment *s = &cpu->seg[seg];
	bool code = s->attr & 8, rw = s->attr & 2;
	uint64_t lim = expand_up_limit(s);

	if (!cpu_protected(cpu) || cpu_v8086(cpu)) {
		s->lim_r = s->lim_w = (uint64_t)s->limit + 1;
		return;
	}
	s->lim_r = code && !rw ? 0 : lim;
	s->lim_w = code || !rw ? 0 : lim;
}

static bool segment_flat(const struct cpu *cpu, enum cpu_seg seg)
{
	const struct segment *s = &cpu->seg[seg];
	uint64_t lim = seg == SEG_CS ? expand_up_limit(s)
				     : MIN(s->lim_r, s->lim_w);

	return s->base == 0 && lim == 1ULL << 32;
}

static uint64_t fpu_mode(const struct cpu *cpu)
{
	uint64_t m = 0;

	if (cpu->cr0 & CR0_EM)
		m |= MODE_EM;
	if (cpu->cr0 & CR0_TS)
		m |= MODE_TS;
	if (cpu->cr0 & CR0_MP)
		m |= MODE_MP;
	if (cpu->cr4 & CR4_OSFXSR)
		m |= MODE_FXSR;
	if (cpu->cr4 & CR4_OSXSAVE && (cpu->xcr0 & 6) == 6) {
		m |= MODE_AVX;
		if ((cpu->xcr0 & 0xe6) == 0xe6)
			m |= MODE_AVX512;
	}
	return m;
}

static void derive_code_bits(struct cpu *cpu)
{
	const struct segment *cs = &cpu->seg[SEG_CS];

	if (cpu_long_mode(cpu) && cs->attr & SEG_ATTR_L)
		cpu->code_bits = 64;
	else
		cpu->code_bits = cs->attr & SEG_ATTR_DB ? 32 : 16;
	if (!cpu_protected(cpu))
		cpu->cpl = 0;
	else if (cpu_v8086(cpu))
		cpu->cpl = 3;
	else
		cpu->cpl = (cpu->seg[SEG_SS].attr & SEG_ATTR_DPL) >> 5;
}

static uint64_t debug_mode(struct cpu *cpu)
{
	const struct cpu_breaks *b = &cpu->breaks;
	uint64_t m = cpu->rflags_sys & RFLAGS_TF ? MODE_ONE : 0;

	if (likely(!(cpu->dr7 & 0xff) && !cpu->guest_debug &&
		   !(b->exec | b->data | b->io)))
		return m;
	debug_derive(cpu);
	if (b->exec || cpu->guest_debug & DEBUG_STEP)
		m |= MODE_ONE;
	if (b->data || b->io)
		m |= MODE_WATCH;
	return m;
}

/*
 * Classes for translated code to count. Where one of them is close to its end,
 * single steps find the instruction it is reached at.
 */
static uint64_t count_mode(struct cpu *cpu)
{
	uint32_t left;
	uint64_t m;

	pmu_privilege(cpu);
	m = (uint64_t)(cpu->count_on & MODE_CLASSES) << MODE_COUNT_SHIFT;
	if (cpu->count_on & COUNT_MEM_MASK)
		m |= MODE_COUNT_MEM;
	left = cpu->count_armed & COUNT_INLINE_MASK;
	for (; left; left &= left - 1)
		if (cpu->count[__builtin_ctz(left)] >= -COUNT_NEAR)
			m |= MODE_ONE;
	return m;
}

void cpu_update_mode(struct cpu *cpu)
{
	uint64_t m;

	derive_code_bits(cpu);
	m = cpu->cpl | fpu_mode(cpu) | MODE_CPUID(cpu->cpuid_id);
	if (cpu_long_mode(cpu))
		m |= MODE_LMA;
	if (cpu->code_bits == 64) {
		m |= MODE_L | MODE_SSB | MODE_FLAT;
	} else {
		if (cpu->code_bits == 32)
			m |= MODE_D;
		if (cpu->seg[SEG_SS].attr & SEG_ATTR_DB)
			m |= MODE_SSB;
		if (segment_flat(cpu, SEG_CS) && segment_flat(cpu, SEG_DS) &&
		    segment_flat(cpu, SEG_ES) && segment_flat(cpu, SEG_SS))
			m |= MODE_FLAT;
	}
	if (cpu_protected(cpu))
		m |= MODE_PE;
	if (cpu_v8086(cpu))
		m |= MODE_VM;
	if (cpu->dflag)
		m |= MODE_DF;
	m |= debug_mode(cpu);
	if (cpu->bus_lock_exits)
		m |= MODE_BUS_LOCK;
	if (cpu->cpl <= cpu_iopl(cpu) && !cpu_v8086(cpu))
		m |= MODE_IOPL_OK;
	if (cpu->cpl != 3 && cpu->cr4 & CR4_SMAP && cpu->acflag)
		m |= MODE_AC;
	if (unlikely(cpu->pmu_on))
		m |= count_mode(cpu);
	cpu->view = mode_view(m);
	cpu->mode = m;
	cpu->mode_dirty = false;
}
