/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flag read by each vCPU on its way into the guest, and a place to sleep.
 */
#include "vmm/run/gate.h"

#include <errno.h>
#include <time.h>

#include "vmm/stop.h"

void gate_init(struct gate *g, struct stop *stop, bool closed)
{
	*g = (struct gate){.stop = stop, .closed = closed};
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->cond, NULL);
}

void gate_destroy(struct gate *g)
{
	pthread_cond_destroy(&g->cond);
	pthread_mutex_destroy(&g->lock);
}

static bool is_closed(struct gate *g)
{
	return __atomic_load_n(&g->closed, __ATOMIC_SEQ_CST) ||
	       stop_asked(g->stop);
}

bool gate_pass(struct gate *g)
{
	bool ended;

	if (!is_closed(g))
		return true;
	pthread_mutex_lock(&g->lock);
	g->parked++;
	pthread_cond_broadcast(&g->cond);
	while (!g->ended && is_closed(g))
		pthread_cond_wait(&g->cond, &g->lock);
	g->parked--;
	ended = g->ended;
	pthread_mutex_unlock(&g->lock);
	return !ended;
}

static void change(struct gate *g, bool closed, bool ended)
{
	pthread_mutex_lock(&g->lock);
	__atomic_store_n(&g->closed, closed, __ATOMIC_SEQ_CST);
	g->ended |= ended;
	pthread_cond_broadcast(&g->cond);
	pthread_mutex_unlock(&g->lock);
}

void gate_close(struct gate *g)
{
	change(g, true, false);
}

void gate_open(struct gate *g)
{
	change(g, false, false);
}

void gate_end(struct gate *g)
{
	change(g, true, true);
}

bool gate_await(struct gate *g, unsigned n, unsigned ms)
{
	struct timespec until;
	int ret = 0;
	bool there;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&g->lock);
	while (g->parked < n && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&g->cond, &g->lock, &until);
	there = g->parked >= n;
	pthread_mutex_unlock(&g->lock);
	return there;
}
