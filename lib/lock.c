/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futex lock; see lock.h. System calls are made by hand because libc's
 * wrappers may use vector registers and set errno.
 */
#include "lib/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

static long futex_call(uint32_t *word, int op, uint32_t val,
		       const struct timespec *timeout)
{
	register long r10 __asm__("r10") = (long)timeout;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_futex), "D"(word), "S"(op), "d"(val),
			   "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

void futex_wait(uint32_t *word, uint32_t expected)
{
	futex_call(word, FUTEX_WAIT_PRIVATE, expected, NULL);
}

void futex_wait_short(uint32_t *word, uint32_t expected)
{
	const struct timespec ts = {.tv_nsec = 50000};

	futex_call(word, FUTEX_WAIT_PRIVATE, expected, &ts);
}

void futex_wake(uint32_t *word, int count)
{
	futex_call(word, FUTEX_WAKE_PRIVATE, count, NULL);
}

bool lock_try(struct lock *l)
{
	uint32_t free = 0;

	return __atomic_compare_exchange_n(&l->state, &free, 1, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void lock_acquire(struct lock *l)
{
	for (int spin = 0; spin < 100; spin++) {
		if (lock_try(l))
			return;
		__asm__ volatile("pause");
	}
	while (__atomic_exchange_n(&l->state, 2, __ATOMIC_ACQUIRE))
		futex_wait(&l->state, 2);
}

void lock_release(struct lock *l)
{
	if (__atomic_exchange_n(&l->state, 0, __ATOMIC_RELEASE) == 2)
		futex_wake(&l->state, 1);
}
