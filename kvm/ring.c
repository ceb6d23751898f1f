/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_CAP_DIRTY_LOG_RING: making the rings and taking back what the client
 * collected. A page is in the rings once at most: its bit in the slot's
 * bitmap, which the client does not see in this mode, stays until then.
 *
 * Bits are cleared before write entries are dropped. A store in between goes
 * unnoticed, but it is there before the call returns, and the client reads
 * the page after that.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <sys/mman.h>

#include "engine/engine.h"
#include "kvm/dirty.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define PAGE        4096u
#define RING_OFFSET ((off_t)KVM_DIRTY_LOG_PAGE_OFFSET * PAGE)

int ring_enable(struct vm *vm, uint64_t bytes)
{
	const uint64_t entry = sizeof(struct kvm_dirty_gfn);

	bytes = (uint32_t)bytes;
	if (!bytes || (bytes & (bytes - 1)) || bytes < PAGE ||
	    bytes < DIRTY_RING_RESERVE * entry)
		return -EINVAL;
	if (bytes > DIRTY_RING_MAX * entry)
		return -E2BIG;
	if (vm->ring_bytes || vm->created)
		return -EINVAL;
	vm->ring_bytes = (uint32_t)bytes;
	pthread_mutex_lock(&vm->mem.lock);
	vm->mem.ring = true;
	pthread_mutex_unlock(&vm->mem.lock);
	return 0;
}

int ring_map(struct vcpu *vcpu, int fd)
{
	struct dirty_ring *r = &vcpu->ring;
	void *p;

	if (!vcpu->vm->ring_bytes)
		return 0;
	p = mmap(NULL, vcpu->vm->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		 fd, RING_OFFSET);
	if (p == MAP_FAILED)
		return -errno;
	r->gfn = p;
	r->size = vcpu->vm->ring_bytes / (uint32_t)sizeof(*r->gfn);
	return 0;
}

void ring_unmap(struct vcpu *vcpu)
{
	if (vcpu->ring.gfn)
		munmap(vcpu->ring.gfn, vcpu->vm->ring_bytes);
}

/* What the entry names may be gone, or never have been: clients write it. */
static void forget_page(struct memslots *m, uint32_t slot, uint64_t page)
{
	struct memslot *s = slot < m->nid ? m->by_id[slot] : NULL;

	if (s && s->bitmap && page < s->size / PAGE)
		__atomic_fetch_and(&s->bitmap[page / 64], ~BIT64(page % 64),
				   __ATOMIC_ACQ_REL);
}

static uint32_t reset_ring(struct memslots *m, struct dirty_ring *r)
{
	struct kvm_dirty_gfn *e;
	uint32_t count = 0;

	/* Entries that were never handed out may look as if they came back. */
	while (r->reset != __atomic_load_n(&r->next, __ATOMIC_ACQUIRE)) {
		e = &r->gfn[r->reset & (r->size - 1)];
		if (!(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) &
		      KVM_DIRTY_GFN_F_RESET))
			break;
		forget_page(m, __atomic_load_n(&e->slot, __ATOMIC_RELAXED),
			    __atomic_load_n(&e->offset, __ATOMIC_RELAXED));
		__atomic_store_n(&e->flags, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&r->reset, r->reset + 1, __ATOMIC_RELEASE);
		count++;
	}
	return count;
}

int ring_reset(struct call *c)
{
	struct vm *vm = c->vm;
	uint32_t count = 0;

	if (!vm->ring_bytes)
		return -EINVAL;
	pthread_mutex_lock(&vm->mem.lock);
	for (uint32_t i = 0; i < vm_vcpus(vm); i++)
		count += reset_ring(&vm->mem, &vm->vcpus[i]->ring);
	if (count)
		engine_log_dirty(vm->engine, NULL, 0);
	pthread_mutex_unlock(&vm->mem.lock);
	return (int)count;
}
