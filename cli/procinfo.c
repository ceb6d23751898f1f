/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From /proc/PID/stat and /proc/PID/cmdline: proc(5). A process chooses its
 * own name and arguments, so what is printed of them is made harmless.
 */
#include "cli/procinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 4096

/* The bytes read, a NUL behind them; -errno. */
static ssize_t read_file(pid_t pid, const char *name, char text[TEXT_MAX])
{
	char path[64];
	ssize_t n;
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, TEXT_MAX - 1);
	ret = errno;
	close(fd);
	if (n < 0)
		return -ret;
	text[n] = '\0';
	return n;
}

static void set_name(struct procinfo *info, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len && i < sizeof(info->name) - 1; i++)
		info->name[i] = text[i] > ' ' && text[i] < 0x7f ? text[i] : '?';
	info->name[i] = '\0';
}

/* "-name vm1", "--name guest=vm1,process=x". */
static void name_from_arguments(struct procinfo *info, const char *text,
				const char *end)
{
	const char *value;

	for (; text < end; text += strlen(text) + 1)
		if (!strcmp(text, "-name") || !strcmp(text, "--name"))
			break;
	if (text >= end)
		return;
	value = text + strlen(text) + 1;
	if (value >= end)
		return;
	if (!strncmp(value, "guest=", 6))
		value += 6;
	set_name(info, value, strcspn(value, ","));
}

int procinfo_read(pid_t pid, struct procinfo *info)
{
	char text[TEXT_MAX];
	unsigned long user, system;
	const char *open, *shut;
	ssize_t n;
	long pages;

	n = read_file(pid, "stat", text);
	if (n < 0)
		return (int)n;
	/* the name is in parentheses and may hold some */
	open = strchr(text, '(');
	shut = strrchr(text, ')');
	if (!open || !shut ||
	    sscanf(shut + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d "
		   "%*d %*d %*d %*d %*d %llu %*u %ld",
		   &user, &system, &info->start, &pages) != 4)
		return -EINVAL;
	set_name(info, open + 1, (size_t)(shut - open - 1));
	info->cpu_seconds = (double)(user + system) /
			    (double)sysconf(_SC_CLK_TCK);
	info->resident = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
	n = read_file(pid, "cmdline", text);
	if (n > 0)
		name_from_arguments(info, text, text + n);
	return 0;
}
