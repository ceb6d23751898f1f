/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench [-g] [-t MS] [ROW...]: runs the rows and prints, for each,
 *
 *	row NAME NANOSECONDS ns OPERATIONS
 *	skip NAME REASON
 *
 * n grows until a run of a row takes the wanted time (300 ms unless -t says
 * otherwise); that last run is the figure.
 */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

volatile uint64_t sink;
int inside_guest;

static int64_t target_ns = 300000000;

static const struct row *const tables[] = {
	rows_compute, rows_memory, rows_vector,
	rows_kernel,  rows_exit,   rows_disk,
};

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("bench: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t timed(const struct row *row, uint64_t n)
{
	int64_t start = now_ns();

	row->run(n);
	return now_ns() - start;
}

static void measure(const struct row *row)
{
	const char *why = row->prepare ? row->prepare() : NULL;
	uint64_t n = 1;
	int64_t ns;

	if (why) {
		printf("skip %s %s\n", row->name, why);
		return;
	}
	/* Warm caches and code, then double until an estimate is sound. */
	timed(row, 1);
	for (ns = timed(row, n); ns < target_ns / 10; ns = timed(row, n))
		n *= 2;
	if (ns < target_ns) {
		n = (double)n * target_ns / ns;
		ns = timed(row, n);
	}
	printf("row %s %.3f ns %lu\n", row->name, (double)ns / n, n);
	fflush(stdout);
	if (row->cleanup)
		row->cleanup();
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return !argc;
}

int main(int argc, char **argv)
{
	int opt;

	/* What the fork+exec row executes. */
	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		_exit(0);
	while ((opt = getopt(argc, argv, "gs:t:")) != -1) {
		if (opt == 'g')
			inside_guest = 1;
		else if (opt == 's')
			net_serve((unsigned)atoi(optarg));
		else if (opt == 't' && atoi(optarg) > 0)
			target_ns = atoi(optarg) * 1000000LL;
		else
			die("usage: bench [-g] [-t MS] [-s PORT] [ROW...]");
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct row *r = tables[i]; r->name; r++)
			if (wanted(r->name, argc - optind, argv + optind))
				measure(r);
	return 0;
}
