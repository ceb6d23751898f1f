/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit test of CPUID's forging, with a kernel that says it can make it fault,
 * and with places where it was replaced.
 */
#include "shim/shim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <cmocka.h>

#include "x86/persona.h"

static int calls, off; /* how often the setting changed; is it off now */
static bool taken, refused, looked;
static const struct persona *persona;
static uintptr_t site;

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
	return refused ? -1 : 0;
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

struct thread *thread_self(void)
{
	return NULL;
}

void signal_open_faults(struct thread *t)
{
	assert_null(t);
}

bool patch_loaded(void)
{
	looked = true;
	return true;
}

bool patch_is_site(uintptr_t rip)
{
	return rip == site;
}

const struct persona *param_persona(void)
{
	return persona;
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
	static const uint8_t code[] = {0x0f, 0xa2}, ud2[] = {0x0f, 0x0b};
	const uint8_t *at = cpuid_patches() ? ud2 : code;
	ucontext_t uc = {0};
	greg_t *g = uc.uc_mcontext.gregs;

	g[REG_TRAPNO] = cpuid_patches() ? 6 : 13;
	g[REG_RIP] = (greg_t)(uintptr_t)at;
	g[REG_RAX] = leaf;
	g[REG_RCX] = subleaf;
	site = cpuid_patches() ? (uintptr_t)at : 0;
	assert_true(cpuid_emulate(cpuid_patches() ? SIGILL : SIGSEGV, &uc));
	assert_int_equal(g[REG_RIP], (greg_t)(uintptr_t)(at + 2));
	for (int i = 0; i < 4; i++)
		r[i] = (uint32_t)
			g[(const int[]){REG_RAX, REG_RBX, REG_RCX, REG_RDX}[i]];
}

static void start(const struct persona *p, const char *how)
{
	persona = p;
	taken = looked = false;
	refused = !strcmp(how, "none");
	setenv("LODGE_VENDOR", p->name, 1);
	setenv("LODGE_CPUID", refused ? "" : how, 1);
	cpuid_init();
	assert_true(cpuid_traps() && taken);
	assert_int_equal(cpuid_patches(), refused || !strcmp(how, "patch"));
	assert_int_equal(looked, cpuid_patches());
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

static void check_intel(void)
{
	uint32_t r[4], h[4];

	check_vendor("GenuineIntel");
	forged(1, 0, r);
	cpuid(1, 0, h);
	assert_true(r[2] & BIT(5));
	assert_true(r[2] & BIT(3));
	assert_int_equal((r[2] ^ h[2]) & ~BIT(3) & ~BIT(5) & ~BIT(27), 0);
	forged(0x80000001, 0, r);
	assert_false(r[2] & BIT(2));
}

static void check_amd(void)
{
	uint32_t r[4];

	check_vendor("AuthenticAMD");
	forged(1, 0, r);
	assert_false(r[2] & BIT(5));
	assert_true(r[2] & BIT(3));
	forged(0x80000001, 0, r);
	assert_true(r[2] & BIT(2));
}

static void test_fault(void **state)
{
	start(&persona_intel, "fault");
	assert_int_equal(off, 0);
	check_intel();
	assert_int_equal(off, 0);
	start(&persona_amd, "fault");
	check_amd();
}

static void test_patch(void **state)
{
	int before;

	start(&persona_intel, "none"); /* the kernel refuses to fault */
	before = calls;
	check_intel();
	assert_int_equal(calls, before);
	start(&persona_amd, "patch");
	check_amd();
}

static const struct persona *own(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
	return persona_vendor_is_amd(r[1]) ? &persona_amd : &persona_intel;
}

/* The host's own name stays, and what nobody asked for. */
static void test_same_vendor(void **state)
{
	uint32_t r[4], h[4];

	start(own(), "fault");
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

	start(own(), "fault");
	before = calls;
	g[REG_TRAPNO] = 13;
	g[REG_RIP] = (greg_t)(uintptr_t)code;
	assert_false(cpuid_emulate(SIGSEGV, &uc));
	g[REG_TRAPNO] = 14; /* the bytes may not be there */
	g[REG_RIP] = 0;
	assert_false(cpuid_emulate(SIGSEGV, &uc));
	assert_int_equal(calls, before);
	start(own(), "patch");
	site = (uintptr_t)code;
	g[REG_TRAPNO] = 6;
	g[REG_RIP] = (greg_t)(site + 1);
	assert_false(cpuid_emulate(SIGILL, &uc)); /* the program's own UD2 */
	g[REG_RIP] = (greg_t)site;
	assert_false(cpuid_emulate(SIGSEGV, &uc));
	g[REG_TRAPNO] = 0; /* sent by kill() */
	assert_false(cpuid_emulate(SIGILL, &uc));
}

/* Nobody asked for anything, or for nothing. */
static void test_off(void **state)
{
	setenv("LODGE_CPUID", "off", 1);
	taken = looked = false;
	cpuid_init();
	assert_false(cpuid_traps() || taken || looked);
	setenv("LODGE_CPUID", "", 1);
	unsetenv("LODGE_VENDOR");
	cpuid_init();
	assert_false(cpuid_traps() || taken || looked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_patch),
		cmocka_unit_test(test_same_vendor),
		cmocka_unit_test(test_other_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
