/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chipset's reset control register (port 0xcf9) and system control port
 * A (port 0x92: fast reset, fast A20). Document: ICH9 "RST_CNT", "PORT92".
 * The owner serializes all calls.
 */
#ifndef CHIP_RESET_H
#define CHIP_RESET_H

#include "chip/chip.h"

struct reset_ops {
	/* Reset the machine; @hard: the devices too, not the CPU only. */
	void (*reset)(void *ctx, bool hard);
	/* A20 by port 0x92. May be NULL. */
	void (*a20)(void *ctx, bool on);
};

struct reset {
	uint8_t cf9;
	uint8_t port92;
	/* ---- derived ---- */
	const struct reset_ops *ops;
	void *ctx;
};

void reset_init(struct reset *r, const struct reset_ops *ops, void *ctx);
/* Registers back to power-on; calls nobody. */
void reset_clear(struct reset *r);

/* Guest access, bytes: @port 0xcf9 or 0x92. */
uint8_t reset_read(const struct reset *r, uint16_t port);
void reset_write(struct reset *r, uint16_t port, uint8_t val);

#endif
