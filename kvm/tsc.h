/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time stamp counters of guests: rate and offset against the host's.
 */
#ifndef KVM_TSC_H
#define KVM_TSC_H

#include "kvm/clock.h"

struct vcpu;

/* A new vCPU counts as the VM's others do. */
void tsc_init(struct vcpu *vcpu);

/* Rate and offset as they are; the owner of the vCPU. */
struct clock_tsc tsc_of(const struct vcpu *vcpu);

/* The client wrote the counter. */
void tsc_write(struct vcpu *vcpu, uint64_t value);

#endif
