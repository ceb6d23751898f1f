/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID of a resolved CPU, leaf by leaf: a table of builders, each of which
 * finds zeros in its answer. SDM 2A "CPUID", APM 3 appendix E.
 */
#include <string.h>

#include "vmm/cpu/def.h"
#include "vmm/cpu/pmu.h"

#define KVM_LEAF      0x40000000u
#define CLFLUSH_LINES (8 << 8) /* of 8 bytes */
#define MWAIT_FLAGS   3        /* enumerated; interrupts end a wait */

struct query {
	const struct cpu_def *def;
	const struct topo_place *place;
	uint32_t leaf;
	uint32_t subleaf;
};

/* Intel's and Zhaoxin's CPUs since they were described without AMD's leaves. */
static bool intel_like_v2(const struct cpu_def *def)
{
	return def->vendor_only_v2 &&
	       (cpu_is_intel(def) || cpu_is_zhaoxin(def));
}

static unsigned package_threads(const struct cpu_def *def)
{
	return topo_threads(&def->topo, TOPO_SOCKET);
}

static const struct kvm_cpuid_entry2 *offered(const struct cpu_def *def,
					      uint32_t leaf, uint32_t subleaf)
{
	const struct kvm_cpuid_entry2 *en;
	unsigned i;

	for (i = 0; def->table && i < def->table->nent; i++) {
		en = &def->table->entries[i];
		if (en->function == leaf &&
		    (!(en->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     en->index == subleaf))
			return en;
	}
	return NULL;
}

/* As the accelerator has it. */
static void pass(const struct query *q, uint32_t out[4])
{
	const struct kvm_cpuid_entry2 *en;

	en = offered(q->def, q->leaf, q->subleaf);
	if (!en)
		return;
	out[0] = en->eax;
	out[1] = en->ebx;
	out[2] = en->ecx;
	out[3] = en->edx;
}

/* EBX EDX ECX, as leaves 0 and 0x80000000 have it. */
static void put_vendor(const struct cpu_def *def, uint32_t out[4])
{
	memcpy(&out[1], def->vendor, 4);
	memcpy(&out[3], def->vendor + 4, 4);
	memcpy(&out[2], def->vendor + 8, 4);
}

static void leaf_vendor(const struct query *q, uint32_t out[4])
{
	out[0] = q->def->level;
	put_vendor(q->def, out);
}

static void leaf_signature(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;
	unsigned n = package_threads(def);

	if (n > 1 && (cpu_is_intel(def) || cpu_is_zhaoxin(def)))
		n = 1U << topo_shift(&def->topo, TOPO_SOCKET);
	out[0] = cpu_def_signature(def);
	out[1] = q->place->apic_id << 24 | CLFLUSH_LINES;
	if (n > 1)
		out[1] |= MIN(n, 255U) << 16;
	out[2] = def->words[W_1_ECX];
	out[3] = def->words[W_1_EDX];
}

static void leaf_2(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;

	if (def->host_cache_info) {
		pass(q, out);
		return;
	}
	if (def->vendor_only && cpu_is_amd(def))
		return;
	cache_encode_2(cpu_def_caches(def, q->leaf), def->l3_cache,
		       def->consistent_cache, def->min_level >= CPUID_CACHE,
		       out);
}

/*
 * The host's own caches with the guest's sharers. A KVM that does not tell
 * sharers leaves 0; more sharers than a socket has threads are the socket's.
 */
static void pass_cache(const struct query *q, uint32_t out[4])
{
	const struct topo *t = &q->def->topo;
	uint32_t sharers;

	pass(q, out);
	if (!(out[0] & 0x1f))
		return;
	sharers = out[0] >> 14 & 0xfff;
	if (!sharers && (out[0] >> 5 & 7) < 3)
		sharers = (1U << topo_shift(t, TOPO_CORE)) - 1;
	else if (!sharers || sharers >= topo_threads(t, TOPO_SOCKET))
		sharers = (1U << topo_shift(t, TOPO_SOCKET)) - 1;
	out[0] = (out[0] & 0x3fff) | MIN(sharers, 4095U) << 14;
}

static void leaf_4(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;
	uint32_t cores;

	if (def->host_cache_info) {
		pass_cache(q, out);
		if (!(out[0] & 0x1f))
			return;
		cores = 1U << (topo_shift(&def->topo, TOPO_SOCKET) -
			       topo_shift(&def->topo, TOPO_CORE));
		out[0] |= MIN(cores - 1, 63U) << 26;
		return;
	}
	if (def->vendor_only && cpu_is_amd(def))
		return;
	cache_encode_4(cpu_def_caches(def, q->leaf), &def->topo, q->subleaf,
		       def->l3_cache, def->l1_per_core, out);
}

static void leaf_mwait(const struct query *q, uint32_t out[4])
{
	out[2] = MWAIT_FLAGS;
}

static void leaf_power(const struct query *q, uint32_t out[4])
{
	out[0] = q->def->words[W_6_EAX];
}

static void leaf_features(const struct query *q, uint32_t out[4])
{
	const uint32_t *w = q->def->words;

	if (q->subleaf == 0) {
		out[0] = q->def->level_func7;
		out[1] = w[W_7_EBX];
		out[2] = w[W_7_ECX];
		out[3] = w[W_7_EDX];
	} else if (q->subleaf == 1) {
		out[0] = w[W_7_1_EAX];
		out[2] = w[W_7_1_ECX];
		out[3] = w[W_7_1_EDX];
	} else if (q->subleaf == 2) {
		out[3] = w[W_7_2_EDX];
	}
}

/*
 * Lodge's KVM counts as any vendor's unit; a kernel's has the host's, which
 * another vendor's guest would not understand.
 */
static void leaf_pmu(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;

	if (!def->pmu)
		return;
	if (def->accel != CPU_ACCEL_LODGE || !def->model)
		pass(q, out);
	else if (cpu_is_intel(def))
		cpu_pmu_leaf(def, out);
}

/* ---- topology ---- */

static void leaf_b(const struct query *q, uint32_t out[4])
{
	const struct topo *t = &q->def->topo;

	if (!q->def->leaf_b)
		return;
	out[2] = q->subleaf & 0xff;
	out[3] = q->place->apic_id;
	if (q->subleaf == 0) {
		out[0] = topo_shift(t, TOPO_CORE);
		out[1] = t->threads & 0xffff;
		out[2] |= 1 << 8;
	} else if (q->subleaf == 1) {
		out[0] = topo_shift(t, TOPO_SOCKET);
		out[1] = topo_threads(t, TOPO_SOCKET) & 0xffff;
		out[2] |= 2 << 8;
	}
}

/* Levels that leaf 0x1F lists, from the inside; ended by TOPO_SOCKET. */
static unsigned list_levels(const struct topo *t, enum topo_level level[5])
{
	unsigned n = 0;

	level[n++] = TOPO_THREAD;
	level[n++] = TOPO_CORE;
	if (t->modules > 1)
		level[n++] = TOPO_MODULE;
	if (t->dies > 1)
		level[n++] = TOPO_DIE;
	level[n] = TOPO_SOCKET;
	return n;
}

static void leaf_1f(const struct query *q, uint32_t out[4])
{
	static const uint8_t type[TOPO_LEVELS] = {
		[TOPO_THREAD] = 1,
		[TOPO_CORE] = 2,
		[TOPO_MODULE] = 3,
		[TOPO_DIE] = 5,
	};
	const struct topo *t = &q->def->topo;
	enum topo_level level[5];

	if (!cpu_def_has_1f(q->def))
		return;
	out[2] = q->subleaf & 0xff;
	out[3] = q->place->apic_id;
	if (q->subleaf >= list_levels(t, level))
		return;
	out[0] = topo_shift(t, level[q->subleaf + 1]);
	out[1] = topo_threads(t, level[q->subleaf + 1]) & 0xffff;
	out[2] |= (uint32_t)type[level[q->subleaf]] << 8;
}

/* ---- extended states ---- */

#define LEGACY_AREA 576 /* x87, SSE and the header */

/* Size and offset in the standard format; 0: no such component. */
static const struct {
	uint16_t size;
	uint16_t offset;
	bool aligned;
} states[] = {
	[2] = {256, 576},
	[3] = {64, 960},
	[4] = {64, 1024},
	[5] = {64, 1088},
	[6] = {512, 1152},
	[7] = {1024, 1664},
	[9] = {8, 2688},
	[11] = {16},
	[12] = {24},
	[15] = {808},
	[17] = {64, 2752, true},
	[18] = {8192, 2816, true},
	[19] = {128, 960},
};

static uint32_t state_area(uint64_t mask, bool compact)
{
	uint32_t end = LEGACY_AREA, offset;
	unsigned i;

	for (i = 2; i < ARRAY_SIZE(states); i++) {
		if (!(mask >> i & 1))
			continue;
		offset = states[i].offset;
		if (compact)
			offset = states[i].aligned ? ALIGN_UP(end, 64U) : end;
		end = MAX(end, offset + states[i].size);
	}
	return end;
}

static void leaf_xstate(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;
	uint32_t i = q->subleaf;

	if (!feature_test(def->words, FEAT_XSAVE))
		return;
	if (i == 0) {
		out[0] = (uint32_t)def->xcr0;
		/* XCR0 is 1 at reset */
		out[1] = LEGACY_AREA;
		out[2] = state_area(def->xcr0, false);
		out[3] = (uint32_t)(def->xcr0 >> 32);
	} else if (i == 1) {
		out[0] = def->words[W_D_1_EAX];
		out[1] = state_area(def->xcr0 | def->xss, true);
		out[2] = (uint32_t)def->xss;
		out[3] = (uint32_t)(def->xss >> 32);
	} else if (i < ARRAY_SIZE(states)) {
		/* as in QEMU, of every component there might be */
		out[0] = states[i].size;
		out[1] = states[i].offset;
		out[2] = states[i].aligned ? 2 : 0;
		if (states[i].size && !states[i].offset)
			out[2] = 1;
	}
}

/* With a KVM, places of components are the host's. */
static uint32_t host_area(const struct query *q, uint64_t mask, bool compact)
{
	const struct kvm_cpuid_entry2 *en;
	uint32_t end = LEGACY_AREA, offset;
	unsigned i;

	for (i = 2; i < 63; i++) {
		en = mask >> i & 1 ? offered(q->def, q->leaf, i) : NULL;
		if (!en)
			continue;
		offset = en->ebx;
		if (compact)
			offset = en->ecx & 2 ? ALIGN_UP(end, 64U) : end;
		end = MAX(end, offset + en->eax);
	}
	return end;
}

static void leaf_xstate_host(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;
	uint64_t mask = def->xcr0 | def->xss;
	uint32_t i = q->subleaf;

	leaf_xstate(q, out);
	if (!feature_test(def->words, FEAT_XSAVE))
		return;
	if (i == 0) {
		out[2] = host_area(q, def->xcr0, false);
		out[1] = out[2];
	} else if (i == 1) {
		out[1] = host_area(q, mask, true);
	} else {
		memset(out, 0, 4 * sizeof(out[0]));
		if (i < 63 && mask >> i & 1)
			pass(q, out);
	}
}

static void leaf_d(const struct query *q, uint32_t out[4])
{
	if (q->def->table)
		leaf_xstate_host(q, out);
	else
		leaf_xstate(q, out);
}

/* ---- single features' own leaves ---- */

static void leaf_sgx(const struct query *q, uint32_t out[4])
{
	const uint32_t *w = q->def->words;

	if (!feature_test(w, FEAT_SGX))
		return;
	pass(q, out);
	if (q->subleaf == 0) {
		out[0] &= w[W_12_EAX];
		out[1] &= w[W_12_EBX];
	} else if (q->subleaf == 1) {
		out[0] &= w[W_12_1_EAX];
		out[2] &= (uint32_t)q->def->xcr0 | 3;
	}
}

static void leaf_pt(const struct query *q, uint32_t out[4])
{
	if (!feature_test(q->def->words, FEAT_INTEL_PT) || !q->def->table)
		return;
	if (q->subleaf == 0) {
		out[0] = 1;
		out[1] = 0xf;
		out[2] = 7 | (q->def->words[W_14_ECX] & BIT(31));
	} else if (q->subleaf == 1) {
		out[0] = 0x02490002;
		out[1] = 0x003f1fff;
	}
}

/* Frequencies: only where all is the host's. */
static void leaf_clock(const struct query *q, uint32_t out[4])
{
	if (q->def->wants_max)
		pass(q, out);
}

static void leaf_lbr(const struct query *q, uint32_t out[4])
{
	if (q->def->pmu && feature_test(q->def->words, FEAT_ARCH_LBR))
		pass(q, out);
}

static void leaf_tile(const struct query *q, uint32_t out[4])
{
	if (!feature_test(q->def->words, FEAT_AMX_TILE))
		return;
	if (q->subleaf == 0) {
		out[0] = 1;
	} else if (q->subleaf == 1) {
		out[0] = 0x2000 | 0x400 << 16;
		out[1] = 0x40 | 8 << 16;
		out[2] = 16;
	}
}

static void leaf_tmul(const struct query *q, uint32_t out[4])
{
	if (!feature_test(q->def->words, FEAT_AMX_TILE))
		return;
	if (q->subleaf == 0) {
		out[0] = q->def->words[W_1E_1_EAX] ? 1 : 0;
		out[1] = 16 | 64 << 8;
	} else if (q->subleaf == 1) {
		out[0] = q->def->words[W_1E_1_EAX];
	}
}

static void leaf_avx10(const struct query *q, uint32_t out[4])
{
	if (!feature_test(q->def->words, FEAT_AVX10))
		return;
	if (q->subleaf == 0) {
		out[0] = q->def->words[W_24_1_ECX] ? 1 : 0;
		out[1] = q->def->words[W_24_EBX] | q->def->avx10_version;
	} else if (q->subleaf == 1) {
		out[2] = q->def->words[W_24_1_ECX];
	}
}

static void leaf_apx(const struct query *q, uint32_t out[4])
{
	if (feature_test(q->def->words, FEAT_APX) && !q->subleaf)
		out[1] = q->def->words[W_29_EBX];
}

/* ---- hypervisor ---- */

static void leaf_hypervisor(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;

	if (def->accel >= CPU_ACCEL_LODGE) {
		if (def->expose_kvm)
			pass(q, out);
		return;
	}
	if (!def->expose_tcg)
		return;
	out[0] = KVM_LEAF + 1;
	memcpy(&out[1], "TCGTCGTCGTCG", 12);
}

static void leaf_kvm(const struct query *q, uint32_t out[4])
{
	out[0] = q->def->words[W_KVM_EAX];
	out[3] = q->def->words[W_KVM_EDX];
}

/* ---- extended leaves ---- */

static void leaf_ext(const struct query *q, uint32_t out[4])
{
	out[0] = q->def->xlevel;
	if (!intel_like_v2(q->def))
		put_vendor(q->def, out);
}

static void leaf_ext_signature(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;

	out[0] = cpu_def_signature(def);
	out[2] = def->words[W_8_1_ECX];
	out[3] = def->words[W_8_1_EDX];
	/* Intel's SYSCALL exists in 64-bit mode only; KVM leaves it visible */
	if (def->accel == CPU_ACCEL_TCG && cpu_is_intel(def))
		out[3] &= ~BIT(FEAT_SYSCALL % 32);
}

static void leaf_brand(const struct query *q, uint32_t out[4])
{
	memcpy(out, q->def->model_id + 16 * (q->leaf - CPUID_EXT_BRAND), 16);
}

static void leaf_l1(const struct query *q, uint32_t out[4])
{
	if (q->def->host_cache_info)
		pass(q, out);
	else if (!q->def->vendor_only_v2 || !cpu_is_intel(q->def))
		cache_encode_80000005(cpu_def_caches(q->def, q->leaf), out);
}

static void leaf_l2(const struct query *q, uint32_t out[4])
{
	if (q->def->host_cache_info) {
		pass(q, out);
		return;
	}
	cache_encode_80000006(cpu_def_caches(q->def, q->leaf), q->def->l3_cache,
			      out);
	if (intel_like_v2(q->def))
		out[0] = out[1] = out[3] = 0;
}

static void leaf_ext_power(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;

	if (!def->vendor_only_v2 || !cpu_is_intel(def))
		out[1] = def->words[W_8_7_EBX];
	out[3] = def->words[W_8_7_EDX];
}

static void leaf_address(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;
	unsigned n = package_threads(def);

	out[0] = def->phys_bits;
	if (feature_test(def->words, FEAT_LM)) {
		out[0] |= feature_test(def->words, FEAT_LA57) ? 57 << 8
							      : 48 << 8;
		out[0] |= def->guest_phys_bits << 16;
	}
	out[1] = def->words[W_8_8_EBX];
	if (n > 1 && !intel_like_v2(def))
		out[2] = topo_shift(&def->topo, TOPO_SOCKET) << 12 | (n - 1);
}

static void leaf_svm(const struct query *q, uint32_t out[4])
{
	if (!feature_test(q->def->words, FEAT_SVM))
		return;
	out[0] = 1;
	out[1] = 16;
	out[3] = q->def->words[W_8_A_EDX];
}

static void leaf_ext_cache(const struct query *q, uint32_t out[4])
{
	const struct cpu_def *def = q->def;

	if (def->host_cache_info)
		pass_cache(q, out);
	else
		cache_encode_8000001d(cpu_def_caches(def, q->leaf), &def->topo,
				      q->subleaf, def->topoext_only, out);
}

static void leaf_ext_topology(const struct query *q, uint32_t out[4])
{
	const struct topo *t = &q->def->topo;
	const struct topo_place *p = q->place;

	out[0] = p->apic_id;
	out[1] = (t->threads - 1) << 8 | (p->core & 0xff);
	if (q->def->legacy_multi_node)
		out[2] = (t->dies - 1) << 8 |
			 (p->apic_id >> topo_shift(t, TOPO_DIE) & 0xff);
	else
		out[2] = p->apic_id >> topo_shift(t, TOPO_SOCKET) & 0xff;
}

static void leaf_ext_features(const struct query *q, uint32_t out[4])
{
	out[0] = q->def->words[W_8_21_EAX];
	out[2] = q->def->words[W_8_21_ECX];
}

static void leaf_ext_pmu(const struct query *q, uint32_t out[4])
{
	const struct kvm_cpuid_entry2 *en;

	if (!q->def->pmu || !feature_test(q->def->words, FEAT_PERFMON_V2))
		return;
	out[0] = q->def->words[W_8_22_EAX];
	en = offered(q->def, q->leaf, 0);
	if (q->def->accel == CPU_ACCEL_LODGE && q->def->model)
		out[1] = CPU_PMU_AMD;
	else if (en)
		out[1] = en->ebx & 0xf;
}

static void leaf_zhaoxin(const struct query *q, uint32_t out[4])
{
	out[0] = q->def->xlevel2;
}

static void leaf_zhaoxin_features(const struct query *q, uint32_t out[4])
{
	out[0] = cpu_def_signature(q->def);
	out[3] = q->def->words[W_C_1_EDX];
}

/* A leaf without a row answers zeros. */
static const struct {
	uint32_t leaf;
	void (*build)(const struct query *q, uint32_t out[4]);
} builders[] = {
	{CPUID_VENDOR, leaf_vendor},
	{CPUID_SIGNATURE, leaf_signature},
	{CPUID_CACHE_DESC, leaf_2},
	{CPUID_CACHE, leaf_4},
	{0x5, leaf_mwait},
	{CPUID_POWER, leaf_power},
	{CPUID_FEATURES, leaf_features},
	{CPUID_PMU, leaf_pmu},
	{CPUID_TOPOLOGY, leaf_b},
	{CPUID_XSTATE, leaf_d},
	{0x12, leaf_sgx},
	{0x14, leaf_pt},
	{CPUID_TSC, leaf_clock},
	{CPUID_MHZ, leaf_clock},
	{0x1c, leaf_lbr},
	{0x1d, leaf_tile},
	{0x1e, leaf_tmul},
	{CPUID_TOPOLOGY2, leaf_1f},
	{0x24, leaf_avx10},
	{0x29, leaf_apx},
	{CPUID_KVM, leaf_hypervisor},
	{CPUID_KVM_FEATURES, leaf_kvm},
	{CPUID_EXT, leaf_ext},
	{CPUID_EXT_SIGNATURE, leaf_ext_signature},
	{CPUID_EXT_BRAND, leaf_brand},
	{CPUID_EXT_BRAND + 1, leaf_brand},
	{CPUID_EXT_BRAND + 2, leaf_brand},
	{CPUID_EXT_L1, leaf_l1},
	{CPUID_EXT_L2, leaf_l2},
	{CPUID_EXT_POWER, leaf_ext_power},
	{CPUID_EXT_ADDRESS, leaf_address},
	{0x8000000a, leaf_svm},
	{CPUID_EXT_CACHE, leaf_ext_cache},
	{CPUID_EXT_TOPOLOGY, leaf_ext_topology},
	{CPUID_EXT_FEATURES2, leaf_ext_features},
	{0x80000022, leaf_ext_pmu},
	{0xc0000000, leaf_zhaoxin},
	{0xc0000001, leaf_zhaoxin_features},
};

void cpu_leaf_exact(const struct cpu_def *def, const struct topo_place *p,
		    uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	const struct query q = {def, p, leaf, subleaf};
	size_t i;

	memset(out, 0, 4 * sizeof(out[0]));
	for (i = 0; i < ARRAY_SIZE(builders); i++) {
		if (builders[i].leaf != leaf)
			continue;
		builders[i].build(&q, out);
		return;
	}
}

static uint32_t limit_of(const struct cpu_def *def, uint32_t leaf)
{
	if (leaf >= 0xc0000000)
		return def->xlevel2;
	if (leaf >= CPUID_EXT)
		return def->xlevel;
	if (leaf >= KVM_LEAF)
		return KVM_LEAF + 1;
	return def->level;
}

/* A KVM answers AMD's and Hygon's CPUs zeros above their limits. */
static bool ends_in_zeros(const struct cpu_def *def)
{
	return def->accel >= CPU_ACCEL_LODGE &&
	       (cpu_is_amd(def) || !strcmp(def->vendor, VENDOR_HYGON));
}

void cpu_leaf(const struct cpu_def *def, unsigned index, uint32_t leaf,
	      uint32_t subleaf, uint32_t out[4])
{
	struct topo_place p = topo_place(&def->topo, index);

	if (leaf > limit_of(def, leaf)) {
		if (ends_in_zeros(def)) {
			memset(out, 0, 4 * sizeof(out[0]));
			return;
		}
		leaf = def->level;
	}
	cpu_leaf_exact(def, &p, leaf, subleaf, out);
}
