/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit test of passing for the other vendor. A program of its own: the
 * snapshot of the host is made once per process.
 */
#include "cpu/cpuid.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/msr.h"
#include "x86/msr.h"
#include "x86/persona.h"

#define N 128

static struct cpuid_entry table[N];
static int count;
static bool silicon_amd;

static struct cpuid_entry *entry(uint32_t leaf, uint32_t subleaf)
{
	for (int i = 0; i < count; i++)
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return &table[i];
	return NULL;
}

static int start(void **state)
{
	uint32_t r[4];

	persona_silicon(0, 0, r);
	silicon_amd = persona_vendor_is_amd(r[1]);
	assert_int_equal(cpuid_host_vendor("cyrix"), -EINVAL);
	assert_int_equal(cpuid_host_vendor(silicon_amd ? "intel" : "amd"), 0);
	count = cpuid_supported(table, N);
	assert_true(count > 20);
	return 0;
}

static void test_identity(void **state)
{
	const struct persona *p = silicon_amd ? &persona_intel : &persona_amd;
	char text[49] = "";

	assert_int_equal(cpuid_host()->amd, !silicon_amd);
	assert_int_equal(cpuid_host()->silicon_amd, silicon_amd);
	memcpy(text, &entry(0, 0)->ebx, 4);
	memcpy(text + 4, &entry(0, 0)->edx, 4);
	memcpy(text + 8, &entry(0, 0)->ecx, 4);
	assert_string_equal(text, p->vendor);
	assert_int_equal(entry(1, 0)->eax, persona_signature(p));
	for (uint32_t i = 0; i < 3; i++)
		memcpy(text + i * 16, &entry(0x80000002 + i, 0)->eax, 16);
	assert_string_equal(text, p->brand);
}

/* Every native feature offered is one of the silicon's. */
static void test_features(void **state)
{
	uint32_t r[4];

	persona_silicon(1, 0, r);
	/* SSE3 SSSE3 FMA CX16 SSE4 MOVBE POPCNT AES F16C RDRAND */
	assert_int_equal(entry(1, 0)->ecx & 0x62d83201 & ~r[2], 0);
	persona_silicon(7, 0, r);
	/* BMI AVX2 AVX512 RDSEED ADX SHA */
	assert_int_equal(entry(7, 0)->ebx & 0xf0ed0128 & ~r[1], 0);
	if (silicon_amd) {
		assert_int_equal(entry(0x80000000, 0)->eax, 0x80000008);
		assert_int_equal(entry(0x80000001, 0)->ecx & ~0x121u, 0);
		assert_int_equal(entry(0x80000001, 0)->edx & ~0x2c100800u, 0);
		assert_null(entry(0x80000021, 0));
		assert_non_null(entry(2, 0));
		assert_int_equal(entry(4, 0)->eax & 0x1f ? 1 : 0,
				 entry(4, 1) != NULL);
	} else {
		assert_true(entry(0x80000001, 0)->edx & 1 << 25); /* SSE2 */
		assert_non_null(entry(0x80000021, 0));
		assert_int_equal(entry(4, 0)->eax, 0);
		assert_non_null(entry(0x8000001d, 0));
	}
}

static void test_msrs(void **state)
{
	uint32_t list[64];
	unsigned int n = msr_list(true, list, 64);
	bool de_cfg = false;
	uint64_t val;

	for (unsigned int i = 0; i < n; i++) {
		de_cfg |= list[i] == MSR_DE_CFG;
		assert_int_equal(msr_get_feature(list[i], &val), 0);
	}
	assert_int_equal(de_cfg, !silicon_amd);
	assert_int_equal(msr_get_feature(MSR_DE_CFG, &val) == 0, de_cfg);
	assert_int_equal(msr_get_feature(MSR_UCODE_REV, &val), 0);
	assert_int_equal(val, silicon_amd ? 0x100000000 : 0x01000065);
}

/* A processor before its client gave it a table, and with this one. */
static void test_processor(void **state)
{
	static struct cpu cpu;

	assert_int_equal(cpuid_init(&cpu), 0);
	assert_int_equal(cpu.vendor_amd, !silicon_amd);
	assert_int_equal(cpuid_set_table(&cpu, table, (unsigned int)count), 0);
	assert_int_equal(cpu.vendor_amd, !silicon_amd);
	cpuid_fini(&cpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_msrs),
		cmocka_unit_test(test_processor),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
