/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock that code running with a guest's vector registers live may take:
 * futex based, no libc inside, general registers only.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "lib/util.h"

struct lock {
	uint32_t state; /* 0 free, 1 held, 2 held with waiters */
};

void lock_acquire(struct lock *l);
bool lock_try(struct lock *l);
void lock_release(struct lock *l);

/* Raw futex wait and wake; spurious wake-ups are normal. */
void futex_wait(uint32_t *word, uint32_t expected);
/* The same for at most a fraction of a millisecond. */
void futex_wait_short(uint32_t *word, uint32_t expected);
void futex_wake(uint32_t *word, int count);

#endif
