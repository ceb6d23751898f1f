/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guest instructions ask of this room on their way.
 */
#ifndef KVM_DIRTY_H
#define KVM_DIRTY_H

#include "cpu/cpu.h"

/* Upcalls handed to the engine. */
extern const struct cpu_ops dirty_cpu_ops;

#endif
