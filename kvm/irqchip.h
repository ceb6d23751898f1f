/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-kernel interrupt chips of a VM: PIC pair, IOAPIC, PIT, and the table
 * that leads a GSI to their pins or to a message. Everything here is under
 * `lock`, which may be taken while a vCPU's mutex is held and never the other
 * way; local APICs need no lock to be sent to.
 *
 * Split: only the local APICs are ours. The client has PIC and IOAPIC; the
 * first routes stand for the pins of its IOAPIC, and it is told of the end of
 * their level-triggered messages.
 */
#ifndef KVM_IRQCHIP_H
#define KVM_IRQCHIP_H

#include <pthread.h>

#include "chip/ioapic.h"
#include "chip/pic.h"
#include "chip/pit.h"
#include "kvm/timer.h"

struct vm;
struct vcpu;
struct lapic;

#define IRQ_MAX_GSI 4096u

/* Who drives a pin; a pin is high while any of them says so. */
enum irq_source { IRQ_SOURCE_USER, IRQ_SOURCE_RESAMPLE, IRQ_SOURCE_PIT };

/* One route of a GSI. */
struct route {
	uint32_t gsi;
	bool msi;
	uint8_t chip; /* KVM_IRQCHIP_* */
	uint8_t pin;  /* of that chip; PIC: 0-15 */
	uint64_t address;
	uint32_t data;
};

/* Called with the lock held when a pin's interrupt was ended. */
struct irq_ack {
	uint32_t gsi;
	void (*ack)(struct irq_ack *a, struct vm *vm);
	struct irq_ack *next;
};

enum irq_mode { IRQ_MODE_NONE, IRQ_MODE_FULL, IRQ_MODE_SPLIT };

struct irqchip {
	uint32_t mode; /* atomic: enum irq_mode; chosen once */
	pthread_mutex_t lock;
	struct pic pic;
	struct ioapic ioapic;
	uint8_t pic_level[16]; /* bit per enum irq_source */
	uint8_t ioapic_level[IOAPIC_PINS];
	bool has_pit;
	bool speaker; /* port 0x61 is the PIT's */
	struct pit pit;
	struct timer_item pit_timer;
	struct irq_ack pit_ack;
	struct irq_ack *acks;
	uint32_t edge_pins;   /* IOAPIC pins whose EOI somebody waits for */
	struct route *routes; /* sorted by gsi */
	uint32_t nroutes;
	uint32_t reserved_gsis; /* split: pins of the client's IOAPIC */
	uint64_t split_eoi[4];  /* atomic: vectors the client waits for */
};

void irqchip_init(struct irqchip *chip);
void irqchip_destroy(struct irqchip *chip);

static inline enum irq_mode irqchip_mode(const struct irqchip *chip)
{
	return __atomic_load_n(&chip->mode, __ATOMIC_ACQUIRE);
}

/* PIC and IOAPIC are here. */
static inline bool irqchip_present(const struct irqchip *chip)
{
	return irqchip_mode(chip) == IRQ_MODE_FULL;
}

/* Local APICs are here, whoever has the others. */
static inline bool irqchip_has_lapics(const struct irqchip *chip)
{
	return irqchip_mode(chip) != IRQ_MODE_NONE;
}

/* irqchip.c: a guest's port or memory access; false: nobody is there */
bool irqchip_port(struct vm *vm, uint16_t port, bool in, void *data,
		  unsigned int size);
bool irqchip_mmio(struct vm *vm, uint64_t gpa, bool write, void *data,
		  unsigned int len);

/* The vCPU's local APIC ended @vector. */
void irqchip_eoi(struct vcpu *vcpu, uint8_t vector, bool level);

/* KVM_CAP_SPLIT_IRQCHIP; vm->lock held. 0, -EINVAL or -EEXIST. */
int irqchip_split(struct vm *vm, uint64_t reserved_gsis) __must_check;

/* The PIC wants the CPU / the CPU takes its vector. */
bool irqchip_pic_pending(struct vm *vm);
uint8_t irqchip_pic_ack(struct vm *vm);

/* Listen for the end of a GSI's interrupts; lock held. */
void irqchip_add_ack(struct vm *vm, struct irq_ack *a);
void irqchip_del_ack(struct vm *vm, struct irq_ack *a);

/* Work out again whose EOI somebody waits for; lock held. */
void irqchip_watch(struct vm *vm);

/* routing.c */

/* The routes of a machine that set none. 0 or -ENOMEM; lock held. */
int routing_default(struct vm *vm) __must_check;

/*
 * Drive a GSI: number of vCPUs that took it, 0 coalesced, -1 nobody, as
 * KVM_IRQ_LINE_STATUS has it.
 */
int routing_set_gsi(struct vm *vm, enum irq_source src, uint32_t gsi,
		    bool level);
int routing_set_gsi_locked(struct vm *vm, enum irq_source src, uint32_t gsi,
			   bool level);

/* True when @gsi leads to that pin; lock held. */
bool routing_has_pin(const struct vm *vm, uint32_t gsi, uint8_t chip,
		     uint8_t pin);

/* apic.c */

/*
 * Send @m to the local APICs; @src is the sender or NULL. Any thread.
 * Number of vCPUs that took it, 0 when merged, -1 when nobody was meant.
 */
int apic_deliver(struct vm *vm, const struct lapic *src,
		 const struct irq_msg *m);

#endif
