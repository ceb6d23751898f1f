/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID against what guests of QEMU 11.1 were told: every run of
 * test/data/cpuid-qemu.xz, which are about 30,000 combinations of machine,
 * model, properties, topology and machine options, refused ones too.
 *
 * Each run is resolved twice. Once as QEMU's software engine runs it: then
 * every register of every leaf asked has to be the same. That engine hides
 * features it cannot emulate, so once more with nothing hidden: then leaves
 * about caches, topology and levels have to be the same and words of
 * features have to be the same in the bits that the engine has
 * (cpu_tcg_words). Leaves that follow from hidden features (0xD: states;
 * 0x12 and above) are not compared there.
 *
 * The file: "D" lines are the answers one CPU gave, written as differences
 * to the line before: LEAF.SUBLEAF=EAX,EBX,ECX,EDX, all in hex, nothing for
 * 0; -LEAF.SUBLEAF: not asked. "R" lines are runs, tabs between machine,
 * model, properties, -smp, machine options, "ok" or the refusal, and the
 * answers' numbers, one for each CPU in APIC id order. tools/pack-cpuid
 * writes it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "vmm/cpu/request.h"

#define MAX_QUERIES 200
#define MAX_CPUS    256

struct answer {
	uint32_t leaf, subleaf;
	uint32_t r[4];
};

struct dump {
	struct answer *a;
	unsigned n;
};

struct run {
	char *field[7];
};

struct tally {
	unsigned runs, exact, refused;
	unsigned long rows;
	unsigned bad;
};

enum { F_MACHINE, F_CPU, F_PROPS, F_SMP, F_OPTS, F_STATUS, F_DUMPS };

static struct dump *dumps;
static unsigned dump_count;

static const struct cpu_accel nobody = {.kind = CPU_ACCEL_NONE};
static struct cpu_accel software = {.kind = CPU_ACCEL_TCG};

/* ---- reading ---- */

static struct answer *lookup(struct dump *d, uint32_t leaf, uint32_t subleaf)
{
	unsigned i;

	for (i = 0; i < d->n; i++)
		if (d->a[i].leaf == leaf && d->a[i].subleaf == subleaf)
			return &d->a[i];
	return NULL;
}

static void read_item(struct dump *d, const char *text)
{
	bool gone = *text == '-';
	uint32_t leaf, subleaf;
	struct answer *a;
	char *end;
	int i;

	leaf = (uint32_t)strtoul(text + gone, &end, 16);
	subleaf = (uint32_t)strtoul(end + 1, &end, 16);
	a = lookup(d, leaf, subleaf);
	if (gone) {
		ASSERT(a);
		*a = d->a[--d->n];
		return;
	}
	if (!a) {
		ASSERT(d->n < MAX_QUERIES);
		a = &d->a[d->n++];
	}
	a->leaf = leaf;
	a->subleaf = subleaf;
	for (i = 0; i < 4; i++) {
		ASSERT(*end == (i ? ',' : '='));
		a->r[i] = (uint32_t)strtoul(end + 1, &end, 16);
	}
}

static void read_dump(struct dump *current, char *line)
{
	struct dump *d;
	char *word, *save;

	for (word = strtok_r(line, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save))
		read_item(current, word);
	if (!(dump_count & (dump_count + 1)))
		dumps = realloc(dumps, 2 * (dump_count + 1) * sizeof(*dumps));
	ASSERT(dumps);
	d = &dumps[dump_count++];
	d->n = current->n;
	d->a = malloc(d->n * sizeof(*d->a));
	ASSERT(d->a);
	memcpy(d->a, current->a, d->n * sizeof(*d->a));
}

static bool read_run(struct run *r, char *line)
{
	unsigned i;

	line[strcspn(line, "\n")] = '\0';
	for (i = 0; i < ARRAY_SIZE(r->field); i++) {
		r->field[i] = line;
		line += strcspn(line, "\t");
		if (*line)
			*line++ = '\0';
	}
	return r->field[F_STATUS][0];
}

/* The numbers in "3-5 9". */
static unsigned read_numbers(const char *text, unsigned *out)
{
	unsigned n = 0, from, to;
	char *end;

	while (*text) {
		from = to = (unsigned)strtoul(text, &end, 10);
		if (*end == '-')
			to = (unsigned)strtoul(end + 1, &end, 10);
		for (; from <= to; from++) {
			ASSERT(n < MAX_CPUS && from < dump_count);
			out[n++] = from;
		}
		text = end + (*end == ' ');
	}
	return n;
}

/* ---- comparing ---- */

static bool is_model_leaf(const struct cpu_def *def, uint32_t leaf)
{
	uint32_t limit = leaf >> 31 ? def->xlevel : def->level;

	if (leaf >= 0xc0000000)
		limit = def->xlevel2;
	if (leaf > limit)
		leaf = def->level;
	switch (leaf) {
	case 0x0:
	case 0x1:
	case 0x2:
	case 0x4:
	case 0x5:
	case 0x6:
	case 0x7:
	case 0xb:
	case 0x1f:
	case 0x80000000:
	case 0x80000001:
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
	case 0x80000005:
	case 0x80000006:
	case 0x80000007:
	case 0x80000008:
	case 0x8000001d:
	case 0x8000001e:
	case 0x80000021: return true;
	default: return false;
	}
}

/* Hide what the software engine hides. */
static void mask(const struct cpu_def *def, uint32_t leaf, uint32_t subleaf,
		 uint32_t r[4])
{
	const struct feature_place *p;
	unsigned w;

	if (leaf > (leaf >> 31 ? def->xlevel : def->level))
		leaf = def->level;
	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		p = &feature_places[w];
		if (p->leaf != leaf || p->msr ||
		    (p->subleafs && p->subleaf != subleaf))
			continue;
		r[p->reg] &= cpu_tcg_words[w];
		/* Intel's SYSCALL outside 64-bit mode */
		if (w == W_8_1_EDX && cpu_is_intel(def))
			r[p->reg] &= ~BIT(11);
	}
}

static void complain(struct tally *t, const struct run *r, const char *what)
{
	if (t->bad++ < 400000)
		printf("%s -cpu %s%s%s -smp %s %s: %s\n", r->field[F_MACHINE],
		       r->field[F_CPU], r->field[F_PROPS][0] ? "," : "",
		       r->field[F_PROPS], r->field[F_SMP], r->field[F_OPTS],
		       what);
}

static bool same_answer(const struct cpu_def *def, unsigned cpu,
			const struct answer *a, struct tally *t,
			const struct run *r)
{
	bool masked = def->accel == CPU_ACCEL_NONE;
	uint32_t out[4], want[4];
	char text[200];

	if (masked && !is_model_leaf(def, a->leaf))
		return true;
	cpu_leaf(def, cpu, a->leaf, a->subleaf, out);
	memcpy(want, a->r, sizeof(want));
	if (masked) {
		mask(def, a->leaf, a->subleaf, out);
		mask(def, a->leaf, a->subleaf, want);
	}
	t->rows++;
	if (!memcmp(out, want, sizeof(out)))
		return true;
	snprintf(text, sizeof(text),
		 "CPU %u leaf %x.%x: %08x %08x %08x %08x, not %08x %08x %08x "
		 "%08x%s",
		 cpu, a->leaf, a->subleaf, out[0], out[1], out[2], out[3],
		 want[0], want[1], want[2], want[3], masked ? " (masked)" : "");
	complain(t, r, text);
	return false;
}

static bool same_dumps(const struct cpu_def *def, const struct run *r,
		       struct tally *t)
{
	unsigned ids[MAX_CPUS], n = read_numbers(r->field[F_DUMPS], ids), i, k;
	const struct dump *d;
	bool same = true;

	if (n != def->topo.cpus) {
		complain(t, r, "another number of CPUs");
		return false;
	}
	for (i = 0; i < n; i++) {
		d = &dumps[ids[i]];
		for (k = 0; k < d->n; k++)
			same &= same_answer(def, i, &d->a[k], t, r);
	}
	return same;
}

static const struct {
	const char *theirs, *ours;
} refusals[] = {
	{"thread level cache", "caches of a thread"},
	{"L2 cache topology level", "L2 cache may not"},
	{"L3 cache topology level", "L3 cache may not"},
	{"support legacy-cache=off", "legacy-cache=off"},
	{"property depends on", "x-vendor-cpuid-only=off needs"},
	{"requires KVM", "needs a KVM"},
};

static bool same_refusal(const char *theirs, const char *ours)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++)
		if (strstr(theirs, refusals[i].theirs))
			return strstr(ours, refusals[i].ours);
	return false;
}

static int resolve(const struct run *r, const struct cpu_accel *accel,
		   struct cpu_def *def, struct err *e)
{
	char cpu[600], machine[600];
	struct request q;
	int ret;

	snprintf(cpu, sizeof(cpu), "%s%s%s", r->field[F_CPU],
		 r->field[F_PROPS][0] ? "," : "", r->field[F_PROPS]);
	snprintf(machine, sizeof(machine), "%s%s%s", r->field[F_MACHINE],
		 r->field[F_OPTS][0] ? "," : "", r->field[F_OPTS]);
	request_init(&q, "max", "pc");
	ret = request_cpu(&q, cpu, e);
	if (!ret)
		ret = request_machine(&q, machine, e);
	if (!ret)
		ret = request_smp(&q, r->field[F_SMP], e);
	if (!ret)
		ret = request_finish(&q, e);
	return ret ? ret : cpu_def_resolve(def, &q.cpu, accel, e);
}

static bool check_run(const struct run *r, const struct cpu_accel *accel,
		      struct tally *t)
{
	const char *status = r->field[F_STATUS];
	bool ok = !strcmp(status, "ok");
	struct cpu_def def;
	struct err e = {0};
	char text[1200];

	if (resolve(r, accel, &def, &e)) {
		if (!ok && same_refusal(status, e.msg))
			return true;
		snprintf(text, sizeof(text), "'%s', not '%s'", e.msg, status);
		complain(t, r, text);
		return false;
	}
	if (ok)
		return same_dumps(&def, r, t);
	snprintf(text, sizeof(text), "taken, not '%s'", status);
	complain(t, r, text);
	return false;
}

/* By file, as the README's table has it. */
static void check_line(char *line, struct tally *t)
{
	struct run r;
	bool ok;

	if (!read_run(&r, line)) {
		complain(t, &r, "a line that is no run");
		return;
	}
	ok = check_run(&r, &software, t);
	ok &= check_run(&r, &nobody, t);
	t->runs++;
	t->exact += ok;
	t->refused += !!strcmp(r.field[F_STATUS], "ok");
}

static FILE *open_data(const char *path)
{
	char command[600];

	snprintf(command, sizeof(command),
		 "python3 -c 'import lzma,shutil,sys;shutil.copyfileobj("
		 "lzma.open(sys.argv[1]),sys.stdout.buffer)' '%s'",
		 path);
	return popen(command, "r");
}

int main(int argc, char **argv)
{
	struct answer current[MAX_QUERIES];
	struct dump d = {current, 0};
	struct tally t = {0};
	char *line = NULL;
	size_t size = 0;
	FILE *f;
	int status;

	ASSERT(argc == 2);
	memcpy(software.words, cpu_tcg_words, sizeof(software.words));
	f = open_data(argv[1]);
	if (!f)
		return 1;
	while (getline(&line, &size, f) > 0) {
		if (line[0] == 'D')
			read_dump(&d, line + 1);
		else if (line[0] == 'R')
			check_line(line + 2, &t);
	}
	free(line);
	status = pclose(f);
	printf("%u of %u runs the same (%u refused, %lu answers compared), "
	       "%u differences\n",
	       t.exact, t.runs, t.refused, t.rows, t.bad);
	return status || t.bad || t.runs < 30000;
}
