/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upcalls of guest instructions: marking pages dirty, asking the MSR filter,
 * signalling ioeventfds.
 * They run with the guest's vector registers in the host's: general registers
 * only, no libc. Map, bitmaps, filter and ioeventfds cannot go away meanwhile:
 * they change only while no vCPU is in guest code, or under map_lock.
 */
#include "kvm/dirty.h"

#include <sys/syscall.h>

#include "cpu/physmap.h"
#include "kvm/filter.h"
#include "kvm/memslot.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define PAGE_MASK (~4095ull)

bool dirty_ring_full(const struct dirty_ring *r)
{
	uint32_t used;

	if (likely(!r->gfn))
		return false;
	used = __atomic_load_n(&r->next, __ATOMIC_RELAXED) -
	       __atomic_load_n(&r->reset, __ATOMIC_ACQUIRE);
	return used >= r->size - DIRTY_RING_RESERVE;
}

/* An entry may be taken by the client as soon as its flags say so. */
static void push(struct vcpu *vcpu, uint32_t slot, uint64_t page)
{
	struct dirty_ring *r = &vcpu->ring;
	struct kvm_dirty_gfn *e = &r->gfn[r->next & (r->size - 1)];

	if (r->next - __atomic_load_n(&r->reset, __ATOMIC_ACQUIRE) == r->size) {
		/* The reserve was too small: better no VM than a lost page. */
		__atomic_store_n(&vcpu->vm->dead, true, __ATOMIC_RELAXED);
		cpu_request(vcpu->cpu, CPU_REQ_EXIT);
		return;
	}
	e->slot = slot;
	e->offset = page;
	__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_DIRTY, __ATOMIC_RELEASE);
	__atomic_store_n(&r->next, r->next + 1, __ATOMIC_RELAXED);
	if (dirty_ring_full(r))
		cpu_request(vcpu->cpu, CPU_REQ_EXIT);
}

/* With rings the bitmap says which pages are in one of them. */
static void dirty_mark(struct cpu *cpu, gpa_t gpa)
{
	struct vcpu *vcpu = cpu->owner;
	const struct memslots *m = &vcpu->vm->mem;
	const struct phys_range *r = physmap_find(&m->map, gpa);
	const struct memslot *s;
	uint64_t page, bit, old;

	if (!r || r->slot >= m->nid)
		return;
	s = m->by_id[r->slot];
	if (!s || !s->bitmap)
		return;
	page = (gpa - s->gpa) >> 12;
	bit = BIT64(page % 64);
	old = __atomic_fetch_or(&s->bitmap[page / 64], bit, __ATOMIC_ACQ_REL);
	if (vcpu->ring.gfn && !(old & bit))
		push(vcpu, r->slot, page);
}

/* The x2APIC's MSRs are never filtered. */
bool filter_denies(const struct filter *f, uint32_t index, bool write)
{
	uint32_t want = write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ;
	const struct filter_range *r;
	uint32_t bit;

	if (!f || (index >= LAPIC_MSR_FIRST && index <= LAPIC_MSR_LAST))
		return false;
	for (uint32_t i = 0; i < f->count; i++) {
		r = &f->range[i];
		bit = index - r->base;
		if (index >= r->base && bit < r->count && (r->flags & want))
			return !(r->allow[bit / 64] >> bit % 64 & 1);
	}
	return !f->allow_others;
}

static bool dirty_msr_denied(struct cpu *cpu, uint32_t index, bool write)
{
	const struct vcpu *vcpu = cpu->owner;

	return filter_denies(vcpu->vm->filter, index, write);
}

/* ---- ioeventfds: a store signals and the guest goes on ---- */

static void signal_event(int fd)
{
	uint64_t one = 1;
	long ret = SYS_write;

	__asm__ volatile("syscall"
			 : "+a"(ret)
			 : "D"(fd), "S"(&one), "d"(sizeof(one))
			 : "rcx", "r11", "memory");
}

/* The local APIC comes first. */
static bool is_apic(const struct vcpu *vcpu, uint64_t addr)
{
	return vcpu->has_lapic &&
	       ((addr ^ vcpu->cpu->apic_base) & PAGE_MASK) == 0;
}

static bool notify_write(struct cpu *cpu, bool pio, uint64_t addr, uint64_t val,
			 unsigned int len)
{
	struct vcpu *vcpu = cpu->owner;
	struct vm *vm = vcpu->vm;
	const struct bus *bus = &vm->bus;

	for (uint32_t i = 0; i < bus->nevents; i++) {
		if (!bus_event_hit(&bus->events[i], pio, addr, val, len))
			continue;
		if (!pio && is_apic(vcpu, addr))
			return false;
		signal_event(bus->events[i].fd);
		binstat_add(&vm->stats.file, VM_STAT_IOEVENTFD, 1);
		return true;
	}
	return false;
}

const struct cpu_ops dirty_cpu_ops = {
	.mark_dirty = dirty_mark,
	.msr_denied = dirty_msr_denied,
	.bus_write = notify_write,
};
