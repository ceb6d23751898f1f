/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PIC, IOAPIC and PIT of a VM: their wiring, the guest's accesses, and the
 * ioctls that create, read and load them.
 */
#include "kvm/irqchip.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

_Static_assert(sizeof(struct pic_unit) == sizeof(struct kvm_pic_state),
	       "one 8259");
_Static_assert(sizeof(struct ioapic_state) == sizeof(struct kvm_ioapic_state),
	       "IOAPIC");
_Static_assert(sizeof(struct pit_state) == sizeof(struct kvm_pit_state2),
	       "PIT");
_Static_assert(offsetof(struct pit_state, flags) ==
		       sizeof(struct kvm_pit_state),
	       "the older PIT state is the newer one's start");

void irqchip_init(struct irqchip *chip)
{
	pthread_mutex_init(&chip->lock, NULL);
}

void irqchip_destroy(struct irqchip *chip)
{
	free(chip->routes);
	pthread_mutex_destroy(&chip->lock);
}

/* ---- wires ---- */

static void irqchip_intr(void *ctx, unsigned int pin, bool level)
{
	struct vm *vm = ctx;

	(void)pin;
	for (uint32_t i = 0; level && i < vm_vcpus(vm); i++)
		if (lapic_accepts_pic(&vm->vcpus[i]->lapic))
			vcpu_kick(vm->vcpus[i]);
}

static int irqchip_ioapic_deliver(void *ctx, unsigned int pin,
				  const struct irq_msg *m)
{
	(void)pin;
	return apic_deliver(ctx, NULL, m);
}

static void ack_pin(struct vm *vm, uint8_t chip, unsigned int pin)
{
	struct irq_ack *a, *next;

	for (a = vm->irq.acks; a; a = next) {
		next = a->next;
		if (routing_has_pin(vm, a->gsi, chip, (uint8_t)pin))
			a->ack(a, vm);
	}
}

static void irqchip_ioapic_eoi(void *ctx, unsigned int pin)
{
	ack_pin(ctx, KVM_IRQCHIP_IOAPIC, pin);
}

static void irqchip_pic_eoi(void *ctx, unsigned int pin)
{
	ack_pin(ctx, pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
		pin);
}

static bool in_progress(const struct vm *vm, uint8_t vector)
{
	for (uint32_t i = 0; i < vm_vcpus(vm); i++)
		if (lapic_in_progress(&vm->vcpus[i]->lapic, vector))
			return true;
	return false;
}

/* A vector whose route changed is waited for until it has been ended. */
static void watch_split(struct vm *vm)
{
	struct irqchip *chip = &vm->irq;
	uint64_t vectors[4] = {0};
	const struct route *r;

	for (uint32_t i = 0; i < chip->nroutes; i++) {
		r = &chip->routes[i];
		if (r->gsi < chip->reserved_gsis && r->msi &&
		    (r->data & IRQ_MSI_LEVEL))
			vectors[(r->data & 0xff) / 64] |= BIT64(r->data & 63);
	}
	for (unsigned int v = 0; v < 256; v++)
		if ((chip->split_eoi[v / 64] >> v % 64 & 1) &&
		    in_progress(vm, (uint8_t)v))
			vectors[v / 64] |= BIT64(v % 64);
	for (int i = 0; i < 4; i++)
		__atomic_store_n(&chip->split_eoi[i], vectors[i],
				 __ATOMIC_RELAXED);
}

void irqchip_watch(struct vm *vm)
{
	struct irqchip *chip = &vm->irq;
	uint64_t vectors[4] = {0};

	if (!irqchip_present(chip)) {
		watch_split(vm);
		return;
	}
	chip->edge_pins = 0;
	for (const struct irq_ack *a = chip->acks; a; a = a->next)
		for (uint8_t pin = 0; pin < IOAPIC_PINS; pin++)
			if (routing_has_pin(vm, a->gsi, KVM_IRQCHIP_IOAPIC,
					    pin))
				chip->edge_pins |= BIT(pin);
	ioapic_vectors(&chip->ioapic, chip->edge_pins, vectors);
	for (uint32_t i = 0; i < vm_vcpus(vm); i++)
		lapic_watch_eoi(&vm->vcpus[i]->lapic, vectors);
}

static void irqchip_ioapic_changed(void *ctx, unsigned int pin)
{
	(void)pin;
	irqchip_watch(ctx);
}

static const struct ioapic_ops ioapic_ops = {
	.deliver = irqchip_ioapic_deliver,
	.eoi = irqchip_ioapic_eoi,
	.changed = irqchip_ioapic_changed,
};

static const struct pic_ops pic_ops = {
	.eoi = irqchip_pic_eoi,
};

void irqchip_add_ack(struct vm *vm, struct irq_ack *a)
{
	a->next = vm->irq.acks;
	vm->irq.acks = a;
	irqchip_watch(vm);
}

void irqchip_del_ack(struct vm *vm, struct irq_ack *a)
{
	struct irq_ack **p = &vm->irq.acks;

	while (*p && *p != a)
		p = &(*p)->next;
	if (*p)
		*p = a->next;
	irqchip_watch(vm);
}

void irqchip_eoi(struct vcpu *vcpu, uint8_t vector, bool level)
{
	struct irqchip *chip = &vcpu->vm->irq;

	if (!irqchip_present(chip)) {
		if (level && (__atomic_load_n(&chip->split_eoi[vector / 64],
					      __ATOMIC_RELAXED) >>
				      vector % 64 &
			      1))
			vcpu->ioapic_eoi = vector;
		return;
	}
	pthread_mutex_lock(&chip->lock);
	if (level)
		ioapic_eoi(&chip->ioapic, vector);
	else
		ioapic_eoi_pins(&chip->ioapic, vector, chip->edge_pins);
	pthread_mutex_unlock(&chip->lock);
}

bool irqchip_pic_pending(struct vm *vm)
{
	/* A stale answer is put right by the kick that follows a change. */
	return __atomic_load_n(&vm->irq.pic.output, __ATOMIC_ACQUIRE);
}

uint8_t irqchip_pic_ack(struct vm *vm)
{
	uint8_t vector;

	pthread_mutex_lock(&vm->irq.lock);
	vector = pic_ack(&vm->irq.pic);
	pthread_mutex_unlock(&vm->irq.lock);
	return vector;
}

/* ---- the PIT's time ---- */

static void pit_rearm(struct vm *vm)
{
	timer_arm(&vm->timer, &vm->irq.pit_timer, pit_deadline(&vm->irq.pit));
}

static void irqchip_pit_fire(struct timer_item *item)
{
	struct irqchip *chip = container_of(item, struct irqchip, pit_timer);
	struct vm *vm = container_of(chip, struct vm, irq);

	pthread_mutex_lock(&chip->lock);
	pit_advance(&chip->pit, clock_now());
	pit_rearm(vm);
	pthread_mutex_unlock(&chip->lock);
}

static void irqchip_pit_pin(void *ctx, unsigned int pin, bool level)
{
	routing_set_gsi_locked(ctx, IRQ_SOURCE_PIT, pin, level);
}

static void irqchip_pit_ack(struct irq_ack *a, struct vm *vm)
{
	(void)a;
	pit_ack(&vm->irq.pit);
}

/* ---- the guest's accesses ---- */

static bool is_pic_port(uint16_t port)
{
	return (port & ~0x81) == 0x20 || (port & ~1) == 0x4d0;
}

static bool is_pit_port(const struct irqchip *chip, uint16_t port)
{
	return chip->has_pit &&
	       ((port & ~3) == 0x40 || (chip->speaker && port == 0x61));
}

static uint8_t pit_in(struct irqchip *chip, uint16_t port)
{
	return port == 0x61 ? pit_speaker_read(&chip->pit, clock_now())
			    : pit_read(&chip->pit, port & 3, clock_now());
}

static void pit_out(struct vm *vm, uint16_t port, uint8_t val)
{
	if (port == 0x61)
		pit_speaker_write(&vm->irq.pit, val, clock_now());
	else
		pit_write(&vm->irq.pit, port & 3, val, clock_now());
	pit_rearm(vm);
}

/* Byte-wide chips: wider accesses see the byte and zeroes above it. */
bool irqchip_port(struct vm *vm, uint16_t port, bool in, void *data,
		  unsigned int size)
{
	struct irqchip *chip = &vm->irq;
	bool pic = is_pic_port(port);
	uint8_t val = 0;

	if (!irqchip_present(chip) || (!pic && !is_pit_port(chip, port)))
		return false;
	if (!in)
		memcpy(&val, data, 1);
	pthread_mutex_lock(&chip->lock);
	if (pic && size == 1) {
		if (in)
			val = pic_read(&chip->pic, port);
		else
			pic_write(&chip->pic, port, val);
	} else if (!pic) {
		if (in)
			val = pit_in(chip, port);
		else
			pit_out(vm, port, val);
	}
	pthread_mutex_unlock(&chip->lock);
	if (in) {
		memset(data, 0, size);
		memcpy(data, &val, 1);
	}
	return true;
}

bool irqchip_mmio(struct vm *vm, uint64_t gpa, bool write, void *data,
		  unsigned int len)
{
	struct irqchip *chip = &vm->irq;
	uint64_t base = IOAPIC_DEFAULT_BASE;
	unsigned int offset = (unsigned int)(gpa - base);
	uint32_t val = 0;

	if (!irqchip_present(chip) || gpa < base ||
	    gpa - base >= IOAPIC_MMIO_SIZE)
		return false;
	if (write)
		memcpy(&val, data, MIN(len, 4u));
	pthread_mutex_lock(&chip->lock);
	if (write)
		ioapic_write(&chip->ioapic, offset, val);
	else
		val = ioapic_read(&chip->ioapic, offset);
	pthread_mutex_unlock(&chip->lock);
	if (!write) {
		memset(data, 0, len);
		memcpy(data, &val, MIN(len, 4u));
	}
	return true;
}

/* ---- ioctls ---- */

int irqchip_create(struct call *c)
{
	struct vm *vm = c->vm;
	struct chip_pin intr = {.set = irqchip_intr, .ctx = vm};
	int ret;

	if (irqchip_has_lapics(&vm->irq))
		return -EEXIST;
	if (vm->created)
		return -EINVAL;
	pic_init(&vm->irq.pic, &intr, &pic_ops, vm);
	ioapic_init(&vm->irq.ioapic, IOAPIC_VERSION_KVM, &ioapic_ops, vm);
	ret = routing_default(vm);
	if (ret)
		return ret;
	__atomic_store_n(&vm->irq.mode, IRQ_MODE_FULL, __ATOMIC_RELEASE);
	return 0;
}

int irqchip_split(struct vm *vm, uint64_t reserved_gsis)
{
	if (reserved_gsis > IRQ_MAX_GSI)
		return -EINVAL;
	if (irqchip_has_lapics(&vm->irq) || vm->created)
		return -EEXIST;
	vm->irq.reserved_gsis = (uint32_t)reserved_gsis;
	__atomic_store_n(&vm->irq.mode, IRQ_MODE_SPLIT, __ATOMIC_RELEASE);
	return 0;
}

static void *chip_unit(struct irqchip *chip, uint32_t id)
{
	switch (id) {
	case KVM_IRQCHIP_PIC_MASTER: return &chip->pic.unit[0];
	case KVM_IRQCHIP_PIC_SLAVE: return &chip->pic.unit[1];
	case KVM_IRQCHIP_IOAPIC: return &chip->ioapic;
	default: return NULL;
	}
}

int irqchip_get(struct call *c)
{
	struct irqchip *chip = &c->vm->irq;
	struct kvm_irqchip *k = c->data;
	struct pic_unit unit;
	struct ioapic_state io;

	if (!irqchip_present(chip))
		return -ENXIO;
	if (!chip_unit(chip, k->chip_id))
		return -EINVAL;
	pthread_mutex_lock(&chip->lock);
	if (k->chip_id == KVM_IRQCHIP_IOAPIC) {
		ioapic_get_state(&chip->ioapic, &io);
		memcpy(&k->chip.ioapic, &io, sizeof(io));
	} else {
		pic_get_state(&chip->pic, k->chip_id, &unit);
		memcpy(&k->chip.pic, &unit, sizeof(unit));
	}
	pthread_mutex_unlock(&chip->lock);
	return 0;
}

int irqchip_set(struct call *c)
{
	struct irqchip *chip = &c->vm->irq;
	const struct kvm_irqchip *k = c->data;
	struct pic_unit unit;
	struct ioapic_state io;

	if (!irqchip_present(chip))
		return -ENXIO;
	if (!chip_unit(chip, k->chip_id))
		return -EINVAL;
	pthread_mutex_lock(&chip->lock);
	if (k->chip_id == KVM_IRQCHIP_IOAPIC) {
		memcpy(&io, &k->chip.ioapic, sizeof(io));
		ioapic_set_state(&chip->ioapic, &io);
		irqchip_watch(c->vm);
	} else {
		memcpy(&unit, &k->chip.pic, sizeof(unit));
		pic_set_state(&chip->pic, k->chip_id, &unit);
	}
	pthread_mutex_unlock(&chip->lock);
	return 0;
}

static int create_pit(struct vm *vm, bool speaker)
{
	struct irqchip *chip = &vm->irq;
	struct chip_pin pin = {.set = irqchip_pit_pin, .ctx = vm, .pin = 0};
	int ret;

	if (chip->has_pit)
		return -EEXIST;
	if (!irqchip_present(chip))
		return -ENOENT;
	ret = timer_reserve(&vm->timer);
	if (ret)
		return ret;
	pthread_mutex_lock(&chip->lock);
	pit_init(&chip->pit, &pin, clock_now());
	chip->speaker = speaker;
	chip->pit_timer.fire = irqchip_pit_fire;
	chip->pit_ack.gsi = 0;
	chip->pit_ack.ack = irqchip_pit_ack;
	chip->has_pit = true;
	irqchip_add_ack(vm, &chip->pit_ack);
	pthread_mutex_unlock(&chip->lock);
	return 0;
}

int irqchip_create_pit(struct call *c)
{
	return create_pit(c->vm, true);
}

int irqchip_create_pit2(struct call *c)
{
	const struct kvm_pit_config *cfg = c->data;

	return create_pit(c->vm, cfg->flags & KVM_PIT_SPEAKER_DUMMY);
}

static int get_pit(struct vm *vm, void *out, size_t size)
{
	struct pit_state s;

	if (!vm->irq.has_pit)
		return -ENXIO;
	pthread_mutex_lock(&vm->irq.lock);
	pit_get_state(&vm->irq.pit, &s);
	pthread_mutex_unlock(&vm->irq.lock);
	memcpy(out, &s, size);
	return 0;
}

static int set_pit(struct vm *vm, const void *in, size_t size)
{
	struct pit_state s = {0};

	if (!vm->irq.has_pit)
		return -ENXIO;
	memcpy(&s, in, size);
	pthread_mutex_lock(&vm->irq.lock);
	pit_set_state(&vm->irq.pit, &s, clock_now());
	pit_rearm(vm);
	pthread_mutex_unlock(&vm->irq.lock);
	return 0;
}

int irqchip_get_pit(struct call *c)
{
	return get_pit(c->vm, c->data, sizeof(struct kvm_pit_state));
}

int irqchip_set_pit(struct call *c)
{
	return set_pit(c->vm, c->data, sizeof(struct kvm_pit_state));
}

int irqchip_get_pit2(struct call *c)
{
	return get_pit(c->vm, c->data, sizeof(struct kvm_pit_state2));
}

int irqchip_set_pit2(struct call *c)
{
	return set_pit(c->vm, c->data, sizeof(struct kvm_pit_state2));
}

int irqchip_reinject(struct call *c)
{
	struct kvm_reinject_control r;

	if (user_read(&r, c->arg, sizeof(r)))
		return -EFAULT;
	if (!c->vm->irq.has_pit)
		return -ENXIO;
	pthread_mutex_lock(&c->vm->irq.lock);
	pit_set_reinject(&c->vm->irq.pit, r.pit_reinject);
	pthread_mutex_unlock(&c->vm->irq.lock);
	return 0;
}
