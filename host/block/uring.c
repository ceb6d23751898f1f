/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ring, and an eventfd that the kernel signals for what did not end within
 * the system call that started it: it is off during that one, which then looks
 * for itself.
 */
#include "host/block/uring.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENTRIES 256
#define BATCH   64

struct uring {
	struct io_uring ring;
	uring_done *done;
	void *ctx;
	pthread_mutex_t queue; /* the submission queue's */
	pthread_mutex_t reap;  /* the completion queue's */
	unsigned queued;       /* under queue */
	unsigned flying;       /* atomic: queued and not called back */
	int event;
	bool stop; /* atomic */
	pthread_t thread;
};

/* Callbacks run without any lock, for they start new ones. */
static void reap(struct uring *u)
{
	struct io_uring_cqe *cqe[BATCH];
	struct uring_event got[BATCH];
	unsigned n, i;

	do {
		pthread_mutex_lock(&u->reap);
		n = io_uring_peek_batch_cqe(&u->ring, cqe, BATCH);
		for (i = 0; i < n; i++) {
			got[i].tag = io_uring_cqe_get_data(cqe[i]);
			got[i].res = cqe[i]->res;
		}
		io_uring_cq_advance(&u->ring, n);
		pthread_mutex_unlock(&u->reap);
		__atomic_sub_fetch(&u->flying, n, __ATOMIC_RELAXED);
		if (n)
			u->done(u->ctx, got, n);
	} while (n == BATCH);
}

static void *watch(void *arg)
{
	struct uring *u = arg;
	uint64_t n;

	while (!__atomic_load_n(&u->stop, __ATOMIC_ACQUIRE))
		if (read(u->event, &n, sizeof(n)) == sizeof(n))
			reap(u);
	return NULL;
}

static int start(struct uring *u)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&u->thread, NULL, watch, u);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret)
		pthread_setname_np(u->thread, "io_uring");
	return ret;
}

struct uring *uring_new(uring_done *done, void *ctx)
{
	struct uring *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->done = done;
	u->ctx = ctx;
	u->event = eventfd(0, EFD_CLOEXEC);
	if (u->event < 0 || io_uring_queue_init(ENTRIES, &u->ring, 0))
		goto fail;
	pthread_mutex_init(&u->queue, NULL);
	pthread_mutex_init(&u->reap, NULL);
	if (!io_uring_register_eventfd(&u->ring, u->event) && !start(u))
		return u;
	io_uring_queue_exit(&u->ring);
fail:
	if (u->event >= 0)
		close(u->event);
	free(u);
	return NULL;
}

void uring_free(struct uring *u)
{
	uint64_t one = 1;

	if (!u)
		return;
	__atomic_store_n(&u->stop, true, __ATOMIC_RELEASE);
	while (write(u->event, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(u->thread, NULL);
	io_uring_queue_exit(&u->ring);
	close(u->event);
	pthread_mutex_destroy(&u->queue);
	pthread_mutex_destroy(&u->reap);
	free(u);
}

bool uring_queue(struct uring *u, const struct node_extent *x, bool write,
		 const struct iovec *iov, unsigned iovs, void *tag)
{
	struct io_uring_sqe *sqe = NULL;

	/* The completion queue has twice the room of the other. */
	if (__atomic_add_fetch(&u->flying, 1, __ATOMIC_RELAXED) > ENTRIES) {
		__atomic_sub_fetch(&u->flying, 1, __ATOMIC_RELAXED);
		return false;
	}
	pthread_mutex_lock(&u->queue);
	sqe = io_uring_get_sqe(&u->ring);
	if (sqe) {
		if (write)
			io_uring_prep_writev(sqe, x->fd, iov, iovs, x->at);
		else
			io_uring_prep_readv(sqe, x->fd, iov, iovs, x->at);
		io_uring_sqe_set_data(sqe, tag);
		u->queued++;
	}
	pthread_mutex_unlock(&u->queue);
	if (!sqe)
		__atomic_sub_fetch(&u->flying, 1, __ATOMIC_RELAXED);
	return sqe;
}

void uring_kick(struct uring *u)
{
	bool some;

	pthread_mutex_lock(&u->queue);
	some = u->queued;
	if (some)
		io_uring_cq_eventfd_toggle(&u->ring, false);
	/* EAGAIN, EBUSY: what is in flight has to end first. */
	while (u->queued && io_uring_submit(&u->ring) < 0)
		usleep(100);
	if (some)
		io_uring_cq_eventfd_toggle(&u->ring, true);
	u->queued = 0;
	pthread_mutex_unlock(&u->queue);
	if (some)
		reap(u);
}
