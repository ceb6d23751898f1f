/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Performance counters by the KVM API: the capability and its disable, event
 * filters and their errno, the interrupt through the local APIC's LVTPC, and
 * what GET_MSRS and SET_MSRS carry.
 */
#include "test/abi/abi.h"

#include "include/uapi/kvm_new.h"

#define LOOPS   1000
#define HANDLER 0x3000
#define EVNTSEL 0x186
#define PMC     0xc1

/* ebx: event select; branches of a loop into rax by RDMSR */
ABI_GUEST(counting, "mov $0x186, %ecx; mov %ebx, %eax; xor %edx, %edx; wrmsr;"
		    "mov $1000, %ecx; 1: loop 1b;"
		    "mov $0xc1, %ecx; rdmsr; hlt");

/* The same with LVTPC as an NMI, and a handler that keeps rip. */
ABI_GUEST(pmi, "mov $0xfee000f0, %edi; movl $0x1ff, (%rdi);"
	       "mov $0xfee00340, %edi; movl $0x400, (%rdi);"
	       "mov $0x186, %ecx; mov %ebx, %eax; xor %edx, %edx; wrmsr;"
	       "mov $1000, %ecx; 1: loop 1b; hlt");
ABI_GUEST(handler, "mov (%rsp), %rsi; mov %rcx, %r8; out %al, $0x99");

/* All filters are of this size or smaller. */
union events {
	struct kvm_pmu_event_filter f;
	uint64_t room[sizeof(struct kvm_pmu_event_filter) / 8 + 301];
};

/* One register for GET_MSRS and SET_MSRS. */
union one_msr {
	struct kvm_msrs m;
	uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

#define BRANCHES  0x4300c4 /* user and kernel, enabled */
#define INTERRUPT 0x100000

/* An Intel processor's counters on any host. */
static void set_intel(struct abi *a)
{
	struct kvm_cpuid2 *c = calloc(1,
				      sizeof(*c) + 256 * sizeof(c->entries[0]));

	assert_non_null(c);
	c->nent = 256;
	OK(a->sys, KVM_GET_SUPPORTED_CPUID, c);
	for (unsigned int i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 0)
			memcpy(&e->ebx, "GenuntelineI", 12);
		if (e->function == 10) {
			e->eax = 0x08300402;
			e->edx = 0x603;
		}
	}
	OK(a->vcpu, KVM_SET_CPUID2, c);
	free(c);
}

static void begin(struct abi *a, const uint8_t *code, const uint8_t *end,
		  uint64_t sel)
{
	struct kvm_regs regs;

	abi_long(a, a->vcpu, code, (size_t)(end - code));
	regs = abi_regs(a->vcpu);
	regs.rbx = sel;
	OK(a->vcpu, KVM_SET_REGS, &regs);
}

static uint64_t count(struct abi *a, uint64_t sel)
{
	begin(a, abi_counting, abi_counting_end, sel);
	abi_run(a, KVM_EXIT_HLT);
	return abi_regs(a->vcpu).rax;
}

static void set_msr(struct abi *a, uint32_t index, uint64_t val)
{
	union one_msr u = {.m = {.nmsrs = 1}};

	u.m.entries[0] = (struct kvm_msr_entry){.index = index, .data = val};
	assert_int_equal(CALL(a->vcpu, KVM_SET_MSRS, &u), 1);
}

static uint64_t get_msr(struct abi *a, uint32_t index)
{
	union one_msr u = {.m = {.nmsrs = 1}};

	u.m.entries[0] = (struct kvm_msr_entry){.index = index};
	assert_int_equal(CALL(a->vcpu, KVM_GET_MSRS, &u), 1);
	return u.m.entries[0].data;
}

static void test_counts(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	set_intel(&a);
	assert_int_equal(count(&a, BRANCHES), LOOPS);
	assert_int_equal(get_msr(&a, PMC), LOOPS);
	/* it counts on from what the client sets */
	set_msr(&a, PMC, 50);
	assert_int_equal(count(&a, BRANCHES), LOOPS + 50);
	abi_close(&a);
}

static void test_disable(void **state)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_PMU_CAPABILITY,
				     .args = {KVM_PMU_CAP_DISABLE | 2}};
	struct abi a;

	(void)state;
	abi_open(&a, ABI_NO_VCPU);
	assert_int_equal(
		CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_PMU_CAPABILITY),
		KVM_PMU_CAP_DISABLE);
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = KVM_PMU_CAP_DISABLE;
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	set_intel(&a);
	assert_int_equal(count(&a, BRANCHES), 0);
	abi_close(&a);
}

static void test_filter_errno(void **state)
{
	static union events e;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	FAILS(a.vm, KVM_SET_PMU_EVENT_FILTER, 8, EFAULT);
	e.f.action = 2;
	FAILS(a.vm, KVM_SET_PMU_EVENT_FILTER, &e, EINVAL);
	e.f.action = KVM_PMU_EVENT_DENY;
	e.f.flags = 2;
	FAILS(a.vm, KVM_SET_PMU_EVENT_FILTER, &e, EINVAL);
	e.f.flags = 0;
	e.f.nevents = 301;
	FAILS(a.vm, KVM_SET_PMU_EVENT_FILTER, &e, E2BIG);
	e.f.nevents = 300;
	OK(a.vm, KVM_SET_PMU_EVENT_FILTER, &e);
	/* raw entries that no event can be are skipped, masked ones refused */
	e.f.nevents = 1;
	e.f.events[0] = 1ull << 40;
	OK(a.vm, KVM_SET_PMU_EVENT_FILTER, &e);
	e.f.flags = KVM_PMU_EVENT_FLAG_MASKED_EVENTS;
	FAILS(a.vm, KVM_SET_PMU_EVENT_FILTER, &e, EINVAL);
	abi_close(&a);
}

static void test_filter(void **state)
{
	static union events e;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	set_intel(&a);
	e.f.action = KVM_PMU_EVENT_DENY;
	e.f.nevents = 1;
	e.f.events[0] = 0xc4;
	OK(a.vm, KVM_SET_PMU_EVENT_FILTER, &e);
	assert_int_equal(count(&a, BRANCHES), 0);
	e.f.events[0] = 0xc0;
	OK(a.vm, KVM_SET_PMU_EVENT_FILTER, &e);
	assert_int_equal(count(&a, BRANCHES), LOOPS);
	set_msr(&a, PMC, 0);
	e.f.action = KVM_PMU_EVENT_ALLOW;
	OK(a.vm, KVM_SET_PMU_EVENT_FILTER, &e);
	assert_int_equal(count(&a, BRANCHES), 0);
	e.f.flags = KVM_PMU_EVENT_FLAG_MASKED_EVENTS;
	e.f.events[0] = 0xc4; /* mask 0: any unit mask */
	OK(a.vm, KVM_SET_PMU_EVENT_FILTER, &e);
	assert_int_equal(count(&a, BRANCHES), LOOPS);
	abi_close(&a);
}

/* The NMI comes right after the branch that overflows the counter. */
static void test_pmi(void **state)
{
	struct kvm_regs regs;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	set_intel(&a);
	memcpy(a.ram + HANDLER, abi_handler,
	       (size_t)(abi_handler_end - abi_handler));
	set_msr(&a, PMC, -300ull & ((1ull << 48) - 1));
	begin(&a, abi_pmi, abi_pmi_end, BRANCHES | INTERRUPT);
	abi_gate(&a, 2, HANDLER);
	abi_idt(&a, a.vcpu);
	abi_run(&a, KVM_EXIT_IO);
	regs = abi_regs(a.vcpu);
	assert_int_equal(regs.r8, LOOPS - 300);
	assert_int_equal(get_msr(&a, 0x38e), 1);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_disable),
		cmocka_unit_test(test_filter_errno),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_pmi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
