/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG.
 * Checks come in the kernel's order, because callers probe by their errno.
 * Left out: the second address space (no SMM).
 *
 * Where memory can be private a slot is in the map in pieces, each with its
 * own backing, and what is private without a backing is there as well: at host
 * addresses that never are a process's, so that an access ends as -EFAULT.
 * Such maps are built anew for each change.
 */
#include "kvm/memslot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/mem.h"
#include "engine/engine.h"
#include "include/uapi/kvm_new.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define PAGE       4096u
#define MAX_PAGES  ((1ull << 31) - 1)
#define MAX_GPA    (1ull << 52)
#define USER_LIMIT (1ull << 47)

enum change { CHANGE_NONE, CREATE, DELETE, MOVE, FLAGS };

void memslots_init(struct memslots *m)
{
	pthread_mutex_init(&m->lock, NULL);
	pthread_rwlock_init(&m->map_lock, NULL);
}

void memslots_destroy(struct memslots *m)
{
	for (uint32_t i = 0; i < m->nid; i++) {
		if (m->by_id[i])
			free(m->by_id[i]->bitmap);
		gmem_unbind(m->by_id[i]);
		free(m->by_id[i]);
	}
	free(m->by_id);
	free(m->ranges);
	free(m->private.part);
	pthread_mutex_destroy(&m->lock);
	pthread_rwlock_destroy(&m->map_lock);
}

static struct memslot *slot_of(const struct memslots *m, uint32_t id)
{
	return id < m->nid ? m->by_id[id] : NULL;
}

/* ---- the sorted map ---- */

/* Index of the first range at or above @gpa. */
static uint32_t range_index(const struct memslots *m, uint64_t gpa)
{
	uint32_t lo = 0, hi = m->map.count, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (m->ranges[mid].gpa < gpa)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void range_remove(struct memslots *m, const struct memslot *s)
{
	uint32_t i = range_index(m, s->gpa);

	m->map.count--;
	memmove(&m->ranges[i], &m->ranges[i + 1],
		(m->map.count - i) * sizeof(*m->ranges));
}

static struct phys_range range_of(const struct memslot *s)
{
	return (struct phys_range){
		.gpa = s->gpa,
		.size = s->size,
		.hva = (uint8_t *)(uintptr_t)s->hva,
		.flags = (s->flags & KVM_MEM_READONLY ? PHYS_READONLY : 0) |
			 (s->bitmap ? PHYS_DIRTY : 0),
		.slot = s->id,
	};
}

static void range_insert(struct memslots *m, const struct memslot *s)
{
	uint32_t i = range_index(m, s->gpa);

	memmove(&m->ranges[i + 1], &m->ranges[i],
		(m->map.count - i) * sizeof(*m->ranges));
	m->map.count++;
	m->ranges[i] = range_of(s);
}

/* ---- maps in pieces ---- */

#define NOWHERE      ((uint8_t *)0xffff800000000000ull)
#define NOWHERE_SIZE (1ull << 46) /* at most for one range */

struct pieces {
	struct phys_range *r;
	uint32_t count, cap;
	bool failed;
};

static void add_piece(struct pieces *p, const struct phys_range *r)
{
	struct phys_range *more;

	if (!r->size || p->failed)
		return;
	if (p->count == p->cap) {
		more = realloc(p->r, (p->cap * 2 + 64) * sizeof(*more));
		p->failed = !more;
		if (!more)
			return;
		p->r = more;
		p->cap = p->cap * 2 + 64;
	}
	p->r[p->count++] = *r;
}

static void add_nowhere(struct pieces *p, uint64_t start, uint64_t end,
			uint32_t slot)
{
	struct phys_range r = {.hva = NOWHERE, .slot = slot};

	for (r.gpa = start; r.gpa < end; r.gpa += r.size) {
		r.size = MIN(end - r.gpa, NOWHERE_SIZE);
		add_piece(p, &r);
	}
}

/* [start, end) without a slot. */
static void add_hole(struct pieces *p, const struct gmem_map *g, uint64_t start,
		     uint64_t end)
{
	for (uint32_t i = 0; i < g->count; i++)
		add_nowhere(p, MAX(start, g->part[i].start),
			    MIN(end, g->part[i].end), UINT32_MAX);
}

static void add_private(struct pieces *p, const struct memslot *s,
			uint64_t start, uint64_t end)
{
	struct phys_range r = range_of(s);

	if (!s->gmem) {
		add_nowhere(p, start, end, s->id);
		return;
	}
	r.hva = s->gmem_hva + (start - s->gpa);
	r.gpa = start;
	r.size = end - start;
	add_piece(p, &r);
}

static void add_shared(struct pieces *p, const struct memslot *s,
		       uint64_t start, uint64_t end)
{
	struct phys_range r = range_of(s);

	if (start >= end)
		return;
	if (s->gmem_only) {
		add_private(p, s, start, end);
		return;
	}
	r.hva += start - s->gpa;
	r.gpa = start;
	r.size = end - start;
	add_piece(p, &r);
}

static void add_slot(struct pieces *p, const struct gmem_map *g,
		     const struct memslot *s)
{
	uint64_t at = s->gpa, end = s->gpa + s->size, from, to;

	for (uint32_t i = 0; i < g->count; i++) {
		from = MAX(g->part[i].start, s->gpa);
		to = MIN(g->part[i].end, end);
		if (from >= to)
			continue;
		add_shared(p, s, at, from);
		add_private(p, s, from, to);
		at = to;
	}
	add_shared(p, s, at, end);
}

static int by_gpa(const void *a, const void *b)
{
	const struct memslot *x = *(struct memslot *const *)a;
	const struct memslot *y = *(struct memslot *const *)b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

/* The map of the slots with @s in place of its namesake, or without @old. */
static int build(const struct memslots *m, const struct gmem_map *g,
		 const struct memslot *old, const struct memslot *s,
		 struct pieces *p)
{
	const struct memslot **all = calloc(m->nid + 1, sizeof(*all));
	uint32_t n = 0;
	uint64_t at = 0;

	*p = (struct pieces){0};
	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->nid; i++)
		if (m->by_id[i] && m->by_id[i] != old)
			all[n++] = m->by_id[i];
	if (s)
		all[n++] = s;
	qsort(all, n, sizeof(*all), by_gpa);
	for (uint32_t i = 0; i < n; i++) {
		add_hole(p, g, at, all[i]->gpa);
		add_slot(p, g, all[i]);
		at = all[i]->gpa + all[i]->size;
	}
	add_hole(p, g, at, MAX_GPA);
	free(all);
	if (p->failed)
		free(p->r);
	return p->failed ? -ENOMEM : 0;
}

/* The guest is stopped and map_lock is held. */
static void take_pieces(struct memslots *m, const struct pieces *p)
{
	free(m->ranges);
	m->ranges = p->r;
	m->map.ranges = p->r;
	m->map.count = p->count;
	m->cap = p->cap;
}

/* Exchange the whole map, and with @g what is private. */
static int rebuild(struct vm *vm, const struct gmem_map *g)
{
	struct memslots *m = &vm->mem;
	struct pieces p;
	int ret = build(m, g ? g : &m->private, NULL, NULL, &p);

	if (ret)
		return ret;
	engine_exclusive_begin(vm->engine);
	pthread_rwlock_wrlock(&m->map_lock);
	if (g) {
		free(m->private.part);
		m->private = *g;
	}
	take_pieces(m, &p);
	engine_set_physmap(vm->engine, &m->map);
	pthread_rwlock_unlock(&m->map_lock);
	engine_exclusive_end(vm->engine);
	return 0;
}

int memslots_set_private(struct vm *vm, const struct gmem_map *map)
{
	return rebuild(vm, map);
}

void memslots_drop_gmem(struct vm *vm, const struct gmem *g)
{
	struct memslots *m = &vm->mem;
	bool any = false;

	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < m->nid; i++) {
		if (!m->by_id[i] || m->by_id[i]->gmem != g)
			continue;
		m->by_id[i]->gmem = NULL;
		any = true;
	}
	/* A guest may not go on with memory that it has lost. */
	if (any && rebuild(vm, NULL))
		__atomic_store_n(&vm->dead, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&m->lock);
}

/* Exchange an array that running vCPUs may be reading. */
static void exchange(struct vm *vm, struct phys_range *ranges,
		     struct memslot **by_id, uint32_t n)
{
	struct memslots *m = &vm->mem;

	engine_exclusive_begin(vm->engine);
	pthread_rwlock_wrlock(&m->map_lock);
	if (ranges) {
		free(m->ranges);
		m->ranges = ranges;
		m->map.ranges = ranges;
		m->cap = n;
		engine_set_physmap(vm->engine, &m->map);
	} else {
		free(m->by_id);
		m->by_id = by_id;
		m->nid = n;
	}
	pthread_rwlock_unlock(&m->map_lock);
	engine_exclusive_end(vm->engine);
}

/* Make room before anything is changed. */
static int reserve(struct vm *vm, uint32_t id)
{
	struct memslots *m = &vm->mem;
	struct phys_range *r;
	struct memslot **p;
	uint32_t n;

	if (m->map.count == m->cap) {
		n = m->cap ? m->cap * 2 : 64;
		r = malloc(n * sizeof(*r));
		if (!r)
			return -ENOMEM;
		if (m->map.count)
			memcpy(r, m->ranges, m->map.count * sizeof(*r));
		exchange(vm, r, NULL, n);
	}
	if (id >= m->nid) {
		n = MIN(MAX(ALIGN_UP(id + 1, 64u), m->nid * 2), MEMSLOT_COUNT);
		p = calloc(n, sizeof(*p));
		if (!p)
			return -ENOMEM;
		if (m->nid)
			memcpy(p, m->by_id, m->nid * sizeof(*p));
		exchange(vm, NULL, p, n);
	}
	return 0;
}

/* ---- one region ---- */

/* What is the guest's alone is neither logged nor read-only. */
static uint32_t allowed_flags(uint32_t flags)
{
	if (flags & KVM_MEM_GUEST_MEMFD)
		return KVM_MEM_GUEST_MEMFD;
	return KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;
}

static int check_region(const struct kvm_userspace_memory_region2 *r)
{
	uint64_t end;

	if (r->flags & ~allowed_flags(r->flags))
		return -EINVAL;
	if ((r->memory_size | r->guest_phys_addr | r->userspace_addr) % PAGE)
		return -EINVAL;
	if (__builtin_add_overflow(r->userspace_addr, r->memory_size, &end) ||
	    end > USER_LIMIT)
		return -EINVAL;
	if ((r->flags & KVM_MEM_GUEST_MEMFD) &&
	    (r->guest_memfd_offset % PAGE ||
	     __builtin_add_overflow(r->guest_memfd_offset, r->memory_size,
				    &end)))
		return -EINVAL;
	if (r->slot >> 16 || (r->slot & 0xffff) >= MEMSLOT_COUNT)
		return -EINVAL;
	if (__builtin_add_overflow(r->guest_phys_addr, r->memory_size, &end))
		return -EINVAL;
	if (r->memory_size / PAGE > MAX_PAGES)
		return -EINVAL;
	return 0;
}

static bool overlaps(const struct memslots *m, uint32_t id, uint64_t gpa,
		     uint64_t size)
{
	uint32_t i = range_index(m, gpa);
	const struct memslot *s;

	for (uint32_t k = 0; m->mixed && k < m->nid; k++) {
		s = m->by_id[k];
		if (s && k != id && s->gpa < gpa + size &&
		    gpa < s->gpa + s->size)
			return true;
	}
	if (m->mixed)
		return false;
	if (i)
		i--;
	for (; i < m->map.count && m->ranges[i].gpa < gpa + size; i++)
		if (m->ranges[i].slot != id &&
		    m->ranges[i].gpa + m->ranges[i].size > gpa)
			return true;
	return false;
}

/* What the region means for the slot @old: enum change or -errno. */
static int classify(const struct memslots *m, const struct memslot *old,
		    const struct kvm_userspace_memory_region2 *r)
{
	int change = CREATE;

	if (!r->memory_size)
		return old ? DELETE : -EINVAL;
	if (old) {
		if ((r->flags | old->flags) & KVM_MEM_GUEST_MEMFD)
			return -EINVAL;
		if (r->userspace_addr != old->hva ||
		    r->memory_size != old->size ||
		    ((r->flags ^ old->flags) & KVM_MEM_READONLY))
			return -EINVAL;
		if (r->guest_phys_addr == old->gpa)
			return r->flags == old->flags ? CHANGE_NONE : FLAGS;
		change = MOVE;
	}
	if (overlaps(m, r->slot, r->guest_phys_addr, r->memory_size))
		return -EEXIST;
	if (r->guest_phys_addr + r->memory_size > MAX_GPA)
		return -EINVAL;
	return change;
}

static size_t bitmap_words(uint64_t size)
{
	return ALIGN_UP(size / PAGE, 64ull) / 64;
}

static uint64_t *bitmap_new(const struct memslots *m, uint64_t size)
{
	uint64_t *b = calloc(bitmap_words(size), sizeof(*b));

	if (b && !m->ring && (m->manual & KVM_DIRTY_LOG_INITIALLY_SET))
		for (uint64_t i = 0; i < size / PAGE; i++)
			b[i / 64] |= BIT64(i % 64);
	return b;
}

static struct memslot *slot_new(const struct memslots *m,
				const struct memslot *old,
				const struct kvm_userspace_memory_region2 *r)
{
	struct memslot *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct memslot){
		.gpa = r->guest_phys_addr,
		.size = r->memory_size,
		.hva = r->userspace_addr,
		.flags = r->flags,
		.id = r->slot,
	};
	if (!(r->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return s;
	if (old && old->bitmap) {
		s->bitmap = old->bitmap;
	} else if (!(s->bitmap = bitmap_new(m, s->size))) {
		free(s);
		return NULL;
	}
	return s;
}

static void slot_free(struct memslot *s)
{
	gmem_unbind(s);
	free(s);
}

/* Swap @old for @s with the guest stopped. */
static int publish(struct vm *vm, uint32_t id, struct memslot *old,
		   struct memslot *s)
{
	struct memslots *m = &vm->mem;
	bool whole = m->mixed || (s && s->gmem) || (old && old->gmem_hva);
	struct pieces p;

	if (whole && build(m, &m->private, old, s, &p))
		return -ENOMEM;
	engine_exclusive_begin(vm->engine);
	pthread_rwlock_wrlock(&m->map_lock);
	if (whole) {
		take_pieces(m, &p);
	} else {
		if (old)
			range_remove(m, old);
		if (s)
			range_insert(m, s);
	}
	m->by_id[id] = s;
	engine_set_physmap(vm->engine, &m->map);
	pthread_rwlock_unlock(&m->map_lock);
	engine_exclusive_end(vm->engine);
	stats_count(vm, VM_STAT_MEMSLOT);
	if (old && (!s || s->bitmap != old->bitmap))
		free(old->bitmap);
	slot_free(old);
	return 0;
}

/* The file of a region that names one; @err instead of it. */
struct backing {
	struct gmem *gmem;
	int err;
};

static int replace(struct vm *vm, struct memslot *old,
		   const struct kvm_userspace_memory_region2 *r,
		   const struct backing *b)
{
	struct memslot *s;
	int ret = reserve(vm, r->slot);

	if (ret)
		return ret;
	s = slot_new(&vm->mem, old, r);
	if (!s)
		return -ENOMEM;
	if (r->flags & KVM_MEM_GUEST_MEMFD)
		ret = b->err ? b->err
			     : gmem_bind(vm, s, b->gmem, r->guest_memfd_offset);
	if (!ret)
		ret = publish(vm, r->slot, old, s);
	if (ret) {
		if (!old || s->bitmap != old->bitmap)
			free(s->bitmap);
		slot_free(s);
	}
	return ret;
}

static int set_locked(struct vm *vm,
		      const struct kvm_userspace_memory_region2 *r,
		      const struct backing *b)
{
	struct memslots *m = &vm->mem;
	struct memslot *old = slot_of(m, r->slot);
	int change = classify(m, old, r);

	if (change <= 0)
		return change;
	if (change == DELETE)
		return publish(vm, r->slot, old, NULL);
	return replace(vm, old, r, b);
}

/* The file is taken before the lock and given back after it: closed
 * meanwhile, it takes the lock to leave the slots. */
int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region2 *r)
{
	struct backing b = {0};
	int ret = check_region(r);

	if (ret)
		return ret;
	if (r->flags & KVM_MEM_GUEST_MEMFD)
		b.err = gmem_get((int)r->guest_memfd, &b.gmem);
	pthread_mutex_lock(&vm->mem.lock);
	ret = set_locked(vm, r, &b);
	pthread_mutex_unlock(&vm->mem.lock);
	if (b.gmem)
		object_unref(&b.gmem->obj);
	return ret;
}

int memslot_read(struct vcpu *vcpu, uint64_t gpa, void *buf, unsigned int size)
{
	struct memslots *m = &vcpu->vm->mem;
	int ret;

	pthread_rwlock_rdlock(&m->map_lock);
	ret = phys_read(vcpu->cpu, gpa, buf, size);
	pthread_rwlock_unlock(&m->map_lock);
	return ret;
}

int memslot_write(struct vcpu *vcpu, uint64_t gpa, const void *buf,
		  unsigned int size)
{
	struct memslots *m = &vcpu->vm->mem;
	int ret;

	pthread_rwlock_rdlock(&m->map_lock);
	ret = phys_write(vcpu->cpu, gpa, buf, size);
	pthread_rwlock_unlock(&m->map_lock);
	return ret;
}

/* ---- ioctls ---- */

int vm_set_memory_region(struct call *c)
{
	const struct kvm_userspace_memory_region *r1 = c->data;
	const struct kvm_userspace_memory_region2 r = {
		.slot = r1->slot,
		.flags = r1->flags,
		.guest_phys_addr = r1->guest_phys_addr,
		.memory_size = r1->memory_size,
		.userspace_addr = r1->userspace_addr,
	};

	if (r1->flags & KVM_MEM_GUEST_MEMFD)
		return -EINVAL;
	return memslot_set(c->vm, &r);
}

int vm_set_memory_region2(struct call *c)
{
	return memslot_set(c->vm, c->data);
}

/* The slot of a dirty-log call; its lock is held. */
static int logged_slot(struct memslots *m, uint32_t id, struct memslot **out)
{
	if (m->ring)
		return -ENXIO;
	if (id >> 16 || id >= MEMSLOT_COUNT)
		return -EINVAL;
	*out = slot_of(m, id);
	return *out && (*out)->bitmap ? 0 : -ENOENT;
}

/* Stores to these pages are to be seen again. */
static void protect(struct vm *vm, const struct memslot *s, uint64_t page,
		    uint64_t pages)
{
	engine_log_dirty(vm->engine,
			 (uint8_t *)(uintptr_t)(s->hva + page * PAGE),
			 pages * PAGE);
}

/*
 * Taking the bits comes before protecting: a store through an entry that is
 * still cached was logged when the entry was made, and its bit is handed out
 * here, before the caller reads the page.
 */
static bool take_bits(struct memslot *s, uint64_t *out, size_t words)
{
	bool any = false;

	for (size_t i = 0; i < words; i++) {
		out[i] = __atomic_load_n(&s->bitmap[i], __ATOMIC_RELAXED);
		if (!out[i])
			continue;
		out[i] = __atomic_exchange_n(&s->bitmap[i], 0,
					     __ATOMIC_ACQ_REL);
		any = true;
	}
	return any;
}

static int get_log(struct vm *vm, const struct kvm_dirty_log *log)
{
	struct memslot *s;
	uint64_t *copy;
	size_t words;
	int ret = logged_slot(&vm->mem, log->slot, &s);

	if (ret)
		return ret;
	words = bitmap_words(s->size);
	if (vm->mem.manual & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		return user_write((uintptr_t)log->dirty_bitmap, s->bitmap,
				  words * 8);
	copy = malloc(words * 8);
	if (!copy)
		return -ENOMEM;
	if (take_bits(s, copy, words))
		protect(vm, s, 0, s->size / PAGE);
	ret = user_write((uintptr_t)log->dirty_bitmap, copy, words * 8);
	free(copy);
	return ret;
}

int vm_get_dirty_log(struct call *c)
{
	int ret;

	stats_count(c->vm, VM_STAT_DIRTY_LOG);
	pthread_mutex_lock(&c->vm->mem.lock);
	ret = get_log(c->vm, c->data);
	pthread_mutex_unlock(&c->vm->mem.lock);
	return ret;
}

static int clear_log(struct vm *vm, const struct kvm_clear_dirty_log *log)
{
	uint64_t pages, first = log->first_page, *bits, word;
	struct memslot *s;
	size_t words = ((size_t)log->num_pages + 63) / 64;
	int ret;

	if (vm->mem.ring)
		return -ENXIO;
	if (log->slot >> 16 || log->slot >= MEMSLOT_COUNT || first % 64)
		return -EINVAL;
	ret = logged_slot(&vm->mem, log->slot, &s);
	if (ret)
		return ret;
	pages = s->size / PAGE;
	if (first > pages || log->num_pages > pages - first ||
	    (log->num_pages < pages - first && log->num_pages % 64))
		return -EINVAL;
	bits = malloc(MAX(words, 1u) * 8);
	if (!bits)
		return -ENOMEM;
	ret = user_read(bits, (uintptr_t)log->dirty_bitmap, words * 8);
	for (size_t i = 0; !ret && i < words; i++) {
		word = bits[i];
		if (word)
			__atomic_fetch_and(&s->bitmap[first / 64 + i], ~word,
					   __ATOMIC_ACQ_REL);
	}
	if (!ret)
		protect(vm, s, first, log->num_pages);
	free(bits);
	return ret;
}

int vm_clear_dirty_log(struct call *c)
{
	int ret;

	pthread_mutex_lock(&c->vm->mem.lock);
	ret = clear_log(c->vm, c->data);
	pthread_mutex_unlock(&c->vm->mem.lock);
	return ret;
}
