/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's pair of 8259A interrupt controllers with the PIIX edge/level
 * registers. Document: Intel 8259A data sheet; PIIX3 "ELCR". Ports 0x20,
 * 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1. Left out: MCS-80/85 call mode, buffered
 * mode's pin. The slave's output is the master's IR2.
 * The owner serializes all calls (kvm/: its irqchip lock).
 */
#ifndef CHIP_PIC_H
#define CHIP_PIC_H

#include "chip/chip.h"

/* One 8259; the fields and their order are those of struct kvm_pic_state. */
struct pic_unit {
	uint8_t last_irr;                  /* pin levels, for edge detection */
	uint8_t irr;                       /* interrupt request register */
	uint8_t imr;                       /* interrupt mask register */
	uint8_t isr;                       /* interrupt service register */
	uint8_t priority_add;              /* the pin of highest priority */
	uint8_t irq_base;                  /* vector of pin 0 */
	uint8_t read_reg_select;           /* OCW3: port reads 0 IRR, 1 ISR */
	uint8_t poll;                      /* OCW3: next read acknowledges */
	uint8_t special_mask;              /* OCW3 */
	uint8_t init_state;                /* 0 ready, 1-3 ICW2-4 awaited */
	uint8_t auto_eoi;                  /* ICW4 */
	uint8_t rotate_on_auto_eoi;        /* OCW2 */
	uint8_t special_fully_nested_mode; /* ICW4 */
	uint8_t init4;                     /* ICW1: an ICW4 follows */
	uint8_t elcr;                      /* 1 = level triggered pin */
	uint8_t elcr_mask;                 /* which elcr bits may be set */
};

struct pic_ops {
	/*
	 * Pin 0-15 was EOId (OCW2, auto EOI, or reset while in service).
	 * May call pic_set_irq(). NULL: nobody cares.
	 */
	void (*eoi)(void *ctx, unsigned pin);
	/* The guest changed IMR's bit of pin 0-15. May be NULL. */
	void (*mask_changed)(void *ctx, unsigned pin, bool masked);
};

struct pic {
	struct pic_unit unit[2]; /* 0 master, 1 slave */
	/* ---- derived ---- */
	bool output;          /* level of the INTR pin */
	struct chip_pin intr; /* to LINT0 / the CPU */
	const struct pic_ops *ops;
	void *ctx;
};

/* Power-on state. @intr is set() on every change of the master's INTR. */
void pic_init(struct pic *pic, const struct chip_pin *intr,
	      const struct pic_ops *ops, void *ctx);
/* As a board reset does; keeps wiring and ELCR masks. */
void pic_reset(struct pic *pic);

/*
 * Drive input pin 0-15. Several sources on one pin are ORed by the owner.
 * 1: the request is new, 0: coalesced with one still pending (level: 1 while
 * the level is high and not masked by a pending request), -1: masked.
 */
int pic_set_irq(struct pic *pic, unsigned pin, bool level);

/* Level of INTR. */
bool pic_output(const struct pic *pic);

/*
 * The CPU's INTA cycle: returns the vector, moves the request to service.
 * Without a request: the spurious vector (pin 7 of the unit asked).
 */
uint8_t pic_ack(struct pic *pic);

/* Guest port access, bytes. @port is one of the six named above. */
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t val);

/*
 * Copy one unit out or in (@which 0/1); pic_set_state() recomputes the
 * output, and keeps elcr within elcr_mask's hardware value.
 */
void pic_get_state(const struct pic *pic, unsigned which, struct pic_unit *u);
void pic_set_state(struct pic *pic, unsigned which, const struct pic_unit *u);

#endif
