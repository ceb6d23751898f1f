/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRET, SYSCALL, SYSRET, SYSENTER and SYSEXIT: targets, flags, what each
 * vendor refuses.
 */
#include "cpu/sys_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NONCANON 0x0000800000000000ULL

static int run(exec_fn *fn, unsigned int opsize)
{
	struct insn i;

	fake_insn(&i, opsize);
	return fake_exec(fn, &i);
}

/* A frame of @n values of @size bytes at the top of the stack. */
static void frame(unsigned int size, unsigned int n, const uint64_t *val)
{
	unsigned int k;

	for (k = 0; k < n; k++)
		fake_poke(FAKE_STACK + k * size, size, val[k]);
}

#define FRAME(size, ...)                                   \
	frame(size, sizeof((uint64_t[]){__VA_ARGS__}) / 8, \
	      (const uint64_t[]){__VA_ARGS__})

static void test_iret64_user(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	cpu->nmi_blocked = 1;
	seg_commit(cpu, SEG_ES, FK_DATA3 | 3, fake_raw_get(FK_DATA3));
	seg_commit_null(cpu, SEG_GS, 0);
	cpu->seg[SEG_GS].base = 0xffff888000000000ULL;
	FRAME(8, 0x401000, FK_CODE3 | 3, 0x40ac3, 0x7ff0, FK_DATA3 | 3);
	assert_int_equal(run(exec_iret, 8), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x401000);
	assert_int_equal(cpu->gpr[REG_RSP], 0x7ff0);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu_rflags(cpu), 0x40ac3);
	assert_int_equal(cpu->nmi_blocked, 0);
	assert_int_equal(cpu->seg[SEG_DS].sel, 0); /* was ring 0's */
	assert_int_equal(cpu->seg[SEG_ES].sel, FK_DATA3 | 3);
	assert_int_equal(cpu->seg[SEG_GS].base, 0xffff888000000000ULL);
	cpu_update_mode(cpu);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->code_bits, 64);
}

static void test_iret64_fast(void **state)
{
	unsigned int slow;

	fake_long(0);
	fake_tlb(VIEW_KERNEL, FAKE_STACK);
	fake_tlb(VIEW_KERNEL, FAKE_GDT);
	FRAME(8, 0x401000, FK_CODE3 | 3, 0x202, 0x7ff0, FK_DATA3 | 3);
	slow = fake->slow;
	assert_int_equal(run(exec_iret, 8), EXEC_JUMP);
	assert_int_equal(fake->slow, slow);
	assert_int_equal(fake->cpu.gpr[REG_RSP], 0x7ff0);
}

static void test_iret64_kernel(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	FRAME(8, 0x1000, FK_CODE0, 0x202, 0x8888, 0);
	assert_int_equal(run(exec_iret, 8), EXEC_JUMP);
	assert_int_equal(cpu->cpl, 0);
	assert_true(cpu->seg[SEG_SS].attr & SEG_ATTR_UNUSABLE);
	assert_int_equal(cpu->gpr[REG_RSP], 0x8888);
	assert_int_equal(cpu->seg[SEG_DS].sel, FK_DATA0);
}

static void test_iret64_compat(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	FRAME(8, 0x401000, FK_COMPAT3 | 3, 0x202, 0x1fffffff0, FK_DATA3 | 3);
	assert_int_equal(run(exec_iret, 8), EXEC_JUMP);
	assert_int_equal(cpu->code_bits, 32);
	assert_int_equal(cpu->gpr[REG_RSP], 0xfffffff0);
	/* a 16-bit stack takes only SP */
	fake_long(0);
	cpu->gpr[REG_RSP] = FAKE_STACK;
	fake_desc(FK_FREE, 0, 0xffff, 0xf3);
	FRAME(8, 0x401000, FK_COMPAT3 | 3, 0x202, 0x1fffffff0, FK_FREE | 3);
	assert_int_equal(run(exec_iret, 8), EXEC_JUMP);
	assert_int_equal(cpu->gpr[REG_RSP], 0xfff0);
}

static void test_iret64_refusals(void **state)
{
	static const struct {
		uint64_t rip, cs, ss;
		uint8_t vec;
		uint32_t err;
	} rows[] = {
		{0, 0, FK_DATA3 | 3, VEC_GP, 0},
		{0, FK_LIMIT | 3, FK_DATA3 | 3, VEC_GP, FK_LIMIT},
		{0, FK_DATA3 | 3, FK_DATA3 | 3, VEC_GP, FK_DATA3},
		{0, FK_CODE3, FK_DATA3 | 3, VEC_GP, FK_CODE3},
		{0, FK_CODE3 | 3, 0, VEC_GP, 0},
		{0, FK_CODE3 | 3, FK_DATA3, VEC_GP, FK_DATA3},
		{0, FK_CODE3 | 3, FK_DATA0 | 3, VEC_GP, FK_DATA0},
		{0, FK_CODE3 | 3, FK_FREE | 3, VEC_SS, FK_FREE},
		{0, FK_FREE2 | 3, FK_DATA3 | 3, VEC_NP, FK_FREE2},
		{NONCANON, FK_CODE3 | 3, FK_DATA3 | 3, VEC_GP, 0},
		{0x100000000, FK_COMPAT3 | 3, FK_DATA3 | 3, VEC_GP, 0},
		{0, FK_CODE16, 0, VEC_GP, 0},
	};
	struct cpu *cpu = &fake->cpu;
	struct cpu before;
	unsigned int k;

	fake_long(0);
	fake_desc(FK_FREE, 0, ~0u, 0xc73);
	fake_desc(FK_FREE2, 0, ~0u, 0xa7b);
	cpu->nmi_blocked = 1;
	before = *cpu;
	for (k = 0; k < ARRAY_SIZE(rows); k++) {
		FRAME(8, rows[k].rip, rows[k].cs, 0x202, 0x7ff0, rows[k].ss);
		assert_fault(run(exec_iret, 8), rows[k].vec, rows[k].err);
		assert_memory_equal(cpu->gpr, before.gpr, sizeof(cpu->gpr));
		assert_memory_equal(cpu->seg, before.seg, sizeof(cpu->seg));
		assert_int_equal(cpu_rflags(cpu), cpu_rflags(&before));
		assert_int_equal(cpu->rip, before.rip);
		assert_int_equal(cpu->nmi_blocked, 1);
	}
	cpu->rflags_sys |= RFLAGS_NT;
	assert_fault(run(exec_iret, 8), VEC_GP, 0);
}

static void test_iret_flags(void **state)
{
	struct cpu *cpu = &fake->cpu;

	/* ring 3 without IOPL changes neither IF nor IOPL nor VIP */
	fake_protected(3);
	FRAME(4, 0x1000, FK_CODE3 | 3, 0x3f7fd5);
	cpu->iflag = 0;
	assert_int_equal(run(exec_iret, 4), EXEC_JUMP);
	assert_int_equal(cpu_rflags(cpu), 0x254dd7);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK + 12);
	/* with IOPL 3 it changes IF */
	fake_protected(3);
	cpu->rflags_sys = RFLAGS_IOPL;
	FRAME(4, 0x1000, FK_CODE3 | 3, 2);
	assert_int_equal(run(exec_iret, 4), EXEC_JUMP);
	assert_int_equal(cpu_rflags(cpu), 0x3002);
	/* ring 0 changes all but VM */
	fake_protected(0);
	FRAME(4, 0x1000, FK_CODE0, 0x3d7fd7);
	assert_int_equal(run(exec_iret, 4), EXEC_JUMP);
	assert_int_equal(cpu_rflags(cpu), 0x3d7fd7);
	/* 16 bits leave the upper half */
	fake_protected(0);
	cpu->acflag = 1;
	FRAME(2, 0x1000, FK_CODE0, 0x7fd7);
	assert_int_equal(run(exec_iret, 2), EXEC_JUMP);
	assert_int_equal(cpu_rflags(cpu), 0x47fd7);
}

static void test_iret_outer32(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(0);
	FRAME(4, 0x1000, FK_CODE3 | 3, 0x202, 0x7000, FK_DATA3 | 3);
	assert_int_equal(run(exec_iret, 4), EXEC_JUMP);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->gpr[REG_RSP], 0x7000);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA3 | 3);
	assert_int_equal(cpu->seg[SEG_ES].sel, 0);
}

static void test_iret_to_v8086(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(0);
	FRAME(4, 0x100, 0x1000, 0x23202, 0xfffe, 0x2000, 0x3000, 0x4000, 0x5000,
	      0x6000);
	assert_int_equal(run(exec_iret, 4), EXEC_JUMP);
	assert_true(cpu_v8086(cpu));
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu_iopl(cpu), 3);
	assert_int_equal(cpu->seg[SEG_CS].base, 0x10000);
	assert_int_equal(cpu->seg[SEG_SS].base, 0x20000);
	assert_int_equal(cpu->seg[SEG_ES].base, 0x30000);
	assert_int_equal(cpu->seg[SEG_DS].base, 0x40000);
	assert_int_equal(cpu->seg[SEG_FS].base, 0x50000);
	assert_int_equal(cpu->seg[SEG_GS].base, 0x60000);
	assert_int_equal(cpu->gpr[REG_RSP], 0xfffe);
	cpu_update_mode(cpu);
	assert_int_equal(cpu->code_bits, 16);
	assert_int_equal(cpu->cpl, 3);
}

static int v8086_iret(unsigned int opsize, uint64_t flags)
{
	uint32_t at = fake->cpu.seg[SEG_SS].base + 0x800;

	fake->cpu.gpr[REG_RSP] = 0x800;
	fake_poke(at, opsize, 0x300);
	fake_poke(at + opsize, opsize, 0x44);
	fake_poke(at + 2 * opsize, opsize, flags);
	return run(exec_iret, opsize);
}

static void test_iret_v8086(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_v8086(0);
	assert_fault(v8086_iret(2, 0), VEC_GP, 0);
	cpu->cr4 |= CR4_VME;
	assert_fault(v8086_iret(4, 0), VEC_GP, 0);
	assert_int_equal(v8086_iret(2, 0x7202), EXEC_JUMP);
	assert_int_equal(cpu_rflags(cpu), 0xa4202); /* VIF, VM, NT, IF kept */
	assert_int_equal(cpu->seg[SEG_CS].base, 0x440);
	assert_fault(v8086_iret(2, 0x102), VEC_GP, 0);
	cpu->rflags_sys |= RFLAGS_VIP;
	assert_fault(v8086_iret(2, 0x202), VEC_GP, 0);
	assert_int_equal(v8086_iret(2, 2), EXEC_JUMP);
	assert_int_equal(cpu->rflags_sys & RFLAGS_VIF, 0);
	fake_v8086(3);
	assert_int_equal(v8086_iret(4, 0x40002), EXEC_JUMP);
	assert_int_equal(cpu_rflags(cpu), 0x63002);
}

/* ---- SYSCALL and the others ---- */

static void syscall_setup(unsigned int cpl, bool amd)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(cpl);
	cpu->vendor_amd = amd;
	cpu->star = 0x0023001000005555ULL;
	cpu->lstar = 0xffffffff81000000ULL;
	cpu->cstar = 0xffffffff82000000ULL;
	cpu->sfmask = RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_AC;
	cpu->sysenter_cs = 0x13;
	cpu->sysenter_eip = 0xffffffff83000000ULL;
	cpu->sysenter_esp = 0xffffffff84000000ULL;
}

static void test_syscall(void **state)
{
	struct cpu *cpu = &fake->cpu;

	syscall_setup(3, false);
	cpu->acflag = cpu->dflag = 1;
	cpu->ah = 3;
	cpu->rflags_sys = RFLAGS_RF;
	assert_int_equal(run(exec_syscall, 4), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0xffffffff81000000ULL);
	assert_int_equal(cpu->gpr[REG_RCX], 0x7002);
	assert_int_equal(cpu->gpr[REG_R11], 0x40603);
	assert_int_equal(cpu_rflags(cpu), 3);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x10);
	assert_int_equal(cpu->seg[SEG_CS].attr, 0xa9b);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0x18);
	assert_int_equal(cpu->seg[SEG_SS].attr, 0xc93);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	assert_int_equal(cpu->cpl, 0);
	cpu->efer &= ~EFER_SCE;
	assert_fault(run(exec_syscall, 4), VEC_UD, 0);
}

static void test_sysret(void **state)
{
	struct cpu *cpu = &fake->cpu;

	syscall_setup(0, false);
	cpu->gpr[REG_RCX] = 0x1401000;
	cpu->gpr[REG_R11] = ~0ULL;
	assert_int_equal(run(exec_sysret, 8), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x1401000);
	assert_int_equal(cpu_rflags(cpu), 0x3c7fd7);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x33);
	assert_int_equal(cpu->seg[SEG_CS].attr, 0xafb);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0x2b);
	assert_int_equal(cpu->seg[SEG_SS].attr, 0xcf3);
	assert_int_equal(cpu->cpl, 3);
	assert_fault(run(exec_sysret, 8), VEC_GP, 0); /* from ring 3 */
	syscall_setup(0, false);
	cpu->gpr[REG_RCX] = 0xf00401000ULL;
	assert_int_equal(run(exec_sysret, 4), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x401000);
	assert_int_equal(cpu->code_bits, 32);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x23);
	assert_int_equal(cpu->seg[SEG_CS].attr, 0xcfb);
}

static void test_sysret_vendors(void **state)
{
	struct cpu *cpu = &fake->cpu;

	syscall_setup(0, false);
	cpu->gpr[REG_RCX] = NONCANON;
	assert_fault(run(exec_sysret, 8), VEC_GP, 0);
	assert_int_equal(cpu->cpl, 0);
	syscall_setup(0, true);
	seg_commit_null_ss(cpu, 0, 0);
	cpu->gpr[REG_RCX] = NONCANON;
	cpu->gpr[REG_R11] = 2;
	assert_int_equal(run(exec_sysret, 8), EXEC_JUMP);
	assert_int_equal(cpu->rip, NONCANON);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0x2b);
	assert_true(cpu->seg[SEG_SS].attr & SEG_ATTR_UNUSABLE);
	cpu_update_mode(cpu);
	assert_int_equal(cpu->cpl, 3);
}

static void test_syscall_compat(void **state)
{
	struct cpu *cpu = &fake->cpu;

	syscall_setup(3, false);
	seg_commit_cs(cpu, FK_COMPAT3, fake_raw_get(FK_COMPAT3), 3);
	assert_fault(run(exec_syscall, 4), VEC_UD, 0);
	cpu->vendor_amd = true;
	assert_int_equal(run(exec_syscall, 4), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0xffffffff82000000ULL);
	assert_int_equal(cpu->code_bits, 64);
	/* AMD knows it in legacy mode too */
	fake_protected(3);
	cpu->efer = EFER_SCE;
	assert_int_equal(run(exec_syscall, 4), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x5555);
	assert_int_equal(cpu->seg[SEG_CS].attr, 0xc9b);
	assert_int_equal(cpu->gpr[REG_RCX], 0x7002);
	assert_int_equal(cpu->iflag, 0);
	cpu->gpr[REG_RCX] = 0x9999;
	assert_int_equal(run(exec_sysret, 4), EXEC_JUMP);
	assert_int_equal(cpu->iflag, 1);
	assert_int_equal(cpu->rip, 0x9999);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x23);
}

static void test_sysenter(void **state)
{
	struct cpu *cpu = &fake->cpu;

	syscall_setup(3, false);
	assert_int_equal(run(exec_sysenter, 4), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0xffffffff83000000ULL);
	assert_int_equal(cpu->gpr[REG_RSP], 0xffffffff84000000ULL);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x10);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0x18);
	assert_int_equal(cpu->code_bits, 64);
	assert_int_equal(cpu->iflag, 0);
	cpu->gpr[REG_RDX] = 0x11000;
	cpu->gpr[REG_RCX] = 0x100022000ULL;
	assert_int_equal(run(exec_sysexit, 4), EXEC_JUMP);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x23);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0x2b);
	assert_int_equal(cpu->gpr[REG_RSP], 0x22000);
	assert_int_equal(cpu->code_bits, 32);
	syscall_setup(0, false);
	cpu->gpr[REG_RDX] = cpu->gpr[REG_RCX] = 0x100022000ULL;
	assert_int_equal(run(exec_sysexit, 8), EXEC_JUMP);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x33);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0x3b);
	assert_int_equal(cpu->rip, 0x100022000ULL);
	assert_fault(run(exec_sysexit, 8), VEC_GP, 0);
	syscall_setup(0, false);
	cpu->gpr[REG_RDX] = NONCANON;
	assert_fault(run(exec_sysexit, 8), VEC_GP, 0);
	cpu->sysenter_cs = 3;
	assert_fault(run(exec_sysenter, 4), VEC_GP, 0);
	syscall_setup(3, true);
	assert_fault(run(exec_sysenter, 4), VEC_UD, 0);
	assert_fault(run(exec_sysexit, 4), VEC_UD, 0);
	fake_real();
	assert_fault(run(exec_sysenter, 2), VEC_GP, 0);
}

static void test_iret_real(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_real();
	cpu->nmi_blocked = 1;
	fake_poke(0x8000, 2, 0x1234);
	fake_poke(0x8002, 2, 0x40);
	fake_poke(0x8004, 2, 0x3246);
	assert_int_equal(run(exec_iret, 2), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x1234);
	assert_int_equal(cpu->seg[SEG_CS].base, 0x400);
	assert_int_equal(cpu_rflags(cpu), 0x3246);
	assert_int_equal(cpu->gpr[REG_RSP], 0x8006);
	assert_int_equal(cpu->nmi_blocked, 0);
	cpu->gpr[REG_RSP] = 0x8000;
	fake_poke(0x8000, 4, 0x10000);
	fake_poke(0x8004, 4, 0x40);
	fake_poke(0x8008, 4, 2);
	assert_fault(run(exec_iret, 4), VEC_GP, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_iret64_user),     T(test_iret64_fast),
		T(test_iret64_kernel),   T(test_iret64_compat),
		T(test_iret64_refusals), T(test_iret_flags),
		T(test_iret_outer32),    T(test_iret_to_v8086),
		T(test_iret_v8086),      T(test_syscall),
		T(test_sysret),          T(test_sysret_vendors),
		T(test_syscall_compat),  T(test_sysenter),
		T(test_iret_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
