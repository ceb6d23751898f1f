/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch by binary search in a sorted array. An access that starts in a
 * range and is wider than the device, or runs over its end, is split into
 * pieces that each find their own range, lowest address first.
 */
#include "dev/bus.h"

#include <errno.h>
#include <string.h>

int bus_add(struct bus *bus, const struct bus_range *range)
{
	unsigned i = bus->count;
	uint64_t last = range->base + range->size - 1;

	if (!range->size || last < range->base)
		return -EINVAL;
	if (bus->count == BUS_MAX)
		return -ENOSPC;
	while (i && bus->range[i - 1].base > range->base)
		i--;
	if (i < bus->count && last >= bus->range[i].base)
		return -EEXIST;
	if (i &&
	    bus->range[i - 1].base + bus->range[i - 1].size - 1 >= range->base)
		return -EEXIST;
	memmove(&bus->range[i + 1], &bus->range[i],
		(bus->count - i) * sizeof(bus->range[0]));
	bus->range[i] = *range;
	bus->count++;
	return 0;
}

void bus_remove(struct bus *bus, uint64_t base, const void *ctx)
{
	unsigned i;

	for (i = 0; i < bus->count; i++) {
		if (bus->range[i].base != base || bus->range[i].ctx != ctx)
			continue;
		bus->count--;
		memmove(&bus->range[i], &bus->range[i + 1],
			(bus->count - i) * sizeof(bus->range[0]));
		return;
	}
}

static struct bus_range *find(struct bus *bus, uint64_t addr)
{
	unsigned lo = 0, hi = bus->count, mid;
	struct bus_range *r;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		r = &bus->range[mid];
		if (addr < r->base)
			hi = mid;
		else if (addr - r->base >= r->size)
			lo = mid + 1;
		else
			return r;
	}
	return NULL;
}

/* How much of @size bytes at @addr @r takes in one go: a power of two. */
static unsigned piece(const struct bus_range *r, uint64_t addr, unsigned size)
{
	uint64_t left = r->base + r->size - addr;
	unsigned n = r->width;

	while (n > size || n > left)
		n /= 2;
	return n;
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size)
{
	struct bus_range *r = find(bus, addr);
	unsigned n = r ? piece(r, addr, size) : 1;
	uint64_t val;

	val = r ? r->ops->read(r->ctx, addr - r->base, n) : UINT64_MAX;
	if (n < 8)
		val &= BIT64(8 * n) - 1;
	if (n < size)
		val |= bus_read(bus, addr + n, size - n) << (8 * n);
	return val;
}

void bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t val)
{
	struct bus_range *r = find(bus, addr);
	unsigned n = r ? piece(r, addr, size) : 1;

	if (r)
		r->ops->write(r->ctx, addr - r->base, n,
			      n < 8 ? val & (BIT64(8 * n) - 1) : val);
	if (n < size)
		bus_write(bus, addr + n, size - n, val >> (8 * n));
}
