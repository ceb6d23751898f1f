/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge stat`: what the VMs of a process, or of all, do: totals and rates,
 * as kvm_stat shows them for the kernel's.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/statfile.h"
#include "vmm/exitcode.h"

#define HOME_AND_CLEAR "\033[H\033[J"

struct request {
	pid_t pid;           /* 0: all */
	double interval;     /* s */
	unsigned long times; /* tables to print, 0: until interrupted */
};

static const char help[] =
	"usage: lodge stat [-i SECONDS] [-n TIMES] PID|all\n\n"
	"Shows what the VMs of a process, or of all processes that may be\n"
	"looked into, did so far and each second.\n\n"
	"  -i SECONDS  time between tables (1)\n"
	"  -n TIMES    so many tables, then end (without end on a terminal,\n"
	"              else 1: totals only)\n\n"
	"Exit status: 0; 2 the command line is wrong, 4 there is no such\n"
	"process, it cannot be looked into, or it has no VM.\n";

static int usage(const char *text, const char *what)
{
	fprintf(stderr,
		"lodge: stat: %s%s; `lodge stat --help` lists the options\n",
		text, what);
	return EXITCODE_USAGE;
}

static bool parse_pid(const char *text, pid_t *pid)
{
	char *end;
	long n;

	if (!strcmp(text, "all")) {
		*pid = 0;
		return true;
	}
	errno = 0;
	n = strtol(text, &end, 10);
	*pid = (pid_t)n;
	return !errno && !*end && n > 0 && n < INT_MAX;
}

static bool parse_value(struct request *r, char option, const char *text)
{
	char *end;

	errno = 0;
	if (option == 'i') {
		r->interval = strtod(text, &end);
		return !errno && end != text && !*end && r->interval >= 0.05 &&
		       r->interval <= 3600;
	}
	r->times = strtoul(text, &end, 10);
	return !errno && end != text && !*end && r->times > 0;
}

static int parse(struct request *r, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc && argv[i][0] == '-'; i++) {
		const char *o = argv[i];

		if (strcmp(o, "-i") && strcmp(o, "-n"))
			return usage("unknown option ", o);
		if (i + 1 == argc)
			return usage("a value is missing after ", o);
		if (!parse_value(r, o[1], argv[++i]))
			return usage("not a good number: ", argv[i]);
	}
	if (i + 1 != argc)
		return usage("one process is to be given, or all", "");
	if (!parse_pid(argv[i], &r->pid))
		return usage("not a process: ", argv[i]);
	return 0;
}

/* By rate, then by total, then by name. */
struct line {
	const struct stat_row *row;
	double rate;
};

static int compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->rate < y->rate || x->rate > y->rate)
		return x->rate < y->rate ? 1 : -1;
	if (x->row->value != y->row->value)
		return x->row->value < y->row->value ? 1 : -1;
	return strcmp(x->row->name, y->row->name);
}

/* Counters go back when a VM ends; that is not a rate. */
static double rate(const struct stat_row *now, const struct stat_sum *before,
		   double seconds)
{
	const struct stat_row *was = statfile_find(before, now->name);

	if (!was || was->value > now->value || seconds <= 0)
		return 0;
	return (double)(now->value - was->value) / seconds;
}

static void print(const struct stat_sum *now, const struct stat_sum *before,
		  double seconds)
{
	struct line lines[STATFILE_ROWS];

	for (unsigned int i = 0; i < now->rows; i++)
		lines[i] = (struct line){
			.row = &now->row[i],
			.rate = before ? rate(&now->row[i], before, seconds)
				       : 0,
		};
	qsort(lines, now->rows, sizeof(lines[0]), compare);
	printf("VMs %u, vCPUs %u\n\n%-24s %15s", now->vms, now->vcpus, "event",
	       "total");
	printf(before ? " %13s\n" : "\n", "per second");
	for (unsigned int i = 0; i < now->rows; i++) {
		printf("%-24s %15lu", lines[i].row->name,
		       (unsigned long)lines[i].row->value);
		if (before)
			printf(" %13.1f", lines[i].rate);
		putchar('\n');
	}
	fflush(stdout);
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Wait; true when a key says that it is enough. */
static bool pause_for(double seconds, bool terminal)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};
	char c;

	if (poll(&p, terminal && isatty(0), (int)(seconds * 1000)) <= 0)
		return false;
	return read(0, &c, 1) <= 0 || c == 'q';
}

static int show(const struct request *r, bool terminal, struct err *e)
{
	static struct stat_sum sums[2];
	struct stat_sum *now = &sums[0], *before = NULL, *spare = &sums[1];
	double at = 0, last = 0;

	for (unsigned long n = 0; !r->times || n < r->times; n++) {
		*now = (struct stat_sum){.rows = 0};
		last = at;
		at = seconds_now();
		if (statfile_add_process(now, r->pid, e))
			return n && e->code == -ESRCH ? 0 : e->code;
		if (!n && !now->vms && r->pid)
			return err_set(e, -ENOENT,
				       "process %d has no VM of Lodge's",
				       (int)r->pid);
		if (terminal)
			fputs(HOME_AND_CLEAR, stdout);
		else if (n)
			putchar('\n');
		print(now, before, at - last);
		before = now;
		now = spare;
		spare = before;
		if (n + 1 != r->times && pause_for(r->interval, terminal))
			break;
	}
	return 0;
}

int cmd_stat(int argc, char **argv)
{
	struct request r = {.interval = 1};
	bool terminal = isatty(1);
	struct err e = {0};
	int status;

	if (argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
		fputs(help, stdout);
		return EXITCODE_OK;
	}
	status = parse(&r, argc, argv);
	if (status)
		return status;
	if (!r.times && !terminal)
		r.times = 1;
	if (!show(&r, terminal, &e))
		return EXITCODE_OK;
	fprintf(stderr, "lodge: stat: %s\n", e.msg);
	return EXITCODE_START;
}
