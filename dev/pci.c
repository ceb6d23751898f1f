/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host bridge and the two ways to configuration space. The bridge takes
 * the generic PCI Express host bridge identity, so that no chipset quirk of
 * a guest applies to it.
 */
#include "dev/pci.h"

#include <errno.h>
#include <string.h>

#include "dev/bus.h"
#include "dev/pcifn.h"

#define PCI_PORT      0xcf8
#define PCI_ENABLE    BIT(31)
#define PCI_COMMAND   0x04
#define PCI_BAR0      0x10
#define PCI_INTERRUPT 0x3c
#define COMMAND_WRITE 0x0547 /* IO, memory, master, parity, SERR, INTx */

static uint32_t bridge_read(struct pci *pci, unsigned reg, unsigned size)
{
	uint32_t val = 0;

	/* Extended registers exist, and hold no capability. */
	if (reg + size <= sizeof(pci->bridge))
		memcpy(&val, pci->bridge + reg, size);
	return val;
}

static void bridge_write(struct pci *pci, unsigned reg, unsigned size,
			 uint32_t val)
{
	uint8_t *f = pci->bridge;
	unsigned i, byte;

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

/* The function at bus/device/function @bdf but for the bridge, or NULL. */
static struct pcifn *function(struct pci *pci, unsigned bdf)
{
	return bdf < ARRAY_SIZE(pci->fn) ? pci->fn[bdf] : NULL;
}

static uint32_t config_read(struct pci *pci, unsigned bdf, unsigned reg,
			    unsigned size)
{
	struct pcifn *fn = function(pci, bdf);

	if (bdf == 0)
		return bridge_read(pci, reg, size);
	return fn ? pcifn_config_read(fn, reg, size) : UINT32_MAX;
}

static void config_write(struct pci *pci, unsigned bdf, unsigned reg,
			 unsigned size, uint32_t val)
{
	struct pcifn *fn = function(pci, bdf);

	if (bdf == 0)
		bridge_write(pci, reg, size, val);
	else if (fn)
		pcifn_config_write(fn, reg, size, val);
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

	*pci = (struct pci){
		.board = *board,
		.bus = {mmio, pio},
	};
	memcpy(pci->bridge, identity, sizeof(identity));
	pthread_mutex_init(&pci->intx_lock, NULL);
	ret = bus_add(pio, &ports);
	return ret ? ret : bus_add(mmio, &window);
}

void pci_exit(struct pci *pci)
{
	if (pci->bus[0])
		pthread_mutex_destroy(&pci->intx_lock);
	pci->bus[0] = NULL;
}

/* The end of a BAR of that kind that overlaps [@at, @at + @size), or 0. */
static uint64_t overlap(const struct pci *pci, bool io, uint64_t at,
			uint64_t size)
{
	const struct pcifn *fn;
	uint64_t bar;
	unsigned i, k;

	for (i = 0; i < ARRAY_SIZE(pci->fn); i++) {
		fn = pci->fn[i];
		for (k = 0; fn && k < PCIFN_BARS; k++) {
			bar = pcifn_bar_address(fn, k);
			if (fn->bar[k].size && fn->bar[k].io == io &&
			    bar < at + size && at < bar + fn->bar[k].size)
				return bar + fn->bar[k].size;
		}
	}
	return 0;
}

/* @at: where the function's last BAR of that kind ends. */
static int assign_bar(struct pci *pci, struct pcifn *fn, unsigned n,
		      uint64_t *at)
{
	uint64_t size = fn->bar[n].size, end;
	bool io = fn->bar[n].io;

	*at = ALIGN_UP(*at, size);
	while ((end = overlap(pci, io, *at, size)))
		*at = ALIGN_UP(end, size);
	if (*at + size > pci->board.window[io].end)
		return -ENOSPC;
	pcifn_config_write(fn, PCI_BAR0 + 4 * n, 4, (uint32_t)*at);
	*at += size;
	return 0;
}

/* As firmware would: an address for each BAR, decoding still off. */
static int assign_bars(struct pci *pci, struct pcifn *fn)
{
	uint64_t at[2] = {pci->board.window[0].start,
			  pci->board.window[1].start};
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < PCIFN_BARS; i++)
		if (fn->bar[i].size)
			ret = assign_bar(pci, fn, i, &at[fn->bar[i].io]);
	return ret;
}

static unsigned free_slot(const struct pci *pci)
{
	unsigned slot, f;

	for (slot = 1; slot < PCI_SLOTS; slot++) {
		for (f = 0; f < PCI_FUNCTIONS; f++)
			if (pci->fn[slot * PCI_FUNCTIONS + f])
				break;
		if (f == PCI_FUNCTIONS)
			break;
	}
	return slot * PCI_FUNCTIONS;
}

int pci_plug(struct pci *pci, struct pcifn *fn, unsigned addr)
{
	const struct pcifn *first;
	int ret;

	if (!addr)
		addr = free_slot(pci);
	if (addr >= ARRAY_SIZE(pci->fn))
		return -ENOSPC;
	first = pci->fn[addr - addr % PCI_FUNCTIONS];
	if (pci->fn[addr])
		return -EBUSY;
	if (addr % PCI_FUNCTIONS && (!first || !first->multifunction))
		return -ENXIO;
	ret = assign_bars(pci, fn);
	if (ret)
		return ret;
	fn->pci = pci;
	fn->addr = addr;
	pci->fn[addr] = fn;
	return 0;
}

void pci_unplug(struct pci *pci, struct pcifn *fn)
{
	if (!fn->pci)
		return;
	pcifn_set_pin(fn, false);
	pcifn_unmap(fn);
	pci->fn[fn->addr] = NULL;
	fn->pci = NULL;
}

void pci_intx(struct pci *pci, unsigned line, bool level)
{
	unsigned before;

	pthread_mutex_lock(&pci->intx_lock);
	before = pci->asserted[line];
	pci->asserted[line] += level ? 1U : -1U;
	if (!before != !pci->asserted[line])
		pci->board.intx(pci->board.ctx, line, level);
	pthread_mutex_unlock(&pci->intx_lock);
}
