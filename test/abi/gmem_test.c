/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_memfd, private memory, faulting in ahead of time.
 */
#include "test/abi/abi.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "include/uapi/kvm_new.h"

#define GPA  0x10000000ull
#define SIZE 0x10000ull
#define PAGE 4096ull

static int create(const struct abi *a, uint64_t size, uint64_t flags)
{
	struct kvm_create_guest_memfd c = {.size = size, .flags = flags};

	return CALL(a->vm, KVM_CREATE_GUEST_MEMFD, &c);
}

/* As abi_open(), a VM of the other type. */
static void open_protected(struct abi *a)
{
	struct kvm_userspace_memory_region r = {.memory_size = ABI_RAM};

	abi_open(a, ABI_NO_VCPU);
	assert_int_equal(lodge_close(a->vm), 0);
	a->vm = CALL(a->sys, KVM_CREATE_VM, KVM_X86_SW_PROTECTED_VM);
	assert_true(a->vm >= 0);
	r.userspace_addr = (uintptr_t)a->ram;
	OK(a->vm, KVM_SET_USER_MEMORY_REGION, &r);
	a->vcpu = abi_add_vcpu(a, 0, &a->run);
}

static int set_attributes(const struct abi *a, uint64_t gpa, uint64_t size,
			  uint64_t attributes)
{
	struct kvm_memory_attributes m = {
		.address = gpa, .size = size, .attributes = attributes};

	return CALL(a->vm, KVM_SET_MEMORY_ATTRIBUTES, &m);
}

#define PRIVATE KVM_MEMORY_ATTRIBUTE_PRIVATE

static struct kvm_userspace_memory_region2 region(void *p, int fd)
{
	return (struct kvm_userspace_memory_region2){
		.slot = 1,
		.flags = fd >= 0 ? KVM_MEM_GUEST_MEMFD : 0,
		.guest_phys_addr = GPA,
		.memory_size = SIZE,
		.userspace_addr = (uintptr_t)p,
		.guest_memfd = fd >= 0 ? (uint32_t)fd : 0,
	};
}

static void *some_memory(void)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static sigjmp_buf landing;

static void on_bus(int sig)
{
	siglongjmp(landing, sig);
}

static bool is_sigbus(volatile uint8_t *p)
{
	struct sigaction sa = {.sa_handler = on_bus}, old;
	int sig;

	sigaction(SIGBUS, &sa, &old);
	sig = sigsetjmp(landing, 1);
	if (!sig)
		*p = 1;
	sigaction(SIGBUS, &old, NULL);
	return sig == SIGBUS;
}

static void test_file(void **state)
{
	struct stat st;
	struct abi a;
	void *p;
	int fd;

	(void)state;
	abi_open(&a, 0);
	assert_int_equal(CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD),
			 1);
	assert_int_equal(
		CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS), 3);
	assert_int_equal(create(&a, 0, 0), -EINVAL);
	assert_int_equal(create(&a, PAGE + 1, 0), -EINVAL);
	assert_int_equal(create(&a, -PAGE, 0), -EINVAL);
	assert_int_equal(create(&a, PAGE, 4), -EINVAL);
	fd = create(&a, SIZE, 0);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(ftruncate(fd, 2 * SIZE), -1);
	assert_int_equal(lodge_mmap(fd, SIZE, PROT_READ, MAP_SHARED, 0, &p),
			 -ENODEV);
	FAILS(fd, KVM_GET_API_VERSION, 0, ENOTTY);
	assert_int_equal(lodge_close(fd), 0);
	fd = create(&a, SIZE, GUEST_MEMFD_FLAG_MMAP);
	assert_int_equal(lodge_mmap(fd, SIZE, PROT_READ, MAP_PRIVATE, 0, &p),
			 -EINVAL);
	assert_int_equal(
		lodge_mmap(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &p),
		0);
	assert_true(is_sigbus(p));
	lodge_munmap(fd, p, SIZE);
	assert_int_equal(lodge_close(fd), 0);
	fd = create(&a, SIZE,
		    GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	assert_int_equal(lodge_mmap(fd, 2 * SIZE, PROT_READ | PROT_WRITE,
				    MAP_SHARED, 0, &p),
			 0);
	assert_false(is_sigbus(p));
	assert_true(is_sigbus((uint8_t *)p + SIZE));
	lodge_munmap(fd, p, 2 * SIZE);
	assert_int_equal(lodge_close(fd), 0);
	abi_close(&a);
}

static void test_bind(void **state)
{
	struct kvm_userspace_memory_region2 r, good;
	int fd, other, e = eventfd(0, 0);
	void *p = some_memory();
	struct abi a, b;

	(void)state;
	abi_open(&a, 0);
	abi_open(&b, 0);
	fd = create(&a, 2 * SIZE, 0);
	other = create(&b, SIZE, 0);
	good = region(p, fd);
	r = good;
	r.flags |= KVM_MEM_LOG_DIRTY_PAGES;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r.flags = KVM_MEM_GUEST_MEMFD | KVM_MEM_READONLY;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r = good;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION, &r, EINVAL);
	r.guest_memfd_offset = 8;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r.guest_memfd_offset = 2 * SIZE;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r.guest_memfd_offset = -PAGE;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r = good;
	r.guest_memfd = 9999;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EBADF);
	r.guest_memfd = (uint32_t)e;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r.guest_memfd = (uint32_t)a.vm;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r.guest_memfd = (uint32_t)other;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &good);
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &good, EINVAL);
	r = good;
	r.flags = 0;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	r = good;
	r.slot = 2;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EEXIST);
	r.guest_phys_addr += SIZE;
	r.guest_memfd_offset = SIZE - PAGE;
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EEXIST);
	r.guest_memfd_offset = SIZE;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &r);
	r = good;
	r.memory_size = 0;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &r);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &good);
	assert_int_equal(lodge_close(fd), 0);
	assert_int_equal(lodge_close(other), 0);
	abi_close(&a);
	abi_close(&b);
	close(e);
	munmap(p, SIZE);
}

/* Add one to the byte at rdi, show it at port 1. */
ABI_GUEST(adder, "1: incb (%rdi); mov (%rdi),%al; out %al,$1; jmp 1b");

static void start(struct abi *a, uint64_t gpa)
{
	struct kvm_regs regs;

	ABI_START(a, a->vcpu, adder);
	regs = abi_regs(a->vcpu);
	regs.rdi = gpa;
	OK(a->vcpu, KVM_SET_REGS, &regs);
}

static void expect(struct abi *a, uint8_t val)
{
	abi_run(a, KVM_EXIT_IO);
	assert_int_equal(*((uint8_t *)a->run + 4096), val);
}

static void expect_fault(struct abi *a, uint64_t gpa, uint64_t flags)
{
	struct kvm_run_memory_fault f;

	FAILS(a->vcpu, KVM_RUN, 0, EFAULT);
	assert_int_equal(a->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
	memcpy(&f, (uint8_t *)a->run + KVM_RUN_EXIT_OFFSET, sizeof(f));
	assert_int_equal(f.gpa, gpa);
	assert_int_equal(f.size, PAGE);
	assert_int_equal(f.flags, flags);
	assert_int_equal(abi_regs(a->vcpu).rip, ABI_CODE);
}

/* A machine of the common type whose memory is the file's. */
static void test_shared(void **state)
{
	struct kvm_userspace_memory_region2 r;
	struct abi a;
	uint8_t *p;
	void *m;
	int fd;

	(void)state;
	abi_open(&a, 0);
	fd = create(&a, SIZE,
		    GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	assert_int_equal(
		lodge_mmap(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &m),
		0);
	p = m;
	p[5] = 0xaa;
	r = region(NULL, fd);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &r);
	start(&a, GPA + 5);
	expect(&a, 0xab);
	assert_int_equal(p[5], 0xab);
	lodge_munmap(fd, m, SIZE);
	assert_int_equal(set_attributes(&a, GPA, PAGE, PRIVATE), -EINVAL);
	assert_int_equal(lodge_close(fd), 0);
	expect_fault(&a, GPA, 0);
	abi_close(&a);
}

static void test_convert(void **state)
{
	struct kvm_userspace_memory_region2 r;
	uint8_t *p = some_memory();
	struct abi a;
	int fd;

	(void)state;
	open_protected(&a);
	assert_int_equal(
		CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_MEMORY_ATTRIBUTES),
		PRIVATE);
	assert_int_equal(
		CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS), 1);
	fd = create(&a, SIZE, 0);
	p[3 * PAGE] = 10;
	p[4 * PAGE] = 20;
	r = region(p, fd);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &r);
	start(&a, GPA + 3 * PAGE);
	expect(&a, 11);
	for (uint8_t i = 0; i < 5; i++) {
		assert_int_equal(
			set_attributes(&a, GPA + 3 * PAGE, PAGE, PRIVATE), 0);
		expect(&a, 1 + i);
		assert_int_equal(p[3 * PAGE], 11 + i);
		assert_int_equal(set_attributes(&a, GPA, SIZE, 0), 0);
		expect(&a, 12 + i);
	}
	assert_int_equal(set_attributes(&a, GPA, SIZE, PRIVATE), 0);
	expect(&a, 6);
	assert_int_equal(fallocate(fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   3 * PAGE, PAGE),
			 0);
	expect(&a, 1);
	start(&a, GPA + 4 * PAGE);
	expect(&a, 1);
	assert_int_equal(p[4 * PAGE], 20);
	/* Without the file nothing private is left. */
	assert_int_equal(lodge_close(fd), 0);
	expect_fault(&a, GPA + 4 * PAGE, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	assert_int_equal(set_attributes(&a, GPA, SIZE, 0), 0);
	expect(&a, 21);
	abi_close(&a);
	munmap(p, SIZE);
}

static void test_faults(void **state)
{
	struct kvm_userspace_memory_region2 r;
	uint8_t *p = some_memory();
	struct abi a;

	(void)state;
	open_protected(&a);
	r = region(p, -1);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &r);
	start(&a, GPA + PAGE);
	expect(&a, 1);
	assert_int_equal(set_attributes(&a, GPA + PAGE, PAGE, PRIVATE), 0);
	expect_fault(&a, GPA + PAGE, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	expect_fault(&a, GPA + PAGE, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	r.memory_size = 0;
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &r);
	expect_fault(&a, GPA + PAGE, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	assert_int_equal(set_attributes(&a, 0, 1ull << 52, PRIVATE), 0);
	assert_int_equal(set_attributes(&a, 0, ABI_RAM, 0), 0);
	start(&a, 0xfffff000);
	expect_fault(&a, 0xfffff000, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	assert_int_equal(set_attributes(&a, 0, 1ull << 52, 0), 0);
	abi_run(&a, KVM_EXIT_MMIO);
	abi_close(&a);
	munmap(p, SIZE);
}

static void test_attribute_rules(void **state)
{
	struct kvm_memory_attributes m = {
		.address = GPA, .size = PAGE, .flags = 1};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	assert_int_equal(
		CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_MEMORY_ATTRIBUTES), 0);
	assert_int_equal(
		CALL(a.sys, KVM_CHECK_EXTENSION, KVM_CAP_MEMORY_ATTRIBUTES),
		PRIVATE);
	assert_int_equal(CALL(a.sys, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES), 3);
	FAILS(a.sys, KVM_CREATE_VM, 2, EINVAL);
	assert_int_equal(set_attributes(&a, GPA, PAGE, PRIVATE), -EINVAL);
	assert_int_equal(set_attributes(&a, GPA, PAGE, 0), 0);
	abi_close(&a);
	open_protected(&a);
	FAILS(a.vm, KVM_SET_MEMORY_ATTRIBUTES, &m, EINVAL);
	assert_int_equal(set_attributes(&a, GPA, PAGE, 1), -EINVAL);
	assert_int_equal(set_attributes(&a, GPA, 0, PRIVATE), -EINVAL);
	assert_int_equal(set_attributes(&a, GPA + 1, PAGE, PRIVATE), -EINVAL);
	assert_int_equal(set_attributes(&a, GPA, PAGE + 1, PRIVATE), -EINVAL);
	assert_int_equal(set_attributes(&a, -PAGE, 2 * PAGE, PRIVATE), -EINVAL);
	abi_close(&a);
}

/* 0: there is memory, -EFAULT: private without any, -ENOENT: no slot. */
static int pre_fault(const struct abi *a, uint64_t gpa)
{
	struct kvm_pre_fault_memory f = {.gpa = gpa, .size = PAGE};

	return CALL(a->vcpu, KVM_PRE_FAULT_MEMORY, &f);
}

#define MODEL 40u

/* Ranges put together and taken apart, against one flag for each page. */
static void test_ranges(void **state)
{
	bool model[MODEL] = {false};
	uint32_t seed = 12345;
	struct abi a;

	(void)state;
	open_protected(&a);
	for (int i = 0; i < 400; i++) {
		uint32_t first, n;
		bool set;

		seed = seed * 1664525 + 1013904223;
		first = (seed >> 8) % MODEL;
		n = (seed >> 16) % (MODEL - first) / (1 + (seed >> 29)) + 1;
		set = seed >> 31;
		if (first + n > MODEL)
			n = MODEL - first;
		assert_int_equal(set_attributes(&a, GPA + first * PAGE,
						n * PAGE, set ? PRIVATE : 0),
				 0);
		for (uint32_t k = first; k < first + n; k++)
			model[k] = set;
		for (uint32_t k = 0; k < MODEL; k++)
			assert_int_equal(pre_fault(&a, GPA + k * PAGE),
					 model[k] ? -EFAULT : -ENOENT);
	}
	abi_close(&a);
}

static void test_pre_fault(void **state)
{
	struct kvm_pre_fault_memory f = {.gpa = ABI_RAM - 4 * PAGE,
					 .size = 8 * PAGE};
	unsigned char there[1];
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	assert_int_equal(
		CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY), 1);
	assert_int_equal(mincore(a.ram + ABI_RAM - PAGE, PAGE, there), 0);
	/* As far as it goes. */
	OK(a.vcpu, KVM_PRE_FAULT_MEMORY, &f);
	assert_int_equal(f.gpa, ABI_RAM);
	assert_int_equal(f.size, 4 * PAGE);
	FAILS(a.vcpu, KVM_PRE_FAULT_MEMORY, &f, ENOENT);
	assert_int_equal(f.size, 4 * PAGE);
	f.size = 0;
	FAILS(a.vcpu, KVM_PRE_FAULT_MEMORY, &f, EINVAL);
	f.size = 100;
	FAILS(a.vcpu, KVM_PRE_FAULT_MEMORY, &f, EINVAL);
	f.size = -PAGE;
	f.gpa = 8 * PAGE;
	FAILS(a.vcpu, KVM_PRE_FAULT_MEMORY, &f, EINVAL);
	f.gpa = 0;
	f.size = PAGE;
	f.flags = 1;
	FAILS(a.vcpu, KVM_PRE_FAULT_MEMORY, &f, EINVAL);
	mprotect(a.ram, PAGE, PROT_NONE);
	assert_int_equal(pre_fault(&a, 0), -EFAULT);
	mprotect(a.ram, PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(pre_fault(&a, 0), 0);
	abi_close(&a);
}

/* One test for cmocka, which takes signals over for each of its own. */
static void test_all(void **state)
{
	test_file(state);
	test_bind(state);
	test_shared(state);
	test_convert(state);
	test_faults(state);
	test_attribute_rules(state);
	test_ranges(state);
	test_pre_fault(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
