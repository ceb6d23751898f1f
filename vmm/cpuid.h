/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUID shows a guest: what the KVM supports, with each vCPU's own place
 * among the processors filled in.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include <linux/kvm.h>

#include "lib/err.h"
#include "vmm/config.h"

struct hv;

/*
 * KVM_GET_SUPPORTED_CPUID, asked with more room until it fits. NULL on
 * failure; free() it.
 */
struct kvm_cpuid2 *cpuid_fetch_supported(struct hv *hv,
					 struct err *e) __must_check;

/* The APIC id of CPU @index: bit fields for thread, core and socket. */
uint32_t cpuid_apic_id(const struct config_smp *smp, unsigned index);

/*
 * A copy of @base for CPU @index, to be freed; @tsc_deadline: the KVM has the
 * TSC-deadline timer. NULL when memory is short.
 */
struct kvm_cpuid2 *cpuid_vcpu(const struct kvm_cpuid2 *base,
			      const struct config_smp *smp, unsigned index,
			      bool tsc_deadline) __must_check;

/* The entry of a leaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t leaf,
				    uint32_t subleaf);

bool cpuid_is_intel(struct kvm_cpuid2 *table);

#endif
