/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands of `lodge`. Each takes the words after its name and
 * returns the exit status.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <string.h>

/* The first word asks for help. */
static inline bool asks_help(int argc, char **argv)
{
	return argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"));
}

/* cmd_run.c: run a machine */
int cmd_run(int argc, char **argv);

/* cmd_test.c: run a suite of tests */
int cmd_test(int argc, char **argv);

/* cmd_kvm.c: run a program that uses /dev/kvm */
int cmd_kvm(int argc, char **argv);

/* cmd_doctor.c: what the machine offers */
int cmd_doctor(int argc, char **argv);

/* cmd_cpu.c: models of CPUs, and what guests see of them */
int cmd_cpu(int argc, char **argv);

/* What -cpu help and -machine help print. */
struct machtype;
void cpu_list_models(const struct machtype *machine);
void cpu_list_machines(void);

/* cmd_stat.c: counters of running VMs */
int cmd_stat(int argc, char **argv);

/* cmd_img.c: images of disks */
int cmd_img(int argc, char **argv);

/* cmd_top.c: which processes run VMs, and how busy they are */
int cmd_top(int argc, char **argv);

#endif
