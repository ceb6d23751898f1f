/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option values; the grammar is in keyval.h. Nothing here knows an option's
 * name: callers wrap the sentence with it.
 */
#include "lib/keyval.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copy up to an unescaped comma; returns the text after it. */
static const char *copy_element(const char *text, char *out, size_t size,
				bool *fits)
{
	size_t n = 0;

	*fits = true;
	while (*text) {
		if (*text == ',') {
			if (text[1] != ',')
				return text + 1;
			text++;
		}
		if (n + 1 < size)
			out[n++] = *text;
		else
			*fits = false;
		text++;
	}
	out[n] = '\0';
	return text;
}

int keyval_next(const char **text, struct keyval *kv, struct err *e)
{
	char element[2 * KEYVAL_MAX] = "";
	char *eq;
	bool fits;

	if (!**text)
		return 0;
	*text = copy_element(*text, element, sizeof(element), &fits);
	eq = strchr(element, '=');
	kv->bare = !eq;
	if (eq)
		*eq++ = '\0';
	if (!fits || strlen(element) >= KEYVAL_MAX ||
	    (eq && strlen(eq) >= KEYVAL_MAX))
		return err_set(e, -EINVAL, "a value is longer than %d bytes",
			       KEYVAL_MAX - 1);
	strcpy(kv->key, eq ? element : "");
	strcpy(kv->value, eq ? eq : element);
	if (eq && !element[0])
		return err_set(e, -EINVAL, "'=%s' has no key", eq);
	if (!eq && !element[0])
		return err_set(e, -EINVAL, "an element is empty");
	return 1;
}

static int size_shift(char suffix)
{
	static const char order[] = "bkmgtpe";
	const char *p;

	if (!suffix)
		return -1;
	p = strchr(order, tolower((unsigned char)suffix));
	return p ? (int)(p - order) * 10 : -1;
}

/* The digits of a size, as whole and fraction; *end is what follows. */
static int size_digits(const char *text, uint64_t *whole, double *frac,
		       const char **end)
{
	char *stop;

	*frac = 0;
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		*whole = strtoull(text + 2, &stop, 16);
		*end = stop;
		return !isxdigit((unsigned char)text[2]) || *stop ? -EINVAL
								  : -errno;
	}
	*whole = strtoull(text, &stop, 10);
	if (*stop == '.') {
		double scale = 0.1;

		while (isdigit((unsigned char)*++stop)) {
			*frac += (*stop - '0') * scale;
			scale /= 10;
		}
	}
	*end = stop;
	return -errno;
}

int keyval_size(const char *text, uint64_t unit, uint64_t *out, struct err *e)
{
	uint64_t whole, factor = unit;
	const char *end = text;
	double frac;
	int ret = size_digits(text, &whole, &frac, &end);

	if (ret == -ERANGE)
		goto range;
	if (ret)
		goto bad;
	if (*end) {
		int shift = size_shift(*end);

		if (shift < 0 || end[1])
			goto bad;
		factor = BIT64(shift);
	}
	if (frac != 0 && factor == 1)
		goto bad;
	if (whole > UINT64_MAX / factor || whole * factor > UINT64_MAX - factor)
		goto range;
	*out = whole * factor + (uint64_t)(frac * (double)factor);
	return 0;
bad:
	return err_set(e, -EINVAL,
		       "'%s' is not a size (a number with an optional suffix "
		       "K, M, G, T, P or E)",
		       text);
range:
	return err_set(e, -ERANGE, "size '%s' is too large", text);
}

int keyval_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
		  struct err *e)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (!isdigit((unsigned char)text[0]) || *end)
		return err_set(e, -EINVAL, "'%s' is not a number", text);
	if (errno || value < min || value > max)
		return err_set(e, -ERANGE, "%s is not between %llu and %llu",
			       text, (unsigned long long)min,
			       (unsigned long long)max);
	*out = value;
	return 0;
}

int keyval_bool(const char *text, bool *out, struct err *e)
{
	static const char *const words[] = {"off",   "on",   "no", "yes",
					    "false", "true", "n",  "y"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]))
			continue;
		*out = i & 1;
		return 0;
	}
	return err_set(e, -EINVAL, "'%s' is neither on nor off", text);
}
