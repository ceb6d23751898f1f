/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial port glue; chip/uart.h models the chip itself.
 */
#include "dev/serial.h"

#include "dev/bus.h"
#include "host/console.h"

static uint64_t serial_read(void *ctx, uint64_t offset, unsigned size)
{
	struct serial *s = ctx;

	return uart_read(&s->uart, (unsigned)offset);
}

static void serial_write(void *ctx, uint64_t offset, unsigned size,
			 uint64_t val)
{
	struct serial *s = ctx;

	uart_write(&s->uart, (unsigned)offset, (uint8_t)val);
}

static void serial_tx(void *ctx, uint8_t byte)
{
	struct serial *s = ctx;

	console_write(s->console, &byte, 1);
}

static void serial_rx_room(void *ctx)
{
	struct serial *s = ctx;

	console_room(s->console);
}

static const struct bus_ops serial_bus_ops = {serial_read, serial_write};

static const struct uart_ops serial_uart_ops = {
	.tx = serial_tx,
	.rx_room = serial_rx_room,
};

int serial_init(struct serial *s, struct bus *pio, uint16_t port,
		const struct chip_pin *irq, struct console *console)
{
	struct bus_range range = {port, 8, 1, &serial_bus_ops, s};

	s->console = console;
	uart_init(&s->uart, irq, &serial_uart_ops, s);
	return bus_add(pio, &range);
}

size_t serial_receive(struct serial *s, const uint8_t *buf, size_t n)
{
	return uart_receive(&s->uart, buf, n);
}
