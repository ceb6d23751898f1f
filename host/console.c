/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character ports. Input is read as soon as it is there and queued, so that
 * Ctrl-A x works while the machine reads nothing; reading pauses only when
 * the queue is full, so pasted or piped text is never lost.
 */
#include "host/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/evloop.h"

#define QUEUE_SIZE (1U << 20) /* bytes held back for a slow machine */
#define CTRL_A     1

struct console {
	int in;  /* -1: no input */
	int out; /* -1: output is dropped */
	bool own_out;
	bool mux;
	bool escaped;         /* Ctrl-A was the last byte */
	volatile bool hangup; /* see console_hangup() */
	int room;             /* eventfd, -1 without input */
	struct evloop_watch *in_watch;
	struct evloop_watch *room_watch;
	pthread_mutex_t lock;            /* user and the callbacks into it */
	const struct console_user *user; /* under lock */
	uint8_t *queue;                  /* the loop's thread only, as below */
	size_t head;                     /* first byte not yet taken */
	size_t used;
	unsigned commands; /* bits of enum console_command */
	bool eof;          /* in has ended */
};

static const char help[] = "\r\n"
			   "Ctrl-A x  leave: stop the machine\r\n"
			   "Ctrl-A b  send a break\r\n"
			   "Ctrl-A c  monitor (not there yet)\r\n"
			   "Ctrl-A a  send Ctrl-A (also Ctrl-A Ctrl-A)\r\n"
			   "Ctrl-A h  this text (also Ctrl-A ?)\r\n";

static void say(struct console *c, const char *text)
{
	console_write(c, (const uint8_t *)text, strlen(text));
}

static void queue_byte(struct console *c, uint8_t byte)
{
	c->queue[(c->head + c->used++) % QUEUE_SIZE] = byte;
}

/* Commands wait for a user: a machine may be between two lives. */
static void command(struct console *c, enum console_command cmd)
{
	c->commands |= BIT(cmd);
}

/* Lock held. */
static void give_commands(struct console *c)
{
	unsigned cmd;

	for (cmd = 0; c->user && c->commands; cmd++) {
		if (!(c->commands & BIT(cmd)))
			continue;
		c->commands &= ~BIT(cmd);
		c->user->command(c->user->opaque, cmd);
	}
}

static void escape(struct console *c, uint8_t byte)
{
	switch (byte) {
	case 'x': command(c, CONSOLE_QUIT); break;
	case 'b': command(c, CONSOLE_BREAK); break;
	case 'c': say(c, "\r\nThe monitor is not there yet\r\n"); break;
	case 'a':
	case CTRL_A: queue_byte(c, CTRL_A); break;
	case 'h':
	case '?': say(c, help); break;
	default: break;
	}
}

static void take_input(struct console *c, const uint8_t *buf, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (c->escaped) {
			c->escaped = false;
			escape(c, buf[i]);
		} else if (c->mux && buf[i] == CTRL_A) {
			c->escaped = true;
		} else {
			queue_byte(c, buf[i]);
		}
	}
}

/* Hand over what the user takes, then read more if there is space. */
static void pump(struct console *c)
{
	size_t n, taken;

	pthread_mutex_lock(&c->lock);
	give_commands(c);
	while (c->user && c->used) {
		n = MIN(c->used, QUEUE_SIZE - c->head);
		taken = c->user->receive(c->user->opaque, c->queue + c->head,
					 n);
		c->head = (c->head + taken) % QUEUE_SIZE;
		c->used -= taken;
		if (taken < n)
			break;
	}
	pthread_mutex_unlock(&c->lock);
	if (!c->eof)
		evloop_set(c->in_watch, c->used < QUEUE_SIZE ? POLLIN : 0);
}

static void console_readable(void *opaque, int revents)
{
	struct console *c = opaque;
	uint8_t buf[4096];
	ssize_t n;

	n = read(c->in, buf, MIN(sizeof(buf), QUEUE_SIZE - c->used));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* End of input: the machine runs on without. */
		c->eof = true;
		evloop_set(c->in_watch, 0);
		return;
	}
	take_input(c, buf, (size_t)n);
	pump(c);
}

static void console_has_room(void *opaque, int revents)
{
	struct console *c = opaque;
	uint64_t n;

	if (read(c->room, &n, sizeof(n)) > 0)
		pump(c);
}

static struct console *console_new(int out, bool own_out, struct err *e)
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	c->in = -1;
	c->room = -1;
	c->out = out;
	c->own_out = own_out;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

struct console *console_open_stdio(struct evloop *loop, struct tty *tty, int in,
				   int out, bool mux, struct err *e)
{
	struct console *c = console_new(out, false, e);

	if (!c)
		return NULL;
	c->in = in;
	c->mux = mux;
	c->queue = malloc(QUEUE_SIZE);
	c->room = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!c->queue || c->room < 0)
		goto fail;
	if (tty_raw(tty, in, !mux, e))
		goto fail;
	c->room_watch = evloop_add(loop, c->room, POLLIN, console_has_room, c);
	/* Only from here on can a callback see in_watch. */
	c->in_watch = evloop_add(loop, in, 0, console_readable, c);
	if (c->room_watch && c->in_watch) {
		console_room(c);
		return c;
	}
fail:
	err_set(e, -ENOMEM, "cannot set up the console");
	console_close(c);
	return NULL;
}

struct console *console_open_file(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	struct console *c;

	if (fd < 0) {
		int code = -errno;

		err_set(e, code, "cannot create %s: %s", path, strerror(-code));
		return NULL;
	}
	c = console_new(fd, true, e);
	if (!c)
		close(fd);
	return c;
}

struct console *console_open_null(struct err *e)
{
	return console_new(-1, false, e);
}

void console_attach(struct console *c, const struct console_user *user)
{
	pthread_mutex_lock(&c->lock);
	c->user = user;
	pthread_mutex_unlock(&c->lock);
	console_room(c);
}

void console_room(struct console *c)
{
	uint64_t one = 1;

	if (c->room < 0)
		return;
	while (write(c->room, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void console_write(struct console *c, const uint8_t *buf, size_t n)
{
	struct pollfd p = {c->out, POLLOUT, 0};
	ssize_t done;

	while (n && c->out >= 0) {
		done = write(c->out, buf, n);
		if (done >= 0) {
			buf += done;
			n -= (size_t)done;
			continue;
		}
		if (c->hangup || (errno != EINTR && errno != EAGAIN))
			return;
		if (errno == EAGAIN)
			poll(&p, 1, 100);
	}
}

void console_hangup(struct console *c, bool on)
{
	c->hangup = on;
}

void console_close(struct console *c)
{
	if (!c)
		return;
	/* This order: the room callback sets in_watch, not the reverse. */
	evloop_remove(c->room_watch);
	evloop_remove(c->in_watch);
	if (c->room >= 0)
		close(c->room);
	if (c->own_out)
		close(c->out);
	pthread_mutex_destroy(&c->lock);
	free(c->queue);
	free(c);
}
