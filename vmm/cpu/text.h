/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs for people: identity, topology, caches with a picture of who shares
 * them, features.
 */
#ifndef VMM_CPU_TEXT_H
#define VMM_CPU_TEXT_H

#include "vmm/cpu/view.h"

/* All that @a says. */
void text_show(FILE *f, const struct answers *a);

/* The same for programs, every leaf of every CPU included. */
void text_json(FILE *f, const char *title, const struct answers *a);

/*
 * What differs between @x and @y, by lines that begin with the names;
 * returns how many.
 */
unsigned text_diff(FILE *f, const char *names[2], const struct answers *x,
		   const struct answers *y);

/* One line a leaf: CPU, leaf, sub-leaf, EAX, EBX, ECX, EDX, in hex. */
void text_dump(FILE *f, const struct answers *a);

#endif
