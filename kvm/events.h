/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INIT and SIPI, which any thread may send and the owner takes.
 */
#ifndef KVM_EVENTS_H
#define KVM_EVENTS_H

struct vcpu;

/* Take INIT and SIPI that were posted. */
void events_accept(struct vcpu *vcpu);

#endif
