/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory slots of a VM and the sorted map of guest-physical addresses made
 * from them.
 *
 * Locks: `lock` serializes the slot ioctls. The map changes only with every
 * vCPU stopped outside guest code and map_lock held for writing; the room's
 * own accesses to guest memory hold it for reading.
 */
#ifndef KVM_MEMSLOT_H
#define KVM_MEMSLOT_H

#include <pthread.h>

#include "cpu/physmap.h"

struct vm;
struct vcpu;
struct engine;
struct kvm_userspace_memory_region;

#define MEMSLOT_COUNT 32764u

struct memslot {
	uint64_t gpa;
	uint64_t size; /* bytes */
	uint64_t hva;
	uint32_t flags;   /* KVM_MEM_* */
	uint64_t *bitmap; /* dirty pages, atomic; NULL: not logged; with rings
			     those that are in one */
};

struct memslots {
	pthread_mutex_t lock;
	pthread_rwlock_t map_lock;
	struct memslot **by_id; /* indexed by slot number */
	uint32_t nid;
	struct phys_range *ranges; /* sorted, room for cap */
	uint32_t cap;
	struct physmap map;
	bool ring;       /* dirty pages are told in rings, not in bitmaps */
	uint64_t manual; /* KVM_DIRTY_LOG_* of MANUAL_DIRTY_LOG_PROTECT2 */
};

void memslots_init(struct memslots *m);
void memslots_destroy(struct memslots *m);

/* Apply one region as KVM_SET_USER_MEMORY_REGION does. 0 or -errno. */
int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region *r,
		uint32_t allowed_flags) __must_check;

/* Guest-physical access by the room, for the vCPU whose mutex is held. */
int memslot_read(struct vcpu *vcpu, uint64_t gpa, void *buf,
		 unsigned int size) __must_check;
int memslot_write(struct vcpu *vcpu, uint64_t gpa, const void *buf,
		  unsigned int size) __must_check;

#endif
