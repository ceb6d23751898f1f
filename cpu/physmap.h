/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest-physical address space as a sorted array of ranges, made by the kvm
 * room from its memslots. Readers take no lock: the array is replaced only
 * while every vCPU of the machine is stopped outside of guest code.
 */
#ifndef CPU_PHYSMAP_H
#define CPU_PHYSMAP_H

#include "lib/util.h"

#define PHYS_READONLY BIT(0) /* writes exit as MMIO, reads are direct */
#define PHYS_DIRTY    BIT(1) /* report writes to cpu_ops.mark_dirty */

struct phys_range {
	uint64_t gpa;
	uint64_t size; /* bytes, multiple of 4096 */
	uint8_t *hva;
	uint32_t flags; /* PHYS_* */
	uint32_t slot;
};

struct physmap {
	unsigned int count;
	const struct phys_range *ranges; /* sorted by gpa, disjoint */
};

/* The range that holds @gpa, or NULL (MMIO). */
const struct phys_range *physmap_find(const struct physmap *map, uint64_t gpa);

#endif
