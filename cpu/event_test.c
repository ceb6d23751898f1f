/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event delivery in every mode: frames, stacks, flags, error codes, faults on
 * the way. Expectations are written out from SDM 3A chapter 6, not computed.
 */
#include "cpu/sys_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HANDLER 0x123456u

static const struct cpu_event irq = {.vector = 0x40, .kind = EVENT_IRQ};
static const struct cpu_event gp = {.vector = VEC_GP,
				    .kind = EVENT_FAULT,
				    .has_error = true,
				    .error = 0x5678};
static const struct cpu_event soft = {
	.vector = 0x40, .kind = EVENT_SOFT_INT, .insn_len = 2};

static uint64_t q(uint32_t addr)
{
	return fake_peek(addr, 8);
}

static uint32_t d(uint32_t addr)
{
	return fake_peek(addr, 4);
}

static void test_long_from_user(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(3);
	fake_idt(0x40, FK_CODE0, 0xffff800000123456ULL, 14, 0, 0);
	cpu->rflags_sys = RFLAGS_NT | RFLAGS_TF;
	cpu->ah = 2 | RFLAGS_CF | RFLAGS_ZF;
	cpu->shadow = CPU_SHADOW_STI;
	fake_desc(FK_CODE0, 0x1000, ~0u, 0xa9b); /* no base in 64-bit mode */
	assert_int_equal(fake_deliver(&irq), 0);
	assert_int_equal(cpu->rip, 0xffff800000123456ULL);
	assert_int_equal(cpu->cpl, 0);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CODE0);
	assert_int_equal(cpu->seg[SEG_SS].sel, 0);
	assert_true(cpu->seg[SEG_SS].attr & SEG_ATTR_UNUSABLE);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_RING0 - 40);
	assert_int_equal(q(FAKE_RING0 - 8), FK_DATA3 | 3);
	assert_int_equal(q(FAKE_RING0 - 16), FAKE_STACK);
	assert_int_equal(q(FAKE_RING0 - 24), 0x4343);
	assert_int_equal(q(FAKE_RING0 - 32), FK_CODE3 | 3);
	assert_int_equal(q(FAKE_RING0 - 40), 0x7000);
	assert_int_equal(cpu->iflag, 0);
	assert_int_equal(cpu->rflags_sys, 0);
	assert_false(cpu->event.valid);
	assert_int_equal(cpu->shadow, 0);
	assert_int_equal(cpu->seg[SEG_CS].base, 0);
	assert_int_equal(fake->acc, ACC_SYSTEM | ACC_WRITE);
	cpu_update_mode(cpu);
	assert_int_equal(cpu->cpl, 0);
	assert_int_equal(cpu->code_bits, 64);
}

static void test_long_same_ring(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	cpu->gpr[REG_RSP] = FAKE_STACK - 8; /* is aligned down to 16 */
	fake_idt(VEC_GP, FK_CODE0, HANDLER, 15, 0, 0);
	assert_int_equal(fake_deliver(&gp), 0);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK - 16 - 48);
	assert_int_equal(q(FAKE_STACK - 16 - 8), FK_DATA0);
	assert_int_equal(q(FAKE_STACK - 16 - 16), FAKE_STACK - 8);
	assert_int_equal(q(FAKE_STACK - 16 - 24), 0x10202); /* RF */
	assert_int_equal(q(FAKE_STACK - 16 - 48), 0x5678);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA0);
	assert_int_equal(cpu->iflag, 1); /* trap gate */
	assert_int_equal(fake->acc, ACC_WRITE);
}

static void test_long_ist(void **state)
{
	struct cpu *cpu = &fake->cpu;
	const struct cpu_event nmi = {.vector = 2, .kind = EVENT_NMI};

	fake_long(0);
	fake_idt(2, FK_CODE0, HANDLER, 14, 0, 1);
	assert_int_equal(fake_deliver(&nmi), 0);
	assert_int_equal(cpu->gpr[REG_RSP], 0xc000 - 40);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA0);
	assert_int_equal(cpu->nmi_blocked, 1);
	assert_false(cpu_nmi_allowed(cpu));
}

/* With every page in the TLB nothing goes the slow way. */
static void test_long_fast(void **state)
{
	unsigned int slow;

	fake_long(3);
	fake_idt(0x40, FK_CODE0, HANDLER, 14, 0, 0);
	fake_tlb(VIEW_KERNEL, FAKE_GDT);
	fake_tlb(VIEW_KERNEL, FAKE_IDT);
	fake_tlb(VIEW_KERNEL, FAKE_TSS);
	fake_tlb(VIEW_KERNEL, FAKE_RING0 - 8);
	slow = fake->slow;
	assert_int_equal(fake_deliver(&irq), 0);
	assert_int_equal(fake->slow, slow);
	assert_int_equal(q(FAKE_RING0 - 40), 0x7000);
	assert_int_equal(q(FAKE_RING0 - 8), FK_DATA3 | 3);
}

static void test_long_refusals(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct cpu before;

	fake_long(3);
	before = *cpu;
	assert_fault(fake_deliver(&irq), VEC_GP, 0x203); /* type 0 */
	fake_idt(0x40, FK_CODE0, HANDLER, 14, 0, 0);
	assert_fault(fake_deliver(&soft), VEC_GP, 0x202);
	fake->ram[FAKE_IDT + 0x405] &= 0x7f;
	assert_fault(fake_deliver(&irq), VEC_NP, 0x203);
	fake_idt(0x40, 0, HANDLER, 14, 3, 0);
	assert_fault(fake_deliver(&irq), VEC_GP, 1);
	assert_fault(fake_deliver(&soft), VEC_GP, 0);
	fake_idt(0x40, FK_DATA0, HANDLER, 14, 3, 0);
	assert_fault(fake_deliver(&irq), VEC_GP, FK_DATA0 | 1);
	fake_idt(0x40, FK_LIMIT, HANDLER, 14, 3, 0);
	assert_fault(fake_deliver(&irq), VEC_GP, FK_LIMIT | 1);
	fake_idt(0x40, FK_CODE16, HANDLER, 14, 3, 0); /* not L */
	assert_fault(fake_deliver(&soft), VEC_GP, FK_CODE16);
	fake_idt(0x40, FK_CODE0, 0x0000800000000000ULL, 14, 0, 0);
	assert_fault(fake_deliver(&irq), VEC_GP, 1);
	fake_idt(0x40, FK_CODE0, HANDLER, 14, 0, 0);
	fake_poke(FAKE_TSS + 4, 8, 1ULL << 63);
	assert_fault(fake_deliver(&irq), VEC_SS, 1);
	fake_poke(FAKE_TSS + 4, 8, FAKE_RING0);
	cpu->seg[SEG_TR].limit = 10;
	assert_fault(fake_deliver(&irq), VEC_TS, FK_TSS | 1);
	cpu->seg[SEG_TR].limit = 0x67;
	cpu->idt.limit = 0x40e;
	assert_fault(fake_deliver(&irq), VEC_GP, 0x203);
	cpu->idt.limit = 0xfff;
	fake->bad_page = FAKE_RING0 - 0x1000;
	assert_int_equal(fake_deliver(&irq), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_PF);
	assert_true(cpu->event.valid);
	assert_memory_equal(cpu->gpr, before.gpr, sizeof(before.gpr));
	assert_memory_equal(cpu->seg, before.seg, 6 * sizeof(struct segment));
	assert_int_equal(cpu_rflags(cpu), cpu_rflags(&before));
	assert_int_equal(cpu->rip, before.rip);
	assert_int_equal(cpu->cpl, 3);
}

static void test_payloads(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct cpu_event ev = {.vector = VEC_PF,
			       .kind = EVENT_FAULT,
			       .has_error = true,
			       .has_payload = true,
			       .payload = 0xdead000};

	fake_long(0);
	fake_idt(VEC_PF, FK_CODE0, HANDLER, 14, 0, 0);
	fake_idt(VEC_DB, FK_CODE0, HANDLER, 14, 0, 0);
	assert_int_equal(fake_deliver(&ev), 0);
	assert_int_equal(cpu->cr2, 0xdead000);
	ev = (struct cpu_event){.vector = VEC_DB,
				.kind = EVENT_TRAP,
				.has_payload = true,
				.payload = DR6_BS};
	cpu->dr7 |= DR7_GD;
	cpu->dr6 |= 2;
	cpu->gpr[REG_RSP] = FAKE_STACK;
	assert_int_equal(fake_deliver(&ev), 0);
	assert_int_equal(cpu->dr6, DR6_FIXED | DR6_BS);
	assert_int_equal(cpu->dr7, DR7_FIXED);
	assert_int_equal(q(FAKE_STACK - 24) & RFLAGS_RF, 0);
	/* an instruction breakpoint leaves RF alone, GD sets it */
	ev.kind = EVENT_FAULT;
	ev.payload = 1;
	cpu->gpr[REG_RSP] = FAKE_STACK;
	assert_int_equal(fake_deliver(&ev), 0);
	assert_int_equal(q(FAKE_STACK - 24) & RFLAGS_RF, 0);
	ev.payload = DR6_BD;
	cpu->gpr[REG_RSP] = FAKE_STACK;
	assert_int_equal(fake_deliver(&ev), 0);
	assert_int_equal(q(FAKE_STACK - 24) & RFLAGS_RF, RFLAGS_RF);
}

static void test_protected_inner(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	fake_idt(VEC_GP, FK_CODE1, HANDLER, 14, 0, 0);
	assert_int_equal(fake_deliver(&gp), 0);
	assert_int_equal(cpu->cpl, 1);
	assert_int_equal(cpu->seg[SEG_CS].sel, FK_CODE1 | 1);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA1 | 1);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_RING1 - 24);
	assert_int_equal(d(FAKE_RING1 - 4), FK_DATA3 | 3);
	assert_int_equal(d(FAKE_RING1 - 8), FAKE_STACK);
	assert_int_equal(d(FAKE_RING1 - 12), 0x10202);
	assert_int_equal(d(FAKE_RING1 - 16), FK_CODE3 | 3);
	assert_int_equal(d(FAKE_RING1 - 20), 0x7000);
	assert_int_equal(d(FAKE_RING1 - 24), 0x5678);
	assert_int_equal(cpu->rip, HANDLER);
}

static void test_protected_16(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(0);
	fake_idt(0x40, FK_CODE16, 0x4321, 7, 3, 0);
	assert_int_equal(fake_deliver(&soft), 0);
	assert_int_equal(cpu->rip, 0x4321);
	assert_int_equal(cpu->code_bits, 16);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK - 6);
	assert_int_equal(fake_peek(FAKE_STACK - 2, 2), 0x202);
	assert_int_equal(fake_peek(FAKE_STACK - 4, 2), FK_CODE0);
	assert_int_equal(fake_peek(FAKE_STACK - 6, 2), 0x7002);
	assert_int_equal(cpu->iflag, 1);
}

static void test_protected_refusals(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	fake_idt(0x40, FK_CODE0, HANDLER, 14, 3, 0);
	fake_poke(FAKE_TSS + 8, 4, 0);
	assert_fault(fake_deliver(&irq), VEC_TS, 1);
	fake_poke(FAKE_TSS + 8, 4, FK_DATA1 | 1);
	assert_fault(fake_deliver(&soft), VEC_TS, FK_DATA1);
	fake_desc(FK_FREE, 0, 0xfff, 0x13);
	fake_poke(FAKE_TSS + 8, 4, FK_FREE);
	assert_fault(fake_deliver(&irq), VEC_SS, FK_FREE | 1);
	fake_desc(FK_FREE, 0, 0xfff, 0x93); /* ESP0 is far above */
	assert_fault(fake_deliver(&irq), VEC_SS, FK_FREE | 1);
	fake_poke(FAKE_TSS + 8, 4, FK_DATA0);
	fake_desc(FK_FREE, 0, 0xfff, 0x49b);
	fake_idt(0x40, FK_FREE, HANDLER, 14, 3, 0);
	assert_fault(fake_deliver(&irq), VEC_GP, 1);
	assert_fault(fake_deliver(&soft), VEC_GP, 0);
	fake_desc(FK_FREE, 0, ~0u, 0xc1b);
	assert_fault(fake_deliver(&irq), VEC_NP, FK_FREE | 1);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	assert_int_equal(cpu->cpl, 3);
}

static void test_v8086_to_ring0(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_v8086(0);
	fake_idt(VEC_GP, FK_CODE0, HANDLER, 14, 0, 0);
	assert_int_equal(fake_deliver(&gp), 0);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_RING0 - 40);
	assert_int_equal(d(FAKE_RING0 - 4), 0x105);
	assert_int_equal(d(FAKE_RING0 - 8), 0x104);
	assert_int_equal(d(FAKE_RING0 - 12), 0x103);
	assert_int_equal(d(FAKE_RING0 - 16), 0x100);
	assert_int_equal(d(FAKE_RING0 - 20), 0x102);
	assert_int_equal(d(FAKE_RING0 - 24), 0x800);
	assert_int_equal(d(FAKE_RING0 - 28), 0x30202);
	assert_int_equal(d(FAKE_RING0 - 32), 0x101);
	assert_int_equal(d(FAKE_RING0 - 36), 0x200);
	assert_int_equal(d(FAKE_RING0 - 40), 0x5678);
	assert_false(cpu_v8086(cpu));
	assert_int_equal(cpu->cpl, 0);
	assert_int_equal(cpu->seg[SEG_DS].sel, 0);
	assert_int_equal(cpu->seg[SEG_GS].attr, SEG_ATTR_UNUSABLE);
	/* a handler that is not in ring 0 */
	fake_v8086(0);
	fake_idt(VEC_GP, FK_CODE1, HANDLER, 14, 0, 0);
	assert_fault(fake_deliver(&gp), VEC_GP, FK_CODE1 | 1);
	fake_idt(VEC_GP, FK_CONF0, HANDLER, 14, 0, 0);
	assert_fault(fake_deliver(&gp), VEC_GP, FK_CONF0 | 1);
}

static void test_real(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_real();
	cpu->iflag = cpu->acflag = 1;
	cpu->seg[SEG_CS].sel = 0x10;
	fake_poke(0x40 * 4, 4, 0xf0001234);
	assert_int_equal(fake_deliver(&soft), 0);
	assert_int_equal(cpu->rip, 0x1234);
	assert_int_equal(cpu->seg[SEG_CS].base, 0xf0000);
	assert_int_equal(cpu->gpr[REG_RSP], 0x8000 - 6);
	assert_int_equal(fake_peek(0x7ffe, 2), 0x202);
	assert_int_equal(fake_peek(0x7ffc, 2), 0x10);
	assert_int_equal(fake_peek(0x7ffa, 2), 0x7002);
	assert_int_equal(cpu->iflag, 0);
	assert_int_equal(cpu->acflag, 0);
	cpu->idt.limit = 0x102;
	assert_int_equal(fake_deliver(&soft), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_GP);
}

/* The stack's 16 bits wrap between two words, not inside of one. */
static void test_real_stack_wrap(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_real();
	fake_poke(0x40 * 4, 4, 0x1234);
	cpu->gpr[REG_RSP] = 0xabcd0002;
	assert_int_equal(fake_deliver(&irq), 0);
	assert_int_equal(cpu->gpr[REG_RSP], 0xabcdfffc);
	assert_int_equal(fake_peek(0, 2), 2);
	assert_int_equal(fake_peek(0xfffc, 2), 0x7000);
	cpu->gpr[REG_RSP] = 1;
	cpu->seg[SEG_SS].limit = 0xffff;
	assert_int_equal(fake_deliver(&irq), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_SS);
}

static void test_accessed(void **state)
{
	fake_long(3);
	fake_raw(FK_CODE0, fake_raw_get(FK_CODE0) & ~DESC_ACCESSED);
	fake_idt(0x40, FK_CODE0, HANDLER, 14, 0, 0);
	assert_int_equal(fake_deliver(&irq), 0);
	assert_true(fake_raw_get(FK_CODE0) & DESC_ACCESSED);
	assert_true(fake->cpu.seg[SEG_CS].attr & 1);
}

/* SDM 3A table 6-5: rows the first event, columns #PF, #GP, #DB. */
static void test_nested(void **state)
{
	static const struct {
		struct cpu_event first;
		uint8_t then_pf, then_gp;
	} rows[] = {
		{{.vector = 0x40, .kind = EVENT_IRQ}, VEC_PF, VEC_GP},
		{{.vector = 13, .kind = EVENT_SOFT_INT}, VEC_PF, VEC_GP},
		{{.vector = 2, .kind = EVENT_NMI}, VEC_PF, VEC_GP},
		{{.vector = VEC_UD, .kind = EVENT_FAULT}, VEC_PF, VEC_GP},
		{{.vector = VEC_DB, .kind = EVENT_TRAP}, VEC_PF, VEC_GP},
		{{.vector = VEC_DE, .kind = EVENT_FAULT}, VEC_PF, VEC_DF},
		{{.vector = VEC_TS, .kind = EVENT_FAULT}, VEC_PF, VEC_DF},
		{{.vector = VEC_NP, .kind = EVENT_FAULT}, VEC_PF, VEC_DF},
		{{.vector = VEC_SS, .kind = EVENT_FAULT}, VEC_PF, VEC_DF},
		{{.vector = VEC_GP, .kind = EVENT_FAULT}, VEC_PF, VEC_DF},
		{{.vector = VEC_PF, .kind = EVENT_FAULT}, VEC_DF, VEC_DF},
	};
	struct cpu_event pf = {.valid = true,
			       .vector = VEC_PF,
			       .has_error = true,
			       .has_payload = true,
			       .payload = 0x1234};
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(rows); k++) {
		cpu->event = rows[k].first;
		assert_true(cpu_event_nested(cpu, &pf));
		assert_int_equal(cpu->event.vector, rows[k].then_pf);
		assert_int_equal(cpu->cr2, 0x1234);
		cpu->event = rows[k].first;
		assert_true(cpu_event_nested(cpu, &gp));
		assert_int_equal(cpu->event.vector, rows[k].then_gp);
		if (cpu->event.vector == VEC_DF) {
			assert_true(cpu->event.has_error);
			assert_int_equal(cpu->event.error, 0);
		}
	}
	cpu->event = (struct cpu_event){.vector = VEC_DF, .valid = true};
	assert_false(cpu_event_nested(cpu, &pf));
	assert_false(cpu->event.valid);
	assert_int_equal(cpu->exit, CPU_EXIT_SHUTDOWN);
}

static void test_allowed(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	assert_true(cpu_irq_allowed(cpu));
	assert_true(cpu_nmi_allowed(cpu));
	cpu->shadow = CPU_SHADOW_STI;
	assert_false(cpu_irq_allowed(cpu));
	cpu->shadow = 0;
	cpu->iflag = 0;
	assert_false(cpu_irq_allowed(cpu));
	assert_true(cpu_nmi_allowed(cpu));
	cpu->iflag = 1;
	cpu_queue_irq(cpu, 0x33);
	assert_int_equal(cpu->event.vector, 0x33);
	assert_false(cpu_irq_allowed(cpu));
	assert_false(cpu_nmi_allowed(cpu));
	cpu->event.valid = false;
	cpu_queue_nmi(cpu);
	assert_int_equal(cpu->event.kind, EVENT_NMI);
}

static void test_protected_tss16(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	cpu->seg[SEG_TR].attr = 0x83;
	fake_poke(FAKE_TSS + 2, 2, 0x8000);
	fake_poke(FAKE_TSS + 4, 2, FK_DATA0);
	fake_poke(FAKE_TSS + 6, 2, 0x8800);
	fake_poke(FAKE_TSS + 8, 2, FK_DATA1 | 1);
	fake_idt(0x40, FK_CODE1, 0x10, 6, 0, 0);
	assert_int_equal(fake_deliver(&irq), 0);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA1 | 1);
	assert_int_equal(cpu->gpr[REG_RSP], 0x8800 - 10);
	assert_int_equal(fake_peek(0x8800 - 10, 2), 0x7000);
	fake_protected(3);
	cpu->seg[SEG_TR].attr = 0x83;
	fake_poke(FAKE_TSS + 6, 2, 0x8800);
	fake_poke(FAKE_TSS + 8, 2, FK_DATA1 | 1);
	cpu->seg[SEG_TR].limit = 8;
	assert_fault(fake_deliver(&irq), VEC_TS, FK_TSS | 1);
	assert_fault(fake_deliver(&gp), VEC_GP, VEC_GP * 8 + 3);
	cpu->seg[SEG_TR].limit = 9;
	assert_int_equal(fake_deliver(&irq), 0);
}

static void test_idt_bounds(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(0);
	fake_idt(0x40, FK_CODE0, 0x10, 14, 0, 0);
	cpu->idt.limit = 0x40 * 8 + 6;
	assert_fault(fake_deliver(&irq), VEC_GP, 0x203);
	cpu->idt.limit++;
	assert_int_equal(fake_deliver(&irq), 0);
	fake_idt(0x40, FK_CODE0, 0x10, 13, 0, 0);
	assert_fault(fake_deliver(&irq), VEC_GP, 0x203);
	fake_long(0);
	fake_idt(0x40, FK_CODE0, 0x10, 14, 0, 0);
	cpu->idt.limit = 0x40 * 16 + 15;
	assert_int_equal(fake_deliver(&irq), 0);
	/* the frame would lie in the hole of the address space */
	cpu->gpr[REG_RSP] = 0xffff800000000010ULL;
	assert_fault(fake_deliver(&irq), VEC_SS, 1);
	cpu->gpr[REG_RSP] = 0x0000800000000010ULL;
	assert_fault(fake_deliver(&irq), VEC_SS, 1);
}

static void test_soft_pf_vector(void **state)
{
	const struct cpu_event ev = {.vector = VEC_PF,
				     .kind = EVENT_SOFT_INT,
				     .insn_len = 2,
				     .has_payload = true,
				     .payload = 0x1234};

	fake_long(0);
	fake_idt(VEC_PF, FK_CODE0, 0x10, 14, 0, 0);
	fake->cpu.cr2 = 0x999;
	assert_int_equal(fake_deliver(&ev), 0);
	assert_int_equal(fake->cpu.cr2, 0x999);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_long_from_user),
		T(test_long_same_ring),
		T(test_long_ist),
		T(test_long_fast),
		T(test_long_refusals),
		T(test_payloads),
		T(test_protected_inner),
		T(test_protected_16),
		T(test_protected_refusals),
		T(test_v8086_to_ring0),
		T(test_real),
		T(test_real_stack_wrap),
		T(test_accessed),
		T(test_nested),
		T(test_allowed),
		T(test_protected_tss16),
		T(test_idt_bounds),
		T(test_soft_pf_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
