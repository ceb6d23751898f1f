/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that another process can read while they grow: a file in memory
 * that describes itself and whose words are the counters, mapped here. The
 * layout is the one of KVM API "KVM_GET_STATS_FD", so one reader serves all.
 */
#ifndef LIB_BINSTAT_H
#define LIB_BINSTAT_H

#include "lib/util.h"

#define BINSTAT_NAME 48u /* bytes of a name, its NUL among them */
#define BINSTAT_MAX  40u /* counters of a file */

struct binstat_header {
	uint32_t flags;
	uint32_t name_size;
	uint32_t num_desc;
	uint32_t id_offset;
	uint32_t desc_offset;
	uint32_t data_offset;
};

/* @name_size bytes of name follow. */
struct binstat_desc {
	uint32_t flags;
	int16_t exponent;
	uint16_t size; /* words */
	uint32_t offset;
	uint32_t bucket_size;
};

struct binstat {
	int fd;
	void *file;     /* mapping of all of it; NULL: there is none */
	uint64_t *data; /* the counters, in the order of their names */
};

/*
 * Create @name, which other processes find in /proc/PID/fd, with an id and
 * @n counters. -errno, and nothing is left behind.
 */
int binstat_create(struct binstat *s, const char *name, const char *id,
		   const char *const *counters, uint32_t n) __must_check;

/* Unmap and close; what was never created, or all zero, is fine too. */
void binstat_destroy(struct binstat *s);

/* Any thread. */
static inline void binstat_add(struct binstat *s, uint32_t counter, uint64_t n)
{
	if (s->file)
		__atomic_fetch_add(&s->data[counter], n, __ATOMIC_RELAXED);
}

#endif
