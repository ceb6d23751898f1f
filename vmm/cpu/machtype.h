/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machines' names and what a version of one means for its CPUs. A
 * version is a list of deltas, newest to oldest: a machine has those of every
 * version from the newest down to its own.
 */
#ifndef VMM_CPU_MACHTYPE_H
#define VMM_CPU_MACHTYPE_H

#include "lib/err.h"
#include "vmm/cpu/topo.h"

enum machtype_board { BOARD_MICROVM, BOARD_I440FX, BOARD_Q35 };

#define MACHTYPE_NEWEST 0xffff /* a version above all others */

/* One machine type. */
struct machtype {
	char name[24];
	enum machtype_board board;
	unsigned version; /* 1001 is 10.1 */
	bool latest;      /* CPU names without version are the last one */
	bool smp_cache;   /* takes smp-cache= */
	struct topo_rules smp;
};

/* Find "pc", "q35", "microvm", "pc-q35-10.1" ... */
int machtype_find(const char *name, struct machtype *m,
		  struct err *e) __must_check;

/* The @n-th of all, newest first; false past the last. */
bool machtype_get(unsigned n, struct machtype *m, const char **alias);

/*
 * Call @apply with each delta of @m, oldest version last. @cpu: the CPU's
 * name as the operator gave it; some deltas are for one CPU only.
 */
int machtype_deltas(const struct machtype *m, const char *cpu,
		    int (*apply)(void *priv, const char *delta, struct err *e),
		    void *priv, struct err *e) __must_check;

#endif
