/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmark's guest program: rows that run natively and inside a guest,
 * from one static binary. A row does `n` operations and nothing else; bench.c
 * finds the n that takes long enough and prints nanoseconds per operation.
 */
#ifndef BENCH_GUEST_BENCH_H
#define BENCH_GUEST_BENCH_H

#include <stdint.h>
#include <stdio.h>

struct row {
	const char *name;
	void (*run)(uint64_t n);
	/* Returns why the row cannot run here, or NULL; prepares its data. */
	const char *(*prepare)(void);
	void (*cleanup)(void);
};

extern const struct row rows_compute[];
extern const struct row rows_memory[];
extern const struct row rows_vector[];
extern const struct row rows_kernel[];
extern const struct row rows_exit[];
extern const struct row rows_disk[];

/* Where rows leave their results, so that no compiler drops the work. */
extern volatile uint64_t sink;

/* Said by -g: ports and physical addresses may be touched. */
extern int inside_guest;

/* Serves the network rows, whose clock is the host's; does not return. */
void net_serve(unsigned port);

/* Ends the program with a sentence: a row that computes wrongly is no row. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* A small generator with a fixed seed, for data that is the same each time. */
static inline uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

#endif
