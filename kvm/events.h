/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INIT and SIPI, which any thread may send and the owner takes, and all
 * events as the client saves and loads them.
 */
#ifndef KVM_EVENTS_H
#define KVM_EVENTS_H

struct vcpu;
struct kvm_vcpu_events;

/* Take INIT and SIPI that were posted. */
void events_accept(struct vcpu *vcpu);

/* Load: 0, or -EINVAL and nothing has changed; *@e is normalized. */
void events_save(struct vcpu *vcpu, struct kvm_vcpu_events *e);
int events_load(struct vcpu *vcpu, struct kvm_vcpu_events *e);

#endif
