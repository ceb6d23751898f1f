/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge SUBCOMMAND ...`: a table of subcommands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/util.h"
#include "vmm/exitcode.h"

static const struct {
	const char *name;
	const char *help;
	int (*main)(int argc, char **argv);
} commands[] = {
	{"run", "run a virtual machine in this terminal", cmd_run},
	{"test", "run a suite of tests on one or more monitors", cmd_test},
	{"kvm", "run a program that uses /dev/kvm on Lodge's own", cmd_kvm},
	{"doctor", "say what this machine offers to guests", cmd_doctor},
	{"cpu", "list, show and compare CPU models", cmd_cpu},
	{"img", "make, copy and describe images of disks", cmd_img},
	{"stat", "show what running VMs do", cmd_stat},
	{"top", "show which processes run VMs, busiest first", cmd_top},
};

static void print_help(FILE *f)
{
	size_t i;

	fputs("usage: lodge SUBCOMMAND [OPTION]...\n\n", f);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n`lodge SUBCOMMAND --help` lists a subcommand's options;\n"
	      "`lodge --version` prints the version.\n",
	      f);
}

static int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	size_t i;

	if (!strcmp(name, "--help") || !strcmp(name, "-h") ||
	    !strcmp(name, "help")) {
		print_help(stdout);
		return EXITCODE_OK;
	}
	if (!strcmp(name, "--version")) {
		puts("lodge " LODGE_VERSION);
		return EXITCODE_OK;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return commands[i].main(argc - 2, argv + 2);
	fprintf(stderr,
		"lodge: '%s' is not a subcommand; `lodge --help` lists them\n",
		name);
	return EXITCODE_USAGE;
}

int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);

	if (fflush(stdout) && !status)
		status = EXITCODE_START;
	exit(status);
}
