/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three registers. What is to be emptied stays until it is, so that a guest
 * that was not ready is asked again with the next event.
 */
#include "dev/pcihp.h"

#include "dev/bus.h"

static uint64_t pcihp_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pcihp *hp = ctx;
	uint32_t val = 0;

	if (size != 4)
		return UINT64_MAX;
	if (offset == PCIHP_UP) {
		val = hp->up;
		hp->up = 0;
	} else if (offset == PCIHP_DOWN) {
		val = hp->down;
	}
	return val;
}

static void pcihp_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	struct pcihp *hp = ctx;
	unsigned slot;

	if (size != 4 || offset != PCIHP_EJECT)
		return;
	/* Slot 0 is the host bridge's. */
	for (slot = 1; slot < 32; slot++)
		if (val & BIT(slot)) {
			hp->down &= ~BIT(slot);
			hp->eject(hp->ctx, slot);
		}
}

static const struct bus_ops pcihp_ops = {pcihp_read, pcihp_write};

int pcihp_init(struct pcihp *hp, struct bus *pio,
	       void (*eject)(void *ctx, unsigned slot), void *ctx)
{
	struct bus_range range = {PCIHP_PORT, PCIHP_SIZE, 4, &pcihp_ops, hp};

	*hp = (struct pcihp){.eject = eject, .ctx = ctx};
	return bus_add(pio, &range);
}
