/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSR filter a client sets with KVM_X86_SET_MSR_FILTER.
 */
#ifndef KVM_FILTER_H
#define KVM_FILTER_H

#include <linux/kvm.h>

#include "cpu/cpu.h"

#define FILTER_BITMAP_WORDS (0x600 / 8)

struct filter_range {
	uint32_t flags; /* KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE */
	uint32_t base, count;
	uint64_t *allow; /* bit set: allowed */
};

struct filter {
	bool allow_others;
	uint32_t count;
	struct filter_range range[KVM_MSR_FILTER_MAX_RANGES];
};

void filter_free(struct filter *f);

struct vcpu;

/* Take over the VM's filter of counter events if it is a new one. */
int filter_sync_events(struct vcpu *vcpu) __must_check;

/* dirty.c: upcall of RDMSR and WRMSR, general registers only. */
bool filter_denies(const struct filter *f, uint32_t index, bool write);

#endif
