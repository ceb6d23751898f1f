/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest that knows KVM gets: kvmclock, wall clock, steal time, EOI by
 * a flag in memory, and the hypercalls. With the client's consent all of it
 * is there for guests whose CPUID says so only, never for the client.
 */
#ifndef KVM_PV_H
#define KVM_PV_H

#include "lib/util.h"

struct vcpu;
struct cpuid_entry;

struct pv {
	uint64_t wall_clock; /* MSR values as written */
	uint64_t system_time;
	uint64_t steal;
	uint64_t eoi;
	uint64_t poll_control;
	/* ---- derived ---- */
	uint32_t clock_generation; /* of the page, 0: to be written */
	uint64_t clock_tsc_offset;
	uint32_t clock_version;
	bool clock_paused;      /* KVMCLOCK_CTRL: say so once */
	bool eoi_pending;       /* the flag is set in guest memory */
	uint64_t run_delay;     /* ns, already told */
	uint64_t steal_next_ns; /* when to look again */
	bool steal_due;         /* KVM_RUN was entered since the last write */
	int sched_fd;           /* schedstat of sched_thread, or -1 */
	uintptr_t sched_thread;
	bool enforce; /* KVM_CAP_ENFORCE_PV_FEATURE_CPUID */
};

void pv_init(struct vcpu *vcpu);
void pv_destroy(struct vcpu *vcpu);

/* MSRs of ours: 0 or -EINVAL (#GP), -ENOENT: not one of them. */
int pv_msr_get(struct vcpu *vcpu, uint32_t index, uint64_t *val, bool host);
int pv_msr_set(struct vcpu *vcpu, uint32_t index, uint64_t val, bool host);

/* Before guest code: pages that are out of date. */
void pv_enter(struct vcpu *vcpu);

/* Let the guest end the interrupt in service by the flag, if it may. */
void pv_eoi_offer(struct vcpu *vcpu);

/* Take over an EOI the guest did by the flag. */
void pv_eoi_collect(struct vcpu *vcpu);

/* Take out of a CPUID table what the VM's capabilities rule out. */
void pv_adjust_cpuid(const struct vcpu *vcpu, struct cpuid_entry *e,
		     uint32_t n);

/*
 * Registers hold a hypercall; rax gets its answer. False: it is the client's
 * to answer, kvm_run says what is asked.
 */
bool pv_hypercall(struct vcpu *vcpu);

/* The client answered. */
void pv_hypercall_done(struct vcpu *vcpu);

#endif
