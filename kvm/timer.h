/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of one VM: a thread that sleeps until the earliest one and calls
 * its owner. Made with the first item there is room for.
 */
#ifndef KVM_TIMER_H
#define KVM_TIMER_H

#include <pthread.h>

#include "lib/lock.h"
#include "lib/util.h"

struct timer_item {
	uint64_t deadline; /* CLOCK_MONOTONIC ns, UINT64_MAX: not armed */
	uint32_t index;    /* in the heap, plus one; 0: not armed */
	/* Runs on the timer thread, without the timer's lock. */
	void (*fire)(struct timer_item *item);
};

struct vm_timer {
	struct lock lock;
	struct timer_item **heap;
	uint32_t count, cap;
	uint64_t sleeping_until; /* the thread will look again by itself */
	uint32_t word;           /* futex: counts wake-ups */
	bool started, stop;
	pthread_t thread;
};

void timer_init(struct vm_timer *t);

/* Stop the thread; no item is called any more. */
void timer_destroy(struct vm_timer *t);

/* Room for one more item, and a thread. 0, -ENOMEM or -EAGAIN. */
int timer_reserve(struct vm_timer *t) __must_check;

/* Arm, move or (UINT64_MAX) disarm. Any thread. */
void timer_arm(struct vm_timer *t, struct timer_item *item, uint64_t deadline);

/*
 * Sleep while *word == expected, until @deadline (UINT64_MAX: for ever), a
 * wake-up, or a signal handler. Returns 0, -EAGAIN, -EINTR or -ETIMEDOUT.
 */
int timer_wait(uint32_t *word, uint32_t expected, uint64_t deadline);

#endif
