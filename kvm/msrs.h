/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSRs of a vCPU, wherever they live.
 */
#ifndef KVM_MSRS_H
#define KVM_MSRS_H

#include "lib/util.h"

struct vcpu;

/*
 * Those that belong to this room: 0, -EINVAL (#GP for a guest), or -ENOENT
 * for one that is not ours.
 */
int msrs_read_own(struct vcpu *vcpu, uint32_t index, uint64_t *val,
		  bool host) __must_check;
int msrs_write_own(struct vcpu *vcpu, uint32_t index, uint64_t val,
		   bool host) __must_check;

/* A CPU_EXIT_MSR of ours: fill in the answer. */
void msrs_exit(struct vcpu *vcpu);

#endif
