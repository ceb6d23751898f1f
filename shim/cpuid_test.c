/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit test of CPUID's forging, with a kernel that says it can make it fault.
 */
#include "shim/shim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <cmocka.h>

static bool intel, host_intel;
static int calls, off; /* how often the setting changed; is it off now */
static bool taken;

static long fake_syscall(long nr, ...)
{
	long on;
	va_list ap;

	va_start(ap, nr);
	(void)va_arg(ap, long);
	on = va_arg(ap, int);
	va_end(ap);
	assert_int_equal(nr, SYS_arch_prctl);
	calls++;
	off = (int)on;
	return 0;
}

const struct real *real(void)
{
	static const struct real fake = {.syscall = fake_syscall};

	return &fake;
}

void signal_take_faults(void)
{
	taken = true;
}

bool param_is_intel(void)
{
	return intel;
}

bool param_host_is_intel(void)
{
	return host_intel;
}

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	__asm__("cpuid"
		: "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
		: "a"(leaf), "c"(subleaf));
}

/* What a client's CPUID answers. */
static void forged(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	static const uint8_t code[] = {0x0f, 0xa2};
	ucontext_t uc = {0};
	greg_t *g = uc.uc_mcontext.gregs;

	g[REG_TRAPNO] = 13;
	g[REG_RIP] = (greg_t)(uintptr_t)code;
	g[REG_RAX] = leaf;
	g[REG_RCX] = subleaf;
	assert_true(cpuid_emulate(&uc));
	assert_int_equal(g[REG_RIP], (greg_t)(uintptr_t)(code + 2));
	assert_int_equal(off, 0);
	for (int i = 0; i < 4; i++)
		r[i] = (uint32_t)
			g[(const int[]){REG_RAX, REG_RBX, REG_RCX, REG_RDX}[i]];
}

static void start(bool want_intel, bool have_intel)
{
	intel = want_intel;
	host_intel = have_intel;
	taken = false;
	setenv("LODGE_VENDOR", want_intel ? "intel" : "amd", 1);
	cpuid_init();
	assert_true(cpuid_faults() && taken);
	assert_int_equal(off, 0);
}

static void check_vendor(const char *name)
{
	uint32_t r[4];
	char text[13] = "";

	forged(0, 0, r);
	memcpy(text, &r[1], 4);
	memcpy(text + 4, &r[3], 4);
	memcpy(text + 8, &r[2], 4);
	assert_string_equal(text, name);
}

static void test_intel(void **state)
{
	uint32_t r[4], h[4];

	start(true, false);
	check_vendor("GenuineIntel");
	forged(1, 0, r);
	cpuid(1, 0, h);
	assert_true(r[2] & BIT(5));
	assert_int_equal(r[0], h[0]);
	assert_int_equal(r[3], h[3]);
	assert_true(r[2] & BIT(3));
	assert_int_equal((r[2] ^ h[2]) & ~BIT(3) & ~BIT(5) & ~BIT(27), 0);
	forged(0x80000001, 0, r);
	assert_false(r[2] & BIT(2));
}

static void test_amd(void **state)
{
	uint32_t r[4];

	start(false, true);
	check_vendor("AuthenticAMD");
	forged(1, 0, r);
	assert_false(r[2] & BIT(5));
	forged(0x80000001, 0, r);
	assert_true(r[2] & BIT(2));
}

/* The host's own name stays, and what nobody asked for. */
static void test_same_vendor(void **state)
{
	uint32_t r[4], h[4];

	start(true, true);
	forged(0, 0, r);
	cpuid(0, 0, h);
	assert_memory_equal(r, h, sizeof(r));
	forged(7, 0, r);
	cpuid(7, 0, h);
	assert_memory_equal(r, h, sizeof(r));
}

static void test_other_faults(void **state)
{
	static const uint8_t code[] = {0x0f, 0xa3};
	ucontext_t uc = {0};
	greg_t *g = uc.uc_mcontext.gregs;
	int before;

	start(true, true);
	before = calls;
	g[REG_TRAPNO] = 13;
	g[REG_RIP] = (greg_t)(uintptr_t)code;
	assert_false(cpuid_emulate(&uc));
	g[REG_TRAPNO] = 14; /* the bytes may not be there */
	g[REG_RIP] = 0;
	assert_false(cpuid_emulate(&uc));
	assert_int_equal(calls, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel),
		cmocka_unit_test(test_amd),
		cmocka_unit_test(test_same_vendor),
		cmocka_unit_test(test_other_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
