/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time inside the guest: no CPU may see the monotonic clock behind what
 * another CPU has seen, and stamps for the host to compare with its own.
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64, STAMPS = 8 };

static _Atomic int64_t latest;
static _Atomic int64_t worst;
static int64_t end;

static void raise_to(_Atomic int64_t *p, int64_t value)
{
	int64_t old = atomic_load(p);

	while (old < value && !atomic_compare_exchange_weak(p, &old, value))
		;
}

static void *reader(void *arg)
{
	cpu_set_t set;
	int64_t before, now;

	CPU_ZERO(&set);
	CPU_SET((long)arg, &set);
	sched_setaffinity(0, sizeof(set), &set);
	do {
		before = atomic_load(&latest);
		now = now_ns();
		if (now < before)
			raise_to(&worst, before - now);
		raise_to(&latest, now);
	} while (now < end);
	return NULL;
}

int check_clock(void)
{
	pthread_t thread[THREADS_MAX];
	int n = cpu_count();
	int64_t start = now_ns();
	time_t wall = time(NULL);

	if (n > THREADS_MAX)
		n = THREADS_MAX;
	end = start + 2000000000;
	for (long i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, reader, (void *)i))
			FAIL("cannot start thread %ld", i);
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	if (worst)
		FAIL("the clock went back by %ld ns", (long)worst);
	if (time(NULL) - wall < 1 || time(NULL) - wall > 60)
		FAIL("the wall clock moved by %ld s in 2 s",
		     (long)(time(NULL) - wall));
	printf("clock on %d CPUs\n", n);
	return 0;
}

static void stamps(void)
{
	struct timespec pause = {0, 50000000};

	for (int i = 0; i < STAMPS; i++) {
		printf("stamp %ld\n", (long)now_ns());
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}

/* The host notes when each line arrives; the quickest lines count. */
int check_drift(void)
{
	struct timespec pause = {10, 0};

	stamps();
	nanosleep(&pause, NULL);
	stamps();
	return 0;
}
