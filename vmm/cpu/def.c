/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolving a CPU. Who speaks later wins: the model, its version's deltas,
 * the accelerator's habits, the machine version's deltas, the operator's
 * property=value in order, then +feature, then -feature.
 */
#include "vmm/cpu/def.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cpu/expand.h"

const uint32_t cpu_tcg_words[CPUID_MODEL_WORDS] = {
	[W_1_ECX] = 0xf6f8320b,       [W_1_EDX] = 0x1fcbfbfd,
	[W_6_EAX] = 0x00000004,       [W_7_EBX] = 0x219c43a9,
	[W_7_ECX] = 0x8041020c,       [W_7_EDX] = 0x00000010,
	[W_7_1_EAX] = 0x00001c80,     [W_D_1_EAX] = 0x00000005,
	[W_8_1_ECX] = 0x00000177,     [W_8_1_EDX] = 0xedd3fbfd,
	[W_8_8_EBX] = 0x00000204,     [W_8_A_EDX] = 0x10010001,
	[W_8_21_EAX] = 0x00000041,    [W_ARCH_CAP] = 0xffffffff,
	[W_ARCH_CAP_HI] = 0xffffffff,
};

/* Bits that "all there is" does not include: others must agree to them. */
static const uint16_t not_by_max[] = {FEAT_HT, FEAT_TOPOEXT, FEAT_KVM_HINT};

/* What a KVM is good at, whatever the model says. */
static const char *const kvm_defaults[] = {
	"+kvmclock",    "+kvm-nopiodelay",
	"+kvm-asyncpf", "+kvm-steal-time",
	"+kvm-pv-eoi",  "+kvmclock-stable-bit",
	"+x2apic",      "-acpi",
	"-monitor",     "-svm",
};

bool cpu_is_intel(const struct cpu_def *def)
{
	return !strcmp(def->vendor, VENDOR_INTEL);
}

bool cpu_is_amd(const struct cpu_def *def)
{
	return !strcmp(def->vendor, VENDOR_AMD);
}

bool cpu_is_zhaoxin(const struct cpu_def *def)
{
	return !strcmp(def->vendor, VENDOR_ZHAOXIN) ||
	       !strcmp(def->vendor, VENDOR_ZHAOXIN2);
}

uint32_t cpu_def_signature(const struct cpu_def *def)
{
	uint32_t family = def->family, ext = 0;

	if (family > 0xf) {
		ext = family - 0xf;
		family = 0xf;
	}
	return ext << 20 | def->model_number >> 4 << 16 | family << 8 |
	       (def->model_number & 0xf) << 4 | def->stepping;
}

static void set_defaults(struct cpu_def *def, const struct cpu_request *r,
			 const struct cpu_accel *accel)
{
	memset(def, 0, sizeof(*def));
	def->accel = accel->kind;
	def->table = accel->table;
	def->topo = r->topo;
	def->level = def->xlevel = def->xlevel2 = LEVEL_AUTO;
	def->level_func7 = LEVEL_AUTO;
	def->l3_cache = true;
	def->consistent_cache = true;
	def->vendor_only = def->vendor_only_v2 = true;
	def->l1_per_core = true;
	def->topoext_only = true;
	def->leaf_b = true;
	def->expose_kvm = def->expose_tcg = true;
	def->check = true;
}

/* Words separated by spaces. */
static int apply_words(struct cpu_def *def, const char *text, struct err *e)
{
	size_t len;
	int ret;

	for (; *text; text += len + (text[len] == ' ')) {
		len = strcspn(text, " ");
		ret = cpu_def_set(def, text, len, false, e);
		if (ret)
			return ret;
	}
	return 0;
}

static int load_model(struct cpu_def *def, const struct cpu_model *m,
		      struct err *e)
{
	unsigned i;
	int ret;

	def->model = m;
	memcpy(def->vendor, m->vendor, sizeof(def->vendor));
	snprintf(def->model_id, sizeof(def->model_id), "%s",
		 model_id(m, def->version));
	def->family = m->family;
	def->model_number = m->model;
	def->stepping = m->stepping;
	def->min_level = m->level;
	def->min_xlevel = m->xlevel;
	def->min_xlevel2 = m->xlevel2;
	def->avx10_version = m->avx10_version;
	def->force_1f = m->force_1f;
	def->named = model_cache(m, def->version);
	ret = apply_words(def, m->features, e);
	for (i = 0; !ret && i < def->version; i++)
		ret = apply_words(def, m->version[i].delta, e);
	return ret;
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *t,
					   uint32_t leaf)
{
	unsigned i;

	for (i = 0; t && i < t->nent; i++)
		if (t->entries[i].function == leaf && !t->entries[i].index)
			return &t->entries[i];
	return NULL;
}

static void host_vendor(struct cpu_def *def)
{
	const struct kvm_cpuid_entry2 *en = find(def->table, CPUID_VENDOR);

	if (!en)
		return;
	memcpy(def->vendor, &en->ebx, 4);
	memcpy(def->vendor + 4, &en->edx, 4);
	memcpy(def->vendor + 8, &en->ecx, 4);
}

static void host_identity(struct cpu_def *def)
{
	const struct kvm_cpuid_entry2 *en;
	unsigned i;

	host_vendor(def);
	en = find(def->table, CPUID_VENDOR);
	def->min_level = en ? en->eax : 0;
	en = find(def->table, CPUID_EXT);
	def->min_xlevel = en ? en->eax : 0;
	en = find(def->table, CPUID_SIGNATURE);
	if (en) {
		def->family = en->eax >> 8 & 0xf;
		if (def->family == 0xf)
			def->family += en->eax >> 20 & 0xff;
		def->model_number = (en->eax >> 4 & 0xf) | (en->eax >> 16 & 0xf)
								   << 4;
		def->stepping = en->eax & 0xf;
	}
	for (i = 0; i < 3; i++) {
		en = find(def->table, CPUID_EXT_BRAND + i);
		if (en)
			memcpy(def->model_id + 16 * i, &en->eax, 16);
	}
}

/* max without a KVM: QEMU's software engine. */
static void software_identity(struct cpu_def *def)
{
	memcpy(def->vendor, VENDOR_AMD, sizeof(def->vendor));
	strcpy(def->model_id, "QEMU TCG CPU version 2.5+");
	def->family = def->model_number = 6;
	def->stepping = 3;
}

static void load_max(struct cpu_def *def, const struct cpu_accel *accel)
{
	def->wants_max = def->pmu = true;
	if (accel->kind < CPU_ACCEL_LODGE) {
		software_identity(def);
		return;
	}
	def->host_phys_bits = true;
	host_identity(def);
}

/* All there is, except what the operator spoke of. */
static void add_max_features(struct cpu_def *def, const struct cpu_accel *accel)
{
	const uint32_t *all = accel->kind == CPU_ACCEL_NONE ? cpu_tcg_words
							    : accel->words;
	uint32_t more[CPUID_MODEL_WORDS];
	unsigned w;
	size_t i;

	memcpy(more, all, sizeof(more));
	for (i = 0; i < ARRAY_SIZE(not_by_max); i++)
		feature_set(more, not_by_max[i], false);
	more[W_8_1_EDX] &= ~EXPAND_AMD_ALIASES;
	if (def->migratable)
		feature_set(more, FEAT_INVTSC, false);
	if (cpu_is_amd(def) && !def->arch_cap_always)
		feature_set(more, FEAT_ARCH_CAP, false);
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		def->words[w] |= more[w] & ~def->user[w];
}

int cpu_def_check_name(const char *name, struct err *e)
{
	unsigned version;

	if (!strcmp(name, "base") || !strcmp(name, "max") ||
	    !strcmp(name, "host") || model_find(name, false, &version))
		return 0;
	return err_set(e, -EINVAL,
		       "'%s' is no CPU model; `lodge cpu list` has them", name);
}

static int load(struct cpu_def *def, const struct cpu_request *r,
		const struct cpu_accel *accel, struct err *e)
{
	const struct cpu_model *m;

	if (!strcmp(r->name, "base"))
		return 0;
	feature_set(def->words, FEAT_HYPERVISOR, true);
	if (!strcmp(r->name, "max") || !strcmp(r->name, "host")) {
		def->wants_kernel = r->name[0] == 'h';
		load_max(def, accel);
		return 0;
	}
	m = model_find(r->name, r->machine.latest, &def->version);
	return m ? load_model(def, m, e) : cpu_def_check_name(r->name, e);
}

static int apply_accel_defaults(struct cpu_def *def,
				const struct cpu_accel *accel, struct err *e)
{
	size_t i;
	int f, ret;

	if (accel->kind == CPU_ACCEL_TCG)
		return cpu_def_set(def, "-vme", 4, false, e);
	if (accel->kind == CPU_ACCEL_NONE || !def->model)
		return 0;
	for (i = 0; i < ARRAY_SIZE(kvm_defaults); i++) {
		const char *item = kvm_defaults[i];

		f = feature_find(item + 1, strlen(item + 1));
		if (f < 0 || (item[0] == '+' &&
			      !feature_test(accel->words, (unsigned)f)))
			continue;
		ret = cpu_def_set(def, item, strlen(item), false, e);
		if (ret)
			return ret;
	}
	if (accel->kind == CPU_ACCEL_KVM)
		host_vendor(def);
	return 0;
}

static int apply_delta(void *priv, const char *delta, struct err *e)
{
	return cpu_def_set(priv, delta, strlen(delta), false, e);
}

/* One round over "a,b=c,+d": those that begin with @sign, or with neither. */
static int apply_props(struct cpu_def *def, const char *props, char sign,
		       struct err *e)
{
	bool plain;
	size_t len;
	int ret;

	for (; *props; props += len + (props[len] == ',')) {
		len = strcspn(props, ",");
		if (!len)
			return err_set(e, -EINVAL, "a property is empty");
		plain = props[0] != '+' && props[0] != '-';
		if (sign ? props[0] != sign : !plain)
			continue;
		ret = cpu_def_set(def, props, len, true, e);
		if (ret)
			return ret;
	}
	return 0;
}

static int apply_all(struct cpu_def *def, const struct cpu_request *r,
		     const struct cpu_accel *accel, struct err *e)
{
	int ret;

	ret = apply_accel_defaults(def, accel, e);
	if (!ret)
		ret = machtype_deltas(&r->machine, r->name, apply_delta, def,
				      e);
	if (!ret)
		ret = apply_props(def, r->props, 0, e);
	if (!ret)
		ret = apply_props(def, r->props, '+', e);
	if (!ret)
		ret = apply_props(def, r->props, '-', e);
	return ret;
}

/* ---- caches ---- */

static int choose_caches(struct cpu_def *def, const struct cpu_request *r,
			 struct err *e)
{
	if (!def->legacy_cache_set)
		def->legacy_cache = !def->named;
	if (!def->legacy_cache && !def->named)
		return err_set(e, -EINVAL,
			       "legacy-cache=off: CPU model '%s' has no caches "
			       "of its own",
			       r->name);
	if (!def->legacy_cache)
		def->stored_from = def->named;
	else if (cpu_is_amd(def))
		def->stored_from = &cache_legacy_amd;
	else
		def->stored_from = &cache_legacy_intel;
	def->stored = *def->stored_from;
	return 0;
}

static int share_caches(struct cpu_def *def, const struct cpu_request *r,
			struct err *e)
{
	const char *wrong;
	unsigned i;

	for (i = 0; i < CACHE_COUNT; i++)
		if (r->smp_cache[i] != TOPO_DEFAULT)
			def->stored.c[i].share = r->smp_cache[i];
	wrong = cache_check_sharing(&def->stored);
	return wrong ? err_set(e, -EINVAL, "smp-cache: %s", wrong) : 0;
}

const struct cache_model *cpu_def_caches(const struct cpu_def *def,
					 uint32_t leaf)
{
	const struct cache_model *m = NULL;

	if (!def->legacy_cache)
		return &def->stored;
	if (leaf == CPUID_CACHE_DESC && !def->consistent_cache)
		m = &cache_leaf2;
	else if (def->vendor_only_v2 || leaf == CPUID_EXT_CACHE)
		return &def->stored;
	else if (leaf == CPUID_CACHE_DESC || leaf == CPUID_CACHE)
		m = &cache_legacy_intel;
	else
		m = &cache_legacy_amd;
	/* one and the same cache follows smp-cache in every leaf */
	return m == def->stored_from ? &def->stored : m;
}

/* ---- the rest ---- */

#define SOFTWARE_PHYS_BITS 40

static int settle_phys_bits(struct cpu_def *def, struct err *e)
{
	const struct kvm_cpuid_entry2 *en = find(def->table, CPUID_EXT_ADDRESS);

	if (!feature_test(def->words, FEAT_LM)) {
		if (def->phys_bits)
			return err_set(e, -EINVAL,
				       "phys-bits: only a 64-bit CPU has a "
				       "choice");
		def->phys_bits = 32;
		if (def->words[W_1_EDX] & (BIT(6) | BIT(17)))
			def->phys_bits = 36;
		def->guest_phys_bits = 0;
		return 0;
	}
	if (def->host_phys_bits && en && !def->phys_bits)
		def->phys_bits = en->eax & 0xff;
	if (!def->phys_bits)
		def->phys_bits = SOFTWARE_PHYS_BITS;
	if (def->phys_bits < 32)
		return err_set(e, -ERANGE, "phys-bits is less than 32");
	if (def->guest_phys_bits && (def->guest_phys_bits < 32 ||
				     def->guest_phys_bits > def->phys_bits))
		return err_set(e, -ERANGE,
			       "guest-phys-bits is not between 32 and %u",
			       def->phys_bits);
	return 0;
}

static int check_switches(const struct cpu_def *def, struct err *e)
{
	if (!def->vendor_only && def->vendor_only_v2)
		return err_set(e, -EINVAL,
			       "x-vendor-cpuid-only=off needs "
			       "x-vendor-cpuid-only-v2=off, too");
	if (def->wants_kernel && def->accel < CPU_ACCEL_LODGE)
		return err_set(e, -EINVAL, "model host needs a KVM");
	return 0;
}

static int check_missing(const struct cpu_def *def, struct err *e)
{
	char names[400];
	unsigned w;

	if (!def->enforce)
		return 0;
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		if (def->missing[w])
			break;
	if (w == CPUID_MODEL_WORDS)
		return 0;
	feature_list(def->missing, names, sizeof(names));
	return err_set(e, -ENOTSUP, "enforce: not to be had here: %s", names);
}

int cpu_def_resolve(struct cpu_def *def, const struct cpu_request *r,
		    const struct cpu_accel *accel, struct err *e)
{
	int ret;

	set_defaults(def, r, accel);
	ret = load(def, r, accel, e);
	if (!ret)
		ret = apply_all(def, r, accel, e);
	if (!ret)
		ret = check_switches(def, e);
	if (ret)
		return ret;
	if (def->wants_max)
		add_max_features(def, accel);
	expand_features(def);
	expand_filter(def, accel);
	expand_amd_aliases(def);
	ret = check_missing(def, e);
	if (!ret)
		ret = settle_phys_bits(def, e);
	if (!ret)
		ret = choose_caches(def, r, e);
	return ret ? ret : share_caches(def, r, e);
}
