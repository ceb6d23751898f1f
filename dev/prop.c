/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function for each direction over the types.
 */
#include "dev/prop.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "lib/keyval.h"

const struct prop *prop_find(const struct prop *table, const char *name)
{
	for (; table && table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

bool prop_is_id(const char *text)
{
	if (!isalpha((unsigned char)text[0]) || strlen(text) >= PROP_NAME)
		return false;
	while (isalnum((unsigned char)*text) || (*text && strchr("-._", *text)))
		text++;
	return !*text;
}

static int set_text(const struct prop *p, char *to, const char *text,
		    struct err *e)
{
	if (strlen(text) >= p->max)
		return err_set(e, -EINVAL, "'%s' is too long", text);
	strcpy(to, text);
	return 0;
}

/* "1f" or "1f.7". */
static int set_addr(unsigned *to, const char *text, struct err *e)
{
	unsigned slot, function = 0;
	int end = 0;

	if (!isxdigit((unsigned char)text[0]) ||
	    (sscanf(text, "%x%n.%1x%n", &slot, &end, &function, &end) < 1) ||
	    text[end] || slot < 1 || slot > 31 || function > 7)
		return err_set(e, -EINVAL,
			       "'%s' is not a slot from 1 to 1f with a "
			       "function from .0 to .7",
			       text);
	*to = slot * 8 + function;
	return 0;
}

static int set_number(const struct prop *p, uint64_t *to, const char *text,
		      struct err *e)
{
	uint64_t n;
	int ret;

	if (p->type == PROP_SIZE)
		ret = keyval_size(text, 1, &n, e);
	else
		ret = keyval_number(text, p->min, p->max, &n, e);
	if (!ret && (n < p->min || n > p->max))
		return err_set(e, -ERANGE, "%s is not between %llu and %llu",
			       text, (unsigned long long)p->min,
			       (unsigned long long)p->max);
	if (!ret && p->type == PROP_POWER && n & (n - 1))
		return err_set(e, -EINVAL, "%s is not a power of two", text);
	if (!ret)
		*to = n;
	return ret;
}

static int set_choice(const struct prop *p, unsigned *to, const char *text,
		      struct err *e)
{
	char words[128] = "";
	unsigned i;

	for (i = 0; p->choices[i]; i++) {
		if (!strcmp(p->choices[i], text)) {
			*to = i;
			return 0;
		}
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 "%s%s", i ? ", " : "", p->choices[i]);
	}
	return err_set(e, -EINVAL, "'%s' is not offered (%s)", text, words);
}

static int set_feature(const struct prop *p, struct virtio_features *f,
		       const char *text, struct err *e)
{
	bool on;
	int ret = keyval_bool(text, &on, e);

	if (!ret)
		features_put(f, (unsigned)p->min, on);
	return ret;
}

static int set_link(struct prop_link *to, const char *text, struct err *e)
{
	if (strlen(text) >= sizeof(to->id))
		return err_set(e, -EINVAL, "'%s' is too long", text);
	strcpy(to->id, text);
	return 0;
}

static int set(const struct prop *p, void *object, struct virtio_features *f,
	       const char *text, struct err *e)
{
	void *to = (char *)object + p->offset;

	switch (p->type) {
	case PROP_TEXT: return set_text(p, to, text, e);
	case PROP_NUMBER:
	case PROP_POWER:
	case PROP_SIZE: return set_number(p, to, text, e);
	case PROP_BOOL: return keyval_bool(text, to, e);
	case PROP_ADDR: return set_addr(to, text, e);
	case PROP_CHOICE: return set_choice(p, to, text, e);
	case PROP_FEATURE: return set_feature(p, f, text, e);
	case PROP_LINK: return set_link(to, text, e);
	}
	return -EINVAL;
}

int prop_set(const struct prop *p, void *object, struct virtio_features *f,
	     const char *text, struct err *e)
{
	int ret = set(p, object, f, text, e);

	return ret ? err_wrap(e, "%s", p->name) : 0;
}

void prop_defaults(const struct prop *table, void *object,
		   struct virtio_features *f)
{
	for (; table && table->name; table++)
		if (table->type != PROP_ADDR)
			ASSERT(!set(table, object, f, table->def, NULL));
}

static const char *on_off(bool on)
{
	return on ? "on" : "off";
}

static void text_of_addr(unsigned addr, char *buf, size_t size)
{
	if (addr)
		snprintf(buf, size, "%02x.%x", addr / 8, addr % 8);
	else
		snprintf(buf, size, "any");
}

void prop_text(const struct prop *p, const void *object,
	       const struct virtio_features *f, char *buf, size_t size)
{
	const void *from = (const char *)object + p->offset;

	switch (p->type) {
	case PROP_TEXT: snprintf(buf, size, "%s", (const char *)from); break;
	case PROP_NUMBER:
	case PROP_POWER:
	case PROP_SIZE:
		snprintf(buf, size, "%llu",
			 (unsigned long long)*(const uint64_t *)from);
		break;
	case PROP_BOOL:
		snprintf(buf, size, "%s", on_off(*(const bool *)from));
		break;
	case PROP_FEATURE:
		snprintf(buf, size, "%s",
			 on_off(features_has(f, (unsigned)p->min)));
		break;
	case PROP_ADDR: text_of_addr(*(const unsigned *)from, buf, size); break;
	case PROP_CHOICE:
		snprintf(buf, size, "%s", p->choices[*(const unsigned *)from]);
		break;
	case PROP_LINK:
		snprintf(buf, size, "%s", ((const struct prop_link *)from)->id);
		break;
	}
}

static void print_choices(const char *const *word)
{
	for (; *word; word++)
		printf("%s%s", *word, word[1] ? "|" : "");
}

void prop_print(const char *device, const struct prop *table)
{
	static const char *const types[] = {
		[PROP_TEXT] = "text",      [PROP_NUMBER] = "number",
		[PROP_POWER] = "number",   [PROP_SIZE] = "size",
		[PROP_BOOL] = "on|off",    [PROP_ADDR] = "slot[.function]",
		[PROP_FEATURE] = "on|off", [PROP_LINK] = "id",
	};

	for (; table && table->name; table++) {
		printf("%s.%s=<", device, table->name);
		if (table->type == PROP_CHOICE)
			print_choices(table->choices);
		else
			fputs(types[table->type], stdout);
		printf(">  %s (default: %s)\n", table->help,
		       table->def[0] ? table->def : "none");
	}
}
