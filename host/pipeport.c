/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread for the way in; the way out is written by the device's.
 */
#include "host/pipeport.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/evloop.h"

#define CHUNK  (64U << 10)
#define CTRL_A 1

struct pipeport {
	struct port_end end;
	int in, out;
	int room; /* eventfd */
	struct evloop *loop;
	struct evloop_watch *in_watch; /* NULL without a way in */
	pthread_mutex_t user_lock;     /* user, and calls of it */
	const struct port_user *user;
	void (*leave)(void *opaque); /* NULL: no key does */
	void *opaque;
	/* ---- the loop's thread only ---- */
	uint8_t *buf;
	size_t at, len; /* of buf: not taken yet */
	bool eof;
	bool held; /* Ctrl-A was the last key */
	bool told; /* what the user was told last */
	/* ---- under lock ---- */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t written;
	bool broken; /* nobody reads out any more */
	bool hangup;
};

static bool is_broken(struct pipeport *p)
{
	bool broken;

	pthread_mutex_lock(&p->lock);
	broken = p->broken;
	pthread_mutex_unlock(&p->lock);
	return broken;
}

/* user_lock held: offer what is there, and say who is. */
static void serve(struct pipeport *p)
{
	const struct port_user *u = p->user;
	size_t taken;
	bool there;

	if (!u)
		return;
	if (p->len) {
		taken = u->receive(u->opaque, p->buf + p->at, p->len);
		p->at += taken;
		p->len -= taken;
	}
	/* The end comes after all that was before it. */
	there = !(p->eof && !p->len) && !is_broken(p);
	if (there != p->told)
		u->connected(u->opaque, there);
	p->told = there;
}

/* How much may be read: with keys to look for not only when all is taken. */
static size_t space(const struct pipeport *p)
{
	if (p->eof || (p->len && !p->leave))
		return 0;
	return CHUNK - 1 - p->len;
}

static void pump(struct pipeport *p)
{
	pthread_mutex_lock(&p->user_lock);
	serve(p);
	pthread_mutex_unlock(&p->user_lock);
	if (p->in_watch)
		evloop_set(p->in_watch, space(p) ? POLLIN : 0);
}

/* @n bytes stand one behind the end; true when one of them was to leave. */
static bool take_keys(struct pipeport *p, size_t n)
{
	const uint8_t *from = p->buf + p->len + 1;
	bool leave = false;

	while (n--) {
		uint8_t key = *from++;

		if (!p->held && key == CTRL_A) {
			p->held = true;
			continue;
		}
		if (p->held && key == 'x') {
			p->held = false;
			leave = true;
			continue;
		}
		/* Twice is once; with any other key it was meant, too. */
		if (p->held && key != CTRL_A)
			p->buf[p->len++] = CTRL_A;
		p->held = false;
		p->buf[p->len++] = key;
	}
	return leave;
}

static void pipeport_readable(void *opaque, int revents)
{
	struct pipeport *p = opaque;
	size_t room = space(p);
	ssize_t n;

	if (!room)
		return;
	memmove(p->buf, p->buf + p->at, p->len);
	p->at = 0;
	n = read(p->in, p->buf + p->len + (p->leave ? 1 : 0), room);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	p->eof = n <= 0;
	if (n > 0 && !p->leave)
		p->len = (size_t)n;
	else if (n > 0 && take_keys(p, (size_t)n))
		p->leave(p->opaque);
	pump(p);
}

static void pipeport_woken(void *opaque, int revents)
{
	struct pipeport *p = opaque;
	uint64_t n;

	if (read(p->room, &n, sizeof(n)) > 0)
		pump(p);
}

static void pipeport_room(struct port_end *end)
{
	struct pipeport *p = container_of(end, struct pipeport, end);
	uint64_t one = 1;

	while (write(p->room, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void pipeport_attach(struct port_end *end, const struct port_user *user)
{
	struct pipeport *p = container_of(end, struct pipeport, end);

	pthread_mutex_lock(&p->user_lock);
	p->user = user;
	p->told = false;
	pthread_mutex_unlock(&p->user_lock);
	pipeport_room(end);
}

static bool hung_up(struct pipeport *p)
{
	bool hangup;

	pthread_mutex_lock(&p->lock);
	hangup = p->hangup || p->broken;
	pthread_mutex_unlock(&p->lock);
	return hangup;
}

static void count(struct pipeport *p, size_t n, bool broken)
{
	pthread_mutex_lock(&p->lock);
	p->written += n;
	p->broken = p->broken || broken;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
	if (broken)
		pipeport_room(&p->end);
}

static void pipeport_write(struct port_end *end, const uint8_t *buf, size_t n)
{
	struct pipeport *p = container_of(end, struct pipeport, end);
	struct pollfd wait = {p->out, POLLOUT, 0};
	ssize_t done;

	while (n && p->out >= 0 && !hung_up(p)) {
		/* A pipe that blocks is written when it takes something. */
		if (poll(&wait, 1, 100) <= 0)
			continue;
		done = write(p->out, buf, MIN(n, (size_t)4096));
		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		count(p, done < 0 ? 0 : (size_t)done, done < 0);
		if (done < 0)
			return;
		buf += done;
		n -= (size_t)done;
	}
}

static void pipeport_hangup(struct port_end *end, bool on)
{
	struct pipeport *p = container_of(end, struct pipeport, end);

	pthread_mutex_lock(&p->lock);
	p->hangup = on;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

void pipeport_drain(struct pipeport *p, uint64_t bytes)
{
	pthread_mutex_lock(&p->lock);
	while (p->written < bytes && !p->broken && !p->hangup)
		pthread_cond_wait(&p->moved, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static const struct port_end_ops pipeport_ops = {
	pipeport_attach,
	pipeport_room,
	pipeport_write,
	pipeport_hangup,
};

struct port_end *pipeport_end(struct pipeport *p)
{
	return &p->end;
}

static bool start(struct pipeport *p, struct err *e)
{
	p->buf = malloc(CHUNK);
	p->room = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->loop = evloop_create("pipe", e);
	if (!p->buf || p->room < 0 || !p->loop)
		return false;
	if (p->in >= 0)
		p->in_watch = evloop_add(p->loop, p->in, 0, pipeport_readable,
					 p);
	return (p->in < 0 || p->in_watch) &&
	       evloop_add(p->loop, p->room, POLLIN, pipeport_woken, p);
}

struct pipeport *pipeport_open(int in, int out, void (*leave)(void *opaque),
			       void *opaque, struct err *e)
{
	struct pipeport *p = calloc(1, sizeof(*p));

	if (!p) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	p->end.ops = &pipeport_ops;
	p->in = in;
	p->out = out;
	p->leave = leave;
	p->opaque = opaque;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->user_lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	if (start(p, e)) {
		pipeport_room(&p->end);
		return p;
	}
	err_set(e, -ENOMEM, "cannot set up a port");
	pipeport_close(p);
	return NULL;
}

void pipeport_close(struct pipeport *p)
{
	if (!p)
		return;
	evloop_destroy(p->loop);
	if (p->room >= 0)
		close(p->room);
	pthread_cond_destroy(&p->moved);
	pthread_mutex_destroy(&p->user_lock);
	pthread_mutex_destroy(&p->lock);
	free(p->buf);
	free(p);
}
