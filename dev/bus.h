/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address space of device registers: ports or memory-mapped. Ranges never
 * overlap. Nobody home reads as all ones and swallows writes, as on a PC.
 * The owner serializes all calls.
 */
#ifndef DEV_BUS_H
#define DEV_BUS_H

#include "lib/util.h"

#define BUS_MAX 640 /* ranges on one bus: two for each PCI function */

struct bus_ops {
	/* @offset is from the range's base, @size 1, 2, 4 or 8. */
	uint64_t (*read)(void *ctx, uint64_t offset, unsigned size);
	void (*write)(void *ctx, uint64_t offset, unsigned size, uint64_t val);
};

struct bus_range {
	uint64_t base;
	uint64_t size;  /* bytes */
	unsigned width; /* widest access the device takes; wider ones split */
	const struct bus_ops *ops;
	void *ctx;
};

struct bus {
	unsigned count;
	struct bus_range range[BUS_MAX]; /* sorted by base */
};

/* 0, -EINVAL for an empty range, -EEXIST on overlap, -ENOSPC. */
int bus_add(struct bus *bus, const struct bus_range *range) __must_check;

/* Take away the range that starts at @base and belongs to @ctx. */
void bus_remove(struct bus *bus, uint64_t base, const void *ctx);

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size);
void bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t val);

#endif
