/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host bridge and the two ways to configuration space. The bridge takes
 * the generic PCI Express host bridge identity, so that no chipset quirk of
 * a guest applies to it.
 */
#include "dev/pci.h"

#include <string.h>

#include "dev/bus.h"

#define PCI_PORT      0xcf8
#define PCI_ENABLE    BIT(31)
#define PCI_COMMAND   0x04
#define PCI_INTERRUPT 0x3c
#define COMMAND_WRITE 0x0547 /* IO, memory, master, parity, SERR, INTx */

/* Function at bus/device/function @bdf: its registers, or NULL. */
static uint8_t *function(struct pci *pci, unsigned bdf)
{
	return bdf == 0 ? pci->bridge : NULL;
}

static uint32_t config_read(struct pci *pci, unsigned bdf, unsigned reg,
			    unsigned size)
{
	const uint8_t *f = function(pci, bdf);
	uint32_t val = 0;

	if (!f)
		return UINT32_MAX;
	/* Extended registers exist, and hold no capability. */
	if (reg + size <= sizeof(pci->bridge))
		memcpy(&val, f + reg, size);
	return val;
}

static void config_write(struct pci *pci, unsigned bdf, unsigned reg,
			 unsigned size, uint32_t val)
{
	uint8_t *f = function(pci, bdf);
	unsigned i, byte;

	if (!f)
		return;
	for (i = 0; i < size; i++, reg++, val >>= 8) {
		byte = val & 0xff;
		if (reg == PCI_COMMAND)
			f[reg] = byte & (COMMAND_WRITE & 0xff);
		else if (reg == PCI_COMMAND + 1)
			f[reg] = byte & (COMMAND_WRITE >> 8);
		else if (reg == PCI_INTERRUPT)
			f[reg] = (uint8_t)byte;
	}
}

static uint64_t pci_port_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pci *pci = ctx;
	unsigned reg;

	if (offset < 4) {
		if (offset == 0 && size == 4)
			return pci->address;
		if (offset == 1 && size == 1)
			return pci->board.cf9_ops->read(pci->board.cf9_ctx, 0,
							1);
		return UINT64_MAX;
	}
	if (!(pci->address & PCI_ENABLE))
		return UINT64_MAX;
	reg = (pci->address & 0xfc) + (unsigned)(offset - 4);
	return config_read(pci, (pci->address >> 8) & 0xffff, reg, size);
}

static void pci_port_write(void *ctx, uint64_t offset, unsigned size,
			   uint64_t val)
{
	struct pci *pci = ctx;
	unsigned reg;

	if (offset < 4) {
		if (offset == 0 && size == 4)
			pci->address = (uint32_t)val & 0x80fffffc;
		else if (offset == 1 && size == 1)
			pci->board.cf9_ops->write(pci->board.cf9_ctx, 0, 1,
						  val);
		return;
	}
	if (!(pci->address & PCI_ENABLE))
		return;
	reg = (pci->address & 0xfc) + (unsigned)(offset - 4);
	config_write(pci, (pci->address >> 8) & 0xffff, reg, size,
		     (uint32_t)val);
}

static uint64_t pci_ecam_read(void *ctx, uint64_t offset, unsigned size)
{
	return config_read(ctx, (unsigned)(offset >> 12), offset & 0xfff, size);
}

static void pci_ecam_write(void *ctx, uint64_t offset, unsigned size,
			   uint64_t val)
{
	config_write(ctx, (unsigned)(offset >> 12), offset & 0xfff, size,
		     (uint32_t)val);
}

static const struct bus_ops port_ops = {pci_port_read, pci_port_write};
static const struct bus_ops ecam_ops = {pci_ecam_read, pci_ecam_write};

int pci_init(struct pci *pci, struct bus *pio, struct bus *mmio,
	     const struct pci_board *board)
{
	/* Vendor, device, command, status, revision, class 0x060000. */
	static const uint8_t identity[] = {0x36, 0x1b, 0x08, 0x00, 0x00, 0x00,
					   0x00, 0x00, 0x00, 0x00, 0x00, 0x06};
	struct bus_range ports = {PCI_PORT, 8, 4, &port_ops, pci};
	struct bus_range window = {board->ecam, board->ecam_size, 4, &ecam_ops,
				   pci};
	int ret;

	*pci = (struct pci){.board = *board};
	memcpy(pci->bridge, identity, sizeof(identity));
	ret = bus_add(pio, &ports);
	return ret ? ret : bus_add(mmio, &window);
}
