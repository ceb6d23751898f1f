/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments as a loader leaves them.
 */
#ifndef VMM_SEGMENT_H
#define VMM_SEGMENT_H

#include <linux/kvm.h>

#include "lib/util.h"

/* All of 4 GiB, of 32 bits or, for code, of 64. */
static inline struct kvm_segment segment_flat(uint16_t selector, uint8_t type,
					      bool code64)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = code64,
		.db = !code64,
	};
}

#endif
