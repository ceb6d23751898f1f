/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that need no exit: ioeventfds and the coalesced ring.
 */
#include "test/abi/abi.h"

#include <sys/eventfd.h>

/* rdi: gpa, rsi: port; r8: value; a word to each, twice, then port 0x99 */
ABI_GUEST(writes, "mov %esi,%edx; mov %r8d,%eax;"
		  "1: movl %eax,(%rdi); outw %ax,%dx;"
		  "out %al,$0x99; jmp 1b");

static void open_writes(struct abi *a, uint64_t value)
{
	struct kvm_regs regs;

	abi_open(a, 0);
	ABI_START(a, a->vcpu, writes);
	regs = abi_regs(a->vcpu);
	regs.rdi = 0x30000000;
	regs.rsi = 0x500;
	regs.r8 = value;
	OK(a->vcpu, KVM_SET_REGS, &regs);
}

static uint64_t drain(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, 8) == 8 ? n : 0;
}

static void test_ioeventfd(void **state)
{
	int e = eventfd(0, EFD_NONBLOCK), p = eventfd(0, EFD_NONBLOCK);
	struct kvm_ioeventfd m = {.addr = 0x30000000,
				  .len = 4,
				  .fd = e,
				  .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
				  .datamatch = 7};
	struct kvm_ioeventfd io = {
		.addr = 0x500, .fd = p, .flags = KVM_IOEVENTFD_FLAG_PIO};
	struct abi a;

	(void)state;
	open_writes(&a, 7);
	OK(a.vm, KVM_IOEVENTFD, &m);
	OK(a.vm, KVM_IOEVENTFD, &io);
	for (int i = 0; i < 3; i++) {
		abi_run(&a, KVM_EXIT_IO);
		assert_int_equal(a.run->io.port, 0x99);
		assert_int_equal(drain(e), 1);
		assert_int_equal(drain(p), 1);
	}
	m.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	OK(a.vm, KVM_IOEVENTFD, &m);
	abi_run(&a, KVM_EXIT_MMIO);
	FAILS(a.vm, KVM_IOEVENTFD, &m, ENOENT);
	m.flags &= ~(uint32_t)KVM_IOEVENTFD_FLAG_DEASSIGN;
	m.datamatch = 8; /* another value: not this event */
	OK(a.vm, KVM_IOEVENTFD, &m);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	abi_run(&a, KVM_EXIT_MMIO);
	assert_int_equal(drain(e), 0);
	abi_close(&a);
	close(e);
	close(p);
}

/* Sixteen bytes are two accesses, and each goes where it belongs. */
ABI_GUEST(wide, "movq %r8,%xmm0; movq %r9,%xmm1; punpcklqdq %xmm1,%xmm0;"
		"1: movups %xmm0,(%rdi); movups %xmm0,8(%rdi); out %al,$0x99;"
		"jmp 1b");

static void check_half(struct abi *a, uint64_t gpa, uint64_t val)
{
	abi_run(a, KVM_EXIT_MMIO);
	assert_true(a->run->mmio.is_write);
	assert_int_equal(a->run->mmio.phys_addr, gpa);
	assert_int_equal(a->run->mmio.len, 8);
	assert_memory_equal(a->run->mmio.data, &val, 8);
}

static void test_ioeventfd_half(void **state)
{
	struct kvm_ioeventfd m = {.addr = 0x30000008,
				  .len = 8,
				  .fd = eventfd(0, EFD_NONBLOCK),
				  .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
				  .datamatch = 0x1122334455667788};
	struct kvm_regs regs;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	ABI_START(&a, a.vcpu, wide);
	regs = abi_regs(a.vcpu);
	regs.rdi = 0x30000000;
	regs.r8 = regs.r9 = m.datamatch;
	OK(a.vcpu, KVM_SET_REGS, &regs);
	OK(a.vm, KVM_IOEVENTFD, &m);
	for (int i = 0; i < 3; i++) {
		check_half(&a, 0x30000000, m.datamatch);
		check_half(&a, 0x30000010, m.datamatch);
		abi_run(&a, KVM_EXIT_IO);
		assert_int_equal(drain(m.fd), 2);
	}
	abi_close(&a);
	close(m.fd);
}

static void test_ioeventfd_rules(void **state)
{
	int e = eventfd(0, EFD_NONBLOCK);
	struct kvm_ioeventfd good = {.addr = 0x30000000, .len = 4, .fd = e}, m;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	m = good;
	m.len = 3;
	FAILS(a.vm, KVM_IOEVENTFD, &m, EINVAL);
	m.len = 16;
	FAILS(a.vm, KVM_IOEVENTFD, &m, EINVAL);
	m = good;
	m.flags = 0x100;
	FAILS(a.vm, KVM_IOEVENTFD, &m, EINVAL);
	m = good;
	m.len = 0;
	m.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
	FAILS(a.vm, KVM_IOEVENTFD, &m, EINVAL);
	m = good;
	m.addr = -1;
	FAILS(a.vm, KVM_IOEVENTFD, &m, EINVAL);
	m = good;
	m.fd = 999;
	FAILS(a.vm, KVM_IOEVENTFD, &m, EBADF);
	m.fd = a.vm;
	FAILS(a.vm, KVM_IOEVENTFD, &m, EINVAL);
	OK(a.vm, KVM_IOEVENTFD, &good);
	FAILS(a.vm, KVM_IOEVENTFD, &good, EEXIST);
	m = good;
	m.len = 0; /* would answer the same writes */
	FAILS(a.vm, KVM_IOEVENTFD, &m, EEXIST);
	m = good;
	m.len = 2;
	OK(a.vm, KVM_IOEVENTFD, &m);
	m = good;
	m.flags = KVM_IOEVENTFD_FLAG_PIO;
	OK(a.vm, KVM_IOEVENTFD, &m);
	abi_close(&a);
	close(e);
}

static struct kvm_coalesced_mmio_ring *ring_of(const struct abi *a)
{
	return (void *)((uint8_t *)a->run + 8192);
}

static void test_coalesced(void **state)
{
	struct kvm_coalesced_mmio_zone mmio = {.addr = 0x30000000, .size = 8};
	struct kvm_coalesced_mmio_zone pio = {
		.addr = 0x500, .size = 2, .pio = 1};
	struct kvm_coalesced_mmio_ring *ring;
	struct abi a;

	(void)state;
	open_writes(&a, 0x12345678);
	ring = ring_of(&a);
	pio.pio = 2;
	FAILS(a.vm, KVM_REGISTER_COALESCED_MMIO, &pio, EINVAL);
	pio.pio = 1;
	OK(a.vm, KVM_REGISTER_COALESCED_MMIO, &mmio);
	OK(a.vm, KVM_REGISTER_COALESCED_MMIO, &pio);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	assert_int_equal(ring->first, 0);
	assert_int_equal(ring->last, 2);
	assert_int_equal(ring->coalesced_mmio[0].phys_addr, 0x30000000);
	assert_int_equal(ring->coalesced_mmio[0].len, 4);
	assert_int_equal(ring->coalesced_mmio[0].pio, 0);
	assert_memory_equal(ring->coalesced_mmio[0].data, "\x78\x56\x34\x12",
			    4);
	assert_int_equal(ring->coalesced_mmio[1].phys_addr, 0x500);
	assert_int_equal(ring->coalesced_mmio[1].len, 2);
	assert_int_equal(ring->coalesced_mmio[1].pio, 1);
	/* One of 170 slots stays empty; then writes leave as usual. */
	for (int i = 0; i < 83; i++)
		abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(ring->last, 168);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x500);
	assert_int_equal(ring->last, 169);
	ring->first = ring->last;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	assert_int_equal(ring->last, 1);
	mmio.size = 0x1000;
	OK(a.vm, KVM_UNREGISTER_COALESCED_MMIO, &mmio);
	OK(a.vm, KVM_UNREGISTER_COALESCED_MMIO, &mmio);
	abi_run(&a, KVM_EXIT_MMIO);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	/* A client that breaks the ring only loses it. */
	ring->last = 5000;
	abi_run(&a, KVM_EXIT_MMIO);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x500);
	abi_close(&a);
}

static void test_zone_limit(void **state)
{
	struct kvm_coalesced_mmio_zone z = {.addr = 0x30000000, .size = 4};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	for (int i = 0; i < 1000; i++)
		OK(a.vm, KVM_REGISTER_COALESCED_MMIO, &z);
	FAILS(a.vm, KVM_REGISTER_COALESCED_MMIO, &z, ENOSPC);
	OK(a.vm, KVM_UNREGISTER_COALESCED_MMIO, &z);
	OK(a.vm, KVM_REGISTER_COALESCED_MMIO, &z);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ioeventfd),
		cmocka_unit_test(test_ioeventfd_half),
		cmocka_unit_test(test_ioeventfd_rules),
		cmocka_unit_test(test_coalesced),
		cmocka_unit_test(test_zone_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
