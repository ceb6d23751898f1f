/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small guests that leave in every way a client has to answer: ports, memory,
 * HLT, MSRs, shutdown; and how their answers arrive.
 */
#include "test/abi/abi.h"

static uint8_t *pio(const struct abi *a)
{
	return (uint8_t *)a->run + a->run->io.data_offset;
}

/* mov $0x5a,%al; out %al,$0x10; in $0x11,%al; out %al,$0x12; hlt */
static void test_real_ports(void **state)
{
	static const uint8_t code[] = {0xb0, 0x5a, 0xe6, 0x10, 0xe4,
				       0x11, 0xe6, 0x12, 0xf4};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_real(&a, a.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x10);
	assert_int_equal(a.run->io.direction, KVM_EXIT_IO_OUT);
	assert_int_equal(a.run->io.size, 1);
	assert_int_equal(a.run->io.count, 1);
	assert_int_equal(a.run->io.data_offset, 4096);
	assert_int_equal(*pio(&a), 0x5a);
	/* An OUT is not past until the client comes back. */
	assert_int_equal(abi_regs(a.vcpu).rip, ABI_CODE + 2);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.direction, KVM_EXIT_IO_IN);
	assert_int_equal(a.run->io.port, 0x11);
	*pio(&a) = 0x77;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(*pio(&a), 0x77);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rip, ABI_CODE + sizeof(code));
	abi_close(&a);
}

/* immediate_exit finishes the access and runs nothing after it. */
static void test_immediate_exit(void **state)
{
	/* in $0x11,%al; inc %bx; hlt */
	static const uint8_t code[] = {0xe4, 0x11, 0x43, 0xf4};
	struct kvm_regs r;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_real(&a, a.vcpu, code, sizeof(code));
	a.run->immediate_exit = 1;
	FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	assert_int_equal(a.run->exit_reason, 0);
	a.run->immediate_exit = 0;
	abi_run(&a, KVM_EXIT_IO);
	*pio(&a) = 0x42;
	a.run->immediate_exit = 1;
	FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	r = abi_regs(a.vcpu);
	assert_int_equal(r.rax & 0xff, 0x42);
	assert_int_equal(r.rbx, 0);
	assert_int_equal(r.rip, ABI_CODE + 2);
	a.run->immediate_exit = 0;
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rbx, 1);
	abi_close(&a);
}

/* rep outsb of 5 bytes arrives as one exit or several, all bytes in order */
static void test_string_out(void **state)
{
	/* mov $0x2000,%si; mov $5,%cx; mov $0x20,%dx; cld; rep outsb; hlt */
	static const uint8_t code[] = {0xbe, 0x00, 0x20, 0xb9, 0x05, 0x00, 0xba,
				       0x20, 0x00, 0xfc, 0xf3, 0x6e, 0xf4};
	char got[8] = "";
	size_t n = 0;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_real(&a, a.vcpu, code, sizeof(code));
	memcpy(a.ram + 0x2000, "hello", 5);
	for (;;) {
		OK(a.vcpu, KVM_RUN, 0);
		if (a.run->exit_reason == KVM_EXIT_HLT)
			break;
		assert_int_equal(a.run->exit_reason, KVM_EXIT_IO);
		assert_true(n + a.run->io.count <= 5);
		memcpy(got + n, pio(&a), a.run->io.count);
		n += a.run->io.count;
	}
	assert_string_equal(got, "hello");
	assert_int_equal(abi_regs(a.vcpu).rcx, 0);
	abi_close(&a);
}

static void test_long_mmio(void **state)
{
	/*
	 * mov $0x3f000000,%ebx; movl $0x11223344,(%rbx); mov 8(%rbx),%rax;
	 * mov %rax,0x100(%rbx); hlt
	 */
	static const uint8_t code[] = {0xbb, 0x00, 0x00, 0x00, 0x3f, 0xc7,
				       0x03, 0x44, 0x33, 0x22, 0x11, 0x48,
				       0x8b, 0x43, 0x08, 0x48, 0x89, 0x83,
				       0x00, 0x01, 0x00, 0x00, 0xf4};
	uint64_t val = 0x0123456789abcdef;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_long(&a, a.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_MMIO);
	assert_int_equal(a.run->mmio.phys_addr, 0x3f000000);
	assert_int_equal(a.run->mmio.len, 4);
	assert_true(a.run->mmio.is_write);
	assert_memory_equal(a.run->mmio.data, "\x44\x33\x22\x11", 4);
	abi_run(&a, KVM_EXIT_MMIO);
	assert_int_equal(a.run->mmio.phys_addr, 0x3f000008);
	assert_int_equal(a.run->mmio.len, 8);
	assert_false(a.run->mmio.is_write);
	memcpy(a.run->mmio.data, &val, 8);
	abi_run(&a, KVM_EXIT_MMIO);
	assert_true(a.run->mmio.is_write);
	assert_memory_equal(a.run->mmio.data, &val, 8);
	abi_run(&a, KVM_EXIT_HLT);
	assert_true(abi_regs(a.vcpu).rax == val);
	abi_close(&a);
}

/* A read-only slot is read in place; a write to it is the client's. */
static void test_rom(void **state)
{
	/* mov 0x800000,%al via ebx; movb $1,(%rbx); mov (%rbx),%cl; hlt */
	static const uint8_t code[] = {0xbb, 0x00, 0x00, 0x80, 0x00, 0x8a, 0x03,
				       0xc6, 0x03, 0x01, 0x8a, 0x0b, 0xf4};
	static uint8_t rom[4096] __attribute__((aligned(4096))) = {0xab};
	struct kvm_userspace_memory_region r = {
		.slot = 1,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = 0x800000,
		.memory_size = 4096,
		.userspace_addr = (uintptr_t)rom,
	};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_long(&a, a.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_MMIO);
	assert_true(a.run->mmio.is_write);
	assert_int_equal(a.run->mmio.phys_addr, 0x800000);
	assert_int_equal(a.run->mmio.data[0], 1);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rax & 0xff, 0xab);
	assert_int_equal(abi_regs(a.vcpu).rcx & 0xff, 0xab);
	assert_int_equal(rom[0], 0xab);
	abi_close(&a);
}

/* No IDT: any exception ends as a triple fault. */
static void test_shutdown(void **state)
{
	static const uint8_t code[] = {0x0f, 0x0b};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_long(&a, a.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_SHUTDOWN);
	abi_close(&a);
}

static void test_msr_exit(void **state)
{
	/* mov $0x35,%ecx; rdmsr; hlt */
	static const uint8_t code[] = {0xb9, 0x35, 0, 0, 0, 0x0f, 0x32, 0xf4};
	uint8_t deny = 0;
	uint64_t bitmap = deny;
	struct kvm_msr_filter f = {
		.ranges[0] = {.flags = KVM_MSR_FILTER_READ,
			      .nmsrs = 1,
			      .base = 0x35,
			      .bitmap = (uint8_t *)&bitmap},
	};
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_USER_SPACE_MSR,
				     .args = {KVM_MSR_EXIT_REASON_FILTER}};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	OK(a.vm, KVM_X86_SET_MSR_FILTER, &f);
	abi_long(&a, a.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_X86_RDMSR);
	assert_int_equal(a.run->msr.index, 0x35);
	assert_int_equal(a.run->msr.reason, KVM_MSR_EXIT_REASON_FILTER);
	a.run->msr.data = 0x0000000200000004;
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rax, 4);
	assert_int_equal(abi_regs(a.vcpu).rdx, 2);
	abi_close(&a);
}

ABI_GUEST(split_lock, "lock incl 0x2003e; lock incl 0x20010; incl 0x2007e;"
		      "xchg %eax, 0x2003e; hlt");

/*
 * A locked access across cache lines is told when the client asks, on AMD's
 * processors before it, on Intel's after it; others are not.
 */
static void test_bus_lock(void **state)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_BUS_LOCK_EXIT,
				     .args = {3}};
	uint32_t n;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL); /* on and off */
	cap.args[0] = 4;
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = KVM_BUS_LOCK_DETECTION_EXIT;
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, split_lock);
	memset(a.ram + 0x20000, 0, 256);
	abi_run(&a, KVM_EXIT_X86_BUS_LOCK);
	memcpy(&n, a.ram + 0x2003e, 4);
	assert_in_range(n, 0, 1);
	abi_run(&a, KVM_EXIT_X86_BUS_LOCK);
	memcpy(&n, a.ram + 0x2007e, 4);
	assert_int_equal(n, 1);
	memcpy(&n, a.ram + 0x20010, 4);
	assert_int_equal(n, 1);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal((uint32_t)abi_regs(a.vcpu).rax, 1);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_ports),
		cmocka_unit_test(test_immediate_exit),
		cmocka_unit_test(test_string_out),
		cmocka_unit_test(test_long_mmio),
		cmocka_unit_test(test_rom),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_msr_exit),
		cmocka_unit_test(test_bus_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
