/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses to memory nobody has a slot for, by instructions that do more than
 * one: what the client sees at each exit, and what it may change before the
 * instruction is complete. KVM API "KVM_EXIT_MMIO": pending operations are
 * complete only when the vCPU was entered again; immediate_exit does no more.
 */
#include "test/abi/abi.h"

#define DEV  0x3f000000u
#define AWAY 0x3000u /* where clients send the guest: inc %rcx; hlt */

static void start(struct abi *a, const uint8_t *from, const uint8_t *end)
{
	static const uint8_t away[] = {0x48, 0xff, 0xc1, 0xf4};

	abi_open(a, 0);
	abi_set_cpuid(a, a->vcpu);
	memcpy(a->ram + AWAY, away, sizeof(away));
	abi_long(a, a->vcpu, from, (size_t)(end - from));
}
#define START(a, name) start(a, abi_##name, abi_##name##_end)

static void expect_load(struct abi *a, uint64_t gpa, uint32_t len,
			const void *answer)
{
	abi_run(a, KVM_EXIT_MMIO);
	assert_int_equal(a->run->mmio.phys_addr, gpa);
	assert_int_equal(a->run->mmio.len, len);
	assert_false(a->run->mmio.is_write);
	memcpy(a->run->mmio.data, answer, len);
}

static void expect_store(struct abi *a, uint64_t gpa, uint32_t len,
			 const void *data)
{
	abi_run(a, KVM_EXIT_MMIO);
	assert_int_equal(a->run->mmio.phys_addr, gpa);
	assert_int_equal(a->run->mmio.len, len);
	assert_true(a->run->mmio.is_write);
	assert_memory_equal(a->run->mmio.data, data, len);
}

/* Nothing but what is pending. */
static void complete(struct abi *a)
{
	a->run->immediate_exit = 1;
	FAILS(a->vcpu, KVM_RUN, 0, EINTR);
	a->run->immediate_exit = 0;
}

static void send_away(struct abi *a)
{
	struct kvm_regs r = abi_regs(a->vcpu);

	r.rip = AWAY;
	OK(a->vcpu, KVM_SET_REGS, &r);
}

static uint64_t rip(const struct abi *a)
{
	return abi_regs(a->vcpu).rip - ABI_CODE;
}

/*
 * An instruction that waits for a load has not happened; it completes where
 * it was, wherever the client has moved rip.
 */
ABI_GUEST(loads, "mov $0x3f000000, %ebx\n" /* 0 */
		 "mov 8(%rbx), %rax\n"     /* 5 */
		 "lgdt 0x20(%rbx)\n"       /* 9 */
		 "hlt\n" /* 13 */);

static void test_load_moved(void **state)
{
	uint64_t val = 0x0123456789abcdef, base = 0x123000;
	uint16_t limit = 0x77;
	struct kvm_sregs s;
	struct abi a;

	(void)state;
	START(&a, loads);
	expect_load(&a, DEV + 8, 8, &val);
	assert_int_equal(rip(&a), 5);
	assert_int_equal(abi_regs(a.vcpu).rax, 0);
	send_away(&a);
	complete(&a);
	assert_int_equal(rip(&a), 9);
	assert_true(abi_regs(a.vcpu).rax == val);

	expect_load(&a, DEV + 0x20, 2, &limit);
	assert_int_equal(rip(&a), 9);
	send_away(&a);
	a.run->immediate_exit = 1; /* the rest of it comes first */
	expect_load(&a, DEV + 0x22, 8, &base);
	OK(a.vcpu, KVM_GET_SREGS, &s);
	assert_int_equal(s.gdt.limit, 23);
	complete(&a);
	assert_int_equal(rip(&a), 13);
	OK(a.vcpu, KVM_GET_SREGS, &s);
	assert_int_equal(s.gdt.limit, limit);
	assert_int_equal(s.gdt.base, base);
	abi_run(&a, KVM_EXIT_HLT);
	abi_close(&a);
}

/* One whose stores leave is complete, and the client's rip stays. */
ABI_GUEST(stores, "mov $0x3f000000, %ebx\n" /* 0 */
		  "mov %rbx, (%rbx)\n"      /* 5 */
		  "sgdt 0x20(%rbx)\n"       /* 8 */
		  "hlt\n" /* 12 */);

static void test_store_moved(void **state)
{
	static const uint8_t gdtr[10] = {23, 0, 0, 0x80};
	uint64_t rbx = DEV;
	struct abi a;

	(void)state;
	START(&a, stores);
	expect_store(&a, DEV, 8, &rbx);
	assert_int_equal(rip(&a), 8);
	expect_store(&a, DEV + 0x20, 8, gdtr);
	assert_int_equal(rip(&a), 12);
	send_away(&a);
	a.run->immediate_exit = 1;
	expect_store(&a, DEV + 0x28, 2, gdtr + 8);
	complete(&a);
	assert_int_equal(abi_regs(a.vcpu).rip, AWAY);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rcx, 1);
	abi_close(&a);
}

/* Ports and memory alternate; each port is accessed once an element. */
ABI_GUEST(strings, "mov $0x3f000000, %edi\n" /* 0 */
		   "mov $0x40, %edx\n"       /* 5 */
		   "mov $2, %ecx\n"          /* 10 */
		   "rep insl\n"              /* 15 */
		   "mov $0x3f000010, %esi\n" /* 17 */
		   "mov $2, %ecx\n"          /* 22 */
		   "rep outsl\n"             /* 27 */
		   "hlt\n" /* 29 */);

static uint8_t *expect_port(struct abi *a, int direction)
{
	abi_run(a, KVM_EXIT_IO);
	assert_int_equal(a->run->io.direction, direction);
	assert_int_equal(a->run->io.port, 0x40);
	assert_int_equal(a->run->io.size, 4);
	assert_int_equal(a->run->io.count, 1);
	return (uint8_t *)a->run + a->run->io.data_offset;
}

static void test_port_strings(void **state)
{
	struct abi a;

	(void)state;
	START(&a, strings);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t val = 0xa0b0c0d0 + i;

		memcpy(expect_port(&a, KVM_EXIT_IO_IN), &val, 4);
		assert_int_equal(abi_regs(a.vcpu).rcx, 2 - i);
		a.run->immediate_exit = i;
		expect_store(&a, DEV + 4 * i, 4, &val);
		complete(&a);
		assert_int_equal(abi_regs(a.vcpu).rcx, 1 - i);
		assert_int_equal(abi_regs(a.vcpu).rdi, DEV + 4 * i + 4);
		assert_int_equal(rip(&a), i ? 17 : 15);
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t val = 0x10203040 + i;

		expect_load(&a, DEV + 0x10 + 4 * i, 4, &val);
		assert_int_equal(abi_regs(a.vcpu).rcx, 2 - i);
		assert_memory_equal(expect_port(&a, KVM_EXIT_IO_OUT), &val, 4);
	}
	abi_run(&a, KVM_EXIT_HLT);
	abi_close(&a);
}

/* An interrupt that comes between two stores waits for the second. */
ABI_GUEST(interrupted, "sti; nop\n"
		       "sgdt 0x3f000000\n" /* 2: 8 bytes */
		       "hlt\n" /* 10 */);

static void test_interrupt(void **state)
{
	static const uint8_t gdtr[10] = {23, 0, 0, 0x80}, hlt = 0xf4;
	struct kvm_interrupt irq = {.irq = 0x20};
	struct abi a;

	(void)state;
	START(&a, interrupted);
	abi_idt(&a, a.vcpu);
	abi_gate(&a, 0x20, 0x4000);
	memcpy(a.ram + 0x4000, &hlt, 1);
	expect_store(&a, DEV, 8, gdtr);
	OK(a.vcpu, KVM_INTERRUPT, &irq);
	expect_store(&a, DEV + 8, 2, gdtr + 8);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rip, 0x4001);
	assert_int_equal(ABI_WORD(&a, abi_regs(a.vcpu).rsp), ABI_CODE + 10);
	abi_close(&a);
}

/*
 * A store to a chip that raises an interrupt, single-stepped: the trap is the
 * instruction's and comes first, the interrupt is not lost.
 */
ABI_GUEST(stepped, "mov $0xfee00000, %ebx\n"
		   "movl $0x1ff, 0xf0(%rbx)\n"
		   "xor %ecx, %ecx; xor %edx, %edx; sti\n"
		   "pushf; orl $0x100, (%rsp); popf\n"
		   "movl $0x40020, 0x300(%rbx)\n" /* to itself: 0x20 */
		   "nop; nop; out %al, $0x10\n");
ABI_GUEST(on_step, "shl $4, %rcx; inc %rcx; andl $~0x100, 16(%rsp); iretq\n");
ABI_GUEST(on_irq, "mov %rcx, %rdx; shl $4, %rcx; add $2, %rcx\n"
		  "movl $0, 0xb0(%rbx); iretq\n");

static void test_step(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, stepped);
	abi_idt(&a, a.vcpu);
	abi_gate(&a, 1, 0x4000);
	abi_gate(&a, 0x20, 0x5000);
	memcpy(a.ram + 0x4000, abi_on_step,
	       (size_t)(abi_on_step_end - abi_on_step));
	memcpy(a.ram + 0x5000, abi_on_irq,
	       (size_t)(abi_on_irq_end - abi_on_irq));
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(abi_regs(a.vcpu).rcx, 0x12);
	abi_close(&a);
}

/* What the client does to memory slots counts for the rest. */
ABI_GUEST(moves, "mov $0x3f000000, %esi\n"
		 "mov $0x800000, %edi\n"
		 "cld; movsq; movsq; movsq\n"
		 "sgdt (%rdi)\n"
		 "hlt\n");

static uint8_t slot_a[4096] __attribute__((aligned(4096)));
static uint8_t slot_b[4096] __attribute__((aligned(4096)));

static void set_slot(struct abi *a, void *hva, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = 1,
		.flags = flags,
		.guest_phys_addr = 0x800000,
		.memory_size = hva ? 4096 : 0,
		.userspace_addr = (uintptr_t)hva,
	};

	OK(a->vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static uint64_t dirty(struct abi *a)
{
	uint64_t bits = 0;
	struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = &bits};

	OK(a->vm, KVM_GET_DIRTY_LOG, &log);
	return bits;
}

static void test_slots(void **state)
{
	static const uint8_t gdtr[10] = {23, 0, 0, 0x80};
	uint64_t val = 0x1111, in_b = 0;
	struct abi a;

	(void)state;
	START(&a, moves);
	set_slot(&a, slot_a, KVM_MEM_LOG_DIRTY_PAGES);
	/* collected while the store is still to come: collected again */
	expect_load(&a, DEV, 8, &val);
	dirty(&a);
	complete(&a);
	assert_int_equal(dirty(&a), 1);
	assert_memory_equal(slot_a, &val, 8);
	/* other memory */
	val = 0x2222;
	expect_load(&a, DEV + 8, 8, &val);
	set_slot(&a, NULL, 0);
	set_slot(&a, slot_b, 0);
	complete(&a);
	memcpy(&in_b, slot_b + 8, 8);
	assert_int_equal(in_b, val);
	assert_memory_equal(slot_a + 8, "\0\0\0\0\0\0\0", 8);
	/* none */
	val = 0x3333;
	expect_load(&a, DEV + 16, 8, &val);
	set_slot(&a, NULL, 0);
	expect_store(&a, 0x800010, 8, &val);
	/* and memory that cannot be written */
	set_slot(&a, slot_b, KVM_MEM_READONLY);
	expect_store(&a, 0x800018, 8, gdtr);
	expect_store(&a, 0x800020, 2, gdtr + 8);
	abi_run(&a, KVM_EXIT_HLT);
	assert_memory_equal(slot_b + 0x18, "\0\0\0\0\0\0\0", 8);
	abi_close(&a);
}

/* ---- what KVM cannot do either ---- */

static void expect_error(struct abi *a, uint32_t suberror)
{
	abi_run(a, KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(a->run->internal.suberror, suberror);
}

ABI_GUEST(fetch, "mov $0x3f000000, %eax; jmp *%rax\n");
ABI_GUEST(deliver, "mov $0x3f000800, %esp; ud2\n");

static void test_refused(void **state)
{
	struct abi a;

	(void)state;
	START(&a, fetch);
	expect_error(&a, KVM_INTERNAL_ERROR_EMULATION);
	assert_int_equal(abi_regs(a.vcpu).rip, DEV);
	abi_close(&a);
	START(&a, deliver);
	abi_idt(&a, a.vcpu);
	abi_gate(&a, 6, 0x4000);
	expect_error(&a, KVM_INTERNAL_ERROR_DELIVERY_EV);
	abi_close(&a);
}

/* A task in MMIO: 32-bit code, ljmp $0x18,$0. */
static void test_task(void **state)
{
	static const uint8_t code[] = {0xea, 0, 0, 0, 0, 0x18, 0};
	struct kvm_sregs s;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_set_cpuid(&a, a.vcpu);
	abi_long(&a, a.vcpu, code, sizeof(code));
	OK(a.vcpu, KVM_GET_SREGS, &s);
	s.cr0 = 0x11;
	s.cr4 = 0;
	s.efer = 0;
	s.cs.l = 0;
	s.cs.db = 1;
	s.gdt.limit = 31;
	s.tr.base = 0x6000;
	s.tr.limit = 0x67;
	s.tr.type = 11;
	s.tr.present = 1;
	s.tr.unusable = 0;
	OK(a.vcpu, KVM_SET_SREGS, &s);
	ABI_WORD(&a, s.gdt.base + 0x18) = 0x3f00890000000067;
	expect_error(&a, KVM_INTERNAL_ERROR_EMULATION);
	assert_int_equal(rip(&a), 0);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load_moved),
		cmocka_unit_test(test_store_moved),
		cmocka_unit_test(test_port_strings),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_step),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
