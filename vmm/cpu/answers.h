/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID answers of one computer, whoever gives them: a resolved CPU, or a
 * file of raw dumps in the format of `cpuid -r` or of `lodge cpu dump`.
 */
#ifndef VMM_CPU_ANSWERS_H
#define VMM_CPU_ANSWERS_H

#include <stdio.h>

#include "vmm/cpu/def.h"

struct answers {
	unsigned cpus; /* at least one */
	void (*leaf)(const struct answers *a, unsigned cpu, uint32_t leaf,
		     uint32_t subleaf, uint32_t out[4]);
	const void *priv;
};

/* Those of @def, which has to stay. */
struct answers answers_of_def(const struct cpu_def *def);

/* One line of a file. */
struct answers_row {
	unsigned cpu;
	uint32_t leaf;
	uint32_t subleaf;
	uint32_t r[4];
};

struct answers_file {
	struct answers_row *row;
	size_t rows;
	unsigned cpus;
};

/* Read @f, called @name in sentences; answers_file_drop() afterwards. */
int answers_read(struct answers_file *file, FILE *f, const char *name,
		 struct err *e) __must_check;

void answers_file_drop(struct answers_file *file);

/* A leaf that is not in the file answers zeros. */
struct answers answers_of_file(const struct answers_file *file);

/* Call @fn for every query worth asking of CPU @cpu, in rising order. */
void answers_each(const struct answers *a, unsigned cpu,
		  void (*fn)(void *priv, uint32_t leaf, uint32_t subleaf,
			     const uint32_t r[4]),
		  void *priv);

#endif
