/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what was retired to the values of counters.
 *
 * An instruction that changes the unit is counted as the unit was set when it
 * began: WRMSR that switches a counter off is counted by it, the one that
 * switches it on is not. Its own count comes when it has retired, so
 * functions called from it account for it with @itself.
 */
#include "cpu/pmu/priv.h"

#include "cpu/msr.h"
#include "x86/msr.h"

/* As good as never: no class is added to so often. */
#define NEVER_REACHED BIT64(62)

static bool runs(const struct pmu *p, const struct pmc *c)
{
	return c->enabled && (p->user ? c->user : c->kernel);
}

static uint64_t ticks(const struct cpu *cpu)
{
	return tsc_scale(cpu->tsc_ratio, __builtin_ia32_rdtsc());
}

/*
 * SDM 3B "Freezing LBR and Performance Counters on PMI": the streamlined way
 * sets a status bit, the legacy one clears the enables.
 */
static void freeze(struct cpu *cpu, struct pmu *p)
{
	if (!(cpu->debugctl & DEBUGCTL_FREEZE_PMU) || !pmu_global(p))
		return;
	if (p->status_ok & STATUS_FROZEN)
		p->global_status |= STATUS_FROZEN;
	else
		p->global_ctrl = 0;
}

static bool add(struct cpu *cpu, unsigned int n, uint64_t events)
{
	struct pmu *p = cpu->pmu;
	struct pmc *c = &p->pmc[n];
	uint64_t room = c->mask - c->value;

	c->value = (c->value + events) & c->mask;
	if (likely(events <= room))
		return false;
	if (pmu_global(p))
		p->global_status |= BIT64(pmc_bit(n));
	if (c->pmi) {
		cpu->pmi = true;
		freeze(cpu, p);
	}
	return true;
}

static uint64_t counted(const struct cpu *cpu, enum count_class what)
{
	const struct pmu *p = cpu->pmu;

	if (what < COUNT_CLASSES)
		return cpu->count[what] - p->base[what];
	if (what == COUNT_TIME && p->clock)
		return ticks(cpu) - p->since;
	return 0;
}

uint64_t pmu_peek(const struct cpu *cpu, const struct pmc *c)
{
	if (!runs(cpu->pmu, c))
		return c->value;
	return (c->value + counted(cpu, c->what)) & c->mask;
}

void pmu_settle(struct cpu *cpu, bool itself)
{
	struct pmu *p = cpu->pmu;
	uint64_t now = p->clock ? ticks(cpu) : 0;
	bool over = false;

	for (uint32_t on = p->on; on; on &= on - 1) {
		unsigned int n = __builtin_ctz(on);
		const struct pmc *c = &p->pmc[n];

		if (!runs(p, c))
			continue;
		if (c->what == COUNT_TIME)
			over |= p->clock && add(cpu, n, now - p->since);
		else
			over |= add(cpu, n,
				    counted(cpu, c->what) +
					    (itself && c->what == COUNT_INSN));
	}
	for (unsigned int k = 0; k < COUNT_CLASSES; k++)
		p->base[k] = cpu->count[k];
	p->since = now;
	if (over) /* it may have frozen them all */
		pmu_derive(cpu);
}

void pmu_arm(struct cpu *cpu, bool itself)
{
	struct pmu *p = cpu->pmu;
	uint64_t left[COUNT_CLASSES];
	uint32_t on = 0, armed = 0;

	for (unsigned int k = 0; k < COUNT_CLASSES; k++)
		left[k] = NEVER_REACHED;
	cpu->pmu_timed = false;
	cpu->pmu_on = p->on;
	for (uint32_t n = p->on; n; n &= n - 1) {
		const struct pmc *c = &p->pmc[__builtin_ctz(n)];

		cpu->pmu_timed |= c->what == COUNT_TIME;
		if (!runs(p, c) || c->what >= COUNT_CLASSES)
			continue;
		on |= BIT(c->what);
		if (!c->pmi)
			continue;
		armed |= BIT(c->what);
		left[c->what] = MIN(left[c->what], c->mask - c->value + 1);
	}
	for (unsigned int k = 0; k < COUNT_CLASSES; k++)
		p->base[k] = cpu->count[k] = -(int64_t)left[k];
	cpu->count[COUNT_INSN] -= itself;
	cpu->count_on = on;
	cpu->count_armed = armed;
	cpu->mode_dirty = true;
}

static void enter_level(struct cpu *cpu, bool user)
{
	struct pmu *p = cpu->pmu;
	bool over = false;

	for (uint32_t on = p->on; on; on &= on - 1) {
		unsigned int n = __builtin_ctz(on);
		const struct pmc *c = &p->pmc[n];

		if (c->what == COUNT_RING && c->user != c->kernel &&
		    c->user == user)
			over |= add(cpu, n, 1);
	}
	p->user = user;
	if (over)
		pmu_derive(cpu);
}

void pmu_privilege(struct cpu *cpu)
{
	struct pmu *p = cpu->pmu;

	if (p->user == (cpu->cpl != 0))
		return;
	if (!p->split) { /* nothing begins or ends to count */
		p->user = cpu->cpl != 0;
		return;
	}
	pmu_settle(cpu, false);
	enter_level(cpu, cpu->cpl != 0);
	pmu_arm(cpu, false);
}

void pmu_overflow(struct cpu *cpu)
{
	pmu_settle(cpu, false);
	pmu_arm(cpu, false);
}

void pmu_clock(struct cpu *cpu, bool on)
{
	struct pmu *p = cpu->pmu;

	if (cpu->pmu_timed) {
		if (on)
			p->since = ticks(cpu);
		else
			pmu_overflow(cpu);
	}
	p->clock = on;
}

uint64_t pmu_deadline(const struct cpu *cpu)
{
	const struct pmu *p = cpu->pmu;
	uint64_t at = UINT64_MAX;

	for (unsigned int n = 0; n < PMC_COUNT; n++) {
		const struct pmc *c = &p->pmc[n];

		if (c->enabled && c->pmi && c->what == COUNT_TIME)
			at = MIN(at, c->mask - c->value + 1);
	}
	return at;
}

static void add_classes(struct cpu *cpu, uint32_t classes)
{
	for (; classes; classes &= classes - 1)
		cpu->count[__builtin_ctz(classes)]++;
}

void pmu_retire(struct cpu *cpu, enum retired kind, bool taken)
{
	uint32_t classes = count_classes(kind);

	if (kind == RETIRED_COND)
		classes |= count_classes(taken ? RETIRED_COND_TAKEN
					       : RETIRED_COND_NTAKEN);
	else if (kind == RETIRED_FAR && cpu->vendor_amd)
		classes |= BIT(COUNT_TAKEN);
	add_classes(cpu, classes);
}

void pmu_retire_mem(struct cpu *cpu, enum retired_mem mem)
{
	for (unsigned int k = COUNT_LOADS; k < COUNT_INLINE; k++)
		cpu->count[k] += count_mem(mem, k);
}

/* PPR "Retired Taken Branch Instructions": exceptions and interrupts too. */
void pmu_event(struct cpu *cpu, bool irq)
{
	uint32_t classes = irq ? BIT(COUNT_IRQ) : 0;

	if (cpu->vendor_amd)
		classes |= BIT(COUNT_BRANCH) | BIT(COUNT_TAKEN) |
			   BIT(COUNT_FAR);
	add_classes(cpu, classes);
}

void pmu_unretire(struct cpu *cpu, const struct tally *y, int sign)
{
	cpu->count[COUNT_INSN] += sign * y->n;
	for (unsigned int k = COUNT_INSN + 1; k < COUNT_INLINE; k++)
		cpu->count[k] += sign * (int)count_last(y, k);
}
