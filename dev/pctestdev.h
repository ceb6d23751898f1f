/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc-testdev: what kvm-unit-tests ask of a PC besides the PC. Addresses and
 * behaviour are QEMU's.
 *
 *   port 0xe0, 4 bytes    hold what was written last
 *   port 0xe4, 4 bytes    a write of an address takes that page away from
 *                         the KVM for a moment (a change of the mapping)
 *   port 0xe8, 4 bytes    like 0xe0, in accesses of one byte; a debug console
 *                         that is at one of them has it
 *   port 0x2000 + N       a write sets ISA line N to the value
 *   gpa 0xff000000        64 KiB of MMIO that behave as memory
 */
#ifndef DEV_PCTESTDEV_H
#define DEV_PCTESTDEV_H

#include "chip/chip.h"
#include "lib/util.h"

#define PCTESTDEV_MMIO      0xff000000ULL
#define PCTESTDEV_MMIO_SIZE 0x10000
#define PCTESTDEV_LINES     16

struct bus;
struct dma;

struct pctestdev_byte {
	struct pctestdev *dev;
	unsigned index; /* in ports */
};

struct pctestdev {
	struct pctestdev_byte bytes[4]; /* at 0xe8 */
	struct chip_pin irq; /* pin is replaced by the line's number */
	const struct dma *dma;
	uint32_t ports; /* one value behind both ranges */
	uint8_t mmio[PCTESTDEV_MMIO_SIZE];
};

/* Caller fills irq and dma. 0, or bus_add()'s -errno on a collision. */
int pctestdev_init(struct pctestdev *d, struct bus *pio,
		   struct bus *mmio) __must_check;

#endif
