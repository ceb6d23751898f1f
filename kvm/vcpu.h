/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual processor as its file descriptor knows it. Everything belongs
 * to the holder of `mutex` but what is marked atomic, which any thread may
 * change to get the vCPU's attention.
 */
#ifndef KVM_VCPU_H
#define KVM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>

#include "chip/lapic.h"
#include "cpu/cpu.h"
#include "kvm/dirty.h"
#include "kvm/handle.h"
#include "kvm/pv.h"
#include "kvm/stats.h"
#include "kvm/timer.h"
#include "lib/lookout.h"

struct vm;

/* Asynchronous events, bits of vcpu->pending. */
#define VCPU_INIT BIT(0)
#define VCPU_SIPI BIT(1)

#define VCPU_MMAP_PAGES 3 /* kvm_run, PIO data, coalesced ring */

struct vcpu {
	struct object obj;
	struct vm *vm;
	uint32_t id;
	pthread_mutex_t mutex;
	struct cpu *cpu;
	struct kvm_run *run; /* as the client maps it */
	uint8_t *pio;        /* the page after it */
	struct dirty_ring ring;

	/* ---- atomic ---- */
	uint32_t blocked; /* the thread waits in run_block() */
	uint32_t kicked;  /* KVM_RUN has to return -EINTR */
	uint32_t pending; /* VCPU_* */
	uint32_t nmi;     /* NMIs not injected yet, at most 2 */
	uint32_t sipi;    /* start page of the last SIPI */
	uint32_t pv_unhalted;

	/* ---- owner ---- */
	uint32_t mp_state; /* KVM_MP_STATE_* */
	bool ran;          /* KVM_RUN was entered: CPUID is fixed */
	bool acquire;      /* the client may have changed guest code */
	uint32_t acquired; /* vm->writes when last looked for that */
	bool has_lapic;
	bool lapic_timer_moved; /* ask lapic_deadline() again */
	int user_irq;           /* vector of KVM_INTERRUPT, -1 none */
	int ioapic_eoi;         /* vector to report the end of, -1 none */
	struct lapic lapic;
	uint64_t deadline;            /* of the LAPIC timer, ns */
	uint64_t deadline_tsc_offset; /* it was computed with */
	struct timer_item timer;
	bool timer_reserved;
	struct pv pv;
	struct stats stats;
	uint32_t tsc_khz; /* as the client was told */
	uint64_t mcg_cap;
	struct lookout lookout; /* before a sleep */
	int slack; /* of this thread's timed sleeps, ns; 0: not known */
	uint8_t last_cr8;
	bool sigmask_set;
	uint64_t sigmask; /* KVM_SET_SIGNAL_MASK */
	uint8_t bp_len;   /* of the INT3 that left to the client last */
	bool halted;      /* in HLT that neither we nor the client end */
	bool shutdown;    /* a triple fault waits to be reported */
	struct pmu_filter *events; /* copy of the VM's, as of events_gen */
	uint32_t events_gen;
	int user_exit; /* enum cpu_exit_kind the client is to answer */
};

/* What mmap() is asked for. */
struct vcpu_mapping {
	size_t len;
	uint64_t off;
	int prot, flags;
};

/* Map part of the vCPU's file @fd, page 2 being the VM's ring. */
int vcpu_mmap(const struct vcpu *vcpu, int fd, const struct vcpu_mapping *m,
	      void **out) __must_check;

/* Free everything of a vCPU; the VM is going away. */
void vcpu_free(struct vcpu *vcpu);

/*
 * Make the vCPU look at its events soon: leave guest code, or wake up. The
 * event was made visible before. Any thread.
 */
void vcpu_kick(struct vcpu *vcpu);

/* Queue an NMI / INIT / SIPI from any thread. */
void vcpu_post_nmi(struct vcpu *vcpu);
void vcpu_post_init(struct vcpu *vcpu);
void vcpu_post_sipi(struct vcpu *vcpu, uint8_t page);

#endif
