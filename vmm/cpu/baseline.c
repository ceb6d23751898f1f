/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model runs on hosts that have all its features. Of the models, the one
 * with most features that all hosts have is the richest; a feature that has
 * to be left out of it weighs as much as some others, so that an old model is
 * not chosen for want of one bit. Of equals the later version is taken. What
 * a host does not decide does not count.
 */
#include "vmm/cpu/baseline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Given by every monitor, never given, or following what runs. */
static const uint16_t no_matter[] = {
	FEAT_HYPERVISOR, FEAT_HT,           FEAT_CMP_LEGACY, FEAT_TOPOEXT,
	FEAT_X2APIC,     FEAT_TSC_DEADLINE, FEAT_ARAT,       FEAT_TSC_ADJUST,
	FEAT_SVM,        FEAT_VMX,          FEAT_MONITOR,    FEAT_ACPI,
	FEAT_PDCM,       FEAT_INVTSC,       FEAT_OSXSAVE,    FEAT_OSPKE,
};

static void leave_out(uint32_t *words)
{
	unsigned w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(no_matter); i++)
		feature_set(words, no_matter[i], false);
	words[W_KVM_EAX] = words[W_KVM_EDX] = 0;
	words[W_8_A_EDX] = 0;             /* of SVM */
	words[W_8_1_EDX] &= ~0x0183f3ffU; /* AMD's copies */
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		if (feature_places[w].msr)
			words[w] = 0;
}

/* The words of one version as the newest machine shows it. */
static int model_words(const struct cpu_model *m, unsigned version,
		       uint32_t *words, struct err *e)
{
	const struct cpu_accel nobody = {.kind = CPU_ACCEL_NONE};
	struct cpu_request r = {0};
	struct cpu_def def;
	int ret;

	snprintf(r.name, sizeof(r.name), "%s-v%u", m->name, version);
	ret = machtype_find("microvm", &r.machine, e);
	if (!ret)
		ret = topo_parse(&r.topo, "1", &r.machine.smp, e);
	if (!ret)
		ret = cpu_def_resolve(&def, &r, &nobody, e);
	if (!ret)
		memcpy(words, def.words, sizeof(def.words));
	return ret;
}

static unsigned count(const uint32_t *words)
{
	unsigned n = 0, w;

	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		n += (unsigned)__builtin_popcount(words[w]);
	return n;
}

#define WEIGHT_LESS 4

/* Take @version if it is richer. */
static int consider(struct baseline *b, const struct cpu_model *m,
		    unsigned version, const uint32_t *have, struct err *e)
{
	uint32_t need[CPUID_MODEL_WORDS], both[CPUID_MODEL_WORDS];
	unsigned w, common;
	int ret = model_words(m, version, need, e), score;

	if (ret)
		return ret;
	leave_out(need);
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		both[w] = need[w] & have[w];
	common = count(both);
	score = (int)common - WEIGHT_LESS * (int)(count(need) - common);
	if (score < b->score)
		return 0;
	b->score = score;
	snprintf(b->model, sizeof(b->model), "%s-v%u", m->name, version);
	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		b->more[w] = have[w] & ~need[w];
		b->less[w] = need[w] & ~have[w];
	}
	return 0;
}

int baseline_find(struct baseline *b, const uint32_t *words, const char *vendor,
		  struct err *e)
{
	uint32_t have[CPUID_MODEL_WORDS];
	const struct cpu_model *m;
	unsigned i, v;
	int ret;

	memset(b, 0, sizeof(*b));
	memcpy(have, words, sizeof(have));
	leave_out(have);
	for (i = 0; (m = model_get(i)); i++) {
		if (vendor && strcmp(m->vendor, vendor))
			continue;
		for (v = 1; v <= model_versions(m); v++) {
			ret = consider(b, m, v, have, e);
			if (ret)
				return ret;
		}
	}
	if (!b->model[0])
		return err_set(e, -ENOENT, "no model%s%s runs on all of them",
			       vendor ? " of " : "", vendor ? vendor : "");
	return 0;
}
