/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge stat`: what the VMs of a process, or of all, do: totals and rates,
 * as kvm_stat shows them for the kernel's.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/statfile.h"
#include "cli/watch.h"
#include "vmm/exitcode.h"

static const char help[] =
	"usage: lodge stat [-i SECONDS] [-n TIMES] PID|all\n\n"
	"Shows what the VMs of a process, or of all processes that may be\n"
	"looked into, did so far and each second.\n\n"
	"  -i SECONDS  time between tables (1)\n"
	"  -n TIMES    so many tables, then end (without end on a terminal,\n"
	"              else 1: totals only)\n\n"
	"Exit status: 0; 2 the command line is wrong, 4 there is no such\n"
	"process, it cannot be looked into, or it has no VM.\n";

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

static void print(const struct stat_sum *now, const struct stat_sum *before,
		  double seconds)
{
	struct line lines[STATFILE_ROWS];

	for (unsigned int i = 0; i < now->rows; i++)
		lines[i] = (struct line){
			.row = &now->row[i],
			.rate = before ? statfile_rate(now, before,
						       now->row[i].name,
						       seconds)
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

struct stat_view {
	pid_t pid; /* 0: all */
	struct stat_sum sums[2];
	struct stat_sum *now, *before;
};

static int show(void *ctx, double seconds, struct err *e)
{
	struct stat_view *v = ctx;
	struct stat_sum *spare = v->before ? v->before : &v->sums[1];
	bool first = !v->now;

	v->before = v->now;
	v->now = first ? &v->sums[0] : spare;
	*v->now = (struct stat_sum){.rows = 0};
	if (statfile_add_process(v->now, v->pid, e))
		return e->code;
	if (first && !v->now->vms && v->pid)
		return err_set(e, -ENOENT, "process %d has no VM of Lodge's",
			       (int)v->pid);
	print(v->now, v->before, seconds);
	return 0;
}

int cmd_stat(int argc, char **argv)
{
	static struct stat_view view;
	struct watch w = {
		.command = "stat", .once = true, .show = show, .ctx = &view};
	int n, status;

	if (asks_help(argc, argv)) {
		fputs(help, stdout);
		return EXITCODE_OK;
	}
	status = watch_options(&w, argc, argv, &n);
	if (status)
		return status;
	if (n + 1 != argc)
		return watch_usage(&w, "one process is to be given, or all",
				   "");
	if (!parse_pid(argv[n], &view.pid))
		return watch_usage(&w, "not a process: ", argv[n]);
	return watch_run(&w);
}
