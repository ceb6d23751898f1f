/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doorbells: stores to device memory that ring an eventfd while the guest
 * runs on (KVM_IOEVENTFD). The board has them when its KVM does; a store no
 * doorbell answers reaches the device by the bus as ever.
 */
#ifndef DEV_DOORBELL_H
#define DEV_DOORBELL_H

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

#endif
