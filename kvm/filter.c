/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_X86_SET_MSR_FILTER: ranges with bitmaps, copied whole. Vcpus consult it
 * between guest instructions, so it is exchanged with the guest stopped.
 *
 * KVM_SET_PMU_EVENT_FILTER: each vCPU has a copy of its own, taken before it
 * next runs guest code.
 */
#include "kvm/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/pmu/pmu.h"
#include "engine/engine.h"
#include "include/uapi/kvm_new.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

void filter_free(struct filter *f)
{
	for (uint32_t i = 0; f && i < f->count; i++)
		free(f->range[i].allow);
	free(f);
}

static int add_range(struct filter *f, const struct kvm_msr_filter_range *in)
{
	size_t words = ((size_t)in->nmsrs + 63) / 64;
	struct filter_range *r = &f->range[f->count];

	if (!in->nmsrs)
		return 0;
	if (in->flags & ~(uint32_t)(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE))
		return -EINVAL;
	if (words > FILTER_BITMAP_WORDS)
		return -EINVAL;
	r->allow = malloc(words * 8);
	if (!r->allow)
		return -ENOMEM;
	r->flags = in->flags;
	r->base = in->base;
	r->count = in->nmsrs;
	f->count++;
	return user_read(r->allow, (uintptr_t)in->bitmap, words * 8);
}

static int build(const struct kvm_msr_filter *in, struct filter **out)
{
	struct filter *f;
	int ret = 0;

	if (in->flags & ~(uint32_t)KVM_MSR_FILTER_DEFAULT_DENY)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->allow_others = !(in->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	for (int i = 0; i < KVM_MSR_FILTER_MAX_RANGES && !ret; i++)
		ret = add_range(f, &in->ranges[i]);
	/* To deny everything takes at least one range. */
	if (!ret && !f->count && !f->allow_others)
		ret = -EINVAL;
	if (ret) {
		filter_free(f);
		return ret;
	}
	*out = f;
	return 0;
}

int filter_set(struct call *c)
{
	struct filter *f = NULL, *old;
	struct vm *vm = c->vm;
	int ret = build(c->data, &f);

	if (ret)
		return ret;
	if (!f->count) {
		filter_free(f);
		f = NULL;
	}
	pthread_mutex_lock(&vm->lock);
	engine_exclusive_begin(vm->engine);
	old = vm->filter;
	vm->filter = f;
	for (uint32_t i = 0; i < vm_vcpus(vm); i++)
		vm->vcpus[i]->cpu->msr_filter = f != NULL;
	engine_exclusive_end(vm->engine);
	pthread_mutex_unlock(&vm->lock);
	filter_free(old);
	return 0;
}

/* ---- events of performance counters ---- */

#define MAX_EVENTS   300u
#define ENTRY_UMASK  (0xffull << 8)
#define ENTRY_MASK   (0xffull << 56)
#define ENTRY_MASKED (ENTRY_UMASK | ENTRY_MASK | PMU_FILTER_EXCLUDE)

static uint64_t event_bits(void)
{
	return cpuid_host()->amd ? PMU_EVENT_AMD : PMU_EVENT_INTEL;
}

/* Raw entries name one event each; impossible ones never match. */
static void convert_raw(struct pmu_filter *f)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < f->count; i++)
		if (!(f->event[i] & ~(event_bits() | ENTRY_UMASK)))
			f->event[n++] = f->event[i] | ENTRY_MASK;
	f->count = n;
}

static bool masked_valid(const struct pmu_filter *f)
{
	for (unsigned int i = 0; i < f->count; i++)
		if (f->event[i] & ~(event_bits() | ENTRY_MASKED))
			return false;
	return true;
}

static size_t events_size(unsigned int n)
{
	return sizeof(struct pmu_filter) + n * sizeof(uint64_t);
}

static int build_events(const struct kvm_pmu_event_filter *in, uint64_t arg,
			struct pmu_filter **out)
{
	struct pmu_filter *f = calloc(1, events_size(in->nevents));
	int ret = 0;

	if (!f)
		return -ENOMEM;
	f->deny = in->action == KVM_PMU_EVENT_DENY;
	f->fixed = in->fixed_counter_bitmap;
	f->count = in->nevents;
	if (user_read(f->event, arg + sizeof(*in), f->count * 8ull))
		ret = -EFAULT;
	else if (!(in->flags & KVM_PMU_EVENT_FLAG_MASKED_EVENTS))
		convert_raw(f);
	else if (!masked_valid(f))
		ret = -EINVAL;
	if (ret)
		free(f);
	else
		*out = f;
	return ret;
}

int filter_set_events(struct call *c)
{
	struct kvm_pmu_event_filter in;
	struct pmu_filter *f = NULL;
	struct vm *vm = c->vm;
	int ret;

	if (user_read(&in, c->arg, sizeof(in)))
		return -EFAULT;
	if (in.action > KVM_PMU_EVENT_DENY ||
	    in.flags & ~KVM_PMU_EVENT_FLAG_MASKED_EVENTS)
		return -EINVAL;
	if (in.nevents > MAX_EVENTS)
		return -E2BIG;
	ret = build_events(&in, c->arg, &f);
	if (ret)
		return ret;
	pthread_mutex_lock(&vm->lock);
	free(vm->events);
	vm->events = f;
	__atomic_add_fetch(&vm->events_gen, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < vm_vcpus(vm); i++)
		cpu_request(vm->vcpus[i]->cpu, CPU_REQ_EXIT);
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

int filter_sync_events(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct pmu_filter *f = NULL;

	if (likely(__atomic_load_n(&vm->events_gen, __ATOMIC_ACQUIRE) ==
		   vcpu->events_gen))
		return 0;
	pthread_mutex_lock(&vm->lock);
	f = malloc(events_size(vm->events->count));
	if (f) {
		memcpy(f, vm->events, events_size(vm->events->count));
		vcpu->events_gen = vm->events_gen;
	}
	pthread_mutex_unlock(&vm->lock);
	if (!f)
		return -ENOMEM;
	vcpu->cpu->pmu_filter = f;
	pmu_rederive(vcpu->cpu);
	free(vcpu->events);
	vcpu->events = f;
	return 0;
}
