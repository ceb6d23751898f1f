/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending a vCPU, its shared pages, and getting its attention.
 */
#include "kvm/vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/engine.h"
#include "kvm/apic.h"
#include "kvm/handler.h"
#include "kvm/run.h"
#include "kvm/tsc.h"
#include "kvm/vm.h"

#define PAGE_SIZE 4096u
#define OWN_PAGES 2 /* of the vCPU's file: kvm_run and PIO data */

/* The struct itself stays until the VM goes: other vCPUs point at it. */
static void vcpu_release(struct object *obj)
{
	struct vcpu *vcpu = container_of(obj, struct vcpu, obj);

	object_unref(&vcpu->vm->obj);
}

void vcpu_free(struct vcpu *vcpu)
{
	if (vcpu->cpu)
		engine_cpu_destroy(vcpu->cpu);
	if (vcpu->run)
		munmap(vcpu->run, OWN_PAGES * PAGE_SIZE);
	ring_unmap(vcpu);
	pv_destroy(vcpu);
	stats_destroy(&vcpu->stats);
	free(vcpu->events);
	pthread_mutex_destroy(&vcpu->mutex);
	free(vcpu);
}

static void vcpu_timer_fire(struct timer_item *item)
{
	struct vcpu *vcpu = container_of(item, struct vcpu, timer);

	/* One that is blocked watches its own deadline. */
	if (!__atomic_load_n(&vcpu->blocked, __ATOMIC_SEQ_CST))
		vcpu_kick(vcpu);
}

static struct vcpu *vcpu_alloc(struct vm *vm, uint32_t id)
{
	struct vcpu *vcpu = aligned_alloc(
		64, ALIGN_UP(sizeof(struct vcpu), (size_t)64));
	pthread_mutexattr_t attr;

	if (!vcpu)
		return NULL;
	*vcpu = (struct vcpu){
		.vm = vm,
		.id = id,
		.user_irq = -1,
		.ioapic_eoi = -1,
		.deadline = CHIP_NEVER,
		.timer = {.deadline = UINT64_MAX, .fire = vcpu_timer_fire},
		.mp_state = KVM_MP_STATE_RUNNABLE,
	};
	/* A signal handler may land on top of its own KVM_RUN. */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&vcpu->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	object_init(&vcpu->obj, OBJECT_VCPU, vcpu_release);
	pv_init(vcpu);
	return vcpu;
}

/* Everything but the file; the run pages are mapped by now. */
static int vcpu_setup(struct vcpu *vcpu, int fd)
{
	struct vm *vm = vcpu->vm;
	int ret = engine_cpu_create(vm->engine, vcpu->id, fd, &vcpu->cpu);

	if (ret)
		return ret;
	ret = stats_create_vcpu(vcpu);
	if (ret)
		return ret;
	vcpu->cpu->owner = vcpu;
	vcpu->cpu->pause_in_guest = vm->pause_in_guest;
	tsc_init(vcpu);
	vcpu->cpu->apic_base = LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE;
	if (vcpu->id == vm->boot_cpu_id)
		vcpu->cpu->apic_base |= LAPIC_BASE_BSP;
	if (irqchip_has_lapics(&vm->irq)) {
		ret = timer_reserve(&vm->timer);
		if (ret)
			return ret;
		vcpu->timer_reserved = true;
		apic_create(vcpu);
		if (vcpu->id != vm->boot_cpu_id)
			vcpu->mp_state = KVM_MP_STATE_UNINITIALIZED;
	}
	vm_apply_caps(vm, vcpu);
	return 0;
}

/* Let interrupts find it. vm->lock is held. */
static void vcpu_publish(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vm->vcpus[vm->nvcpus] = vcpu;
	__atomic_store_n(&vm->nvcpus, vm->nvcpus + 1, __ATOMIC_RELEASE);
	if (!vcpu->has_lapic)
		return;
	pthread_mutex_lock(&vm->irq.lock);
	irqchip_watch(vm);
	pthread_mutex_unlock(&vm->irq.lock);
}

/* Map what belongs to the vCPU, then make the rest. */
static int vcpu_map_and_setup(struct vcpu *vcpu, int fd)
{
	int map_fd = handle_reopen(fd);
	void *p;
	int ret;

	p = mmap(NULL, OWN_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED, map_fd >= 0 ? map_fd : fd, 0);
	ret = p == MAP_FAILED ? -errno : 0;
	if (!ret) {
		vcpu->run = p;
		vcpu->pio = (uint8_t *)p + PAGE_SIZE;
		ret = ring_map(vcpu, map_fd >= 0 ? map_fd : fd);
	}
	if (!ret)
		ret = vcpu_setup(vcpu, map_fd >= 0 ? map_fd : fd);
	if (map_fd >= 0)
		close(map_fd);
	return ret;
}

/* Pages at fixed places; what is between them stays empty. */
static size_t file_size(const struct vm *vm)
{
	if (!vm->ring_bytes)
		return VCPU_MMAP_PAGES * PAGE_SIZE;
	return KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE + vm->ring_bytes;
}

/* The client and we write to the ring: a private copy makes no sense. */
static bool may_map(const struct vm *vm, const struct vcpu_mapping *m)
{
	uint64_t first = m->off / PAGE_SIZE;
	uint64_t last = first + (m->len - 1) / PAGE_SIZE;
	uint64_t end = KVM_DIRTY_LOG_PAGE_OFFSET + vm->ring_bytes / PAGE_SIZE;

	if (last < KVM_DIRTY_LOG_PAGE_OFFSET || first >= end)
		return true;
	return (m->flags & MAP_SHARED) && !(m->prot & PROT_EXEC);
}

static int create_locked(struct vm *vm, uint32_t id)
{
	struct vcpu *vcpu;
	char name[32];
	int fd, ret;

	if (vm_find_vcpu(vm, id))
		return -EEXIST;
	vcpu = vcpu_alloc(vm, id);
	if (!vcpu)
		return -ENOMEM;
	snprintf(name, sizeof(name), "kvm-vcpu:%u", id);
	fd = handle_open(&vcpu->obj, name, file_size(vm));
	if (fd < 0) {
		vcpu_free(vcpu);
		return fd;
	}
	object_ref(&vm->obj);
	ret = vcpu_map_and_setup(vcpu, fd);
	if (ret) {
		handle_close(fd);
		vcpu_free(vcpu);
		return ret;
	}
	vcpu_publish(vcpu);
	return fd;
}

int vm_create_vcpu(struct call *c)
{
	struct vm *vm = c->vm;
	int ret = -EINVAL;

	if (c->arg >= VM_MAX_VCPU_ID)
		return -EINVAL;
	/* Measuring takes its time once; not with the lock held. */
	clock_host_tsc_khz();
	pthread_mutex_lock(&vm->lock);
	if (!vm->max_vcpu_id)
		vm->max_vcpu_id = VM_MAX_VCPU_ID;
	if (vm->created < VM_MAX_VCPUS && c->arg < vm->max_vcpu_id) {
		ret = create_locked(vm, (uint32_t)c->arg);
		if (ret >= 0)
			vm->created++;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vcpu_enable_cap(struct call *c)
{
	const struct kvm_enable_cap *cap = c->data;

	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	c->vcpu->pv.enforce = cap->args[0];
	return 0;
}

int vcpu_mmap(const struct vcpu *vcpu, int fd, const struct vcpu_mapping *m,
	      void **out)
{
	const uint64_t ring = KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE_SIZE;
	int flags = m->flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE);
	int map_fd, ret = 0;
	void *p;

	if (!may_map(vcpu->vm, m))
		return -EINVAL;
	map_fd = handle_reopen(fd);
	p = mmap(NULL, m->len, m->prot, flags, map_fd >= 0 ? map_fd : fd,
		 (off_t)m->off);
	if (p == MAP_FAILED)
		ret = -errno;
	if (map_fd >= 0)
		close(map_fd);
	if (ret)
		return ret;
	/* One ring for all vCPUs of the VM. */
	if (m->off <= ring && m->len > ring - m->off &&
	    mmap((uint8_t *)p + (ring - m->off), PAGE_SIZE, m->prot,
		 flags | MAP_FIXED, vcpu->vm->ring_fd, 0) == MAP_FAILED) {
		ret = -errno;
		munmap(p, m->len);
		return ret;
	}
	*out = p;
	return 0;
}

void vcpu_kick(struct vcpu *vcpu)
{
	cpu_request(vcpu->cpu, CPU_REQ_EVENT);
	if (__atomic_load_n(&vcpu->blocked, __ATOMIC_SEQ_CST))
		run_wake(vcpu);
}
