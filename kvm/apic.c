/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APICs: delivery between them, the timer's deadline, the MMIO page,
 * and the ioctls that carry their state. Registers and rules are chip/lapic.
 */
#include "kvm/apic.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/msr.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define CPUID1_X2APIC       BIT(21) /* ECX */
#define CPUID1_TSC_DEADLINE BIT(24)

static bool accept(struct vcpu *v, const struct irq_msg *m)
{
	switch (m->delivery) {
	case IRQ_FIXED:
	case IRQ_LOWEST:
		if (!lapic_set_irq(&v->lapic, m->vector, m->level_trig))
			return false;
		vcpu_kick(v);
		return true;
	case IRQ_NMI: vcpu_post_nmi(v); return true;
	case IRQ_INIT:
		if (m->level_trig && !m->assert_)
			return false;
		vcpu_post_init(v);
		return true;
	case IRQ_STARTUP: vcpu_post_sipi(v, m->vector); return true;
	default: return false; /* SMI: no SMM; ExtINT comes from the PIC */
	}
}

static int deliver_lowest(struct vm *vm, const struct lapic *src,
			  const struct irq_msg *m)
{
	uint32_t n = vm_vcpus(vm);
	struct lapic *best = NULL;

	for (uint32_t i = 0; i < n; i++)
		if (lapic_match_dest(&vm->vcpus[i]->lapic, src, m))
			best = lapic_arbitrate(best, &vm->vcpus[i]->lapic);
	if (!best)
		return -1;
	lapic_arbitrated(best);
	return accept(container_of(best, struct vcpu, lapic), m);
}

int apic_deliver(struct vm *vm, const struct lapic *src,
		 const struct irq_msg *m)
{
	uint32_t n = vm_vcpus(vm);
	int taken = -1;

	if (irq_msg_is_lowest(m))
		return deliver_lowest(vm, src, m);
	for (uint32_t i = 0; i < n; i++) {
		if (!lapic_match_dest(&vm->vcpus[i]->lapic, src, m))
			continue;
		if (taken < 0)
			taken = 0;
		taken += accept(vm->vcpus[i], m);
	}
	return taken;
}

static void apic_send_ipi(void *ctx, const struct irq_msg *m)
{
	struct vcpu *vcpu = ctx;

	apic_deliver(vcpu->vm, &vcpu->lapic, m);
}

static void apic_eoi(void *ctx, uint8_t vector, bool level)
{
	struct vcpu *vcpu = ctx;

	irqchip_eoi(vcpu, vector, level);
}

static void apic_local(void *ctx, enum irq_delivery delivery)
{
	struct vcpu *vcpu = ctx;

	if (delivery == IRQ_NMI)
		vcpu_post_nmi(vcpu);
	else if (delivery == IRQ_INIT)
		vcpu_post_init(vcpu);
}

static void apic_timer_changed(void *ctx)
{
	struct vcpu *vcpu = ctx;

	vcpu->lapic_timer_moved = true;
}

static uint64_t apic_tsc(void *ctx)
{
	struct vcpu *vcpu = ctx;

	return tsc_read(vcpu->cpu);
}

static uint64_t apic_now(void *ctx)
{
	(void)ctx;
	return clock_now();
}

static const struct lapic_ops ops = {
	.send_ipi = apic_send_ipi,
	.eoi = apic_eoi,
	.local = apic_local,
	.timer_changed = apic_timer_changed,
	.tsc = apic_tsc,
};

void apic_create(struct vcpu *vcpu)
{
	struct chip_clock clock = {.now_ns = apic_now};

	lapic_init(&vcpu->lapic, vcpu->id, vcpu->id == vcpu->vm->boot_cpu_id,
		   &clock, &ops, vcpu);
	vcpu->has_lapic = true;
	vcpu->lapic_timer_moved = true;
	apic_update_features(vcpu);
	lapic_reset(&vcpu->lapic, false);
	vcpu->cpu->apic_base = vcpu->lapic.apic_base;
}

static uint32_t cpuid1_ecx(const struct vcpu *vcpu)
{
	const struct cpuid_entry *e = cpuid_lookup(vcpu->cpu, 1, 0);

	return e ? e->ecx : 0;
}

void apic_update_features(struct vcpu *vcpu)
{
	uint32_t ecx = cpuid1_ecx(vcpu);
	struct lapic_features f = {
		.x2apic = ecx & CPUID1_X2APIC,
		.tsc_deadline = ecx & CPUID1_TSC_DEADLINE,
		.cmci = vcpu->mcg_cap & MCG_CMCI_P,
		.pmi_unmasked = vcpu->cpu->vendor_amd,
		.no_ff_broadcast = vcpu->vm->x2apic_no_bcast,
		.lint0_extint = !(vcpu->vm->disabled_quirks &
				  KVM_X86_QUIRK_LINT0_REENABLED),
		.maxphyaddr = vcpu->cpu->maxphyaddr,
		.bus_cycle_ns = vcpu->vm->bus_cycle_ns,
		.tsc_khz = vcpu->tsc_khz,
	};

	if (!vcpu->has_lapic)
		return;
	lapic_set_features(&vcpu->lapic, &f);
	vcpu->lapic_timer_moved = true;
}

int apic_set_base(struct vcpu *vcpu, uint64_t val, bool host)
{
	uint64_t reserved = 0x2ff;
	int ret = 0;

	if (vcpu->has_lapic) {
		ret = lapic_set_base(&vcpu->lapic, val, host);
		val = vcpu->lapic.apic_base;
		vcpu->lapic_timer_moved = true;
	} else {
		if (vcpu->cpu->maxphyaddr)
			reserved |= ~(BIT64(vcpu->cpu->maxphyaddr) - 1);
		if (val & (reserved | LAPIC_BASE_X2APIC))
			ret = -EINVAL;
	}
	if (!ret)
		vcpu->cpu->apic_base = val;
	return ret;
}

void apic_sync_cr8(struct vcpu *vcpu)
{
	if (vcpu->has_lapic)
		vcpu->cpu->cr8 = lapic_get_cr8(&vcpu->lapic);
}

void apic_update_deadline(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	if (!vcpu->has_lapic)
		return;
	if (!vcpu->lapic_timer_moved &&
	    vcpu->deadline_tsc_offset == cpu->tsc_offset)
		return;
	vcpu->lapic_timer_moved = false;
	vcpu->deadline_tsc_offset = cpu->tsc_offset;
	vcpu->deadline = lapic_deadline(&vcpu->lapic, clock_now());
}

bool apic_mmio(struct vcpu *vcpu, uint64_t gpa, bool write, void *data,
	       unsigned int len)
{
	uint64_t base;

	if (!vcpu->has_lapic)
		return false;
	base = lapic_mmio_base(&vcpu->lapic);
	if (gpa < base || gpa - base >= LAPIC_PAGE_SIZE)
		return false;
	if (write) {
		lapic_mmio_write(&vcpu->lapic, (unsigned int)(gpa - base), data,
				 len);
		apic_sync_cr8(vcpu);
	} else {
		lapic_mmio_read(&vcpu->lapic, (unsigned int)(gpa - base), data,
				len);
	}
	return true;
}

/* The PIC's interrupt; without a PIC of ours, the vector of KVM_INTERRUPT. */
static bool pic_pending(struct vcpu *vcpu)
{
	if (!lapic_accepts_pic(&vcpu->lapic))
		return false;
	if (irqchip_present(&vcpu->vm->irq))
		return irqchip_pic_pending(vcpu->vm);
	return vcpu->user_irq >= 0;
}

static int take_user_irq(struct vcpu *vcpu)
{
	int vector = vcpu->user_irq;

	vcpu->user_irq = -1;
	return vector;
}

bool apic_has_interrupt(struct vcpu *vcpu)
{
	if (!vcpu->has_lapic)
		return vcpu->user_irq >= 0;
	return lapic_pending(&vcpu->lapic) >= 0 || pic_pending(vcpu);
}

int apic_take_interrupt(struct vcpu *vcpu)
{
	int vector;

	if (!vcpu->has_lapic)
		return take_user_irq(vcpu);
	if (pic_pending(vcpu))
		return irqchip_present(&vcpu->vm->irq)
			       ? irqchip_pic_ack(vcpu->vm)
			       : take_user_irq(vcpu);
	vector = lapic_pending(&vcpu->lapic);
	if (vector >= 0)
		lapic_ack(&vcpu->lapic, (uint8_t)vector);
	return vector;
}

void apic_pmi(struct vcpu *vcpu)
{
	vcpu->cpu->pmi = false;
	if (vcpu->has_lapic)
		lapic_local_irq(&vcpu->lapic, LAPIC_LVTPC);
}

int apic_get(struct call *c)
{
	struct vcpu *vcpu = c->vcpu;

	if (!vcpu->has_lapic)
		return -EINVAL;
	pv_eoi_collect(vcpu);
	memset(c->data, 0, sizeof(struct kvm_lapic_state));
	lapic_get_regs(&vcpu->lapic, c->data, vcpu->vm->x2apic_wide);
	return 0;
}

int apic_set(struct call *c)
{
	struct vcpu *vcpu = c->vcpu;
	int ret;

	if (!vcpu->has_lapic)
		return -EINVAL;
	pv_eoi_collect(vcpu);
	ret = lapic_set_regs(&vcpu->lapic, c->data, vcpu->vm->x2apic_wide);
	vcpu->lapic_timer_moved = true;
	apic_sync_cr8(vcpu);
	return ret;
}

/*
 * Reports of task priority accesses exist for old 32-bit Windows on hardware
 * that traps them; a client that turns them on would get none.
 */
int apic_tpr_reporting(struct call *c)
{
	const struct kvm_tpr_access_ctl *t = c->data;

	if (t->flags)
		return -EINVAL;
	return t->enabled ? -EOPNOTSUPP : 0;
}

/*
 * The address belongs to the same feature; the kernel takes any, and without
 * reports nobody looks at it.
 */
int apic_set_vapic(struct call *c)
{
	return c->vcpu->has_lapic ? 0 : -EINVAL;
}
