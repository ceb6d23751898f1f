/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending a VM, and its requests that belong to no other file.
 */
#include "kvm/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/engine.h"
#include "kvm/apic.h"
#include "kvm/dirty.h"
#include "cpu/pmu/pmu.h"
#include "kvm/filter.h"
#include "kvm/handler.h"
#include "kvm/system.h"
#include "include/lodge.h"
#include "include/uapi/kvm_new.h"
#include "kvm/vcpu.h"

static int make_ring(struct vm *vm)
{
	void *p;

	vm->ring_fd = memfd_create("kvm-ring", MFD_CLOEXEC);
	if (vm->ring_fd < 0 || ftruncate(vm->ring_fd, 4096))
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vm->ring_fd,
		 0);
	if (p == MAP_FAILED)
		return -errno;
	vm->ring = p;
	return 0;
}

/* Helper threads first: they hold pointers to all the rest. */
static void vm_release(struct object *obj)
{
	struct vm *vm = container_of(obj, struct vm, obj);

	timer_destroy(&vm->timer);
	bus_destroy(vm);
	for (uint32_t i = 0; i < vm->nvcpus; i++)
		vcpu_free(vm->vcpus[i]);
	if (vm->engine)
		engine_destroy(vm->engine);
	irqchip_destroy(&vm->irq);
	stats_destroy(&vm->stats);
	memslots_destroy(&vm->mem);
	filter_free(vm->filter);
	free(vm->events);
	if (vm->ring)
		munmap(vm->ring, 4096);
	if (vm->ring_fd >= 0)
		close(vm->ring_fd);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

static int setup(struct vm *vm)
{
	struct engine_config cfg = {.ops = &dirty_cpu_ops};
	int ret = make_ring(vm);

	if (!ret)
		ret = stats_create_vm(vm);
	if (!ret)
		ret = engine_create(&cfg, &vm->engine);
	if (ret)
		return ret;
	engine_exclusive_begin(vm->engine);
	engine_set_physmap(vm->engine, &vm->mem.map);
	engine_exclusive_end(vm->engine);
	return 0;
}

int vm_open(uint32_t type)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int ret;

	if (!vm)
		return -ENOMEM;
	object_init(&vm->obj, OBJECT_VM, vm_release);
	vm->ring_fd = -1;
	vm->type = type;
	vm->bus_cycle_ns = 1;
	vm->halt_poll_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? LOOKOUT_MAX_NS
							     : 0;
	pthread_mutex_init(&vm->lock, NULL);
	memslots_init(&vm->mem);
	vm->mem.mixed = type == KVM_X86_SW_PROTECTED_VM;
	irqchip_init(&vm->irq);
	bus_init(&vm->bus);
	clock_init(&vm->clock);
	timer_init(&vm->timer);
	ret = setup(vm);
	if (!ret)
		ret = handle_open(&vm->obj, "kvm-vm", 0);
	if (ret < 0)
		object_unref(&vm->obj);
	return ret;
}

struct vcpu *vm_find_vcpu(const struct vm *vm, uint32_t id)
{
	uint32_t n = vm_vcpus(vm);

	/* Ids are dense in practice. */
	if (id < n && vm->vcpus[id]->id == id)
		return vm->vcpus[id];
	for (uint32_t i = 0; i < n; i++)
		if (vm->vcpus[i]->id == id)
			return vm->vcpus[i];
	return NULL;
}

void vm_apply_caps(const struct vm *vm, struct vcpu *vcpu)
{
	vcpu->cpu->msr_exits = vm->msr_exits;
	vcpu->cpu->msr_filter = vm->filter != NULL;
	vcpu->cpu->disabled_quirks = vm->disabled_quirks;
	vcpu->cpu->no_platform_info = vm->no_platform_info;
	vcpu->cpu->bus_lock_exits = vm->bus_lock_exits;
	if (vcpu->cpu->no_pmu != vm->no_pmu) { /* none has run yet */
		vcpu->cpu->no_pmu = vm->no_pmu;
		pmu_reset(vcpu->cpu);
	}
	vcpu->cpu->mode_dirty = true;
	apic_update_features(vcpu);
}

/*
 * Three pages the kernel needs on old Intel processors for real mode. Here
 * nothing does, but the calls are part of every client's start.
 */
int vm_set_tss_addr(struct call *c)
{
	if (c->arg > UINT32_MAX - 3 * 4096)
		return -EINVAL;
	c->vm->tss_addr = c->arg;
	return 0;
}

int vm_set_identity_map(struct call *c)
{
	if (c->vm->created)
		return -EINVAL;
	c->vm->identity_map_addr = *(const uint64_t *)c->data;
	return 0;
}

/* A bound on shadow page tables, which need no memory here. */
int vm_set_nr_mmu_pages(struct call *c)
{
	if (c->arg < 64)
		return -EINVAL;
	c->vm->mmu_pages = c->arg;
	return 0;
}

int vm_set_boot_cpu_id(struct call *c)
{
	struct vm *vm = c->vm;

	if (vm->created)
		return -EBUSY;
	if (c->arg >= (vm->max_vcpu_id ? vm->max_vcpu_id : VM_MAX_VCPU_ID))
		return -EINVAL;
	vm->boot_cpu_id = (uint32_t)c->arg;
	return 0;
}

/* ---- KVM_ENABLE_CAP; vm->lock is held but for the dirty log's ---- */

static int enable_manual_log(struct vm *vm, const struct kvm_enable_cap *cap)
{
	uint64_t allowed = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;

	if (cap->args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		allowed |= KVM_DIRTY_LOG_INITIALLY_SET;
	if (cap->args[0] & ~allowed)
		return -EINVAL;
	pthread_mutex_lock(&vm->mem.lock);
	vm->mem.manual = cap->args[0];
	pthread_mutex_unlock(&vm->mem.lock);
	return 0;
}

static int enable_max_vcpu_id(struct vm *vm, uint64_t max)
{
	if (max > VM_MAX_VCPU_ID || vm->boot_cpu_id > max)
		return -EINVAL;
	if (vm->max_vcpu_id)
		return vm->max_vcpu_id == max ? 0 : -EINVAL;
	vm->max_vcpu_id = (uint32_t)max;
	return 0;
}

static int enable_bus_lock(struct vm *vm, uint64_t mode)
{
	if (mode & ~(uint64_t)VM_BUS_LOCK_MODES || mode == VM_BUS_LOCK_MODES)
		return -EINVAL;
	if (mode & KVM_BUS_LOCK_DETECTION_EXIT)
		vm->bus_lock_exits = true;
	return 0;
}

static int enable_x2apic_api(struct vm *vm, uint64_t flags)
{
	if (flags & ~(uint64_t)(KVM_X2APIC_API_USE_32BIT_IDS |
				KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))
		return -EINVAL;
	if (flags & KVM_X2APIC_API_USE_32BIT_IDS)
		vm->x2apic_wide = true;
	if (flags & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)
		vm->x2apic_no_bcast = true;
	return 0;
}

/* The largest count of the timer and divider must fit 64 bits of ns. */
static int enable_bus_cycle(struct vm *vm, uint64_t ns)
{
	uint64_t all;

	if (!ns || __builtin_mul_overflow(UINT32_MAX * 128ull, ns, &all))
		return -EINVAL;
	if (!irqchip_has_lapics(&vm->irq))
		return -ENXIO;
	if (vm->created)
		return -EINVAL;
	vm->bus_cycle_ns = (uint32_t)ns;
	return 0;
}

/* What happened before the promise, or without it, is looked for once more. */
static int enable_writes(struct vm *vm, uint64_t on)
{
	if (on > 1)
		return -EINVAL;
	__atomic_store_n(&vm->tells_writes, on, __ATOMIC_RELEASE);
	__atomic_add_fetch(&vm->writes, 1, __ATOMIC_RELEASE);
	return 0;
}

int vm_client_writes(struct call *c)
{
	const struct lodge_writes *w = c->data;
	const struct lodge_range *r;

	for (r = w->range; r < w->range + c->count; r++)
		if (r->addr + r->size < r->addr)
			return -EINVAL;
	for (r = w->range; r < w->range + c->count; r++)
		engine_written(c->vm->engine,
			       (const uint8_t *)(uintptr_t)r->addr, r->size);
	return 0;
}

static int enable_halt_poll(struct vm *vm, uint64_t ns)
{
	if (ns > UINT32_MAX)
		return -EINVAL;
	__atomic_store_n(&vm->halt_poll_ns, (uint32_t)ns, __ATOMIC_RELAXED);
	return 0;
}

static int enable_pmu(struct vm *vm, uint64_t caps)
{
	if (caps & ~(uint64_t)KVM_PMU_CAP_DISABLE || vm->created)
		return -EINVAL;
	vm->no_pmu = caps & KVM_PMU_CAP_DISABLE;
	return 0;
}

/* PAUSE: engine/spin.c; HLT: see exit_hlt(). */
static int enable_disable_exits(struct vm *vm, uint64_t exits)
{
	if ((exits & ~(uint64_t)CAP_DISABLE_EXITS) || vm->created)
		return -EINVAL;
	if (exits & KVM_X86_DISABLE_EXITS_HLT)
		vm->hlt_in_guest = true;
	if (exits & KVM_X86_DISABLE_EXITS_PAUSE)
		vm->pause_in_guest = true;
	return 0;
}

static int enable(struct vm *vm, const struct kvm_enable_cap *cap)
{
	uint64_t arg = cap->args[0];

	switch (cap->cap) {
	case KVM_CAP_MAX_VCPU_ID: return enable_max_vcpu_id(vm, arg);
	case KVM_CAP_X2APIC_API: return enable_x2apic_api(vm, arg);
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL: return ring_enable(vm, arg);
	case KVM_CAP_SPLIT_IRQCHIP: return irqchip_split(vm, arg);
	case KVM_CAP_EXCEPTION_PAYLOAD: vm->exception_payload = arg; return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		vm->triple_fault_event = arg;
		return 0;
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS: return enable_bus_cycle(vm, arg);
	case KVM_CAP_X86_DISABLE_EXITS: return enable_disable_exits(vm, arg);
	case KVM_CAP_MSR_PLATFORM_INFO: vm->no_platform_info = !arg; return 0;
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		if (arg & ~1ull)
			return -EINVAL;
		vm->emulation_exits = arg;
		return 0;
	case KVM_CAP_EXIT_HYPERCALL:
		if (arg & ~CAP_HYPERCALLS)
			return -EINVAL;
		vm->hypercall_exits = arg;
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		if (arg & ~7ull)
			return -EINVAL;
		vm->msr_exits = (uint8_t)arg;
		return 0;
	case KVM_CAP_X86_BUS_LOCK_EXIT: return enable_bus_lock(vm, arg);
	case LODGE_CAP_WRITES: return enable_writes(vm, arg);
	case KVM_CAP_PMU_CAPABILITY: return enable_pmu(vm, arg);
	case KVM_CAP_HALT_POLL: return enable_halt_poll(vm, arg);
	case KVM_CAP_DISABLE_QUIRKS2:
		if (arg & ~(uint64_t)VM_QUIRKS)
			return -EINVAL;
		vm->disabled_quirks = arg;
		return 0;
	case KVM_CAP_DISABLE_QUIRKS:
		vm->disabled_quirks = arg & VM_QUIRKS;
		return 0;
	default: return -EINVAL;
	}
}

int vm_enable_cap(struct call *c)
{
	const struct kvm_enable_cap *cap = c->data;
	struct vm *vm = c->vm;
	int ret;

	if (cap->flags)
		return -EINVAL;
	if (cap->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2)
		return enable_manual_log(vm, cap);
	pthread_mutex_lock(&vm->lock);
	ret = enable(vm, cap);
	if (!ret) {
		engine_exclusive_begin(vm->engine);
		for (uint32_t i = 0; i < vm_vcpus(vm); i++)
			vm_apply_caps(vm, vm->vcpus[i]);
		engine_exclusive_end(vm->engine);
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}
