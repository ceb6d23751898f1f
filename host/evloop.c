/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll(2) over a small list, because epoll refuses regular files and stdin
 * may be one. An eventfd wakes the thread when the list changed.
 */
#include "host/evloop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/check.h"

#define EVLOOP_MAX 256 /* watches polled at once */

struct evloop_watch {
	struct evloop *loop;
	struct evloop_watch *next;
	evloop_fn *fn;
	void *opaque;
	int fd;
	int events; /* under loop->lock */
	bool dead;  /* under loop->lock: freed by the thread */
};

struct evloop {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t idle;          /* signalled when a call has ended */
	struct evloop_watch *list;    /* under lock */
	struct evloop_watch *calling; /* whose callback runs, under lock */
	unsigned count;               /* live watches, under lock */
	const struct evloop_source *source; /* under lock */
	const struct evloop_source *asked;  /* under lock: for this wait */
	bool in_source;                     /* a call of it, under lock */
	struct evloop_set set;              /* the thread's */
	int wake;                           /* eventfd */
	bool stop;                          /* under lock */
};

void evloop_wake(struct evloop *loop)
{
	uint64_t one = 1;

	while (write(loop->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int evloop_want(struct evloop_set *set, int fd, int events)
{
	unsigned max = set->max * 2;
	struct pollfd *more;

	if (set->n == set->max) {
		more = realloc(set->fd, max * sizeof(*more));
		if (!more)
			return -1;
		set->fd = more;
		set->max = max;
	}
	set->fd[set->n] = (struct pollfd){fd, (short)events, 0};
	return (int)set->n++;
}

/* Drop the dead, fill the set with the living; returns how many. */
static unsigned collect(struct evloop *loop, struct evloop_watch **who)
{
	struct evloop_watch **link = &loop->list, *w;
	unsigned n = 0;

	while ((w = *link)) {
		if (w->dead) {
			*link = w->next;
			free(w);
			continue;
		}
		if (w->events && evloop_want(&loop->set, w->fd, w->events) >= 0)
			who[n++] = w;
		link = &w->next;
	}
	return n;
}

static void call_source(struct evloop *loop, bool ready)
{
	const struct evloop_source *s;

	pthread_mutex_lock(&loop->lock);
	/* One that came during the wait was not asked. */
	s = !ready || loop->source == loop->asked ? loop->source : NULL;
	loop->asked = s;
	loop->in_source = s;
	pthread_mutex_unlock(&loop->lock);
	if (!s)
		return;
	if (ready)
		s->ready(s->opaque, &loop->set);
	else
		s->prepare(s->opaque, &loop->set);
	pthread_mutex_lock(&loop->lock);
	loop->in_source = false;
	pthread_cond_broadcast(&loop->idle);
	pthread_mutex_unlock(&loop->lock);
}

void evloop_set_source(struct evloop *loop, const struct evloop_source *source)
{
	pthread_mutex_lock(&loop->lock);
	loop->source = source;
	while (loop->in_source && !pthread_equal(pthread_self(), loop->thread))
		pthread_cond_wait(&loop->idle, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	evloop_wake(loop);
}

static void call(struct evloop *loop, struct evloop_watch *w, int revents)
{
	pthread_mutex_lock(&loop->lock);
	if (!w->dead && w->events) {
		loop->calling = w;
		pthread_mutex_unlock(&loop->lock);
		w->fn(w->opaque, revents);
		pthread_mutex_lock(&loop->lock);
		loop->calling = NULL;
		pthread_cond_broadcast(&loop->idle);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN && errno != EINTR)
		check_failed("eventfd readable", __FILE__, __LINE__);
}

static void *evloop_main(void *arg)
{
	struct evloop *loop = arg;
	struct evloop_set *set = &loop->set;
	struct evloop_watch *who[EVLOOP_MAX];
	unsigned n, i;

	for (;;) {
		set->n = 0;
		set->ms = -1;
		pthread_mutex_lock(&loop->lock);
		if (loop->stop)
			break;
		n = collect(loop, who);
		pthread_mutex_unlock(&loop->lock);
		set->fd[n] = (struct pollfd){loop->wake, POLLIN, 0};
		set->n = n + 1;
		call_source(loop, false);
		if (poll(set->fd, set->n, set->ms) < 0)
			continue;
		if (set->fd[n].revents)
			drain(loop->wake);
		call_source(loop, true);
		for (i = 0; i < n; i++)
			if (set->fd[i].revents)
				call(loop, who[i], set->fd[i].revents);
	}
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

static int start_thread(struct evloop *loop, const char *name)
{
	char comm[16];
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&loop->thread, NULL, evloop_main, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	snprintf(comm, sizeof(comm), "%.15s", name);
	if (!ret)
		pthread_setname_np(loop->thread, comm);
	return -ret;
}

struct evloop *evloop_create(const char *name, struct err *e)
{
	struct evloop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (!loop) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->idle, NULL);
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->set.max = EVLOOP_MAX + 1; /* that watches have */
	loop->set.fd = calloc(loop->set.max, sizeof(*loop->set.fd));
	ret = loop->wake < 0  ? -errno
	      : !loop->set.fd ? -ENOMEM
			      : start_thread(loop, name);
	if (!ret)
		return loop;
	err_set(e, ret, "cannot start the event loop: %s", strerror(-ret));
	if (loop->wake >= 0)
		close(loop->wake);
	free(loop->set.fd);
	free(loop);
	return NULL;
}

void evloop_destroy(struct evloop *loop)
{
	struct evloop_watch *w;

	if (!loop)
		return;
	pthread_mutex_lock(&loop->lock);
	loop->stop = true;
	pthread_mutex_unlock(&loop->lock);
	evloop_wake(loop);
	pthread_join(loop->thread, NULL);
	while ((w = loop->list)) {
		loop->list = w->next;
		free(w);
	}
	close(loop->wake);
	pthread_cond_destroy(&loop->idle);
	pthread_mutex_destroy(&loop->lock);
	free(loop->set.fd);
	free(loop);
}

struct evloop_watch *evloop_add(struct evloop *loop, int fd, int events,
				evloop_fn *fn, void *opaque)
{
	struct evloop_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct evloop_watch){
		.loop = loop,
		.fd = fd,
		.events = events,
		.fn = fn,
		.opaque = opaque,
	};
	pthread_mutex_lock(&loop->lock);
	if (loop->count == EVLOOP_MAX) {
		pthread_mutex_unlock(&loop->lock);
		free(w);
		return NULL;
	}
	loop->count++;
	w->next = loop->list;
	loop->list = w;
	pthread_mutex_unlock(&loop->lock);
	evloop_wake(loop);
	return w;
}

void evloop_set(struct evloop_watch *watch, int events)
{
	struct evloop *loop = watch->loop;
	bool changed;

	pthread_mutex_lock(&loop->lock);
	changed = watch->events != events;
	watch->events = events;
	pthread_mutex_unlock(&loop->lock);
	if (changed)
		evloop_wake(loop);
}

void evloop_remove(struct evloop_watch *watch)
{
	struct evloop *loop;

	if (!watch)
		return;
	loop = watch->loop;
	pthread_mutex_lock(&loop->lock);
	watch->dead = true;
	loop->count--;
	while (loop->calling == watch &&
	       !pthread_equal(pthread_self(), loop->thread))
		pthread_cond_wait(&loop->idle, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	evloop_wake(loop);
}

bool evloop_is_self(const struct evloop *loop)
{
	return loop && pthread_equal(pthread_self(), loop->thread);
}
