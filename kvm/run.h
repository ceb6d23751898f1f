/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_RUN.
 */
#ifndef KVM_RUN_H
#define KVM_RUN_H

#include "cpu/cpu.h"

struct vcpu;

/* run.c: end the sleep of a vCPU that is blocked. Any thread. */
void run_wake(struct vcpu *vcpu);

/*
 * exit.c: what became of an exit. 1: run on. 0: the client's turn, kvm_run
 * says why. -errno: KVM_RUN fails.
 */
int exit_handle(struct vcpu *vcpu, enum cpu_exit_kind kind);

/* exit.c: take the client's answer to the last exit out of kvm_run. */
void exit_fetch(struct vcpu *vcpu);

#endif
