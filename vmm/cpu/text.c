/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing what a view sees. Nothing here knows whether it is a model, a
 * file or a host.
 */
#include "vmm/cpu/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH          78
#define PICTURE_CPUS   16 /* more do not fit on a line */
#define PICTURE_COLUMN 4
#define PICTURE_LABEL  10

static const char *const type_letter[] = {"?", "d", "i", ""};

/* ---- identity and topology ---- */

static void show_identity(FILE *f, const struct view *v)
{
	const char *id = v->model_id;

	while (*id == ' ')
		id++;
	if (*id)
		fprintf(f, "%s\n", id);
	fprintf(f,
		"  vendor      %s, family %u model %u stepping %u (%#x)\n"
		"  leaves      up to %#x and %#x\n",
		v->vendor, v->family, v->model, v->stepping, v->signature,
		v->level, v->xlevel);
	if (v->phys_bits)
		fprintf(f, "  addresses   %u bits physical, %u linear\n",
			v->phys_bits, v->linear_bits);
}

/* How many different APIC ids there are above @shift. */
static unsigned count_groups(const struct answers *a, unsigned shift)
{
	uint32_t id, last = 0;
	unsigned cpu, n = 0;

	for (cpu = 0; cpu < a->cpus; cpu++) {
		id = view_apic_id(a, cpu) >> shift;
		n += !cpu || id != last;
		last = id;
	}
	return n;
}

static void show_count(FILE *f, unsigned n, const char *what)
{
	fprintf(f, "%u %s%s", n, what, n == 1 ? "" : "s");
}

static void show_topology(FILE *f, const struct answers *a,
			  const struct view *v)
{
	fputs("  topology    ", f);
	show_count(f, count_groups(a, v->package_shift), "socket");
	if (v->die_shift && v->die_shift < v->package_shift) {
		fputs(", ", f);
		show_count(f, count_groups(a, v->die_shift), "die");
	}
	if (v->module_shift && v->module_shift < v->package_shift) {
		fputs(", ", f);
		show_count(f, count_groups(a, v->module_shift), "module");
	}
	fputs(", ", f);
	show_count(f, count_groups(a, v->core_shift), "core");
	fputs(", ", f);
	show_count(f, a->cpus, "thread");
	fputc('\n', f);
}

/* ---- caches ---- */

static void show_size(FILE *f, uint64_t bytes)
{
	if (bytes >> 20 && !(bytes & 0xfffff))
		fprintf(f, "%4" PRIu64 " MiB", bytes >> 20);
	else
		fprintf(f, "%4" PRIu64 " KiB", bytes >> 10);
}

static const char *flag_names(const struct view_cache *c, char buf[80])
{
	snprintf(buf, 80, "%s%s%s%s", c->self_init ? " self-init" : "",
		 c->flags & 1 ? " no-invd-sharing" : "",
		 c->flags & 2 ? " inclusive" : "",
		 c->flags & 4 ? " complex-index" : "");
	return buf;
}

static void show_caches(FILE *f, const struct answers *a)
{
	struct view_cache c[VIEW_CACHES];
	unsigned n = view_best_caches(a, c), i;
	char flags[80];

	if (!n)
		return;
	fputs("\ncache      size  ways    sets  line  sharers\n", f);
	for (i = 0; i < n; i++) {
		fprintf(f, "L%u%-3s ", c[i].level, type_letter[c[i].type & 3]);
		show_size(f, c[i].size);
		fprintf(f, " %5u %7u %5u %8u %s\n", c[i].ways, c[i].sets,
			c[i].line, 1U << c[i].shift, flag_names(&c[i], flags));
	}
}

static const struct {
	uint32_t leaf;
	const char *name;
} cache_leaves[] = {
	{CPUID_CACHE_DESC, "2"},       {CPUID_CACHE, "4"},
	{CPUID_EXT_L1, "80000005"},    {CPUID_EXT_L2, "80000006"},
	{CPUID_EXT_CACHE, "8000001d"},
};

/* One line for each leaf that shows caches. */
static void show_cache_leaves(FILE *f, const struct answers *a)
{
	struct view_cache c[VIEW_CACHES];
	unsigned n, i;
	size_t k;

	fputs("\nleaf      as it shows them\n", f);
	for (k = 0; k < ARRAY_SIZE(cache_leaves); k++) {
		n = view_caches(a, cache_leaves[k].leaf, c);
		fprintf(f, "%-9s", cache_leaves[k].name);
		for (i = 0; i < n; i++) {
			fprintf(f, " L%u%s", c[i].level,
				type_letter[c[i].type & 3]);
			show_size(f, c[i].size);
			fputc(i + 1 < n ? ',' : '\n', f);
		}
		if (!n)
			fputs(" nothing\n", f);
	}
}

static void picture_row(FILE *f, const struct answers *a, const char *label,
			unsigned shift)
{
	unsigned cpu, end, width;

	fprintf(f, "%-*s", PICTURE_LABEL, label);
	for (cpu = 0; cpu < a->cpus; cpu = end) {
		for (end = cpu + 1; end < a->cpus; end++)
			if (view_apic_id(a, end) >> shift !=
			    view_apic_id(a, cpu) >> shift)
				break;
		width = (end - cpu) * PICTURE_COLUMN - 2;
		fprintf(f, "[%*s]", (int)width, "");
	}
	fputc('\n', f);
}

/* Who shares what, CPUs from left to right. */
static void show_picture(FILE *f, const struct answers *a, const struct view *v)
{
	struct view_cache c[VIEW_CACHES];
	unsigned n = view_best_caches(a, c), i;
	char label[16];

	if (!n || a->cpus < 2 || a->cpus > PICTURE_CPUS)
		return;
	fprintf(f, "\n%-*s", PICTURE_LABEL, "CPU");
	for (i = 0; i < a->cpus; i++)
		fprintf(f, " %-*u", PICTURE_COLUMN - 1, i);
	fputc('\n', f);
	picture_row(f, a, "core", v->core_shift);
	for (i = 0; i < n; i++) {
		snprintf(label, sizeof(label), "L%u%s", c[i].level,
			 type_letter[c[i].type & 3]);
		picture_row(f, a, label, c[i].shift);
	}
	picture_row(f, a, "socket", v->package_shift);
}

/* ---- features ---- */

static void show_word(FILE *f, unsigned word, uint32_t bits)
{
	const char *name;
	char buf[32], number[16];
	int column;
	unsigned i;

	column = fprintf(f, "%-16s", feature_word_name(word, buf, sizeof(buf)));
	for (i = 0; i < 32; i++) {
		if (!(bits >> i & 1))
			continue;
		name = feature_name(FEAT_BIT(word, i));
		snprintf(number, sizeof(number), "bit%u", i);
		name = name ? name : number;
		if (column + (int)strlen(name) + 1 > WIDTH)
			column = fprintf(f, "\n%-16s", "") - 1;
		column += fprintf(f, " %s", name);
	}
	fputc('\n', f);
}

static void show_words(FILE *f, const uint32_t *words)
{
	unsigned w;

	fputs("\nfeatures\n", f);
	for (w = 0; w < CPUID_MODEL_WORDS; w++)
		if (words[w])
			show_word(f, w, words[w]);
}

void text_show(FILE *f, const struct answers *a)
{
	char buf[200];
	const char *wrong = view_contradiction(a, buf, sizeof(buf));
	struct view v;

	view_read(&v, a);
	show_identity(f, &v);
	show_topology(f, a, &v);
	show_caches(f, a);
	show_cache_leaves(f, a);
	if (wrong)
		fprintf(f, "note: %s\n", wrong);
	show_picture(f, a, &v);
	show_words(f, v.words);
}

/* ---- JSON ---- */

static void json_string(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		if ((unsigned char)*text >= ' ')
			fputc(*text, f);
	}
	fputc('"', f);
}

struct json_rows {
	FILE *f;
	bool more;
};

static void json_row(void *priv, uint32_t leaf, uint32_t subleaf,
		     const uint32_t r[4])
{
	struct json_rows *j = priv;

	fprintf(j->f,
		"%s\n      {\"leaf\": %" PRIu32 ", \"subleaf\": %" PRIu32
		", \"eax\": %" PRIu32 ", \"ebx\": %" PRIu32
		", \"ecx\": %" PRIu32 ", \"edx\": %" PRIu32 "}",
		j->more ? "," : "", leaf, subleaf, r[0], r[1], r[2], r[3]);
	j->more = true;
}

static void json_features(FILE *f, const uint32_t *words)
{
	bool more = false;
	const char *name;
	unsigned i;

	fputs("  \"features\": [", f);
	for (i = 0; i < CPUID_MODEL_WORDS * 32; i++) {
		name = feature_test(words, i) ? feature_name(i) : NULL;
		if (!name)
			continue;
		fputs(more ? ", " : "", f);
		json_string(f, name);
		more = true;
	}
	fputs("],\n", f);
}

static void json_caches(FILE *f, const struct answers *a)
{
	struct view_cache c[VIEW_CACHES];
	unsigned n = view_best_caches(a, c), i;

	fputs("  \"caches\": [", f);
	for (i = 0; i < n; i++)
		fprintf(f,
			"%s\n    {\"name\": \"L%u%s\", \"size\": %" PRIu64
			", \"ways\": %u, \"sets\": %u, \"line\": %u, "
			"\"sharers\": %u, \"self-init\": %d, \"flags\": %u}",
			i ? "," : "", c[i].level, type_letter[c[i].type & 3],
			c[i].size, c[i].ways, c[i].sets, c[i].line,
			1U << c[i].shift, c[i].self_init, c[i].flags);
	fputs("\n  ],\n", f);
}

void text_json(FILE *f, const char *title, const struct answers *a)
{
	struct json_rows rows = {.f = f};
	struct view v;
	unsigned cpu;

	view_read(&v, a);
	fputs("{\n  \"cpu\": ", f);
	json_string(f, title);
	fputs(",\n  \"vendor\": ", f);
	json_string(f, v.vendor);
	fputs(",\n  \"model-id\": ", f);
	json_string(f, v.model_id);
	fprintf(f,
		",\n  \"family\": %u, \"model\": %u, \"stepping\": %u,\n"
		"  \"level\": %" PRIu32 ", \"xlevel\": %" PRIu32 ",\n"
		"  \"sockets\": %u, \"cores\": %u, \"threads\": %u,\n",
		v.family, v.model, v.stepping, v.level, v.xlevel,
		count_groups(a, v.package_shift), count_groups(a, v.core_shift),
		a->cpus);
	json_caches(f, a);
	json_features(f, v.words);
	fputs("  \"cpus\": [", f);
	for (cpu = 0; cpu < a->cpus; cpu++) {
		fprintf(f, "%s\n    {\"apic-id\": %" PRIu32 ", \"leaves\": [",
			cpu ? "," : "", view_apic_id(a, cpu));
		rows.more = false;
		answers_each(a, cpu, json_row, &rows);
		fputs("]}", f);
	}
	fputs("\n  ]\n}\n", f);
}

/* ---- dump ---- */

struct dump_rows {
	FILE *f;
	unsigned cpu;
};

static void dump_row(void *priv, uint32_t leaf, uint32_t subleaf,
		     const uint32_t r[4])
{
	static const char digits[] = "0123456789abcdef";
	const struct dump_rows *d = priv;
	char line[64], *p = line;
	unsigned i, k;

	fprintf(d->f, "%u %x %x", d->cpu, leaf, subleaf);
	for (i = 0; i < 4; i++) {
		*p++ = ' ';
		for (k = 0; k < 8; k++)
			*p++ = digits[r[i] >> (28 - 4 * k) & 0xf];
	}
	*p++ = '\n';
	fwrite(line, 1, (size_t)(p - line), d->f);
}

void text_dump(FILE *f, const struct answers *a)
{
	struct dump_rows d = {.f = f};

	for (d.cpu = 0; d.cpu < a->cpus; d.cpu++)
		answers_each(a, d.cpu, dump_row, &d);
}

/* ---- diff ---- */

struct differ {
	FILE *f;
	const char **names;
	unsigned n;
	int width;
};

static void diff_text(struct differ *d, const char *what, const char *x,
		      const char *y)
{
	if (!strcmp(x, y))
		return;
	fprintf(d->f, "%s\n  %-*s  %s\n  %-*s  %s\n", what, d->width,
		d->names[0], x, d->width, d->names[1], y);
	d->n++;
}

static void diff_number(struct differ *d, const char *what, uint64_t x,
			uint64_t y, const char *format)
{
	char left[40], right[40];

	if (!strcmp(format, "hex")) {
		snprintf(left, sizeof(left), "%#" PRIx64, x);
		snprintf(right, sizeof(right), "%#" PRIx64, y);
	} else {
		snprintf(left, sizeof(left), "%" PRIu64, x);
		snprintf(right, sizeof(right), "%" PRIu64, y);
	}
	diff_text(d, what, left, right);
}

static void diff_words(struct differ *d, const uint32_t *x, const uint32_t *y)
{
	uint32_t only[2][CPUID_MODEL_WORDS];
	char buf[2][2000];
	unsigned w, i;

	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		only[0][w] = x[w] & ~y[w];
		only[1][w] = y[w] & ~x[w];
	}
	for (i = 0; i < 2; i++) {
		feature_list(only[i], buf[i], sizeof(buf[i]));
		if (buf[i][0])
			fprintf(d->f, "features of %s alone\n  %s\n",
				d->names[i], buf[i]);
		d->n += !!buf[i][0];
	}
}

static void describe(const struct view_cache *c, char *buf, size_t size)
{
	char flags[80];

	snprintf(buf, size, "%" PRIu64 " KiB, %u ways, line %u, %u sharers%s",
		 c->size >> 10, c->ways, c->line, 1U << c->shift,
		 flag_names(c, flags));
}

static void diff_caches(struct differ *d, const struct answers *x,
			const struct answers *y, uint32_t leaf,
			const char *leaf_name)
{
	struct view_cache c[2][VIEW_CACHES];
	unsigned n[2] = {view_caches(x, leaf, c[0]),
			 view_caches(y, leaf, c[1])};
	char what[60], left[160], right[160];
	unsigned i;

	snprintf(what, sizeof(what), "number of caches in leaf %s", leaf_name);
	diff_number(d, what, n[0], n[1], "dec");
	for (i = 0; i < MIN(n[0], n[1]); i++) {
		snprintf(what, sizeof(what), "L%u%s in leaf %s", c[0][i].level,
			 type_letter[c[0][i].type & 3], leaf_name);
		describe(&c[0][i], left, sizeof(left));
		describe(&c[1][i], right, sizeof(right));
		diff_text(d, what, left, right);
	}
}

unsigned text_diff(FILE *f, const char *names[2], const struct answers *x,
		   const struct answers *y)
{
	struct differ d = {.f = f, .names = names};
	struct view v[2];
	size_t i;

	d.width = (int)MAX(strlen(names[0]), strlen(names[1]));
	view_read(&v[0], x);
	view_read(&v[1], y);
	diff_text(&d, "vendor", v[0].vendor, v[1].vendor);
	diff_text(&d, "model-id", v[0].model_id, v[1].model_id);
	diff_number(&d, "signature", v[0].signature, v[1].signature, "hex");
	diff_number(&d, "highest basic leaf", v[0].level, v[1].level, "hex");
	diff_number(&d, "highest extended leaf", v[0].xlevel, v[1].xlevel,
		    "hex");
	diff_number(&d, "bits of physical addresses", v[0].phys_bits,
		    v[1].phys_bits, "dec");
	diff_number(&d, "CPUs", x->cpus, y->cpus, "dec");
	diff_number(&d, "bits of APIC id in a core", v[0].core_shift,
		    v[1].core_shift, "dec");
	diff_number(&d, "bits of APIC id in a socket", v[0].package_shift,
		    v[1].package_shift, "dec");
	for (i = 0; i < ARRAY_SIZE(cache_leaves); i++)
		diff_caches(&d, x, y, cache_leaves[i].leaf,
			    cache_leaves[i].name);
	diff_words(&d, v[0].words, v[1].words);
	return d.n;
}
