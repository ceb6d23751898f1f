/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A serial port, 8 registers. Document: National PC16550D data sheet.
 * Transmission takes no time: THR is empty when the write returns, and the
 * receive timeout is immediate. Left out: parity and framing on the line,
 * DMA pins. INTR is not gated by OUT2: that gate is on the board.
 * The owner serializes all calls.
 */
#ifndef CHIP_UART_H
#define CHIP_UART_H

#include "chip/chip.h"

#define UART_FIFO 16

/* Modem inputs, in the bits of MSR. */
#define UART_CTS BIT(4)
#define UART_DSR BIT(5)
#define UART_RI  BIT(6)
#define UART_DCD BIT(7)

struct uart_ops {
	/* One byte leaves the port. */
	void (*tx)(void *ctx, uint8_t byte);
	/* The receiver has room again after uart_receive() was cut short. */
	void (*rx_room)(void *ctx);
	/* DTR (bit 0), RTS (bit 1), OUT1/2 (2, 3), break (6). May be NULL. */
	void (*modem)(void *ctx, uint8_t lines);
};

struct uart {
	uint8_t ier;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t lsr; /* error bits only; DR, THRE, TEMT are computed */
	uint8_t msr;
	uint8_t scr;
	uint8_t fcr;
	uint8_t dll;
	uint8_t dlm;
	uint8_t inputs;    /* UART_CTS... as driven from outside */
	bool thre_pending; /* THR-empty interrupt not yet seen in IIR */
	bool rx_starved;   /* uart_receive() was cut short */
	uint8_t rx_head;   /* index of the oldest byte */
	uint8_t rx_count;  /* 0-16; without FIFO 0-1 */
	uint8_t rx[UART_FIFO];
	uint8_t rx_err[UART_FIFO]; /* LSR error bits of that byte */
	/* ---- derived ---- */
	bool intr; /* level of the INTR pin */
	struct chip_pin irq;
	const struct uart_ops *ops;
	void *ctx;
};

/* Power-on; CTS, DSR and DCD are on until uart_set_inputs(). */
void uart_init(struct uart *u, const struct chip_pin *irq,
	       const struct uart_ops *ops, void *ctx);
void uart_reset(struct uart *u);

/* Guest access to register 0-7, bytes. */
uint8_t uart_read(struct uart *u, unsigned reg);
void uart_write(struct uart *u, unsigned reg, uint8_t val);

/* Bytes that fit now. */
size_t uart_room(const struct uart *u);
/*
 * Bytes from the line. Returns how many were taken; the rest is the
 * owner's to keep until ops->rx_room.
 */
size_t uart_receive(struct uart *u, const uint8_t *data, size_t len);
/* The line sends a break (a zero byte with BI); overruns when full. */
void uart_receive_break(struct uart *u);
/* Drive the modem inputs, UART_CTS | UART_DSR | UART_RI | UART_DCD. */
void uart_set_inputs(struct uart *u, uint8_t lines);
/* Recompute the pin after the upper half was loaded. */
void uart_restored(struct uart *u);

#endif
