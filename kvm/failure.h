/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine could not run, as the client gets to know it.
 */
#ifndef KVM_FAILURE_H
#define KVM_FAILURE_H

#include "lib/util.h"

struct vcpu;

/* CPU_EXIT_INTERNAL: fill kvm_run. */
void failure_report(struct vcpu *vcpu);

/*
 * The client wants the kernel's failures: true when the instruction that
 * wants to read device memory is one. kvm_run says so and the access is forgotten.
 */
bool failure_of_mmio(struct vcpu *vcpu);

#endif
