/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The richest model that runs on several hosts at once, less a few features
 * if need be.
 */
#ifndef VMM_CPU_BASELINE_H
#define VMM_CPU_BASELINE_H

#include "vmm/cpu/view.h"

struct baseline {
	char model[64];                   /* NAME-vN */
	uint32_t less[CPUID_MODEL_WORDS]; /* its features that one lacks */
	uint32_t more[CPUID_MODEL_WORDS]; /* common features it lacks */
	int score;
};

/*
 * @words: features that all hosts have; @vendor: theirs, NULL when they
 * differ. -ENOENT: no model of that vendor fits.
 */
int baseline_find(struct baseline *b, const uint32_t *words, const char *vendor,
		  struct err *e) __must_check;

#endif
