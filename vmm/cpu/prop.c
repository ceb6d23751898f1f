/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of a CPU by name. What is in neither table nor among the
 * features does not exist.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cpu/def.h"
#include "lib/keyval.h"

#define AT(field) offsetof(struct cpu_def, field)

static const struct {
	const char *name;
	size_t offset;
} switches[] = {
	{"legacy-cache", AT(legacy_cache)},
	{"l3-cache", AT(l3_cache)},
	{"x-consistent-cache", AT(consistent_cache)},
	{"x-vendor-cpuid-only", AT(vendor_only)},
	{"x-vendor-cpuid-only-v2", AT(vendor_only_v2)},
	{"x-l1-cache-per-thread", AT(l1_per_core)},
	{"x-amd-topoext-features-only", AT(topoext_only)},
	{"legacy-multi-node", AT(legacy_multi_node)},
	{"x-force-cpuid-0x1f", AT(force_1f)},
	{"cpuid-0xb", AT(leaf_b)},
	{"host-cache-info", AT(host_cache_info)},
	{"x-arch-cap-always-on", AT(arch_cap_always)},
	{"x-pdcm-on-even-without-pmu", AT(pdcm_always)},
	{"pmu", AT(pmu)},
	{"kvm", AT(expose_kvm)},
	{"tcg-cpuid", AT(expose_tcg)},
	{"host-phys-bits", AT(host_phys_bits)},
	{"migratable", AT(migratable)},
	{"check", AT(check)},
	{"enforce", AT(enforce)},
};

static const struct {
	const char *name;
	size_t offset;
	uint64_t max;
} numbers[] = {
	{"family", AT(family), 0xff + 0xf},
	{"model", AT(model_number), 0xff},
	{"stepping", AT(stepping), 0xf},
	{"level", AT(level), UINT32_MAX},
	{"xlevel", AT(xlevel), UINT32_MAX},
	{"xlevel2", AT(xlevel2), UINT32_MAX},
	{"level-func7", AT(level_func7), UINT32_MAX},
	{"min-level", AT(min_level), UINT32_MAX},
	{"min-xlevel", AT(min_xlevel), UINT32_MAX},
	{"min-xlevel2", AT(min_xlevel2), UINT32_MAX},
	{"phys-bits", AT(phys_bits), 52},
	{"guest-phys-bits", AT(guest_phys_bits), 52},
	{"avx10-version", AT(avx10_version), 0xff},
};

#define VENDOR_LEN   12
#define MODEL_ID_LEN 48

static int set_feature(struct cpu_def *def, unsigned f, bool on, bool user)
{
	feature_set(def->words, f, on);
	if (user)
		feature_set(def->user, f, true);
	/* one name, two bits */
	if (f == FEAT_KVMCLOCK)
		set_feature(def, FEAT_KVMCLOCK2, on, user);
	return 0;
}

static int set_switch(struct cpu_def *def, unsigned i, const char *value,
		      struct err *e)
{
	bool on;
	int ret = keyval_bool(value, &on, e);

	if (ret)
		return err_wrap(e, "%s", switches[i].name);
	*(bool *)((char *)def + switches[i].offset) = on;
	if (switches[i].offset == AT(legacy_cache))
		def->legacy_cache_set = true;
	if (switches[i].offset == AT(pmu))
		def->no_pmu = !on;
	if (switches[i].offset == AT(host_cache_info) && on && !def->wants_max)
		return err_set(e, -EINVAL,
			       "host-cache-info is for the models max and "
			       "host only");
	return 0;
}

static int set_number(struct cpu_def *def, unsigned i, const char *value,
		      struct err *e)
{
	uint64_t n;
	int ret = keyval_number(value, 0, numbers[i].max, &n, e);

	if (ret)
		return err_wrap(e, "%s", numbers[i].name);
	*(uint32_t *)((char *)def + numbers[i].offset) = (uint32_t)n;
	return 0;
}

static int set_vendor(struct cpu_def *def, const char *value, bool user,
		      struct err *e)
{
	if (strlen(value) != VENDOR_LEN)
		return err_set(e, -EINVAL,
			       "vendor: '%s' does not have %d letters", value,
			       VENDOR_LEN);
	memcpy(def->vendor, value, VENDOR_LEN + 1);
	def->vendor_set |= user;
	return 0;
}

static int set_model_id(struct cpu_def *def, const char *value, struct err *e)
{
	if (strlen(value) > MODEL_ID_LEN)
		return err_set(e, -EINVAL,
			       "model-id: '%s' is longer than %d letters",
			       value, MODEL_ID_LEN);
	memset(def->model_id, 0, sizeof(def->model_id));
	memcpy(def->model_id, value, strlen(value));
	return 0;
}

static bool same_name(const char *name, const char *key)
{
	for (; *name && (*name == *key || (*name == '-' && *key == '_'));
	     name++, key++)
		;
	return !*name && !*key;
}

static int set_value(struct cpu_def *def, const char *key, const char *value,
		     bool user, struct err *e)
{
	unsigned i;
	bool on;
	int f = feature_find(key, strlen(key)), ret;

	if (f >= 0) {
		ret = keyval_bool(value, &on, e);
		return ret ? err_wrap(e, "%s", key)
			   : set_feature(def, (unsigned)f, on, user);
	}
	for (i = 0; i < ARRAY_SIZE(switches); i++)
		if (same_name(switches[i].name, key))
			return set_switch(def, i, value, e);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (same_name(numbers[i].name, key))
			return set_number(def, i, value, e);
	if (!strcmp(key, "vendor"))
		return set_vendor(def, value, user, e);
	if (same_name("model-id", key))
		return set_model_id(def, value, e);
	if (!strncmp(key, "vmx-", 4))
		return err_set(e, -EINVAL,
			       "'%s': the controls of nested VMX are not "
			       "offered",
			       key);
	return err_set(e, -EINVAL, "'%s' is no CPU feature or property", key);
}

int cpu_def_set(struct cpu_def *def, const char *item, size_t len, bool user,
		struct err *e)
{
	char text[256];
	char *eq;
	int f;

	if (len >= sizeof(text))
		return err_set(e, -EINVAL, "a property is too long");
	memcpy(text, item, len);
	text[len] = '\0';
	if (text[0] == '+' || text[0] == '-') {
		f = feature_find(text + 1, len - 1);
		if (f >= 0)
			return set_feature(def, (unsigned)f, text[0] == '+',
					   user);
		return set_value(def, text + 1, text[0] == '+' ? "on" : "off",
				 user, e);
	}
	eq = strchr(text, '=');
	if (eq)
		*eq++ = '\0';
	return set_value(def, text, eq ? eq : "on", user, e);
}
