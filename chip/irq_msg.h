/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One interrupt message as it travels from an IOAPIC pin, an MSI write or a
 * local APIC's ICR to the local APICs. Model: SDM 3A "Interrupt Command
 * Register (ICR)", "Message Signalled Interrupts". Not the wire format.
 */
#ifndef CHIP_IRQ_MSG_H
#define CHIP_IRQ_MSG_H

#include "lib/util.h"

enum irq_delivery {
	IRQ_FIXED,
	IRQ_LOWEST,
	IRQ_SMI,
	IRQ_RESERVED,
	IRQ_NMI,
	IRQ_INIT,
	IRQ_STARTUP,
	IRQ_EXTINT,
};

enum irq_shorthand {
	IRQ_TO_DEST,
	IRQ_TO_SELF,
	IRQ_TO_ALL,
	IRQ_TO_OTHERS,
};

struct irq_msg {
	uint32_t dest;     /* 8 or 32 bit APIC id, or logical mask */
	uint8_t vector;    /* SIPI: page number of the start address */
	uint8_t delivery;  /* enum irq_delivery */
	uint8_t shorthand; /* enum irq_shorthand, IRQ_TO_DEST from devices */
	bool logical;      /* destination mode */
	bool level_trig;   /* trigger mode: level (needs an EOI) */
	bool assert_;      /* level bit; false only for INIT de-assert */
	bool redir_hint;   /* MSI: any one of the destinations will do */
};

#define IRQ_MSI_LEVEL BIT(15) /* of an MSI's data: trigger mode */

/*
 * Decode an MSI write. @wide: bits 8-31 of the destination are in bits
 * 40-63 of @addr (KVM_X2APIC_API_USE_32BIT_IDS), else 8 bits only.
 */
static inline void irq_msg_from_msi(struct irq_msg *m, uint64_t addr,
				    uint32_t data, bool wide)
{
	m->dest = (uint32_t)(addr >> 12) & 0xff;
	if (wide)
		m->dest |= (uint32_t)(addr >> 32) & 0xffffff00;
	m->vector = (uint8_t)data;
	m->delivery = (data >> 8) & 7;
	m->shorthand = IRQ_TO_DEST;
	m->logical = addr & BIT(2);
	m->redir_hint = addr & BIT(3);
	m->level_trig = data & IRQ_MSI_LEVEL;
	m->assert_ = true;
}

/* True when one of the matching APICs is chosen by arbitration. */
static inline bool irq_msg_is_lowest(const struct irq_msg *m)
{
	return m->delivery == IRQ_LOWEST || m->redir_hint;
}

#endif
