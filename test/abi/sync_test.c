/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_CAP_SYNC_REGS: registers in kvm_run instead of calls.
 */
#include "test/abi/abi.h"

#include <pthread.h>
#include <time.h>

#define ALL (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS)

/* 1: in $1,%al; inc %rbx; jmp 1b */
ABI_GUEST(counter, "1: in $1,%al; inc %rbx; jmp 1b");

static void open_counter(struct abi *a)
{
	abi_open(a, 0);
	ABI_START(a, a->vcpu, counter);
}

static void test_rules(void **state)
{
	struct abi a;

	(void)state;
	open_counter(&a);
	a.run->kvm_valid_regs = 1ull << 31;
	FAILS(a.vcpu, KVM_RUN, 0, EINVAL);
	a.run->kvm_valid_regs = ALL | 8;
	FAILS(a.vcpu, KVM_RUN, 0, EINVAL);
	a.run->kvm_valid_regs = 0;
	a.run->kvm_dirty_regs = 8;
	FAILS(a.vcpu, KVM_RUN, 0, EINVAL);
	a.run->kvm_dirty_regs = 0;
	abi_run(&a, KVM_EXIT_IO);
	abi_close(&a);
}

static void test_store(void **state)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct abi a;

	(void)state;
	open_counter(&a);
	memset(&a.run->s, 0x5a, sizeof(a.run->s));
	a.run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	abi_run(&a, KVM_EXIT_IO);
	regs = abi_regs(a.vcpu);
	assert_memory_equal(&regs, &a.run->s.regs.regs, sizeof(regs));
	assert_int_equal(a.run->s.regs.sregs.cr0, 0x5a5a5a5a5a5a5a5a);
	a.run->kvm_valid_regs = ALL;
	abi_run(&a, KVM_EXIT_IO);
	OK(a.vcpu, KVM_GET_SREGS, &sregs);
	assert_memory_equal(&sregs, &a.run->s.regs.sregs, sizeof(sregs));
	OK(a.vcpu, KVM_GET_VCPU_EVENTS, &events);
	assert_memory_equal(&events, &a.run->s.regs.events, sizeof(events));
	/* Stored with errors as well. */
	a.run->s.regs.regs.rip = 0;
	a.run->immediate_exit = 1;
	FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	assert_int_equal(a.run->s.regs.regs.rip, ABI_CODE + 2);
	a.run->immediate_exit = 0;
	a.run->kvm_valid_regs = 0;
	a.run->s.regs.regs.rbx = 77;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->s.regs.regs.rbx, 77);
	abi_close(&a);
}

static void test_load(void **state)
{
	struct abi a;

	(void)state;
	open_counter(&a);
	a.run->kvm_valid_regs = ALL;
	abi_run(&a, KVM_EXIT_IO);
	a.run->s.regs.regs.rbx = 0xbad1dea;
	a.run->s.regs.sregs.apic_base = 1 << 11;
	a.run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->kvm_dirty_regs, 0);
	assert_int_equal(a.run->s.regs.regs.rbx, 0xbad1deb);
	assert_int_equal(a.run->s.regs.sregs.apic_base, 1 << 11);
	/* Not marked, not taken. */
	a.run->s.regs.regs.rbx = 5;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->s.regs.regs.rbx, 0xbad1dec);
	/* What cannot be is refused whole. */
	a.run->s.regs.sregs.cr4 &= ~0x20ull;
	a.run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	FAILS(a.vcpu, KVM_RUN, 0, EINVAL);
	assert_true(a.run->s.regs.sregs.cr4 & 0x20);
	a.run->s.regs.events.exception.nr = 255;
	a.run->s.regs.events.exception.injected = 1;
	a.run->s.regs.events.flags = 0;
	a.run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	FAILS(a.vcpu, KVM_RUN, 0, EINVAL);
	a.run->kvm_dirty_regs = 0;
	abi_run(&a, KVM_EXIT_IO);
	abi_close(&a);
}

struct racer {
	struct kvm_run *run;
	int stop;
};

static void *flip(void *arg)
{
	struct racer *r = arg;
	volatile struct kvm_sync_regs *s = &r->run->s.regs;
	uint64_t good = s->sregs.cr4;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		*(volatile __u64 *)&r->run->kvm_dirty_regs =
			KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
		s->sregs.cr4 = good & ~0x20ull;
		s->events.exception.nr = 6;
		s->events.flags = 0;
		s->events.exception.injected = 1;
		s->events.exception.nr = 255;
		s->sregs.cr4 = good;
		s->events.exception.injected = 0;
	}
	return NULL;
}

/* A client that writes meanwhile breaks nothing but its own registers. */
static void test_race(void **state)
{
	struct racer r = {0};
	struct timespec start, now;
	struct kvm_sregs sregs;
	pthread_t t;
	struct abi a;

	(void)state;
	open_counter(&a);
	a.run->kvm_valid_regs = KVM_SYNC_X86_SREGS;
	abi_run(&a, KVM_EXIT_IO);
	a.run->kvm_valid_regs = 0;
	r.run = a.run;
	clock_gettime(CLOCK_MONOTONIC, &start);
	pthread_create(&t, NULL, flip, &r);
	do {
		int ret = CALL(a.vcpu, KVM_RUN, 0);

		assert_true(ret == 0 || ret == -EINVAL);
		OK(a.vcpu, KVM_GET_SREGS, &sregs);
		assert_true(!(sregs.efer & 0x400) || (sregs.cr4 & 0x20));
		if (ret == 0 && a.run->exit_reason == KVM_EXIT_SHUTDOWN)
			ABI_START(&a, a.vcpu, counter);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 2);
	r.stop = 1;
	pthread_join(t, NULL);
	abi_close(&a);
}

/* There is no nested virtualization: its state cannot be had. */
static void test_nested_state(void **state)
{
	struct kvm_nested_state n = {.size = sizeof(n)};
	struct abi a;

	(void)state;
	open_counter(&a);
	assert_int_equal(CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE),
			 0);
	FAILS(a.vcpu, KVM_GET_NESTED_STATE, &n, EINVAL);
	FAILS(a.vcpu, KVM_SET_NESTED_STATE, &n, EINVAL);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_nested_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
