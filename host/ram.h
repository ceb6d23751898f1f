/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory to be lent to a machine: reserved, not committed, zero at first.
 */
#ifndef HOST_RAM_H
#define HOST_RAM_H

#include "lib/err.h"
#include "lib/progress.h"

struct host_ram {
	void *base;  /* NULL while nothing is mapped */
	size_t size; /* bytes */
	int fd;      /* of memory that others can map, with shared */
	bool shared;
};

/*
 * Map @size bytes. More than the host's memory and swap together, or more
 * than the address space takes, is refused with -ENOMEM.
 */
int host_ram_map(struct host_ram *ram, size_t size, struct err *e) __must_check;

/* The same of memory that other processes can map by its descriptor. */
int host_ram_share(struct host_ram *ram, size_t size,
		   struct err *e) __must_check;

/*
 * Have the host give all of it now, so that it cannot fail to later; @p may
 * be NULL. -ENOMEM and others with a sentence when it cannot.
 */
int host_ram_populate(const struct host_ram *ram, const struct progress *p,
		      struct err *e) __must_check;

/* Give it back; harmless on an unmapped one. */
void host_ram_unmap(struct host_ram *ram);

#endif
