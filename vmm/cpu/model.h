/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named CPUs. A block in a model_*.c file is one CPU: everything about its
 * version 1 and, for each later version, what it changes. Words of a delta
 * are those of -cpu: +feature, -feature, property=value.
 */
#ifndef VMM_CPU_MODEL_H
#define VMM_CPU_MODEL_H

#include "lib/util.h"
#include "vmm/cpu/cache.h"

#define MODEL_VERSIONS 12

#define VENDOR_INTEL    "GenuineIntel"
#define VENDOR_AMD      "AuthenticAMD"
#define VENDOR_HYGON    "HygonGenuine"
#define VENDOR_ZHAOXIN  "CentaurHauls"
#define VENDOR_ZHAOXIN2 "  Shanghai  "

struct cpu_version {
	const char *delta;               /* NULL ends the list */
	const char *alias;               /* another name, NULL: none */
	const char *model_id;            /* NULL: as before */
	const struct cache_model *cache; /* NULL: as before */
};

struct cpu_model {
	const char *name; /* NULL ends a table */
	const char *vendor;
	uint16_t family;
	uint8_t model;
	uint8_t stepping;
	uint32_t level; /* lowest limits; features may raise them */
	uint32_t xlevel;
	uint32_t xlevel2;
	uint8_t avx10_version;
	bool force_1f; /* leaf 0x1F even without dies and modules */
	const char *model_id;
	const struct cache_model *cache; /* NULL: a legacy one */
	const char *features;            /* names of x86/feature.def */
	struct cpu_version version[MODEL_VERSIONS];
};

extern const struct cpu_model models_intel[];
extern const struct cpu_model models_xeon[];
extern const struct cpu_model models_amd[];
extern const struct cpu_model models_virt[];

/* The @n-th of all, NULL past the last. */
const struct cpu_model *model_get(unsigned n);

/* How many versions a model has. */
unsigned model_versions(const struct cpu_model *m);

/*
 * The model and version that @name stands for: NAME-vN, an alias, or NAME
 * alone, which is version 1, or the last if @latest. NULL when there is none.
 */
const struct cpu_model *model_find(const char *name, bool latest,
				   unsigned *version);

/* The caches of a version, NULL when it has no model of its own. */
const struct cache_model *model_cache(const struct cpu_model *m,
				      unsigned version);

/* The model-id of a version. */
const char *model_id(const struct cpu_model *m, unsigned version);

#endif
