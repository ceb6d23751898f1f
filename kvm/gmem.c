/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_memfd and memory attributes; see gmem.h. KVM API "KVM_CREATE_GUEST_MEMFD",
 * "KVM_SET_MEMORY_ATTRIBUTES", "KVM_PRE_FAULT_MEMORY". read(), write() and the
 * rules of fallocate() on the file are for whoever interposes these calls.
 */
#include "kvm/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/mem.h"
#include "include/uapi/kvm_new.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define PAGE 4096ull

/* ---- files ---- */

uint64_t gmem_flags(const struct vm *vm)
{
	uint64_t flags = GUEST_MEMFD_FLAG_MMAP;

	/* Where memory can be private, it is so at first. */
	if (!vm || vm->type == KVM_X86_DEFAULT_VM)
		flags |= GUEST_MEMFD_FLAG_INIT_SHARED;
	return flags;
}

/* With the last descriptor the memory is gone for the slots, too. */
static void gmem_release(struct object *obj)
{
	struct gmem *g = container_of(obj, struct gmem, obj);

	memslots_drop_gmem(g->vm, g);
	close(g->fd);
	object_unref(&g->vm->obj);
	free(g);
}

int gmem_create(struct call *c)
{
	const struct kvm_create_guest_memfd *a = c->data;
	struct gmem *g;
	int fd;

	if ((a->flags & ~gmem_flags(c->vm)) || !a->size || a->size % PAGE ||
	    (int64_t)a->size < 0)
		return -EINVAL;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->vm = c->vm;
	g->size = a->size;
	g->flags = a->flags;
	g->fd = -1;
	object_init(&g->obj, OBJECT_GMEM, gmem_release);
	fd = handle_open(&g->obj, "kvm-gmem", a->size);
	if (fd < 0) {
		free(g);
		return fd;
	}
	object_ref(&g->vm->obj);
	g->fd = handle_reopen(fd);
	if (g->fd < 0) {
		handle_close(fd);
		return -EMFILE;
	}
	fcntl(fd, F_SETFD, 0);
	return fd;
}

/* Never shared: every access is SIGBUS, as behind the end of a file. */
static int mmap_nothing(const struct vcpu_mapping *m, void **out)
{
	int fd = memfd_create("kvm-gmem-private", MFD_CLOEXEC);
	void *p;
	int ret;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, m->len, m->prot, MAP_SHARED, fd, 0);
	ret = p == MAP_FAILED ? -errno : 0;
	close(fd);
	if (!ret)
		*out = p;
	return ret;
}

int gmem_mmap(const struct gmem *g, const struct vcpu_mapping *m, void **out)
{
	void *p;

	if (!(g->flags & GUEST_MEMFD_FLAG_MMAP))
		return -ENODEV;
	if ((m->flags & MAP_TYPE) == MAP_PRIVATE)
		return -EINVAL;
	if (!(g->flags & GUEST_MEMFD_FLAG_INIT_SHARED))
		return mmap_nothing(m, out);
	p = mmap(NULL, m->len, m->prot, MAP_SHARED, g->fd, (off_t)m->off);
	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

/* ---- slots ---- */

static bool is_bound(const struct vm *vm, const struct gmem *g, uint64_t offset,
		     uint64_t size)
{
	const struct memslots *m = &vm->mem;

	for (uint32_t i = 0; i < m->nid; i++) {
		const struct memslot *s = m->by_id[i];

		if (s && s->gmem == g && s->gmem_offset < offset + size &&
		    offset < s->gmem_offset + s->size)
			return true;
	}
	return false;
}

int gmem_bind(struct vm *vm, struct memslot *s, struct gmem *g, uint64_t offset)
{
	void *p;

	if (g->vm != vm || offset > g->size || s->size > g->size - offset)
		return -EINVAL;
	if (is_bound(vm, g, offset, s->size))
		return -EEXIST;
	p = mmap(NULL, s->size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE, g->fd, (off_t)offset);
	if (p == MAP_FAILED)
		return -errno;
	s->gmem = g;
	s->gmem_offset = offset;
	s->gmem_hva = p;
	s->gmem_only = g->flags & GUEST_MEMFD_FLAG_MMAP;
	return 0;
}

int gmem_get(int fd, struct gmem **out)
{
	struct object *obj;
	int ret = handle_get(fd, false, &obj);

	if (ret)
		return ret == -ENOTTY ? -EINVAL : ret;
	if (obj->kind != OBJECT_GMEM) {
		object_unref(obj);
		return -EINVAL;
	}
	*out = container_of(obj, struct gmem, obj);
	return 0;
}

void gmem_unbind(struct memslot *s)
{
	if (s && s->gmem_hva)
		munmap(s->gmem_hva, s->size);
}

/* ---- attributes ---- */

bool gmem_is_private(const struct gmem_map *m, uint64_t gpa)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (gpa >= m->part[i].start && gpa < m->part[i].end)
			return true;
	return false;
}

/* @old with [start, end) set or cleared, as a new array. */
static int change(const struct gmem_map *old, struct gmem_private r, bool set,
		  struct gmem_map *out)
{
	struct gmem_private *p = calloc(old->count + 2, sizeof(*p));
	uint32_t n = 0, i = 0;

	if (!p)
		return -ENOMEM;
	for (; i < old->count && old->part[i].end < r.start; i++)
		p[n++] = old->part[i];
	if (!set && i < old->count && old->part[i].start < r.start)
		p[n++] = (struct gmem_private){old->part[i].start, r.start};
	for (; i < old->count && old->part[i].start <= r.end; i++) {
		if (set) {
			r.start = MIN(r.start, old->part[i].start);
			r.end = MAX(r.end, old->part[i].end);
		} else if (old->part[i].end > r.end) {
			p[n++] = (struct gmem_private){
				MAX(r.end, old->part[i].start),
				old->part[i].end};
		}
	}
	if (set)
		p[n++] = r;
	while (i < old->count)
		p[n++] = old->part[i++];
	*out = (struct gmem_map){p, n};
	return 0;
}

static int set_private(struct vm *vm, struct gmem_private r, bool set)
{
	struct gmem_map map;
	int ret = change(&vm->mem.private, r, set, &map);

	if (ret)
		return ret;
	ret = memslots_set_private(vm, &map);
	if (ret)
		free(map.part);
	return ret;
}

int gmem_set_attributes(struct call *c)
{
	const struct kvm_memory_attributes *a = c->data;
	uint64_t end = a->address + a->size, known = 0;
	int ret;

	if (c->vm->type == KVM_X86_SW_PROTECTED_VM)
		known = KVM_MEMORY_ATTRIBUTE_PRIVATE;
	if (a->flags || (a->attributes & ~known))
		return -EINVAL;
	if (!a->size || end < a->address || a->address % PAGE || a->size % PAGE)
		return -EINVAL;
	if (!known)
		return 0;
	pthread_mutex_lock(&c->vm->mem.lock);
	ret = set_private(c->vm, (struct gmem_private){a->address, end},
			  a->attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE);
	pthread_mutex_unlock(&c->vm->mem.lock);
	return ret;
}

/* ---- KVM_PRE_FAULT_MEMORY ---- */

static int touch(struct vcpu *vcpu, uint64_t gpa)
{
	struct memslots *m = &vcpu->vm->mem;
	uint8_t byte;
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&m->map_lock);
	if (physmap_find(&m->map, gpa))
		ret = phys_read(vcpu->cpu, gpa, &byte, 1);
	pthread_rwlock_unlock(&m->map_lock);
	return ret;
}

/* What was done is told in the argument; some of it is success. */
int gmem_pre_fault(struct call *c)
{
	struct kvm_pre_fault_memory *p = c->data;
	uint64_t all = p->size;
	int ret = 0;

	if (p->flags || p->gpa % PAGE || p->size % PAGE ||
	    p->gpa + p->size <= p->gpa)
		return -EINVAL;
	while (p->size && !ret) {
		ret = touch(c->vcpu, p->gpa);
		if (!ret) {
			p->gpa += PAGE;
			p->size -= PAGE;
		}
	}
	return p->size == all ? ret : 0;
}
