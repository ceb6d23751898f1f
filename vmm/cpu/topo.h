/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the processors: sockets, dies, modules, cores and threads, the
 * -smp grammar that describes it, and the APIC ids that follow from it: one
 * bit field a level, each as wide as its count needs. SDM 3A "Programming
 * Considerations for Hardware Multi-Threading Capable Processors".
 */
#ifndef VMM_CPU_TOPO_H
#define VMM_CPU_TOPO_H

#include "lib/err.h"

/* From the inside out. The order is that of sharing, too. */
enum topo_level {
	TOPO_DEFAULT, /* not said */
	TOPO_THREAD,
	TOPO_CORE,
	TOPO_MODULE,
	TOPO_DIE,
	TOPO_SOCKET,
	TOPO_LEVELS
};

struct topo {
	unsigned cpus;    /* present from the start */
	unsigned maxcpus; /* sockets * dies * modules * cores * threads */
	unsigned sockets;
	unsigned dies;    /* per socket */
	unsigned modules; /* per die */
	unsigned cores;   /* per module */
	unsigned threads; /* per core */
};

/* What a machine makes of -smp. */
struct topo_rules {
	unsigned max_cpus;
	bool prefer_sockets; /* -smp N makes sockets, not cores */
	bool flat;           /* neither dies nor modules */
};

/* Where one CPU sits, each counted inside the next. */
struct topo_place {
	unsigned socket;
	unsigned die;
	unsigned module;
	unsigned core;
	unsigned thread;
	uint32_t apic_id;
};

/* Parse the value of -smp; NULL or "" is one CPU. */
int topo_parse(struct topo *t, const char *arg, const struct topo_rules *r,
	       struct err *e) __must_check;

/* Bits of the APIC id below the field of @level. */
unsigned topo_shift(const struct topo *t, enum topo_level level);

/* Threads inside one thing of @level. */
unsigned topo_threads(const struct topo *t, enum topo_level level);

/* CPU @index in APIC id order. */
struct topo_place topo_place(const struct topo *t, unsigned index);

/* More than threads, cores and sockets? */
static inline bool topo_is_deep(const struct topo *t)
{
	return t->dies > 1 || t->modules > 1;
}

/* "thread", "core", ... */
const char *topo_level_name(enum topo_level level);

/* The level of that name, TOPO_LEVELS when there is none. */
enum topo_level topo_level_find(const char *name);

#endif
