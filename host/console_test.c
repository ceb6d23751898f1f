/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console on a pseudo-terminal and on pipes: raw mode and back, Ctrl-A
 * commands, and no byte of input lost however slowly it is taken.
 */
#include "host/console.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/evloop.h"

#define FLOOD 300000 /* bytes, more than a pipe holds */
#define SIP   16     /* bytes the slow user takes at once */

struct guest {
	pthread_mutex_t lock;
	struct console *console;
	size_t took;   /* bytes so far */
	bool wrong;    /* a byte out of order */
	size_t room;   /* bytes it takes before it wants a rest */
	char text[64]; /* the first of them */
	int quits;
	int breaks;
};

static size_t guest_receive(void *opaque, const uint8_t *buf, size_t n)
{
	struct guest *g = opaque;
	size_t i;

	pthread_mutex_lock(&g->lock);
	n = MIN(n, g->room);
	g->room -= n;
	for (i = 0; i < n; i++) {
		if (g->took < sizeof(g->text) - 1)
			g->text[g->took] = (char)buf[i];
		g->wrong |= buf[i] != (uint8_t)('a' + g->took % 23);
		g->took++;
	}
	pthread_mutex_unlock(&g->lock);
	return n;
}

static void guest_command(void *opaque, enum console_command cmd)
{
	struct guest *g = opaque;

	pthread_mutex_lock(&g->lock);
	if (cmd == CONSOLE_QUIT)
		g->quits++;
	else
		g->breaks++;
	pthread_mutex_unlock(&g->lock);
}

/* Make room for @n more until the guest took @total in all, or time is up. */
static void let_take(struct guest *g, size_t n, size_t total)
{
	size_t took = 0;
	int spins;

	for (spins = 0; spins < 100000 && took < total; spins++) {
		pthread_mutex_lock(&g->lock);
		g->room = n;
		took = g->took;
		pthread_mutex_unlock(&g->lock);
		console_room(g->console);
		usleep(took < total ? 50 : 1000);
	}
}

static struct guest new_guest(void)
{
	struct guest g = {.took = 0};

	pthread_mutex_init(&g.lock, NULL);
	return g;
}

static void *flood(void *arg)
{
	uint8_t byte;
	unsigned i;

	for (i = 0; i < FLOOD; i++) {
		byte = (uint8_t)('a' + i % 23);
		if (write(*(int *)arg, &byte, 1) != 1)
			break;
	}
	close(*(int *)arg);
	return NULL;
}

static void test_flood(void **state)
{
	struct evloop *loop = evloop_create("test", NULL);
	struct guest g = new_guest();
	struct console_user user = {guest_receive, guest_command, NULL, &g};
	struct tty tty;
	pthread_t writer;
	int in[2];

	assert_int_equal(pipe(in), 0);
	g.console = console_open_stdio(loop, &tty, in[0], STDOUT_FILENO, true,
				       NULL);
	assert_non_null(g.console);
	assert_false(tty.raw);
	pthread_create(&writer, NULL, flood, &in[1]);
	console_attach(g.console, CONSOLE_PORT, &user);
	let_take(&g, SIP, FLOOD / 8);
	let_take(&g, FLOOD, FLOOD);
	pthread_join(writer, NULL);
	assert_int_equal(g.took, FLOOD);
	assert_false(g.wrong);
	console_attach(g.console, CONSOLE_PORT, NULL);
	console_close(g.console);
	evloop_destroy(loop);
	close(in[0]);
}

static void test_keys(void **state)
{
	static const char keys[] = "\1x-\1a-\1\1-\1b-\1?-";
	struct evloop *loop = evloop_create("test", NULL);
	struct guest g = new_guest();
	struct console_user user = {guest_receive, guest_command, NULL, &g};
	struct tty tty;
	char out[512];
	int in[2], text[2];

	assert_int_equal(pipe(in) | pipe(text), 0);
	g.console = console_open_stdio(loop, &tty, in[0], text[1], true, NULL);
	assert_non_null(g.console);
	/* Typed before anybody listens, and not lost. */
	assert_int_equal(write(in[1], keys, sizeof(keys) - 1),
			 sizeof(keys) - 1);
	usleep(20000);
	console_attach(g.console, CONSOLE_PORT, &user);
	let_take(&g, 64, 7);
	console_close(g.console);
	assert_string_equal(g.text, "-\1-\1---");
	assert_int_equal(g.quits, 1);
	assert_int_equal(g.breaks, 1);
	assert_in_range(read(text[0], out, sizeof(out)), 50, sizeof(out));
	assert_non_null(strstr(out, "Ctrl-A x"));
	evloop_destroy(loop);
	close(in[0]);
	close(in[1]);
	close(text[0]);
	close(text[1]);
}

/* Without @mux, Ctrl-A is a byte like any other. */
static void test_plain(void **state)
{
	struct evloop *loop = evloop_create("test", NULL);
	struct guest g = new_guest();
	struct console_user user = {guest_receive, guest_command, NULL, &g};
	struct tty tty;
	int in[2];

	assert_int_equal(pipe(in), 0);
	g.console = console_open_stdio(loop, &tty, in[0], STDOUT_FILENO, false,
				       NULL);
	console_attach(g.console, CONSOLE_PORT, &user);
	assert_int_equal(write(in[1], "\1x", 2), 2);
	let_take(&g, 64, 2);
	console_close(g.console);
	assert_string_equal(g.text, "\1x");
	assert_int_equal(g.quits, 0);
	evloop_destroy(loop);
	close(in[0]);
	close(in[1]);
}

/* A terminal that is not our controlling one is used all the same. */
static void test_tty(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct termios before, after;
	struct tty tty;

	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_int_equal(tty_raw(&tty, slave, false, NULL), 0);
	assert_true(tty.raw);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(after.c_lflag & (ICANON | ECHO | ISIG), 0);
	tty_restore(&tty);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	close(slave);
	close(master);
}

/* A child of its own session, whose terminal the pseudo-terminal becomes. */
static int raw_child(const char *name)
{
	struct termios before, mode;
	struct tty tty;
	int fd;

	/* The structure has padding, which tcgetattr() leaves. */
	memset(&before, 0, sizeof(before));
	memset(&mode, 0, sizeof(mode));
	setsid();
	fd = open(name, O_RDWR);
	if (fd < 0 || tcgetattr(fd, &before))
		return 1;
	if (tty_raw(&tty, fd, false, NULL) || !tty.raw || tcgetattr(fd, &mode))
		return 2;
	if (mode.c_lflag & (ICANON | ECHO | ISIG) || mode.c_iflag & ICRNL)
		return 3;
	if (!(mode.c_oflag & OPOST))
		return 4;
	tty_restore(&tty);
	tty_restore(&tty);
	if (tcgetattr(fd, &mode) || memcmp(&mode, &before, sizeof(mode)))
		return 5;
	if (tty_raw(&tty, fd, true, NULL) || tcgetattr(fd, &mode))
		return 6;
	return mode.c_lflag & ISIG ? 0 : 7;
}

static void test_raw(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	int status = -1;
	pid_t pid;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	pid = fork();
	if (!pid)
		_exit(raw_child(ptsname(master)));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(master);
}

static void test_file(void **state)
{
	char path[] = "/tmp/console-test-XXXXXX", got[8] = "";
	struct console *c;
	struct err e = {0};
	int fd = mkstemp(path);

	c = console_open_file(path, false, &e);
	assert_non_null(c);
	console_write(c, (const uint8_t *)"hello", 5);
	console_close(c);
	assert_int_equal(read(fd, got, sizeof(got)), 5);
	assert_string_equal(got, "hello");
	close(fd);
	unlink(path);
	assert_null(console_open_file("/nonexistent/file", false, &e));
	assert_non_null(strstr(e.msg, "/nonexistent/file"));
	c = console_open_file("/dev/full", false, NULL);
	assert_non_null(c);
	console_write(c, (const uint8_t *)"hello", 5);
	console_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_plain), cmocka_unit_test(test_tty),
		cmocka_unit_test(test_raw),   cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
