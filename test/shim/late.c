/* SPDX-License-Identifier: Apache-2.0 */
#include "test/shim/late.h"

#include <cpuid.h>

/* Two libraries with the instruction in different places. */
__attribute__((visibility("default"))) late_fn late_cpuid;

#if LATE == 2
__attribute__((visibility("default"))) unsigned int late_pad(unsigned int x);
unsigned int late_pad(unsigned int x)
{
	return x * 0xa20f + 1;
}
#endif

void late_cpuid(unsigned int leaf, unsigned int r[4])
{
#if LATE == 2
	r[3] = late_pad(leaf);
#endif
	__cpuid(leaf, r[0], r[1], r[2], r[3]);
}
