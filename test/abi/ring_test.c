/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_CAP_DIRTY_LOG_RING: what may be set when, the mapping, and that every
 * page comes out once for each time it was given back.
 */
#include "test/abi/abi.h"

#include "include/uapi/kvm_new.h"

#define GPA     0x10000000ull
#define PAGES   512u
#define ENTRIES 1024u
#define BYTES   (ENTRIES * sizeof(struct kvm_dirty_gfn))
#define OFFSET  (KVM_DIRTY_LOG_PAGE_OFFSET * 4096ull)

/* Store to every page of [rdi, rsi), tell by port 0x99, do it again. */
ABI_GUEST(stores, "2: mov %rdi,%rbx; 1: movb $1,(%rbx); add $4096,%rbx;"
		  "cmp %rsi,%rbx; jb 1b; out %al,$0x99; jmp 2b");

struct ringed {
	struct abi a;
	uint8_t *mem;
	struct kvm_dirty_gfn *gfn;
	uint32_t fetch; /* entries seen */
	uint8_t seen[PAGES];
};

static int enable(int vm, uint32_t cap, uint64_t bytes)
{
	struct kvm_enable_cap c = {.cap = cap, .args = {bytes}};

	return CALL(vm, KVM_ENABLE_CAP, &c);
}

static void open_ring(struct ringed *r)
{
	struct kvm_userspace_memory_region m = {
		.slot = 3,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = GPA,
		.memory_size = PAGES * 4096,
	};
	struct kvm_regs regs;
	void *p;

	memset(r, 0, sizeof(*r));
	abi_open(&r->a, ABI_NO_VCPU);
	assert_int_equal(enable(r->a.vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, BYTES),
			 0);
	r->a.vcpu = abi_add_vcpu(&r->a, 0, &r->a.run);
	assert_int_equal(lodge_mmap(r->a.vcpu, BYTES, PROT_READ | PROT_WRITE,
				    MAP_SHARED, OFFSET, &p),
			 0);
	r->gfn = p;
	r->mem = mmap(NULL, m.memory_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m.userspace_addr = (uintptr_t)r->mem;
	OK(r->a.vm, KVM_SET_USER_MEMORY_REGION, &m);
	ABI_START(&r->a, r->a.vcpu, stores);
	regs = abi_regs(r->a.vcpu);
	regs.rdi = GPA;
	regs.rsi = GPA + PAGES * 4096;
	OK(r->a.vcpu, KVM_SET_REGS, &regs);
}

static void close_ring(struct ringed *r)
{
	assert_int_equal(lodge_munmap(r->a.vcpu, r->gfn, BYTES), 0);
	abi_close(&r->a);
	munmap(r->mem, PAGES * 4096);
}

/* Take what is there; each page may be there once. */
static uint32_t collect(struct ringed *r)
{
	uint32_t n = 0;

	for (;;) {
		struct kvm_dirty_gfn *e = &r->gfn[r->fetch % ENTRIES];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) !=
		    KVM_DIRTY_GFN_F_DIRTY)
			return n;
		assert_int_equal(e->slot, 3);
		assert_true(e->offset < PAGES);
		assert_int_equal(r->seen[e->offset]++, 0);
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET,
				 __ATOMIC_RELEASE);
		r->fetch++;
		n++;
	}
}

static void test_rules(void **state)
{
	struct kvm_dirty_log log = {.slot = 0};
	struct kvm_clear_dirty_log clear = {.slot = 0};
	struct abi a;
	void *p;

	(void)state;
	abi_open(&a, ABI_NO_VCPU);
	assert_int_equal(
		CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING_ACQ_REL),
		1 << 20);
	FAILS(a.vm, KVM_RESET_DIRTY_RINGS, 0, EINVAL);
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, 0), -EINVAL);
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, 20000), -EINVAL);
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, 2048), -EINVAL);
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, 4096), -EINVAL);
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, 2 << 20), -E2BIG);
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, BYTES), 0);
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, BYTES), -EINVAL);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	assert_int_equal(CALL(a.sys, KVM_GET_VCPU_MMAP_SIZE, 0), 12288);
	FAILS(a.vm, KVM_GET_DIRTY_LOG, &log, ENXIO);
	FAILS(a.vm, KVM_CLEAR_DIRTY_LOG, &clear, ENXIO);
	assert_int_equal(
		lodge_mmap(a.vcpu, BYTES, PROT_READ, MAP_PRIVATE, OFFSET, &p),
		-EINVAL);
	assert_int_equal(lodge_mmap(a.vcpu, BYTES, PROT_READ | PROT_EXEC,
				    MAP_SHARED, OFFSET, &p),
			 -EINVAL);
	assert_int_equal(lodge_mmap(a.vcpu, 4096, PROT_READ, MAP_PRIVATE,
				    OFFSET + BYTES - 4096, &p),
			 -EINVAL);
	assert_int_equal(CALL(a.vm, KVM_RESET_DIRTY_RINGS, 0), 0);
	abi_close(&a);
	abi_open(&a, 0); /* too late */
	assert_int_equal(enable(a.vm, KVM_CAP_DIRTY_LOG_RING, BYTES), -EINVAL);
	abi_close(&a);
}

static void test_full(void **state)
{
	struct ringed r;
	uint32_t n;

	(void)state;
	open_ring(&r);
	abi_run(&r.a, KVM_EXIT_DIRTY_RING_FULL);
	abi_run(&r.a, KVM_EXIT_DIRTY_RING_FULL);
	n = collect(&r);
	assert_in_range(n, ENTRIES - 576, PAGES - 1);
	/* Collected is not given back yet. */
	abi_run(&r.a, KVM_EXIT_DIRTY_RING_FULL);
	assert_int_equal(CALL(r.a.vm, KVM_RESET_DIRTY_RINGS, 0), n);
	abi_run(&r.a, KVM_EXIT_IO);
	n += collect(&r);
	assert_int_equal(n, PAGES);
	close_ring(&r);
}

/* Given back, a page comes again; not given back, it does not. */
static void test_again(void **state)
{
	struct ringed r;
	struct kvm_regs regs;

	(void)state;
	open_ring(&r);
	regs = abi_regs(r.a.vcpu);
	regs.rsi = GPA + 100 * 4096;
	OK(r.a.vcpu, KVM_SET_REGS, &regs);
	abi_run(&r.a, KVM_EXIT_IO);
	assert_int_equal(collect(&r), 100);
	abi_run(&r.a, KVM_EXIT_IO);
	assert_int_equal(collect(&r), 0);
	for (int i = 0; i < 30; i++) {
		memset(r.seen, 0, sizeof(r.seen));
		assert_int_equal(CALL(r.a.vm, KVM_RESET_DIRTY_RINGS, 0), 100);
		assert_int_equal(CALL(r.a.vm, KVM_RESET_DIRTY_RINGS, 0), 0);
		abi_run(&r.a, KVM_EXIT_IO);
		assert_int_equal(collect(&r), 100);
	}
	close_ring(&r);
}

/* Entries that name what is not there do no harm. */
static void test_forged(void **state)
{
	struct kvm_userspace_memory_region m = {.slot = 3};
	struct ringed r;
	uint32_t n = 0;

	(void)state;
	open_ring(&r);
	abi_run(&r.a, KVM_EXIT_DIRTY_RING_FULL);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		n += r.gfn[i].flags == KVM_DIRTY_GFN_F_DIRTY;
		r.gfn[i].slot = i & 1 ? 0xffffffff : 3;
		r.gfn[i].offset = -1ull << (i % 60);
		r.gfn[i].flags = KVM_DIRTY_GFN_F_RESET;
	}
	assert_int_equal(CALL(r.a.vm, KVM_RESET_DIRTY_RINGS, 0), n);
	abi_run(&r.a, KVM_EXIT_IO);
	OK(r.a.vm, KVM_SET_USER_MEMORY_REGION, &m);
	for (uint32_t i = 0; i < ENTRIES; i++)
		r.gfn[i].flags = KVM_DIRTY_GFN_F_RESET;
	assert_int_equal(CALL(r.a.vm, KVM_RESET_DIRTY_RINGS, 0), PAGES - n);
	close_ring(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
