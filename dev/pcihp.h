/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports by which a guest's ACPI learns which PCI slots were filled or are
 * to be emptied, and empties them. Each is a bit per slot. The DSDT reads
 * them (vmm/dsdt.c); the layout is a subset of QEMU's.
 */
#ifndef DEV_PCIHP_H
#define DEV_PCIHP_H

#include "lib/util.h"

#define PCIHP_PORT  0xae00
#define PCIHP_SIZE  12
#define PCIHP_UP    0 /* offsets; reading clears */
#define PCIHP_DOWN  4
#define PCIHP_EJECT 8
#define PCIHP_GPE   1 /* the event that says there is something to read */

struct bus;

struct pcihp {
	uint32_t up;   /* filled since the guest looked */
	uint32_t down; /* to be emptied by the guest */
	/* The guest let go of @slot; the caller's lock is held. */
	void (*eject)(void *ctx, unsigned slot);
	void *ctx;
};

/* 0 or bus_add()'s -errno. */
int pcihp_init(struct pcihp *hp, struct bus *pio,
	       void (*eject)(void *ctx, unsigned slot), void *ctx) __must_check;

#endif
