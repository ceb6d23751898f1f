/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where answers come from, and which questions a dump asks: every basic leaf
 * up to the highest, the extended ones, and a few above the limits, since
 * those fall back in ways worth seeing.
 */
#include "vmm/cpu/answers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- of a resolved CPU ---- */

static void def_leaf(const struct answers *a, unsigned cpu, uint32_t leaf,
		     uint32_t subleaf, uint32_t out[4])
{
	cpu_leaf(a->priv, cpu, leaf, subleaf, out);
}

struct answers answers_of_def(const struct cpu_def *def)
{
	return (struct answers){def->topo.cpus, def_leaf, def};
}

/* ---- of a file ---- */

static void file_leaf(const struct answers *a, unsigned cpu, uint32_t leaf,
		      uint32_t subleaf, uint32_t out[4])
{
	const struct answers_file *file = a->priv;
	const struct answers_row *row = file->row;
	size_t i;

	memset(out, 0, 4 * sizeof(out[0]));
	for (i = 0; i < file->rows; i++, row++)
		if (row->cpu == cpu && row->leaf == leaf &&
		    row->subleaf == subleaf) {
			memcpy(out, row->r, sizeof(row->r));
			return;
		}
}

struct answers answers_of_file(const struct answers_file *file)
{
	return (struct answers){file->cpus, file_leaf, file};
}

/* "0x00000004 0x03: eax=0x... ebx=0x... ecx=0x... edx=0x..." */
static bool scan_cpuid(const char *line, struct answers_row *row)
{
	return sscanf(line,
		      " 0x%" SCNx32 " 0x%" SCNx32 ": eax=0x%" SCNx32
		      " ebx=0x%" SCNx32 " ecx=0x%" SCNx32 " edx=0x%" SCNx32,
		      &row->leaf, &row->subleaf, &row->r[0], &row->r[1],
		      &row->r[2], &row->r[3]) == 6;
}

/* "0 4 3 0 0 0 0", CPU first, all in hex but that one */
static bool scan_dump(const char *line, struct answers_row *row)
{
	return sscanf(line,
		      "%u %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32
		      " %" SCNx32 " %" SCNx32,
		      &row->cpu, &row->leaf, &row->subleaf, &row->r[0],
		      &row->r[1], &row->r[2], &row->r[3]) == 7;
}

static int add_row(struct answers_file *file, const struct answers_row *row)
{
	struct answers_row *more;

	if (!(file->rows & (file->rows + 1))) {
		more = realloc(file->row, 2 * (file->rows + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		file->row = more;
	}
	file->row[file->rows++] = *row;
	file->cpus = MAX(file->cpus, row->cpu + 1);
	return 0;
}

#define MAX_FILE_CPUS 4096

static int read_line(struct answers_file *file, const char *line, unsigned *cpu)
{
	struct answers_row row = {.cpu = *cpu};

	if (sscanf(line, "CPU %u:", cpu) == 1)
		return *cpu < MAX_FILE_CPUS ? 0 : -EINVAL;
	if (line[0] == '#' || line[0] == '\n' || !strncmp(line, "CPU", 3))
		return 0;
	if (!scan_cpuid(line, &row) && !scan_dump(line, &row))
		return -EINVAL;
	return row.cpu < MAX_FILE_CPUS ? add_row(file, &row) : -EINVAL;
}

int answers_read(struct answers_file *file, FILE *f, const char *name,
		 struct err *e)
{
	char line[256];
	unsigned n = 0, cpu = 0;
	int ret = 0;

	*file = (struct answers_file){0};
	while (!ret && fgets(line, sizeof(line), f)) {
		n++;
		ret = read_line(file, line, &cpu);
	}
	if (ret == -EINVAL)
		err_set(e, ret,
			"%s, line %u is neither of `cpuid -r` nor of `lodge "
			"cpu dump`",
			name, n);
	else if (ret)
		err_set(e, ret, "out of memory");
	else if (!file->rows)
		ret = err_set(e, -ENODATA, "%s has no CPUID answers", name);
	if (ret)
		answers_file_drop(file);
	return ret;
}

void answers_file_drop(struct answers_file *file)
{
	free(file->row);
	*file = (struct answers_file){0};
}

/* ---- what to ask ---- */

/* How one leaf's sub-leaves end. */
enum ending {
	FIXED,  /* after so many */
	BY_EAX, /* one past a type 0 in EAX[4:0] */
	BY_ECX, /* one past a type 0 in ECX[15:8] */
};

#define MOST_SUBLEAVES 8

static const struct {
	uint32_t leaf;
	uint8_t ending;
	uint8_t count;
} indexed[] = {
	{0x4, BY_EAX, 0},       {0x7, FIXED, 3},
	{0xb, BY_ECX, 0},       {0xd, FIXED, 20},
	{0x12, FIXED, 3},       {0x14, FIXED, 2},
	{0x18, FIXED, 2},       {0x1d, FIXED, 2},
	{0x1e, FIXED, 2},       {0x1f, BY_ECX, 0},
	{0x24, FIXED, 2},       {0x8000001d, BY_EAX, 0},
	{0x80000020, FIXED, 2}, {0x80000026, BY_ECX, 0},
};

#define BASIC_LAST    0x29u
#define EXTENDED_LAST 0x80000026u
#define ZHAOXIN_LAST  0xc0000006u

struct asking {
	const struct answers *a;
	unsigned cpu;
	void (*fn)(void *priv, uint32_t leaf, uint32_t subleaf,
		   const uint32_t r[4]);
	void *priv;
};

static void ask(const struct asking *q, uint32_t leaf, uint32_t subleaf,
		uint32_t r[4])
{
	q->a->leaf(q->a, q->cpu, leaf, subleaf, r);
	q->fn(q->priv, leaf, subleaf, r);
}

static void ask_until(const struct asking *q, uint32_t leaf, bool by_eax)
{
	uint32_t i, r[4];
	bool last = false;

	for (i = 0; i < MOST_SUBLEAVES; i++) {
		ask(q, leaf, i, r);
		if (last)
			return;
		last = !(by_eax ? r[0] & 0x1f : r[2] >> 8 & 0xff);
	}
}

static void ask_leaf(const struct asking *q, uint32_t leaf)
{
	uint32_t k, r[4];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(indexed); i++)
		if (indexed[i].leaf == leaf)
			break;
	if (i == ARRAY_SIZE(indexed)) {
		ask(q, leaf, 0, r);
	} else if (indexed[i].ending != FIXED) {
		ask_until(q, leaf, indexed[i].ending == BY_EAX);
	} else {
		for (k = 0; k < indexed[i].count; k++)
			ask(q, leaf, k, r);
	}
}

static void ask_range(const struct asking *q, uint32_t from, uint32_t to)
{
	uint32_t leaf;

	for (leaf = from; leaf <= to; leaf++)
		ask_leaf(q, leaf);
}

void answers_each(const struct answers *a, unsigned cpu,
		  void (*fn)(void *priv, uint32_t leaf, uint32_t subleaf,
			     const uint32_t r[4]),
		  void *priv)
{
	const struct asking q = {a, cpu, fn, priv};

	ask_range(&q, 0, BASIC_LAST);
	ask_range(&q, 0x40000000, 0x40000001);
	ask_leaf(&q, 0x40000100);
	ask_range(&q, CPUID_EXT, EXTENDED_LAST);
	ask_range(&q, 0xc0000000, ZHAOXIN_LAST);
}
