/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order matters and is QEMU's: topology, dependencies, states, levels,
 * and only then the accelerator; so a feature that the accelerator lacks
 * has raised the level all the same.
 */
#include "vmm/cpu/expand.h"

#include <string.h>

#include "x86/xsave.h"

#define ALL 0xffffffffu

/* Bits @mask of word @to go unless one bit of @bits in word @from is there. */
static const struct dependency {
	uint8_t from;
	uint8_t to;
	uint32_t bits;
	uint32_t mask;
} dependencies[] = {
	{W_7_EDX, W_ARCH_CAP, BIT(29), ALL},
	{W_7_EDX, W_ARCH_CAP_HI, BIT(29), ALL},
	{W_7_EDX, W_CORE_CAP, BIT(30), ALL},
	{W_1_ECX, W_PERF_CAP, BIT(15), ALL},
	{W_7_EBX, W_14_ECX, BIT(25), ALL},
	{W_8_1_ECX, W_8_A_EDX, BIT(2), ALL},
	{W_8_1_EDX, W_7_1_EAX, BIT(29), BIT(17)}, /* lm: fred */
	{W_7_1_EAX, W_7_1_EAX, BIT(18), BIT(17)}, /* lkgs: fred */
	{W_7_1_EAX, W_7_1_EAX, BIT(19), BIT(17)}, /* wrmsrns: fred */
	{W_7_EBX, W_7_ECX, BIT(2), BIT(30)},      /* sgx: sgxlc */
	{W_7_EBX, W_12_EAX, BIT(2), ALL},
	{W_7_EBX, W_12_EBX, BIT(2), ALL},
	{W_7_EBX, W_12_1_EAX, BIT(2), ALL},
	{W_24_EBX, W_24_EBX, BIT(16), BIT(17)}, /* avx10-128: -256 */
	{W_24_EBX, W_24_EBX, BIT(17), BIT(18)}, /* avx10-256: -512 */
	{W_24_EBX, W_7_1_EDX, 7U << 16, BIT(19)},
	{W_7_1_EDX, W_24_EBX, BIT(19), ALL},
	{W_7_1_EDX, W_24_1_ECX, BIT(19), ALL},
	{W_7_1_EDX, W_29_EBX, BIT(21), ALL},
	{W_7_EDX, W_1E_1_EAX, BIT(24), ALL},
};

/* State components and the features that bring them; 0 and 1: XSAVE. */
static const struct {
	uint8_t component;
	uint16_t feature;
	bool supervisor;
} states[] = {
	{0, FEAT_XSAVE, false},     {1, FEAT_XSAVE, false},
	{2, FEAT_AVX, false},       {3, FEAT_MPX, false},
	{4, FEAT_MPX, false},       {5, FEAT_AVX512F, false},
	{6, FEAT_AVX512F, false},   {7, FEAT_AVX512F, false},
	{5, FEAT_AVX10, false},     {6, FEAT_AVX10, false},
	{7, FEAT_AVX10, false},     {9, FEAT_PKU, false},
	{17, FEAT_AMX_TILE, false}, {18, FEAT_AMX_TILE, false},
	{19, FEAT_APX, false},      {11, FEAT_CET_SS, true},
	{12, FEAT_CET_SS, true},    {11, FEAT_CET_IBT, true},
	{12, FEAT_CET_IBT, true},   {15, FEAT_ARCH_LBR, true},
};

static void raise_to(uint32_t *level, uint32_t value)
{
	if (*level < value)
		*level = value;
}

static void follow_topology(struct cpu_def *def)
{
	if (topo_threads(&def->topo, TOPO_SOCKET) < 2)
		return;
	feature_set(def->words, FEAT_HT, true);
	/* Linux forgets about threads where this is set: not on Intel's */
	if (!cpu_is_intel(def) && !cpu_is_zhaoxin(def))
		feature_set(def->words, FEAT_CMP_LEGACY, true);
}

static void follow_dependencies(struct cpu_def *def)
{
	const struct dependency *d, *end;
	uint32_t gone;

	end = dependencies + ARRAY_SIZE(dependencies);
	for (d = dependencies; d < end; d++) {
		if (def->words[d->from] & d->bits)
			continue;
		gone = def->words[d->to] & d->mask;
		def->words[d->to] &= ~gone;
		def->missing[d->to] |= gone & def->user[d->to];
	}
}

/* Supervisor states are for XSAVES alone. */
static void enable_states(struct cpu_def *def)
{
	bool xsaves = feature_test(def->words, FEAT_XSAVES);
	size_t i;

	def->xcr0 = def->xss = 0;
	if (!feature_test(def->words, FEAT_XSAVE))
		return;
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (!feature_test(def->words, states[i].feature))
			continue;
		if (!states[i].supervisor)
			def->xcr0 |= BIT64(states[i].component);
		else if (xsaves)
			def->xss |= BIT64(states[i].component);
	}
}

static void raise_levels_by_words(struct cpu_def *def)
{
	const struct feature_place *p;
	unsigned w;

	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		p = &feature_places[w];
		if (!p->raises || !def->words[w])
			continue;
		if (p->leaf >> 28 == 0)
			raise_to(&def->min_level, p->leaf);
		else if (p->leaf >> 28 == 8)
			raise_to(&def->min_xlevel, p->leaf);
		else if (p->leaf >> 28 == 0xc)
			raise_to(&def->min_xlevel2, p->leaf);
		if (p->leaf == CPUID_FEATURES)
			raise_to(&def->min_level_func7, p->subleaf);
	}
}

static void raise_levels(struct cpu_def *def)
{
	raise_levels_by_words(def);
	if (feature_test(def->words, FEAT_INTEL_PT))
		raise_to(&def->min_level, 0x14);
	if (cpu_def_has_1f(def) && (cpu_is_intel(def) || !def->vendor_only))
		raise_to(&def->min_level, CPUID_TOPOLOGY2);
	if (feature_test(def->words, FEAT_AVX10))
		raise_to(&def->min_level, 0x24);
	if (feature_test(def->words, FEAT_APX))
		raise_to(&def->min_level, 0x29);
	if (feature_test(def->words, FEAT_SVM))
		raise_to(&def->min_xlevel, 0x8000000a);
	if (feature_test(def->words, FEAT_SGX))
		raise_to(&def->min_level, 0x12);
}

static void settle(uint32_t *level, uint32_t lowest)
{
	if (*level == LEVEL_AUTO)
		*level = lowest;
}

static void drop_pmu(struct cpu_def *def)
{
	static const enum feature list[] = {FEAT_PERFCTR_CORE, FEAT_PERFMON_V2};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		if (feature_test(def->user, list[i]) &&
		    feature_test(def->words, list[i]))
			feature_set(def->missing, list[i], true);
		feature_set(def->words, list[i], false);
	}
}

void expand_features(struct cpu_def *def)
{
	follow_topology(def);
	if (def->no_pmu)
		drop_pmu(def);
	follow_dependencies(def);
	/* without a PMU, nothing to be said about its abilities */
	if (!def->pmu && !def->pdcm_always) {
		feature_set(def->words, FEAT_PDCM, false);
		def->words[W_PERF_CAP] = 0;
	}
	if (!def->expose_kvm || def->accel < CPU_ACCEL_LODGE)
		def->words[W_KVM_EAX] = def->words[W_KVM_EDX] = 0;
	enable_states(def);
	raise_levels(def);
	settle(&def->level, def->min_level);
	settle(&def->xlevel, def->min_xlevel);
	settle(&def->xlevel2, def->min_xlevel2);
	settle(&def->level_func7, def->min_level_func7);
}

/* State components that the accelerator can save. */
static uint64_t offered_xcr0(const struct cpu_accel *accel)
{
	const struct kvm_cpuid_entry2 *en;
	unsigned i;

	if (accel->kind == CPU_ACCEL_TCG)
		return 0x21f;
	for (i = 0; accel->table && i < accel->table->nent; i++) {
		en = &accel->table->entries[i];
		if (en->function == CPUID_XSTATE && !en->index)
			return en->eax | (uint64_t)en->edx << 32;
	}
	return 0;
}

static uint64_t offered_xss(const struct cpu_accel *accel)
{
	const struct kvm_cpuid_entry2 *en;
	unsigned i;

	for (i = 0; accel->table && i < accel->table->nent; i++) {
		en = &accel->table->entries[i];
		if (en->function == CPUID_XSTATE && en->index == 1)
			return en->ecx | (uint64_t)en->edx << 32;
	}
	return 0;
}

/*
 * Lodge's KVM lists what its host's vendor has, but knows the counters of both
 * vendors on any host, and this of what they say of themselves.
 */
static uint32_t offered_word(const struct cpu_def *def,
			     const struct cpu_accel *accel, unsigned w)
{
	uint32_t word = accel->words[w];

	if (accel->kind != CPU_ACCEL_LODGE || !def->model)
		return word;
	if (cpu_is_intel(def) && w == W_1_ECX)
		word |= BIT(15); /* pdcm */
	if (cpu_is_intel(def) && w == W_PERF_CAP)
		word |= BIT(13); /* full-width-write */
	if (cpu_is_amd(def) && w == W_8_1_ECX)
		word |= BIT(23); /* perfctr-core */
	if (cpu_is_amd(def) && w == W_8_22_EAX)
		word |= BIT(0); /* perfmon-v2 */
	return word;
}

void expand_filter(struct cpu_def *def, const struct cpu_accel *accel)
{
	unsigned w;

	if (accel->kind == CPU_ACCEL_NONE)
		return;
	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		uint32_t offered = offered_word(def, accel, w);

		def->missing[w] |= def->words[w] & ~offered;
		def->words[w] &= offered;
	}
	def->xcr0 &= offered_xcr0(accel);
	def->xss &= offered_xss(accel);
}

void expand_amd_aliases(struct cpu_def *def)
{
	uint32_t *word = &def->words[W_8_1_EDX];

	if (!cpu_is_amd(def))
		return;
	*word &= ~EXPAND_AMD_ALIASES;
	*word |= def->words[W_1_EDX] & EXPAND_AMD_ALIASES;
}
