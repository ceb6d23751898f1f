/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a GSI to the pins and messages it stands for: KVM_SET_GSI_ROUTING,
 * KVM_IRQ_LINE and KVM_SIGNAL_MSI. Hyper-V and Xen routes are refused.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/handler.h"
#include "kvm/irqchip.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define PIC_PINS 16u

static int send_msi(struct vm *vm, uint64_t address, uint32_t data)
{
	struct irq_msg m;

	vm_note_write(vm);
	irq_msg_from_msi(&m, address, data, vm->x2apic_wide);
	return apic_deliver(vm, NULL, &m);
}

/* Bit @src of a pin's sources; returns the pin's level. */
static bool source_level(uint8_t *state, enum irq_source src, bool level)
{
	if (level)
		*state |= (uint8_t)BIT(src);
	else
		*state &= (uint8_t)~BIT(src);
	return *state;
}

static int set_route(struct vm *vm, const struct route *r, enum irq_source src,
		     bool level)
{
	struct irqchip *chip = &vm->irq;

	if (r->msi)
		return level ? send_msi(vm, r->address, r->data) : -1;
	if (r->chip == KVM_IRQCHIP_IOAPIC) {
		level = source_level(&chip->ioapic_level[r->pin], src, level);
		return ioapic_set_irq(&chip->ioapic, r->pin, level);
	}
	level = source_level(&chip->pic_level[r->pin], src, level);
	return pic_set_irq(&chip->pic, r->pin, level);
}

static uint32_t first_route(const struct irqchip *chip, uint32_t gsi)
{
	uint32_t lo = 0, hi = chip->nroutes, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (chip->routes[mid].gsi < gsi)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int routing_set_gsi_locked(struct vm *vm, enum irq_source src, uint32_t gsi,
			   bool level)
{
	struct irqchip *chip = &vm->irq;
	int ret = -1, r;

	if (level && src != IRQ_SOURCE_PIT)
		vm_note_write(vm);
	for (uint32_t i = first_route(chip, gsi);
	     i < chip->nroutes && chip->routes[i].gsi == gsi; i++) {
		r = set_route(vm, &chip->routes[i], src, level);
		if (r >= 0)
			ret = r + (ret < 0 ? 0 : ret);
	}
	return ret;
}

int routing_set_gsi(struct vm *vm, enum irq_source src, uint32_t gsi,
		    bool level)
{
	int ret;

	pthread_mutex_lock(&vm->irq.lock);
	ret = routing_set_gsi_locked(vm, src, gsi, level);
	pthread_mutex_unlock(&vm->irq.lock);
	return ret;
}

bool routing_has_pin(const struct vm *vm, uint32_t gsi, uint8_t chip,
		     uint8_t pin)
{
	const struct irqchip *ic = &vm->irq;

	for (uint32_t i = first_route(ic, gsi);
	     i < ic->nroutes && ic->routes[i].gsi == gsi; i++)
		if (!ic->routes[i].msi && ic->routes[i].chip == chip &&
		    ic->routes[i].pin == pin)
			return true;
	return false;
}

static int by_gsi(const void *a, const void *b)
{
	const struct route *x = a, *y = b;

	return (x->gsi > y->gsi) - (x->gsi < y->gsi);
}

int routing_default(struct vm *vm)
{
	struct route *r = calloc(IOAPIC_PINS + PIC_PINS, sizeof(*r));
	uint32_t n = 0;

	if (!r)
		return -ENOMEM;
	for (uint8_t pin = 0; pin < IOAPIC_PINS; pin++) {
		r[n++] = (struct route){
			.gsi = pin, .chip = KVM_IRQCHIP_IOAPIC, .pin = pin};
		if (pin < PIC_PINS)
			r[n++] = (struct route){
				.gsi = pin,
				.chip = pin < 8 ? KVM_IRQCHIP_PIC_MASTER
						: KVM_IRQCHIP_PIC_SLAVE,
				.pin = pin};
	}
	free(vm->irq.routes);
	vm->irq.routes = r;
	vm->irq.nroutes = n;
	return 0;
}

static int convert_pin(const struct vm *vm,
		       const struct kvm_irq_routing_entry *e, struct route *r)
{
	uint32_t pin = e->u.irqchip.pin;

	if (e->flags || !irqchip_present(&vm->irq))
		return -EINVAL;
	switch (e->u.irqchip.irqchip) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		if (pin >= PIC_PINS / 2)
			return -EINVAL;
		if (e->u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
			pin += PIC_PINS / 2;
		break;
	case KVM_IRQCHIP_IOAPIC:
		if (pin >= IOAPIC_PINS)
			return -EINVAL;
		break;
	default: return -EINVAL;
	}
	r->chip = (uint8_t)e->u.irqchip.irqchip;
	r->pin = (uint8_t)pin;
	return 0;
}

static int convert(const struct vm *vm, const struct kvm_irq_routing_entry *e,
		   struct route *r)
{
	if (e->gsi >= IRQ_MAX_GSI)
		return -EINVAL;
	r->gsi = e->gsi;
	if (e->type == KVM_IRQ_ROUTING_IRQCHIP)
		return convert_pin(vm, e, r);
	if (e->type != KVM_IRQ_ROUTING_MSI ||
	    (e->flags & ~(uint32_t)KVM_MSI_VALID_DEVID))
		return -EINVAL;
	if (vm->x2apic_wide && (e->u.msi.address_hi & 0xff))
		return -EINVAL;
	r->msi = true;
	r->address = (uint64_t)e->u.msi.address_hi << 32 | e->u.msi.address_lo;
	r->data = e->u.msi.data;
	return 0;
}

/* One pin per chip, or one message, for each GSI. */
static bool conflicting(const struct route *r, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k-- && r[k].gsi == r[i].gsi;)
			if (r[i].msi || r[k].msi || r[i].chip == r[k].chip)
				return true;
	return false;
}

int routing_set(struct call *c)
{
	const struct kvm_irq_routing *in = c->data;
	struct irqchip *chip = &c->vm->irq;
	struct route *r, *old;
	int ret = 0;

	if (!irqchip_has_lapics(chip) || in->flags)
		return -EINVAL;
	r = calloc(MAX(c->count, 1u), sizeof(*r));
	if (!r)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->count && !ret; i++)
		ret = convert(c->vm, &in->entries[i], &r[i]);
	if (!ret) {
		qsort(r, c->count, sizeof(*r), by_gsi);
		if (conflicting(r, c->count))
			ret = -EINVAL;
	}
	if (ret) {
		free(r);
		return ret;
	}
	pthread_mutex_lock(&chip->lock);
	old = chip->routes;
	chip->routes = r;
	chip->nroutes = c->count;
	irqchip_watch(c->vm);
	pthread_mutex_unlock(&chip->lock);
	stats_count(c->vm, VM_STAT_ROUTING);
	free(old);
	return 0;
}

int routing_irq_line(struct call *c)
{
	const struct kvm_irq_level *l = c->data;

	if (!irqchip_has_lapics(&c->vm->irq))
		return -ENXIO;
	routing_set_gsi(c->vm, IRQ_SOURCE_USER, l->irq, l->level);
	return 0;
}

int routing_irq_line_status(struct call *c)
{
	struct kvm_irq_level *l = c->data;

	if (!irqchip_has_lapics(&c->vm->irq))
		return -ENXIO;
	l->status = routing_set_gsi(c->vm, IRQ_SOURCE_USER, l->irq, l->level);
	return 0;
}

int routing_signal_msi(struct call *c)
{
	const struct kvm_msi *m = c->data;

	if (!irqchip_has_lapics(&c->vm->irq) ||
	    (m->flags & ~(uint32_t)KVM_MSI_VALID_DEVID))
		return -EINVAL;
	if (c->vm->x2apic_wide && (m->address_hi & 0xff))
		return -EINVAL;
	return send_msi(c->vm, (uint64_t)m->address_hi << 32 | m->address_lo,
			m->data);
}
