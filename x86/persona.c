/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vendor's CPUID from the other's: SDM 2A "CPUID", APM 3 appendix E.
 * Nothing is added that the silicon cannot do; what only the other vendor has
 * is left out, and caches are told in the vendor's own leaves.
 */
#include "x86/persona.h"

#include <string.h>

#include "x86/cpuid.h"

/* Leaves of whatever the host itself runs on. */
#define CPUID_HYPERVISORS 0xf0000000u

#define MAX_BASIC_AMD 0x10u
#define MAX_EXT_INTEL CPUID_EXT_ADDRESS
#define MAX_EXT_AMD   CPUID_EXT_FEATURES2

/* Bits that a processor of both vendors can have. */
#define COMMON_8_1_ECX (BIT(0) | BIT(5) | BIT(8)) /* LAHF ABM PREFETCHW */
#define COMMON_8_1_EDX \
	(BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29)) /* SYSCALL NX .. LM */
#define COMMON_8_7_EDX BIT(8)                             /* invariant TSC */
#define COMMON_8_8_EBX BIT(9)                             /* WBNOINVD */
#define COMMON_6_EAX   BIT(2)                             /* ARAT */
#define COMMON_6_ECX   BIT(0)                             /* APERF, MPERF */

/* Intel's only: DTES64 VMX SMX EST TM2 CID xTPR PDCM DCA. */
#define INTEL_1_ECX                                                       \
	(BIT(2) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(10) | BIT(14) | \
	 BIT(15) | BIT(18))
/* PSN DS ACPI SS TM IA64 PBE. */
#define INTEL_1_EDX \
	(BIT(18) | BIT(21) | BIT(22) | BIT(27) | BIT(29) | BIT(30) | BIT(31))
/* SGX HLE RTM MPX PT. */
#define INTEL_7_EBX (BIT(2) | BIT(4) | BIT(11) | BIT(14) | BIT(25))
/* TME KL ENQCMD SGX_LC. */
#define INTEL_7_ECX (BIT(13) | BIT(23) | BIT(29) | BIT(30))
/* Mitigations, hybrid parts, PCONFIG, architectural LBR, AMX. */
#define INTEL_7_EDX                                                            \
	(BIT(9) | BIT(10) | BIT(11) | BIT(13) | BIT(15) | BIT(16) | BIT(18) |  \
	 BIT(19) | BIT(22) | BIT(24) | BIT(25) | BIT(26) | BIT(27) | BIT(29) | \
	 BIT(30) | BIT(31))

/* AMD repeats these bits of leaf 1 EDX in 0x80000001; has MMXEXT with SSE. */
#define AMD_ALIASES  0x0183f3ffu
#define AMD_MMXEXT   BIT(22)
#define AMD_TOPOEXT  BIT(22)
#define AMD_SSE      BIT(25)
#define AMD_LFENCE   BIT(2)
#define AMD_ONE_LINE (1u << 8) /* lines per tag */

/* "As leaf 4 says", and prefetching of 64 bytes. */
#define DESCRIPTORS_A 0x0000ff01u
#define DESCRIPTORS_B 0x000000f0u

const struct persona persona_intel = {
	.name = "intel",
	.vendor = "GenuineIntel",
	.family = 6,
	.model = 106,
	.stepping = 6,
	.brand = "Intel Xeon Processor (Icelake)",
	.hides = " svm npt lbrv svm_lock nrip_save tsc_scale vmcb_clean"
		 " flushbyasid decodeassists pausefilter pfthreshold avic"
		 " x2avic vgif v_vmsave_vmload v_spec_ctrl vnmi mmxext"
		 " fxsr_opt cmp_legacy extapic cr8_legacy sse4a misalignsse"
		 " osvw ibs xop skinit wdt lwp fma4 tce nodeid_msr tbm topoext"
		 " perfctr_core perfctr_nb bpext perfctr_llc mwaitx clzero"
		 " irperf xsaveerptr rdpru amd_ppin virt_ssbd amd_lbr_v2"
		 " perfmon_v2 sev sev_es sev_snp debug_swap sme ibpb_ret"
		 " overflow_recov succor smca amd_lbr_pmc_freeze vmmcall"
		 " extd_apicid ",
};

const struct persona persona_amd = {
	.name = "amd",
	.vendor = "AuthenticAMD",
	.amd = true,
	.family = 25,
	.model = 17,
	.stepping = 1,
	.brand = "AMD EPYC Processor (Genoa)",
	.hides = " vmx ept vpid vnmi flexpriority tpr_shadow ept_ad dtes64"
		 " ds_cpl smx est tm2 cid xtpr pdcm dca pn dts acpi ss tm pbe"
		 " pebs bts arch_perfmon sgx sgx_lc hle rtm mpx intel_pt tme"
		 " enqcmd md_clear arch_capabilities core_capability pconfig"
		 " arch_lbr amx_bf16 amx_tile amx_int8 hwp hwp_notify"
		 " hwp_act_window hwp_epp hwp_pkg_req ssbd_msr srbds_ctrl"
		 " tsxldtrk ",
};

const struct persona *persona_find(const char *name)
{
	if (!strcmp(name, persona_intel.name))
		return &persona_intel;
	return strcmp(name, persona_amd.name) ? NULL : &persona_amd;
}

bool persona_vendor_is_amd(uint32_t ebx)
{
	/* "Auth" of AuthenticAMD, "Hygo" of HygonGenuine */
	return ebx == 0x68747541 || ebx == 0x6f677948;
}

uint32_t persona_signature(const struct persona *p)
{
	uint32_t family = MIN(p->family, 0xf);

	return (uint32_t)(p->family - family) << 20 |
	       (uint32_t)(p->model >> 4) << 16 | family << 8 |
	       (uint32_t)(p->model & 0xf) << 4 | p->stepping;
}

void persona_silicon(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(subleaf));
}

/* Zeros beyond the limits, where Intel would repeat another leaf. */
static void bounded(persona_cpuid_fn *silicon, uint32_t leaf, uint32_t subleaf,
		    uint32_t r[4])
{
	silicon(leaf & CPUID_EXT, 0, r);
	if (leaf <= r[CPUID_EAX])
		silicon(leaf, subleaf, r);
	else
		memset(r, 0, 16);
}

static void put_vendor(const struct persona *p, uint32_t r[4])
{
	memcpy(&r[CPUID_EBX], p->vendor, 4);
	memcpy(&r[CPUID_EDX], p->vendor + 4, 4);
	memcpy(&r[CPUID_ECX], p->vendor + 8, 4);
}

/* ---- caches ---- */

struct cache {
	uint32_t ways, line, kib;
};

/* The cache of a type (1 data, 2 code, 3 both) and level, from leaf 4. */
static struct cache find_cache(persona_cpuid_fn *silicon, uint32_t type,
			       uint32_t level)
{
	struct cache c = {0};
	uint32_t r[4];

	for (uint32_t i = 0; i < 8; i++) {
		bounded(silicon, CPUID_CACHE, i, r);
		if ((r[0] & 0x1f) != type || (r[0] >> 5 & 7) != level)
			continue;
		c.line = (r[1] & 0xfff) + 1;
		c.ways = (r[1] >> 22) + 1;
		c.kib = (uint32_t)((uint64_t)c.ways * c.line *
				   ((r[1] >> 12 & 0x3ff) + 1) *
				   ((uint64_t)r[2] + 1) / 1024);
		break;
	}
	return c;
}

static uint32_t amd_l1(struct cache c)
{
	if (!c.kib)
		return 0;
	return MIN(c.kib, 255) << 24 | MIN(c.ways, 254) << 16 | AMD_ONE_LINE |
	       MIN(c.line, 255);
}

/* How 0x80000006 writes the number of ways; 9: see 0x8000001d. */
static uint32_t amd_ways(uint32_t ways)
{
	static const uint8_t codes[] = {1,  2,  3,  4,  6,  8,
					16, 32, 48, 64, 96, 128};
	static const uint8_t values[] = {1, 2,   3,   4,   5,   6,
					 8, 0xa, 0xb, 0xc, 0xd, 0xe};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i] == ways)
			return values[i];
	return 9;
}

static uint32_t amd_l3(struct cache c)
{
	if (!c.kib)
		return 0;
	return MIN(c.kib / 512, 0x3fff) << 18 | amd_ways(c.ways) << 12 |
	       AMD_ONE_LINE | MIN(c.line, 255);
}

/* ---- Intel's of AMD's ---- */

static void intel_basic(persona_cpuid_fn *silicon, uint32_t leaf,
			uint32_t subleaf, uint32_t r[4])
{
	switch (leaf) {
	case CPUID_CACHE_DESC:
		memset(r, 0, 16);
		r[CPUID_EAX] = DESCRIPTORS_A;
		r[CPUID_EBX] = DESCRIPTORS_B;
		break;
	case CPUID_CACHE: bounded(silicon, CPUID_EXT_CACHE, subleaf, r); break;
	}
}

static void intel_ext(uint32_t leaf, uint32_t r[4])
{
	switch (leaf) {
	case CPUID_EXT:
		memset(r, 0, 16);
		r[CPUID_EAX] = MAX_EXT_INTEL;
		break;
	case CPUID_EXT_SIGNATURE:
		r[CPUID_EAX] = r[CPUID_EBX] = 0;
		r[CPUID_ECX] &= COMMON_8_1_ECX;
		r[CPUID_EDX] &= COMMON_8_1_EDX;
		break;
	case CPUID_EXT_L2:
		r[CPUID_EAX] = r[CPUID_EBX] = r[CPUID_EDX] = 0;
		r[CPUID_ECX] &= ~0xf00u;
		break;
	case CPUID_EXT_POWER:
		r[CPUID_EAX] = r[CPUID_EBX] = r[CPUID_ECX] = 0;
		r[CPUID_EDX] &= COMMON_8_7_EDX;
		break;
	case CPUID_EXT_ADDRESS:
		r[CPUID_EAX] &= 0xffff;
		r[CPUID_EBX] &= COMMON_8_8_EBX;
		r[CPUID_ECX] = r[CPUID_EDX] = 0;
		break;
	default: memset(r, 0, 16); break;
	}
}

/* ---- AMD's of Intel's ---- */

static void amd_basic(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	switch (leaf) {
	case CPUID_SIGNATURE:
		r[CPUID_ECX] &= ~INTEL_1_ECX;
		r[CPUID_EDX] &= ~INTEL_1_EDX;
		break;
	case CPUID_POWER:
		r[CPUID_EAX] &= COMMON_6_EAX;
		r[CPUID_ECX] &= COMMON_6_ECX;
		r[CPUID_EBX] = r[CPUID_EDX] = 0;
		break;
	case CPUID_FEATURES:
		if (subleaf)
			break;
		r[CPUID_EBX] &= ~INTEL_7_EBX;
		r[CPUID_ECX] &= ~INTEL_7_ECX;
		r[CPUID_EDX] &= ~INTEL_7_EDX;
		break;
	case CPUID_CACHE_DESC:
	case 3: /* serial number */
	case CPUID_CACHE:
	case 9: /* direct cache access */
	case CPUID_PMU:
	case 0xc: memset(r, 0, 16); break;
	}
}

static void amd_signature(persona_cpuid_fn *silicon, uint32_t r[4])
{
	uint32_t basic[4];

	silicon(CPUID_SIGNATURE, 0, basic);
	r[CPUID_EAX] = persona_signature(&persona_amd);
	r[CPUID_EBX] = 0;
	r[CPUID_ECX] = (r[CPUID_ECX] & COMMON_8_1_ECX) | AMD_TOPOEXT;
	r[CPUID_EDX] = (r[CPUID_EDX] & COMMON_8_1_EDX) |
		       (basic[CPUID_EDX] & AMD_ALIASES);
	if (basic[CPUID_EDX] & AMD_SSE)
		r[CPUID_EDX] |= AMD_MMXEXT;
}

static void amd_ext(persona_cpuid_fn *silicon, uint32_t leaf, uint32_t subleaf,
		    uint32_t r[4])
{
	uint32_t was[4];

	memcpy(was, r, 16);
	if (leaf != CPUID_EXT_SIGNATURE)
		memset(r, 0, 16);
	switch (leaf) {
	case CPUID_EXT:
		r[CPUID_EAX] = MAX_EXT_AMD;
		put_vendor(&persona_amd, r);
		break;
	case CPUID_EXT_SIGNATURE: amd_signature(silicon, r); break;
	case CPUID_EXT_L1:
		r[CPUID_ECX] = amd_l1(find_cache(silicon, 1, 1));
		r[CPUID_EDX] = amd_l1(find_cache(silicon, 2, 1));
		break;
	case CPUID_EXT_L2:
		r[CPUID_ECX] = was[CPUID_ECX];
		if (r[CPUID_ECX])
			r[CPUID_ECX] |= AMD_ONE_LINE;
		r[CPUID_EDX] = amd_l3(find_cache(silicon, 3, 3));
		break;
	case CPUID_EXT_POWER:
		r[CPUID_EDX] = was[CPUID_EDX] & COMMON_8_7_EDX;
		break;
	case CPUID_EXT_ADDRESS:
		r[CPUID_EAX] = was[CPUID_EAX] & 0xffff;
		r[CPUID_EBX] = was[CPUID_EBX] & COMMON_8_8_EBX;
		break;
	case CPUID_EXT_CACHE:
		bounded(silicon, CPUID_CACHE, subleaf, r);
		r[CPUID_EAX] &= 0x03ffffff; /* cores are told elsewhere */
		r[CPUID_EDX] &= 3;
		break;
	case CPUID_EXT_FEATURES2: r[CPUID_EAX] = AMD_LFENCE; break;
	}
}

/* ---- both ---- */

static bool is_silicons(const struct persona *p, persona_cpuid_fn *silicon)
{
	uint32_t r[4];

	silicon(CPUID_VENDOR, 0, r);
	return persona_vendor_is_amd(r[CPUID_EBX]) == p->amd;
}

void persona_cpuid(const struct persona *p, persona_cpuid_fn *silicon,
		   uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	if (!p || (leaf & CPUID_HYPERVISORS) == CPUID_KVM ||
	    is_silicons(p, silicon)) {
		silicon(leaf, subleaf, r);
		return;
	}
	bounded(silicon, leaf, subleaf, r);
	if (leaf >= CPUID_EXT_BRAND && leaf < CPUID_EXT_BRAND + 3) {
		memcpy(r, p->brand + (leaf - CPUID_EXT_BRAND) * 16, 16);
		return;
	}
	if (leaf & CPUID_EXT) {
		if (p->amd)
			amd_ext(silicon, leaf, subleaf, r);
		else
			intel_ext(leaf, r);
		return;
	}
	if (p->amd)
		amd_basic(leaf, subleaf, r);
	else
		intel_basic(silicon, leaf, subleaf, r);
	if (leaf == CPUID_SIGNATURE)
		r[CPUID_EAX] = persona_signature(p);
	if (leaf != CPUID_VENDOR)
		return;
	put_vendor(p, r);
	if (p->amd)
		r[CPUID_EAX] = MIN(r[CPUID_EAX], MAX_BASIC_AMD);
}
