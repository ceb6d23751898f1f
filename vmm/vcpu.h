/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual CPU: its handle, its thread, and what is done when KVM_RUN
 * comes back.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>

#include "lib/err.h"

struct boot_entry;
struct machine;

struct vcpu {
	struct machine *machine;
	unsigned index;
	int fd; /* -1 while not created */
	struct kvm_run *run;
	size_t run_size; /* bytes mapped at run */
	pthread_t thread;
	bool started; /* thread is to be joined */
	pid_t tid;    /* atomic: of the thread, 0 before it runs */
};

/* The signal that makes KVM_RUN return; its handler does nothing. */
#define VCPU_KICK SIGRTMIN

/* Install that handler, once per process. */
void vcpu_install_kick(void);

/*
 * KVM_GET_VCPU_MMAP_SIZE: a size that holds struct kvm_run, or -errno.
 */
int vcpu_run_size(struct machine *m, struct err *e) __must_check;

/*
 * Create CPU @index with @run_size bytes of kvm_run and this CPUID table. On
 * failure the vCPU holds nothing.
 */
int vcpu_create(struct vcpu *v, struct machine *m, unsigned index,
		size_t run_size, struct kvm_cpuid2 *cpuid,
		struct err *e) __must_check;

/* The boot CPU's first instruction. */
int vcpu_set_entry(struct vcpu *v, const struct boot_entry *entry,
		   struct err *e) __must_check;

/* Start the thread; it passes the machine's gate before each KVM_RUN. */
int vcpu_start(struct vcpu *v, struct err *e) __must_check;

/* The kernel's number of the thread, 0 before it runs. */
pid_t vcpu_tid(const struct vcpu *v);

/* Get the thread out of KVM_RUN, this time. */
void vcpu_kick(struct vcpu *v);

/* After gate_end(): join the thread, if it was started. */
void vcpu_join(struct vcpu *v);

/* Unmap and close; harmless on one that was never created. */
void vcpu_destroy(struct vcpu *v);

#endif
