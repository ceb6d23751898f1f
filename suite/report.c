/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text, TAP and JUnit. JSON is in json.c.
 */
#include "suite/report.h"

#include <stdlib.h>
#include <string.h>

#define PASSED(v) ((v) == VERDICT_PASS)
#define EXPECTED \
	"TO"     \
	"DO" /* TAP's word for failures that are known */

/* How many results belong to the test of result @i. */
static size_t row_size(const struct suite_results *r, size_t i)
{
	size_t n = 1;

	while (i + n < r->n && !strcmp(r->v[i].test, r->v[i + n].test))
		n++;
	return n;
}

/* Verdicts of those that ran; a skip says nothing about the others. */
static bool row_differs(const struct suite_results *r, size_t i, size_t n)
{
	enum verdict first = VERDICT_NONE;

	for (; n; n--, i++) {
		enum verdict v = r->v[i].verdict;

		if (!PASSED(v) && !verdict_failed(v))
			continue;
		if (first != VERDICT_NONE && v != first)
			return true;
		first = v;
	}
	return false;
}

/* Results that were numbered together: one run, in shards or not. */
struct run_group {
	const char *target;
	unsigned int of, seen;
};

static struct run_group *find_group(struct run_group *g, size_t *n,
				    const struct suite_result *r)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (g[i].of == r->of && !strcmp(g[i].target, r->target))
			return &g[i];
	g[i] = (struct run_group){.target = r->target, .of = r->of};
	*n = i + 1;
	return &g[i];
}

/* How many results no shard has told. */
static unsigned int count_lost(const struct suite_results *r)
{
	struct run_group *g = calloc(r->n + 1, sizeof(*g));
	unsigned int lost = 0;
	size_t i, n = 0;

	for (i = 0; g && i < r->n; i++)
		if (r->v[i].of)
			find_group(g, &n, &r->v[i])->seen++;
	for (i = 0; i < n; i++)
		if (g[i].seen < g[i].of)
			lost += g[i].of - g[i].seen;
	free(g);
	return lost;
}

void report_count(const struct suite_results *r, struct suite_counts *c)
{
	size_t i, n;

	*c = (struct suite_counts){0};
	for (i = 0; i < r->n; i++) {
		enum verdict v = r->v[i].verdict;

		c->passed += PASSED(v);
		c->flaky += PASSED(v) && r->v[i].tries > 1;
		c->failed += verdict_failed(v) && !r->v[i].known;
		c->known += r->v[i].known;
		c->skipped += v == VERDICT_SKIP;
		c->missing += v == VERDICT_NONE;
	}
	for (i = 0; i < r->n; i += n) {
		n = row_size(r, i);
		c->differ += row_differs(r, i, n);
	}
}

void report_count_lost(const struct suite_results *r, struct suite_counts *c)
{
	c->lost = count_lost(r);
	c->missing += c->lost;
}

static const char *colour_of(enum verdict v)
{
	if (PASSED(v))
		return "\033[32m";
	return verdict_failed(v) ? "\033[31m" : "\033[33m";
}

static void print_verdict(FILE *f, const struct suite_result *r, int width,
			  bool colour)
{
	const char *name = verdict_name(r->verdict);
	enum verdict shown = r->known ? VERDICT_SKIP : r->verdict;
	char text[16];

	if (PASSED(r->verdict) && r->tries > 1)
		name = "flaky";
	snprintf(text, sizeof(text), r->known ? "(%s)" : "%s", name);
	fprintf(f, "%s%-*s%s", colour ? colour_of(shown) : "", width, text,
		colour ? "\033[0m" : "");
}

void report_line(FILE *f, const struct suite_result *r, bool colour)
{
	print_verdict(f, r, 9, colour);
	fprintf(f, " %s [%s]", r->test, r->target);
	if (r->verdict != VERDICT_SKIP)
		fprintf(f, " %.2f s", r->seconds);
	if (*r->reason)
		fprintf(f, " (%s)", r->reason);
	fputc('\n', f);
}

static int widest_name(const struct suite_results *r)
{
	size_t i, w = 4;

	for (i = 0; i < r->n; i++)
		w = MAX(w, strlen(r->v[i].test));
	return (int)w;
}

/* The row with all targets names the columns. */
static size_t widest_row(const struct suite_results *r, size_t *columns)
{
	size_t i, n, at = 0;

	*columns = 0;
	for (i = 0; i < r->n; i += n) {
		n = row_size(r, i);
		if (n > *columns) {
			*columns = n;
			at = i;
		}
	}
	return at;
}

static const struct suite_result *cell(const struct suite_results *r, size_t i,
				       size_t n, const char *target)
{
	for (; n; n--, i++)
		if (!strcmp(r->v[i].target, target))
			return &r->v[i];
	return NULL;
}

static int column_width(const char *target)
{
	return (int)MAX(strlen(target), 9ul);
}

void report_table(FILE *f, const struct suite_results *r, bool colour)
{
	int width = widest_name(r);
	size_t columns, head = widest_row(r, &columns), i, n, c;

	fprintf(f, "  %-*s", width, "test");
	for (c = 0; c < columns; c++)
		fprintf(f, "  %-*s", column_width(r->v[head + c].target),
			r->v[head + c].target);
	fputc('\n', f);
	for (i = 0; i < r->n; i += n) {
		n = row_size(r, i);
		fprintf(f, "%c %-*s", row_differs(r, i, n) ? '*' : ' ', width,
			r->v[i].test);
		for (c = 0; c < columns; c++) {
			const char *target = r->v[head + c].target;
			const struct suite_result *x = cell(r, i, n, target);

			fputs("  ", f);
			if (x)
				print_verdict(f, x, column_width(target),
					      colour);
			else
				fprintf(f, "%-*s", column_width(target), "-");
		}
		fputc('\n', f);
	}
}

void report_summary(FILE *f, const struct suite_counts *c)
{
	if (c->differ)
		fprintf(f, "%u tests with different verdicts (*)\n", c->differ);
	if (c->known)
		fprintf(f, "%u known failures\n", c->known);
	if (c->flaky)
		fprintf(f, "%u passed only when run again\n", c->flaky);
	if (c->lost)
		fprintf(f, "%u results are in none of the files\n", c->lost);
	if (c->missing)
		fprintf(f, "%u not run\n", c->missing);
	fprintf(f, "%u passed, %u failed, %u skipped\n", c->passed, c->failed,
		c->skipped);
}

/* A # would begin a directive. */
static void print_tap(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '#' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
}

void report_tap(FILE *f, const struct suite_results *r)
{
	size_t i;

	fprintf(f, "TAP version 13\n1..%zu\n", r->n);
	for (i = 0; i < r->n; i++) {
		const struct suite_result *x = &r->v[i];
		bool good = PASSED(x->verdict) || x->verdict == VERDICT_SKIP;

		fprintf(f, "%s %zu - ", good ? "ok" : "not ok", i + 1);
		print_tap(f, x->test);
		fprintf(f, " [%s]", x->target);
		if (x->verdict == VERDICT_SKIP)
			fprintf(f, " # SKIP %s", x->reason);
		else if (x->known)
			fprintf(f, " # " EXPECTED " known: %s (%s)",
				verdict_name(x->verdict), x->reason);
		fputc('\n', f);
		if (!good && !x->known)
			fprintf(f, "# %s: %s\n", verdict_name(x->verdict),
				x->reason);
	}
}

static void print_xml(FILE *f, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '&': fputs("&amp;", f); break;
		case '"': fputs("&quot;", f); break;
		default:
			/* others below a blank are no XML */
			fputc((unsigned char)*text < ' ' ? ' ' : *text, f);
		}
}

static void junit_case(FILE *f, const struct suite_result *x)
{
	fputs("  <testcase classname=\"", f);
	print_xml(f, x->target);
	fputs("\" name=\"", f);
	print_xml(f, x->test);
	fprintf(f, "\" time=\"%.3f\"", x->seconds);
	if (PASSED(x->verdict)) {
		fputs("/>\n", f);
		return;
	}
	fprintf(f, "><%s message=\"",
		verdict_failed(x->verdict) && !x->known ? "failure"
							: "skipped");
	if (x->known)
		fputs("known: ", f);
	if (x->verdict != VERDICT_SKIP)
		fprintf(f, "%s: ", verdict_name(x->verdict));
	print_xml(f, x->reason);
	fputs("\"/></testcase>\n", f);
}

void report_junit(FILE *f, const struct suite_results *r)
{
	struct suite_counts c;
	size_t i;

	report_count(r, &c);
	fprintf(f,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuite name=\"lodge\" tests=\"%zu\" failures=\"%u\" "
		"skipped=\"%u\">\n",
		r->n, c.failed, c.skipped + c.missing + c.known);
	for (i = 0; i < r->n; i++)
		junit_case(f, &r->v[i]);
	fputs("</testsuite>\n", f);
}

void report_free(struct suite_results *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		free(r->v[i].test);
		free(r->v[i].target);
		free(r->v[i].log);
	}
	free(r->v);
	*r = (struct suite_results){NULL, 0};
}
