/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PAUSE: a loop of them gives the processor away, where there is another vCPU
 * to wait for, and changes nothing the guest can see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fake.h"
#include "engine/stubs.h"

#define MANY 100000

static struct fake fake;

/* ecx: how often; rax: sum of the carries that PAUSE must not change */
GUEST(tight, "1: pause; dec %ecx; jne 1b; hlt");
GUEST(slow, "1: pause; mov $20000, %eax; 2: dec %eax; jne 2b; dec %ecx; "
	    "jne 1b; hlt");
GUEST(keeps, "1: stc; pause; adc $0, %rax; clc; pause; adc $0, %rax; "
	     "dec %ecx; jne 1b; hlt");

/* Threads that yielded in @n rounds. */
static uint64_t yields(const uint8_t *from, size_t size, unsigned int n)
{
	struct cpu *cpu = fake.cpu[0];
	uint64_t before = cpu->stat[CPU_STAT_SPIN];

	memcpy(fake.ram + FAKE_CODE, from, size);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, size);
	fake_start(&fake, 0, FAKE_CODE);
	cpu->gpr[REG_RCX] = n;
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	return cpu->stat[CPU_STAT_SPIN] - before;
}
#define YIELDS(name, n) yields(name, name##_end - (name), n)

static void test_yields(void **state)
{
	uint64_t n = YIELDS(tight, MANY);

	(void)state;
	assert_true(n > 0 && n <= MANY / SPIN_WINDOW);
}

/* A few at a time are no loop. */
static void test_few(void **state)
{
	(void)state;
	YIELDS(slow, SPIN_WINDOW); /* whatever came before is long ago */
	assert_int_equal(YIELDS(slow, 20 * SPIN_WINDOW), 0);
}

/* Nobody to wait for. */
static void test_alone(void **state)
{
	unsigned int n = fake.engine->ncpus;

	(void)state;
	fake.engine->ncpus = 1;
	assert_int_equal(YIELDS(tight, MANY), 0);
	fake.engine->ncpus = n;
}

/* With REX.B it is XCHG: whatever decoders say, processors exchange. */
GUEST(renamed, ".byte 0xf3, 0x49, 0x90; hlt");

static void test_renamed(void **state)
{
	struct cpu *cpu = fake.cpu[0];

	(void)state;
	fake_load(&fake, FAKE_CODE, renamed);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, PAGE_SIZE);
	fake_start(&fake, 0, FAKE_CODE);
	cpu->gpr[REG_RAX] = 0x1234567812345678;
	cpu->gpr[REG_R8] = 5;
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	assert_int_equal(cpu->gpr[REG_RAX], 5);
	assert_int_equal(cpu->gpr[REG_R8], 0x1234567812345678);
}

static void test_keeps(void **state)
{
	struct cpu *cpu = fake.cpu[0];
	uint64_t want[16];

	(void)state;
	memcpy(fake.ram + FAKE_CODE, keeps, keeps_end - keeps);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, PAGE_SIZE);
	fake_start(&fake, 0, FAKE_CODE);
	for (unsigned int i = 0; i < 16; i++)
		if (i != REG_RSP)
			cpu->gpr[i] = 0x0123456789abcdefULL * (i + 1);
	cpu->gpr[REG_RAX] = 0;
	cpu->gpr[REG_RCX] = MANY;
	memcpy(want, cpu->gpr, sizeof(want));
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	want[REG_RAX] = MANY;
	want[REG_RCX] = 0;
	assert_memory_equal(cpu->gpr, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yields), cmocka_unit_test(test_few),
		cmocka_unit_test(test_alone),  cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_keeps),
	};
	int ret;

	fake_watchdog(60);
	fake_open(&fake, 0);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	fake_close(&fake);
	return ret;
}
