/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes under a running guest: the dirty log while it stores, slots that
 * come and go, kicks without end.
 */
#include "test/abi/abi.h"

#include <pthread.h>
#include <time.h>

#define PAGES   512u
#define LOG_GPA 0x10000000ull
#define ROUNDS  150

struct side {
	struct abi *a;
	bool stop; /* atomic */
	uint64_t rounds;
};

static void nap(long ns)
{
	struct timespec ts = {.tv_nsec = ns};

	nanosleep(&ts, NULL);
}

/* Counts up the first word of page after page, in an order of its own. */
ABI_GUEST(store, "xor %esi,%esi; mov $0x10000000,%ebx;"
		 "1: mov %esi,%eax; imul $0x9e3779b1,%eax; shr $23,%eax;"
		 "shl $12,%eax; lea (%rbx,%rax),%rdi; incl (%rdi);"
		 "inc %esi; mov $200,%ecx; 2: dec %ecx; jnz 2b; jmp 1b");

static void *run_thread(void *arg)
{
	struct side *s = arg;
	int ret;

	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		ret = CALL(s->a->vcpu, KVM_RUN, 0);
		if (ret != -EINTR)
			return (void *)(intptr_t)1;
		s->a->run->immediate_exit = 0;
		s->rounds++;
	}
	return NULL;
}

static void stop(struct side *s, pthread_t t)
{
	void *bad;

	__atomic_store_n(&s->stop, true, __ATOMIC_SEQ_CST);
	OK(s->a->vcpu, LODGE_KICK, 0);
	pthread_join(t, &bad);
	assert_null(bad);
}

static bool bit(const uint64_t *map, unsigned int i)
{
	return map[i / 64] >> i % 64 & 1;
}

/*
 * A page that changed between two looks is in the log taken in between or in
 * the next one.
 */
static void test_log(void **state)
{
	static uint64_t log[3][PAGES / 64];
	static uint32_t seen[3][PAGES];
	uint8_t *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region r = {
		.slot = 1,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = LOG_GPA,
		.memory_size = PAGES * 4096,
		.userspace_addr = (uintptr_t)p,
	};
	struct kvm_dirty_log l = {.slot = 1};
	unsigned int changes = 0, quiet = 0;
	struct abi a;
	struct side s = {.a = &a};
	pthread_t t;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	ABI_START(&a, a.vcpu, store);
	pthread_create(&t, NULL, run_thread, &s);
	for (int k = 0; k < ROUNDS; k++) {
		nap(k % 3 * 100000);
		l.dirty_bitmap = log[k % 3];
		OK(a.vm, KVM_GET_DIRTY_LOG, &l);
		for (unsigned int i = 0; i < PAGES; i++)
			seen[k % 3][i] = *(
				volatile uint32_t *)(void *)(p + i * 4096);
		for (unsigned int i = 0; k >= 2 && i < PAGES; i++) {
			quiet += !bit(log[(k - 1) % 3], i);
			if (seen[(k - 2) % 3][i] == seen[(k - 1) % 3][i])
				continue;
			changes++;
			assert_true(bit(log[(k - 1) % 3], i) ||
				    bit(log[k % 3], i));
		}
	}
	stop(&s, t);
	assert_true(changes > 1000);
	assert_true(quiet > 0);
	abi_close(&a);
	munmap(p, PAGES * 4096);
}

/* A slot apart comes and goes while the guest uses another one. */
static void test_slots(void **state)
{
	uint8_t *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region r = {
		.slot = 1,
		.guest_phys_addr = LOG_GPA,
		.memory_size = PAGES * 4096,
		.userspace_addr = (uintptr_t)p,
	};
	struct abi a;
	struct side s = {.a = &a};
	pthread_t t;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	ABI_START(&a, a.vcpu, store);
	pthread_create(&t, NULL, run_thread, &s);
	r.memory_size = 4096;
	for (uint32_t i = 0; i < 3000; i++) {
		r.slot = 2 + i % 200;
		r.guest_phys_addr = 0x20000000 + 0x10000ull * r.slot;
		r.memory_size = i / 200 % 2 ? 0 : 4096;
		OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	}
	stop(&s, t);
	abi_close(&a);
	munmap(p, PAGES * 4096);
}

static void *kick_thread(void *arg)
{
	struct side *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		if (s->rounds++ % 2)
			OK(s->a->vcpu, LODGE_KICK, 0);
		else
			s->a->run->immediate_exit = 1;
	}
	return NULL;
}

/* Every call ends, and the guest gets on in between. */
static void test_kicks(void **state)
{
	struct abi a;
	struct side k = {.a = &a};
	pthread_t t;

	(void)state;
	abi_open(&a, 0);
	memset(a.ram + 0x100000, 0, 4096);
	abi_long(&a, a.vcpu, (const uint8_t[]){0xff, 0xc3, 0xeb, 0xfc}, 4);
	pthread_create(&t, NULL, kick_thread, &k);
	for (int i = 0; i < 4000; i++) {
		FAILS(a.vcpu, KVM_RUN, 0, EINTR);
		a.run->immediate_exit = 0;
	}
	__atomic_store_n(&k.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	assert_true(abi_regs(a.vcpu).rbx > 0);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_kicks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
