/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far JMP, CALL, RET and INT n: privilege rules, gates, stacks, and that a
 * fault leaves no trace.
 */
#include "cpu/sys_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void far_insn(struct insn *i, unsigned int opsize, uint16_t sel,
		     uint32_t off)
{
	fake_insn(i, opsize);
	i->len = 1 + opsize + 2;
	i->next_rip = fake->cpu.rip + i->len;
	i->nops = 1;
	i->op[0].kind = OPND_FAR;
	i->op[0].disp = off;
	memcpy(i->bytes + 1, &off, opsize);
	memcpy(i->bytes + 1 + opsize, &sel, 2);
}

static int jump(uint16_t sel, uint32_t off)
{
	struct insn i;

	far_insn(&i, 4, sel, off);
	return fake_exec(exec_jmp_far, &i);
}

static int call(uint16_t sel, uint32_t off)
{
	struct insn i;

	far_insn(&i, 4, sel, off);
	return fake_exec(exec_call_far, &i);
}

static int ret(unsigned int opsize, unsigned int imm)
{
	struct insn i;

	fake_insn(&i, opsize);
	if (imm) {
		i.nops = 1;
		i.op[0].kind = OPND_IMM;
		i.op[0].disp = imm;
	}
	return fake_exec(exec_ret_far, &i);
}

static uint32_t d(uint32_t addr)
{
	return fake_peek(addr, 4);
}

static void test_real(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct insn i;

	fake_real();
	far_insn(&i, 2, 0x1234, 0x5678);
	cpu->seg[SEG_CS].sel = 0x77;
	assert_int_equal(fake_exec(exec_call_far, &i), EXEC_JUMP);
	assert_int_equal(cpu->seg[SEG_CS].base, 0x12340);
	assert_int_equal(cpu->rip, 0x5678);
	assert_int_equal(fake_peek(0x7ffe, 2), 0x77);
	assert_int_equal(fake_peek(0x7ffc, 2), 0x7005);
	assert_int_equal(ret(2, 6), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x7005);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x77);
	assert_int_equal(cpu->gpr[REG_RSP], 0x8006);
	far_insn(&i, 4, 0x1234, 0x10000);
	assert_fault(fake_exec(exec_jmp_far, &i), VEC_GP, 0);
}

static void test_indirect(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct insn i;

	fake_long(0);
	fake_insn(&i, 8);
	i.nops = 1;
	i.op[0] = (struct opnd){.kind = OPND_MEM,
				.size = 10,
				.seg = SEG_DS,
				.base = OPND_NOREG,
				.index = OPND_NOREG,
				.disp = 0x6000};
	fake_poke(0x6000, 8, 0xffff800000000010ULL);
	fake_poke(0x6008, 2, FK_CODE0);
	assert_int_equal(fake_exec(exec_jmp_far, &i), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0xffff800000000010ULL);
	/* no m16:64 on AMD: offset 32 bits, selector right behind it */
	cpu->vendor_amd = true;
	fake_poke(0x6000, 4, 0x100);
	fake_poke(0x6004, 2, FK_CODE0);
	assert_int_equal(fake_exec(exec_jmp_far, &i), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x100);
}

/* What may be jumped to, for every CPL, RPL, DPL and kind of segment. */
static void test_jump_rules(void **state)
{
	struct cpu *cpu = &fake->cpu;
	unsigned int n, cpl, rpl, dpl;
	bool conf, ok;
	int r;

	for (n = 0; n < 128; n++) {
		cpl = n & 3;
		rpl = n >> 2 & 3;
		dpl = n >> 4 & 3;
		conf = n >> 6;
		if (cpl == 2)
			continue;
		fake_protected(cpl);
		fake_desc(FK_FREE, 0, ~0u, (conf ? 0xc9e : 0xc9a) | dpl << 5);
		if (conf)
			ok = cpl >= dpl;
		else
			ok = cpl == dpl && rpl <= cpl;
		r = jump(FK_FREE | rpl, 0x100);
		if (!ok) {
			assert_fault(r, VEC_GP, FK_FREE);
			assert_false(fake_raw_get(FK_FREE) & DESC_ACCESSED);
			continue;
		}
		assert_int_equal(r, EXEC_JUMP);
		assert_int_equal(cpu->seg[SEG_CS].sel, FK_FREE | cpl);
		assert_int_equal(cpu->cpl, cpl);
		assert_true(fake_raw_get(FK_FREE) & DESC_ACCESSED);
	}
}

static void test_jump_refusals(void **state)
{
	fake_protected(0);
	assert_fault(jump(0, 0), VEC_GP, 0);
	assert_fault(jump(3, 0), VEC_GP, 0);
	assert_fault(jump(FK_DATA0, 0), VEC_GP, FK_DATA0);
	assert_fault(jump(FK_LIMIT, 0), VEC_GP, FK_LIMIT);
	fake_desc(FK_FREE, 0, ~0u, 0xc1a);
	assert_fault(jump(FK_FREE, 0), VEC_NP, FK_FREE);
	fake_desc(FK_FREE, 0, 0xfff, 0x49a);
	assert_fault(jump(FK_FREE, 0x1000), VEC_GP, 0);
	assert_int_equal(jump(FK_FREE, 0xfff), EXEC_JUMP);
	fake_long(0);
	fake_desc(FK_FREE, 0, ~0u, 0xe9a); /* L and D */
	assert_fault(jump(FK_FREE, 0), VEC_GP, FK_FREE);
}

static void test_call_same(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	assert_int_equal(call(FK_CODE3 | 3, 0x1000), EXEC_JUMP);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK - 8);
	assert_int_equal(d(FAKE_STACK - 4), FK_CODE3 | 3);
	assert_int_equal(d(FAKE_STACK - 8), 0x7007);
	assert_int_equal(fake->acc, ACC_USER | ACC_WRITE);
	assert_int_equal(ret(4, 0), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x7007);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	/* the stack is full: nothing moves */
	cpu->seg[SEG_SS].limit = 0x8000;
	cpu_segment_derive(cpu, SEG_SS);
	assert_fault(call(FK_CODE3 | 3, 0x1000), VEC_SS, 0);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	assert_int_equal(cpu->rip, 0x7007);
}

static void test_call_gate(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	fake_raw(FK_FREE, fake_gate_raw(FK_CODE0, 0x12345, 12, 3, 2));
	fake_poke(FAKE_STACK, 4, 0x11111111);
	fake_poke(FAKE_STACK + 4, 4, 0x22222222);
	assert_int_equal(call(FK_FREE | 3, 0xdeadbeef), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x12345);
	assert_int_equal(cpu->cpl, 0);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CODE0);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA0);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_RING0 - 24);
	assert_int_equal(d(FAKE_RING0 - 4), FK_DATA3 | 3);
	assert_int_equal(d(FAKE_RING0 - 8), FAKE_STACK);
	assert_int_equal(d(FAKE_RING0 - 12), 0x22222222);
	assert_int_equal(d(FAKE_RING0 - 16), 0x11111111);
	assert_int_equal(d(FAKE_RING0 - 20), FK_CODE3 | 3);
	assert_int_equal(d(FAKE_RING0 - 24), 0x7007);
	/* and back, over the parameters; ring 0 data does not stay */
	seg_commit(cpu, SEG_DS, FK_DATA0, fake_raw_get(FK_DATA0));
	seg_commit(cpu, SEG_FS, FK_CONF0, fake_raw_get(FK_CONF0));
	assert_int_equal(ret(4, 8), EXEC_JUMP);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->rip, 0x7007);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK + 8);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA3 | 3);
	assert_int_equal(cpu->seg[SEG_DS].sel, 0);
	assert_true(cpu->seg[SEG_DS].attr & SEG_ATTR_UNUSABLE);
	assert_int_equal(cpu->seg[SEG_ES].sel, FK_DATA3 | 3);
	assert_int_equal(cpu->seg[SEG_FS].sel, FK_CONF0);
}

static void test_call_gate_refusals(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	fake_raw(FK_FREE, fake_gate_raw(FK_CODE0, 0x10, 12, 2, 0));
	assert_fault(call(FK_FREE, 0), VEC_GP, FK_FREE);
	fake_raw(FK_FREE,
		 fake_gate_raw(FK_CODE0, 0x10, 12, 3, 0) & ~(1ULL << 47));
	assert_fault(call(FK_FREE, 0), VEC_NP, FK_FREE);
	fake_raw(FK_FREE, fake_gate_raw(0, 0x10, 12, 3, 0));
	assert_fault(call(FK_FREE, 0), VEC_GP, 0);
	fake_raw(FK_FREE, fake_gate_raw(FK_DATA0, 0x10, 12, 3, 0));
	assert_fault(call(FK_FREE, 0), VEC_GP, FK_DATA0);
	fake_raw(FK_FREE, fake_gate_raw(FK_CODE0, 0x10, 12, 3, 0));
	assert_fault(jump(FK_FREE, 0), VEC_GP, FK_CODE0); /* JMP: same ring */
	fake->bad_page = FAKE_RING0 - 0x1000;
	assert_int_equal(call(FK_FREE, 0), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_PF);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA3 | 3);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
}

static void test_gate16(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(0);
	fake_raw(FK_FREE, fake_gate_raw(FK_CODE16, 0xabcd1234, 4, 0, 0));
	assert_int_equal(call(FK_FREE, 0), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x1234);
	assert_int_equal(cpu->code_bits, 16);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK - 4);
	assert_int_equal(fake_peek(FAKE_STACK - 4, 2), 0x7007);
}

static void test_gate64(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(3);
	fake_raw(FK_FREE, fake_gate_raw(FK_CODE0, 0x12345678, 12, 3, 0));
	fake_raw(FK_FREE + 8, 0xffff9000);
	assert_int_equal(call(FK_FREE | 3, 0), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0xffff900012345678ULL);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_RING0 - 32);
	assert_int_equal(fake_peek(FAKE_RING0 - 8, 8), FK_DATA3 | 3);
	assert_int_equal(fake_peek(FAKE_RING0 - 16, 8), FAKE_STACK);
	assert_int_equal(fake_peek(FAKE_RING0 - 24, 8), FK_CODE3 | 3);
	assert_int_equal(fake_peek(FAKE_RING0 - 32, 8), 0x7007);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0);
	assert_int_equal(ret(8, 0), EXEC_JUMP);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	/* a type in the second half; a gate to code without L; a TSS */
	fake_raw(FK_FREE + 8, 0x1ULL << 40);
	assert_fault(call(FK_FREE, 0), VEC_GP, FK_FREE);
	fake_raw(FK_FREE, fake_gate_raw(FK_COMPAT3, 0x12345678, 12, 3, 0));
	fake_raw(FK_FREE + 8, 0);
	assert_fault(call(FK_FREE, 0), VEC_GP, FK_COMPAT3);
	fake_raw(FK_FREE, fake_gate_raw(FK_TSS2, 0, 5, 3, 0));
	assert_fault(call(FK_FREE, 0), VEC_GP, FK_FREE);
}

static void ret_frame(uint16_t sel, uint32_t off, uint32_t sp, uint16_t ss)
{
	fake_poke(FAKE_STACK, 4, off);
	fake_poke(FAKE_STACK + 4, 4, sel);
	fake_poke(FAKE_STACK + 8, 4, sp);
	fake_poke(FAKE_STACK + 12, 4, ss);
}

static void test_ret_refusals(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(1);
	ret_frame(FK_CODE0, 0, 0, 0);
	assert_fault(ret(4, 0), VEC_GP, FK_CODE0); /* RPL below CPL */
	ret_frame(0, 0, 0, 0);
	assert_fault(ret(4, 0), VEC_GP, 0);
	ret_frame(FK_CODE3 | 1, 0, 0, 0);
	assert_fault(ret(4, 0), VEC_GP, FK_CODE3);
	ret_frame(FK_CODE3 | 3, 0, 0x9000, FK_DATA1 | 3);
	assert_fault(ret(4, 0), VEC_GP, FK_DATA1);
	ret_frame(FK_CODE3 | 3, 0, 0x9000, 3);
	assert_fault(ret(4, 0), VEC_GP, 0);
	fake_desc(FK_FREE, 0, ~0u, 0xc73);
	ret_frame(FK_CODE3 | 3, 0, 0x9000, FK_FREE | 3);
	assert_fault(ret(4, 0), VEC_SS, FK_FREE);
	fake_desc(FK_FREE, 0, 0xff, 0x4fb);
	ret_frame(FK_FREE | 3, 0x100, 0x9000, FK_DATA3 | 3);
	assert_fault(ret(4, 0), VEC_GP, 0);
	assert_int_equal(cpu->cpl, 1);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CODE1 | 1);
}

static int int_n(uint8_t vector)
{
	struct insn i;

	fake_insn(&i, 4);
	i.nops = 1;
	i.op[0].kind = OPND_IMM;
	i.op[0].disp = (int8_t)vector;
	return fake_exec(exec_int, &i);
}

static void test_int(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct insn i;

	fake_long(3);
	fake_idt(0x80, FK_CODE0, 0x123, 15, 3, 0);
	assert_int_equal(int_n(0x80), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x123);
	assert_int_equal(fake_peek(FAKE_RING0 - 40, 8), 0x7002);
	fake_long(3);
	fake_idt(0x81, FK_CODE0, 0x123, 15, 0, 0);
	assert_fault(int_n(0x81), VEC_GP, 0x81 * 8 + 2);
	/* INT1 is no software interrupt to the gate */
	fake_insn(&i, 4);
	cpu->event.valid = false;
	fake_idt(1, FK_CODE0, 0x124, 14, 0, 0);
	assert_int_equal(fake_exec(exec_int1, &i), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x124);
	fake_long(3);
	assert_fault(fake_exec(exec_into, &i), VEC_UD, 0);
	fake_protected(3);
	fake_idt(4, FK_CODE0, 0x125, 14, 3, 0);
	assert_int_equal(fake_exec(exec_into, &i), EXEC_NEXT);
	cpu->of = 1;
	assert_int_equal(fake_exec(exec_into, &i), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x125);
}

static void test_int3_debugged(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct insn i;

	fake_long(3);
	fake_insn(&i, 4);
	i.len = 1;
	cpu->guest_debug = 0x10001;
	assert_int_equal(fake_exec(exec_int3, &i), FAULTED);
	assert_false(cpu->raised.valid);
	assert_int_equal(cpu->exit, CPU_EXIT_DEBUG);
	assert_int_equal(cpu->debug_exit.exception, VEC_BP);
	assert_int_equal(cpu->debug_exit.pc, 0x7000);
	cpu->guest_debug = 0x1;
	fake_idt(3, FK_CODE0, 0x126, 14, 3, 0);
	assert_int_equal(fake_exec(exec_int3, &i), EXEC_JUMP);
	assert_int_equal(fake_peek(FAKE_RING0 - 40, 8), 0x7001);
}

/* SDM 3B table 20-2, the six methods. */
static void test_int_v8086(void **state)
{
	struct cpu *cpu = &fake->cpu;
	unsigned int method, iopl, bit;
	bool vme;

	for (method = 1; method <= 6; method++) {
		static const uint8_t iopls[] = {3, 0, 0, 3, 3, 0};

		iopl = iopls[method - 1];
		vme = method > 2;
		bit = method <= 4;
		fake_v8086(iopl);
		cpu->iflag = iopl == 3;
		cpu->rflags_sys |= RFLAGS_VIF;
		cpu->cr4 = vme ? CR4_VME : 0;
		fake_poke(FAKE_TSS + 102, 2, 0x90);
		memset(fake->ram + FAKE_TSS + 0x70, 0, 32);
		fake->ram[FAKE_TSS + 0x70 + 0x21 / 8] = bit << 1;
		fake_idt(0x21, FK_CODE0, 0x555, 14, 3, 0);
		fake_poke(0x21 * 4, 4, 0x02340567);
		if (method == 2 || method == 3) {
			assert_fault(int_n(0x21), VEC_GP, 0);
			continue;
		}
		assert_int_equal(int_n(0x21), EXEC_JUMP);
		if (method == 1 || method == 4) {
			assert_int_equal(cpu->rip, 0x555);
			assert_int_equal(cpu->cpl, 0);
			continue;
		}
		assert_int_equal(cpu->rip, 0x567);
		assert_int_equal(cpu->seg[SEG_CS].base, 0x2340);
		assert_true(cpu_v8086(cpu));
		/* IOPL 3, IF as the task sees it */
		assert_int_equal(fake_peek(0x1020 + 0x800 - 2, 2), 0x3202);
		assert_int_equal(fake_peek(0x1020 + 0x800 - 4, 2), 0x101);
		assert_int_equal(fake_peek(0x1020 + 0x800 - 6, 2), 0x202);
		assert_int_equal(cpu->iflag, 0);
		assert_int_equal(!!(cpu->rflags_sys & RFLAGS_VIF), iopl == 3);
	}
}

static void test_gate_conforming(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	fake_raw(FK_FREE, fake_gate_raw(FK_CONF0, 0x10, 12, 3, 5));
	assert_int_equal(call(FK_FREE, 0), EXEC_JUMP);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CONF0 | 3);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK - 8);
	fake_protected(3);
	assert_int_equal(jump(FK_FREE, 0), EXEC_JUMP);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CONF0 | 3);
}

static void test_stack64(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct insn i;

	fake_long(0);
	fake_insn(&i, 8);
	cpu->gpr[REG_RSP] = 0x00007ffffffffffcULL;
	assert_fault(fake_exec(exec_ret_far, &i), VEC_SS, 0);
	cpu->gpr[REG_RSP] = 0xffff7ffffffffffcULL;
	assert_fault(fake_exec(exec_ret_far, &i), VEC_SS, 0);
	/* a base in SS means nothing here */
	cpu->seg[SEG_SS].base = 0x100000;
	cpu->gpr[REG_RSP] = FAKE_STACK;
	fake_poke(FAKE_STACK, 8, 0x123);
	fake_poke(FAKE_STACK + 8, 8, FK_CODE0);
	assert_int_equal(fake_exec(exec_ret_far, &i), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x123);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK + 16);
}

static void test_int_v8086_bitmap_outside(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_v8086(3);
	cpu->cr4 = CR4_VME;
	fake_poke(FAKE_TSS + 102, 2, 0x90);
	cpu->seg[SEG_TR].limit = 0x73;
	assert_fault(int_n(0x21), VEC_GP, 0);
	cpu->seg[SEG_TR].limit = 0x74;
	assert_int_equal(int_n(0x21), EXEC_JUMP);
	fake_v8086(3);
	cpu->cr4 = CR4_VME;
	cpu->seg[SEG_TR].limit = 0x66;
	assert_fault(int_n(0x21), VEC_GP, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_real),
		T(test_indirect),
		T(test_jump_rules),
		T(test_jump_refusals),
		T(test_call_same),
		T(test_call_gate),
		T(test_call_gate_refusals),
		T(test_gate16),
		T(test_gate64),
		T(test_ret_refusals),
		T(test_int),
		T(test_int3_debugged),
		T(test_int_v8086),
		T(test_gate_conforming),
		T(test_stack64),
		T(test_int_v8086_bitmap_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
