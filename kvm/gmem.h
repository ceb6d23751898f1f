/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as a file of its own (KVM_CREATE_GUEST_MEMFD) and what is
 * private of a VM's address space (KVM_SET_MEMORY_ATTRIBUTES). Private pages
 * of a slot are those of its file; without one they cannot be reached. The
 * file is an ordinary one here: private means that only the guest is offered
 * the page, not that the host could not read it.
 */
#ifndef KVM_GMEM_H
#define KVM_GMEM_H

#include "kvm/handle.h"

struct vm;
struct vcpu;
struct memslot;
struct vcpu_mapping;

struct gmem {
	struct object obj;
	struct vm *vm; /* referenced */
	uint64_t size;
	uint64_t flags; /* GUEST_MEMFD_FLAG_* */
	int fd;         /* another description, for mappings */
};

/* Private parts of the address space: sorted, disjoint, not adjacent. */
struct gmem_private {
	uint64_t start, end;
};

struct gmem_map {
	struct gmem_private *part;
	uint32_t count;
};

/* The file behind @fd, referenced: 0, -EBADF, or -EINVAL for another one. */
int gmem_get(int fd, struct gmem **out) __must_check;

/*
 * Bind @s to part of the file and map that. mem.lock held. 0, -EINVAL (not
 * this VM's, out of range), -EEXIST (part of another slot), -ENOMEM.
 */
int gmem_bind(struct vm *vm, struct memslot *s, struct gmem *g,
	      uint64_t offset) __must_check;

/* The slot is gone, or never came to be: unmap. */
void gmem_unbind(struct memslot *s);

/* Whether @gpa is private; mem.lock or map_lock held. */
bool gmem_is_private(const struct gmem_map *m, uint64_t gpa);

/* A client's mapping, as vcpu_mmap(). -ENODEV: not to be mapped at all. */
int gmem_mmap(const struct gmem *g, const struct vcpu_mapping *m,
	      void **out) __must_check;

/* GUEST_MEMFD_FLAG_* a VM (or, NULL, some VM) may create files with. */
uint64_t gmem_flags(const struct vm *vm);

#endif
