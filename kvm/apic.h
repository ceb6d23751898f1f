/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC of a vCPU: its wiring to the rest of the room.
 */
#ifndef KVM_APIC_H
#define KVM_APIC_H

#include "lib/util.h"

struct vcpu;

/* Give a vCPU its local APIC; before anybody can send to it. */
void apic_create(struct vcpu *vcpu);

/* Take CPUID, capabilities and MCG_CAP over into the APIC's features. */
void apic_update_features(struct vcpu *vcpu);

/* IA32_APIC_BASE, with or without an APIC. -EINVAL: #GP. */
int apic_set_base(struct vcpu *vcpu, uint64_t val, bool host) __must_check;

/* CR8 and cpu->cr8 follow the task priority register. */
void apic_sync_cr8(struct vcpu *vcpu);

/* Recompute vcpu->deadline if it may have moved. */
void apic_update_deadline(struct vcpu *vcpu);

/* Guest MMIO in the APIC page; false: the page is not there. */
bool apic_mmio(struct vcpu *vcpu, uint64_t gpa, bool write, void *data,
	       unsigned int len);

/* The vector to be delivered now, or -1; PIC first. Nothing is taken. */
bool apic_has_interrupt(struct vcpu *vcpu);

/* A performance counter overflowed: the guest's interrupt for that. */
void apic_pmi(struct vcpu *vcpu);

/* Take the vector to be delivered now; -1 when there is none any more. */
int apic_take_interrupt(struct vcpu *vcpu);

#endif
