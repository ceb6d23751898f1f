/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which KVM serves the guest: -accel lodge, kvm or auto.
 */
#ifndef VMM_ACCEL_H
#define VMM_ACCEL_H

#include "lib/err.h"
#include "vmm/config.h"
#include "vmm/hv.h"

/*
 * Open the KVM that @accel asks for. The kernel's is taken only when a probe
 * has shown that it runs 64-bit code. With ACCEL_AUTO, @why gets a sentence
 * that says which KVM was chosen.
 */
int accel_open(struct hv *hv, enum config_accel accel, char *why,
	       size_t why_size, struct err *e) __must_check;

#endif
