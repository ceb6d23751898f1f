/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying from and to the caller's memory, with -EFAULT for a bad address as
 * a kernel would answer. The kernel does the copy for us, where a seccomp
 * filter forbids the call for it by another, slower one.
 */
#ifndef KVM_USER_H
#define KVM_USER_H

#include "lib/util.h"

/* 0 or -EFAULT. */
int user_read(void *dst, uint64_t src, size_t size) __must_check;
int user_write(uint64_t dst, const void *src, size_t size) __must_check;

/*
 * As many bytes as can be read in one go, at most @size, which is less than a
 * page; returns how many. Fewer than @least: no more can be read.
 */
size_t user_read_some(void *dst, uint64_t src, size_t least,
		      size_t size) __must_check;

#endif
