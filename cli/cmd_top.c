/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge top`: a line for each process that runs VMs of Lodge's, busiest
 * first: processor time, memory, exits, disks and networks.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/procinfo.h"
#include "cli/statfile.h"
#include "cli/watch.h"
#include "vmm/exitcode.h"

#define PROCESSES_MAX 1024u

static const char help[] =
	"usage: lodge top [-i SECONDS] [-n TIMES]\n\n"
	"Shows the processes that run VMs of Lodge's and may be looked into:\n"
	"processor time (100 is one processor), memory, exits and interrupts,\n"
	"bytes of disks and networks, each per second.\n\n"
	"  -i SECONDS  time between views (1)\n"
	"  -n TIMES    so many views, then end (without end on a terminal,\n"
	"              else 2: the second one has rates)\n\n"
	"On a terminal q ends it; c, m, e, d and n sort by processor time,\n"
	"memory, exits, disks and networks.\n\n"
	"Exit status: 0; 2 the command line is wrong, 4 /proc cannot be "
	"read.\n";

struct process {
	pid_t pid;
	struct procinfo info;
	struct stat_sum *sum;
};

struct processes {
	struct process p[PROCESSES_MAX];
	unsigned int n;
};

enum column {
	COL_CPU,
	COL_MEMORY,
	COL_EXITS,
	COL_IRQS,
	COL_READ,
	COL_WRITE,
	COL_RX,
	COL_TX,
	COLUMNS,
};

/* What columns from COL_EXITS on show: the sum of up to two counters. */
static const char *const counters[COLUMNS][2] = {
	[COL_EXITS] = {"exits"},
	[COL_IRQS] = {"irq_injections", "irqfd_injections"},
	[COL_READ] = {"block_read_bytes"},
	[COL_WRITE] = {"block_write_bytes"},
	[COL_RX] = {"net_rx_bytes"},
	[COL_TX] = {"net_tx_bytes"},
};

struct line {
	const struct process *p;
	double value[COLUMNS];
};

static void drop(struct processes *v)
{
	for (unsigned int i = 0; i < v->n; i++)
		free(v->p[i].sum);
	v->n = 0;
}

/* Add process @pid if it has VMs; those that just end have none. */
static int look_at(struct processes *v, pid_t pid)
{
	struct stat_sum *sum = calloc(1, sizeof(*sum));
	struct process *p = &v->p[v->n];

	if (!sum)
		return -ENOMEM;
	if (statfile_add_process(sum, pid, NULL) || !sum->vms ||
	    procinfo_read(pid, &p->info)) {
		free(sum);
		return 0;
	}
	p->pid = pid;
	p->sum = sum;
	v->n++;
	return 0;
}

static int look(struct processes *v, struct err *e)
{
	const struct dirent *entry;
	DIR *d = opendir("/proc");
	int ret = 0;

	if (!d)
		return err_set(e, -errno, "cannot read /proc: %s",
			       strerror(errno));
	while (!ret && v->n < PROCESSES_MAX && (entry = readdir(d)))
		if (isdigit((unsigned char)entry->d_name[0]))
			ret = look_at(v, (pid_t)atoi(entry->d_name));
	closedir(d);
	return ret ? err_set(e, ret, "out of memory") : 0;
}

static const struct process *find(const struct processes *v, pid_t pid)
{
	for (unsigned int i = 0; v && i < v->n; i++)
		if (v->p[i].pid == pid)
			return &v->p[i];
	return NULL;
}

static void measure(struct line *l, const struct process *p,
		    const struct process *was, double seconds)
{
	l->p = p;
	memset(l->value, 0, sizeof(l->value));
	l->value[COL_MEMORY] = (double)p->info.resident;
	/* a number used again is another process */
	if (!was || was->info.start != p->info.start || seconds <= 0)
		return;
	l->value[COL_CPU] = 100 *
			    (p->info.cpu_seconds - was->info.cpu_seconds) /
			    seconds;
	for (int c = COL_EXITS; c < COLUMNS; c++)
		for (int i = 0; i < 2 && counters[c][i]; i++)
			l->value[c] += statfile_rate(p->sum, was->sum,
						     counters[c][i], seconds);
}

/* Keys, and the one or two columns each sorts by. */
static const struct sort {
	char key;
	enum column column[2];
} sorts[] = {
	{'c', {COL_CPU, COL_CPU}},     {'m', {COL_MEMORY, COL_MEMORY}},
	{'e', {COL_EXITS, COL_EXITS}}, {'d', {COL_READ, COL_WRITE}},
	{'n', {COL_RX, COL_TX}},
};

struct top {
	struct processes views[2];
	struct processes *now, *before;
	const struct sort *sort;
};

static double weight(const struct line *l, const struct sort *s)
{
	return l->value[s->column[0]] + l->value[s->column[1]];
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct line *x = a, *y = b;
	double wx = weight(x, ctx), wy = weight(y, ctx);

	if (wx < wy || wx > wy)
		return wx < wy ? 1 : -1;
	return x->p->pid < y->p->pid ? -1 : 1;
}

/* Five columns at most: 987, 98.7K, 98.7M. */
static const char *scaled(double v, double step, char text[16])
{
	static const char unit[] = " KMGTPE";
	unsigned int u = 0;

	while (v >= 999.5 && unit[u + 1]) {
		v /= step;
		u++;
	}
	if (u)
		snprintf(text, 16, "%.*f%c", v < 99.95 ? 1 : 0, v, unit[u]);
	else
		snprintf(text, 16, "%.0f", v);
	return text;
}

static void print_line(const struct line *l)
{
	char t[COLUMNS][16];

	printf("%7d %-16.16s %5u %6.1f %6s", (int)l->p->pid, l->p->info.name,
	       l->p->sum->vcpus, l->value[COL_CPU],
	       scaled(l->value[COL_MEMORY], 1024, t[COL_MEMORY]));
	for (int c = COL_EXITS; c < COLUMNS; c++)
		printf(" %7s", scaled(l->value[c], 1000, t[c]));
	putchar('\n');
}

static int show(void *ctx, double seconds, struct err *e)
{
	struct top *t = ctx;
	struct processes *spare = t->before ? t->before : &t->views[1];
	struct line *lines;
	int ret;

	t->before = t->now;
	t->now = t->now ? spare : &t->views[0];
	drop(t->now);
	ret = look(t->now, e);
	if (ret)
		return ret;
	lines = calloc(MAX(t->now->n, 1u), sizeof(*lines));
	if (!lines)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < t->now->n; i++)
		measure(&lines[i], &t->now->p[i],
			find(t->before, t->now->p[i].pid), seconds);
	qsort_r(lines, t->now->n, sizeof(*lines), compare, (void *)t->sort);
	printf("processes with VMs: %u\n\n", t->now->n);
	printf("%7s %-16s %5s %6s %6s %7s %7s %7s %7s %7s %7s\n", "PID", "NAME",
	       "vCPUs", "%CPU", "MEM", "EXITS", "IRQS", "DISKRD", "DISKWR",
	       "NETRX", "NETTX");
	for (unsigned int i = 0; i < t->now->n; i++)
		print_line(&lines[i]);
	free(lines);
	return 0;
}

static void key(void *ctx, char c)
{
	struct top *t = ctx;

	for (size_t i = 0; i < ARRAY_SIZE(sorts); i++)
		if (sorts[i].key == c)
			t->sort = &sorts[i];
}

int cmd_top(int argc, char **argv)
{
	static struct top top = {.sort = &sorts[0]};
	struct watch w = {
		.command = "top", .show = show, .key = key, .ctx = &top};
	int n, status;

	if (asks_help(argc, argv)) {
		fputs(help, stdout);
		return EXITCODE_OK;
	}
	status = watch_options(&w, argc, argv, &n);
	if (status)
		return status;
	if (n != argc)
		return watch_usage(&w, "too many words: ", argv[n]);
	status = watch_run(&w);
	drop(&top.views[0]);
	drop(&top.views[1]);
	return status;
}
