/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration registers with a mask of writable bits, and what follows from
 * writing some of them: BARs move, interrupts change their way.
 */
#include "dev/pcifn.h"

#include <string.h>

#include "dev/bus.h"
#include "dev/pci.h"
#include "lib/check.h"

#define REG_COMMAND   0x04
#define REG_STATUS    0x06
#define REG_HEADER    0x0e
#define REG_BAR0      0x10
#define REG_CAP       0x34
#define REG_LINE      0x3c
#define REG_PIN       0x3d
#define BAR_IO        BIT(0)
#define REG_FIRST_CAP 0x40

#define COMMAND_IO       BIT(0)
#define COMMAND_MEMORY   BIT(1)
#define COMMAND_MASTER   BIT(2)
#define COMMAND_INTX_OFF BIT(10)
#define HEADER_MULTI     BIT(7)
#define STATUS_INTX      BIT(3)
#define STATUS_CAPS      BIT(4)

#define CAP_MSIX        0x11
#define MSIX_CONTROL    2 /* offset in the capability */
#define MSIX_ENABLE     BIT(15)
#define MSIX_ALL_MASKED BIT(14)
#define MSIX_ENTRY_MASK BIT(0)
#define MSIX_PBA        2048
#define MSIX_BAR_SIZE   4096

static uint16_t get16(const struct pcifn *fn, unsigned reg)
{
	return (uint16_t)(fn->config[reg] | fn->config[reg + 1] << 8);
}

static uint32_t get32(const struct pcifn *fn, unsigned reg)
{
	return get16(fn, reg) | (uint32_t)get16(fn, reg + 2) << 16;
}

static void put(uint8_t *to, unsigned reg, uint32_t val, unsigned size)
{
	memcpy(to + reg, &val, size);
}

void pcifn_init(struct pcifn *fn, const struct pcifn_id *id)
{
	*fn = (struct pcifn){.cap_end = REG_FIRST_CAP};
	pthread_mutex_init(&fn->lock, NULL);
	put(fn->config, 0x00, id->vendor, 2);
	put(fn->config, 0x02, id->device, 2);
	put(fn->config, 0x08, id->revision | id->class << 8, 4);
	put(fn->config, 0x2c, id->subsystem_vendor, 2);
	put(fn->config, 0x2e, id->subsystem, 2);
	fn->config[REG_PIN] = !id->no_pin; /* INTA */
	put(fn->writable, REG_COMMAND,
	    COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF | 0x140, 2);
	fn->writable[REG_LINE] = 0xff;
}

void pcifn_exit(struct pcifn *fn)
{
	pthread_mutex_destroy(&fn->lock);
}

void pcifn_add_bar(struct pcifn *fn, unsigned n, uint32_t size,
		   const struct bus_ops *ops, void *ctx)
{
	ASSERT(n < PCIFN_BARS && size >= 16 && !(size & (size - 1)));
	fn->bar[n] = (struct pcifn_bar){.size = size, .ops = ops, .ctx = ctx};
	put(fn->writable, REG_BAR0 + 4 * n, ~(size - 1), 4);
}

void pcifn_add_port_bar(struct pcifn *fn, unsigned n, uint32_t size,
			const struct bus_ops *ops, void *ctx)
{
	ASSERT(n < PCIFN_BARS && size >= 4 && !(size & (size - 1)));
	fn->bar[n] = (struct pcifn_bar){
		.size = size, .io = true, .ops = ops, .ctx = ctx};
	put(fn->writable, REG_BAR0 + 4 * n, ~(size - 1), 4);
	fn->config[REG_BAR0 + 4 * n] = BAR_IO;
	fn->writable[REG_COMMAND] |= COMMAND_IO;
}

unsigned pcifn_add_capability(struct pcifn *fn, uint8_t id, unsigned len)
{
	unsigned at = fn->cap_end;

	ASSERT(at + len <= PCIFN_CONFIG);
	fn->cap_end = ALIGN_UP(at + len, 4U);
	fn->config[at] = id;
	fn->config[at + 1] = fn->config[REG_CAP];
	fn->config[REG_CAP] = (uint8_t)at;
	fn->config[REG_STATUS] |= STATUS_CAPS;
	return at;
}

void pcifn_set_multifunction(struct pcifn *fn)
{
	fn->multifunction = true;
	fn->config[REG_HEADER] |= HEADER_MULTI;
}

uint64_t pcifn_bar_address(const struct pcifn *fn, unsigned n)
{
	return get32(fn, REG_BAR0 + 4 * n) & (fn->bar[n].io ? ~3U : ~15U);
}

bool pcifn_is_master(const struct pcifn *fn)
{
	return get16(fn, REG_COMMAND) & COMMAND_MASTER;
}

static bool decoding(const struct pcifn *fn, bool io)
{
	return get16(fn, REG_COMMAND) & (io ? COMMAND_IO : COMMAND_MEMORY);
}

static void unmap(struct pcifn *fn, struct pcifn_bar *bar)
{
	if (!bar->mapped)
		return;
	bus_remove(fn->pci->bus[bar->io], bar->at, bar->ctx);
	bar->mapped = false;
	if (fn->moved)
		fn->moved(fn, (unsigned)(bar - fn->bar));
}

/* An address that is taken, or outside the window, is not decoded. */
static void map(struct pcifn *fn, struct pcifn_bar *bar, uint32_t at)
{
	const struct pci_window *window = &fn->pci->board.window[bar->io];
	struct bus_range range = {at, bar->size, 4, bar->ops, bar->ctx};

	if (at < window->start || (uint64_t)at + bar->size > window->end ||
	    bus_add(fn->pci->bus[bar->io], &range))
		return;
	bar->mapped = true;
	bar->at = at;
	if (fn->moved)
		fn->moved(fn, (unsigned)(bar - fn->bar));
}

static void update_bars(struct pcifn *fn)
{
	struct pcifn_bar *bar;
	uint32_t at;
	unsigned i;

	for (i = 0; fn->pci && i < PCIFN_BARS; i++) {
		bar = &fn->bar[i];
		if (!bar->size)
			continue;
		at = (uint32_t)pcifn_bar_address(fn, i);
		if (bar->mapped && (!decoding(fn, bar->io) || bar->at != at))
			unmap(fn, bar);
		if (!bar->mapped && decoding(fn, bar->io))
			map(fn, bar, at);
	}
}

void pcifn_unmap(struct pcifn *fn)
{
	unsigned i;

	for (i = 0; i < PCIFN_BARS; i++)
		unmap(fn, &fn->bar[i]);
}

static bool msix_on(const struct pcifn *fn)
{
	return fn->vectors &&
	       get16(fn, fn->msix_cap + MSIX_CONTROL) & MSIX_ENABLE;
}

/* Lock held. */
static void update_pin(struct pcifn *fn)
{
	bool drive = fn->pin && !msix_on(fn) &&
		     !(get16(fn, REG_COMMAND) & COMMAND_INTX_OFF);

	if (!fn->pci || drive == fn->driven)
		return;
	fn->driven = drive;
	/* Pin A only. */
	pci_intx(fn->pci, fn->addr / PCI_FUNCTIONS % PCI_INTX_LINES, drive);
}

/* Lock held: send what waits and may go. */
static void send_pending(struct pcifn *fn)
{
	unsigned control = get16(fn, fn->msix_cap + MSIX_CONTROL);
	const struct pci_board *board;
	struct msix_entry *entry;
	unsigned i;

	if (!fn->pci || !(control & MSIX_ENABLE) || control & MSIX_ALL_MASKED ||
	    !pcifn_is_master(fn))
		return;
	board = &fn->pci->board;
	for (i = 0; i < fn->vectors; i++) {
		entry = &fn->table[i];
		if (!(fn->pending[i / 64] & BIT64(i % 64)) ||
		    entry->control & MSIX_ENTRY_MASK)
			continue;
		fn->pending[i / 64] &= ~BIT64(i % 64);
		board->msi(board->ctx, entry->address, entry->data);
	}
}

static uint64_t msix_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pcifn *fn = ctx;
	uint64_t val = 0;

	pthread_mutex_lock(&fn->lock);
	if (offset + size <= fn->vectors * sizeof(fn->table[0]))
		memcpy(&val, (uint8_t *)fn->table + offset, size);
	else if (offset >= MSIX_PBA &&
		 offset - MSIX_PBA + size <= sizeof(fn->pending))
		memcpy(&val, (uint8_t *)fn->pending + offset - MSIX_PBA, size);
	pthread_mutex_unlock(&fn->lock);
	return val;
}

static void msix_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	struct pcifn *fn = ctx;

	pthread_mutex_lock(&fn->lock);
	if (offset + size <= fn->vectors * sizeof(fn->table[0])) {
		memcpy((uint8_t *)fn->table + offset, &val, size);
		send_pending(fn);
	}
	pthread_mutex_unlock(&fn->lock);
}

static const struct bus_ops msix_ops = {msix_read, msix_write};

void pcifn_add_msix(struct pcifn *fn, unsigned bar, unsigned vectors)
{
	unsigned at = pcifn_add_capability(fn, CAP_MSIX, 12), i;

	ASSERT(vectors && vectors <= MSIX_MAX);
	fn->vectors = vectors;
	fn->msix_cap = at;
	put(fn->config, at + MSIX_CONTROL, vectors - 1, 2);
	put(fn->config, at + 4, bar, 4);
	put(fn->config, at + 8, MSIX_PBA | bar, 4);
	put(fn->writable, at + MSIX_CONTROL, MSIX_ENABLE | MSIX_ALL_MASKED, 2);
	for (i = 0; i < vectors; i++)
		fn->table[i].control = MSIX_ENTRY_MASK;
	pcifn_add_bar(fn, bar, MSIX_BAR_SIZE, &msix_ops, fn);
}

uint32_t pcifn_config_read(struct pcifn *fn, unsigned reg, unsigned size)
{
	uint32_t val = 0;

	if (reg + size > PCIFN_CONFIG)
		return 0; /* no extended capability */
	pthread_mutex_lock(&fn->lock);
	memcpy(&val, fn->config + reg, size);
	if (reg <= REG_STATUS && reg + size > REG_STATUS && fn->pin)
		val |= STATUS_INTX << 8 * (REG_STATUS - reg);
	pthread_mutex_unlock(&fn->lock);
	return fn->read ? fn->read(fn, reg, size, val) : val;
}

void pcifn_config_write(struct pcifn *fn, unsigned reg, unsigned size,
			uint32_t val)
{
	unsigned i;

	if (reg + size > PCIFN_CONFIG)
		return;
	pthread_mutex_lock(&fn->lock);
	for (i = reg; i < reg + size; i++, val >>= 8)
		fn->config[i] = (uint8_t)((fn->config[i] & ~fn->writable[i]) |
					  (val & fn->writable[i]));
	update_pin(fn);
	if (fn->vectors)
		send_pending(fn);
	pthread_mutex_unlock(&fn->lock);
	update_bars(fn);
	if (fn->written)
		fn->written(fn, reg, size);
}

void pcifn_set_pin(struct pcifn *fn, bool level)
{
	pthread_mutex_lock(&fn->lock);
	fn->pin = level;
	update_pin(fn);
	pthread_mutex_unlock(&fn->lock);
}

bool pcifn_msix_enabled(struct pcifn *fn)
{
	bool on;

	pthread_mutex_lock(&fn->lock);
	on = msix_on(fn);
	pthread_mutex_unlock(&fn->lock);
	return on;
}

void pcifn_msix_send(struct pcifn *fn, unsigned vec)
{
	pthread_mutex_lock(&fn->lock);
	if (vec < fn->vectors) {
		fn->pending[vec / 64] |= BIT64(vec % 64);
		send_pending(fn);
	}
	pthread_mutex_unlock(&fn->lock);
}
