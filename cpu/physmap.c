/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-up in the guest-physical address space. Machines have some ten ranges:
 * a binary search over the sorted array is a handful of steps.
 */
#include "cpu/physmap.h"

const struct phys_range *physmap_find(const struct physmap *map, uint64_t gpa)
{
	unsigned int lo = 0, hi;

	if (!map)
		return NULL;
	hi = map->count;
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		const struct phys_range *r = &map->ranges[mid];

		if (gpa < r->gpa)
			hi = mid;
		else if (gpa - r->gpa >= r->size)
			lo = mid + 1;
		else
			return r;
	}
	return NULL;
}
