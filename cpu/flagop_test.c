/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUSHF, POPF, CLI, STI and friends in each mode. SDM 2 tables "Effect of
 * POPF/POPFD on the EFLAGS Register" and "Decision Table for CLI/STI".
 */
#include "cpu/sys_fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int run(exec_fn *fn, unsigned int opsize)
{
	struct insn i;

	fake_insn(&i, opsize);
	return fake_exec(fn, &i);
}

static uint32_t stack_at(void)
{
	struct cpu *cpu = &fake->cpu;

	return cpu->seg[SEG_SS].base + cpu->gpr[REG_RSP];
}

static uint64_t popf(unsigned int size, uint64_t val)
{
	fake_poke(stack_at(), size, val);
	assert_int_equal(run(exec_popf, size), EXEC_NEXT);
	return cpu_rflags(&fake->cpu);
}

static void test_popf(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	cpu->rflags_sys = RFLAGS_RF;
	assert_int_equal(popf(8, ~0ULL), 0x247fd7);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK + 8);
	assert_int_equal(popf(8, 0), 2);
	fake_long(3);
	assert_int_equal(popf(8, 0), 0x202);
	assert_int_equal(popf(8, ~0ULL), 0x244fd7);
	cpu->rflags_sys = RFLAGS_IOPL;
	assert_int_equal(popf(8, 0), 0x3002);
	fake_protected(0);
	cpu->acflag = 1;
	assert_int_equal(popf(2, 0xffff), 0x47fd7);
	fake_real();
	assert_int_equal(popf(4, ~0ULL), 0x247fd7);
	fake_v8086(3);
	assert_int_equal(popf(4, 0), 0x23002);
}

static void test_pushf(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(3);
	cpu->rflags_sys = RFLAGS_RF | RFLAGS_NT;
	assert_int_equal(run(exec_pushf, 4), EXEC_NEXT);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK - 8);
	assert_int_equal(fake_peek(FAKE_STACK - 8, 8), 0x4202);
	fake_v8086(3);
	assert_int_equal(run(exec_pushf, 4), EXEC_NEXT);
	assert_int_equal(fake_peek(stack_at(), 4), 0x3202);
}

static void test_v8086_virtual(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_v8086(0);
	assert_fault(run(exec_pushf, 2), VEC_GP, 0);
	assert_fault(run(exec_popf, 2), VEC_GP, 0);
	cpu->cr4 |= CR4_VME;
	assert_fault(run(exec_pushf, 4), VEC_GP, 0);
	assert_fault(run(exec_popf, 4), VEC_GP, 0);
	assert_int_equal(run(exec_pushf, 2), EXEC_NEXT);
	assert_int_equal(fake_peek(stack_at(), 2), 0x3002);
	assert_int_equal(run(exec_sti, 2), EXEC_NEXT);
	assert_int_equal(cpu->shadow, 0);
	assert_int_equal(run(exec_pushf, 2), EXEC_NEXT);
	assert_int_equal(fake_peek(stack_at(), 2), 0x3202);
	assert_int_equal(popf(2, 0x3002), 0x20202);
	assert_int_equal(popf(2, 0x3203), 0xa0203);
	fake_poke(stack_at(), 2, 0x100);
	assert_fault(run(exec_popf, 2), VEC_GP, 0);
	cpu->rflags_sys |= RFLAGS_VIP;
	fake_poke(stack_at(), 2, 0x200);
	assert_fault(run(exec_popf, 2), VEC_GP, 0);
	assert_fault(run(exec_sti, 2), VEC_GP, 0);
	assert_int_equal(run(exec_cli, 2), EXEC_NEXT);
	assert_int_equal(cpu->rflags_sys & RFLAGS_VIF, 0);
	assert_int_equal(cpu->iflag, 1);
}

static void test_cli_sti(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	assert_int_equal(run(exec_sti, 4), EXEC_NEXT);
	assert_int_equal(cpu->shadow, 0); /* IF was set */
	assert_int_equal(run(exec_cli, 4), EXEC_NEXT);
	assert_int_equal(cpu->iflag, 0);
	assert_int_equal(run(exec_sti, 4), EXEC_NEXT);
	assert_int_equal(cpu->iflag, 1);
	assert_int_equal(cpu->shadow, CPU_SHADOW_STI);
	fake_long(3);
	assert_fault(run(exec_cli, 4), VEC_GP, 0);
	cpu->cr4 |= CR4_PVI;
	assert_int_equal(run(exec_sti, 4), EXEC_NEXT);
	assert_int_equal(cpu->rflags_sys, RFLAGS_VIF);
	assert_int_equal(run(exec_cli, 4), EXEC_NEXT);
	assert_int_equal(cpu->rflags_sys, 0);
	cpu->rflags_sys = RFLAGS_IOPL;
	assert_int_equal(run(exec_cli, 4), EXEC_NEXT);
	assert_int_equal(cpu->iflag, 0);
	fake_protected(1); /* PVI is for ring 3 */
	cpu->cr4 |= CR4_PVI;
	assert_fault(run(exec_cli, 4), VEC_GP, 0);
}

static void test_df_ac(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	assert_int_equal(run(exec_cld, 4), EXEC_NEXT);
	assert_false(cpu->mode_dirty);
	assert_int_equal(run(exec_std, 4), EXEC_NEXT);
	assert_true(cpu->mode_dirty);
	assert_int_equal(cpu->dflag, 1);
	assert_int_equal(run(exec_cld, 4), EXEC_NEXT);
	assert_int_equal(cpu->dflag, 0);
	cpu->mode_dirty = false;
	assert_int_equal(run(exec_stac, 4), EXEC_NEXT);
	assert_int_equal(cpu->acflag, 1);
	assert_true(cpu->mode_dirty);
	assert_int_equal(run(exec_clac, 4), EXEC_NEXT);
	assert_int_equal(cpu->acflag, 0);
	cpu->cpl = 3;
	assert_fault(run(exec_stac, 4), VEC_UD, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_popf),    T(test_pushf), T(test_v8086_virtual),
		T(test_cli_sti), T(test_df_ac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
