/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's architectural unit, versions 1 to 5. SDM 3B "Architectural
 * Performance Monitoring" (its versions), SDM 2A "CPUID" leaf 0AH, SDM 4 for
 * reserved bits. Events that are not architectural: branches and accesses to
 * memory as the event list of the model has them. AnyThread is refused, as KVM
 * does; PEBS, LBR and the counter of slots are not there.
 */
#include "cpu/pmu/priv.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "x86/msr.h"

#define SEL_RESERVED   0xffffffff00200000ULL /* AnyThread is bit 21 */
#define FIXED_ALLOWED  (FIXED_OS | FIXED_USR | FIXED_PMI)
#define STATUS_OVF_BUF BIT64(62)
#define STATUS_CHANGED BIT64(63)
#define INUSE_PMI      BIT64(63)
#define RDPMC_FIXED    0x4000u

struct event {
	uint16_t code; /* unit mask, event */
	uint8_t what;
};

static const struct event core[] = {
	{0x00c4, COUNT_BRANCH}, {0x01c4, COUNT_COND},
	{0x02c4, COUNT_CALL},   {0x04c4, COUNT_BRANCH},
	{0x08c4, COUNT_RET},    {0x10c4, COUNT_COND_NTAKEN},
	{0x20c4, COUNT_TAKEN},  {0x40c4, COUNT_FAR},
	{0x01cb, COUNT_IRQ},
};

static const struct event cove[] = {
	{0x00c4, COUNT_BRANCH},      {0x01c4, COUNT_COND_TAKEN},
	{0x02c4, COUNT_CALL},        {0x08c4, COUNT_RET},
	{0x10c4, COUNT_COND_NTAKEN}, {0x11c4, COUNT_COND},
	{0x20c4, COUNT_TAKEN},       {0x40c4, COUNT_FAR},
	{0x80c4, COUNT_INDIRECT},    {0x01cb, COUNT_IRQ},
};

static const struct event atom[] = {
	{0x00c4, COUNT_BRANCH},     {0x7ec4, COUNT_COND}, {0xbfc4, COUNT_FAR},
	{0xebc4, COUNT_INDIRECT},   {0xf7c4, COUNT_RET},  {0xf9c4, COUNT_CALL},
	{0xfec4, COUNT_COND_TAKEN}, {0x01cb, COUNT_IRQ},
};

/* Counted by micro-operation on others. */
static const struct event memory[] = {
	{0x81d0, COUNT_LOADS},
	{0x82d0, COUNT_STORES},
	{0x83d0, COUNT_MEM},
};

struct list {
	const struct event *event;
	unsigned int count;
};

#define LIST(l)                  \
	{                        \
		l, ARRAY_SIZE(l) \
	}
static const struct list lists[][2] = {
	[EVENTS_CORE] = {LIST(core)},
	[EVENTS_LAKE] = {LIST(core), LIST(memory)},
	[EVENTS_COVE] = {LIST(cove), LIST(memory)},
	[EVENTS_ATOM] = {LIST(atom)},
};

/* Models of family 6 that are neither of the older big cores. */
static const uint8_t lake_models[] = {
	0x4e, 0x55, 0x5e, 0x66, 0x8e, 0x9e, 0xa5, 0xa6,
};
static const uint8_t cove_models[] = {
	0x6a, 0x6c, 0x7d, 0x7e, 0x8c, 0x8d, 0x8f, 0x97, 0x9a, 0xa7, 0xaa,
	0xac, 0xad, 0xae, 0xb7, 0xba, 0xbd, 0xbf, 0xc5, 0xc6, 0xcf,
};
static const uint8_t atom_models[] = {
	0x37, 0x4a, 0x4c, 0x4d, 0x5a, 0x5c, 0x5f, 0x7a,
	0x86, 0x96, 0x9c, 0xaf, 0xb6, 0xbe, 0xdd,
};

static bool among(const uint8_t *list, unsigned int n, unsigned int model)
{
	for (unsigned int i = 0; i < n; i++)
		if (list[i] == model)
			return true;
	return false;
}

static enum pmu_events events_of(const struct cpu *cpu)
{
	unsigned int family, model;

	pmu_family(cpu, &family, &model);
	if (family != 6)
		return EVENTS_CORE;
	if (among(cove_models, ARRAY_SIZE(cove_models), model))
		return EVENTS_COVE;
	if (among(lake_models, ARRAY_SIZE(lake_models), model))
		return EVENTS_LAKE;
	if (among(atom_models, ARRAY_SIZE(atom_models), model))
		return EVENTS_ATOM;
	return EVENTS_CORE;
}

static enum count_class find(const struct list *l, uint16_t code)
{
	for (unsigned int i = 0; i < l->count; i++)
		if (l->event[i].code == code)
			return l->event[i].what;
	return COUNT_NONE;
}

enum count_class intel_event(const struct pmu *p, uint64_t sel)
{
	const struct list *l = lists[p->events];
	uint16_t code = (uint16_t)sel;
	enum count_class what;

	if (code == 0x00c0)
		what = COUNT_INSN;
	else if (code == 0x003c || code == 0x013c)
		what = COUNT_TIME;
	else
		what = find(&l[0], code);
	if (what == COUNT_NONE)
		what = find(&l[1], code);
	return pmu_modify(sel, what);
}

static uint64_t width_mask(unsigned int bits)
{
	return BIT64(MIN(bits, PMU_WIDTH)) - 1;
}

void intel_refresh(struct cpu *cpu, struct pmu *p)
{
	const struct cpuid_entry *e = cpuid_lookup(cpu, CPUID_PMU, 0);
	unsigned int nfixed;

	if (!e || !(e->eax & 0xff))
		return;
	p->version = MIN(e->eax & 0xff, PMU_VERSION);
	p->ngp = MIN(e->eax >> 8 & 0xff, PMU_GP);
	p->events = events_of(cpu);
	for (unsigned int i = 0; i < p->ngp; i++)
		p->pmc[i].mask = width_mask(e->eax >> 16 & 0xff);
	if (p->version < 2)
		return;
	nfixed = MIN(e->edx & 0x1f, PMU_FIXED);
	p->fixed = BIT(nfixed) - 1;
	if (p->version >= 5)
		p->fixed |= e->ecx & (BIT(PMU_FIXED) - 1);
	for (unsigned int i = 0; i < PMU_FIXED; i++)
		if (p->fixed >> i & 1)
			p->pmc[PMU_GP + i].mask = width_mask(e->edx >> 5 &
							     0xff);
	p->global_ok = (BIT64(p->ngp) - 1) | (uint64_t)p->fixed << 32;
	p->status_ok = p->global_ok | STATUS_OVF_BUF | STATUS_CHANGED;
	if (p->version >= 4)
		p->status_ok |= STATUS_FROZEN;
}

/* SDM 2B "RDPMC": type in the upper half, number in the lower. */
struct pmc *intel_rdpmc(struct pmu *p, uint32_t ecx)
{
	unsigned int n = ecx & 0xffff;

	if (ecx >> 16 == 0)
		return n < p->ngp ? &p->pmc[n] : NULL;
	if (ecx >> 16 == RDPMC_FIXED && n < PMU_FIXED && p->fixed >> n & 1)
		return &p->pmc[PMU_GP + n];
	return NULL;
}

static bool full_width(const struct cpu *cpu)
{
	return cpu_has(cpu, FEAT_PDCM) && cpu->perf_cap & PMU_FW_WRITE;
}

/* The counter a register holds; @full: by its full-width name. */
static struct pmc *counter(struct cpu *cpu, uint32_t index, bool *full)
{
	struct pmu *p = cpu->pmu;

	*full = false;
	if (index - MSR_PMC0 < p->ngp)
		return &p->pmc[index - MSR_PMC0];
	if (index - MSR_FIXED_CTR0 < PMU_FIXED &&
	    p->fixed >> (index - MSR_FIXED_CTR0) & 1)
		return &p->pmc[PMU_GP + index - MSR_FIXED_CTR0];
	*full = true;
	if (index - MSR_PMC0_FULL < p->ngp && full_width(cpu))
		return &p->pmc[index - MSR_PMC0_FULL];
	return NULL;
}

/* SDM 3B "IA32_PERF_GLOBAL_INUSE MSR". */
static uint64_t in_use(const struct pmu *p)
{
	uint64_t val = 0;

	for (unsigned int n = 0; n < PMC_COUNT; n++) {
		const struct pmc *c = &p->pmc[n];
		bool used = n < PMU_GP ? c->sel & 0xff : c->user || c->kernel;

		val |= used ? BIT64(pmc_bit(n)) : 0;
		val |= c->pmi ? INUSE_PMI : 0;
	}
	return val;
}

static int global_get(const struct pmu *p, uint32_t index, uint64_t *val)
{
	if (!pmu_global(p))
		return -ENXIO;
	switch (index) {
	case MSR_FIXED_CTR_CTRL: *val = p->fixed_ctrl; return 0;
	case MSR_GLOBAL_STATUS: *val = p->global_status; return 0;
	case MSR_GLOBAL_CTRL: *val = p->global_ctrl; return 0;
	case MSR_GLOBAL_STATUS_RESET: return 0;
	default: break;
	}
	if (p->version < 4)
		return -ENXIO;
	if (index == MSR_GLOBAL_INUSE)
		*val = in_use(p);
	return 0;
}

int intel_get(struct cpu *cpu, uint32_t index, uint64_t *val)
{
	struct pmu *p = cpu->pmu;
	struct pmc *c;
	bool full;

	if (index - MSR_EVNTSEL0 < p->ngp) {
		*val = p->pmc[index - MSR_EVNTSEL0].sel;
		return 0;
	}
	if (index - MSR_FIXED_CTR_CTRL < 6) {
		if (index == MSR_GLOBAL_STATUS)
			pmu_overflow(cpu);
		return global_get(p, index, val);
	}
	c = counter(cpu, index, &full);
	if (!c)
		return -ENXIO;
	*val = pmu_peek(cpu, c);
	return 0;
}

static int fixed_ctrl_set(struct pmu *p, uint64_t val)
{
	uint64_t ok = 0;

	for (unsigned int i = 0; i < PMU_FIXED; i++)
		if (p->fixed >> i & 1)
			ok |= (uint64_t)FIXED_ALLOWED << 4 * i;
	if (val & ~ok)
		return -EINVAL;
	p->fixed_ctrl = val;
	return 0;
}

static int status_set(struct pmu *p, uint32_t index, uint64_t val, bool host)
{
	if (val & ~p->status_ok)
		return -EINVAL;
	if (index == MSR_GLOBAL_STATUS)
		p->global_status = val;
	else if (index == MSR_GLOBAL_STATUS_SET && !host)
		p->global_status |= val;
	else if (!host)
		p->global_status &= ~val;
	return 0;
}

static int global_set(struct pmu *p, uint32_t index, uint64_t val, bool host)
{
	if (!pmu_global(p))
		return -ENXIO;
	switch (index) {
	case MSR_FIXED_CTR_CTRL: return fixed_ctrl_set(p, val);
	case MSR_GLOBAL_CTRL:
		if (val & ~p->global_ok)
			return -EINVAL;
		p->global_ctrl = val;
		return 0;
	case MSR_GLOBAL_STATUS:
		return host ? status_set(p, index, val, host) : -EINVAL;
	case MSR_GLOBAL_STATUS_RESET: return status_set(p, index, val, host);
	default: break;
	}
	if (p->version < 4)
		return -ENXIO;
	if (index == MSR_GLOBAL_STATUS_SET)
		return status_set(p, index, val, host);
	return -EINVAL; /* INUSE is read-only */
}

/* Version 1's writes are of 32 bits, extended by their sign. */
static int counter_set(struct pmc *c, uint64_t val, bool full, bool host)
{
	if (full && val & ~c->mask)
		return -EINVAL;
	if (!full && !host)
		val = (uint64_t)(int64_t)(int32_t)val;
	c->value = val & c->mask;
	return 0;
}

int intel_set(struct cpu *cpu, uint32_t index, uint64_t val, bool host)
{
	struct pmu *p = cpu->pmu;
	struct pmc *c;
	bool full;

	if (index - MSR_EVNTSEL0 < p->ngp) {
		if (val & SEL_RESERVED)
			return -EINVAL;
		p->pmc[index - MSR_EVNTSEL0].sel = val;
		return 0;
	}
	if (index - MSR_FIXED_CTR_CTRL < 6)
		return global_set(p, index, val, host);
	c = counter(cpu, index, &full);
	if (!c)
		return -ENXIO;
	if (index - MSR_FIXED_CTR0 < PMU_FIXED) { /* they have no short form */
		c->value = val & c->mask;
		return 0;
	}
	return counter_set(c, val, full, host);
}
