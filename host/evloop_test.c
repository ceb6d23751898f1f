/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop's source: asked before each wait, told behind it, gone at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/evloop.h"
#include "lib/util.h"

#define MANY 700 /* more than the loop has room for at first */

struct many {
	int fd[MANY];
	int place[MANY];
	int ms;         /* for prepare() */
	unsigned asked; /* atomic */
	unsigned told;  /* atomic */
	unsigned rang;  /* atomic: seen readable, one at a time */
	unsigned last;  /* atomic: which */
	bool closed;    /* atomic: no call may come */
	unsigned late;  /* atomic: calls that came all the same */
	struct evloop *loop;
};

static unsigned get(const unsigned *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void add(unsigned *p)
{
	__atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST);
}

static void many_prepare(void *opaque, struct evloop_set *set)
{
	struct many *m = opaque;
	unsigned i;

	if (__atomic_load_n(&m->closed, __ATOMIC_SEQ_CST))
		add(&m->late);
	assert_true(evloop_is_self(m->loop));
	for (i = 0; i < MANY; i++)
		m->place[i] = evloop_want(set, m->fd[i], POLLIN);
	assert_int_equal(set->ms, -1);
	set->ms = m->ms;
	add(&m->asked);
}

static void many_ready(void *opaque, const struct evloop_set *set)
{
	struct many *m = opaque;
	uint64_t n;
	unsigned i;

	if (__atomic_load_n(&m->closed, __ATOMIC_SEQ_CST))
		add(&m->late);
	for (i = 0; i < MANY; i++) {
		if (!set->fd[m->place[i]].revents)
			continue;
		assert_int_equal(read(m->fd[i], &n, 8), 8);
		__atomic_store_n(&m->last, i, __ATOMIC_SEQ_CST);
		add(&m->rang);
	}
	add(&m->told);
}

static void wait_for(const unsigned *p, unsigned n)
{
	unsigned i;

	for (i = 0; i < 5000 && get(p) < n; i++)
		usleep(1000);
	assert_true(get(p) >= n);
}

static struct many *open_many(void)
{
	struct many *m = calloc(1, sizeof(*m));
	unsigned i;

	assert_non_null(m);
	for (i = 0; i < MANY; i++) {
		m->fd[i] = eventfd(0, EFD_NONBLOCK);
		assert_true(m->fd[i] >= 0);
	}
	m->ms = -1;
	m->loop = evloop_create("test", NULL);
	assert_non_null(m->loop);
	return m;
}

static void close_many(struct many *m)
{
	unsigned i;

	evloop_destroy(m->loop);
	for (i = 0; i < MANY; i++)
		close(m->fd[i]);
	free(m);
}

static void on_watch(void *opaque, int revents)
{
	unsigned *count = opaque;

	add(count);
	usleep(1000);
}

static void test_source(void **state)
{
	const uint64_t one = 1;
	struct many *m = open_many();
	const struct evloop_source source = {many_prepare, many_ready, m};
	struct evloop_watch *w;
	unsigned i, watched = 0;
	int fd = eventfd(1, 0);

	evloop_set_source(m->loop, &source);
	for (i = 0; i < 20; i++) {
		assert_int_equal(write(m->fd[i * 36], &one, 8), 8);
		wait_for(&m->rang, i + 1);
		assert_int_equal(get(&m->last), i * 36);
	}
	/* Watches are served beside it. */
	w = evloop_add(m->loop, fd, POLLIN, on_watch, &watched);
	assert_non_null(w);
	wait_for(&watched, 3);
	assert_int_equal(write(m->fd[MANY - 1], &one, 8), 8);
	wait_for(&m->rang, i + 1);
	evloop_remove(w);
	evloop_set_source(m->loop, NULL);
	close(fd);
	close_many(m);
}

/* A timer of the source's ends the wait; woken, it is asked anew. */
static void test_time(void **state)
{
	struct many *m = open_many();
	const struct evloop_source source = {many_prepare, many_ready, m};
	unsigned asked;

	m->ms = 1;
	evloop_set_source(m->loop, &source);
	wait_for(&m->told, 20);
	evloop_set_source(m->loop, NULL);
	m->ms = -1;
	asked = get(&m->asked);
	evloop_set_source(m->loop, &source);
	wait_for(&m->asked, asked + 1);
	asked = get(&m->asked);
	evloop_wake(m->loop);
	wait_for(&m->asked, asked + 1);
	evloop_set_source(m->loop, NULL);
	close_many(m);
}

/* Taken away at any moment: nothing is called behind that. */
static void test_take_away(void **state)
{
	struct many *m = open_many();
	const struct evloop_source source = {many_prepare, many_ready, m};
	unsigned i;

	for (i = 0; i < 300; i++) {
		__atomic_store_n(&m->closed, false, __ATOMIC_SEQ_CST);
		evloop_set_source(m->loop, &source);
		if (i % 3)
			usleep(i % 50);
		evloop_wake(m->loop);
		evloop_set_source(m->loop, NULL);
		__atomic_store_n(&m->closed, true, __ATOMIC_SEQ_CST);
		evloop_wake(m->loop);
	}
	assert_int_equal(get(&m->late), 0);
	close_many(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_take_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
