/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system handle, and what every VM has in common.
 */
#ifndef KVM_SYSTEM_H
#define KVM_SYSTEM_H

#include "lib/util.h"

struct vm;

/* What some capabilities take, and answer. */
#define CAP_HYPERCALLS    BIT64(12) /* KVM_HC_MAP_GPA_RANGE */
#define CAP_VM_TYPES      3u        /* default and SW_PROTECTED */
#define CAP_DISABLE_EXITS 6u        /* KVM_X86_DISABLE_EXITS_HLT, _PAUSE */

/* A new system handle: its descriptor or -errno. */
int system_open(void) __must_check;

/* Answer of KVM_CHECK_EXTENSION; @vm is NULL on the system handle. */
int cap_check(const struct vm *vm, uint64_t cap);

#endif
