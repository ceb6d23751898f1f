/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic, isa-debug-exit, debug console; see testdev.h.
 */
#include "dev/testdev.h"

#include "dev/bus.h"
#include "host/console.h"

/* ctx of the first two is a const struct power, which bus_range cannot say. */
static void *power_ctx(const struct power *power)
{
	return (void *)(uintptr_t)power;
}

static uint64_t pvpanic_read(void *ctx, uint64_t offset, unsigned size)
{
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(void *ctx, uint64_t offset, unsigned size,
			  uint64_t val)
{
	if (val & PVPANIC_PANICKED)
		power_request(ctx, POWER_PANIC, 0);
}

static uint64_t debug_exit_read(void *ctx, uint64_t offset, unsigned size)
{
	return 0;
}

static void debug_exit_write(void *ctx, uint64_t offset, unsigned size,
			     uint64_t val)
{
	power_request(ctx, POWER_EXIT, (int)(val << 1 | 1));
}

static uint64_t debugcon_read(void *ctx, uint64_t offset, unsigned size)
{
	return 0xe9;
}

static void debugcon_write(void *ctx, uint64_t offset, unsigned size,
			   uint64_t val)
{
	struct debugcon *d = ctx;
	uint8_t byte = (uint8_t)val;

	console_write(d->console, &byte, 1);
}

static const struct bus_ops pvpanic_ops = {pvpanic_read, pvpanic_write};
static const struct bus_ops debug_exit_ops = {debug_exit_read,
					      debug_exit_write};
static const struct bus_ops debugcon_ops = {debugcon_read, debugcon_write};

int pvpanic_init(struct bus *pio, uint16_t port, const struct power *power)
{
	struct bus_range range = {port, 1, 1, &pvpanic_ops, power_ctx(power)};

	return bus_add(pio, &range);
}

int debug_exit_init(struct bus *pio, uint16_t port, unsigned size,
		    const struct power *power)
{
	struct bus_range range = {port, size, size, &debug_exit_ops,
				  power_ctx(power)};

	return bus_add(pio, &range);
}

int debugcon_init(struct debugcon *d, struct bus *pio, uint16_t port)
{
	struct bus_range range = {port, 1, 1, &debugcon_ops, d};

	return bus_add(pio, &range);
}
