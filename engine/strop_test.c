/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single elements of MOVS, STOS and LODS: what moves and how far the pointers
 * go, also where test/diff, whose judge is silicon in 64-bit mode, cannot
 * look. That no C function is called is seen by engine-golden. SDM 2B "MOVS",
 * "STOS", 2A "LODS".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fake.h"
#include "x86/regs.h"

#define HIGH 0xffffffff00000000ULL

static struct fake fake;

GUEST(movs_loop, "1: movsb; dec %ecx; jnz 1b; hlt");
GUEST(movs_down, "std; 1: movsw; dec %ecx; jnz 1b; hlt");
GUEST(stos_loop, "1: stosl; inc %eax; dec %ecx; jnz 1b; hlt");
GUEST(lods_loop, "1: lodsq; add %rax, %rdx; dec %ecx; jnz 1b; hlt");
GUEST(movs_narrow, "addr32 movsq; hlt");
GUEST(movs_flags, "cmp %eax, %eax; movsb; setz %bl; stosb; setz %bh; "
		  "lodsb; setz %dl; hlt");
GUEST(loop32, ".code32; 1: movsb; dec %ecx; jnz 1b; hlt; .code64");
GUEST(near_wrap, ".code32; addr16 movsb; addr16 lodsb; hlt; .code64");

static uint64_t reg(enum cpu_reg r)
{
	return fake.cpu[0]->gpr[r];
}

static void set_reg(enum cpu_reg r, uint64_t val)
{
	fake.cpu[0]->gpr[r] = val;
}

#define START(name)                                                  \
	do {                                                         \
		fake_load(&fake, FAKE_CODE, name);                   \
		engine_invalidate(fake.engine, fake.ram + FAKE_CODE, \
				  (size_t)(name##_end - (name)));    \
		fake_start(&fake, 0, FAKE_CODE);                     \
	} while (0)

static void run(void)
{
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	assert_int_equal(fake_vector(&fake, 0), -1);
}

static void fill(gpa_t at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		fake.ram[at + i] = i * 7 + (i >> 8);
}

/* @n bytes, more than a page, one by one. */
static void judge_loop(unsigned int n)
{
	fill(FAKE_DATA + 5, n);
	set_reg(REG_RSI, FAKE_DATA + 5);
	set_reg(REG_RDI, FAKE_DATA + 0x8003);
	set_reg(REG_RCX, n);
	run();
	assert_memory_equal(fake.ram + FAKE_DATA + 0x8003,
			    fake.ram + FAKE_DATA + 5, n);
	assert_int_equal(reg(REG_RSI), FAKE_DATA + 5 + n);
	assert_int_equal(reg(REG_RDI), FAKE_DATA + 0x8003 + n);
}

static void test_movs_loop(void **state)
{
	START(movs_loop);
	judge_loop(9000);
}

static void test_movs_loop32(void **state)
{
	fake_flat32(&fake, 0);
	START(loop32);
	judge_loop(9000);
}

/* Elements that cross pages on both sides; the next is at a lower address. */
static void test_movs_down(void **state)
{
	START(movs_down);
	fill(FAKE_DATA + 0xff1, 0x20);
	set_reg(REG_RSI, FAKE_DATA + 0x1007);
	set_reg(REG_RDI, FAKE_DATA + 0x9003);
	set_reg(REG_RCX, 10);
	run();
	assert_memory_equal(fake.ram + FAKE_DATA + 0x8ff1,
			    fake.ram + FAKE_DATA + 0xff5, 20);
	assert_int_equal(reg(REG_RSI), FAKE_DATA + 0x1007 - 20);
	assert_int_equal(reg(REG_RDI), FAKE_DATA + 0x9003 - 20);
}

static void test_stos_loop(void **state)
{
	uint32_t word;

	START(stos_loop);
	set_reg(REG_RAX, 0x11223344);
	set_reg(REG_RDI, FAKE_DATA + 0xffa);
	set_reg(REG_RCX, 8);
	run();
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(&word, fake.ram + FAKE_DATA + 0xffa + 4UL * i, 4);
		assert_int_equal(word, 0x11223344 + i);
	}
	assert_int_equal(reg(REG_RDI), FAKE_DATA + 0xffa + 32);
	assert_int_equal(reg(REG_RSI), 0);
}

static void test_lods_loop(void **state)
{
	uint64_t sum = 0, word;

	START(lods_loop);
	fill(FAKE_DATA + 0xff9, 64);
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(&word, fake.ram + FAKE_DATA + 0xff9 + 8UL * i, 8);
		sum += word;
	}
	set_reg(REG_RSI, FAKE_DATA + 0xff9);
	set_reg(REG_RCX, 8);
	run();
	assert_int_equal(reg(REG_RDX), sum);
	assert_int_equal(reg(REG_RSI), FAKE_DATA + 0xff9 + 64);
}

/* 32-bit addresses: upper halves of pointers are not used and are cleared. */
static void test_movs_narrow(void **state)
{
	START(movs_narrow);
	fill(FAKE_DATA, 8);
	set_reg(REG_RSI, HIGH | FAKE_DATA);
	set_reg(REG_RDI, HIGH | (FAKE_DATA + 0x100));
	run();
	assert_memory_equal(fake.ram + FAKE_DATA + 0x100, fake.ram + FAKE_DATA,
			    8);
	assert_int_equal(reg(REG_RSI), FAKE_DATA + 8);
	assert_int_equal(reg(REG_RDI), FAKE_DATA + 0x108);
}

static void test_flags(void **state)
{
	START(movs_flags);
	set_reg(REG_RSI, FAKE_DATA);
	set_reg(REG_RDI, FAKE_DATA + 0x100);
	run();
	assert_int_equal(reg(REG_RBX), 0x101);
	assert_int_equal(reg(REG_RDX), 1);
}

/* 16-bit addresses: offsets wrap, the rest of the registers stays. */
static void test_near_wrap(void **state)
{
	fake_flat32(&fake, 0);
	START(near_wrap);
	fake.ram[0xffff] = 0x5a;
	fake.ram[0] = 0xa5;
	set_reg(REG_RSI, 0x1234ffff);
	set_reg(REG_RDI, 0x43218000);
	run();
	assert_int_equal(fake.ram[0x8000], 0x5a);
	assert_int_equal(reg(REG_RAX), 0xa5);
	assert_int_equal(reg(REG_RSI), 0x12340001);
	assert_int_equal(reg(REG_RDI), 0x43218001);
}

static int setup(void **state)
{
	fake_watchdog(20);
	fake_open(&fake, 0);
	return 0;
}

static int teardown(void **state)
{
	fake_close(&fake);
	fake_watchdog(0);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_movs_loop), TEST(test_movs_loop32),
		TEST(test_movs_down), TEST(test_stos_loop),
		TEST(test_lods_loop), TEST(test_movs_narrow),
		TEST(test_flags),     TEST(test_near_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
