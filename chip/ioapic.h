/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One I/O APIC with 24 pins. Document: Intel 82093AA data sheet; for version
 * 0x20 the EOI register of the ICH. As KVM: version 0x11, remote IRR is also
 * cleared when a pin becomes edge triggered (Linux relies on it).
 * The owner serializes all calls; callbacks run under its lock.
 */
#ifndef CHIP_IOAPIC_H
#define CHIP_IOAPIC_H

#include "chip/chip.h"
#include "chip/irq_msg.h"

#define IOAPIC_PINS         24
#define IOAPIC_DEFAULT_BASE 0xfec00000ULL
#define IOAPIC_MMIO_SIZE    0x100
#define IOAPIC_VERSION_KVM  0x11 /* no EOI register */
#define IOAPIC_VERSION_EOI  0x20 /* EOI register at offset 0x40 */

/* Redirection entry bits. */
#define IOAPIC_RTE_VECTOR     0xffULL
#define IOAPIC_RTE_LOGICAL    BIT64(11)
#define IOAPIC_RTE_STATUS     BIT64(12)
#define IOAPIC_RTE_LOW_ACTIVE BIT64(13)
#define IOAPIC_RTE_REMOTE_IRR BIT64(14)
#define IOAPIC_RTE_LEVEL      BIT64(15)
#define IOAPIC_RTE_MASKED     BIT64(16)

/* Fields and layout of struct kvm_ioapic_state. */
struct ioapic_state {
	uint64_t base_address;
	uint32_t ioregsel;
	uint32_t id;  /* bits 24-27 of the ID register, shifted down */
	uint32_t irr; /* pins: level high, or edge not delivered yet */
	uint32_t pad;
	uint64_t redirtbl[IOAPIC_PINS];
};

struct ioapic_ops {
	/*
	 * Send @m to the local APICs. Returns how many took it, 0 when it
	 * merged with a pending one, -1 when nobody did.
	 */
	int (*deliver)(void *ctx, unsigned pin, const struct irq_msg *m);
	/*
	 * The vector of @pin was EOId. Called before remote IRR is cleared
	 * and the line is looked at again; may call ioapic_set_irq().
	 */
	void (*eoi)(void *ctx, unsigned pin);
	/*
	 * A redirection entry changed: the vectors of interest
	 * (ioapic_vectors()) or the routes may differ. May be NULL.
	 */
	void (*changed)(void *ctx, unsigned pin);
};

struct ioapic {
	struct ioapic_state s;
	uint32_t irr_delivered; /* edge pins whose request was sent */
	uint8_t version;        /* IOAPIC_VERSION_* */
	/* ---- derived ---- */
	const struct ioapic_ops *ops;
	void *ctx;
};

void ioapic_init(struct ioapic *io, uint8_t version,
		 const struct ioapic_ops *ops, void *ctx);
/* All pins masked, id 0, base as at power-on. */
void ioapic_reset(struct ioapic *io);

/*
 * Drive pin 0-23 (active = true, whatever the polarity bit says; sources on
 * one pin are ORed by the owner). >0: delivered to so many, 0: coalesced,
 * -1: masked or nobody took it; a falling line answers 1.
 */
int ioapic_set_irq(struct ioapic *io, unsigned pin, bool level);

/*
 * A local APIC broadcast the EOI of @vector: ops->eoi for each pin with that
 * vector; level pins lose remote IRR and are sent again if still high.
 */
void ioapic_eoi(struct ioapic *io, uint8_t vector);
/*
 * The EOI of an edge-triggered @vector that was watched (lapic_watch_eoi()):
 * ops->eoi for those of @pins that have it, remote IRR is left alone.
 */
void ioapic_eoi_pins(struct ioapic *io, uint8_t vector, uint32_t pins);

/*
 * Guest MMIO at @offset (0-0xff) of the window, 32-bit semantics; wider or
 * narrower accesses are zero-extended / cut by the caller.
 */
uint32_t ioapic_read(struct ioapic *io, unsigned offset);
void ioapic_write(struct ioapic *io, unsigned offset, uint32_t val);

/*
 * OR into @bitmap the vectors whose EOI matters: those of unmasked or
 * pending level pins, and of the edge pins in @edge_pins. For
 * lapic_watch_eoi().
 */
void ioapic_vectors(const struct ioapic *io, uint32_t edge_pins,
		    uint64_t bitmap[4]);

void ioapic_get_state(const struct ioapic *io, struct ioapic_state *s);
/* Load, then deliver what its irr says is pending. */
void ioapic_set_state(struct ioapic *io, const struct ioapic_state *s);

#endif
