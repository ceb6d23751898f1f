/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit test of personas on two processors of the test's own: an Intel one and
 * an AMD one, so that both directions are judged on any host.
 */
#include "x86/persona.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct row {
	uint32_t leaf, subleaf, r[4];
};

/* A 32 KiB 8-way L1, 1.25 MiB 20-way L2, 48 MiB 12-way L3. */
static const struct row intel[] = {
	{0, 0, {0x1b, 0x756e6547, 0x6c65746e, 0x49656e69}},
	{1, 0, {0x606a6, 0x100800, 0x7ffefbff, 0xbfebfbff}},
	{2, 0, {0x00feff01, 0xf0, 0, 0}},
	{4, 0, {0x7c004121, 0x01c0003f, 0x3f, 0}},
	{4, 1, {0x7c004122, 0x01c0003f, 0x3f, 0}},
	{4, 2, {0x7c004143, 0x04c0003f, 0x3ff, 0}},
	{4, 3, {0x7c0fc163, 0x02c0003f, 0xffff, 4}},
	{6, 0, {0xdff7, 2, 9, 0}},
	{7, 0, {2, 0xf3bfbfff, 0xfb417ffe, 0xffdd4432}},
	{0xa, 0, {0x07300805, 0, 0, 0x603}},
	{0x14, 0, {1, 0xf, 7, 0}},
	{0x80000000, 0, {0x80000008, 0, 0, 0}},
	{0x80000001, 0, {0, 0, 0x121, 0x2c100800}},
	{0x80000002, 0, {0x65746e49, 0x2952286c, 0x6f655820, 0x2952286e}},
	{0x80000006, 0, {0, 0, 0x05007040, 0}},
	{0x80000007, 0, {0, 0, 0, 0x100}},
	{0x80000008, 0, {0x302e39, 0x200, 0, 0}},
};

static const struct row amd[] = {
	{0, 0, {0x10, 0x68747541, 0x444d4163, 0x69746e65}},
	{1, 0, {0xa10f11, 0x100800, 0x7efa320b, 0x178bfbff}},
	{7, 0, {1, 0xf1bf97a9, 0x405fce, 0x10000010}},
	{0x80000000, 0, {0x80000028, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0xa10f11, 0x40000000, 0x75c237ff, 0x2fd3fbff}},
	{0x80000005, 0, {0xff48ff40, 0xff48ff40, 0x20080140, 0x20080140}},
	{0x80000006, 0, {0x5c002200, 0x6c004200, 0x04006140, 0x00c09140}},
	{0x80000007, 0, {0, 0x3b, 0, 0x6799}},
	{0x80000008, 0, {0x3034, 0x791ef257, 0x3007, 0x10007}},
	{0x8000001d, 0, {0x4121, 0x01c0003f, 0x3f, 0}},
	{0x8000001d, 1, {0x4122, 0x01c0003f, 0x3f, 0}},
	{0x80000021, 0, {0x62fcf, 0x15c, 0, 0}},
};

static void look_up(const struct row *row, size_t n, uint32_t leaf,
		    uint32_t subleaf, uint32_t r[4])
{
	memset(r, 0, 16);
	for (; n; n--, row++)
		if (row->leaf == leaf && row->subleaf == subleaf)
			memcpy(r, row->r, 16);
}

/* Intel repeats a leaf where there is none. */
static void cpuid_intel(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	if (leaf > 0x80000008 || (leaf > 0x1b && leaf < 0x40000000))
		memset(r, 0xee, 16);
	else
		look_up(intel, sizeof(intel) / sizeof(intel[0]), leaf, subleaf,
			r);
}

static void cpuid_amd(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	look_up(amd, sizeof(amd) / sizeof(amd[0]), leaf, subleaf, r);
}

static void expect(const uint32_t r[4], uint32_t a, uint32_t b, uint32_t c,
		   uint32_t d)
{
	const uint32_t want[4] = {a, b, c, d};

	for (int i = 0; i < 4; i++)
		assert_int_equal(r[i], want[i]);
}

static void as_intel(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	persona_cpuid(&persona_intel, cpuid_amd, leaf, subleaf, r);
}

static void as_amd(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	persona_cpuid(&persona_amd, cpuid_intel, leaf, subleaf, r);
}

static void test_intel(void **state)
{
	uint32_t r[4];

	as_intel(0, 0, r);
	expect(r, 0x10, 0x756e6547, 0x6c65746e, 0x49656e69);
	as_intel(1, 0, r);
	expect(r, 0x606a6, 0x100800, 0x7efa320b, 0x178bfbff);
	as_intel(2, 0, r);
	expect(r, 0xff01, 0xf0, 0, 0);
	as_intel(4, 1, r);
	expect(r, 0x4122, 0x01c0003f, 0x3f, 0);
	as_intel(7, 0, r);
	expect(r, 1, 0xf1bf97a9, 0x405fce, 0x10000010);
	as_intel(0x80000000, 0, r);
	expect(r, 0x80000008, 0, 0, 0);
	as_intel(0x80000001, 0, r);
	expect(r, 0, 0, 0x121, 0x2c100800);
	as_intel(0x80000002, 0, r);
	assert_memory_equal(r, "Intel Xeon Proce", 16);
	as_intel(0x80000005, 0, r);
	expect(r, 0, 0, 0, 0);
	as_intel(0x80000006, 0, r);
	expect(r, 0, 0, 0x04006040, 0);
	as_intel(0x80000007, 0, r);
	expect(r, 0, 0, 0, 0x100);
	as_intel(0x80000008, 0, r);
	expect(r, 0x3034, 0x200, 0, 0);
	as_intel(0x8000001d, 0, r);
	expect(r, 0, 0, 0, 0);
}

static void test_amd(void **state)
{
	uint32_t r[4];

	as_amd(0, 0, r);
	expect(r, 0x10, 0x68747541, 0x444d4163, 0x69746e65);
	as_amd(1, 0, r);
	assert_int_equal(r[0], 0xa10f11);
	assert_int_equal(r[2] & 0x4c5e4, 0); /* VMX DTES64 PDCM .. */
	assert_int_equal(r[3], 0x178bfbff);
	as_amd(2, 0, r);
	expect(r, 0, 0, 0, 0);
	as_amd(4, 0, r);
	expect(r, 0, 0, 0, 0);
	as_amd(6, 0, r);
	expect(r, 4, 0, 1, 0);
	as_amd(0xa, 0, r);
	expect(r, 0, 0, 0, 0);
	as_amd(0x80000000, 0, r);
	expect(r, 0x80000021, 0x68747541, 0x444d4163, 0x69746e65);
	as_amd(0x80000001, 0, r);
	expect(r, 0xa10f11, 0, 0x400121, 0x2dd3fbff);
	as_amd(0x80000005, 0, r);
	expect(r, 0, 0, 0x20080140, 0x20080140);
	as_amd(0x80000006, 0, r);
	expect(r, 0, 0, 0x05007140, 96 << 18 | 9 << 12 | 0x140);
	as_amd(0x80000008, 0, r);
	expect(r, 0x2e39, 0x200, 0, 0);
	as_amd(0x8000001d, 3, r);
	expect(r, 0x000fc163, 0x02c0003f, 0xffff, 0);
	as_amd(0x80000021, 0, r);
	expect(r, 4, 0, 0, 0);
	as_amd(0x80000030, 0, r);
	expect(r, 0, 0, 0, 0);
}

/* The silicon's own vendor changes nothing, nor do others' leaves. */
static void test_own(void **state)
{
	uint32_t r[4], s[4];

	for (size_t i = 0; i < sizeof(amd) / sizeof(amd[0]); i++) {
		persona_cpuid(&persona_amd, cpuid_amd, amd[i].leaf,
			      amd[i].subleaf, r);
		assert_memory_equal(r, amd[i].r, 16);
		persona_cpuid(NULL, cpuid_amd, amd[i].leaf, amd[i].subleaf, r);
		assert_memory_equal(r, amd[i].r, 16);
	}
	as_amd(0x40000000, 0, r);
	cpuid_intel(0x40000000, 0, s);
	assert_memory_equal(r, s, 16);
	assert_ptr_equal(persona_find("amd"), &persona_amd);
	assert_ptr_equal(persona_find("intel"), &persona_intel);
	assert_null(persona_find("via"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel),
		cmocka_unit_test(test_amd),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
