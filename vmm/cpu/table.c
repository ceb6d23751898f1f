/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_GET_SUPPORTED_CPUID into words of features, and a resolved CPU into the
 * entries of KVM_SET_CPUID2: all leaves up to the limits, with sub-leaves
 * where a leaf has them.
 */
#include "vmm/cpu/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cpuid.h"
#include "vmm/hv.h"

#define ROOM 256

/* What needs nothing from a KVM, or is the monitor's to give. */
static const uint16_t always[] = {
	FEAT_HYPERVISOR, FEAT_HT, FEAT_CMP_LEGACY, FEAT_TOPOEXT, FEAT_KVM_HINT,
};

void table_read_words(struct cpu_accel *accel)
{
	const struct feature_place *p;
	const struct kvm_cpuid_entry2 *en;
	uint32_t aliases;
	unsigned w;
	size_t i;

	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		p = &feature_places[w];
		en = p->msr ? NULL
			    : cpuid_find(accel->table, p->leaf, p->subleaf);
		if (en)
			accel->words[w] = (&en->eax)[p->reg];
	}
	for (i = 0; i < ARRAY_SIZE(always); i++)
		feature_set(accel->words, always[i], true);
	aliases = accel->words[W_1_EDX] & 0x0183f3ff;
	accel->words[W_8_1_EDX] |= aliases;
	feature_set(accel->words, FEAT_OSXSAVE, false);
	feature_set(accel->words, FEAT_OSPKE, false);
}

/* MSRs of features; a KVM without them has none of those features. */
static void read_msrs(struct cpu_accel *accel, struct hv *hv)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) +
			     sizeof(struct kvm_msr_entry)];
	} msrs;
	const struct feature_place *p;
	unsigned w;

	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		p = &feature_places[w];
		if (!p->msr)
			continue;
		memset(&msrs, 0, sizeof(msrs));
		msrs.head.nmsrs = 1;
		msrs.head.entries[0].index = p->msr;
		if (hv_ioctl(hv, hv->fd, KVM_GET_MSRS, (unsigned long)&msrs) !=
		    1)
			continue;
		accel->words[w] = (uint32_t)(msrs.head.entries[0].data >>
					     (p->reg ? 32 : 0));
	}
}

int table_ask(struct cpu_accel *accel, struct hv *hv, struct err *e)
{
	int ret;

	*accel = (struct cpu_accel){
		.kind = hv->ops == &hv_lodge ? CPU_ACCEL_LODGE : CPU_ACCEL_KVM,
	};
	accel->table = cpuid_fetch_supported(hv, e);
	if (!accel->table)
		return e ? e->code : -EIO;
	table_read_words(accel);
	read_msrs(accel, hv);
	/* the irqchip's timer is no bit of KVM_GET_SUPPORTED_CPUID */
	ret = HV_CALLN(hv, hv->fd, KVM_CHECK_EXTENSION,
		       KVM_CAP_TSC_DEADLINE_TIMER, e);
	if (ret < 0) {
		table_drop(accel);
		return ret;
	}
	feature_set(accel->words, FEAT_TSC_DEADLINE, ret > 0);
	return 0;
}

void table_drop(struct cpu_accel *accel)
{
	free(accel->table);
	accel->table = NULL;
}

/* ---- KVM_SET_CPUID2 ---- */

struct builder {
	const struct cpu_def *def;
	struct topo_place place;
	struct kvm_cpuid2 *t;
};

static struct kvm_cpuid_entry2 *add(struct builder *b, uint32_t leaf,
				    uint32_t subleaf, bool indexed)
{
	struct kvm_cpuid_entry2 *en = &b->t->entries[b->t->nent++];
	uint32_t r[4];

	cpu_leaf_exact(b->def, &b->place, leaf, subleaf, r);
	*en = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = r[0],
		.ebx = r[1],
		.ecx = r[2],
		.edx = r[3],
	};
	return en;
}

/* Highest sub-leaf worth an entry, -1: the leaf has none. */
static int last_subleaf(const struct builder *b, uint32_t leaf)
{
	switch (leaf) {
	case CPUID_CACHE:
	case CPUID_EXT_CACHE: return CACHE_COUNT;
	case CPUID_FEATURES: return (int)MIN(b->def->level_func7, 2U);
	case CPUID_TOPOLOGY: return 2;
	case CPUID_TOPOLOGY2: return 4;
	case CPUID_XSTATE:
		if (!feature_test(b->def->words, FEAT_XSAVE))
			return 1;
		return 63 - __builtin_clzll(b->def->xcr0 | b->def->xss | 2);
	case 0x12: return 2;
	case 0x14:
	case 0x1d:
	case 0x1e:
	case 0x24: return 1;
	default: return -1;
	}
}

static void add_leaf(struct builder *b, uint32_t leaf)
{
	struct kvm_cpuid_entry2 *en;
	int i, last = last_subleaf(b, leaf);

	if (last < 0)
		add(b, leaf, 0, false);
	for (i = 0; i <= last; i++) {
		en = add(b, leaf, (uint32_t)i, true);
		/* states that do not exist need no entry */
		if (leaf == CPUID_XSTATE && i > 1 && !en->eax)
			b->t->nent--;
	}
}

static void add_range(struct builder *b, uint32_t from, uint32_t to)
{
	uint32_t leaf;

	for (leaf = from; leaf >= from && leaf <= to; leaf++)
		if (b->t->nent + 70 < ROOM)
			add_leaf(b, leaf);
}

struct kvm_cpuid2 *table_build(const struct cpu_def *def, unsigned index)
{
	struct builder b = {
		.def = def,
		.place = topo_place(&def->topo, index),
		.t = calloc(1, sizeof(*b.t) + ROOM * sizeof(b.t->entries[0])),
	};

	if (!b.t)
		return NULL;
	add_range(&b, 0, MIN(def->level, 0x3fU));
	if (def->expose_kvm)
		add_range(&b, CPUID_KVM, CPUID_KVM_FEATURES);
	if (def->xlevel >= CPUID_EXT)
		add_range(&b, CPUID_EXT, MIN(def->xlevel, 0x8000003f));
	if (def->xlevel2 >= 0xc0000000)
		add_range(&b, 0xc0000000, MIN(def->xlevel2, 0xc0000004));
	return b.t;
}

unsigned table_msrs(const struct cpu_def *def,
		    struct kvm_msr_entry out[TABLE_MSRS])
{
	const uint32_t *w = def->words;
	unsigned n = 0;

	if (feature_test(w, FEAT_ARCH_CAP))
		out[n++] = (struct kvm_msr_entry){
			.index = feature_places[W_ARCH_CAP].msr,
			.data = w[W_ARCH_CAP] | (uint64_t)w[W_ARCH_CAP_HI]
							<< 32,
		};
	if (feature_test(w, FEAT_CORE_CAP))
		out[n++] = (struct kvm_msr_entry){
			.index = feature_places[W_CORE_CAP].msr,
			.data = w[W_CORE_CAP],
		};
	if (feature_test(w, FEAT_PDCM))
		out[n++] = (struct kvm_msr_entry){
			.index = feature_places[W_PERF_CAP].msr,
			.data = w[W_PERF_CAP],
		};
	return n;
}
