/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner's test device as guests look at it: its bytes in memory, and the
 * log of every access to it.
 */
#ifndef ARCH_GUEST_DEVLOG_H
#define ARCH_GUEST_DEVLOG_H

#include "test/arch/guest/arch.h"

#define MMIO ((volatile uint8_t *)(reg_t)DEV_MMIO)

void log_reset(void);

/*
 * What the log must hold; each empties it.
 * @n entries, all alike but for the offset that grows by @step.
 */
bool logged(unsigned int n, uint32_t kind, unsigned int size, uint32_t off,
	    int step);

/* Bytes that came in pieces: all of [off, off + n) once, in order. */
bool covered(uint32_t kind, uint32_t off, unsigned int n);

/* Exactly these. */
bool log_is(const uint32_t *want, unsigned int n);
#define LOG_IS(...)                             \
	log_is((const uint32_t[]){__VA_ARGS__}, \
	       sizeof((const uint32_t[]){__VA_ARGS__}) / 4)
#define RD(size, off)   (LOG_READ | LOG_SIZE(size) | LOG_OFFSET(off))
#define WR(size, off)   (LOG_WRITE | LOG_SIZE(size) | LOG_OFFSET(off))
#define IN(size, port)  (LOG_PIO | RD(size, port))
#define OUT(size, port) (LOG_PIO | WR(size, port))

#endif
