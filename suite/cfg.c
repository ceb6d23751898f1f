/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of unittests.cfg. Keys are matched whole; blanks around `=` do
 * not matter; `#` at the start of a line or after a blank outside quotes
 * starts a comment. In triple quotes everything is kept but a newline behind
 * an odd number of backslashes, which goes together with the last of them.
 */
#include "suite/cfg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite/text.h"

#define TRIPLE "\"\"\""

#define KEY(k, name, ...)                                           \
	{                                                           \
		name, offsetof(struct suite_test, k), ##__VA_ARGS__ \
	}
const struct suite_key suite_keys[] = {
	KEY(file, "file"),
	KEY(smp, "smp"),
	KEY(test_args, "test_args"),
	KEY(qemu_params, "qemu_params"),
	KEY(qemu_params, "extra_params"),
	KEY(kvmtool_params, "kvmtool_params"),
	KEY(groups, "groups"),
	KEY(arch, "arch"),
	KEY(machine, "machine"),
	KEY(accel, "accel"),
	KEY(timeout, "timeout"),
	KEY(check, "check", .joins = true),
	KEY(disabled_if, "disabled_if"),
	{NULL, 0},
};

struct reader {
	struct suite *s;
	FILE *f;
	char *line;
	size_t room;
	int number;
	void (*warn)(const char *);
	struct err *e;
};

static void __printf(2, 3) warn(struct reader *r, const char *fmt, ...)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s:%d: ", r->s->path, r->number);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	text_clean(text);
	r->warn(text);
}

static bool next_line(struct reader *r)
{
	ssize_t n = getline(&r->line, &r->room, r->f);

	if (n < 0)
		return false;
	r->number++;
	while (n && (r->line[n - 1] == '\n' || r->line[n - 1] == '\r'))
		r->line[--n] = 0;
	return true;
}

static char *skip_blanks(char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static void cut_blanks(char *p)
{
	size_t n = strlen(p);

	while (n && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		p[--n] = 0;
}

/* A comment begins at a # after a blank, outside the shell's quotes. */
static void cut_comment(char *p)
{
	char quote = 0, last = ' ';

	for (; *p; last = *p++) {
		if (*p == '\\' && quote != '\'' && p[1]) {
			p++;
		} else if (quote) {
			quote = *p == quote ? 0 : quote;
		} else if (*p == '\'' || *p == '"') {
			quote = *p;
		} else if (*p == '#' && (last == ' ' || last == '\t')) {
			*p = 0;
			return;
		}
	}
}

static int append(struct reader *r, char **text, const char *more)
{
	size_t old = *text ? strlen(*text) : 0, n = strlen(more);
	char *p = realloc(*text, old + n + 1);

	if (!p)
		return err_set(r->e, -ENOMEM, "no memory");
	memcpy(p + old, more, n + 1);
	*text = p;
	return 0;
}

/* Drop the backslash of an escaped newline at the end of @text. */
static bool joins_next(char *text)
{
	size_t n = strlen(text), slashes = 0;

	while (slashes < n && text[n - 1 - slashes] == '\\')
		slashes++;
	if (slashes % 2 == 0)
		return false;
	text[n - 1] = 0;
	return true;
}

/* The next line of a value, or NULL with the error set. */
static char *triple_line(struct reader *r, int from)
{
	char *p;

	if (!next_line(r)) {
		err_set(r->e, -EINVAL, "%s:%d: the triple quote never ends",
			r->s->path, from);
		return NULL;
	}
	p = strdup(r->line);
	if (!p)
		err_set(r->e, -ENOMEM, "no memory");
	return p;
}

/* Whether @p ends in the closing quotes, which are cut. */
static bool cut_triple(char *p)
{
	size_t n = strlen(p);

	while (n && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	if (n < 3 || strncmp(p + n - 3, TRIPLE, 3))
		return false;
	p[n - 3] = 0;
	return true;
}

/* @first: what follows the opening quotes on their line. */
static int read_triple(struct reader *r, const char *first, char **out)
{
	char *p = strdup(first);
	int from = r->number, ret = 0;
	bool end = false;

	*out = NULL;
	while (p && !ret && !end) {
		end = cut_triple(p);
		ret = append(r, out, p);
		free(p);
		p = NULL;
		if (!ret && !end && !joins_next(*out))
			ret = append(r, out, "\n");
		if (!ret && !end)
			p = triple_line(r, from);
	}
	if (end && !ret)
		return 0;
	free(*out);
	*out = NULL;
	return r->e->code ? r->e->code : err_set(r->e, -ENOMEM, "no memory");
}

static const struct suite_key *find_key(const char *name)
{
	const struct suite_key *k;

	for (k = suite_keys; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static int read_value(struct reader *r, char *text, char **out)
{
	if (!strncmp(text, TRIPLE, 3))
		return read_triple(r, text + 3, out);
	cut_comment(text);
	cut_blanks(text);
	*out = strdup(text);
	return *out ? 0 : err_set(r->e, -ENOMEM, "no memory");
}

static int set_value(struct reader *r, struct suite_test *t,
		     const struct suite_key *k, char *value)
{
	char **slot = (char **)((char *)t + k->offset);
	int ret = 0;

	if (*slot && k->joins) {
		ret = append(r, slot, " ");
		if (!ret)
			ret = append(r, slot, value);
		free(value);
		return ret;
	}
	if (*slot)
		warn(r, "'%s' of [%s] again; the last one counts", k->name,
		     t->name);
	free(*slot);
	*slot = value;
	return 0;
}

/* `key = value`, with the key whole. */
static int read_key(struct reader *r, struct suite_test *t, char *p)
{
	char *eq = strchr(p, '='), *value;
	const struct suite_key *k;
	int ret;

	if (!eq) {
		warn(r, "neither a section nor 'key = value'");
		return 0;
	}
	*eq = 0;
	cut_blanks(p);
	k = find_key(p);
	if (!k)
		warn(r, "unknown key '%s'", p);
	else if (!t)
		warn(r, "'%s' outside a section", p);
	/* lines of a value are no keys, whoever it belongs to */
	ret = read_value(r, skip_blanks(eq + 1), &value);
	if (ret)
		return ret;
	if (k && t)
		return set_value(r, t, k, value);
	free(value);
	return 0;
}

static const struct suite_test *find_test(const struct suite *s,
					  const char *name)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (!strcmp(s->tests[i].name, name))
			return &s->tests[i];
	return NULL;
}

/* A second test of the same name runs too: logs and results need another. */
static char *new_name(struct reader *r, const char *name)
{
	const struct suite_test *first = find_test(r->s, name);
	char *p = strdup(name);
	int n;

	for (n = 2; p && find_test(r->s, p); n++) {
		free(p);
		if (asprintf(&p, "%s.%d", name, n) < 0)
			p = NULL;
	}
	if (p && first)
		warn(r, "[%s] is there already (line %d); this one is [%s]",
		     name, first->line, p);
	return p;
}

static int add_test(struct reader *r, char *p, char *end)
{
	struct suite *s = r->s;
	struct suite_test *t;

	*end = 0;
	if (text_clean(p))
		warn(r, "the name is no text; this one is [%s]", p);
	t = realloc(s->tests, (s->count + 1) * sizeof(*t));
	if (!t)
		return err_set(r->e, -ENOMEM, "no memory");
	s->tests = t;
	t += s->count;
	*t = (struct suite_test){.name = new_name(r, p), .line = r->number};
	if (!t->name)
		return err_set(r->e, -ENOMEM, "no memory");
	s->count++;
	return 0;
}

static int read_line(struct reader *r)
{
	struct suite *s = r->s;
	char *p = skip_blanks(r->line), *end;

	if (!*p || *p == '#')
		return 0;
	if (*p != '[')
		return read_key(r, s->count ? &s->tests[s->count - 1] : NULL,
				p);
	cut_comment(p);
	cut_blanks(p);
	end = p + strlen(p) - 1;
	if (*end != ']' || end == p + 1) {
		warn(r, "a section is '[name]'");
		return 0;
	}
	return add_test(r, p + 1, end);
}

static void free_test(struct suite_test *t)
{
	const struct suite_key *k;

	free(t->name);
	for (k = suite_keys; k->name; k++) {
		char **slot = (char **)((char *)t + k->offset);

		free(*slot);
		*slot = NULL; /* two keys may share one */
	}
}

static void drop_fileless(struct reader *r)
{
	struct suite *s = r->s;
	size_t i, n = 0;

	for (i = 0; i < s->count; i++) {
		struct suite_test *t = &s->tests[i];

		if (t->file && *t->file) {
			s->tests[n++] = *t;
			continue;
		}
		r->number = t->line;
		warn(r, "[%s] has no file", t->name);
		free_test(t);
	}
	s->count = n;
}

int suite_read(struct suite *s, const char *path, void (*warn_fn)(const char *),
	       struct err *e)
{
	struct reader r = {.s = s, .warn = warn_fn, .e = e};
	int ret = 0;

	*s = (struct suite){.path = strdup(path)};
	r.f = fopen(path, "re");
	if (!r.f || !s->path)
		ret = err_set(e, -errno, "%s: %s", path, strerror(errno));
	while (!ret && next_line(&r))
		ret = read_line(&r);
	if (!ret && ferror(r.f))
		ret = err_set(e, -EIO, "%s: cannot be read", path);
	if (!ret)
		drop_fileless(&r);
	if (!ret && !s->count)
		ret = err_set(e, -EINVAL, "%s: has no test", path);
	if (r.f)
		fclose(r.f);
	free(r.line);
	if (ret)
		suite_free(s);
	return ret;
}

void suite_free(struct suite *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		free_test(&s->tests[i]);
	free(s->tests);
	free(s->path);
	*s = (struct suite){NULL};
}

bool suite_has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = list; p && *p; p += strcspn(p, " \t\n")) {
		p += strspn(p, " \t\n");
		if (strcspn(p, " \t\n") == n && n && !strncmp(p, word, n))
			return true;
	}
	return false;
}
