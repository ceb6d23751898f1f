/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID bits by name and place, from x86/feature.def. A set of features is an
 * array of words, one for each register (or MSR) that holds such bits.
 */
#ifndef VMM_CPU_FEATURE_H
#define VMM_CPU_FEATURE_H

#include "lib/util.h"
#include "x86/cpuid.h"

/* Where a word lives: a CPUID register, or an MSR when msr is not 0. */
struct feature_place {
	uint32_t leaf;
	uint32_t subleaf;
	uint32_t msr;
	uint8_t reg;   /* enum cpuid_out; of an MSR: 0 low half, 1 high */
	bool raises;   /* a bit set here raises the CPU's level */
	bool subleafs; /* the leaf has more than one */
};

extern const struct feature_place feature_places[CPUID_MODEL_WORDS];

/* "CPUID.7.1:EAX" or "MSR.10a"; returns @buf. */
const char *feature_word_name(unsigned word, char *buf, size_t size);

/* The feature of that name, in any of its spellings, or -1. */
int feature_find(const char *name, size_t len);

/* The name of a feature, or NULL. */
const char *feature_name(unsigned feature);

static inline bool feature_test(const uint32_t *words, unsigned feature)
{
	return words[feature / 32] >> (feature % 32) & 1;
}

static inline void feature_set(uint32_t *words, unsigned feature, bool on)
{
	if (on)
		words[feature / 32] |= BIT(feature % 32);
	else
		words[feature / 32] &= ~BIT(feature % 32);
}

/* Names of the features in @words, separated by spaces; cut with "...". */
void feature_list(const uint32_t *words, char *buf, size_t size);

#endif
