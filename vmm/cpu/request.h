/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of -cpu, -machine and -smp as they are given, in any order, and
 * the request that comes of them.
 */
#ifndef VMM_CPU_REQUEST_H
#define VMM_CPU_REQUEST_H

#include "vmm/cpu/def.h"

#define REQUEST_SMP_CACHES 8

/* What was said so far. */
struct request {
	struct cpu_request cpu;
	char smp[256];
	struct {
		bool said;
		enum cache_index cache;
		enum topo_level level;
	} smp_cache[REQUEST_SMP_CACHES];
};

/* @name: the CPU when -cpu does not say; @machine likewise. */
void request_init(struct request *r, const char *name, const char *machine);

/* Value of -cpu: NAME, then properties. */
int request_cpu(struct request *r, const char *arg, struct err *e) __must_check;

/* A machine type by name. */
int request_type(struct request *r, const char *name,
		 struct err *e) __must_check;

/* A machine's property: 1 if it is one about CPUs, 0 if not. */
int request_property(struct request *r, const char *key, const char *value,
		     struct err *e) __must_check;

/* Value of -machine where nothing but CPUs counts. */
int request_machine(struct request *r, const char *arg,
		    struct err *e) __must_check;

/* Value of -smp. */
int request_smp(struct request *r, const char *arg, struct err *e) __must_check;

/* All has been said: check what belongs together and fill r->cpu. */
int request_finish(struct request *r, struct err *e) __must_check;

#endif
