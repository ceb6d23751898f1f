/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drawn at most ten times a second, and not at all when the work is done
 * within the first half second.
 */
#include "cli/bar.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE       0.5 /* s */
#define INTERVAL       0.1
#define COLUMNS        80u
#define LINE_MAX_BYTES 512

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bar_format(char *text, size_t size, const char *what, uint64_t done,
		uint64_t total, double seconds)
{
	double part = total ? (double)done / (double)total : 1;
	unsigned left = (unsigned)(part > 0 ? seconds / part - seconds : 0);
	size_t width, head, rest;
	char tail[64];

	rest = (size_t)snprintf(
		tail, sizeof(tail), "] %3.0f %%  %llu of %llu MiB  %u:%02u",
		part * 100, (unsigned long long)done >> 20,
		(unsigned long long)total >> 20, left / 60, left % 60);
	head = (size_t)snprintf(text, size, "%s [", what);
	if (head >= size)
		return;
	width = size > head + rest + 1 ? size - head - rest - 1 : 0;
	memset(text + head, '.', width);
	memset(text + head, '#', (size_t)(part * (double)width));
	snprintf(text + head + width, size - head - width, "%s", tail);
}

static unsigned columns_of_terminal(void)
{
	struct winsize ws;

	return !ioctl(2, TIOCGWINSZ, &ws) && ws.ws_col ? ws.ws_col : COLUMNS;
}

void bar_end(struct bar *b)
{
	if (b->drawn > 0)
		fputs("\r\033[K", stderr);
	b->drawn = 0;
}

static void step(void *ctx, uint64_t done, uint64_t total)
{
	struct bar *b = ctx;
	double now = seconds_now();
	char line[LINE_MAX_BYTES];

	if (done == total)
		bar_end(b);
	if (!b->terminal || done == total || now - b->started < PATIENCE ||
	    now - b->drawn < INTERVAL)
		return;
	b->drawn = now;
	bar_format(line, MIN(sizeof(line), columns_of_terminal()), b->what,
		   done, total, now - b->started);
	fprintf(stderr, "\r%s\033[K", line);
}

void bar_init(struct bar *b, const char *what)
{
	*b = (struct bar){
		.progress = {step, b},
		.what = what,
		.started = seconds_now(),
		.terminal = isatty(2),
	};
}
