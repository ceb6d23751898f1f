/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit as both vendors have it: life, the global registers, who may count
 * what. Rules of KVM where it takes a side: AMD's registers drop bits that
 * Intel's refuse, STATUS_CLR and STATUS_SET do nothing for the client.
 */
#include "cpu/pmu/pmu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/pmu/priv.h"
#include "x86/msr.h"

/* No processor retires so many events in one cycle. */
#define CMASK_ALWAYS 16

void pmu_family(const struct cpu *cpu, unsigned int *family,
		unsigned int *model)
{
	const struct cpuid_entry *e = cpuid_lookup(cpu, CPUID_SIGNATURE, 0);
	uint32_t sig = e ? e->eax : 0;

	*family = sig >> 8 & 15;
	*model = (sig >> 4 & 15) | (sig >> 12 & 0xf0);
	if (*family == 15)
		*family += sig >> 20 & 0xff;
}

/*
 * SDM 3B "Architectural Performance Monitoring Version 1": with a threshold a
 * counter counts cycles in which that many events happen. Of cycles
 * themselves one happens in each; of anything else nobody knows, but that
 * none has more than a processor can retire.
 */
enum count_class pmu_modify(uint64_t sel, enum count_class what)
{
	unsigned int cmask = SEL_CMASK(sel);
	bool inv = sel & SEL_INV;

	if (what == COUNT_NONE)
		return what;
	if (sel & SEL_EDGE)
		return what == COUNT_TIME && cmask <= 1 && !inv ? COUNT_RING
								: COUNT_NONE;
	if (!cmask)
		return what;
	if (what == COUNT_TIME)
		return (cmask > 1) == inv ? what : COUNT_NONE;
	return inv && cmask >= CMASK_ALWAYS ? COUNT_TIME : COUNT_NONE;
}

/* ---- the client's filter ---- */

static bool matches(uint64_t entry, uint64_t sel, uint64_t event_bits)
{
	uint64_t mask = entry >> 56, umask = sel >> 8 & 0xff;

	return (entry & event_bits) == (sel & event_bits) &&
	       (umask & mask) == (entry >> 8 & 0xff);
}

static bool listed(const struct pmu_filter *f, uint64_t sel, uint64_t bits)
{
	bool in = false;

	for (unsigned int i = 0; i < f->count; i++) {
		if (!matches(f->event[i], sel, bits))
			continue;
		if (f->event[i] & PMU_FILTER_EXCLUDE)
			return false;
		in = true;
	}
	return in;
}

static bool allowed(const struct cpu *cpu, unsigned int n)
{
	const struct pmu_filter *f = cpu->pmu_filter;
	uint64_t bits = cpu->vendor_amd ? PMU_EVENT_AMD : PMU_EVENT_INTEL;

	if (!f)
		return true;
	if (n >= PMU_GP)
		return (f->fixed >> (n - PMU_GP) & 1) != f->deny;
	return listed(f, cpu->pmu->pmc[n].sel, bits) != f->deny;
}

/* ---- what counts ---- */

static void derive_gp(struct cpu *cpu, struct pmc *c)
{
	c->enabled = c->sel & SEL_EN;
	c->user = c->sel & SEL_USR;
	c->kernel = c->sel & SEL_OS;
	c->pmi = c->sel & SEL_INT;
	c->what = cpu->vendor_amd ? amd_event(cpu->pmu, c->sel)
				  : intel_event(cpu->pmu, c->sel);
}

static void derive_fixed(struct pmu *p, unsigned int i)
{
	static const uint8_t what[PMU_FIXED] = {
		COUNT_INSN,
		COUNT_TIME,
		COUNT_TIME,
	};
	unsigned int ctrl = p->fixed_ctrl >> 4 * i & 15;
	struct pmc *c = &p->pmc[PMU_GP + i];

	c->user = ctrl & FIXED_USR;
	c->kernel = ctrl & FIXED_OS;
	c->pmi = ctrl & FIXED_PMI;
	c->enabled = c->user || c->kernel;
	c->what = what[i];
}

void pmu_derive(struct cpu *cpu)
{
	struct pmu *p = cpu->pmu;

	p->on = 0;
	p->split = false;
	for (unsigned int n = 0; n < PMC_COUNT; n++) {
		struct pmc *c = &p->pmc[n];

		if (n < PMU_GP)
			derive_gp(cpu, c);
		else
			derive_fixed(p, n - PMU_GP);
		if (pmu_global(p))
			c->enabled &= p->global_ctrl >> pmc_bit(n) & 1 &&
				      !(p->global_status & STATUS_FROZEN);
		c->enabled &= c->what != COUNT_NONE && allowed(cpu, n);
		p->on |= (uint32_t)c->enabled << n;
		p->split |= c->enabled && c->user != c->kernel;
	}
}

void pmu_rederive(struct cpu *cpu)
{
	if (!cpu->pmu)
		return;
	pmu_settle(cpu, false);
	pmu_derive(cpu);
	pmu_arm(cpu, false);
}

/* AMD's enumerates freezing apart (leaf 80000022H EAX bit 2), along with LBR. */
bool pmu_can_freeze(const struct cpu *cpu)
{
	return cpu->pmu && pmu_global(cpu->pmu) && !cpu->vendor_amd;
}

/* ---- registers ---- */

/* Old processors' that guests touch without asking. */
static bool ignored(const struct cpu *cpu, uint32_t index)
{
	if (cpu->vendor_amd)
		return index - MSR_K7_EVNTSEL0 < 8;
	return index - MSR_PMC0 < 2 || index - MSR_EVNTSEL0 < 2;
}

static int absent(const struct cpu *cpu, uint32_t index, bool host, bool zero)
{
	if (ignored(cpu, index))
		return 0;
	if (!host)
		return -ENXIO;
	return zero ? 0 : -EINVAL;
}

int pmu_get(struct cpu *cpu, uint32_t index, uint64_t *val, bool host)
{
	int ret = -ENXIO;

	*val = 0;
	if (cpu->pmu->version)
		ret = cpu->vendor_amd ? amd_get(cpu, index, val)
				      : intel_get(cpu, index, val);
	return ret == -ENXIO ? absent(cpu, index, host, true) : ret;
}

int pmu_set(struct cpu *cpu, uint32_t index, uint64_t val, bool host)
{
	int ret = -ENXIO;

	if (cpu->pmu->version) {
		pmu_settle(cpu, !host);
		ret = cpu->vendor_amd ? amd_set(cpu, index, val, host)
				      : intel_set(cpu, index, val, host);
		pmu_derive(cpu);
		pmu_arm(cpu, !host);
	}
	return ret == -ENXIO ? absent(cpu, index, host, !val) : ret;
}

int pmu_rdpmc(struct cpu *cpu, uint32_t ecx, uint64_t *val)
{
	struct pmu *p = cpu->pmu;
	const struct pmc *c = NULL;

	if (p->version)
		c = cpu->vendor_amd ? amd_rdpmc(p, ecx) : intel_rdpmc(p, ecx);
	if (!c)
		return -EINVAL;
	*val = pmu_peek(cpu, c);
	return 0;
}

/* ---- life ---- */

void pmu_reset(struct cpu *cpu)
{
	struct pmu *p = cpu->pmu;
	bool clock = p->clock;

	memset(p, 0, sizeof(*p));
	p->clock = clock;
	cpu->pmi = false;
	if (!cpu->no_pmu && cpu->vendor_amd)
		amd_refresh(cpu, p);
	else if (!cpu->no_pmu)
		intel_refresh(cpu, p);
	/* SDM 3B "IA32_PERF_GLOBAL_CTRL": at reset the general ones are on */
	p->global_ctrl = pmu_global(p) ? BIT64(p->ngp) - 1 : 0;
	pmu_derive(cpu);
	pmu_arm(cpu, false);
}

int pmu_init(struct cpu *cpu)
{
	cpu->pmu = calloc(1, sizeof(struct pmu));
	return cpu->pmu ? 0 : -ENOMEM;
}

void pmu_fini(struct cpu *cpu)
{
	free(cpu->pmu);
	cpu->pmu = NULL;
}
