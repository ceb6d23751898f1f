/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of memory slots and of the dirty log.
 */
#include "test/abi/abi.h"

#define GPA 0x10000000ull

static uint8_t *two_pages(void)
{
	void *p = mmap(NULL, 0x20000, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static struct kvm_userspace_memory_region region(void *p)
{
	return (struct kvm_userspace_memory_region){
		.slot = 1,
		.guest_phys_addr = GPA,
		.memory_size = 0x10000,
		.userspace_addr = (uintptr_t)p,
	};
}

static void test_rules(void **state)
{
	struct kvm_userspace_memory_region r, good;
	uint8_t *p = two_pages();
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	good = region(p);
	r = good;
	r.flags = 4;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.memory_size = 100;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.guest_phys_addr = 1;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.userspace_addr += 8;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.slot = 32764;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r.slot = 1 << 16; /* a second address space */
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.guest_phys_addr = -0x10000ull + 0x1000;
	r.memory_size = 0x10000;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.memory_size = 0; /* deleting what is not there */
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.guest_phys_addr = 0; /* where RAM is */
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EEXIST);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &good);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &good);
	r = good;
	r.memory_size = 0x8000;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.userspace_addr += 0x1000;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.flags = KVM_MEM_READONLY;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r = good;
	r.slot = 2; /* one page into the other */
	r.guest_phys_addr += 0xf000;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EEXIST);
	r.guest_phys_addr += 0x1000;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	r.guest_phys_addr = GPA; /* moving onto slot 1 */
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EEXIST);
	r = good;
	r.guest_phys_addr -= 0x8000; /* over itself is fine */
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	r.memory_size = 0;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	abi_close(&a);
	munmap(p, 0x20000);
}

static void test_all_slots(void **state)
{
	struct kvm_userspace_memory_region r;
	uint8_t *p = two_pages();
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	for (uint32_t i = 1; i < 32764; i++) {
		r = region(p);
		r.slot = i;
		r.memory_size = 4096;
		r.guest_phys_addr = GPA + i * 0x2000ull;
		OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	}
	abi_close(&a);
	munmap(p, 0x20000);
}

/* A guest sees a slot come, move and go. */
static void test_live(void **state)
{
	/* mov $0x10000000,%ebx; 1: mov (%rbx),%al; out %al,$1; jmp 1b */
	static const uint8_t code[] = {0xbb, 0x00, 0x00, 0x00, 0x10, 0x8a,
				       0x03, 0xe6, 0x01, 0xeb, 0xfa};
	struct kvm_userspace_memory_region r;
	uint8_t *p = two_pages();
	uint8_t *q = two_pages();
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	*p = 0x11;
	*q = 0x22;
	r = region(p);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_long(&a, a.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(*((uint8_t *)a.run + 4096), 0x11);
	r.guest_phys_addr += 0x100000;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_run(&a, KVM_EXIT_MMIO);
	a.run->mmio.data[0] = 0x33;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(*((uint8_t *)a.run + 4096), 0x33);
	r = region(q);
	r.slot = 7;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(*((uint8_t *)a.run + 4096), 0x22);
	r.memory_size = 0;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_run(&a, KVM_EXIT_MMIO);
	abi_close(&a);
	munmap(p, 0x20000);
	munmap(q, 0x20000);
}

/*
 * mov $0x10000000,%ebx; 1: movb $1,0x3000(%rbx); movb $1,0x7fff(%rbx);
 * out %al,$1; jmp 1b
 */
static const uint8_t store_code[] = {
	0xbb, 0x00, 0x00, 0x00, 0x10, 0xc6, 0x83, 0x00, 0x30, 0x00, 0x00, 0x01,
	0xc6, 0x83, 0xff, 0x7f, 0x00, 0x00, 0x01, 0xe6, 0x01, 0xeb, 0xee};

#define STORE_BITS (1ull << 3 | 1ull << 7)

static void log_is(struct abi *a, uint64_t want)
{
	uint64_t bits = ~0ull;
	struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = &bits};

	OK(a->vm, KVM_GET_DIRTY_LOG, &log);
	assert_true(bits == want);
}

static void test_dirty(void **state)
{
	uint64_t bits;
	struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = &bits};
	struct kvm_userspace_memory_region r;
	uint8_t *p = two_pages();
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	r = region(p);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	FAILS(a.vm, KVM_GET_DIRTY_LOG, &log, ENOENT);
	abi_long(&a, a.vcpu, store_code, sizeof(store_code));
	abi_run(&a, KVM_EXIT_IO); /* write entries are cached now */
	r.flags = KVM_MEM_LOG_DIRTY_PAGES;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	log_is(&a, 0);
	for (int i = 0; i < 3; i++) {
		abi_run(&a, KVM_EXIT_IO);
		abi_run(&a, KVM_EXIT_IO);
		log_is(&a, STORE_BITS);
		log_is(&a, 0);
	}
	log.slot = 40000;
	FAILS(a.vm, KVM_GET_DIRTY_LOG, &log, EINVAL);
	r.flags = 0;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	log.slot = 1;
	FAILS(a.vm, KVM_GET_DIRTY_LOG, &log, ENOENT);
	abi_close(&a);
	munmap(p, 0x20000);
}

static void test_manual(void **state)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
				     .args = {4}};
	struct kvm_clear_dirty_log clear = {.slot = 1};
	struct kvm_userspace_memory_region r;
	uint8_t *p = two_pages();
	uint64_t bits = 1 << 3;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = 2; /* initially set needs the other */
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = 1;
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	r = region(p);
	r.flags = KVM_MEM_LOG_DIRTY_PAGES;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_long(&a, a.vcpu, store_code, sizeof(store_code));
	abi_run(&a, KVM_EXIT_IO);
	log_is(&a, STORE_BITS);
	log_is(&a, STORE_BITS); /* fetching does not clear */
	clear.num_pages = 16;
	clear.dirty_bitmap = &bits;
	clear.first_page = 1;
	FAILS(a.vm, KVM_CLEAR_DIRTY_LOG, &clear, EINVAL);
	clear.first_page = 0;
	clear.num_pages = 17;
	FAILS(a.vm, KVM_CLEAR_DIRTY_LOG, &clear, EINVAL);
	clear.num_pages = 8;
	FAILS(a.vm, KVM_CLEAR_DIRTY_LOG, &clear, EINVAL);
	clear.num_pages = 16;
	OK(a.vm, KVM_CLEAR_DIRTY_LOG, &clear);
	log_is(&a, 1 << 7);
	abi_run(&a, KVM_EXIT_IO);
	log_is(&a, STORE_BITS);
	abi_close(&a);
	munmap(p, 0x20000);
}

static void test_initially_set(void **state)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
				     .args = {3}};
	struct kvm_userspace_memory_region r;
	uint8_t *p = two_pages();
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	r = region(p);
	r.flags = KVM_MEM_LOG_DIRTY_PAGES;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	log_is(&a, 0xffff);
	abi_close(&a);
	munmap(p, 0x20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_all_slots),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_dirty),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_initially_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
