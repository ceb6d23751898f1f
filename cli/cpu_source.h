/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where `lodge cpu` has CPUs from: models, the host, files.
 */
#ifndef CLI_CPU_SOURCE_H
#define CLI_CPU_SOURCE_H

#include "vmm/cpu/answers.h"
#include "vmm/hv.h"

struct cpu_source_options {
	const char *cpu;     /* NULL: not given */
	const char *machine; /* with properties */
	const char *smp;     /* NULL: one CPU */
	const char *accel;   /* none, tcg, lodge, kvm */
	bool host_asks;      /* the model host may ask for a KVM */
};

/* One computer. */
struct cpu_source {
	struct answers answers;
	char title[200]; /* a line for people, or "" */
	struct cpu_def def;
	struct cpu_accel accel;
	struct hv hv;
	struct answers_file file;
};

void cpu_source_defaults(struct cpu_source_options *o);

/* -cpu, -machine, -smp, -accel */
int cpu_source_option(struct cpu_source_options *o, const char *name,
		      const char *value, struct err *e) __must_check;

/*
 * A line of such options; @buf holds what @o points to. Quotes and
 * backslashes are the shell's; without quotes a value reaches to the next
 * option.
 */
int cpu_source_parse(struct cpu_source_options *o, const char *line, char *buf,
		     size_t size, struct err *e) __must_check;

/* @what: MODEL[,PROP]...[@MACHINE], or else the name of a file. */
int cpu_source_open(struct cpu_source *s, const char *what,
		    const struct cpu_source_options *o,
		    struct err *e) __must_check;

/* A file of raw answers, "-" is standard input. */
int cpu_source_open_file(struct cpu_source *s, const char *path,
			 struct err *e) __must_check;

void cpu_source_close(struct cpu_source *s);

#endif
