/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as guests see it: what can be offered on this host, a vCPU's table,
 * and what follows from the table. The host is asked once per process and
 * never changes afterwards; that snapshot is the room's only static state.
 */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include "cpu/cpu.h"
#include "x86/cpuid.h"

/* Same layout as the KVM ABI's entry. */
struct cpuid_entry {
	uint32_t leaf, subleaf;
	uint32_t flags; /* CPUID_INDEXED */
	uint32_t eax, ebx, ecx, edx;
	uint32_t pad[3];
};

#define CPUID_INDEXED 1u /* the subleaf counts */
#define CPUID_MAX     256u

struct cpuid_table {
	unsigned int count;
	struct cpuid_entry entry[];
};

/* What the host, or what it passes for, gives. */
struct cpuid_host {
	uint32_t words[CPUID_WORDS]; /* after cpuid_host_mask() */
	uint32_t max_leaf, max_ext;
	uint32_t vendor[3]; /* EBX, ECX, EDX of leaf 0 */
	uint32_t signature, misc;
	uint64_t xcr0;    /* 3 without XSAVE */
	bool amd;         /* that vendor, or one like it */
	bool silicon_amd; /* whatever it passes for */
	uint8_t phys_bits;
};

const struct cpuid_host *cpuid_host(void);

/*
 * Hide features of the host, for tests: names of x86/feature.def separated by
 * commas; a name that is no feature stands for all that begin with it. To be
 * called before the first processor is made. -EINVAL: matches nothing.
 */
int cpuid_host_mask(const char *list) __must_check;

/*
 * Have the host pass for a processor of @vendor, "intel" or "amd". To be
 * called before anything else here. -EINVAL: another name.
 */
int cpuid_host_vendor(const char *vendor) __must_check;

static inline bool cpuid_host_has(enum feature f)
{
	return cpuid_host()->words[f / 32] >> (f % 32) & 1;
}

/* Feature words that can be offered to a guest on this host. */
const uint32_t *cpuid_offered(void);

/* The same with what is honoured when a client's table has it. */
uint32_t cpuid_allowed_word(unsigned int word);

/* Where a word of features lives. */
struct cpuid_place {
	uint32_t leaf, subleaf;
	uint8_t reg;
};

extern const struct cpuid_place cpuid_places[CPUID_WORDS];

/* Name of a feature, NULL for a bit without a row. */
const char *cpuid_feature_name(enum feature f);

/*
 * The KVM_GET_SUPPORTED_CPUID table: number of entries, or -E2BIG when @n is
 * too few.
 */
int cpuid_supported(struct cpuid_entry *out, unsigned int n) __must_check;

/*
 * Give a stopped vCPU its table. -EINVAL: linear address width is neither 48
 * nor 57; -EPERM: state components that are not permitted; -ENOMEM.
 */
int cpuid_set_table(struct cpu *cpu, const struct cpuid_entry *entries,
		    unsigned int n) __must_check;

/* True when @entries is the vCPU's table but for run-time bits. */
bool cpuid_same_table(const struct cpu *cpu, const struct cpuid_entry *entries,
		      unsigned int n);

/* The table with run-time bits filled in: entry @n, or NULL past the last. */
bool cpuid_get_entry(const struct cpu *cpu, unsigned int n,
		     struct cpuid_entry *out);

/* The entry of the vCPU's table as it was set, or NULL. */
const struct cpuid_entry *cpuid_lookup(const struct cpu *cpu, uint32_t leaf,
				       uint32_t subleaf);

/* What CPUID answers. @out: EAX EBX ECX EDX. */
void cpuid_query(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
		 uint32_t out[4]);

/* No table yet: everything that can be offered works, CPUID answers zeros. */
int cpuid_init(struct cpu *cpu) __must_check;
void cpuid_fini(struct cpu *cpu);

static inline bool cpu_has(const struct cpu *cpu, enum feature f)
{
	return cpu->features[f / 32] >> (f % 32) & 1;
}

#endif
