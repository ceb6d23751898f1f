/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest code that the client changes: found out at every exit, or with
 * LODGE_CAP_WRITES told by the client and looked for no more.
 */
#include "test/abi/abi.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#define FN   0x2000u /* mov $N, %eax; ret */
#define SEEN 0x3000u /* what the function gave */

ABI_GUEST(calls, "1: mov $0x2000, %ecx\n"
		 "call *%rcx\n"
		 "out %al, $0x80\n"
		 "jmp 1b\n");

ABI_GUEST(watches, "1: mov $0x2000, %ecx\n"
		   "call *%rcx\n"
		   "mov %eax, 0x3000\n"
		   "jmp 1b\n");

static void put_fn(struct abi *a, uint32_t val)
{
	a->ram[FN] = 0xb8;
	a->ram[FN + 5] = 0xc3;
	__atomic_store_n((uint32_t *)(void *)(a->ram + FN + 1), val,
			 __ATOMIC_RELEASE);
}

static void tell(struct abi *a, const void *p, uint64_t size)
{
	/* The other one is nobody's memory. */
	uint64_t w[5] = {2, 64, 64, (uintptr_t)p, size};

	OK(a->vm, LODGE_WRITES, w);
}

static int promise(struct abi *a, uint64_t on)
{
	struct kvm_enable_cap c = {.cap = LODGE_CAP_WRITES, .args = {on}};

	return CALL(a->vm, KVM_ENABLE_CAP, &c);
}

static uint8_t call_fn(struct abi *a)
{
	abi_run(a, KVM_EXIT_IO);
	return *((uint8_t *)a->run + a->run->io.data_offset);
}

static void start(struct abi *a)
{
	abi_open(a, 0);
	put_fn(a, 1);
	ABI_START(a, a->vcpu, calls);
	assert_int_equal(call_fn(a), 1);
	assert_int_equal(call_fn(a), 1);
}

/* Any client of KVM. */
static void test_found_out(void **state)
{
	struct abi a;

	(void)state;
	start(&a);
	for (uint32_t val = 2; val < 20; val++) {
		put_fn(&a, val);
		assert_int_equal(call_fn(&a), val);
	}
	abi_close(&a);
}

/* Telling without a promise changes nothing. */
static void test_told_unpromised(void **state)
{
	struct abi a;

	(void)state;
	start(&a);
	put_fn(&a, 2);
	tell(&a, a.ram + FN, 6);
	assert_int_equal(call_fn(&a), 2);
	put_fn(&a, 3);
	assert_int_equal(call_fn(&a), 3);
	abi_close(&a);
}

static void test_told(void **state)
{
	struct abi a;

	(void)state;
	start(&a);
	put_fn(&a, 2); /* before the promise: still found out */
	assert_int_equal(promise(&a, 1), 0);
	assert_int_equal(call_fn(&a), 2);
	for (uint32_t val = 3; val < 20; val++) {
		put_fn(&a, val);
		tell(&a, a.ram + FN + 1, 4);
		assert_int_equal(call_fn(&a), val);
	}
	put_fn(&a, 20); /* around it, from far before to the end */
	tell(&a, a.ram, ABI_RAM);
	assert_int_equal(call_fn(&a), 20);
	put_fn(&a, 21);
	tell(&a, NULL, UINT64_MAX);
	assert_int_equal(call_fn(&a), 21);
	abi_close(&a);
}

/* This is what the promise is for, and what breaking it costs. */
static void test_untold(void **state)
{
	struct abi a;

	(void)state;
	start(&a);
	assert_int_equal(promise(&a, 1), 0);
	assert_int_equal(call_fn(&a), 1);
	put_fn(&a, 2);
	tell(&a, a.ram + FN - 64, 64);
	tell(&a, a.ram + FN + 64, 4096);
	tell(&a, a.ram + FN + 1, 0);
	assert_int_equal(call_fn(&a), 1);
	assert_int_equal(promise(&a, 0), 0);
	assert_int_equal(call_fn(&a), 2);
	put_fn(&a, 3);
	assert_int_equal(call_fn(&a), 3);
	abi_close(&a);
}

static void test_errors(void **state)
{
	uint64_t r[3] = {1, 16, UINT64_MAX};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	assert_int_equal(CALL(a.sys, KVM_CHECK_EXTENSION, LODGE_CAP_WRITES), 1);
	assert_int_equal(CALL(a.vm, KVM_CHECK_EXTENSION, LODGE_CAP_WRITES), 1);
	assert_int_equal(promise(&a, 2), -EINVAL);
	FAILS(a.vm, LODGE_WRITES, r, EINVAL);
	r[0] = LODGE_WRITES_MAX + 1;
	FAILS(a.vm, LODGE_WRITES, r, E2BIG);
	r[0] = 0;
	OK(a.vm, LODGE_WRITES, r);
	r[0] = 1;
	FAILS(a.vm, LODGE_WRITES, 8, EFAULT);
	/* in the last page there is, behind which addresses begin anew */
	r[1] = UINT64_MAX - 0x6cb;
	r[2] = 256;
	OK(a.vm, LODGE_WRITES, r);
	r[2] = 0;
	OK(a.vm, LODGE_WRITES, r); /* nobody's memory */
	FAILS(a.vcpu, LODGE_WRITES, r, EINVAL);
	abi_close(&a);
}

/* Lists of all lengths that end where nothing follows, or one too late. */
static void test_ends(void **state)
{
	const size_t page = 4096;
	struct abi a;
	uint8_t *p;

	(void)state;
	abi_open(&a, 0);
	p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(munmap(p + 2 * page, page), 0);
	for (uint64_t n = 0; n < 300; n++) {
		uint64_t *w = (void *)(p + 2 * page - 8 - 16 * n);

		*w = n;
		OK(a.vm, LODGE_WRITES, w);
		*w = n + 1;
		FAILS(a.vm, LODGE_WRITES, w, EFAULT);
	}
	FAILS(a.vm, LODGE_WRITES, p + 2 * page - 4, EFAULT);
	munmap(p, 2 * page);
	abi_close(&a);
}

static void *run_guest(void *arg)
{
	struct abi *a = arg;

	while (CALL(a->vcpu, KVM_RUN, 0) >= 0)
		;
	return NULL;
}

/* While the guest runs, as DMA does: what was told of is what it sees. */
static void test_told_meanwhile(void **state)
{
	pthread_t thread;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	put_fn(&a, 0);
	ABI_START(&a, a.vcpu, watches);
	assert_int_equal(promise(&a, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_guest, &a), 0);
	for (uint32_t val = 1; val < 500; val++) {
		put_fn(&a, val);
		tell(&a, a.ram + FN, 6);
		while ((uint32_t)ABI_WORD(&a, SEEN) != val)
			sched_yield();
	}
	a.run->immediate_exit = 1;
	OK(a.vcpu, LODGE_KICK, 0);
	pthread_join(thread, NULL);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_out),
		cmocka_unit_test(test_told_unpromised),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_untold),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_told_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
