/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap of deadlines and its thread: order, moving, disarming, no early
 * call, nothing after the end.
 */
#include "kvm/timer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "kvm/clock.h"

#define ITEMS 200
#define MS    1000000ull

struct probe {
	struct timer_item item;
	uint64_t wanted;
	uint64_t fired; /* ns, 0: not yet; atomic */
	uint32_t order;
};

static uint32_t order;

static void probe_fire(struct timer_item *item)
{
	struct probe *p = container_of(item, struct probe, item);

	p->order = __atomic_add_fetch(&order, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->fired, clock_now(), __ATOMIC_SEQ_CST);
}

static void probe_init(struct vm_timer *t, struct probe *p)
{
	*p = (struct probe){
		.item = {.deadline = UINT64_MAX, .fire = probe_fire}};
	assert_int_equal(timer_reserve(t), 0);
}

static void nap(uint64_t ns)
{
	struct timespec ts = {.tv_nsec = (long)ns};

	nanosleep(&ts, NULL);
}

static void arm(struct vm_timer *t, struct probe *p, uint64_t after)
{
	p->wanted = clock_now() + after;
	timer_arm(t, &p->item, p->wanted);
}

static uint64_t fired(struct probe *p)
{
	return __atomic_load_n(&p->fired, __ATOMIC_SEQ_CST);
}

static void test_order(void **state)
{
	struct probe *p = calloc(ITEMS, sizeof(*p));
	struct vm_timer t;

	(void)state;
	timer_init(&t);
	order = 0;
	for (int i = 0; i < ITEMS; i++)
		probe_init(&t, &p[i]);
	srand(7);
	for (int i = 0; i < ITEMS; i++)
		arm(&t, &p[i], 10 * MS + (uint64_t)(rand() % 20000) * 1000);
	nap(60 * MS);
	for (int i = 0; i < ITEMS; i++) {
		assert_true(fired(&p[i]) >= p[i].wanted);
		for (int k = 0; k < i; k++)
			if (p[i].wanted < p[k].wanted)
				assert_true(p[i].order < p[k].order);
	}
	timer_destroy(&t);
	free(p);
}

static void test_move(void **state)
{
	struct probe a, b, c;
	struct vm_timer t;

	(void)state;
	timer_init(&t);
	probe_init(&t, &a);
	probe_init(&t, &b);
	probe_init(&t, &c);
	arm(&t, &a, 500 * MS);
	arm(&t, &b, 10 * MS);
	arm(&t, &c, 15 * MS);
	arm(&t, &a, 5 * MS); /* earlier than the thread waits for */
	timer_arm(&t, &c.item, UINT64_MAX);
	nap(30 * MS);
	assert_true(fired(&a) >= a.wanted && fired(&b) >= b.wanted);
	assert_int_equal(fired(&c), 0);
	arm(&t, &a, 5 * MS);
	a.fired = 0;
	arm(&t, &a, 40 * MS);
	nap(15 * MS);
	assert_int_equal(fired(&a), 0);
	timer_destroy(&t);
	assert_int_equal(fired(&a), 0);
}

static void test_wait(void **state)
{
	uint32_t word = 3;
	uint64_t before = clock_now();

	(void)state;
	assert_int_equal(timer_wait(&word, 4, UINT64_MAX), -EAGAIN);
	assert_int_equal(timer_wait(&word, 3, before + 5 * MS), -ETIMEDOUT);
	assert_true(clock_now() >= before + 5 * MS);
	assert_int_equal(timer_wait(&word, 3, before), -ETIMEDOUT);
}

/* kvmclock's factors: right to a few parts in a thousand million. */
static void test_pvclock(void **state)
{
	struct clock_pvclock p = {0};
	struct clock_tsc t = {.khz = clock_host_tsc_khz(), .offset = 1000};
	struct vm_clock c;
	uint64_t cycles = (uint64_t)clock_host_tsc_khz() * 3600 * 1000, ns;

	(void)state;
	clock_init(&c);
	clock_fill(&c, &t, &p);
	assert_true(p.tsc_timestamp == c.base_tsc + 1000);
	ns = p.shift < 0 ? cycles >> -p.shift : cycles << p.shift;
	ns = (uint64_t)((unsigned __int128)ns * p.mul >> 32);
	assert_in_range(ns, 3600000000000ull - 3000, 3600000000000ull + 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_pvclock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
