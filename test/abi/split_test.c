/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_CAP_SPLIT_IRQCHIP: local APICs of ours, PIC and IOAPIC of the client.
 * The guest counts interrupts at 0x20000 and leaves by port 0x99.
 */
#include "test/abi/abi.h"

#include <sys/eventfd.h>

#define COUNT   0x20000
#define HANDLER 0x3000u

static int split(int vm, uint64_t pins)
{
	struct kvm_enable_cap c = {.cap = KVM_CAP_SPLIT_IRQCHIP,
				   .args = {pins}};

	return CALL(vm, KVM_ENABLE_CAP, &c);
}

static void open_split(struct abi *a, uint64_t pins)
{
	abi_open(a, ABI_NO_VCPU);
	assert_int_equal(split(a->vm, pins), 0);
	a->vcpu = abi_add_vcpu(a, 0, &a->run);
	abi_set_cpuid(a, a->vcpu);
}

static void test_rules(void **state)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	struct kvm_irq_level l = {.irq = 5, .level = 1};
	struct kvm_lapic_state lapic;
	struct kvm_pit_config pit = {0};
	struct {
		struct kvm_irq_routing h;
		struct kvm_irq_routing_entry e;
	} r = {.h.nr = 1,
	       .e = {.gsi = 5,
		     .type = KVM_IRQ_ROUTING_IRQCHIP,
		     .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = 5}}};
	int e = eventfd(0, EFD_NONBLOCK);
	struct kvm_irqfd f = {.fd = (uint32_t)e, .gsi = 5};
	struct abi a;

	(void)state;
	abi_open(&a, ABI_NO_VCPU);
	assert_int_equal(CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_SPLIT_IRQCHIP),
			 1);
	assert_int_equal(split(a.vm, 4097), -EINVAL);
	assert_int_equal(split(a.vm, 24), 0);
	assert_int_equal(split(a.vm, 24), -EEXIST);
	FAILS(a.vm, KVM_CREATE_IRQCHIP, 0, EEXIST);
	FAILS(a.vm, KVM_CREATE_PIT2, &pit, ENOENT);
	FAILS(a.vm, KVM_GET_IRQCHIP, &chip, ENXIO);
	FAILS(a.vm, KVM_SET_IRQCHIP, &chip, ENXIO);
	FAILS(a.vm, KVM_SET_GSI_ROUTING, &r, EINVAL);
	OK(a.vm, KVM_IRQ_LINE, &l); /* there are no routes: nobody hears */
	OK(a.vm, KVM_IRQ_LINE_STATUS, &l);
	assert_int_equal(l.status, -1);
	OK(a.vm, KVM_IRQFD, &f);
	f.flags = KVM_IRQFD_FLAG_DEASSIGN;
	OK(a.vm, KVM_IRQFD, &f);
	f.flags = KVM_IRQFD_FLAG_RESAMPLE;
	f.resamplefd = (uint32_t)e;
	FAILS(a.vm, KVM_IRQFD, &f, EINVAL);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	OK(a.vcpu, KVM_GET_LAPIC, &lapic);
	assert_int_equal(split(a.vm, 24), -EEXIST);
	abi_close(&a);
	abi_open(&a, 0);
	assert_int_equal(split(a.vm, 24), -EEXIST);
	abi_close(&a);
	abi_open(&a, ABI_IRQCHIP);
	assert_int_equal(split(a.vm, 24), -EEXIST);
	abi_close(&a);
	close(e);
}

ABI_GUEST(count, "incl 0x20000; iretq");

/* rbx: the local APIC; it is enabled, LINT0 as after reset. */
ABI_GUEST(pic_client, "mov $0xfee00000,%ebx; movl $0x1ff,0xf0(%rbx);"
		      "cli; out %al,$0x97; sti; nop; nop;"
		      "cli; out %al,$0x98;"
		      /* LINT0 masked: nothing of the PIC's comes */
		      "movl $0x10700,0x350(%rbx); sti; nop; nop;"
		      "out %al,$0x96; cli; movl $0x700,0x350(%rbx);"
		      "1: sti; hlt; cli; out %al,$0x99; jmp 1b");

static void test_pic(void **state)
{
	struct kvm_interrupt irq = {.irq = 0x70};
	struct kvm_vcpu_events ev;
	struct abi a;

	(void)state;
	open_split(&a, 24);
	memcpy(a.ram + HANDLER, abi_count, (size_t)(abi_count_end - abi_count));
	abi_gate(&a, 0x70, HANDLER);
	ABI_START(&a, a.vcpu, pic_client);
	abi_idt(&a, a.vcpu);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x97);
	assert_int_equal(a.run->ready_for_interrupt_injection, 0);
	a.run->request_interrupt_window = 1;
	abi_run(&a, KVM_EXIT_IRQ_WINDOW_OPEN);
	assert_int_equal(a.run->ready_for_interrupt_injection, 1);
	a.run->request_interrupt_window = 0;
	OK(a.vcpu, KVM_INTERRUPT, &irq);
	FAILS(a.vcpu, KVM_INTERRUPT, &irq, EEXIST);
	irq.irq = 256;
	FAILS(a.vcpu, KVM_INTERRUPT, &irq, EINVAL);
	/* It is the PIC's still, not an event of the processor. */
	OK(a.vcpu, KVM_GET_VCPU_EVENTS, &ev);
	assert_int_equal(ev.interrupt.injected, 0);
	OK(a.vcpu, KVM_SET_VCPU_EVENTS, &ev);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x98);
	assert_int_equal(ABI_WORD(&a, COUNT), 1);
	a.run->request_interrupt_window = 1;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x96);
	assert_int_equal(a.run->ready_for_interrupt_injection, 0);
	a.run->request_interrupt_window = 0;
	irq.irq = 0x70;
	OK(a.vcpu, KVM_INTERRUPT, &irq); /* wakes from HLT */
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	assert_int_equal(ABI_WORD(&a, COUNT), 2);
	abi_close(&a);
}

/* EOI by memory, then by MSR; the marker port tells that it is complete. */
ABI_GUEST(level, "incl 0x20000; movl $0,0xb0(%rbx); movl $1,0x20010; iretq");
ABI_GUEST(level_x2, "incl 0x20000; mov $0x80b,%ecx; xor %eax,%eax;"
		    "xor %edx,%edx; wrmsr; movl $1,0x20010; iretq");
ABI_GUEST(ioapic_client,
	  "mov $0xfee00000,%ebx; movl $0x1ff,0xf0(%rbx);"
	  "out %al,$0x97; 1: sti; hlt; cli; out %al,$0x99; jmp 1b");
ABI_GUEST(ioapic_client_x2,
	  "mov $0x1b,%ecx; rdmsr; or $0xc00,%eax; wrmsr;"
	  "mov $0x80f,%ecx; mov $0x1ff,%eax; xor %edx,%edx; wrmsr;"
	  "out %al,$0x97; 1: sti; hlt; cli; out %al,$0x99; jmp 1b");

struct routes {
	struct kvm_irq_routing h;
	struct kvm_irq_routing_entry e[3];
};

static const struct routes routes = {
	.h.nr = 3,
	.e = {{.gsi = 5,
	       .type = KVM_IRQ_ROUTING_MSI,
	       .u.msi = {.address_lo = 0xfee00000, .data = 0x8050}},
	      {.gsi = 6,
	       .type = KVM_IRQ_ROUTING_MSI,
	       .u.msi = {.address_lo = 0xfee00000, .data = 0x51}},
	      {.gsi = 30, /* level, but no pin of the IOAPIC */
	       .type = KVM_IRQ_ROUTING_MSI,
	       .u.msi = {.address_lo = 0xfee00000, .data = 0x8052}}}};

static void raise_gsi(struct abi *a, uint32_t gsi)
{
	struct kvm_irq_level l = {.irq = gsi, .level = 1};

	OK(a->vm, KVM_IRQ_LINE_STATUS, &l);
	assert_int_equal(l.status, 1);
}

static void expect_count(struct abi *a, uint64_t n)
{
	abi_run(a, KVM_EXIT_IO);
	assert_int_equal(a->run->io.port, 0x99);
	assert_int_equal(ABI_WORD(a, COUNT), n);
}

/* @eoi_end: offset in the handler behind the end of the interrupt */
static void check_eoi(struct abi *a, uint64_t eoi_end)
{
	struct routes moved = routes;

	abi_run(a, KVM_EXIT_IO);
	OK(a->vm, KVM_SET_GSI_ROUTING, &routes);
	for (uint64_t i = 1; i < 5; i++) {
		raise_gsi(a, 5);
		ABI_WORD(a, 0x20010) = 0;
		abi_run(a, KVM_EXIT_IOAPIC_EOI);
		assert_int_equal(a->run->eoi.vector, 0x50);
		assert_int_equal(ABI_WORD(a, 0x20010), 0);
		assert_int_equal(abi_regs(a->vcpu).rip, HANDLER + eoi_end);
		expect_count(a, i);
	}
	raise_gsi(a, 6); /* edge */
	expect_count(a, 5);
	raise_gsi(a, 30);
	expect_count(a, 6);
	/* What was sent before its route changed is told of all the same. */
	raise_gsi(a, 5);
	moved.e[0].u.msi.data = 0x8051;
	OK(a->vm, KVM_SET_GSI_ROUTING, &moved);
	abi_run(a, KVM_EXIT_IOAPIC_EOI);
	assert_int_equal(a->run->eoi.vector, 0x50);
	expect_count(a, 7);
	raise_gsi(a, 5);
	abi_run(a, KVM_EXIT_IOAPIC_EOI);
	assert_int_equal(a->run->eoi.vector, 0x51);
	expect_count(a, 8);
}

static void test_eoi(void **state)
{
	struct abi a;

	(void)state;
	open_split(&a, 24);
	memcpy(a.ram + HANDLER, abi_level, (size_t)(abi_level_end - abi_level));
	for (unsigned int v = 0x50; v < 0x53; v++)
		abi_gate(&a, v, HANDLER);
	ABI_START(&a, a.vcpu, ioapic_client);
	abi_idt(&a, a.vcpu);
	check_eoi(&a, 17);
	abi_close(&a);
}

static void test_eoi_x2apic(void **state)
{
	struct abi a;

	(void)state;
	open_split(&a, 24);
	memcpy(a.ram + HANDLER, abi_level_x2,
	       (size_t)(abi_level_x2_end - abi_level_x2));
	for (unsigned int v = 0x50; v < 0x53; v++)
		abi_gate(&a, v, HANDLER);
	ABI_START(&a, a.vcpu, ioapic_client_x2);
	abi_idt(&a, a.vcpu);
	check_eoi(&a, 18);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_pic),
		cmocka_unit_test(test_eoi),
		cmocka_unit_test(test_eoi_x2apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
