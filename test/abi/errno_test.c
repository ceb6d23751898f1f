/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong calls and the kernel's answers to them. The expectations are written
 * down here from the KVM API text and never taken from kvm/ioctl.def.
 */
#include "test/abi/abi.h"

#include <sys/eventfd.h>
#include <sys/wait.h>

#include "include/uapi/kvm_new.h"

#define UNKNOWN _IO(KVMIO, 0xf7)

static void test_system(void **state)
{
	int fd = lodge_open();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(CALL(fd, KVM_GET_API_VERSION, 0), 12);
	FAILS(fd, KVM_GET_API_VERSION, 1, EINVAL);
	assert_int_equal(CALL(fd, KVM_GET_VCPU_MMAP_SIZE, 0), 12288);
	FAILS(fd, KVM_GET_VCPU_MMAP_SIZE, 1, EINVAL);
	FAILS(fd, UNKNOWN, 0, EINVAL);
	FAILS(fd, KVM_RUN, 0, EINVAL);
	FAILS(fd, KVM_CREATE_VCPU, 0, EINVAL);
	FAILS(fd, KVM_CREATE_VM, 64, EINVAL);
	for (unsigned long type = 2; type < 7; type++)
		FAILS(fd, KVM_CREATE_VM, type, EINVAL);
	assert_int_equal(lodge_close(fd), 0);
	assert_int_equal(lodge_close(fd), -EBADF);
	FAILS(fd, KVM_GET_API_VERSION, 0, EBADF);
	FAILS(-1, KVM_GET_API_VERSION, 0, EBADF);
	FAILS(1, KVM_GET_API_VERSION, 0, ENOTTY);
}

static void test_capabilities(void **state)
{
	static const struct {
		int cap, value;
	} table[] = {
		{KVM_CAP_IRQCHIP, 1},
		{KVM_CAP_HLT, 1},
		{KVM_CAP_USER_MEMORY, 1},
		{KVM_CAP_SET_TSS_ADDR, 1},
		{KVM_CAP_EXT_CPUID, 1},
		{KVM_CAP_NR_MEMSLOTS, 32764},
		{KVM_CAP_MP_STATE, 1},
		{KVM_CAP_COALESCED_MMIO, 2},
		{KVM_CAP_COALESCED_PIO, 1},
		{KVM_CAP_SYNC_MMU, 1},
		{KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1},
		{KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1},
		{KVM_CAP_IRQ_ROUTING, 4096},
		{KVM_CAP_IRQ_INJECT_STATUS, 1},
		{KVM_CAP_IRQFD, 1},
		{KVM_CAP_IRQFD_RESAMPLE, 1},
		{KVM_CAP_IOEVENTFD, 1},
		{KVM_CAP_PIT2, 1},
		{KVM_CAP_PIT_STATE2, 1},
		{KVM_CAP_ADJUST_CLOCK, 14},
		{KVM_CAP_VCPU_EVENTS, 1},
		{KVM_CAP_DEBUGREGS, 1},
		{KVM_CAP_MCE, 32},
		{KVM_CAP_XSAVE, 1},
		{KVM_CAP_XCRS, 1},
		{KVM_CAP_SREGS2, 1},
		{KVM_CAP_GET_TSC_KHZ, 1},
		{KVM_CAP_TSC_DEADLINE_TIMER, 1},
		{KVM_CAP_READONLY_MEM, 1},
		{KVM_CAP_SMALLER_MAXPHYADDR, 1},
		{KVM_CAP_X86_BUS_LOCK_EXIT, 3},
		{KVM_CAP_IMMEDIATE_EXIT, 1},
		{KVM_CAP_MAX_VCPUS, 1024},
		{KVM_CAP_MAX_VCPU_ID, 4096},
		{KVM_CAP_CHECK_EXTENSION_VM, 1},
		{KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3},
		{KVM_CAP_X86_USER_SPACE_MSR, 1},
		{KVM_CAP_X86_MSR_FILTER, 1},
		{KVM_CAP_PMU_EVENT_FILTER, 1},
		{KVM_CAP_PMU_EVENT_MASKED_EVENTS, 1},
		{KVM_CAP_PMU_CAPABILITY, 1},
		{KVM_CAP_HALT_POLL, 1},
		{KVM_CAP_SPLIT_IRQCHIP, 1},
		{KVM_CAP_SYNC_REGS, 7},
		{KVM_CAP_DIRTY_LOG_RING, 1 << 20},
		{KVM_CAP_BINARY_STATS_FD, 1},
		{KVM_CAP_X86_ROBUST_SINGLESTEP, 1},
		/* not there, so not announced */
		{KVM_CAP_NESTED_STATE, 0},
		{KVM_CAP_X86_SMM, 0},
		{KVM_CAP_XEN_HVM, 0},
		{KVM_CAP_HYPERV, 0},
		{KVM_CAP_TSC_CONTROL, 1},
		{KVM_CAP_ASYNC_PF, 0},
		{99999, 0},
	};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (CALL(a.sys, KVM_CHECK_EXTENSION, table[i].cap) !=
		    table[i].value)
			print_error("capability %d\n", table[i].cap);
		assert_int_equal(CALL(a.sys, KVM_CHECK_EXTENSION, table[i].cap),
				 table[i].value);
		assert_int_equal(CALL(a.vm, KVM_CHECK_EXTENSION, table[i].cap),
				 table[i].value);
	}
	assert_true(CALL(a.sys, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS) >= 1);
	assert_true(CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2) >= 4096);
	abi_close(&a);
}

static void test_vm(void **state)
{
	struct kvm_enable_cap cap = {.cap = 9999};
	struct kvm_pit_config pit = {0};
	struct kvm_irqchip chip = {.chip_id = 2};
	struct kvm_irq_level level = {.irq = 1, .level = 1};
	struct kvm_msi msi = {.address_lo = 0xfee00000};
	struct abi a;

	(void)state;
	abi_open(&a, ABI_NO_VCPU);
	FAILS(a.vm, UNKNOWN, 0, ENOTTY);
	FAILS(a.vm, KVM_RUN, 0, ENOTTY);
	FAILS(a.vm, _IO('Z', 1), 0, ENOTTY);
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, 8, EFAULT);
	FAILS(a.vm, KVM_CREATE_PIT2, &pit, ENOENT);
	FAILS(a.vm, KVM_GET_IRQCHIP, &chip, ENXIO);
	FAILS(a.vm, KVM_IRQ_LINE, &level, ENXIO);
	FAILS(a.vm, KVM_SIGNAL_MSI, &msi, EINVAL);
	OK(a.vm, KVM_CREATE_IRQCHIP, 0);
	FAILS(a.vm, KVM_CREATE_IRQCHIP, 0, EEXIST);
	OK(a.vm, KVM_CREATE_PIT2, &pit);
	FAILS(a.vm, KVM_CREATE_PIT2, &pit, EEXIST);
	chip.chip_id = 3;
	FAILS(a.vm, KVM_GET_IRQCHIP, &chip, EINVAL);
	OK(a.vm, KVM_IRQ_LINE, &level);
	FAILS(a.vm, KVM_SET_BOOT_CPU_ID, 5000, EINVAL);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	FAILS(a.vm, KVM_SET_BOOT_CPU_ID, 0, EBUSY);
	FAILS(a.vm, KVM_CREATE_IRQCHIP, 0, EEXIST);
	FAILS(a.vm, KVM_CREATE_VCPU, 0, EEXIST);
	FAILS(a.vm, KVM_CREATE_VCPU, 4096, EINVAL);
	abi_close(&a);
	abi_open(&a, 0);
	FAILS(a.vm, KVM_CREATE_IRQCHIP, 0, EINVAL);
	abi_close(&a);
}

static void test_max_vcpu_id(void **state)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_MAX_VCPU_ID};
	struct abi a;

	(void)state;
	abi_open(&a, ABI_NO_VCPU);
	cap.args[0] = 4097;
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = 2;
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	cap.args[0] = 3;
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	FAILS(a.vm, KVM_CREATE_VCPU, 2, EINVAL);
	a.vcpu = abi_add_vcpu(&a, 1, &a.run);
	abi_close(&a);
}

static void test_vcpu(void **state)
{
	struct kvm_mp_state mp = {.mp_state = KVM_MP_STATE_HALTED};
	struct kvm_vcpu_events ev;
	struct kvm_debugregs dr;
	struct kvm_sregs s, before;
	struct kvm_sregs2 s2;
	struct kvm_xcrs x;
	struct kvm_interrupt irq = {.irq = 256};
	struct kvm_lapic_state lapic;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	FAILS(a.vcpu, UNKNOWN, 0, EINVAL);
	FAILS(a.vcpu, _IO('Z', 1), 0, EINVAL);
	FAILS(a.vcpu, KVM_RUN, 1, EINVAL);
	FAILS(a.vcpu, KVM_GET_REGS, 16, EFAULT);
	FAILS(a.vcpu, KVM_SET_REGS, 16, EFAULT);
	FAILS(a.vcpu, KVM_SET_MP_STATE, &mp, EINVAL);
	FAILS(a.vcpu, KVM_INTERRUPT, &irq, EINVAL);
	FAILS(a.vcpu, KVM_GET_LAPIC, &lapic, EINVAL);
	FAILS(a.vcpu, KVM_KVMCLOCK_CTRL, 0, EINVAL);
	a.run->kvm_valid_regs = 8;
	FAILS(a.vcpu, KVM_RUN, 0, EINVAL);
	a.run->kvm_valid_regs = 0;

	OK(a.vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.flags = 0x80000000;
	FAILS(a.vcpu, KVM_SET_VCPU_EVENTS, &ev, EINVAL);
	ev.flags = 0;
	ev.exception.injected = 1;
	ev.exception.nr = 32;
	FAILS(a.vcpu, KVM_SET_VCPU_EVENTS, &ev, EINVAL);
	ev.exception.nr = 2;
	FAILS(a.vcpu, KVM_SET_VCPU_EVENTS, &ev, EINVAL);
	ev.exception.injected = 0;
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.smm = 1;
	FAILS(a.vcpu, KVM_SET_VCPU_EVENTS, &ev, EINVAL);

	OK(a.vcpu, KVM_GET_DEBUGREGS, &dr);
	dr.dr7 |= 1ull << 40;
	FAILS(a.vcpu, KVM_SET_DEBUGREGS, &dr, EINVAL);

	OK(a.vcpu, KVM_GET_SREGS, &before);
	s = before;
	s.cr4 |= 1ull << 40;
	FAILS(a.vcpu, KVM_SET_SREGS, &s, EINVAL);
	s = before;
	s.cr0 |= 1ull << 31; /* paging without protection */
	FAILS(a.vcpu, KVM_SET_SREGS, &s, EINVAL);
	s = before;
	s.cr8 = 16;
	FAILS(a.vcpu, KVM_SET_SREGS, &s, EINVAL);
	s = before;
	s.apic_base |= 1;
	FAILS(a.vcpu, KVM_SET_SREGS, &s, EINVAL);
	OK(a.vcpu, KVM_GET_SREGS, &s);
	assert_memory_equal(&s, &before, sizeof(s));

	OK(a.vcpu, KVM_GET_SREGS2, &s2);
	s2.flags = 2;
	FAILS(a.vcpu, KVM_SET_SREGS2, &s2, EINVAL);
	s2.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	FAILS(a.vcpu, KVM_SET_SREGS2, &s2, EINVAL);

	OK(a.vcpu, KVM_GET_XCRS, &x);
	x.flags = 1;
	FAILS(a.vcpu, KVM_SET_XCRS, &x, EINVAL);
	x.flags = 0;
	x.xcrs[0].value = 2;
	FAILS(a.vcpu, KVM_SET_XCRS, &x, EINVAL);
	abi_close(&a);
}

static void test_lists(void **state)
{
	struct {
		struct kvm_cpuid2 h;
		struct kvm_cpuid_entry2 e[256];
	} *c = calloc(1, sizeof(*c));
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e[300];
	} *m = calloc(1, sizeof(*m));
	struct kvm_msr_list *l = calloc(1, 8192);
	struct abi a;
	uint32_t n;

	(void)state;
	abi_open(&a, 0);
	c->h.nent = 0;
	FAILS(a.sys, KVM_GET_SUPPORTED_CPUID, c, E2BIG);
	c->h.nent = 1;
	FAILS(a.sys, KVM_GET_SUPPORTED_CPUID, c, E2BIG);
	assert_int_equal(c->h.nent, 1);
	c->h.nent = 256;
	OK(a.sys, KVM_GET_SUPPORTED_CPUID, c);
	n = c->h.nent;
	assert_in_range(n, 10, 255);
	OK(a.vcpu, KVM_SET_CPUID2, c);
	c->h.nent = 1;
	FAILS(a.vcpu, KVM_GET_CPUID2, c, E2BIG);
	c->h.nent = 256;
	OK(a.vcpu, KVM_GET_CPUID2, c);
	assert_int_equal(c->h.nent, n);
	c->h.nent = 257;
	FAILS(a.vcpu, KVM_SET_CPUID2, c, E2BIG);

	FAILS(a.sys, KVM_GET_MSR_INDEX_LIST, l, E2BIG);
	assert_in_range(l->nmsrs, 10, 1000);
	OK(a.sys, KVM_GET_MSR_INDEX_LIST, l);
	l->nmsrs = 0;
	FAILS(a.sys, KVM_GET_MSR_FEATURE_INDEX_LIST, l, E2BIG);
	FAILS(a.sys, KVM_GET_MSR_INDEX_LIST, 8, EFAULT);

	m->h.nmsrs = 256;
	FAILS(a.vcpu, KVM_GET_MSRS, m, E2BIG);
	FAILS(a.vcpu, KVM_SET_MSRS, m, E2BIG);
	m->h.nmsrs = 3;
	m->e[0].index = 0x10;
	m->e[1].index = 0xdeadbeef;
	m->e[2].index = 0x10;
	assert_int_equal(CALL(a.vcpu, KVM_GET_MSRS, m), 1);
	m->e[0].index = 0x174;
	assert_int_equal(CALL(a.vcpu, KVM_SET_MSRS, m), 1);
	abi_close(&a);
	free(c);
	free(m);
	free(l);
}

/* Every MSR of the list reads, and takes back what was read and zero. */
static void test_msr_list(void **state)
{
	struct kvm_msr_list *l = calloc(1, 8192);
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} m = {.h.nmsrs = 1};
	struct abi a;
	uint64_t was;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	l->nmsrs = 1000;
	OK(a.sys, KVM_GET_MSR_INDEX_LIST, l);
	for (uint32_t i = 0; i < l->nmsrs; i++) {
		m.e.index = l->indices[i];
		if (CALL(a.vcpu, KVM_GET_MSRS, &m) != 1)
			print_error("cannot read MSR %x\n", l->indices[i]);
		assert_int_equal(CALL(a.vcpu, KVM_GET_MSRS, &m), 1);
		was = m.e.data;
		assert_int_equal(CALL(a.vcpu, KVM_SET_MSRS, &m), 1);
		m.e.data = 0;
		if (CALL(a.vcpu, KVM_SET_MSRS, &m) != 1)
			print_error("MSR %x refuses 0\n", l->indices[i]);
		assert_int_equal(CALL(a.vcpu, KVM_SET_MSRS, &m), 1);
		m.e.data = was;
		CALL(a.vcpu, KVM_SET_MSRS, &m);
	}
	l->nmsrs = 1000;
	OK(a.sys, KVM_GET_MSR_FEATURE_INDEX_LIST, l);
	for (uint32_t i = 0; i < l->nmsrs; i++) {
		m.e.index = l->indices[i];
		assert_int_equal(CALL(a.sys, KVM_GET_MSRS, &m), 1);
	}
	abi_close(&a);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_vm),
		cmocka_unit_test(test_max_vcpu_id),
		cmocka_unit_test(test_vcpu),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_msr_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
