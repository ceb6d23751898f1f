/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_SET_GUEST_DEBUG: breakpoints, steps, watchpoints of the client, and
 * giving back to the guest what was its own.
 */
#include "test/abi/abi.h"

#define COUNT   0x20000
#define DATA    0x21000
#define HANDLER 0x3000u

#define DR6    0xffff0ff0ull
#define DR6_BS 0x4000ull
#define DR6_BD 0x2000ull
#define DR7_GD 0x2000ull
#define VEC_DB 1
#define VEC_BP 3

static int debug(const struct abi *a, uint32_t control, int n, uint64_t at,
		 uint64_t dr7)
{
	struct kvm_guest_debug d = {.control = control};

	d.arch.debugreg[n] = at;
	d.arch.debugreg[7] = dr7;
	return CALL(a->vcpu, KVM_SET_GUEST_DEBUG, &d);
}

static void expect(struct abi *a, uint32_t exception, uint64_t pc, uint64_t dr6)
{
	abi_run(a, KVM_EXIT_DEBUG);
	assert_int_equal(a->run->debug.arch.exception, exception);
	assert_int_equal(a->run->debug.arch.pc, pc);
	if (exception == VEC_DB)
		assert_int_equal(a->run->debug.arch.dr6, dr6);
}

/* 0: nop; 1: int3; 2: nop; 3: mov %al,0x21000; 10: nop; 11: out; hlt */
ABI_GUEST(code, "nop; int3; nop; mov %al,0x21000; nop; out %al,$1; hlt");

static void test_software(void **state)
{
	struct kvm_regs r;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	ABI_START(&a, a.vcpu, code);
	assert_int_equal(debug(&a, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP,
			       0, 0, 0),
			 0);
	expect(&a, VEC_BP, ABI_CODE + 1, 0);
	expect(&a, VEC_BP, ABI_CODE + 1, 0);
	r = abi_regs(a.vcpu);
	assert_int_equal(r.rip, ABI_CODE + 1);
	r.rip++;
	OK(a.vcpu, KVM_SET_REGS, &r);
	abi_run(&a, KVM_EXIT_IO);
	abi_close(&a);
}

/* rbx: the return address on the stack */
ABI_GUEST(on_bp, "incl 0x20000; mov (%rsp),%rbx; iretq");

/* The guest's own breakpoint, given back in both ways there are. */
static void test_inject(void **state)
{
	struct kvm_vcpu_events e;
	struct abi a;

	(void)state;
	for (int way = 0; way < 2; way++) {
		abi_open(&a, 0);
		memcpy(a.ram + HANDLER, abi_on_bp,
		       (size_t)(abi_on_bp_end - abi_on_bp));
		abi_gate(&a, VEC_BP, HANDLER);
		abi_gate(&a, VEC_DB, HANDLER);
		ABI_START(&a, a.vcpu, code);
		abi_idt(&a, a.vcpu);
		assert_int_equal(
			debug(&a, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP,
			      0, 0, 0),
			0);
		expect(&a, VEC_BP, ABI_CODE + 1, 0);
		if (way) {
			OK(a.vcpu, KVM_GET_VCPU_EVENTS, &e);
			e.exception.injected = 1;
			e.exception.nr = VEC_BP;
			OK(a.vcpu, KVM_SET_VCPU_EVENTS, &e);
		} else {
			assert_int_equal(
				debug(&a, KVM_GUESTDBG_INJECT_BP, 0, 0, 0), 0);
			assert_int_equal(
				debug(&a, KVM_GUESTDBG_INJECT_BP, 0, 0, 0),
				-EBUSY);
		}
		assert_int_equal(debug(&a, 0, 0, 0, 0), 0);
		abi_run(&a, KVM_EXIT_IO);
		assert_int_equal(ABI_WORD(&a, COUNT), 1);
		assert_int_equal(abi_regs(a.vcpu).rbx, ABI_CODE + 2);
		assert_int_equal(debug(&a, KVM_GUESTDBG_INJECT_DB, 0, 0, 0), 0);
		abi_run(&a, KVM_EXIT_HLT);
		assert_int_equal(ABI_WORD(&a, COUNT), 2);
		abi_close(&a);
	}
}

static void test_hardware(void **state)
{
	const uint32_t hw = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	struct kvm_regs r;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	ABI_START(&a, a.vcpu, code);
	r = abi_regs(a.vcpu);
	r.rip = ABI_CODE + 2;
	OK(a.vcpu, KVM_SET_REGS, &r);
	for (int i = 0; i < 4; i++) { /* execution */
		assert_int_equal(
			debug(&a, hw, i, ABI_CODE + 2, 0x400 | 2ull << 2 * i),
			0);
		expect(&a, VEC_DB, ABI_CODE + 2, DR6 | 1ull << i);
	}
	for (int i = 0; i < 4; i++) { /* a byte that is written */
		r.rip = ABI_CODE + 3;
		OK(a.vcpu, KVM_SET_REGS, &r);
		assert_int_equal(
			debug(&a, hw, i, DATA,
			      0x400 | 2ull << 2 * i | 0x10000ull << 4 * i),
			0);
		expect(&a, VEC_DB, ABI_CODE + 10, DR6 | 1ull << i);
	}
	/* Not the guest's registers. */
	assert_int_equal(debug(&a, 0, 0, 0, 0), 0);
	abi_run(&a, KVM_EXIT_IO);
	abi_close(&a);
}

/* Lengths: 1, 2, 2, 5, 5, 2, 2, 1, 1 */
ABI_GUEST(steps, "sti; xor %eax,%eax; cpuid; mov $0x20000,%edi; mov $0x10,%ecx;"
		 "rdmsr; in $0x80,%al; nop; cli");

static void test_step(void **state)
{
	static const unsigned int len[] = {1, 2, 2, 5, 5, 2, 2, 1, 1};
	struct kvm_interrupt irq = {.irq = 0x70};
	uint64_t pc = ABI_CODE;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_gate(&a, 0x70, HANDLER);
	a.ram[HANDLER] = 0xf4;
	ABI_START(&a, a.vcpu, steps);
	abi_idt(&a, a.vcpu);
	OK(a.vcpu, KVM_INTERRUPT, &irq); /* it has to wait */
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		pc += len[i];
		assert_int_equal(debug(&a,
				       KVM_GUESTDBG_ENABLE |
					       KVM_GUESTDBG_SINGLESTEP |
					       KVM_GUESTDBG_BLOCKIRQ,
				       0, 0, 0x400),
				 0);
		if (i == 6) { /* IN: the client's part comes first */
			abi_run(&a, KVM_EXIT_IO);
			*((uint8_t *)a.run + 4096) = 0;
		}
		expect(&a, VEC_DB, pc, DR6 | DR6_BS);
		assert_int_equal(abi_regs(a.vcpu).rflags & 0x100, 0);
	}
	abi_close(&a);
}

ABI_GUEST(reads_dr, "mov %dr0,%rax; out %al,$1; hlt");

static void test_general_detect(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	ABI_START(&a, a.vcpu, reads_dr);
	assert_int_equal(debug(&a, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
			       0, 0, 0x400 | DR7_GD),
			 0);
	expect(&a, VEC_DB, ABI_CODE, DR6 | DR6_BD);
	assert_int_equal(debug(&a, 0, 0, 0, 0), 0);
	abi_run(&a, KVM_EXIT_IO);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_software),
		cmocka_unit_test(test_inject),
		cmocka_unit_test(test_hardware),
		cmocka_unit_test(test_step),
		cmocka_unit_test(test_general_detect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
