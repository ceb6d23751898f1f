/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory to be lent to a machine: reserved, not committed, zero at first.
 */
#ifndef HOST_RAM_H
#define HOST_RAM_H

#include "lib/err.h"

struct host_ram {
	void *base;  /* NULL while nothing is mapped */
	size_t size; /* bytes */
};

/*
 * Map @size bytes. More than the host's memory and swap together, or more
 * than the address space takes, is refused with -ENOMEM.
 */
int host_ram_map(struct host_ram *ram, size_t size, struct err *e) __must_check;

/* Give it back; harmless on an unmapped one. */
void host_ram_unmap(struct host_ram *ram);

#endif
