/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doorbells: stores to device memory that ring an eventfd while the guest
 * runs on (KVM_IOEVENTFD). The board has them when its KVM does; a store no
 * doorbell answers reaches the device by the bus as ever.
 */
#ifndef DEV_DOORBELL_H
#define DEV_DOORBELL_H

#include <errno.h>
#include <unistd.h>

#include "lib/util.h"

struct doorbell {
	uint64_t gpa;
	unsigned size;  /* bytes of the store, 0: any */
	bool match;     /* only stores of value */
	uint64_t value; /* needs size */
	int fd;         /* eventfd */
	bool pio;       /* gpa is a port */
};

struct doorbells {
	/* Hang one up, or take that very one down. 0 or -errno. */
	int (*set)(void *ctx, const struct doorbell *bell, bool on);
	void *ctx;
	bool spare; /* a store that none answers costs little more */
};

/* What a store to one does: @fd, an eventfd, is to be seen to. */
static inline void doorbell_ring(int fd)
{
	const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

#endif
