/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between CPUs and a KVM: what one supports, and the table each vCPU gets.
 */
#ifndef VMM_CPU_TABLE_H
#define VMM_CPU_TABLE_H

#include "vmm/cpu/def.h"

struct hv;

/* Ask @hv what it supports. On success, give it back with table_drop(). */
int table_ask(struct cpu_accel *accel, struct hv *hv,
	      struct err *e) __must_check;

void table_drop(struct cpu_accel *accel);

/* Fill accel->words from accel->table, as far as CPUID tells. */
void table_read_words(struct cpu_accel *accel);

/*
 * Every leaf of CPU @index for KVM_SET_CPUID2; free() it. NULL when memory is
 * short.
 */
struct kvm_cpuid2 *table_build(const struct cpu_def *def,
			       unsigned index) __must_check;

/*
 * The MSRs that list features, as @def has them: their number, at most
 * TABLE_MSRS.
 */
#define TABLE_MSRS 3
unsigned table_msrs(const struct cpu_def *def,
		    struct kvm_msr_entry out[TABLE_MSRS]);

#endif
