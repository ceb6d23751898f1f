/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS/2 keyboard controller with nothing plugged in, ports 0x60 and 0x64.
 * Document: IBM PS/2 Technical Reference "Keyboard and Auxiliary Device
 * Controller". A byte sent to the absent keyboard is answered at once with
 * the controller's own time-out (status bit 6, data 0xfe); the auxiliary
 * port does not exist. Left out: scan codes, password commands.
 * The owner serializes all calls.
 */
#ifndef CHIP_I8042_H
#define CHIP_I8042_H

#include "chip/chip.h"

struct i8042_ops {
	/* Output port bit 0 went low: reset the machine. */
	void (*reset)(void *ctx);
	/* A20 gate (output port bit 1). May be NULL. */
	void (*a20)(void *ctx, bool on);
};

struct i8042 {
	uint8_t status;  /* port 0x64 */
	uint8_t data;    /* output buffer */
	uint8_t ram[32]; /* byte 0 is the command byte */
	uint8_t outport; /* output port */
	uint8_t expect;  /* command waiting for its byte at 0x60, 0 none */
	/* ---- derived ---- */
	struct chip_pin irq; /* to IRQ 1 */
	const struct i8042_ops *ops;
	void *ctx;
};

void i8042_init(struct i8042 *kbc, const struct chip_pin *irq,
		const struct i8042_ops *ops, void *ctx);
void i8042_reset(struct i8042 *kbc);

/* Guest access, bytes: @port 0x60 or 0x64. */
uint8_t i8042_read(struct i8042 *kbc, uint16_t port);
void i8042_write(struct i8042 *kbc, uint16_t port, uint8_t val);

#endif
