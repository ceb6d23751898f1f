/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time: the host's clocks, the rate of its TSC, and a VM's kvmclock.
 *
 * Guests read the host's TSC, scaled where the client chose another rate,
 * plus an offset; so kvmclock is a pair (TSC, nanoseconds) and a rate, the
 * same for guest and client.
 */
#ifndef KVM_CLOCK_H
#define KVM_CLOCK_H

#include "lib/lock.h"
#include "lib/util.h"

struct vm_clock {
	struct lock lock;
	uint64_t base_tsc;   /* host TSC */
	int64_t base_ns;     /* kvmclock at that moment */
	uint32_t generation; /* atomic, counts changes of the pair */
	uint64_t tsc_offset; /* last one a client's TSC write led to */
	uint64_t tsc_write_ns;
	uint64_t tsc_write; /* the value written then */
	uint32_t tsc_write_khz;
};

/* A vCPU's TSC: kvm/tsc.c. */
struct clock_tsc {
	uint32_t khz;
	uint64_t ratio; /* see cpu/msr.h */
	uint64_t offset;
};

/* What a guest's pvclock page says. */
struct clock_pvclock {
	uint32_t version;
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags;
	uint8_t pad[2];
};

_Static_assert(sizeof(struct clock_pvclock) == 32, "pvclock layout");

/* CLOCK_MONOTONIC in ns. */
uint64_t clock_now(void);

uint64_t clock_host_tsc(void);

/* Rate of the host's TSC; measured once per process. */
uint32_t clock_host_tsc_khz(void);

void clock_init(struct vm_clock *c);

/* kvmclock now. */
int64_t clock_read(struct vm_clock *c);

/* Fill @out for a vCPU with this TSC; returns the generation it is made of. */
uint32_t clock_fill(struct vm_clock *c, const struct clock_tsc *t,
		    struct clock_pvclock *out);

/*
 * The client set a vCPU's TSC to @value. Returns the offset to use: that of
 * the last write when both mean the same clock (SET_MSRS on one vCPU after
 * the other), so that the TSCs of a VM agree.
 */
uint64_t clock_sync_tsc(struct vm_clock *c, const struct clock_tsc *t,
			uint64_t value);

/* The client chose the offset itself. */
void clock_set_tsc_offset(struct vm_clock *c, const struct clock_tsc *t,
			  uint64_t offset);

#endif
