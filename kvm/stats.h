/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of VMs and vCPUs: KVM API "KVM_GET_STATS_FD". Each set is a file
 * that holds its own description and, in pages mapped here, the very words
 * that are counted in: whoever reads it sees them live, also after the VM.
 */
#ifndef KVM_STATS_H
#define KVM_STATS_H

#include "lib/binstat.h"

struct vm;
struct vcpu;

enum vm_stat {
	VM_STAT_MEMSLOT,
	VM_STAT_DIRTY_LOG,
	VM_STAT_ROUTING,
	VM_STAT_IRQFD,
	VM_STAT_IOEVENTFD,
	VM_STAT_COALESCED,
	VM_STAT_COUNT,
};

struct stats {
	struct binstat file; /* its fd is -1 when the client has it */
	uint64_t dev, ino;
};

/* Both leave nothing behind when they fail: -errno. */
int stats_create_vm(struct vm *vm) __must_check;
int stats_create_vcpu(struct vcpu *vcpu) __must_check;

/* Unmap and close; what was never created is fine too. */
void stats_destroy(struct stats *s);

/* Any thread. */
void stats_count(struct vm *vm, enum vm_stat n);

#endif
