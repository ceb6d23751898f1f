/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read can be written back, reads the same again, and makes another
 * VM go on where the first one stopped.
 */
#include "test/abi/abi.h"

struct saved {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_fpu fpu;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_lapic_state lapic;
	uint8_t *xsave;
	struct kvm_msrs *msrs;
};

static uint32_t xsave_size(struct abi *a)
{
	return (uint32_t)CALL(a->vm, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
}

static void save(struct abi *a, struct saved *s)
{
	struct kvm_msr_list *l = calloc(1, 8192);

	memset(s, 0, sizeof(*s));
	s->xsave = calloc(1, xsave_size(a));
	OK(a->vcpu, KVM_GET_MP_STATE, &s->mp);
	OK(a->vcpu, KVM_GET_REGS, &s->regs);
	OK(a->vcpu, KVM_GET_SREGS, &s->sregs);
	OK(a->vcpu, KVM_GET_SREGS2, &s->sregs2);
	OK(a->vcpu, KVM_GET_FPU, &s->fpu);
	OK(a->vcpu, KVM_GET_XSAVE2, s->xsave);
	OK(a->vcpu, KVM_GET_XCRS, &s->xcrs);
	OK(a->vcpu, KVM_GET_DEBUGREGS, &s->debug);
	OK(a->vcpu, KVM_GET_LAPIC, &s->lapic);
	OK(a->vcpu, KVM_GET_VCPU_EVENTS, &s->events);
	l->nmsrs = 1000;
	OK(a->sys, KVM_GET_MSR_INDEX_LIST, l);
	assert_true(l->nmsrs < 256);
	s->msrs = calloc(1, sizeof(*s->msrs) +
				    l->nmsrs * sizeof(s->msrs->entries[0]));
	s->msrs->nmsrs = l->nmsrs;
	for (uint32_t i = 0; i < l->nmsrs; i++)
		s->msrs->entries[i].index = l->indices[i];
	assert_int_equal(CALL(a->vcpu, KVM_GET_MSRS, s->msrs), l->nmsrs);
	free(l);
}

static void load(struct abi *a, struct saved *s)
{
	OK(a->vcpu, KVM_SET_MP_STATE, &s->mp);
	OK(a->vcpu, KVM_SET_REGS, &s->regs);
	OK(a->vcpu, KVM_SET_SREGS2, &s->sregs2);
	OK(a->vcpu, KVM_SET_XCRS, &s->xcrs);
	OK(a->vcpu, KVM_SET_XSAVE, s->xsave);
	OK(a->vcpu, KVM_SET_DEBUGREGS, &s->debug);
	OK(a->vcpu, KVM_SET_LAPIC, &s->lapic);
	assert_int_equal(CALL(a->vcpu, KVM_SET_MSRS, s->msrs), s->msrs->nmsrs);
	OK(a->vcpu, KVM_SET_VCPU_EVENTS, &s->events);
}

static bool moves(uint32_t msr)
{
	return msr == 0x10;
}

static void same(struct abi *a, const struct saved *x, const struct saved *y)
{
	assert_memory_equal(&x->regs, &y->regs, sizeof(x->regs));
	assert_memory_equal(&x->sregs, &y->sregs, sizeof(x->sregs));
	assert_memory_equal(&x->sregs2, &y->sregs2, sizeof(x->sregs2));
	assert_memory_equal(&x->fpu, &y->fpu, sizeof(x->fpu));
	assert_memory_equal(x->xsave, y->xsave, xsave_size(a));
	assert_memory_equal(&x->xcrs, &y->xcrs, sizeof(x->xcrs));
	assert_memory_equal(&x->debug, &y->debug, sizeof(x->debug));
	assert_memory_equal(&x->events, &y->events, sizeof(x->events));
	assert_memory_equal(&x->mp, &y->mp, sizeof(x->mp));
	assert_memory_equal(&x->lapic, &y->lapic, sizeof(x->lapic));
	for (uint32_t i = 0; i < x->msrs->nmsrs; i++) {
		if (moves(x->msrs->entries[i].index))
			continue;
		if (x->msrs->entries[i].data != y->msrs->entries[i].data)
			print_error("MSR %x\n", x->msrs->entries[i].index);
		assert_true(x->msrs->entries[i].data ==
			    y->msrs->entries[i].data);
	}
}

static void release(struct saved *s)
{
	free(s->xsave);
	free(s->msrs);
}

/* Leaves something in every kind of register, then counts in rbx. */
ABI_GUEST(work, "mov $0x1b,%ecx; rdmsr; or $0xc00,%eax; wrmsr;"
		"mov $0x80f,%ecx; mov $0x1ff,%eax; xor %edx,%edx; wrmsr;"
		"mov $0x808,%ecx; mov $0x20,%eax; wrmsr;"
		"mov $0xc0000082,%ecx; mov $0x12345678,%eax; wrmsr;"
		"mov $0x277,%ecx; mov $0x00070406,%eax;"
		"mov $0x00070406,%edx; wrmsr;"
		"mov $0x2000,%eax; mov %rax,%dr0;"
		"fninit; fldpi; movq %rcx,%xmm3; mov $0x77,%r15d;"
		"1: out %al,$0x99; inc %rbx; jmp 1b");

static void test_round_trip(void **state)
{
	struct saved x, y;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, work);
	for (int i = 0; i < 3; i++)
		abi_run(&a, KVM_EXIT_IO);
	a.run->immediate_exit = 1;
	FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	a.run->immediate_exit = 0;
	save(&a, &x);
	load(&a, &x);
	save(&a, &y);
	same(&a, &x, &y);
	release(&y);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(abi_regs(a.vcpu).rbx, 3);
	release(&x);
	abi_close(&a);
}

static void test_other_vm(void **state)
{
	struct kvm_irqchip chip[3];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	struct saved x, y;
	struct abi a, b;

	(void)state;
	abi_open(&a, ABI_IRQCHIP | ABI_PIT);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, work);
	for (int i = 0; i < 5; i++)
		abi_run(&a, KVM_EXIT_IO);
	a.run->immediate_exit = 1;
	FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	save(&a, &x);
	OK(a.vm, KVM_GET_PIT2, &pit);
	OK(a.vm, KVM_GET_CLOCK, &clock);
	for (uint32_t i = 0; i < 3; i++) {
		chip[i] = (struct kvm_irqchip){.chip_id = i};
		OK(a.vm, KVM_GET_IRQCHIP, &chip[i]);
	}
	abi_open(&b, ABI_IRQCHIP | ABI_PIT);
	abi_set_cpuid(&b, b.vcpu);
	memcpy(b.ram, a.ram, ABI_RAM);
	load(&b, &x);
	OK(b.vm, KVM_SET_PIT2, &pit);
	for (uint32_t i = 0; i < 3; i++)
		OK(b.vm, KVM_SET_IRQCHIP, &chip[i]);
	clock.flags &= KVM_CLOCK_REALTIME;
	OK(b.vm, KVM_SET_CLOCK, &clock);
	save(&b, &y);
	same(&a, &x, &y);
	abi_close(&a);
	abi_run(&b, KVM_EXIT_IO);
	assert_int_equal(abi_regs(b.vcpu).rbx, 5);
	assert_int_equal(abi_regs(b.vcpu).r15, 0x77);
	release(&x);
	release(&y);
	abi_close(&b);
}

static void test_cpuid(void **state)
{
	struct {
		struct kvm_cpuid2 h;
		struct kvm_cpuid_entry2 e[256];
	} *c = calloc(2, sizeof(*c)), *d = c + 1;
	static const uint8_t code[] = {0xf4, 0xf4};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	c->h.nent = 256;
	OK(a.sys, KVM_GET_SUPPORTED_CPUID, c);
	OK(a.vcpu, KVM_SET_CPUID2, c);
	d->h.nent = 256;
	OK(a.vcpu, KVM_GET_CPUID2, d);
	assert_int_equal(c->h.nent, d->h.nent);
	for (uint32_t i = 0; i < c->h.nent; i++) {
		assert_int_equal(c->e[i].function, d->e[i].function);
		assert_int_equal(c->e[i].index, d->e[i].index);
	}
	abi_real(&a, a.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_HLT);
	/* Fixed from here on, but the same may be set again. */
	OK(a.vcpu, KVM_SET_CPUID2, c);
	OK(a.vcpu, KVM_SET_CPUID2, d);
	c->e[0].eax++;
	FAILS(a.vcpu, KVM_SET_CPUID2, c, EINVAL);
	abi_close(&a);
	free(c);
}

/* An exception the client injects, and one it takes along as pending. */
static void test_events(void **state)
{
	/* handler: pop %rcx (error code); out %al,$0x98 */
	static const uint8_t handler[] = {0x59, 0xe6, 0x98};
	static const uint8_t code[] = {0xf4};
	struct kvm_enable_cap cap = {.cap = KVM_CAP_EXCEPTION_PAYLOAD,
				     .args = {1}};
	struct kvm_vcpu_events e;
	struct kvm_sregs s;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	OK(a.vcpu, KVM_GET_VCPU_EVENTS, &e);
	e.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	FAILS(a.vcpu, KVM_SET_VCPU_EVENTS, &e, EINVAL);
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	memcpy(a.ram + 0x3000, handler, sizeof(handler));
	abi_gate(&a, 14, 0x3000);
	abi_long(&a, a.vcpu, code, sizeof(code));
	abi_idt(&a, a.vcpu);
	OK(a.vcpu, KVM_GET_VCPU_EVENTS, &e);
	assert_true(e.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	e.exception.pending = 1;
	e.exception.nr = 14;
	e.exception.has_error_code = 1;
	e.exception.error_code = 6;
	e.exception_has_payload = 1;
	e.exception_payload = 0xabc000;
	OK(a.vcpu, KVM_SET_VCPU_EVENTS, &e);
	memset(&e, 0, sizeof(e));
	OK(a.vcpu, KVM_GET_VCPU_EVENTS, &e);
	assert_int_equal(e.exception.pending, 1);
	assert_int_equal(e.exception.injected, 0);
	assert_int_equal(e.exception_payload, 0xabc000);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x98);
	assert_int_equal(abi_regs(a.vcpu).rcx, 6);
	OK(a.vcpu, KVM_GET_SREGS, &s);
	assert_int_equal(s.cr2, 0xabc000);
	abi_close(&a);
}

static void test_translate(void **state)
{
	struct kvm_translation t = {.linear_address = 0x123456};
	static const uint8_t code[] = {0xf4};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_long(&a, a.vcpu, code, sizeof(code));
	OK(a.vcpu, KVM_TRANSLATE, &t);
	assert_int_equal(t.valid, 1);
	assert_int_equal(t.physical_address, 0x123456);
	t.linear_address = 0x200000000;
	OK(a.vcpu, KVM_TRANSLATE, &t);
	assert_int_equal(t.valid, 0);
	assert_true(t.physical_address == UINT64_MAX);
	t.linear_address = 1ull << 63;
	OK(a.vcpu, KVM_TRANSLATE, &t);
	assert_int_equal(t.valid, 0);
	abi_close(&a);
}

/* Single steps, an INT3 that is the client's, and a data breakpoint. */
static void test_debug(void **state)
{
	/* nop; nop; mov %al,0x2000; nop; int3; hlt */
	static const uint8_t code[] = {0x90, 0x90, 0x88, 0x04, 0x25, 0x00,
				       0x20, 0x00, 0x00, 0x90, 0xcc, 0xf4};
	struct kvm_guest_debug d = {.control = KVM_GUESTDBG_ENABLE |
					       KVM_GUESTDBG_SINGLESTEP};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_long(&a, a.vcpu, code, sizeof(code));
	OK(a.vcpu, KVM_SET_GUEST_DEBUG, &d);
	for (uint64_t i = 1; i < 3; i++) {
		abi_run(&a, KVM_EXIT_DEBUG);
		assert_int_equal(a.run->debug.arch.exception, 1);
		assert_int_equal(a.run->debug.arch.pc, ABI_CODE + i);
		assert_int_equal(a.run->debug.arch.dr6 & 0x4000, 0x4000);
		assert_int_equal(abi_regs(a.vcpu).rip, ABI_CODE + i);
		assert_int_equal(abi_regs(a.vcpu).rflags & 0x100, 0);
	}
	d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP |
		    KVM_GUESTDBG_USE_SW_BP;
	d.arch.debugreg[0] = 0x2000;
	d.arch.debugreg[7] = 0x10402; /* global, write, one byte */
	OK(a.vcpu, KVM_SET_GUEST_DEBUG, &d);
	abi_run(&a, KVM_EXIT_DEBUG);
	assert_int_equal(a.run->debug.arch.exception, 1);
	assert_int_equal(a.run->debug.arch.dr6 & 0xf, 1);
	assert_int_equal(a.run->debug.arch.pc, ABI_CODE + 9);
	abi_run(&a, KVM_EXIT_DEBUG);
	assert_int_equal(a.run->debug.arch.exception, 3);
	assert_int_equal(a.run->debug.arch.pc, ABI_CODE + 10);
	assert_int_equal(abi_regs(a.vcpu).rip, ABI_CODE + 10);
	/* The debugger takes its breakpoint out: translated code sees it. */
	a.ram[ABI_CODE + 10] = 0x90;
	abi_run(&a, KVM_EXIT_HLT);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_other_vm),
		cmocka_unit_test(test_cpuid),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_translate),
		cmocka_unit_test(test_debug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
