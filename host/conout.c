/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of a port. A write never has more bytes than a pipe takes at
 * once when poll(2) says that it takes some, so that it does not block.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/consolepriv.h"

#define BACKLOG_MAX (16U << 20) /* bytes a reader may be behind */
#define WRITE_AHEAD (1U << 20)  /* bytes before console_write() waits */

/* Lock held, as in all of these. Bytes written, or -errno. */
static ssize_t write_some(struct console *c, const void *buf, size_t n)
{
	struct pollfd p = {c->out, POLLOUT, 0};
	ssize_t done;

	if (poll(&p, 1, 0) <= 0)
		return -EAGAIN;
	done = write(c->out, buf, MIN(n, (size_t)PIPE_BUF));
	return done < 0 ? -errno : done;
}

static void drop_backlog(struct console *c)
{
	free(c->backlog);
	c->backlog = NULL;
	c->waiting = c->room_size = 0;
}

static void flush(struct console *c)
{
	size_t done = 0;
	ssize_t n;

	while (c->out >= 0 && done < c->waiting) {
		n = write_some(c, c->backlog + done, c->waiting - done);
		if (n == -EAGAIN || n == -EINTR)
			break;
		/* Nobody will read the rest. */
		done += n < 0 ? c->waiting - done : (size_t)n;
	}
	c->waiting -= done;
	if (c->waiting)
		memmove(c->backlog, c->backlog + done, c->waiting);
	else
		drop_backlog(c);
}

static void want_out(struct console *c)
{
	if (c->out_watch)
		evloop_set(c->out_watch, c->waiting ? POLLOUT : 0);
}

static void on_writable(void *opaque, int revents)
{
	struct console *c = opaque;
	bool drained;

	pthread_mutex_lock(&c->out_lock);
	flush(c);
	want_out(c);
	drained = !c->waiting;
	pthread_mutex_unlock(&c->out_lock);
	if (drained)
		console_room(c);
}

int conout_open(struct console *c, int fd)
{
	struct evloop_watch *watch = NULL;

	if (c->loop) {
		watch = evloop_add(c->loop, fd, 0, on_writable, c);
		if (!watch)
			return -ENOMEM;
	}
	pthread_mutex_lock(&c->out_lock);
	c->out = fd;
	c->out_watch = watch;
	pthread_mutex_unlock(&c->out_lock);
	return 0;
}

void conout_close(struct console *c)
{
	struct evloop_watch *watch;

	pthread_mutex_lock(&c->out_lock);
	watch = c->out_watch;
	c->out_watch = NULL;
	c->out = -1;
	drop_backlog(c);
	pthread_mutex_unlock(&c->out_lock);
	evloop_remove(watch);
}

/* Make room for @n more bytes; false when there is none to be had. */
static bool grow(struct console *c, size_t n)
{
	size_t size = MAX(c->room_size, (size_t)4096);
	uint8_t *p;

	while (size - c->waiting < n)
		size *= 2;
	if (size == c->room_size)
		return true;
	p = size > BACKLOG_MAX ? NULL : realloc(c->backlog, size);
	if (!p)
		return false;
	c->backlog = p;
	c->room_size = size;
	return true;
}

static void append(struct console *c, const void *buf, size_t n)
{
	if (c->out < 0 || !n)
		return;
	if (!grow(c, n)) {
		/* A socket's end is noticed by whoever reads it. */
		shutdown(c->out, SHUT_RDWR);
		drop_backlog(c);
		return;
	}
	memcpy(c->backlog + c->waiting, buf, n);
	c->waiting += n;
}

void console_queue(struct console *c, const void *buf, size_t n)
{
	bool drained;

	pthread_mutex_lock(&c->out_lock);
	drained = c->waiting;
	append(c, buf, n);
	flush(c);
	want_out(c);
	drained &= !c->waiting;
	pthread_mutex_unlock(&c->out_lock);
	if (drained)
		console_room(c);
}

size_t console_backlog(struct console *c)
{
	size_t n;

	pthread_mutex_lock(&c->out_lock);
	n = c->waiting;
	pthread_mutex_unlock(&c->out_lock);
	return n;
}

void console_drain(struct console *c, unsigned ms)
{
	struct pollfd p = {.events = POLLOUT};

	for (; ms; ms--) {
		pthread_mutex_lock(&c->out_lock);
		flush(c);
		p.fd = c->waiting ? c->out : -1;
		pthread_mutex_unlock(&c->out_lock);
		if (p.fd < 0)
			return;
		poll(&p, 1, 1);
	}
}

/* One try: bytes dealt with, 0 when a reader must be waited for. */
static size_t try_write(struct console *c, const uint8_t *buf, size_t n,
			int *fd)
{
	ssize_t done;

	pthread_mutex_lock(&c->out_lock);
	*fd = c->out;
	if (c->out < 0) {
		done = (ssize_t)n;
	} else if (!c->out_watch) {
		done = write_some(c, buf, n);
	} else if (c->waiting > WRITE_AHEAD) {
		done = -EAGAIN;
	} else {
		append(c, buf, n);
		flush(c);
		want_out(c);
		done = (ssize_t)n;
	}
	pthread_mutex_unlock(&c->out_lock);
	if (done == -EAGAIN || done == -EINTR)
		return 0;
	return done < 0 ? n : (size_t)done;
}

void console_write(struct console *c, const uint8_t *buf, size_t n)
{
	struct pollfd p = {.events = POLLOUT};
	size_t done;

	while (n) {
		done = try_write(c, buf, n, &p.fd);
		buf += done;
		n -= done;
		if (done)
			continue;
		if (__atomic_load_n(&c->hung_up, __ATOMIC_RELAXED))
			return;
		poll(&p, 1, 100);
	}
}

void console_hangup(struct console *c, bool on)
{
	__atomic_store_n(&c->hung_up, on, __ATOMIC_RELAXED);
}
