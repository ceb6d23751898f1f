/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's CPUID table: taking it over, what it allows, and the answers of
 * the instruction with the bits that follow control registers. A leaf beyond
 * the table's limit answers as vendors differ: Intel repeats the highest
 * basic leaf, AMD gives zeros. SDM 2A "CPUID".
 */
#include "cpu/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/pmu/pmu.h"
#include "cpu/xstate.h"
#include "x86/msr.h"
#include "x86/regs.h"

/* CR4 bits every processor has here. */
#define CR4_BASE                                                              \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | \
	 CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT)

static const struct {
	uint64_t cr4;
	enum feature feature;
} cr4_features[] = {
	{CR4_UMIP, FEAT_UMIP},         {CR4_LA57, FEAT_LA57},
	{CR4_FSGSBASE, FEAT_FSGSBASE}, {CR4_PCIDE, FEAT_PCID},
	{CR4_OSXSAVE, FEAT_XSAVE},     {CR4_SMEP, FEAT_SMEP},
	{CR4_SMAP, FEAT_SMAP},         {CR4_PKE, FEAT_PKU},
};

#define APIC_BASE_ENABLE BIT64(11)

static const struct cpuid_entry *find(const struct cpuid_entry *e,
				      unsigned int n, uint32_t leaf,
				      uint32_t subleaf)
{
	for (; n; n--, e++)
		if (e->leaf == leaf &&
		    (!(e->flags & CPUID_INDEXED) || e->subleaf == subleaf))
			return e;
	return NULL;
}

const struct cpuid_entry *cpuid_lookup(const struct cpu *cpu, uint32_t leaf,
				       uint32_t subleaf)
{
	return find(cpu->cpuid->entry, cpu->cpuid->count, leaf, subleaf);
}

/* ---- what a table allows ---- */

static uint32_t entry_reg(const struct cpuid_entry *e, unsigned int reg)
{
	const uint32_t *r = &e->eax;

	return r[reg];
}

/* Where KVM's leaves are; another hypervisor's may come first. */
static uint32_t kvm_base(const struct cpu *cpu)
{
	const struct cpuid_entry *e;
	uint32_t leaf;

	for (leaf = CPUID_KVM; leaf < CPUID_KVM + 0x10000; leaf += 0x100) {
		e = cpuid_lookup(cpu, leaf, 0);
		if (e && !memcmp(&e->ebx, "KVMKVMKVM\0\0\0", 12))
			return leaf;
	}
	return 0;
}

static uint32_t table_word(const struct cpu *cpu, unsigned int word)
{
	const struct cpuid_place *p = &cpuid_places[word];
	const struct cpuid_entry *e;
	uint32_t leaf = p->leaf;

	if (word == W_KVM_EAX) {
		leaf = kvm_base(cpu);
		if (!leaf)
			return 0;
		leaf++;
	}
	e = cpuid_lookup(cpu, leaf, p->subleaf);
	return e ? entry_reg(e, p->reg) : 0;
}

/* FNV-1a: names the set of features in the mode word. */
static uint32_t features_id(const struct cpu *cpu)
{
	uint32_t h = 2166136261u;
	unsigned int i;

	for (i = 0; i < CPUID_WORDS; i++)
		h = (h ^ cpu->features[i]) * 16777619u;
	return (h ^ cpu->vendor_amd) * 16777619u;
}

static void derive(struct cpu *cpu)
{
	unsigned int i;

	cpu->page1g = cpu_has(cpu, FEAT_PDPE1GB);
	cpu->linear_bits = cpu_has(cpu, FEAT_LA57) ? 57 : 48;
	cpu->cr4_allowed = CR4_BASE;
	for (i = 0; i < ARRAY_SIZE(cr4_features); i++)
		if (cpu_has(cpu, cr4_features[i].feature))
			cpu->cr4_allowed |= cr4_features[i].cr4;
	cpu->cpuid_id = features_id(cpu);
	cpu->mode_dirty = true;
}

static void derive_from_table(struct cpu *cpu)
{
	const struct cpuid_entry *e;
	unsigned int i;

	for (i = 0; i < CPUID_WORDS; i++)
		cpu->features[i] = table_word(cpu, i) & cpuid_allowed_word(i);
	e = cpuid_lookup(cpu, CPUID_VENDOR, 0);
	cpu->vendor_amd = e && (!memcmp(&e->ebx, "Auth", 4) ||
				!memcmp(&e->ebx, "Hygo", 4));
	e = cpuid_lookup(cpu, CPUID_EXT_ADDRESS, 0);
	cpu->maxphyaddr = e && e->eax & 0xff ? MIN(e->eax & 0xff, 52) : 36;
	e = cpuid_lookup(cpu, CPUID_XSTATE, 0);
	cpu->xcr0_allowed = 0;
	if (e && cpu_has(cpu, FEAT_XSAVE))
		cpu->xcr0_allowed = (e->eax | (uint64_t)e->edx << 32) &
				    xstate_layout()->mask;
	derive(cpu);
}

static struct cpuid_table *table_new(const struct cpuid_entry *e,
				     unsigned int n)
{
	struct cpuid_table *t = malloc(sizeof(*t) + n * sizeof(*e));

	if (!t)
		return NULL;
	t->count = n;
	if (n)
		memcpy(t->entry, e, n * sizeof(*e));
	return t;
}

static int table_check(const struct cpuid_entry *entries, unsigned int n)
{
	const struct cpuid_entry *e;
	unsigned int bits;

	e = find(entries, n, CPUID_EXT_ADDRESS, 0);
	bits = e ? e->eax >> 8 & 0xff : 0;
	if (bits && bits != 48 && bits != 57)
		return -EINVAL;
	e = find(entries, n, CPUID_XSTATE, 0);
	if (e && e->eax & XCR0_DYNAMIC)
		return -EPERM;
	return 0;
}

int cpuid_set_table(struct cpu *cpu, const struct cpuid_entry *entries,
		    unsigned int n)
{
	struct cpuid_table *t;
	int ret = table_check(entries, n);

	if (ret)
		return ret;
	t = table_new(entries, n);
	if (!t)
		return -ENOMEM;
	free((void *)cpu->cpuid);
	cpu->cpuid = t;
	derive_from_table(cpu);
	if (cpu->pmu)
		pmu_reset(cpu);
	return 0;
}

int cpuid_init(struct cpu *cpu)
{
	unsigned int i;

	cpu->cpuid = table_new(NULL, 0);
	if (!cpu->cpuid)
		return -ENOMEM;
	for (i = 0; i < CPUID_WORDS; i++)
		cpu->features[i] = cpuid_allowed_word(i);
	cpu->vendor_amd = cpuid_host()->amd;
	cpu->maxphyaddr = MAX(cpuid_host()->phys_bits, 46);
	cpu->xcr0_allowed = xstate_layout()->mask;
	derive(cpu);
	/* instructions run as silicon has them, CR4 waits for a table */
	cpu->cr4_allowed = CR4_BASE;
	return 0;
}

void cpuid_fini(struct cpu *cpu)
{
	free((void *)cpu->cpuid);
	cpu->cpuid = NULL;
}

/* ---- answers ---- */

static void set_bit(uint32_t *word, enum feature f, bool on)
{
	if (on)
		*word |= BIT(f % 32);
	else
		*word &= ~BIT(f % 32);
}

static void apply_signature(const struct cpu *cpu, struct cpuid_entry *e)
{
	if (cpu_has(cpu, FEAT_XSAVE))
		set_bit(&e->ecx, FEAT_OSXSAVE, cpu->cr4 & CR4_OSXSAVE);
	set_bit(&e->edx, FEAT_APIC, cpu->apic_base & APIC_BASE_ENABLE);
	if (!(cpu->disabled_quirks & CPU_QUIRK_MISC_ENABLE_NO_MWAIT))
		return;
	set_bit(&e->ecx, FEAT_MONITOR, cpu->misc_enable & MISC_ENABLE_MWAIT);
}

static void apply_runtime(const struct cpu *cpu, struct cpuid_entry *e)
{
	switch (e->leaf) {
	case CPUID_SIGNATURE: apply_signature(cpu, e); break;
	case CPUID_FEATURES:
		if (!e->subleaf && cpu_has(cpu, FEAT_PKU))
			set_bit(&e->ecx, FEAT_OSPKE, cpu->cr4 & CR4_PKE);
		break;
	case CPUID_XSTATE:
		if (e->subleaf == 0)
			e->ebx = xstate_size(cpu->xcr0);
		else if (e->subleaf == 1 && e->eax & 0xa)
			e->ebx = xstate_compact_size(cpu->xcr0 | cpu->xss);
		break;
	}
}

bool cpuid_get_entry(const struct cpu *cpu, unsigned int n,
		     struct cpuid_entry *out)
{
	if (n >= cpu->cpuid->count)
		return false;
	*out = cpu->cpuid->entry[n];
	apply_runtime(cpu, out);
	return true;
}

bool cpuid_same_table(const struct cpu *cpu, const struct cpuid_entry *entries,
		      unsigned int n)
{
	struct cpuid_entry a, b;
	unsigned int i;

	if (n != cpu->cpuid->count)
		return false;
	for (i = 0; i < n; i++) {
		a = cpu->cpuid->entry[i];
		b = entries[i];
		apply_runtime(cpu, &a);
		apply_runtime(cpu, &b);
		memset(a.pad, 0, sizeof(a.pad));
		memset(b.pad, 0, sizeof(b.pad));
		if (memcmp(&a, &b, sizeof(a)))
			return false;
	}
	return true;
}

/* Intel: beyond the limit of its class a leaf reads as the last basic one. */
static const struct cpuid_entry *out_of_range(const struct cpu *cpu,
					      uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid_entry *basic, *class;
	uint32_t base = leaf & 0x80000000;

	basic = cpuid_lookup(cpu, CPUID_VENDOR, 0);
	if (!basic || cpu->vendor_amd)
		return NULL;
	if (leaf >= 0x40000000 && leaf < 0x50000000)
		base = leaf & 0xffffff00;
	else if (leaf >= 0xc0000000)
		base = 0xc0000000;
	class = cpuid_lookup(cpu, base, 0);
	if (class && leaf <= class->eax)
		return NULL;
	return cpuid_lookup(cpu, basic->eax, subleaf);
}

void cpuid_query(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
		 uint32_t out[4])
{
	const struct cpuid_entry *found = cpuid_lookup(cpu, leaf, subleaf);
	struct cpuid_entry e = {0};

	if (!found)
		found = out_of_range(cpu, leaf, subleaf);
	if (found) {
		e = *found;
		apply_runtime(cpu, &e);
	} else if (leaf == CPUID_TOPOLOGY || leaf == CPUID_TOPOLOGY2) {
		/* the x2APIC id is there for every sub-leaf */
		found = cpuid_lookup(cpu, leaf, 1);
		if (found) {
			e.ecx = subleaf & 0xff;
			e.edx = found->edx;
		}
	}
	memcpy(out, &e.eax, 16);
}
