/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-port devices by which a guest talks to whoever runs it: pvpanic,
 * isa-debug-exit and the debug console. Ports and values are QEMU's.
 */
#ifndef DEV_TESTDEV_H
#define DEV_TESTDEV_H

#include "dev/power.h"

/* pvpanic events, as bits of its port. */
#define PVPANIC_PANICKED     BIT(0)
#define PVPANIC_CRASH_LOADED BIT(1)

struct bus;
struct console;

struct debugcon {
	struct console *console;
};

/*
 * The guest writes PVPANIC_PANICKED: POWER_PANIC. A kernel that will collect
 * its own dump (PVPANIC_CRASH_LOADED) runs on.
 */
int pvpanic_init(struct bus *pio, uint16_t port,
		 const struct power *power) __must_check;

/* A write of v of any width asks for exit status (v << 1) | 1. */
int debug_exit_init(struct bus *pio, uint16_t port, unsigned size,
		    const struct power *power) __must_check;

/* Bytes written go to @d->console; reads give the port's signature 0xe9. */
int debugcon_init(struct debugcon *d, struct bus *pio,
		  uint16_t port) __must_check;

#endif
