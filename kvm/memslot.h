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
#include "kvm/gmem.h"

struct vm;
struct vcpu;
struct engine;
struct kvm_userspace_memory_region2;

#define MEMSLOT_COUNT 32764u

struct memslot {
	uint64_t gpa;
	uint64_t size; /* bytes */
	uint64_t hva;
	uint32_t flags; /* KVM_MEM_* */
	uint32_t id;
	uint64_t *bitmap;  /* dirty pages, atomic; NULL: not logged; with rings
			     those that are in one */
	struct gmem *gmem; /* no reference; NULL: none, or closed */
	uint64_t gmem_offset;
	uint8_t *gmem_hva; /* where it is mapped for guests */
	bool gmem_only;    /* shared pages are the file's, too */
};

struct memslots {
	pthread_mutex_t lock;
	pthread_rwlock_t map_lock;
	struct memslot **by_id; /* indexed by slot number */
	uint32_t nid;
	struct phys_range *ranges; /* sorted, room for cap */
	uint32_t cap;
	struct physmap map;
	bool mixed;              /* slots may be in pieces, see build() */
	struct gmem_map private; /* changes as the map does */
	bool ring;       /* dirty pages are told in rings, not in bitmaps */
	uint64_t manual; /* KVM_DIRTY_LOG_* of MANUAL_DIRTY_LOG_PROTECT2 */
};

void memslots_init(struct memslots *m);
void memslots_destroy(struct memslots *m);

/* Apply one region as KVM_SET_USER_MEMORY_REGION does. 0 or -errno. */
int memslot_set(struct vm *vm,
		const struct kvm_userspace_memory_region2 *r) __must_check;

/* Exchange what is private; @map's array is ours then. mem.lock held. */
int memslots_set_private(struct vm *vm,
			 const struct gmem_map *map) __must_check;

/* A file is closed: slots do without it from now on. */
void memslots_drop_gmem(struct vm *vm, const struct gmem *g);

/* Guest-physical access by the room, for the vCPU whose mutex is held. */
int memslot_read(struct vcpu *vcpu, uint64_t gpa, void *buf,
		 unsigned int size) __must_check;
int memslot_write(struct vcpu *vcpu, uint64_t gpa, const void *buf,
		  unsigned int size) __must_check;

#endif
