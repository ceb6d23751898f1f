/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU as a guest will see it: a model, a machine's version, the operator's
 * properties and an accelerator's abilities resolved into one description,
 * from which any CPUID leaf can be answered.
 */
#ifndef VMM_CPU_DEF_H
#define VMM_CPU_DEF_H

#include <linux/kvm.h>

#include "lib/err.h"
#include "vmm/cpu/cache.h"
#include "vmm/cpu/feature.h"
#include "vmm/cpu/machtype.h"
#include "vmm/cpu/model.h"
#include "vmm/cpu/topo.h"

enum cpu_accel_kind {
	CPU_ACCEL_NONE,  /* nobody: the model as it is written */
	CPU_ACCEL_TCG,   /* QEMU's software engine, to compare with */
	CPU_ACCEL_LODGE, /* a model keeps its vendor */
	CPU_ACCEL_KVM,   /* the host's vendor unless vendor= is given */
};

/* What can be offered to a guest. */
struct cpu_accel {
	enum cpu_accel_kind kind;
	uint32_t words[CPUID_MODEL_WORDS];
	struct kvm_cpuid2 *table; /* KVM_GET_SUPPORTED_CPUID, or NULL */
};

/* What an operator asks for. */
struct cpu_request {
	char name[48];    /* the model's */
	char props[1024]; /* what followed it, "" for nothing */
	struct machtype machine;
	struct topo topo;
	enum topo_level smp_cache[CACHE_COUNT];
};

/* Levels that properties may set; features raise only the lowest ones. */
#define LEVEL_AUTO 0xffffffffu

struct cpu_def {
	const struct cpu_model *model; /* NULL: base, max, host */
	unsigned version;
	enum cpu_accel_kind accel;
	const struct kvm_cpuid2 *table; /* the accelerator's, or NULL */
	struct topo topo;

	uint32_t words[CPUID_MODEL_WORDS];
	uint32_t user[CPUID_MODEL_WORDS];    /* bits the operator spoke of */
	uint32_t missing[CPUID_MODEL_WORDS]; /* asked for, not to be had */
	uint64_t xcr0;
	uint64_t xss;

	uint32_t family, model_number, stepping;
	char vendor[13];
	char model_id[49];
	uint32_t level, xlevel, xlevel2, level_func7;
	uint32_t min_level, min_xlevel, min_xlevel2, min_level_func7;
	uint32_t phys_bits;       /* 0: the accelerator's choice */
	uint32_t guest_phys_bits; /* 0: not said */
	uint32_t avx10_version;

	bool legacy_cache, legacy_cache_set;
	bool l3_cache;
	bool consistent_cache;
	bool vendor_only, vendor_only_v2;
	bool l1_per_core;
	bool topoext_only;
	bool legacy_multi_node;
	bool force_1f;
	bool leaf_b;
	bool host_cache_info;
	bool arch_cap_always;
	bool pdcm_always;
	bool pmu;
	bool no_pmu; /* pmu=off was said: AMD's models have one else */
	bool expose_kvm;
	bool expose_tcg;
	bool host_phys_bits;
	bool migratable; /* max, host: nothing that binds to this host */
	bool check, enforce;
	bool vendor_set;   /* by the operator */
	bool wants_max;    /* all that the accelerator has */
	bool wants_kernel; /* host: only with a KVM */

	struct cache_model stored; /* with smp-cache applied */
	const struct cache_model *stored_from;
	const struct cache_model *named; /* the model's own, or NULL */
};

/* What QEMU's software engine offers. */
extern const uint32_t cpu_tcg_words[CPUID_MODEL_WORDS];

/*
 * Resolve @r. Refused combinations are -EINVAL with a sentence; features
 * that @accel lacks are in def->missing, or refused with enforce.
 */
int cpu_def_resolve(struct cpu_def *def, const struct cpu_request *r,
		    const struct cpu_accel *accel, struct err *e) __must_check;

/* Is there a model of that name? */
int cpu_def_check_name(const char *name, struct err *e) __must_check;

/*
 * One "+feature", "-feature", "feature" or "property=value".
 * @user: an operator said so, not a table.
 */
int cpu_def_set(struct cpu_def *def, const char *item, size_t len, bool user,
		struct err *e) __must_check;

/* Vendor classes, by the 12 letters. */
bool cpu_is_intel(const struct cpu_def *def);
bool cpu_is_amd(const struct cpu_def *def);
bool cpu_is_zhaoxin(const struct cpu_def *def);

/* The caches that leaf @leaf shows. */
const struct cache_model *cpu_def_caches(const struct cpu_def *def,
					 uint32_t leaf);

/* Leaf 0x1F exists. */
static inline bool cpu_def_has_1f(const struct cpu_def *def)
{
	return topo_is_deep(&def->topo) || def->force_1f;
}

/* EAX of leaf 1. */
uint32_t cpu_def_signature(const struct cpu_def *def);

/*
 * ---- leaf.c ----
 */

/* What CPUID answers on CPU @index before its guest has run anything. */
void cpu_leaf(const struct cpu_def *def, unsigned index, uint32_t leaf,
	      uint32_t subleaf, uint32_t out[4]);

/* The same without falling back to the highest basic leaf. */
void cpu_leaf_exact(const struct cpu_def *def, const struct topo_place *p,
		    uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

#endif
