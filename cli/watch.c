/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On a terminal keys arrive without Enter, and what a signal ends leaves it
 * as it was.
 */
#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "vmm/exitcode.h"

#define HOME_AND_CLEAR "\033[H\033[J"

static volatile sig_atomic_t stopped;

int watch_usage(const struct watch *w, const char *text, const char *what)
{
	fprintf(stderr,
		"lodge: %s: %s%s; `lodge %s --help` lists the options\n",
		w->command, text, what, w->command);
	return EXITCODE_USAGE;
}

static bool parse_value(struct watch *w, char option, const char *text)
{
	char *end;

	errno = 0;
	if (option == 'i') {
		w->interval = strtod(text, &end);
		return !errno && end != text && !*end && w->interval >= 0.05 &&
		       w->interval <= 3600;
	}
	w->times = strtoul(text, &end, 10);
	return !errno && end != text && !*end && w->times > 0;
}

int watch_options(struct watch *w, int argc, char **argv, int *rest)
{
	int i;

	w->interval = 1;
	for (i = 0; i < argc && argv[i][0] == '-'; i++) {
		const char *o = argv[i];

		if (strcmp(o, "-i") && strcmp(o, "-n"))
			return watch_usage(w, "unknown option ", o);
		if (i + 1 == argc)
			return watch_usage(w, "a value is missing after ", o);
		if (!parse_value(w, o[1], argv[++i]))
			return watch_usage(w, "not a good number: ", argv[i]);
	}
	*rest = i;
	return 0;
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_signal(int sig)
{
	stopped = sig;
}

static void catch_signals(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaction(ends[i], &sa, NULL);
}

/* True when the terminal was one and hands over single keys now. */
static bool take_keys(struct termios *old)
{
	struct termios t;

	if (!isatty(0) || tcgetattr(0, old))
		return false;
	t = *old;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return !tcsetattr(0, TCSANOW, &t);
}

/* Wait for the next view or a key; true when it is enough. */
static bool pause_for(const struct watch *w, bool keys)
{
	struct pollfd p = {.fd = keys ? 0 : -1, .events = POLLIN};
	char c;

	if (poll(&p, 1, (int)(w->interval * 1000)) <= 0)
		return stopped;
	if (read(0, &c, 1) <= 0 || c == 'q')
		return true;
	if (w->key)
		w->key(w->ctx, c);
	return stopped;
}

static int loop(struct watch *w, bool terminal, bool keys, struct err *e)
{
	double at = seconds_now(), last;

	for (unsigned long n = 0; !w->times || n < w->times; n++) {
		last = at;
		at = seconds_now();
		if (terminal)
			fputs(HOME_AND_CLEAR, stdout);
		else if (n)
			putchar('\n');
		if (w->show(w->ctx, n ? at - last : 0, e))
			return n && e->code == -ESRCH ? 0 : e->code;
		fflush(stdout);
		if (n + 1 != w->times && pause_for(w, keys))
			break;
	}
	return 0;
}

int watch_run(struct watch *w)
{
	bool terminal = isatty(1), keys;
	struct err e = {0};
	struct termios old;
	int ret;

	if (!w->times && !terminal)
		w->times = w->once ? 1 : 2;
	keys = terminal && take_keys(&old);
	if (keys)
		catch_signals();
	ret = loop(w, terminal, keys, &e);
	if (keys)
		tcsetattr(0, TCSANOW, &old);
	if (stopped)
		return 128 + stopped;
	if (!ret)
		return EXITCODE_OK;
	fprintf(stderr, "lodge: %s: %s\n", w->command, e.msg);
	return EXITCODE_START;
}
