/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and applies lists of known failures; see known.h.
 */
#include "suite/known.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The next word of @p, or NULL; @p moves behind it. */
static char *word(char **p)
{
	char *start = *p + strspn(*p, " \t");
	size_t n = strcspn(start, " \t");

	if (!n)
		return NULL;
	*p = start + n;
	if (**p)
		*(*p)++ = '\0';
	return start;
}

static bool is_verdict(const char *name, size_t n)
{
	int v;

	for (v = VERDICT_PASS; v < VERDICT_COUNT; v++)
		if (strlen(verdict_name(v)) == n &&
		    !strncmp(verdict_name(v), name, n))
			return true;
	return false;
}

/* The first of "a|b|c" that is no verdict, or NULL. */
static const char *wrong_verdict(const char *list)
{
	for (;; list++) {
		size_t n = strcspn(list, "|");

		if (!is_verdict(list, n))
			return list;
		list += n;
		if (!*list)
			return NULL;
	}
}

static bool has_verdict(const char *list, enum verdict v)
{
	const char *name = verdict_name(v);
	size_t n = strlen(name);

	for (;; list++) {
		size_t len = strcspn(list, "|");

		if (len == n && !strncmp(list, name, n))
			return true;
		list += len;
		if (!*list)
			return false;
	}
}

static void trim(char *text)
{
	size_t n;

	text[strcspn(text, "#\n")] = '\0';
	n = strlen(text);
	while (n && isspace((unsigned char)text[n - 1]))
		text[--n] = '\0';
}

static int add_line(struct known *k, char *text, unsigned int line,
		    struct err *e)
{
	struct known_entry x = {.line = line}, *v;
	const char *wrong;

	trim(text);
	x.test = word(&text);
	if (!x.test)
		return 0;
	x.target = word(&text);
	x.verdicts = word(&text);
	if (!x.verdicts)
		return err_set(e, -EINVAL, "%s:%u: not TEST TARGET VERDICT",
			       k->path, line);
	wrong = wrong_verdict(x.verdicts);
	if (wrong)
		return err_set(e, -EINVAL, "%s:%u: '%s' is no verdict", k->path,
			       line, wrong);
	v = realloc(k->v, (k->n + 1) * sizeof(*v));
	if (!v)
		return err_set(e, -ENOMEM, "no memory");
	k->v = v;
	x.test = strdup(x.test);
	x.target = strdup(x.target);
	x.verdicts = strdup(x.verdicts);
	x.reason = strdup(text + strspn(text, " \t"));
	k->v[k->n++] = x;
	return 0;
}

int known_read(struct known *k, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	unsigned int n = 0;
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!f)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	free(k->path);
	k->path = strdup(path);
	while (!ret && getline(&line, &size, f) >= 0)
		ret = add_line(k, line, ++n, e);
	if (!ret && ferror(f))
		ret = err_set(e, -EIO, "%s: cannot be read", path);
	free(line);
	fclose(f);
	return ret;
}

void known_free(struct known *k)
{
	size_t i;

	for (i = 0; i < k->n; i++) {
		free(k->v[i].test);
		free(k->v[i].target);
		free(k->v[i].verdicts);
		free(k->v[i].reason);
	}
	free(k->v);
	free(k->path);
	*k = (struct known){0};
}

static const struct known_entry *find(const struct known *k,
				      const struct suite_result *r)
{
	size_t i;

	for (i = 0; i < k->n; i++)
		if (!strcmp(k->v[i].test, r->test) &&
		    !strcmp(k->v[i].target, r->target))
			return &k->v[i];
	return NULL;
}

static bool as_listed(const struct known_entry *x, const struct suite_result *r)
{
	if (!has_verdict(x->verdicts, r->verdict))
		return false;
	return !verdict_failed(r->verdict) || !*x->reason ||
	       !strcmp(x->reason, r->reason);
}

bool known_is(const struct known *k, const struct suite_result *r)
{
	const struct known_entry *x = find(k, r);

	return x && verdict_failed(r->verdict) && as_listed(x, r);
}

unsigned int known_apply(const struct known *k, struct suite_results *r,
			 FILE *f)
{
	unsigned int stale = 0;
	size_t i;

	for (i = 0; i < r->n; i++) {
		struct suite_result *x = &r->v[i];
		const struct known_entry *l = find(k, x);

		if (!l || x->verdict == VERDICT_NONE)
			continue;
		x->known = known_is(k, x);
		if (as_listed(l, x))
			continue;
		fprintf(f, "%s:%u: %s [%s] is %s (%s), listed as %s%s%s\n",
			k->path, l->line, x->test, x->target,
			verdict_name(x->verdict), x->reason, l->verdicts,
			*l->reason ? " " : "", l->reason);
		stale += !verdict_failed(x->verdict);
	}
	return stale;
}

static bool has_test(const struct suite *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (!strcmp(s->tests[i].name, name))
			return true;
	return false;
}

unsigned int known_check(const struct known *k, const struct suite *s, FILE *f)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < k->n; i++) {
		if (has_test(s, k->v[i].test))
			continue;
		fprintf(f, "%s:%u: there is no test %s\n", k->path,
			k->v[i].line, k->v[i].test);
		n++;
	}
	return n;
}
