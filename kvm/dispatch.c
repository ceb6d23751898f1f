/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request number to its handler: rows of kvm/ioctl.def as a switch on
 * scope and number, so that two rows for one number do not compile.
 *
 * The argument is copied once; a handler never sees the caller change it.
 */
#include "kvm/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "include/lodge.h"
#include "include/uapi/kvm_new.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define SMALL              512 /* bytes of an argument kept on the stack */
#define KEY(kind, request) ((uint64_t)(kind) << 32 | (uint32_t)(request))

#define AUTO .data = DATA_AUTO
#define IN   .data = DATA_IN
#define RAW  .data = DATA_RAW
#define FLEX(h, e, n, r) \
	.data = DATA_FLEX, .header = h, .element = e, .max = n, .toomany = r

const struct ioctl_desc *ioctl_find(enum object_kind kind, uint32_t request)
{
	switch (KEY(kind, request)) {
#define IOCTL(scope_, request_, fn_, lock_, cap_, ...)   \
	case KEY(OBJECT_##scope_, request_): {           \
		static const struct ioctl_desc row = {   \
			.request = (uint32_t)(request_), \
			.name = #request_,               \
			.fn = fn_,                       \
			.lock = LOCK_##lock_,            \
			.cap = cap_,                     \
			__VA_ARGS__,                     \
		};                                       \
		return &row;                             \
	}
#include "kvm/ioctl.def"
#undef IOCTL
	default: return NULL;
	}
}

bool ioctl_has_cap(unsigned int cap)
{
	static const uint16_t caps[] = {
#define IOCTL(scope_, request_, fn_, lock_, cap_, ...) cap_,
#include "kvm/ioctl.def"
#undef IOCTL
	};

	for (size_t i = 0; cap && i < ARRAY_SIZE(caps); i++)
		if (caps[i] == cap)
			return true;
	return false;
}

int call_put_list(const struct call *c, size_t header, uint32_t n,
		  const void *elements, size_t element)
{
	if (user_write(c->arg, &n, sizeof(n)))
		return -EFAULT;
	return user_write(c->arg + header, elements, n * element);
}

static bool wants_in(const struct ioctl_desc *d)
{
	switch (d->data) {
	case DATA_AUTO: return _IOC_DIR(d->request) & _IOC_WRITE;
	case DATA_IN: return true;
	default: return false;
	}
}

static bool wants_out(const struct ioctl_desc *d)
{
	return d->data == DATA_AUTO && (_IOC_DIR(d->request) & _IOC_READ);
}

/*
 * A header, and as many elements as it counts. Each copy may be a system call:
 * few elements come with the header, in @buf.
 */
static int copy_flex(struct call *c, const struct ioctl_desc *d, void *buf)
{
	size_t got = user_read_some(buf, c->arg, d->header, SMALL), size;
	uint8_t *p = buf;

	if (got < d->header)
		return -EFAULT;
	memcpy(&c->count, buf, sizeof(c->count));
	if (c->count > d->max)
		return d->toomany;
	size = d->header + (size_t)c->count * d->element;
	if (size > SMALL) {
		p = malloc(size);
		if (!p)
			return -ENOMEM;
		memcpy(p, buf, got);
	}
	if (size > got && user_read(p + got, c->arg + got, size - got)) {
		if (p != buf)
			free(p);
		return -EFAULT;
	}
	c->data = p;
	return 0;
}

static int with_lock(struct call *c, const struct ioctl_desc *d)
{
	pthread_mutex_t *m = NULL;
	int ret;

	if (d->lock == LOCK_VCPU)
		m = &c->vcpu->mutex;
	else if (d->lock == LOCK_VM)
		m = &c->vm->lock;
	/* A signal handler on top of its own KVM_RUN would wait for ever. */
	if (m && (ret = pthread_mutex_lock(m)))
		return -ret;
	ret = d->fn(c);
	if (m)
		pthread_mutex_unlock(m);
	return ret;
}

static int with_data(struct call *c, const struct ioctl_desc *d)
{
	_Alignas(64) uint8_t small[SMALL];
	size_t size = _IOC_SIZE(d->request);
	int ret = 0;

	if (d->data == DATA_FLEX)
		ret = copy_flex(c, d, small);
	else if (d->data == DATA_RAW || !_IOC_DIR(d->request))
		size = 0;
	else if (size <= SMALL)
		c->data = small;
	else if (!(c->data = malloc(size)))
		return -ENOMEM;
	if (ret)
		return ret;
	if (wants_in(d))
		ret = user_read(c->data, c->arg, size);
	else if (wants_out(d))
		memset(c->data, 0, size);
	if (!ret)
		ret = with_lock(c, d);
	if (ret >= 0 && wants_out(d) && user_write(c->arg, c->data, size))
		ret = -EFAULT;
	if (c->data != small)
		free(c->data);
	return ret;
}

int call_dispatch(struct object *obj, uint32_t request, uint64_t arg)
{
	struct call c = {.obj = obj, .arg = arg};
	const struct ioctl_desc *d;

	if (obj->kind == OBJECT_VM)
		c.vm = container_of(obj, struct vm, obj);
	if (obj->kind == OBJECT_VCPU) {
		c.vcpu = container_of(obj, struct vcpu, obj);
		c.vm = c.vcpu->vm;
	}
	if (c.vm && (!object_is_ours(obj) || vm_is_dead(c.vm)))
		return -EIO;
	d = ioctl_find(obj->kind, request);
	if (!d && (obj->kind == OBJECT_VM || obj->kind == OBJECT_GMEM))
		return -ENOTTY;
	if (!d)
		return -EINVAL;
	return with_data(&c, d);
}
