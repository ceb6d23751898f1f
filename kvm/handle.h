/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles: what a file descriptor of ours stands for. Each object has one
 * memfd and is found by that file's identity, so dup() and fcntl() work
 * without being told.
 *
 * References: one for the open file description, one for each call in flight,
 * one for each object that needs this one (a vCPU keeps its VM).
 */
#ifndef KVM_HANDLE_H
#define KVM_HANDLE_H

#include "lib/util.h"

enum object_kind { OBJECT_SYSTEM, OBJECT_VM, OBJECT_VCPU, OBJECT_GMEM };

struct object {
	enum object_kind kind;
	uint32_t refs;  /* atomic */
	uint32_t epoch; /* of the process that made it */
	bool hashed;    /* the description is open; under the table's lock */
	uint64_t dev;
	uint64_t ino;
	struct object *next; /* hash chain, under the table's lock */
	void (*release)(struct object *obj);
};

void object_init(struct object *obj, enum object_kind kind,
		 void (*release)(struct object *obj));
void object_ref(struct object *obj);

/* Drop a reference; the last one calls release(). */
void object_unref(struct object *obj);

/* False in a process that inherited @obj by fork. */
bool object_is_ours(const struct object *obj);

/*
 * Make a file of @size bytes for @obj and hand the initial reference over to
 * it. Returns the descriptor, close-on-exec, or -errno (the reference stays
 * the caller's).
 */
int handle_open(struct object *obj, const char *name, size_t size) __must_check;

/*
 * The object behind @fd with a reference taken. @trust: the caller promises
 * that @fd was not closed behind our back since the last call with it.
 * Returns 0, -EBADF (no such descriptor) or -ENOTTY (not a handle).
 */
int handle_get(int fd, bool trust, struct object **out) __must_check;

/*
 * Another open file description of the same file, for mappings and locks;
 * the caller closes it. -1 without /proc.
 */
int handle_reopen(int fd);

/* Close @fd; 0, or -EBADF when it is no handle. */
int handle_close(int fd);

/* This process, without a system call; 0 never. */
int handle_pid(void);

#endif
