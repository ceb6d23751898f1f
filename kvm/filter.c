/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_X86_SET_MSR_FILTER: ranges with bitmaps, copied whole. Vcpus consult it
 * between guest instructions, so it is exchanged with the guest stopped.
 */
#include "kvm/filter.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/engine.h"
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
