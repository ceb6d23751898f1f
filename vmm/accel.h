/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which KVM serves the guest: those of -accel, in their order.
 */
#ifndef VMM_ACCEL_H
#define VMM_ACCEL_H

#include "lib/err.h"
#include "vmm/config.h"
#include "vmm/hv.h"

/*
 * Open the first of @accels that does; where there are none, the kernel's or
 * ours. The kernel's is taken only when a probe has shown that it runs 64-bit
 * code. With a choice, @why gets a sentence that says which was taken, and why
 * not the one before; without, it gets "".
 */
int accel_open(struct hv *hv, const struct config_accels *accels, char *why,
	       size_t why_size, struct err *e) __must_check;

#endif
