/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race [SECONDS [SEED]]: memory slots made, moved, deleted, logged and made
 * read-only while two vCPUs load, store, lock and execute in them, and while
 * the client replaces the memory behind them. Whatever a vCPU finds there, a
 * KVM_RUN ends in one of the ways memory can be missing, the guest is set up
 * again when it lost its way, no sanitizer has anything to report, and the
 * page behind the slots is as it was.
 */
#include <pthread.h>
#include <time.h>

#include "test/abi/abi.h"

#define VCPUS    2
#define SLOTS    6
#define WINDOW   0x10000000ull /* where slots lie */
#define PAGES    64u           /* of the window */
#define ARENA    128u          /* pages of the client behind the slots */
#define OWN(n)   (0x2000u + 0x1000u * (n))
#define STACK(n) (0xc000u + 0x1000u * (n))

/*
 * Each vCPU walks through the window in an order of its own: a load, stores,
 * a locked instruction, a string store, and now and then a call of what a
 * page holds, a RET that other stores may have replaced.
 */
ABI_GUEST(walk, "1: imul $0x19660d,%r8d; add $0x3c6ef35f,%r8d;"
		"mov %r8d,%eax; shr $10,%eax; and $0x3ffff,%eax;"
		"lea 0x10000000(%rax),%rdi; mov %r8d,%ecx; shr $28,%ecx;"
		"cmp $6,%ecx; ja 2f; mov (%rdi),%rdx; jmp 1b;"
		"2: cmp $9,%ecx; ja 3f; mov %r8,(%rdi); jmp 1b;"
		"3: cmp $11,%ecx; ja 4f; and $-8,%rdi; lock incq (%rdi);"
		"jmp 1b;"
		"4: cmp $13,%ecx; ja 5f; mov $9,%ecx; rep stosb; jmp 1b;"
		"5: and $-4096,%rdi; movb $0xc3,(%rdi); call *%rdi; jmp 1b");

struct race {
	struct abi a;
	int vcpu[VCPUS];
	struct kvm_run *run[VCPUS];
	uint8_t *arena;
	uint64_t ends[64]; /* KVM_RUNs by exit reason, atomic */
	bool stop;         /* atomic */
};

struct runner {
	struct race *r;
	unsigned int n;
};

static uint64_t seed;

static uint64_t one_of(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static bool stopped(struct race *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_ACQUIRE);
}

/* At the walk's start; its code and stack are in a slot that stays. */
static void begin(struct race *r, unsigned int n)
{
	struct kvm_regs regs = {.rip = OWN(n),
				.rsp = STACK(n) + 0x800,
				.rflags = 2,
				.r8 = r->ends[KVM_EXIT_SHUTDOWN] + n};
	struct kvm_vcpu_events e;

	/* What an exit has left undone is done before registers are set. */
	r->run[n]->immediate_exit = 1;
	CALL(r->vcpu[n], KVM_RUN, 0);
	OK(r->vcpu[n], KVM_GET_VCPU_EVENTS, &e);
	memset(&e.exception, 0, sizeof(e.exception));
	OK(r->vcpu[n], KVM_SET_VCPU_EVENTS, &e);
	OK(r->vcpu[n], KVM_SET_REGS, &regs);
}

/*
 * Ends of a KVM_RUN that come from memory which is not there, and those of the
 * code that a vCPU finds where the other has stored.
 */
static bool is_expected(int ret, uint32_t reason)
{
	if (ret)
		return ret == -EINTR || ret == -EFAULT;
	return reason == KVM_EXIT_MMIO || reason == KVM_EXIT_SHUTDOWN ||
	       reason == KVM_EXIT_INTERNAL_ERROR || reason == KVM_EXIT_IO ||
	       reason == KVM_EXIT_HLT;
}

static void *run(void *arg)
{
	const struct runner *me = arg;
	struct kvm_run *k = me->r->run[me->n];
	int ret;

	while (!stopped(me->r)) {
		ret = CALL(me->r->vcpu[me->n], KVM_RUN, 0);
		if (!is_expected(ret, k->exit_reason)) {
			fprintf(stderr, "KVM_RUN: %d, exit reason %u\n", ret,
				k->exit_reason);
			abort();
		}
		__atomic_fetch_add(&me->r->ends[ret ? 0 : k->exit_reason], 1,
				   __ATOMIC_RELAXED);
		if (ret ? ret == -EFAULT : k->exit_reason != KVM_EXIT_MMIO)
			begin(me->r, me->n);
		k->immediate_exit = 0;
	}
	return NULL;
}

/* Refused when slots would overlap, or a slot that is there would change. */
static void change_slot(struct race *r)
{
	uint64_t at = one_of(PAGES), n = one_of(4) ? 1 + one_of(16) : 0;
	uint64_t from = one_of(ARENA - 16);
	struct kvm_userspace_memory_region m = {
		.slot = 1 + (uint32_t)one_of(SLOTS),
		.flags = one_of(3) ? 0 : (uint32_t)one_of(4),
		.guest_phys_addr = WINDOW + at * 4096,
		.memory_size = n * 4096,
		.userspace_addr = (uintptr_t)r->arena + from * 4096,
	};
	int ret = CALL(r->a.vm, KVM_SET_USER_MEMORY_REGION, &m);

	assert_true(!ret || ret == -EINVAL || ret == -EEXIST);
}

static void read_log(struct race *r)
{
	uint64_t map[1] = {0};
	struct kvm_dirty_log l = {.slot = 1 + (uint32_t)one_of(SLOTS),
				  .dirty_bitmap = map};
	int ret = CALL(r->a.vm, KVM_GET_DIRTY_LOG, &l);

	assert_true(!ret || ret == -ENOENT);
}

/* As VMMs do that give memory back, swap it or let it fault. */
static void change_memory(struct race *r)
{
	uint64_t n = 1 + one_of(8), at = one_of(ARENA - n);
	uint8_t *p = r->arena + at * 4096;

	switch (one_of(5)) {
	case 0: madvise(p, n * 4096, MADV_DONTNEED); break;
	case 1: mprotect(p, n * 4096, PROT_NONE); break;
	case 2: mprotect(p, n * 4096, PROT_READ); break;
	default: mprotect(p, n * 4096, PROT_READ | PROT_WRITE); break;
	case 4:
		assert_true(mmap(p, n * 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				 0) == p);
		break;
	}
}

static void one_change(struct race *r)
{
	unsigned int n = (unsigned int)one_of(VCPUS);

	switch (one_of(16)) {
	case 0:
	case 1: read_log(r); break;
	case 2:
	case 3: change_memory(r); break;
	case 4:
		r->run[n]->immediate_exit = 1;
		OK(r->vcpu[n], LODGE_KICK, 0);
		break;
	case 5: nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL); break;
	default: change_slot(r); break;
	}
}

/* Client memory that only a walk out of its slots reaches. */
static uint8_t *guarded(void)
{
	uint8_t *p = mmap(NULL, (ARENA + 2) * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	memset(p, 0x5a, 4096);
	memset(p + (ARENA + 1) * 4096, 0x5a, 4096);
	return p + 4096;
}

static void judge_guards(const uint8_t *arena)
{
	for (unsigned int i = 0; i < 4096; i++)
		assert_true(arena[-1 - (int)i] == 0x5a &&
			    arena[ARENA * 4096 + i] == 0x5a);
}

static void open_race(struct race *r)
{
	abi_open(&r->a, 0);
	r->arena = guarded();
	r->vcpu[0] = r->a.vcpu;
	r->run[0] = r->a.run;
	for (unsigned int n = 0; n < VCPUS; n++) {
		if (n)
			r->vcpu[n] = abi_add_vcpu(&r->a, n, &r->run[n]);
		abi_set_cpuid(&r->a, r->vcpu[n]);
		ABI_START(&r->a, r->vcpu[n], walk);
		memcpy(r->a.ram + OWN(n), abi_walk,
		       (size_t)(abi_walk_end - abi_walk));
		begin(r, n);
		r->run[n]->immediate_exit = 0;
	}
}

static void close_race(struct race *r)
{
	for (unsigned int n = 1; n < VCPUS; n++) {
		assert_int_equal(lodge_munmap(r->vcpu[n], r->run[n], 12288), 0);
		assert_int_equal(lodge_close(r->vcpu[n]), 0);
	}
	abi_close(&r->a);
	judge_guards(r->arena);
	munmap(r->arena - 4096, (ARENA + 2) * 4096);
}

/* One VM, so many changes. */
static void one_round(unsigned int changes, uint64_t *ends)
{
	struct race r = {.stop = false};
	struct runner me[VCPUS];
	pthread_t t[VCPUS];

	open_race(&r);
	for (unsigned int n = 0; n < VCPUS; n++) {
		me[n] = (struct runner){&r, n};
		assert_int_equal(pthread_create(&t[n], NULL, run, &me[n]), 0);
	}
	while (changes--)
		one_change(&r);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (unsigned int n = 0; n < VCPUS; n++) {
		r.run[n]->immediate_exit = 1;
		OK(r.vcpu[n], LODGE_KICK, 0);
		pthread_join(t[n], NULL);
	}
	for (unsigned int i = 0; i < 64; i++)
		ends[i] += r.ends[i];
	close_race(&r);
}

static int seconds = 3;

static void test_race(void **state)
{
	time_t end = time(NULL) + seconds;
	uint64_t ends[64] = {0};
	unsigned int rounds = 0;

	(void)state;
	do {
		printf("seed %#lx\n", seed);
		fflush(stdout);
		one_round(3000, ends);
		rounds++;
	} while (time(NULL) < end);
	printf("%u rounds; KVM_RUNs that ended: %lu by MMIO, %lu by shutdown, "
	       "%lu by an error, %lu otherwise\n",
	       rounds, ends[KVM_EXIT_MMIO], ends[KVM_EXIT_SHUTDOWN],
	       ends[KVM_EXIT_INTERNAL_ERROR], ends[0]);
	assert_true(ends[KVM_EXIT_MMIO] > 100);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	if (argc > 1)
		seconds = atoi(argv[1]);
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x5eed0001;
	if (!seed)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
