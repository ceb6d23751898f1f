/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that goes away under a guest. A program of its own, because
 * cmocka takes SIGSEGV over at the start of every test and the library at its
 * first VM: this has to be the first.
 */
#include "test/abi/abi.h"

/* A slot whose host memory is gone: -EFAULT, and again when it is back. */
static void test_host_fault(void **state)
{
	/* mov $0x800000,%ebx; mov (%rbx),%al; hlt */
	static const uint8_t code[] = {0xbb, 0x00, 0x00, 0x80,
				       0x00, 0x8a, 0x03, 0xf4};
	uint8_t *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct kvm_userspace_memory_region r = {
		.slot = 1,
		.guest_phys_addr = 0x800000,
		.memory_size = 4096,
		.userspace_addr = (uintptr_t)p,
	};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_long(&a, a.vcpu, code, sizeof(code));
	FAILS(a.vcpu, KVM_RUN, 0, EFAULT);
	FAILS(a.vcpu, KVM_RUN, 0, EFAULT);
	assert_int_equal(abi_regs(a.vcpu).rip, ABI_CODE + 5);
	mprotect(p, 4096, PROT_READ | PROT_WRITE);
	*p = 0x99;
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rax & 0xff, 0x99);
	abi_close(&a);
	munmap(p, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
