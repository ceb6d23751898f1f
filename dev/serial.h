/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PC serial port: the UART at its eight I/O ports, wired to a console.
 */
#ifndef DEV_SERIAL_H
#define DEV_SERIAL_H

#include "chip/uart.h"

struct bus;
struct console;

struct serial {
	struct uart uart;
	struct console *console;
};

/* Claims [@port, @port + 8); 0 or bus_add()'s -errno. */
int serial_init(struct serial *s, struct bus *pio, uint16_t port,
		const struct chip_pin *irq,
		struct console *console) __must_check;

/* Bytes from the console; returns how many fit. */
size_t serial_receive(struct serial *s, const uint8_t *buf, size_t n);

#endif
