/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI configuration space by ports 0xcf8/0xcfc and by ECAM. One host bridge
 * function is bus 0's only tenant so far; every other function is absent.
 * Documents: PCI Local Bus 3.0 "Configuration Space Decoding" (3.2.2.3), PCI
 * Express Base "Enhanced Configuration Access Mechanism" (7.2.2).
 */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include "lib/util.h"

#define PCI_ECAM_BUS_SIZE (1ULL << 20) /* ECAM bytes of one bus */

struct bus;
struct bus_ops;

/* What the board decides. */
struct pci_board {
	uint64_t ecam;                 /* gpa of the ECAM window */
	uint64_t ecam_size;            /* bytes */
	const struct bus_ops *cf9_ops; /* who owns the byte at 0xcf9 */
	void *cf9_ctx;
};

struct pci {
	uint32_t address;    /* port 0xcf8 */
	uint8_t bridge[256]; /* the host bridge's registers */
	struct pci_board board;
};

/*
 * Claims ports 0xcf8-0xcff on @pio and the ECAM window on @mmio. 0 or
 * bus_add()'s -errno.
 */
int pci_init(struct pci *pci, struct bus *pio, struct bus *mmio,
	     const struct pci_board *board) __must_check;

#endif
