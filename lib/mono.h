/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's monotonic clock, for waits and rates of our own; what guests
 * read has a clock of its own.
 */
#ifndef LIB_MONO_H
#define LIB_MONO_H

#include <stdint.h>
#include <time.h>

#define NS_PER_SEC 1000000000ULL
#define NS_PER_MS  1000000ULL

/* Nanoseconds since some time before; never less than the call before. */
static inline uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

#endif
