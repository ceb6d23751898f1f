/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUID answers mean: read back from the leaves alone, as a guest would.
 */
#ifndef VMM_CPU_VIEW_H
#define VMM_CPU_VIEW_H

#include "vmm/cpu/answers.h"

#define VIEW_CACHES 8

/* One cache as some leaf shows it; what the leaf does not say is 0. */
struct view_cache {
	uint8_t type; /* enum cache_type */
	uint8_t level;
	uint64_t size;
	uint32_t ways;
	uint32_t line;
	uint32_t sets;
	unsigned shift; /* CPUs with equal APIC id >> shift share it */
	uint8_t flags;  /* EDX[2:0] of leaf 4 */
	bool self_init;
};

struct view {
	char vendor[13];
	char model_id[49];
	uint32_t level, xlevel, signature;
	unsigned family, model, stepping;
	uint32_t words[CPUID_MODEL_WORDS]; /* MSRs are not to be seen */
	unsigned phys_bits, linear_bits;
	/* topology: bits of the APIC id below the core, below the package */
	unsigned core_shift, package_shift;
	unsigned module_shift, die_shift; /* 0: not told apart */
};

void view_read(struct view *v, const struct answers *a);

uint32_t view_apic_id(const struct answers *a, unsigned cpu);

/*
 * The caches that @leaf shows (2, 4, 0x80000005, 0x80000006, 0x8000001D):
 * their number, 0 when it shows none.
 */
unsigned view_caches(const struct answers *a, uint32_t leaf,
		     struct view_cache out[VIEW_CACHES]);

/* The first of 4 and 0x8000001D that shows any. */
unsigned view_best_caches(const struct answers *a,
			  struct view_cache out[VIEW_CACHES]);

/*
 * Do all leaves tell the same story? NULL, or a sentence about the first two
 * that do not.
 */
const char *view_contradiction(const struct answers *a, char *buf, size_t size);

#endif
