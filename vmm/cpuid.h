/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of CPUID entries: what the KVM supports, and looking things up in
 * them. What a guest is shown is made in vmm/cpu.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include <linux/kvm.h>

#include "lib/err.h"

struct hv;

/*
 * KVM_GET_SUPPORTED_CPUID, asked with more room until it fits. NULL on
 * failure; free() it.
 */
struct kvm_cpuid2 *cpuid_fetch_supported(struct hv *hv,
					 struct err *e) __must_check;

/* The entry of a leaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t leaf,
				    uint32_t subleaf);

bool cpuid_is_intel(struct kvm_cpuid2 *table);

#endif
