/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model runs on a host that has all its features. Of those that run on
 * all, the one with most features is the richest; of equals the later
 * version. Features that a monitor gives on every host do not count.
 */
#include "vmm/cpu/baseline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint16_t no_matter[] = {
	FEAT_HYPERVISOR, FEAT_HT,           FEAT_CMP_LEGACY, FEAT_TOPOEXT,
	FEAT_X2APIC,     FEAT_TSC_DEADLINE, FEAT_ARAT,       FEAT_TSC_ADJUST};

static void leave_out(uint32_t *words)
{
	unsigned w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(no_matter); i++)
		feature_set(words, no_matter[i], false);
	words[W_KVM_EAX] = words[W_KVM_EDX] = 0;
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

static bool fits(const uint32_t *need, const uint32_t *have)
{
	unsigned w;

	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		if (need[w] & ~have[w])
			return false;
	return true;
}

/* Take @version if it fits and is richer. */
static int consider(struct baseline *b, const struct cpu_model *m,
		    unsigned version, const uint32_t *have, struct err *e)
{
	uint32_t need[CPUID_MODEL_WORDS];
	unsigned n, w;
	int ret = model_words(m, version, need, e);

	if (ret)
		return ret;
	leave_out(need);
	n = count(need);
	if (!fits(need, have) || n < b->features)
		return 0;
	b->features = n;
	snprintf(b->model, sizeof(b->model), "%s-v%u", m->name, version);
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		b->more[w] = have[w] & ~need[w];
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
