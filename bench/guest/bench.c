/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench [-cg] [-t MS] [ROW...]: runs the rows and prints, for each,
 *
 *	row NAME NANOSECONDS ns OPERATIONS
 *	skip NAME REASON
 *
 * n grows until a run of a row takes the wanted time (300 ms unless -t says
 * otherwise); that last run is the figure. With -c, for each row,
 *
 *	count NAME NANOSECONDS NANOSECONDS ns
 *
 * without and with the processor's counters of instructions and branches on.
 */
#include "bench.h"

#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

volatile uint64_t sink;
int inside_guest;

static int64_t target_ns = 300000000;
static int counting;

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

/* ---- -c: what counting costs ---- */

#define PAIRS 10

static int count_fd[2];

static int open_counter(uint64_t event, int group)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = event,
		.disabled = group < 0,
	};
	/* all of the processor's, so that no switch of tasks stops them */
	long fd = syscall(SYS_perf_event_open, &attr, -1, 0, group, 0);

	if (fd < 0)
		die("no counter of the processor for event %lu", event);
	return (int)fd;
}

static void open_counters(void)
{
	count_fd[0] = open_counter(PERF_COUNT_HW_INSTRUCTIONS, -1);
	count_fd[1] = open_counter(PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
				   count_fd[0]);
}

/* A figure of counters that did not count would be none. */
static void check_counters(void)
{
	uint64_t n[2];

	for (int i = 0; i < 2; i++)
		if (read(count_fd[i], &n[i], sizeof(n[i])) != sizeof(n[i]))
			die("cannot read a counter");
	if (!n[1] || n[0] <= n[1])
		die("%lu instructions, %lu branches counted", n[0], n[1]);
}

static int64_t counted(const struct row *row, uint64_t n)
{
	int64_t ns;

	ioctl(count_fd[0], PERF_EVENT_IOC_ENABLE, 0);
	ns = timed(row, n);
	ioctl(count_fd[0], PERF_EVENT_IOC_DISABLE, 0);
	return ns;
}

/* Turn by turn, and the best of each, so that a busy host is no cost. */
static void compare(const struct row *row, uint64_t n)
{
	int64_t off = INT64_MAX, on = INT64_MAX, ns;

	counted(row, 1);
	for (int i = 0; i < PAIRS; i++) {
		ns = timed(row, n);
		off = ns < off ? ns : off;
		ns = counted(row, n);
		on = ns < on ? ns : on;
	}
	check_counters();
	printf("count %s %.3f %.3f ns\n", row->name, (double)off / n,
	       (double)on / n);
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
	if (counting) {
		compare(row, n);
	} else {
		if (ns < target_ns) {
			n = (double)n * target_ns / ns;
			ns = timed(row, n);
		}
		printf("row %s %.3f ns %lu\n", row->name, (double)ns / n, n);
	}
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
	while ((opt = getopt(argc, argv, "cgs:t:")) != -1) {
		if (opt == 'c')
			counting = 1;
		else if (opt == 'g')
			inside_guest = 1;
		else if (opt == 's')
			net_serve((unsigned)atoi(optarg));
		else if (opt == 't' && atoi(optarg) > 0)
			target_ns = atoi(optarg) * 1000000LL;
		else
			die("usage: bench [-cg] [-t MS] [-s PORT] [ROW...]");
	}
	if (counting)
		open_counters();
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct row *r = tables[i]; r->name; r++)
			if (wanted(r->name, argc - optind, argv + optind))
				measure(r);
	return 0;
}
