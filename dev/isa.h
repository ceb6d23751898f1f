/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's fixed I/O: RTC, keyboard controller, reset control, ACPI power
 * management, and the POST port. Their chips are in chip/; this is the
 * wiring to ports, interrupt lines and the machine's power.
 */
#ifndef DEV_ISA_H
#define DEV_ISA_H

#include "chip/acpi_pm.h"
#include "chip/i8042.h"
#include "chip/reset.h"
#include "chip/rtc.h"
#include "dev/power.h"

#define ISA_IRQ_KBD   1
#define ISA_IRQ_COM1  4
#define ISA_IRQ_RTC   8
#define ISA_IRQ_SCI   9
#define ISA_PORT_RTC  0x70
#define ISA_PORT_COM1 0x3f8
#define ISA_PORT_PM   0x600 /* ACPI_PM_SIZE bytes */
#define ISA_PORT_GPE  0x620 /* ACPI_GPE_SIZE bytes */
#define ISA_PORT_CF9  0xcf9
#define ISA_CF9_RESET 0x06 /* the value that resets */
#define ISA_SLP_S5    5    /* SLP_TYP of soft-off */

struct bus;

/* How the board serves these devices. */
struct isa_board {
	struct chip_pin irq; /* pin is replaced by the ISA line's number */
	struct chip_clock clock;
	int64_t utc_offset_ns; /* UTC since 1970 less the clock */
	const struct power *power;
	/* isa_deadline() may have moved. */
	void (*rearm)(void *ctx);
	/* The guest set the calendar: rtc.offset_ns is another one. */
	void (*rtc_set)(void *ctx);
	void *ctx;
};

struct isa {
	struct rtc rtc;
	struct i8042 kbc;
	struct reset reset;
	struct acpi_pm pm;
	struct isa_board board;
};

/*
 * Claims its ports on @pio, but for 0xcf9, which a PCI board shares with the
 * configuration ports and routes here by isa_reset_ops. 0 or bus_add()'s
 * -errno.
 */
int isa_init(struct isa *isa, struct bus *pio,
	     const struct isa_board *board) __must_check;

/* Port 0xcf9: range of one byte, context the struct isa. */
extern const struct bus_ops isa_reset_ops;

/* The next moment isa_advance() has something to do. */
uint64_t isa_deadline(const struct isa *isa);
void isa_advance(struct isa *isa);

/* The memory sizes where firmware's CMOS map has them. */
void isa_set_memory(struct isa *isa, uint64_t below_4g, uint64_t above_4g);

#endif
