/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit test of hiding host features. A program of its own: the snapshot of
 * the host is made once per process.
 */
#include "cpu/cpuid.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define N 128

static struct cpuid_entry table[N];

static struct cpuid_entry *entry(uint32_t leaf, uint32_t subleaf)
{
	int i, count = cpuid_supported(table, N);

	for (i = 0; i < count; i++)
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return &table[i];
	return NULL;
}

/* Whether the processor's XSAVE images have room for PKRU. */
static bool place_of_pkru(void)
{
	uint32_t a = 0xd, b, c = 9, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return a != 0 && cpuid_host()->max_leaf >= 0xd;
}

static void test_mask(void **state)
{
	struct cpuid_entry *e;

	assert_int_equal(cpuid_host_mask("no-such"), -EINVAL);
	assert_int_equal(cpuid_host_mask("avx512,fsgsbase,,pku,sha_ni,"), 0);
	assert_false(cpuid_host_has(FEAT_AVX512F));
	assert_false(cpuid_host_has(FEAT_AVX512_BF16));
	assert_false(cpuid_host_has(FEAT_FSGSBASE));
	e = entry(7, 0);
	assert_int_equal(e->ebx & (1 << 16 | 1 << 29), 0);
	assert_int_equal(e->ebx & 1, 1); /* emulated all the same */
	assert_int_equal(e->ecx & 8, place_of_pkru() ? 8 : 0);
	assert_int_equal(e->ecx & 1 << 1, 0); /* needs AVX512F */
	if (entry(0xd, 0))
		assert_int_equal(entry(0xd, 0)->eax & 0xe0, 0);
}

/* Without XSAVE nothing that lives in its components can be offered. */
static void test_mask_xsave(void **state)
{
	assert_int_equal(cpuid_host_mask("xsave"), 0);
	assert_int_equal(entry(1, 0)->ecx & (1 << 26 | 1 << 28 | 1 << 12), 0);
	assert_int_equal(entry(7, 0)->ebx & 1 << 5, 0);
	assert_int_equal(entry(7, 0)->ecx & 8, 0);
	assert_null(entry(0xd, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_mask_xsave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
