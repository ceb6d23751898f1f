/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way to its handler. Rows of kvm/ioctl.def name the
 * handlers; the dispatcher has checked the handle, taken the row's lock and
 * copied the argument in before a handler runs, and copies it out after.
 */
#ifndef KVM_CALL_H
#define KVM_CALL_H

#include "kvm/handle.h"
#include "kvm/user.h"

struct vm;
struct vcpu;

struct call {
	struct object *obj;
	struct vm *vm;     /* NULL on the system handle */
	struct vcpu *vcpu; /* NULL but on a vCPU handle */
	uint64_t arg;      /* as passed: a pointer or an integer */
	void *data;        /* our copy of what the pointer points at */
	uint32_t count;    /* elements that follow the header (FLEX rows) */
};

/* >= 0 or -errno; the caller gets it as it is. */
typedef int ioctl_fn(struct call *c);

/* What is held while a handler runs. */
enum ioctl_lock {
	LOCK_FREE, /* nothing */
	LOCK_VM,   /* vm->lock */
	LOCK_VCPU, /* vcpu->mutex */
};

/* How the argument is copied. */
enum ioctl_data {
	DATA_AUTO, /* by size and direction of the request number */
	DATA_IN,   /* in, although the number says otherwise */
	DATA_RAW,  /* the handler copies */
	DATA_FLEX, /* header and elements, in */
};

struct ioctl_desc {
	uint32_t request;
	const char *name;
	ioctl_fn *fn;
	uint8_t lock; /* enum ioctl_lock */
	uint8_t data; /* enum ioctl_data */
	uint16_t cap; /* KVM_CAP_* that announces it, 0 none */
	uint16_t header, element;
	uint32_t max; /* elements */
	int toomany;  /* -errno for more */
};

/* The row of a request on a handle of this kind, or NULL. */
const struct ioctl_desc *ioctl_find(enum object_kind kind, uint32_t request);

/* True when some row is announced by @cap. */
bool ioctl_has_cap(unsigned int cap);

/* Serve one request. */
int call_dispatch(struct object *obj, uint32_t request, uint64_t arg);

/*
 * Write @n elements of @element bytes after a header whose first word is a
 * count, at the caller's pointer.
 */
int call_put_list(const struct call *c, size_t header, uint32_t n,
		  const void *elements, size_t element) __must_check;

#endif
