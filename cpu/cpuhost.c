/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's processor can do, what of it guests are offered, and the
 * KVM_GET_SUPPORTED_CPUID table made of both. SDM 2A "CPUID", APM 3 appendix
 * E. Topology is left to the client: one thread, one core, APIC id 0.
 *
 * On mitigations. A guest runs in one host process at one host privilege, its
 * page tables are not the hardware's and its indirect branches become table
 * look-ups. Page-table isolation, retpolines, return thunks, buffer clearing
 * by VERW and the like reach no host hardware from there; doc/security.md
 * makes no promise they could keep. The bits that tell a guest to leave them
 * out are offered; controls that would have to act on the host (SSBD, L1D
 * flush) are not.
 */
#include "cpu/cpuid.h"

#include <errno.h>
#include <string.h>

#include "cpu/pmu/pmu.h"
#include "cpu/xstate.h"
#include "x86/persona.h"

enum feature_kind { NATIVE, EMULATED, RUNTIME, ALLOW, NEVER };

struct feature_row {
	const char *name;
	uint16_t feature;
	uint16_t needs;
	uint8_t kind;
	uint8_t xcr0;
};

static const struct feature_row feature_rows[] = {
#define FEATURE(id, name_, word, bit, kind_, xcr0_, needs_) \
	{                                                   \
		.name = name_,                              \
		.feature = FEAT_##id,                       \
		.needs = FEAT_##needs_,                     \
		.kind = kind_,                              \
		.xcr0 = xcr0_,                              \
	},
#include "x86/feature.def"
#undef FEATURE
};

const struct cpuid_place cpuid_places[CPUID_WORDS] = {
	[W_1_ECX] = {0x1, 0, CPUID_ECX},
	[W_1_EDX] = {0x1, 0, CPUID_EDX},
	[W_6_EAX] = {0x6, 0, CPUID_EAX},
	[W_7_EBX] = {0x7, 0, CPUID_EBX},
	[W_7_ECX] = {0x7, 0, CPUID_ECX},
	[W_7_EDX] = {0x7, 0, CPUID_EDX},
	[W_7_1_EAX] = {0x7, 1, CPUID_EAX},
	[W_7_1_EDX] = {0x7, 1, CPUID_EDX},
	[W_7_2_EDX] = {0x7, 2, CPUID_EDX},
	[W_D_1_EAX] = {0xd, 1, CPUID_EAX},
	[W_KVM_EAX] = {0x40000001, 0, CPUID_EAX},
	[W_8_1_ECX] = {0x80000001, 0, CPUID_ECX},
	[W_8_1_EDX] = {0x80000001, 0, CPUID_EDX},
	[W_8_7_EDX] = {0x80000007, 0, CPUID_EDX},
	[W_8_8_EBX] = {0x80000008, 0, CPUID_EBX},
	[W_8_21_EAX] = {0x80000021, 0, CPUID_EAX},
	[W_8_21_ECX] = {0x80000021, 0, CPUID_ECX},
};

/* Bits of leaf 1 EDX that AMD repeats in leaf 0x80000001. */
#define AMD_ALIASES 0x0183f3ffu

static const struct persona *persona; /* NULL: the host's own */
static struct cpuid_host host;
static uint32_t offered[CPUID_WORDS];
static int host_state; /* 0 unknown, 1 being asked, 2 known */

static void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	persona_cpuid(persona, persona_silicon, leaf, subleaf, r);
}

int cpuid_host_vendor(const char *vendor)
{
	persona = persona_find(vendor);
	return persona ? 0 : -EINVAL;
}

/* Zeros for a leaf the host does not have. */
static void host_leaf(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	uint32_t max = leaf >> 31 ? host.max_ext : host.max_leaf;

	memset(r, 0, 16);
	if (leaf <= max)
		host_cpuid(leaf, subleaf, r);
	if (leaf == CPUID_FEATURES && subleaf) {
		uint32_t first[4];

		host_cpuid(leaf, 0, first);
		if (subleaf > first[0])
			memset(r, 0, 16);
	}
}

static uint64_t host_xgetbv(void)
{
	uint32_t a, d;

	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a | (uint64_t)d << 32;
}

static bool bit_test(const uint32_t *w, unsigned int feature)
{
	return w[feature / 32] >> (feature % 32) & 1;
}

static void bit_clear(uint32_t *w, unsigned int feature)
{
	w[feature / 32] &= ~BIT(feature % 32);
}

static void host_read(void)
{
	uint32_t r[4];
	unsigned int i;

	host_cpuid(0, 0, r);
	host.max_leaf = r[0];
	host.vendor[0] = r[1];
	host.vendor[1] = r[2];
	host.vendor[2] = r[3];
	host.amd = persona_vendor_is_amd(r[1]);
	persona_silicon(0, 0, r);
	host.silicon_amd = persona_vendor_is_amd(r[1]);
	host_cpuid(CPUID_EXT, 0, r);
	host.max_ext = r[0];
	host_leaf(CPUID_SIGNATURE, 0, r);
	host.signature = r[0];
	host.misc = r[1];
	host.xcr0 = XCR0_X87 | XCR0_SSE;
	if (r[2] & BIT(27))
		host.xcr0 = host_xgetbv();
	host_leaf(CPUID_EXT_ADDRESS, 0, r);
	host.phys_bits = r[0] & 0xff ? r[0] & 0xff : 36;
	for (i = 0; i < CPUID_WORDS; i++) {
		if (i == W_KVM_EAX)
			continue;
		host_leaf(cpuid_places[i].leaf, cpuid_places[i].subleaf, r);
		host.words[i] = r[cpuid_places[i].reg];
	}
	if (!bit_test(host.words, FEAT_OSXSAVE))
		bit_clear(host.words, FEAT_XSAVE);
}

/*
 * Clients ask the processor itself where a component lies in an XSAVE image
 * (QEMU does); one it has no place for would overlap another there.
 */
static bool host_has_component(unsigned int n)
{
	uint32_t r[4];

	host_leaf(CPUID_XSTATE, n, r);
	return r[0] != 0;
}

static bool row_offered(const struct feature_row *row)
{
	if (row->feature == FEAT_PKU && !host_has_component(XF_PKRU))
		return false;
	if (row->kind == EMULATED)
		return true;
	return row->kind == NATIVE && bit_test(host.words, row->feature) &&
	       (host.xcr0 & row->xcr0) == row->xcr0;
}

static void offer(void)
{
	const struct feature_row *row, *end;
	bool again = true;

	memset(offered, 0, sizeof(offered));
	end = feature_rows + ARRAY_SIZE(feature_rows);
	for (row = feature_rows; row < end; row++)
		if (row_offered(row))
			offered[row->feature / 32] |= BIT(row->feature % 32);
	while (again) {
		again = false;
		for (row = feature_rows; row < end; row++) {
			if (row->needs == FEAT_NONE ||
			    !bit_test(offered, row->feature) ||
			    bit_test(offered, row->needs))
				continue;
			bit_clear(offered, row->feature);
			again = true;
		}
	}
}

const struct cpuid_host *cpuid_host(void)
{
	int zero = 0;

	if (likely(__atomic_load_n(&host_state, __ATOMIC_ACQUIRE) == 2))
		return &host;
	if (__atomic_compare_exchange_n(&host_state, &zero, 1, false,
					__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
		host_read();
		offer();
		__atomic_store_n(&host_state, 2, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&host_state, __ATOMIC_ACQUIRE) != 2)
		__builtin_ia32_pause();
	return &host;
}

const uint32_t *cpuid_offered(void)
{
	cpuid_host();
	return offered;
}

uint32_t cpuid_allowed_word(unsigned int word)
{
	uint32_t w = cpuid_offered()[word];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(feature_rows); i++)
		if (feature_rows[i].kind == ALLOW &&
		    feature_rows[i].feature / 32 == word)
			w |= BIT(feature_rows[i].feature % 32);
	return w;
}

const char *cpuid_feature_name(enum feature f)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(feature_rows); i++)
		if (feature_rows[i].feature == f)
			return feature_rows[i].name;
	return NULL;
}

/* Kernel spelling (avx512_vnni) and QEMU's (avx512-vnni) are the same. */
static bool name_matches(const char *row, const char *name, size_t len,
			 bool whole)
{
	size_t i;

	for (i = 0; i < len; i++) {
		char c = name[i] == '_' ? '-' : name[i];

		if (row[i] != c)
			return false;
	}
	return !whole || !row[len];
}

static void mask_feature(unsigned int feature)
{
	bit_clear(host.words, feature);
	switch (feature) {
	case FEAT_XSAVE: host.xcr0 &= XCR0_X87 | XCR0_SSE; break;
	case FEAT_AVX: host.xcr0 &= ~(XCR0_AVX | XCR0_AVX512); break;
	case FEAT_AVX512F: host.xcr0 &= ~XCR0_AVX512; break;
	case FEAT_PKU: host.xcr0 &= ~XCR0_PKRU; break;
	}
}

static bool mask_name(const char *name, size_t len, bool whole)
{
	unsigned int i;
	bool hit = false;

	for (i = 0; i < ARRAY_SIZE(feature_rows); i++) {
		if (!name_matches(feature_rows[i].name, name, len, whole))
			continue;
		mask_feature(feature_rows[i].feature);
		hit = true;
	}
	return hit;
}

int cpuid_host_mask(const char *list)
{
	size_t len;

	cpuid_host();
	for (; *list; list += len + (list[len] == ',')) {
		for (len = 0; list[len] && list[len] != ','; len++)
			;
		if (!len)
			continue;
		if (!mask_name(list, len, true) && !mask_name(list, len, false))
			return -EINVAL;
	}
	offer();
	return 0;
}

/* ---- the table for clients ---- */

struct list {
	struct cpuid_entry *out;
	unsigned int count, max;
	struct cpuid_entry spare; /* written when out is full */
};

typedef void leaf_fn(struct list *l, uint32_t leaf);

static struct cpuid_entry *list_add(struct list *l, uint32_t leaf,
				    uint32_t subleaf, uint32_t flags)
{
	struct cpuid_entry *e = &l->spare;

	if (l->count < l->max)
		e = &l->out[l->count];
	l->count++;
	memset(e, 0, sizeof(*e));
	e->leaf = leaf;
	e->subleaf = subleaf;
	e->flags = flags;
	return e;
}

static void entry_from_host(struct cpuid_entry *e)
{
	uint32_t r[4];

	host_leaf(e->leaf, e->subleaf, r);
	e->eax = r[0];
	e->ebx = r[1];
	e->ecx = r[2];
	e->edx = r[3];
}

static void leaf_host(struct list *l, uint32_t leaf)
{
	entry_from_host(list_add(l, leaf, 0, 0));
}

static void leaf_max(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, 0);

	e->eax = MIN(MAX(host.max_leaf, CPUID_XSTATE), CPUID_TOPOLOGY2);
	e->ebx = host.vendor[0];
	e->ecx = host.vendor[1];
	e->edx = host.vendor[2];
}

static void leaf_signature(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, 0);

	e->eax = host.signature;
	e->ebx = host.misc & 0xff00; /* CLFLUSH line; APIC id 0 */
	e->ecx = offered[W_1_ECX];
	if (!host.amd)
		e->ecx |= BIT(FEAT_PDCM % 32);
	e->edx = offered[W_1_EDX];
}

/* Intel's descriptor bytes, when one round gives them all. */
static void leaf_cache_desc(struct list *l, uint32_t leaf)
{
	uint32_t r[4];

	host_leaf(leaf, 0, r);
	if ((r[0] & 0xff) == 1)
		leaf_host(l, leaf);
}

/* Sub-leaves until a cache of type 0; each cache serves one thread. */
static void leaf_caches(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e;
	uint32_t i = 0;

	do {
		e = list_add(l, leaf, i, CPUID_INDEXED);
		entry_from_host(e);
		e->eax &= 0x3fff;
		if (!(e->eax & 0x1f))
			e->eax = e->ebx = e->ecx = e->edx = 0;
	} while (e->eax && ++i < 8);
}

static void leaf_power(struct list *l, uint32_t leaf)
{
	list_add(l, leaf, 0, 0)->eax = offered[W_6_EAX];
}

static void leaf_features(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, CPUID_INDEXED);

	e->eax = 2;
	e->ebx = offered[W_7_EBX];
	e->ecx = offered[W_7_ECX];
	e->edx = offered[W_7_EDX];
	e = list_add(l, leaf, 1, CPUID_INDEXED);
	e->eax = offered[W_7_1_EAX];
	e->edx = offered[W_7_1_EDX];
	e = list_add(l, leaf, 2, CPUID_INDEXED);
	e->edx = offered[W_7_2_EDX];
}

/* The unit of the vendor is there on any host: the engine counts. */
static void leaf_pmu(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, 0);

	if (host.amd)
		return;
	e->eax = PMU_VERSION | PMU_GP << 8 | PMU_WIDTH << 16 | PMU_EVENTS << 24;
	e->ebx = PMU_NO_EVENTS;
	e->ecx = BIT(PMU_FIXED) - 1;
	e->edx = PMU_FIXED | PMU_WIDTH << 5 | PMU_NO_ANYTHREAD;
}

static void leaf_topology(struct list *l, uint32_t leaf)
{
	list_add(l, leaf, 0, CPUID_INDEXED);
}

static void leaf_xstate(struct list *l, uint32_t leaf)
{
	const struct xstate_layout *x = xstate_layout();
	struct cpuid_entry *e;
	unsigned int i;

	if (!bit_test(offered, FEAT_XSAVE))
		return;
	e = list_add(l, leaf, 0, CPUID_INDEXED);
	e->eax = x->mask;
	e->ebx = e->ecx = xstate_size(x->mask);
	e = list_add(l, leaf, 1, CPUID_INDEXED);
	e->eax = offered[W_D_1_EAX];
	e->ebx = xstate_compact_size(x->mask);
	for (i = XF_AVX; i < XF_COUNT; i++) {
		if (!(x->mask >> i & 1))
			continue;
		e = list_add(l, leaf, i, CPUID_INDEXED);
		e->eax = x->comp[i].size;
		e->ebx = x->comp[i].offset;
		e->ecx = x->comp[i].align ? 2 : 0;
	}
}

/* Frequencies where the host knows them; a guest's TSC runs as the host's. */
static void leaf_tsc(struct list *l, uint32_t leaf)
{
	uint32_t r[4];

	host_leaf(leaf, 0, r);
	if (r[0] && r[1])
		leaf_host(l, leaf);
}

static void leaf_kvm(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, 0);
	uint32_t sig[3];

	memcpy(sig, "KVMKVMKVM\0\0\0", 12);
	e->eax = CPUID_KVM_FEATURES;
	e->ebx = sig[0];
	e->ecx = sig[1];
	e->edx = sig[2];
	e = list_add(l, CPUID_KVM_FEATURES, 0, 0);
	e->eax = offered[W_KVM_EAX];
}

static void leaf_ext_max(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, 0);

	e->eax = MAX(host.max_ext, CPUID_EXT_ADDRESS);
	if (host.amd)
		e->eax = CPUID_EXT_PMU;
	e->ebx = host.amd ? host.vendor[0] : 0;
	e->ecx = host.amd ? host.vendor[1] : 0;
	e->edx = host.amd ? host.vendor[2] : 0;
}

static void leaf_ext_signature(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, 0);
	uint32_t r[4];

	host_leaf(leaf, 0, r);
	e->eax = r[0];
	e->ebx = r[1];
	e->ecx = offered[W_8_1_ECX];
	if (host.amd)
		e->ecx |= BIT(FEAT_PERFCTR_CORE % 32);
	e->edx = offered[W_8_1_EDX];
	if (host.amd)
		e->edx |= offered[W_1_EDX] & AMD_ALIASES;
}

static void leaf_ext_power(struct list *l, uint32_t leaf)
{
	list_add(l, leaf, 0, 0)->edx = offered[W_8_7_EDX];
}

static void leaf_ext_address(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e = list_add(l, leaf, 0, 0);
	unsigned int phys = MAX(host.phys_bits, 46);

	e->eax = phys | (bit_test(offered, FEAT_LA57) ? 57 : 48) << 8;
	e->ebx = offered[W_8_8_EBX];
}

static void leaf_amd(struct list *l, uint32_t leaf)
{
	if (host.amd)
		leaf_host(l, leaf);
}

static void leaf_amd_caches(struct list *l, uint32_t leaf)
{
	if (bit_test(offered, FEAT_TOPOEXT))
		leaf_caches(l, leaf);
}

static void leaf_amd_topology(struct list *l, uint32_t leaf)
{
	if (bit_test(offered, FEAT_TOPOEXT))
		list_add(l, leaf, 0, 0);
}

static void leaf_amd_features(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e;

	if (!host.amd)
		return;
	e = list_add(l, leaf, 0, 0);
	e->eax = offered[W_8_21_EAX];
	e->ecx = offered[W_8_21_ECX];
}

static void leaf_amd_pmu(struct list *l, uint32_t leaf)
{
	struct cpuid_entry *e;

	if (!host.amd)
		return;
	e = list_add(l, leaf, 0, 0);
	e->eax = 1; /* PerfMonV2 */
	e->ebx = PMU_GP_AMD;
}

static const struct {
	uint32_t leaf;
	leaf_fn *build;
} leaves[] = {
	{CPUID_VENDOR, leaf_max},
	{CPUID_SIGNATURE, leaf_signature},
	{CPUID_CACHE_DESC, leaf_cache_desc},
	{CPUID_CACHE, leaf_caches},
	{CPUID_POWER, leaf_power},
	{CPUID_FEATURES, leaf_features},
	{CPUID_PMU, leaf_pmu},
	{CPUID_TOPOLOGY, leaf_topology},
	{CPUID_XSTATE, leaf_xstate},
	{CPUID_TSC, leaf_tsc},
	{CPUID_MHZ, leaf_tsc},
	{CPUID_TOPOLOGY2, leaf_topology},
	{CPUID_KVM, leaf_kvm},
	{CPUID_EXT, leaf_ext_max},
	{CPUID_EXT_SIGNATURE, leaf_ext_signature},
	{CPUID_EXT_BRAND, leaf_host},
	{CPUID_EXT_BRAND + 1, leaf_host},
	{CPUID_EXT_BRAND + 2, leaf_host},
	{CPUID_EXT_L1, leaf_amd},
	{CPUID_EXT_L2, leaf_host},
	{CPUID_EXT_POWER, leaf_ext_power},
	{CPUID_EXT_ADDRESS, leaf_ext_address},
	{CPUID_EXT_TLB1G, leaf_amd},
	{CPUID_EXT_OPTIMIZE, leaf_amd},
	{CPUID_EXT_CACHE, leaf_amd_caches},
	{CPUID_EXT_TOPOLOGY, leaf_amd_topology},
	{CPUID_EXT_FEATURES2, leaf_amd_features},
	{CPUID_EXT_PMU, leaf_amd_pmu},
};

int cpuid_supported(struct cpuid_entry *out, unsigned int n)
{
	struct list l = {.out = out, .max = n};
	unsigned int i;

	cpuid_host();
	for (i = 0; i < ARRAY_SIZE(leaves); i++)
		leaves[i].build(&l, leaves[i].leaf);
	return l.count <= n ? (int)l.count : -E2BIG;
}
