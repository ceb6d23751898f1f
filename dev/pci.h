/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI bus: configuration space by ports 0xcf8/0xcfc and by ECAM, a host
 * bridge in slot 0 and up to eight functions in each other slot; they can
 * come and go while the machine runs. INTx pins are swizzled
 * by slot onto PCI_INTX_LINES lines of the board. Documents: PCI Local Bus 3.0
 * "Configuration Space Decoding" (3.2.2.3), PCI Express Base "Enhanced
 * Configuration Access Mechanism" (7.2.2). Left out: bridges, power
 * management.
 */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include <pthread.h>

#include "lib/util.h"

#define PCI_ECAM_BUS_SIZE (1ULL << 20) /* ECAM bytes of one bus */
#define PCI_SLOTS         32
#define PCI_FUNCTIONS     8 /* of a slot */
#define PCI_INTX_LINES    8

struct bus;
struct bus_ops;
struct doorbells;
struct pcifn;

/* What the board decides. */
struct pci_board {
	uint64_t ecam;                 /* gpa of the ECAM window */
	uint64_t ecam_size;            /* bytes */
	const struct bus_ops *cf9_ops; /* who owns the byte at 0xcf9 */
	void *cf9_ctx;
	/* gpas and ports that BARs may have, by pcifn_bar.io */
	struct pci_window {
		uint64_t start, end;
	} window[2];
	/* Any thread: INTx line 0 to PCI_INTX_LINES - 1, and a message. */
	void (*intx)(void *ctx, unsigned line, bool level);
	void (*msi)(void *ctx, uint64_t address, uint32_t data);
	void *ctx;
	const struct doorbells *doorbells; /* NULL: there are none */
};

struct pci {
	uint32_t address;    /* port 0xcf8 */
	uint8_t bridge[256]; /* the host bridge's registers */
	struct pcifn *fn[PCI_SLOTS * PCI_FUNCTIONS];
	struct bus *bus[2]; /* by pcifn_bar.io; NULL before pci_init() */
	struct pci_board board;
	/* ---- any thread, under intx_lock ---- */
	pthread_mutex_t intx_lock;
	unsigned asserted[PCI_INTX_LINES]; /* pins that hold each line */
};

/*
 * Claims ports 0xcf8-0xcff on @pio and the ECAM window on @mmio. 0 or
 * bus_add()'s -errno.
 */
int pci_init(struct pci *pci, struct bus *pio, struct bus *mmio,
	     const struct pci_board *board) __must_check;

/* Free what pci_init() took; slots are emptied by their owners before. */
void pci_exit(struct pci *pci);

/*
 * Put @fn at @addr, slot * 8 + function, or into the first free slot when that
 * is 0, and give its BARs addresses. A slot's functions need one 0 before them
 * that is fn->multifunction. 0, -EBUSY when the place is taken, -ENXIO without
 * such a function 0, -ENOSPC when the bus or the window is full. @fn stays the
 * caller's.
 */
int pci_plug(struct pci *pci, struct pcifn *fn, unsigned addr) __must_check;
void pci_unplug(struct pci *pci, struct pcifn *fn);

/* @fn's INTx pin changed; any thread. */
void pci_intx(struct pci *pci, unsigned line, bool level);

#endif
