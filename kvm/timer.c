/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap of deadlines and the thread that serves it. Arming a later
 * deadline than the thread waits for does not wake it: it finds out by itself.
 */
#include "kvm/timer.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kvm/clock.h"
#include "lib/check.h"

#define NEVER    UINT64_MAX
/* Longest sleep: a finite time makes a signal end the call. */
#define SLEEP_NS (1000ull * 1000000000ull)

int timer_wait(uint32_t *word, uint32_t expected, uint64_t deadline)
{
	uint64_t limit = clock_now() + SLEEP_NS;
	uint64_t at = MIN(deadline, limit);
	struct timespec ts = {
		.tv_sec = (time_t)(at / 1000000000u),
		.tv_nsec = (long)(at % 1000000000u),
	};

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, &ts,
		    NULL, FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return -errno;
}

void timer_init(struct vm_timer *t)
{
	*t = (struct vm_timer){.sleeping_until = NEVER};
}

static bool before(const struct vm_timer *t, uint32_t a, uint32_t b)
{
	return t->heap[a]->deadline < t->heap[b]->deadline;
}

static void swap(struct vm_timer *t, uint32_t a, uint32_t b)
{
	struct timer_item *x = t->heap[a];

	t->heap[a] = t->heap[b];
	t->heap[b] = x;
	t->heap[a]->index = a + 1;
	t->heap[b]->index = b + 1;
}

static void sift(struct vm_timer *t, uint32_t i)
{
	uint32_t least;

	while (i && before(t, i, (i - 1) / 2)) {
		swap(t, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
	for (;; i = least) {
		least = i;
		for (uint32_t c = 2 * i + 1; c <= 2 * i + 2; c++)
			if (c < t->count && before(t, c, least))
				least = c;
		if (least == i)
			return;
		swap(t, i, least);
	}
}

static void heap_remove(struct vm_timer *t, struct timer_item *item)
{
	uint32_t i = item->index - 1;

	t->count--;
	if (i != t->count) {
		swap(t, i, t->count);
		item->index = 0;
		sift(t, i);
	}
	item->index = 0;
}

static void heap_set(struct vm_timer *t, struct timer_item *item,
		     uint64_t deadline)
{
	item->deadline = deadline;
	if (deadline == NEVER) {
		if (item->index)
			heap_remove(t, item);
		return;
	}
	if (!item->index) {
		ASSERT(t->count < t->cap);
		t->heap[t->count] = item;
		item->index = ++t->count;
	}
	sift(t, item->index - 1);
}

/* Call everything due; the lock is dropped around each call. */
static void run_due(struct vm_timer *t)
{
	uint64_t now = clock_now();
	struct timer_item *item;

	while (t->count && t->heap[0]->deadline <= now) {
		item = t->heap[0];
		heap_set(t, item, NEVER);
		lock_release(&t->lock);
		item->fire(item);
		lock_acquire(&t->lock);
	}
}

static void *timer_thread(void *arg)
{
	struct vm_timer *t = arg;
	uint64_t until;
	uint32_t word;

	/* Wake up on time: the default slack is 50 us. */
	prctl(PR_SET_TIMERSLACK, 1ul);
	prctl(PR_SET_NAME, "kvm-timer");
	lock_acquire(&t->lock);
	while (!t->stop) {
		run_due(t);
		until = t->count ? t->heap[0]->deadline : NEVER;
		t->sleeping_until = until;
		word = __atomic_load_n(&t->word, __ATOMIC_SEQ_CST);
		lock_release(&t->lock);
		timer_wait(&t->word, word, until);
		lock_acquire(&t->lock);
	}
	lock_release(&t->lock);
	return NULL;
}

/* The client's signals are never this thread's business. */
static int start(struct vm_timer *t)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&t->thread, NULL, timer_thread, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret)
		pthread_setname_np(t->thread, "kvm-timer");
	t->started = !ret;
	return ret;
}

static void wake(struct vm_timer *t)
{
	__atomic_add_fetch(&t->word, 1, __ATOMIC_SEQ_CST);
	futex_wake(&t->word, 1);
}

int timer_reserve(struct vm_timer *t)
{
	struct timer_item **p;
	int ret = 0;

	lock_acquire(&t->lock);
	p = realloc(t->heap, (t->cap + 1) * sizeof(*p));
	if (p) {
		t->heap = p;
		t->cap++;
		if (!t->started)
			ret = start(t);
	} else {
		ret = -ENOMEM;
	}
	lock_release(&t->lock);
	return ret;
}

void timer_arm(struct vm_timer *t, struct timer_item *item, uint64_t deadline)
{
	bool earlier;

	lock_acquire(&t->lock);
	heap_set(t, item, deadline);
	earlier = deadline < t->sleeping_until;
	if (earlier)
		t->sleeping_until = deadline;
	lock_release(&t->lock);
	if (earlier)
		wake(t);
}

void timer_destroy(struct vm_timer *t)
{
	bool started;

	lock_acquire(&t->lock);
	t->stop = true;
	started = t->started;
	lock_release(&t->lock);
	if (started) {
		wake(t);
		pthread_join(t->thread, NULL);
	}
	free(t->heap);
}
