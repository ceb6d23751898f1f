/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers in the layouts of the KVM ABI, for calls and for the copies in
 * kvm_run. The vCPU's mutex is held.
 */
#ifndef KVM_REGS_H
#define KVM_REGS_H

#include "lib/util.h"

struct vcpu;
struct kvm_regs;
struct kvm_sregs;

void regs_save(const struct vcpu *vcpu, struct kvm_regs *r);
void regs_load(struct vcpu *vcpu, const struct kvm_regs *r);

/* Load: 0, or -EINVAL and nothing has changed. @s is read more than once. */
void sregs_save(struct vcpu *vcpu, struct kvm_sregs *s);
int sregs_load(struct vcpu *vcpu, const struct kvm_sregs *s) __must_check;

/*
 * KVM_CAP_SYNC_REGS. Entering KVM_RUN takes over what the client
 * marked dirty, leaving it stores what it asked for. 0 or -EINVAL.
 */
int sync_load(struct vcpu *vcpu) __must_check;
void sync_store(struct vcpu *vcpu);

#endif
