/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task switches: JMP, CALL, gates and IRET, both TSS formats, which context a
 * fault is seen in.
 */
#include "cpu/sys_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define STACK2 0xe000u

static int far_to(exec_fn *fn, uint16_t sel)
{
	struct insn i;

	fake_insn(&i, 4);
	i.len = 7;
	i.next_rip = fake->cpu.rip + 7;
	i.op[0].kind = OPND_FAR;
	memcpy(i.bytes + 5, &sel, 2);
	return fake_exec(fn, &i);
}

static int iret(void)
{
	struct insn i;

	fake_insn(&i, 4);
	return fake_exec(exec_iret, &i);
}

static void tss2(unsigned int off, uint32_t val)
{
	fake_poke(FAKE_TSS2 + off, 4, val);
}

static uint32_t tss(unsigned int off)
{
	return fake_peek(FAKE_TSS + off, 4);
}

/* A 32-bit task in ring 3 behind FK_TSS2. */
static void setup(unsigned int cpl)
{
	unsigned int k;

	fake_protected(cpl);
	memset(fake->ram + FAKE_TSS2, 0, 104);
	tss2(28, 0x77000);
	tss2(32, 0x5000);
	tss2(36, 0x246);
	for (k = 0; k < 8; k++) {
		tss2(40 + k * 4, 0x10000000 + k);
		fake->cpu.gpr[k] = 0x20000000 + k;
	}
	fake->cpu.gpr[REG_RSP] = FAKE_STACK;
	tss2(56, STACK2);
	tss2(72, FK_DATA3 | 3);
	tss2(76, FK_CODE3 | 3);
	tss2(80, FK_DATA3 | 3);
	tss2(84, FK_DATA3 | 3);
	tss2(96, FK_LDT);
	fake_idt(0x40, 0, 0, 0, 0, 0);
	fake_raw(FK_FREE, fake_gate_raw(FK_TSS2, 0, 5, 3, 0));
	fake_poke(FAKE_IDT + 0x40 * 8, 8, fake_gate_raw(FK_TSS2, 0, 5, 3, 0));
}

static bool busy(uint16_t sel)
{
	return fake_raw_get(sel) & DESC_BUSY;
}

static void check_new_task(void)
{
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	assert_int_equal(cpu->rip, 0x5000);
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->seg[SEG_TR].sel, FK_TSS2);
	assert_int_equal(cpu->seg[SEG_TR].attr & 0xf, 0xb);
	for (k = 0; k < 8; k++)
		if (k != REG_RSP)
			assert_int_equal(cpu->gpr[k], 0x10000000 + k);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CODE3 | 3);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA3 | 3);
	assert_int_equal(cpu->seg[SEG_FS].sel, 0);
	assert_true(cpu->cr0 & CR0_TS);
	assert_int_equal(cpu->dr7 & 0x155, 0);
	assert_true(busy(FK_TSS2));
}

static void test_jmp(void **state)
{
	struct cpu *cpu = &fake->cpu;

	setup(0);
	cpu->dr7 |= 0xff;
	assert_int_equal(far_to(exec_jmp_far, FK_TSS2), EXEC_JUMP);
	check_new_task();
	assert_int_equal(cpu->gpr[REG_RSP], STACK2);
	assert_int_equal(cpu_rflags(cpu), 0x246);
	assert_false(busy(FK_TSS));
	assert_int_equal(tss(32), 0x7007);
	assert_int_equal(tss(36), 0x202);
	assert_int_equal(tss(40 + 12), 0x20000003);
	assert_int_equal(tss(56), FAKE_STACK);
	assert_int_equal(tss(76), FK_CODE0);
	assert_int_equal(fake_peek(FAKE_TSS2, 2), 0); /* no link */
	assert_int_equal(fake->cr3_loads, 0);         /* paging is off */
}

static void test_call_and_back(void **state)
{
	struct cpu *cpu = &fake->cpu;

	setup(3);
	cpu->cr0 |= CR0_PG;
	assert_int_equal(far_to(exec_call_far, FK_FREE | 3), EXEC_JUMP);
	check_new_task();
	assert_int_equal(cpu->cr3, 0x77000);
	assert_int_equal(cpu_rflags(cpu), 0x4246); /* NT */
	assert_int_equal(fake_peek(FAKE_TSS2, 2), FK_TSS);
	assert_true(busy(FK_TSS));
	assert_int_equal(tss(32), 0x7007);
	assert_int_equal(iret(), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x7007);
	assert_int_equal(cpu->seg[SEG_TR].sel, FK_TSS);
	assert_int_equal(cpu->gpr[REG_RBX], 0x20000003);
	assert_false(busy(FK_TSS2));
	assert_true(busy(FK_TSS));
	assert_int_equal(fake_peek(FAKE_TSS2 + 36, 4), 0x246); /* NT gone */
	assert_int_equal(fake_peek(FAKE_TSS2 + 32, 4), 0x5002);
	assert_int_equal(cpu_rflags(cpu), 0x202);
}

static void test_event_gate(void **state)
{
	const struct cpu_event ev = {.vector = 0x40,
				     .kind = EVENT_FAULT,
				     .has_error = true,
				     .error = 0xabcd};
	struct cpu *cpu = &fake->cpu;

	setup(0);
	assert_int_equal(fake_deliver(&ev), 0);
	check_new_task();
	assert_int_equal(cpu->gpr[REG_RSP], STACK2 - 4);
	assert_int_equal(fake_peek(STACK2 - 4, 4), 0xabcd);
	assert_int_equal(tss(32), 0x7000);
	assert_int_equal(fake_peek(FAKE_TSS2, 2), FK_TSS);
	assert_false(cpu->event.valid);
	/* T bit: #DB in the new task, the event itself is over */
	setup(0);
	tss2(100, 1);
	assert_int_equal(fake_deliver(&ev), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_DB);
	assert_int_equal(cpu->raised.payload, DR6_BT);
	assert_int_equal(cpu->raised.kind, EVENT_TRAP);
	assert_false(cpu->event.valid);
	check_new_task();
}

static void test_old_context_faults(void **state)
{
	const struct cpu_event irq = {.vector = 0x40, .kind = EVENT_IRQ};
	struct cpu *cpu = &fake->cpu;

	setup(0);
	fake_desc(FK_TSS2, FAKE_TSS2, 0x67, 0x8b);
	assert_fault(far_to(exec_jmp_far, FK_TSS2), VEC_GP, FK_TSS2);
	assert_fault(fake_deliver(&irq), VEC_GP, FK_TSS2 | 1);
	fake_desc(FK_TSS2, FAKE_TSS2, 0x67, 0x09);
	assert_fault(far_to(exec_call_far, FK_TSS2), VEC_NP, FK_TSS2);
	fake_desc(FK_TSS2, FAKE_TSS2, 0x66, 0x89);
	assert_fault(far_to(exec_call_far, FK_TSS2), VEC_TS, FK_TSS2);
	cpu->rflags_sys = RFLAGS_NT;
	fake_poke(FAKE_TSS, 2, FK_TSS2); /* not busy */
	assert_fault(iret(), VEC_TS, FK_TSS2);
	fake_desc(FK_TSS2, FAKE_TSS2, 0x67, 0x89);
	fake->bad_page = FAKE_TSS2;
	assert_int_equal(far_to(exec_jmp_far, FK_TSS2), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_PF);
	assert_int_equal(cpu->seg[SEG_TR].sel, FK_TSS);
	assert_int_equal(cpu->rip, 0x7000);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CODE0);
	assert_false(busy(FK_TSS2));
	setup(3);
	assert_fault(far_to(exec_jmp_far, FK_TSS2), VEC_GP, FK_TSS2); /* DPL */
}

static void test_new_context_faults(void **state)
{
	static const struct {
		unsigned int off;
		uint32_t val;
		uint8_t vec;
		uint32_t err;
	} rows[] = {
		{96, FK_DATA0, VEC_TS, FK_DATA0},
		{76, 3, VEC_TS, 0},
		{76, FK_DATA3 | 3, VEC_TS, FK_DATA3},
		{76, FK_CODE3, VEC_TS, FK_CODE3},
		{76, FK_FREE2 | 3, VEC_NP, FK_FREE2},
		{80, FK_DATA0 | 3, VEC_TS, FK_DATA0},
		{80, 3, VEC_TS, 0},
		{84, FK_DATA0 | 3, VEC_TS, FK_DATA0},
		{88, FK_LIMIT | 3, VEC_TS, FK_LIMIT},
		{92, FK_FREE2 | 3, VEC_NP, FK_FREE2},
	};
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(rows); k++) {
		setup(0);
		fake_desc(FK_FREE2, 0, ~0u, 0xc7b);
		tss2(rows[k].off, rows[k].val);
		assert_fault(far_to(exec_jmp_far, FK_TSS2), rows[k].vec,
			     rows[k].err);
		assert_int_equal(cpu->seg[SEG_TR].sel, FK_TSS2);
		assert_int_equal(cpu->rip, 0x5000);
		cpu_update_mode(cpu);
		assert_int_equal(cpu->cpl, rows[k].val == FK_CODE3 ? 0 : 3);
	}
}

static void test_task16(void **state)
{
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	setup(0);
	fake_desc(FK_TSS2, FAKE_TSS2, 0x2b, 0x81);
	memset(fake->ram + FAKE_TSS2, 0, 104);
	fake_poke(FAKE_TSS2 + 14, 2, 0x5000);
	fake_poke(FAKE_TSS2 + 16, 2, 0x202);
	for (k = 0; k < 8; k++)
		fake_poke(FAKE_TSS2 + 18 + k * 2, 2, 0x100 + k);
	fake_poke(FAKE_TSS2 + 34, 2, FK_DATA16);
	fake_poke(FAKE_TSS2 + 36, 2, FK_CODE16);
	fake_poke(FAKE_TSS2 + 38, 2, FK_DATA16);
	fake_poke(FAKE_TSS2 + 40, 2, FK_DATA0);
	assert_int_equal(far_to(exec_jmp_far, FK_TSS2), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x5000);
	assert_int_equal(cpu->code_bits, 16);
	assert_int_equal(cpu->gpr[REG_RDI], 0x107);
	assert_int_equal(cpu->seg[SEG_DS].sel, FK_DATA0);
	assert_int_equal(cpu->seg[SEG_TR].attr & 0xf, 3);
	assert_int_equal(cpu->seg[SEG_LDT].attr, SEG_ATTR_UNUSABLE);
	/* and its own image on the way back */
	fake_desc(FK_TSS, FAKE_TSS, 0x167, 0x089);
	assert_int_equal(far_to(exec_jmp_far, FK_TSS), EXEC_JUMP);
	assert_int_equal(fake_peek(FAKE_TSS2 + 14, 2), 0x5007);
	assert_int_equal(fake_peek(FAKE_TSS2 + 32, 2), 0x107);
	assert_int_equal(fake_peek(FAKE_TSS2 + 40, 2), FK_DATA0);
	assert_int_equal(cpu->rip, 0x7007);
	assert_int_equal(cpu->code_bits, 32);
}

static void test_to_v8086(void **state)
{
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	setup(0);
	tss2(36, 0x23202);
	for (k = 0; k < 6; k++)
		tss2(72 + k * 4, 0x1000 + k);
	assert_int_equal(far_to(exec_jmp_far, FK_TSS2), EXEC_JUMP);
	assert_true(cpu_v8086(cpu));
	assert_int_equal(cpu->cpl, 3);
	assert_int_equal(cpu->seg[SEG_CS].base, 0x10010);
	assert_int_equal(cpu->seg[SEG_GS].base, 0x10050);
	setup(0);
	tss2(36, 0x23202);
	tss2(32, 0x10000);
	assert_fault(far_to(exec_jmp_far, FK_TSS2), VEC_GP, 0);
}

static void test_trap_on_iret(void **state)
{
	struct cpu *cpu = &fake->cpu;

	setup(3);
	assert_int_equal(far_to(exec_call_far, FK_FREE | 3), EXEC_JUMP);
	assert_int_equal(cpu->shadow, 0);
	fake->ram[FAKE_TSS + 100] |= 1;
	assert_int_equal(iret(), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_DB);
	assert_int_equal(cpu->raised.kind, EVENT_TRAP);
	assert_int_equal(cpu->rip, 0x7007);
	assert_int_equal(cpu->seg[SEG_TR].sel, FK_TSS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_jmp),
		T(test_call_and_back),
		T(test_event_gate),
		T(test_old_context_faults),
		T(test_new_context_faults),
		T(test_task16),
		T(test_to_v8086),
		T(test_trap_on_iret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
