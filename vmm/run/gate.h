/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the vCPUs of a machine wait while it is stopped. Each passes it
 * before it enters the guest.
 */
#ifndef VMM_RUN_GATE_H
#define VMM_RUN_GATE_H

#include <pthread.h>

#include "lib/util.h"

struct stop;

struct gate {
	struct stop *stop; /* a reason in it closes the gate too */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool closed;     /* atomic; changed under lock, as all below */
	bool ended;      /* the machine is over */
	unsigned parked; /* vCPUs that wait */
};

void gate_init(struct gate *g, struct stop *stop, bool closed);
void gate_destroy(struct gate *g);

/* A vCPU: wait while closed; false when it is to end. */
bool gate_pass(struct gate *g);

void gate_close(struct gate *g);
void gate_open(struct gate *g);
void gate_end(struct gate *g);

/*
 * Sleep until @n vCPUs wait, or @ms are over; true when they do. While the
 * gate is closed they then stay.
 */
bool gate_await(struct gate *g, unsigned n, unsigned ms);

#endif
