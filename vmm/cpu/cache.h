/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One description of a CPU's caches and its five encodings: CPUID leaves 2
 * and 4 (SDM 2A "CPUID"), 0x80000005, 0x80000006 and 0x8000001D (APM 3
 * appendix E). Which description a CPU has is decided elsewhere
 * (vmm/cpu/def.h); here each leaf is only a way of writing one down.
 */
#ifndef VMM_CPU_CACHE_H
#define VMM_CPU_CACHE_H

#include "lib/util.h"
#include "vmm/cpu/topo.h"

enum cache_type { CACHE_DATA = 1, CACHE_CODE = 2, CACHE_UNIFIED = 3 };

struct cache {
	enum cache_type type;
	uint8_t level; /* 1 to 3 */
	uint8_t lines_per_tag;
	uint16_t line; /* bytes */
	uint16_t ways;
	uint16_t partitions;
	uint32_t sets;
	uint32_t size; /* bytes */
	bool self_init;
	bool no_invd_sharing; /* WBINVD does not reach sharers' lower caches */
	bool inclusive;
	bool complex_index;
	enum topo_level share; /* threads of one such thing share it */
};

enum cache_index { CACHE_L1D, CACHE_L1I, CACHE_L2, CACHE_L3, CACHE_COUNT };

/* All a CPU has; none is ever absent. */
struct cache_model {
	struct cache c[CACHE_COUNT];
};

/* Without a model of its own, a CPU shows one of these. */
extern const struct cache_model cache_legacy_intel;
extern const struct cache_model cache_legacy_amd;
extern const struct cache_model cache_leaf2; /* also of the oldest CPUs */

/* Named CPUs' own. */
extern const struct cache_model cache_epyc, cache_epyc_v4, cache_epyc_v5;
extern const struct cache_model cache_rome, cache_rome_v3, cache_rome_v5;
extern const struct cache_model cache_milan, cache_milan_v2, cache_milan_v3;
extern const struct cache_model cache_genoa, cache_genoa_v2, cache_turin;
extern const struct cache_model cache_sapphire_rapids, cache_granite_rapids;
extern const struct cache_model cache_sierra_forest, cache_clearwater_forest;
extern const struct cache_model cache_yongfeng;

/* "L1d", "L1i", "L2", "L3" */
const char *cache_name(enum cache_index i);

/* The index for "l1d", "l1i", "l2", "l3", CACHE_COUNT when there is none. */
enum cache_index cache_find(const char *name);

/* Does every number agree with the others? */
bool cache_is_sound(const struct cache *c);

/* The order in which sharing may widen; NULL, or what is wrong. */
const char *cache_check_sharing(const struct cache_model *m);

/* The cache that a byte of leaf 2 names: kind, size, ways and line. */
bool cache_from_descriptor(uint8_t code, struct cache *c);

/* ---- the five encoders; @out: EAX EBX ECX EDX ---- */

/*
 * Leaf 2. @consistent: when not all caches have a descriptor, or @leaf4, say
 * "ask leaf 4"; else one cache without descriptor says so alone.
 */
void cache_encode_2(const struct cache_model *m, bool l3, bool consistent,
		    bool leaf4, uint32_t out[4]);

/* Leaf 4; @l1_shared: without it, L1 serves one thread. */
void cache_encode_4(const struct cache_model *m, const struct topo *t,
		    uint32_t subleaf, bool l3, bool l1_shared, uint32_t out[4]);
void cache_encode_80000005(const struct cache_model *m, uint32_t out[4]);
void cache_encode_80000006(const struct cache_model *m, bool l3,
			   uint32_t out[4]);
/* @no_index: EDX without the bit for complex indexing. */
void cache_encode_8000001d(const struct cache_model *m, const struct topo *t,
			   uint32_t subleaf, bool no_index, uint32_t out[4]);

#endif
