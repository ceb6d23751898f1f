/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cases by which the one cache model of QEMU 10.1 was to be judged: an
 * Intel CPU, an AMD one with and without caches of its own and a Zhaoxin one
 * on machines before, at and after the change. Expected values are what
 * guests of QEMU 11.1 read, one thread. Each test prints its table.
 */
#include "vmm/cpu/def.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/cpu/baseline.h"
#include "vmm/cpu/request.h"
#include "vmm/cpu/table.h"
#include "vmm/cpu/text.h"

struct want {
	uint32_t leaf, subleaf;
	uint32_t r[4];
};

#define END            \
	{              \
		~0U, 0 \
	}

/* ---- leaves as they are on several machines ---- */

#define L1_TLB 0x01ff01ff
#define L2_TLB 0x42004200

#define INTEL_4                                                \
	{0x4, 0, {0x00000121, 0x01c0003f, 0x0000003f, 1}},     \
		{0x4, 1, {0x00000122, 0x01c0003f, 0x3f, 1}},   \
		{0x4, 2, {0x00000143, 0x03c0003f, 0xfff, 1}},  \
		{0x4, 3, {0x00000163, 0x03c0003f, 0x3fff, 6}}, \
	{                                                      \
		0x4, 4,                                        \
		{                                              \
		}                                              \
	}
#define OLD_2                                  \
	{                                      \
		0x2, 0,                        \
		{                              \
			1, 0, 0x4d, 0x002c307d \
		}                              \
	}
#define NEW_2                         \
	{                             \
		0x2, 0,               \
		{                     \
			1, 0, 0, 0xff \
		}                     \
	}
#define AMD_5_6                                                    \
	{0x80000005, 0, {L1_TLB, L1_TLB, 0x40020140, 0x40020140}}, \
	{                                                          \
		0x80000006, 0,                                     \
		{                                                  \
			0, L2_TLB, 0x02008140, 0x00808140          \
		}                                                  \
	}

static const struct want intel_old[] = {OLD_2, INTEL_4, AMD_5_6, END};

static const struct want intel_new[] = {
	NEW_2,
	INTEL_4,
	{0x80000005, 0, {0}},
	{0x80000006, 0, {0, 0, 0x10008040, 0}},
	END,
};

/* Zhaoxin keeps leaf 0x80000005, of the caches it has. */
static const struct want zhaoxin_new[] = {
	NEW_2,
	INTEL_4,
	{0x80000005, 0, {L1_TLB, L1_TLB, 0x20080040, 0x20080040}},
	{0x80000006, 0, {0, 0, 0x10008040, 0}},
	END,
};

#define NO_2_4            \
	{0x2, 0, {0}},    \
	{                 \
		0x4, 0,   \
		{         \
			0 \
		}         \
	}

#define AMD_1D(x)                                                     \
	{0x8000001d, 0, {0x00000121, 0x0040003f, 0x1ff, 1}},          \
		{0x8000001d, 1, {0x00000122, 0x0040003f, 0x1ff, 1}},  \
		{0x8000001d, 2, {0x00000043, 0x03c0003f, 0x1ff, 0}},  \
		{0x8000001d, 3, {0x00000163, 0x03c0003f, 0x3fff, x}}, \
	{                                                             \
		0x8000001d, 4,                                        \
		{                                                     \
		}                                                     \
	}

static const struct want amd_legacy_60[] = {OLD_2, INTEL_4, AMD_5_6, AMD_1D(6),
					    END};
static const struct want amd_legacy[] = {NO_2_4, AMD_5_6, AMD_1D(2), END};

#define TURIN_5_6                                                  \
	{0x80000005, 0, {L1_TLB, L1_TLB, 0x300c0140, 0x20080140}}, \
	{                                                          \
		0x80000006, 0,                                     \
		{                                                  \
			0, L2_TLB, 0x04008140, 0x01008140          \
		}                                                  \
	}
#define TURIN(leaf)                                             \
	{leaf, 0, {0x00000121, 0x02c0003f, 0x3f, 0}},           \
		{leaf, 1, {0x00000122, 0x01c0003f, 0x3f, 0}},   \
		{leaf, 2, {0x00000143, 0x03c0003f, 0x3ff, 2}},  \
		{leaf, 3, {0x00000163, 0x03c0003f, 0x7fff, 1}}, \
	{                                                       \
		leaf, 4,                                        \
		{                                               \
		}                                               \
	}

static const struct want turin_60[] = {
	{0x2, 0, {1, 0, 0xff, 0x00ff3024}},
	TURIN(0x4),
	TURIN_5_6,
	TURIN(0x8000001d),
	END,
};
static const struct want turin[] = {NO_2_4, TURIN_5_6, TURIN(0x8000001d), END};

/* ---- checking ---- */

static void resolve(struct cpu_def *def, const char *cpu, const char *machine,
		    const char *smp)
{
	const struct cpu_accel nobody = {.kind = CPU_ACCEL_NONE};
	struct request r;
	struct err e = {0};

	request_init(&r, "max", "pc");
	if (request_cpu(&r, cpu, &e) || request_machine(&r, machine, &e) ||
	    request_smp(&r, smp, &e) || request_finish(&r, &e) ||
	    cpu_def_resolve(def, &r.cpu, &nobody, &e))
		fail_msg("%s on %s: %s", cpu, machine, e.msg);
}

static void check(const char *cpu, const char *machine, const struct want *want)
{
	struct cpu_def def;
	uint32_t r[4];

	resolve(&def, cpu, machine, "1");
	printf("%s on %s\n", cpu, machine);
	for (; want->leaf != ~0U; want++) {
		cpu_leaf(&def, 0, want->leaf, want->subleaf, r);
		printf("  %08x %x: %08x %08x %08x %08x\n", want->leaf,
		       want->subleaf, r[0], r[1], r[2], r[3]);
		assert_memory_equal(r, want->r, sizeof(r));
	}
}

static void test_intel_legacy(void **state)
{
	check("Skylake-Server", "pc-i440fx-6.0", intel_old);
	check("Skylake-Server", "pc-i440fx-10.0", intel_old);
	check("Skylake-Server", "pc-i440fx-10.1", intel_new);
	check("Skylake-Server", "pc-q35-10.0", intel_old);
}

static void test_amd_own(void **state)
{
	check("EPYC-Turin", "pc-i440fx-6.0", turin_60);
	check("EPYC-Turin", "pc-i440fx-10.0", turin);
	check("EPYC-Turin", "pc-i440fx-10.1", turin);
}

static void test_amd_legacy(void **state)
{
	check("EPYC-Turin,legacy-cache=on", "pc-i440fx-6.0", amd_legacy_60);
	check("EPYC-Turin,legacy-cache=on", "pc-i440fx-10.0", amd_legacy);
	check("EPYC-Turin,legacy-cache=on", "pc-i440fx-10.1", amd_legacy);
}

static void test_zhaoxin(void **state)
{
	check("YongFeng", "pc-i440fx-6.0", intel_old);
	check("YongFeng", "pc-i440fx-10.0", intel_old);
	check("YongFeng", "pc-i440fx-10.1", zhaoxin_new);
}

/* Every model and version: known features, sound caches, sound sharing. */
static void test_models(void **state)
{
	const struct cpu_model *m;
	const struct cache_model *c;
	struct cpu_def def;
	unsigned i, v, k, versions = 0;
	char name[80];

	for (i = 0; (m = model_get(i)); i++)
		for (v = 1; v <= model_versions(m); v++, versions++) {
			snprintf(name, sizeof(name), "%s-v%u", m->name, v);
			resolve(&def, name, "pc", "1");
			assert_ptr_equal(def.model, m);
			assert_int_equal(def.version, v);
			c = cpu_def_caches(&def, CPUID_CACHE);
			assert_null(cache_check_sharing(c));
			for (k = 0; k < CACHE_COUNT; k++)
				assert_true(cache_is_sound(&c->c[k]));
		}
	assert_true(versions > 120);
}

static void check_name(const char *name, const char *machine, const char *model,
		       unsigned version)
{
	struct cpu_def def;

	resolve(&def, name, machine, "1");
	assert_string_equal(def.model->name, model);
	assert_int_equal(def.version, version);
}

static void test_names(void **state)
{
	check_name("EPYC", "pc", "EPYC", 1);
	check_name("EPYC", "pc-q35-5.2", "EPYC", 1);
	check_name("EPYC", "microvm", "EPYC", 5);
	check_name("SapphireRapids", "microvm", "SapphireRapids", 8);
	check_name("EPYC-IBPB", "microvm", "EPYC", 2);
	check_name("Skylake-Server-noTSX-IBRS", "pc", "Skylake-Server", 3);
	check_name("EPYC-Rome-v4", "pc", "EPYC-Rome", 4);
	assert_int_not_equal(cpu_def_check_name("EPYC-v6", NULL), 0);
	assert_int_not_equal(cpu_def_check_name("EPYC-v0", NULL), 0);
	assert_int_not_equal(cpu_def_check_name("EPYC-v1x", NULL), 0);
	assert_int_not_equal(cpu_def_check_name("", NULL), 0);
}

static void test_properties(void **state)
{
	struct cpu_def def;

	/* - after +, + after =, whatever the order on the line */
	resolve(&def, "Conroe,-avx2,+avx2,bmi1,+bmi2,bmi2=off", "pc", "1");
	assert_false(feature_test(def.words, FEAT_AVX2));
	assert_true(feature_test(def.words, FEAT_BMI1));
	assert_true(feature_test(def.words, FEAT_BMI2));
	assert_int_equal(def.level, 0xa); /* 7 is below what Conroe has */
	resolve(&def, "core2duo,sse4_1=on,+lahf_lm,family=25", "pc", "1");
	assert_true(feature_test(def.words, FEAT_SSE4_1));
	assert_true(feature_test(def.words, FEAT_LAHF_LM));
	assert_int_equal(cpu_def_signature(&def), 0x00a00ffb);
	/* svm gone, npt gone with it, and it was asked for */
	resolve(&def, "EPYC,-svm,+npt", "pc", "1");
	assert_false(feature_test(def.words, FEAT_NPT));
	assert_true(feature_test(def.missing, FEAT_NPT));
	assert_false(feature_test(def.missing, FEAT_NRIP_SAVE));
	/* features raise levels */
	resolve(&def, "486,+avx512-bf16,+no-nested-data-bp", "pc", "1");
	assert_int_equal(def.level, 7);
	assert_int_equal(def.level_func7, 1);
	assert_int_equal(def.xlevel, 0x80000021);
}

static void test_baseline(void **state)
{
	struct cpu_def a, b;
	uint32_t both[CPUID_MODEL_WORDS];
	struct baseline found;
	struct err e = {0};
	unsigned w;

	resolve(&a, "Icelake-Server-v3", "pc", "1");
	resolve(&b, "Skylake-Client-v4", "pc", "1");
	assert_int_equal(baseline_find(&found, a.words, VENDOR_INTEL, &e), 0);
	assert_string_equal(found.model, "Icelake-Server-v3");
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		both[w] = a.words[w] & b.words[w];
	assert_int_equal(baseline_find(&found, both, VENDOR_INTEL, &e), 0);
	/* version 4 has XSAVES, which Icelake has from its version 5 on */
	assert_string_equal(found.model, "Skylake-Client-v3");
	memset(both, 0, sizeof(both));
	assert_int_not_equal(baseline_find(&found, both, VENDOR_INTEL, &e), 0);
}

#define LEAF(f, i, a, b, c, d)                                                \
	{                                                                     \
		.function = f, .index = i,                                    \
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = a, .ebx = b, \
		.ecx = c, .edx = d                                            \
	}

/* A small AMD host. */
static const struct kvm_cpuid_entry2 host_leaves[] = {
	LEAF(0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65),
	LEAF(1, 0, 0x00a20f12, 0x800, BIT(0) | BIT(26) | BIT(28), 0x178bfbff),
	LEAF(7, 0, 0, BIT(5), 0, 0),
	LEAF(0xd, 0, 7, 0, 832, 0),
	LEAF(0xd, 1, 0, 0, 0, 0),
	LEAF(0xd, 2, 256, 576, 0, 0),
	LEAF(0x80000000, 0, 0x8000001e, 0x68747541, 0x444d4163, 0x69746e65),
	LEAF(0x80000001, 0, 0x00a20f12, 0, 1, BIT(11) | BIT(29)),
	LEAF(0x80000002, 0, 0x20444d41, 0x74736f48, 0, 0),
	LEAF(0x80000008, 0, 0x3030, 0, 0, 0),
	LEAF(0x8000001d, 0, 0x121, 0x01c0003f, 0x3f, 0),
	LEAF(0x8000001d, 3, 0x163, 0x03c0003f, 0x7fff, 1),
};

static struct kvm_cpuid2 *host_table(void)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + sizeof(host_leaves));

	assert_non_null(t);
	t->nent = ARRAY_SIZE(host_leaves);
	memcpy(t->entries, host_leaves, sizeof(host_leaves));
	return t;
}

static int resolve_on(struct cpu_def *def, enum cpu_accel_kind kind,
		      struct kvm_cpuid2 *table, const char *cpu, struct err *e)
{
	struct cpu_accel accel = {.kind = kind, .table = table};
	struct request r;

	table_read_words(&accel);
	request_init(&r, "host", "pc");
	assert_int_equal(request_cpu(&r, cpu, e), 0);
	assert_int_equal(request_smp(&r, "8,dies=2,threads=2", e), 0);
	assert_int_equal(request_finish(&r, e), 0);
	return cpu_def_resolve(def, &r.cpu, &accel, e);
}

/* Whose vendor, which features, and what is said about the rest. */
static void test_accelerators(void **state)
{
	struct kvm_cpuid2 *host = host_table();
	struct cpu_def def;
	struct err e = {0};

	assert_int_equal(resolve_on(&def, CPU_ACCEL_LODGE, host, "Haswell", &e),
			 0);
	assert_string_equal(def.vendor, VENDOR_INTEL);
	assert_true(feature_test(def.words, FEAT_AVX2));
	assert_false(feature_test(def.words, FEAT_BMI1));
	assert_true(feature_test(def.missing, FEAT_BMI1));
	assert_false(feature_test(def.missing, FEAT_HYPERVISOR));
	assert_int_equal(resolve_on(&def, CPU_ACCEL_KVM, host, "Haswell", &e),
			 0);
	assert_string_equal(def.vendor, VENDOR_AMD);
	assert_int_equal(resolve_on(&def, CPU_ACCEL_KVM, host,
				    "Haswell,vendor=GenuineIntel", &e),
			 0);
	assert_string_equal(def.vendor, VENDOR_INTEL);
	assert_int_not_equal(
		resolve_on(&def, CPU_ACCEL_LODGE, host, "Haswell,enforce", &e),
		0);
	assert_non_null(strstr(e.msg, "bmi1"));
	free(host);
}

/* The counters of the generation, whatever the host's vendor has. */
static void test_pmu(void **state)
{
	static const struct {
		enum cpu_accel_kind accel;
		const char *cpu;
		uint32_t leaf[4];
	} list[] = {
		{CPU_ACCEL_LODGE,
		 "Penryn,pmu=on",
		 {0x07280202, 0x58, 0, 0x503}},
		{CPU_ACCEL_LODGE,
		 "Haswell,pmu=on",
		 {0x07300803, 0x58, 0, 0x8603}},
		{CPU_ACCEL_LODGE,
		 "Skylake-Server,pmu=on",
		 {0x07300804, 0x58, 0, 0x8603}},
		{CPU_ACCEL_LODGE,
		 "SapphireRapids,pmu=on",
		 {0x07300805, 0x58, 7, 0x8603}},
		{CPU_ACCEL_LODGE, "Skylake-Server", {0, 0, 0, 0}},
		{CPU_ACCEL_LODGE, "EPYC-Milan,pmu=on", {0, 0, 0, 0}},
		{CPU_ACCEL_LODGE, "pentium3,pmu=on", {0, 0, 0, 0}},
		{CPU_ACCEL_KVM,
		 "Skylake-Server,vendor=GenuineIntel,pmu=on",
		 {0, 0, 0, 0}},
	};
	struct kvm_cpuid2 *host = host_table();
	struct cpu_def def;
	struct err e = {0};
	uint32_t r[4];

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		assert_int_equal(
			resolve_on(&def, list[i].accel, host, list[i].cpu, &e),
			0);
		cpu_leaf(&def, 0, 0xa, 0, r);
		assert_memory_equal(r, list[i].leaf, sizeof(r));
	}
	free(host);
}

/* Writes of full width are Lodge's on any host, as the counters are. */
static void test_full_width(void **state)
{
	static const char *const intel = "Haswell,pmu=on,+pdcm,"
					 "+full-width-write,check=off";
	struct kvm_cpuid2 *host = host_table();
	struct kvm_msr_entry msr[TABLE_MSRS];
	struct cpu_def def;
	struct err e = {0};

	assert_int_equal(resolve_on(&def, CPU_ACCEL_LODGE, host, intel, &e), 0);
	assert_false(feature_test(def.missing, FEAT_PDCM));
	assert_int_equal(table_msrs(&def, msr), 1);
	assert_int_equal(msr[0].index, 0x345);
	assert_int_equal(msr[0].data, BIT(13));
	assert_int_equal(resolve_on(&def, CPU_ACCEL_KVM, host, intel, &e), 0);
	assert_true(feature_test(def.missing, FEAT_PDCM));
	assert_int_equal(resolve_on(&def, CPU_ACCEL_LODGE, host,
				    "EPYC-Milan,pmu=on,+pdcm", &e),
			 0);
	assert_true(feature_test(def.missing, FEAT_PDCM));
	free(host);
}

/* AMD's models have one without being told; pmu=off takes it away. */
static void test_no_pmu(void **state)
{
	struct kvm_cpuid2 *host = host_table();
	const enum cpu_accel_kind on = CPU_ACCEL_LODGE;
	struct cpu_def def;
	struct err e = {0};
	uint32_t r[4];

	assert_int_equal(resolve_on(&def, on, host, "EPYC-Turin,pmu=on", &e),
			 0);
	cpu_leaf(&def, 0, 0x80000022, 0, r);
	assert_int_equal(r[0], 1);
	assert_int_equal(r[1], 6);
	assert_int_equal(resolve_on(&def, on, host, "EPYC-Milan", &e), 0);
	assert_true(feature_test(def.words, FEAT_PERFCTR_CORE));
	assert_false(def.no_pmu);
	assert_int_equal(resolve_on(&def, on, host, "EPYC-Turin,pmu=off", &e),
			 0);
	assert_false(feature_test(def.words, FEAT_PERFCTR_CORE));
	assert_true(def.no_pmu);
	cpu_leaf(&def, 0, 0x80000022, 0, r);
	assert_int_equal(r[0] | r[1], 0);
	assert_int_equal(
		resolve_on(&def, on, host, "EPYC-Milan,pmu=off,pmu=on", &e), 0);
	assert_true(feature_test(def.words, FEAT_PERFCTR_CORE));
	assert_false(def.no_pmu);
	assert_int_not_equal(
		resolve_on(&def, on, host,
			   "EPYC-Milan,pmu=off,+perfctr-core,enforce", &e),
		0);
	assert_non_null(strstr(e.msg, "perfctr-core"));
	free(host);
}

/* host is what the KVM has, in a table that repeats every leaf. */
static void test_host(void **state)
{
	struct kvm_cpuid2 *host = host_table(), *t;
	struct topo_place p;
	struct cpu_def def;
	struct err e = {0};
	uint32_t r[4];
	unsigned i;

	assert_int_equal(resolve_on(&def, CPU_ACCEL_LODGE, host,
				    "host,host-cache-info=on,-pni", &e),
			 0);
	assert_string_equal(def.model_id, "AMD Host");
	assert_int_equal(cpu_def_signature(&def), 0x00a20f12);
	assert_int_equal(def.phys_bits, 48);
	assert_false(feature_test(def.words, FEAT_SSE3));
	assert_true(feature_test(def.words, FEAT_AVX));
	t = table_build(&def, 5);
	assert_non_null(t);
	p = topo_place(&def.topo, 5);
	for (i = 0; i < t->nent; i++) {
		cpu_leaf_exact(&def, &p, t->entries[i].function,
			       t->entries[i].index, r);
		assert_memory_equal(&t->entries[i].eax, r, sizeof(r));
	}
	cpu_leaf_exact(&def, &p, 0x8000001d, 0, r);
	assert_int_equal(r[0], 0x121 | 1 << 14);
	cpu_leaf_exact(&def, &p, 0x8000001d, 3, r);
	assert_int_equal(r[0], 0x163 | 7 << 14);
	cpu_leaf_exact(&def, &p, 0xd, 0, r);
	assert_int_equal(r[2], 832);
	cpu_leaf(&def, 5, 0xb, 0, r);
	assert_int_equal(r[3], 5);
	cpu_leaf(&def, 5, 0x1f, 0, r);
	assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
	free(t);
	free(host);
}

/* What `lodge cpu dump` writes, `lodge cpu decode` reads. */
static void test_dump(void **state)
{
	struct cpu_def def;
	struct answers a, b;
	struct answers_file file;
	struct err e = {0};
	char *text[2];
	size_t len[2];
	FILE *f;
	int i;

	resolve(&def, "EPYC-Milan-v2", "q35", "4,dies=2,threads=2");
	a = answers_of_def(&def);
	f = open_memstream(&text[0], &len[0]);
	text_dump(f, &a);
	fclose(f);
	f = fmemopen(text[0], len[0], "r");
	assert_int_equal(answers_read(&file, f, "it", &e), 0);
	fclose(f);
	b = answers_of_file(&file);
	assert_int_equal(b.cpus, 4);
	f = open_memstream(&text[1], &len[1]);
	text_dump(f, &b);
	fclose(f);
	assert_string_equal(text[0], text[1]);
	answers_file_drop(&file);
	for (i = 0; i < 2; i++)
		free(text[i]);
}

static void test_cpuid_r(void **state)
{
	static char good[] =
		"CPU 0:\n"
		"   0x00000000 0x00: eax=0x00000001 ebx=0x756e6547 "
		"ecx=0x6c65746e edx=0x49656e69\n"
		"CPU 1:\n"
		"   0x00000001 0x00: eax=0x000306c3 ebx=0x01100800 "
		"ecx=0x00000001 edx=0x00000000\n";
	static char bad[] = "eax is 5\n";
	struct answers_file file;
	struct answers a;
	struct err e = {0};
	uint32_t r[4];
	FILE *f = fmemopen(good, sizeof(good) - 1, "r");

	assert_int_equal(answers_read(&file, f, "it", &e), 0);
	fclose(f);
	a = answers_of_file(&file);
	assert_int_equal(a.cpus, 2);
	a.leaf(&a, 1, 1, 0, r);
	assert_int_equal(r[0], 0x306c3);
	a.leaf(&a, 0, 1, 0, r);
	assert_int_equal(r[0], 0);
	answers_file_drop(&file);
	f = fmemopen(bad, sizeof(bad) - 1, "r");
	assert_int_not_equal(answers_read(&file, f, "it", &e), 0);
	assert_non_null(strstr(e.msg, "line 1"));
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel_legacy),
		cmocka_unit_test(test_amd_own),
		cmocka_unit_test(test_amd_legacy),
		cmocka_unit_test(test_zhaoxin),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_baseline),
		cmocka_unit_test(test_accelerators),
		cmocka_unit_test(test_pmu),
		cmocka_unit_test(test_full_width),
		cmocka_unit_test(test_no_pmu),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_cpuid_r),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
