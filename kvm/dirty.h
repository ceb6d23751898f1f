/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guest instructions ask of this room on their way, and the ring that
 * pages they dirty are told in: KVM API "KVM_CAP_DIRTY_LOG_RING".
 */
#ifndef KVM_DIRTY_H
#define KVM_DIRTY_H

#include "cpu/cpu.h"

struct vm;
struct vcpu;
struct kvm_dirty_gfn;

#define DIRTY_RING_MAX     65536u /* entries */
/* Left free for what is dirtied before the vCPU can leave guest code. */
#define DIRTY_RING_RESERVE 576u

/* Of one vCPU. The entries are shared with the client, the indices are not. */
struct dirty_ring {
	struct kvm_dirty_gfn *gfn; /* NULL: no ring */
	uint32_t size;             /* entries, a power of two */
	uint32_t next;             /* atomic; to be filled */
	uint32_t reset;            /* atomic; first not given back */
};

/* Upcalls handed to the engine. */
extern const struct cpu_ops dirty_cpu_ops;

/* dirty.c: the client has to collect entries before guest code may go on. */
bool dirty_ring_full(const struct dirty_ring *r);

/* ring.c: KVM_ENABLE_CAP; vm->lock held. 0, -EINVAL or -E2BIG. */
int ring_enable(struct vm *vm, uint64_t bytes) __must_check;

/* Map the vCPU's ring out of its file, or unmap it. */
int ring_map(struct vcpu *vcpu, int fd) __must_check;
void ring_unmap(struct vcpu *vcpu);

#endif
