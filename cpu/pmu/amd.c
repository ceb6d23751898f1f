/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD's counters: four of old, six with the core extension, which are pairs
 * of registers that overlay the old ones, and PerfMonV2's global registers.
 * APM 2 "Performance Monitoring Counters", APM 3 appendix E leaf 80000022H,
 * PPR of the families for events. Reserved bits are dropped, not refused.
 */
#include "cpu/pmu/priv.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "x86/msr.h"

#define LEGACY       4
#define SEL_RESERVED 0xfffffff000280000ULL

void amd_refresh(struct cpu *cpu, struct pmu *p)
{
	const struct cpuid_entry *e = cpuid_lookup(cpu, CPUID_EXT_PMU, 0);
	unsigned int family, model;

	pmu_family(cpu, &family, &model);
	p->events = family >= 0x19   ? EVENTS_ZEN3
		    : family >= 0x17 ? EVENTS_ZEN
				     : EVENTS_K8;
	p->version = 1;
	p->ngp = cpu_has(cpu, FEAT_PERFCTR_CORE) ? PMU_GP_AMD : LEGACY;
	if (e && e->eax & 1) {
		p->version = 2;
		p->ngp = MIN(e->ebx & 15, PMU_GP_AMD);
		p->global_ok = BIT64(p->ngp) - 1;
		p->status_ok = p->global_ok;
	}
	for (unsigned int i = 0; i < p->ngp; i++)
		p->pmc[i].mask = BIT64(PMU_WIDTH) - 1;
}

/* LS Dispatch, by its unit mask; nothing is dispatched but what retires. */
static const uint8_t accesses[8] = {
	COUNT_NONE, COUNT_LD,    COUNT_ST,     COUNT_LD_ST,
	COUNT_RMW,  COUNT_LOADS, COUNT_STORES, COUNT_ACCESS,
};

/* Events without unit masks: hardware does not look at theirs. */
enum count_class amd_event(const struct pmu *p, uint64_t sel)
{
	unsigned int code = (sel & 0xff) | (sel >> 24 & 0xf00);
	bool zen = p->events != EVENTS_K8;
	enum count_class what = COUNT_NONE;

	switch (code) {
	case 0x029: what = zen ? accesses[sel >> 8 & 7] : COUNT_NONE; break;
	case 0x02c: what = zen ? COUNT_IRQ : COUNT_NONE; break;
	case 0x076: what = COUNT_TIME; break;
	case 0x0c0: what = COUNT_INSN; break;
	case 0x0c2: what = COUNT_BRANCH; break;
	case 0x0c4: what = COUNT_TAKEN; break;
	case 0x0c6: what = COUNT_FAR; break;
	case 0x0c8: what = COUNT_RET; break;
	case 0x0cc:
		what = p->events == EVENTS_ZEN3 ? COUNT_INDIRECT : COUNT_NONE;
		break;
	case 0x0cf: what = zen ? COUNT_NONE : COUNT_IRQ; break;
	case 0x0d1: what = zen ? COUNT_COND : COUNT_NONE; break;
	case 0x120: what = zen ? COUNT_TIME : COUNT_NONE; break;
	default: break;
	}
	return pmu_modify(sel, what);
}

struct pmc *amd_rdpmc(struct pmu *p, uint32_t ecx)
{
	return ecx < p->ngp ? &p->pmc[ecx] : NULL;
}

/* The counter of a register; @sel: it is the event select of it. */
static struct pmc *counter(struct cpu *cpu, uint32_t index, bool *sel)
{
	struct pmu *p = cpu->pmu;
	uint32_t off = index - MSR_F15_PERF_CTL0;

	if (index - MSR_K7_EVNTSEL0 < 2 * LEGACY) {
		off = index - MSR_K7_EVNTSEL0;
		*sel = off < LEGACY;
		return &p->pmc[off % LEGACY];
	}
	*sel = !(off & 1);
	if (off / 2 >= p->ngp)
		return NULL;
	if (!cpu_has(cpu, FEAT_PERFCTR_CORE) && !pmu_global(p))
		return NULL;
	return &p->pmc[off / 2];
}

static int global_get(const struct pmu *p, uint32_t index, uint64_t *val)
{
	if (!pmu_global(p))
		return -ENXIO;
	if (index == MSR_AMD_GLOBAL_STATUS)
		*val = p->global_status;
	else if (index == MSR_AMD_GLOBAL_CTL)
		*val = p->global_ctrl;
	return 0;
}

int amd_get(struct cpu *cpu, uint32_t index, uint64_t *val)
{
	struct pmc *c;
	bool sel;

	if (index - MSR_AMD_GLOBAL_STATUS < 4) {
		if (index == MSR_AMD_GLOBAL_STATUS)
			pmu_overflow(cpu);
		return global_get(cpu->pmu, index, val);
	}
	c = counter(cpu, index, &sel);
	if (!c)
		return -ENXIO;
	*val = sel ? c->sel : pmu_peek(cpu, c);
	return 0;
}

static int global_set(struct pmu *p, uint32_t index, uint64_t val, bool host)
{
	if (!pmu_global(p))
		return -ENXIO;
	switch (index) {
	case MSR_AMD_GLOBAL_STATUS:
		if (!host)
			return 0;
		if (val & ~p->status_ok)
			return -EINVAL;
		p->global_status = val;
		return 0;
	case MSR_AMD_GLOBAL_CTL: p->global_ctrl = val & p->global_ok; return 0;
	case MSR_AMD_GLOBAL_CLR:
		if (!host)
			p->global_status &= ~val;
		return 0;
	default: /* STATUS_SET */
		if (!host)
			p->global_status |= val & p->global_ok;
		return 0;
	}
}

int amd_set(struct cpu *cpu, uint32_t index, uint64_t val, bool host)
{
	struct pmc *c;
	bool sel;

	if (index - MSR_AMD_GLOBAL_STATUS < 4)
		return global_set(cpu->pmu, index, val, host);
	c = counter(cpu, index, &sel);
	if (!c)
		return -ENXIO;
	if (sel)
		c->sel = val & ~SEL_RESERVED;
	else
		c->value = val & c->mask;
	return 0;
}
