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
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "host/consolepriv.h"
#include "host/fdset.h"

#define QUEUE_SIZE (1U << 20) /* bytes held back for a slow machine */
#define CTRL_A     1
#define DRAIN_MS   2000 /* for a slow reader in the end */

static const char help[] = "\r\n"
			   "Ctrl-A x  leave: stop the machine\r\n"
			   "Ctrl-A b  send a break\r\n"
			   "Ctrl-A c  the monitor, and back\r\n"
			   "Ctrl-A a  send Ctrl-A (also Ctrl-A Ctrl-A)\r\n"
			   "Ctrl-A h  this text (also Ctrl-A ?)\r\n";

static void say(struct console *c, const char *text)
{
	console_queue(c, text, strlen(text));
}

static void queue_byte(struct console *c, uint8_t byte)
{
	struct console_input *q = &c->input[c->to];

	q->queue[(q->head + q->used++) % QUEUE_SIZE] = byte;
}

/* Commands wait for a user: a machine may be between two lives. */
static void command(struct console *c, enum console_command cmd)
{
	c->commands |= BIT(cmd);
}

/*
 * Callbacks run without the lock, which a user that detaches needs; it waits
 * until they are over.
 */
static const struct console_user *begin_call(struct console *c,
					     enum console_role role)
{
	pthread_mutex_lock(&c->lock);
	c->calling = c->input[role].user;
	pthread_mutex_unlock(&c->lock);
	return c->calling;
}

static void end_call(struct console *c)
{
	pthread_mutex_lock(&c->lock);
	c->calling = NULL;
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

static void tell(struct console *c, enum console_role role,
		 enum console_event ev)
{
	const struct console_user *user = begin_call(c, role);

	if (user && user->event)
		user->event(user->opaque, ev);
	end_call(c);
}

/* True once for each user and connection. */
static bool is_new(struct console *c, struct console_input *q)
{
	bool new;

	pthread_mutex_lock(&c->lock);
	new = c->connected && q->user && !q->told;
	q->told |= new;
	pthread_mutex_unlock(&c->lock);
	return new;
}

static bool was_told(struct console *c, struct console_input *q)
{
	bool told;

	pthread_mutex_lock(&c->lock);
	told = q->told;
	q->told = false;
	pthread_mutex_unlock(&c->lock);
	return told;
}

static bool has_monitor(struct console *c)
{
	bool there;

	pthread_mutex_lock(&c->lock);
	there = c->input[CONSOLE_MONITOR].user;
	pthread_mutex_unlock(&c->lock);
	return there;
}

static void switch_user(struct console *c)
{
	enum console_role to = 1 - c->to;

	if (to == CONSOLE_MONITOR && !has_monitor(c)) {
		say(c, "\r\nThis port has no monitor\r\n");
		return;
	}
	c->to = to;
	tell(c, to, CONSOLE_FOCUS);
}

static void escape(struct console *c, uint8_t byte)
{
	switch (byte) {
	case 'x': command(c, CONSOLE_QUIT); break;
	case 'b': command(c, CONSOLE_BREAK); break;
	case 'c': switch_user(c); break;
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

static void give_commands(struct console *c, const struct console_user *user)
{
	unsigned cmd;

	for (cmd = 0; c->commands; cmd++) {
		if (!(c->commands & BIT(cmd)))
			continue;
		c->commands &= ~BIT(cmd);
		user->command(user->opaque, cmd);
	}
}

/* Hand over what the user takes. */
static void serve(struct console *c, enum console_role role)
{
	struct console_input *q = &c->input[role];
	const struct console_user *user;
	size_t n, taken;

	if (is_new(c, q))
		tell(c, role, CONSOLE_OPENED);
	user = begin_call(c, role);
	if (user && role == CONSOLE_PORT)
		give_commands(c, user);
	while (user && q->used) {
		n = MIN(q->used, QUEUE_SIZE - q->head);
		taken = user->receive(user->opaque, q->queue + q->head, n);
		q->head = (q->head + taken) % QUEUE_SIZE;
		q->used -= taken;
		if (taken < n)
			break;
	}
	end_call(c);
}

static size_t space(const struct console *c)
{
	return QUEUE_SIZE - MAX(c->input[0].used, c->input[1].used);
}

static void pump(struct console *c)
{
	unsigned role;

	for (role = 0; role < CONSOLE_ROLES; role++)
		serve(c, role);
	if (c->in_watch && !c->eof)
		evloop_set(c->in_watch, space(c) ? POLLIN : 0);
}

static void set_connected(struct console *c, bool on)
{
	pthread_mutex_lock(&c->lock);
	c->connected = on;
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

/* End of input: without a listener the machine runs on without. */
static void lose_input(struct console *c)
{
	unsigned role;

	c->eof = true;
	evloop_set(c->in_watch, 0);
	for (role = 0; role < CONSOLE_ROLES; role++)
		if (was_told(c, &c->input[role]))
			tell(c, role, CONSOLE_CLOSED);
	if (c->listener < 0)
		return;
	set_connected(c, false);
	consock_drop_passed(c);
	conout_close(c);
	close(c->in);
	c->in = -1;
	c->escaped = false;
	consock_again(c);
}

static void console_readable(void *opaque, int revents)
{
	struct console *c = opaque;
	uint8_t buf[4096];
	ssize_t n;

	n = consock_read(c, buf, MIN(sizeof(buf), space(c)));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		lose_input(c);
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

struct console *console_new(int out, bool own_fds, struct err *e)
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	c->in = -1;
	c->room = -1;
	c->listener = -1;
	c->slave = -1;
	c->out = out;
	c->own_fds = own_fds;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->cond, NULL);
	pthread_mutex_init(&c->out_lock, NULL);
	return c;
}

int console_init_input(struct console *c, struct evloop *loop)
{
	unsigned role;

	c->loop = loop;
	/* A port that only a monitor uses needs no more than one. */
	for (role = 0; role < (c->mux ? 2U : 1U); role++) {
		c->input[role].queue = malloc(QUEUE_SIZE);
		if (!c->input[role].queue)
			return -ENOMEM;
	}
	c->room = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->room < 0)
		return -errno;
	c->room_watch = evloop_add(loop, c->room, POLLIN, console_has_room, c);
	return c->room_watch ? 0 : -ENOMEM;
}

/* The loop's thread, or nobody looks at @c yet. */
static int watch_input(struct console *c, int fd)
{
	evloop_remove(c->in_watch);
	c->in = fd;
	c->eof = false;
	consock_begin(c, fd);
	c->in_watch = evloop_add(c->loop, fd, 0, console_readable, c);
	return c->in_watch ? 0 : -ENOMEM;
}

int console_connect(struct console *c, int fd)
{
	int ret = conout_open(c, fd);

	if (!ret)
		ret = watch_input(c, fd);
	if (ret) {
		conout_close(c);
		c->in = -1;
		return ret;
	}
	set_connected(c, true);
	console_room(c);
	return 0;
}

struct console *console_open_stdio(struct evloop *loop, struct tty *tty, int in,
				   int out, bool mux, struct err *e)
{
	struct console *c = console_new(-1, false, e);
	int ret;

	if (!c)
		return NULL;
	c->mux = mux;
	ret = console_init_input(c, loop);
	if (!ret)
		ret = tty_raw(tty, in, !mux, e);
	if (!ret)
		ret = conout_open(c, out);
	if (!ret)
		ret = watch_input(c, in);
	if (!ret) {
		c->connected = true;
		console_room(c);
		return c;
	}
	err_set(e, ret, "cannot set up the console");
	console_close(c);
	return NULL;
}

static int open_pty(struct console *c, int *slave)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	struct termios mode;

	if (fd < 0)
		return -errno;
	c->own_fds = true;
	c->in = fd;
	if (grantpt(fd) || unlockpt(fd) ||
	    ptsname_r(fd, c->peer, sizeof(c->peer)))
		return -errno;
	/* Held open: no end of file when the last reader leaves. */
	*slave = open(c->peer, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0 || tcgetattr(*slave, &mode))
		return -errno;
	cfmakeraw(&mode);
	return tcsetattr(*slave, TCSANOW, &mode) ? -errno : 0;
}

struct console *console_open_pty(struct evloop *loop, bool mux, struct err *e)
{
	struct console *c = console_new(-1, false, e);
	int ret;

	if (!c)
		return NULL;
	c->mux = mux;
	ret = console_init_input(c, loop);
	if (!ret)
		ret = open_pty(c, &c->slave);
	if (!ret)
		ret = console_connect(c, c->in);
	if (!ret)
		return c;
	err_set(e, ret, "cannot make a pseudo-terminal: %s", strerror(-ret));
	console_close(c);
	return NULL;
}

struct console *console_open_file(const char *path, bool append, struct err *e)
{
	int fd = fdset_open(path, O_WRONLY | O_CREAT | O_CLOEXEC |
					  (append ? O_APPEND : O_TRUNC));
	struct console *c;

	if (fd < 0) {
		err_set(e, fd, "cannot create %s: %s", path, strerror(-fd));
		return NULL;
	}
	c = console_new(fd, true, e);
	if (!c)
		fdset_close(fd);
	else
		c->connected = true;
	return c;
}

struct console *console_open_null(struct err *e)
{
	struct console *c = console_new(-1, false, e);

	if (c)
		c->connected = true;
	return c;
}

const char *console_peer(const struct console *c)
{
	return c->peer;
}

bool console_await(struct console *c, unsigned ms)
{
	struct timespec until;
	bool there;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&c->lock);
	while (!c->connected && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&c->cond, &c->lock, &until);
	there = c->connected;
	pthread_mutex_unlock(&c->lock);
	return there;
}

/* A monitor that has the port for itself takes the place of a user. */
static struct console_input *place(struct console *c, enum console_role role)
{
	return &c->input[c->mux ? role : CONSOLE_PORT];
}

void console_attach(struct console *c, enum console_role role,
		    const struct console_user *user)
{
	struct console_input *in = place(c, role);
	const struct console_user *old;

	pthread_mutex_lock(&c->lock);
	old = in->user;
	in->user = user;
	in->told = false;
	while (old && c->calling == old && !evloop_is_self(c->loop))
		pthread_cond_wait(&c->cond, &c->lock);
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

void console_break(struct console *c)
{
	const struct console_user *user;

	command(c, CONSOLE_BREAK);
	if (c->room >= 0) {
		console_room(c);
		return;
	}
	user = begin_call(c, CONSOLE_PORT);
	if (user)
		give_commands(c, user);
	c->commands = 0;
	end_call(c);
}

bool console_size(struct console *c, unsigned *cols, unsigned *rows)
{
	struct winsize w = {0};
	int ret;

	pthread_mutex_lock(&c->out_lock);
	ret = ioctl(c->out, TIOCGWINSZ, &w);
	pthread_mutex_unlock(&c->out_lock);
	*cols = w.ws_col;
	*rows = w.ws_row;
	return !ret && w.ws_col && w.ws_row;
}

void console_resized(struct console *c)
{
	unsigned role;

	for (role = 0; role < CONSOLE_ROLES; role++)
		tell(c, role, CONSOLE_RESIZED);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		fdset_close(fd);
}

void console_close(struct console *c)
{
	int out;

	if (!c)
		return;
	console_drain(c, DRAIN_MS);
	out = c->out;
	/* This order: who adds watches goes before what he adds. */
	evloop_remove(c->listen_watch);
	evloop_remove(c->room_watch);
	evloop_remove(c->in_watch);
	conout_close(c);
	consock_drop_passed(c);
	close_fd(c->room);
	close_fd(c->listener);
	close_fd(c->slave);
	if (c->own_fds) {
		close_fd(c->in);
		if (out != c->in)
			close_fd(out);
	}
	if (c->path[0])
		unlink(c->path);
	pthread_mutex_destroy(&c->out_lock);
	pthread_cond_destroy(&c->cond);
	pthread_mutex_destroy(&c->lock);
	free(c->input[0].queue);
	free(c->input[1].queue);
	free(c);
}

void console_abandon(struct console *c)
{
	if (c && c->in >= 0)
		conout_close(c);
	console_close(c);
}
