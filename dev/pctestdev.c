/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See pctestdev.h. A page is taken away by mprotect(), as a host under memory
 * pressure would change it: a kernel's KVM hears of that from the MMU
 * notifier, another vCPU that touches the page meanwhile faults.
 */
#include "dev/pctestdev.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "dev/bus.h"
#include "dev/dma.h"

#define PAGE 4096u

static uint64_t port_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pctestdev *d = ctx;
	uint64_t v = (uint64_t)d->ports >> offset * 8;

	return v & (BIT64(size * 8) - 1);
}

static void port_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	struct pctestdev *d = ctx;
	uint64_t mask = (BIT64(size * 8) - 1) << offset * 8;

	d->ports = (uint32_t)((d->ports & ~mask) | (val << offset * 8 & mask));
}

static uint64_t byte_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pctestdev_byte *b = ctx;

	return port_read(b->dev, b->index, 1);
}

static void byte_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	struct pctestdev_byte *b = ctx;

	port_write(b->dev, b->index, 1, val);
}

static uint64_t none_read(void *ctx, uint64_t offset, unsigned size)
{
	return 0;
}

static void flush_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	struct pctestdev *d = ctx;
	void *p = dma_ptr(d->dma, ALIGN_DOWN(val, (uint64_t)PAGE), PAGE);

	if (!p || mprotect(p, PAGE, PROT_NONE))
		return;
	/* what was possible before is possible again */
	(void)mprotect(p, PAGE, PROT_READ | PROT_WRITE);
}

static void irq_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	struct pctestdev *d = ctx;

	d->irq.set(d->irq.ctx, (unsigned)offset, val != 0);
}

static uint64_t mmio_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pctestdev *d = ctx;
	uint64_t v = 0;

	memcpy(&v, d->mmio + offset, size);
	return v;
}

static void mmio_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	struct pctestdev *d = ctx;

	memcpy(d->mmio + offset, &val, size);
}

static const struct bus_ops port_ops = {port_read, port_write};
static const struct bus_ops byte_ops = {byte_read, byte_write};
static const struct bus_ops flush_ops = {none_read, flush_write};
static const struct bus_ops irq_ops = {none_read, irq_write};
static const struct bus_ops mmio_ops = {mmio_read, mmio_write};

/* Who is there already is what the operator asked for as well. */
static int add_bytes(struct pctestdev *d, struct bus *pio)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(d->bytes); i++) {
		struct bus_range port = {0xe8 + i, 1, 1, &byte_ops,
					 &d->bytes[i]};
		int ret;

		d->bytes[i] = (struct pctestdev_byte){d, i};
		ret = bus_add(pio, &port);
		if (ret && ret != -EEXIST)
			return ret;
	}
	return 0;
}

int pctestdev_init(struct pctestdev *d, struct bus *pio, struct bus *mmio)
{
	const struct bus_range ports[] = {
		{0xe0, 4, 4, &port_ops, d},
		{0xe4, 4, 4, &flush_ops, d},
		{0x2000, PCTESTDEV_LINES, 1, &irq_ops, d},
	};
	const struct bus_range memory = {PCTESTDEV_MMIO, PCTESTDEV_MMIO_SIZE, 8,
					 &mmio_ops, d};
	size_t i;
	int ret = bus_add(mmio, &memory);

	for (i = 0; !ret && i < ARRAY_SIZE(ports); i++)
		ret = bus_add(pio, &ports[i]);
	return ret ? ret : add_bytes(d, pio);
}
