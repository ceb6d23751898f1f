/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text ends where its outermost bracket is closed; strings are looked
 * through for that, and nothing else is.
 */
#include "vmm/qmp/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void restart(struct json_stream *s)
{
	s->used = 0;
	s->depth = 0;
	s->quote = '\0';
	s->escaped = false;
}

void json_stream_free(struct json_stream *s)
{
	free(s->buf);
	*s = (struct json_stream){0};
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int keep(struct json_stream *s, char c)
{
	size_t size = s->size ? 2 * s->size : 256;
	char *buf;

	if (s->used == JSON_MAX_SIZE)
		return -E2BIG;
	if (s->used == s->size) {
		buf = realloc(s->buf, size);
		if (!buf)
			return -ENOMEM;
		s->buf = buf;
		s->size = size;
	}
	s->buf[s->used++] = c;
	return 0;
}

static void scan_string(struct json_stream *s, char c)
{
	if (s->escaped)
		s->escaped = false;
	else if (c == '\\')
		s->escaped = true;
	else if (c == s->quote)
		s->quote = '\0';
}

/* True at the end of a text. */
static bool scan(struct json_stream *s, char c)
{
	if (s->quote) {
		scan_string(s, c);
		return false;
	}
	switch (c) {
	case '"':
	case '\'': s->quote = c; return false;
	case '{':
	case '[': s->depth++; return false;
	case '}':
	case ']':
		if (s->depth)
			s->depth--;
		return !s->depth;
	default: return false;
	}
}

/* Strings are C's here; one with a NUL inside cannot be. */
static bool has_nul(struct json_object *v)
{
	size_t i;

	switch (json_object_get_type(v)) {
	case json_type_string:
		return strlen(json_object_get_string(v)) !=
		       (size_t)json_object_get_string_len(v);
	case json_type_array:
		for (i = 0; i < json_object_array_length(v); i++)
			if (has_nul(json_object_array_get_idx(v, i)))
				return true;
		return false;
	case json_type_object: {
		json_object_object_foreach(v, key, member)
		{
			(void)key;
			if (has_nul(member))
				return true;
		}
		return false;
	}
	default: return false;
	}
}

static int parse(struct json_stream *s, struct json_object **out, struct err *e)
{
	struct json_tokener *t = json_tokener_new_ex(JSON_MAX_DEPTH);
	enum json_tokener_error why;
	struct json_object *v;

	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	json_tokener_set_flags(t, JSON_TOKENER_VALIDATE_UTF8);
	v = json_tokener_parse_ex(t, s->buf, (int)s->used);
	why = json_tokener_get_error(t);
	if (why == json_tokener_success &&
	    json_tokener_get_parse_end(t) != s->used)
		why = json_tokener_error_parse_unexpected;
	json_tokener_free(t);
	if (why != json_tokener_success) {
		json_object_put(v);
		return err_set(e, -EINVAL, "JSON parse error, %s",
			       json_tokener_error_desc(why));
	}
	if (has_nul(v)) {
		json_object_put(v);
		return err_set(e, -EINVAL, "JSON parse error, NUL in a string");
	}
	*out = v;
	return 1;
}

/* A word outside of all brackets. */
static int stray(struct json_stream *s, struct err *e)
{
	err_set(e, -EINVAL, "JSON parse error, stray '%.*s'",
		(int)MIN(s->used, (size_t)32), s->buf);
	restart(s);
	return e->code;
}

static bool opens(char c)
{
	return c == '{' || c == '[';
}

/* Between texts: true when @c begins or goes on with a stray word. */
static bool between(struct json_stream *s, char c)
{
	return !s->depth && !s->quote && !opens(c);
}

static int take(struct json_stream *s, char c, struct json_object **out,
		struct err *e)
{
	int ret = keep(s, c);

	if (ret) {
		restart(s);
		s->skip = true;
		return err_set(e, ret,
			       "JSON parse error, more than %u bytes of text",
			       JSON_MAX_SIZE);
	}
	if (!scan(s, c))
		return 0;
	ret = parse(s, out, e);
	restart(s);
	return ret;
}

size_t json_stream_feed(struct json_stream *s, const char *p, size_t n,
			struct json_object **out, int *ret, struct err *e)
{
	size_t i;

	*ret = 0;
	for (i = 0; i < n; i++) {
		if (s->skip) {
			s->skip = p[i] != '\n';
			continue;
		}
		/* What a client sends to be sure that a text begins now. */
		if (!s->depth && !s->used && (uint8_t)p[i] == 0xff)
			continue;
		if (between(s, p[i]) && is_space(p[i])) {
			if (s->used)
				*ret = stray(s, e);
		} else if (!s->depth && s->used && opens(p[i])) {
			*ret = stray(s, e);
			return i; /* once more, as a beginning */
		} else if (between(s, p[i])) {
			/* No quotes here: they would swallow what follows. */
			if (keep(s, p[i]) || s->used == 64)
				*ret = stray(s, e);
		} else {
			*ret = take(s, p[i], out, e);
		}
		if (*ret)
			return i + 1;
	}
	return n;
}

/* ---- writing ---- */

static void indent(FILE *f, unsigned depth, bool pretty)
{
	if (pretty)
		fprintf(f, "\n%*s", (int)(4 * depth), "");
}

/* One character of valid UTF-8; *@p moves on. */
static unsigned next_char(const unsigned char **p)
{
	static const unsigned char mask[] = {0x7f, 0x7f, 0x1f, 0x0f, 0x07};
	unsigned len = **p < 0x80 ? 1 : **p < 0xe0 ? 2 : **p < 0xf0 ? 3 : 4;
	unsigned c = *(*p)++ & mask[len];

	while (--len && (**p & 0xc0) == 0x80)
		c = c << 6 | (*(*p)++ & 0x3f);
	return c;
}

static void print_char(FILE *f, unsigned c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *found = c ? strchr(from, (int)MIN(c, 0x7fU)) : NULL;

	if (found)
		fprintf(f, "\\%c", to[found - from]);
	else if (c >= 0x10000)
		fprintf(f, "\\u%04X\\u%04X", 0xd800 + ((c - 0x10000) >> 10),
			0xdc00 + (c & 0x3ff));
	else if (c < 0x20 || c >= 0x7f)
		fprintf(f, "\\u%04X", c);
	else
		fputc((int)c, f);
}

static void print_string(FILE *f, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	fputc('"', f);
	while (*p)
		print_char(f, next_char(&p));
	fputc('"', f);
}

static void print(FILE *f, struct json_object *v, unsigned depth, bool pretty);

static void print_array(FILE *f, struct json_object *v, unsigned depth,
			bool pretty)
{
	size_t i, n = json_object_array_length(v);

	fputc('[', f);
	for (i = 0; i < n; i++) {
		if (i)
			fputs(pretty ? "," : ", ", f);
		indent(f, depth + 1, pretty);
		print(f, json_object_array_get_idx(v, i), depth + 1, pretty);
	}
	if (n)
		indent(f, depth, pretty);
	fputc(']', f);
}

static void print_object(FILE *f, struct json_object *v, unsigned depth,
			 bool pretty)
{
	bool first = true;

	fputc('{', f);
	json_object_object_foreach(v, key, member)
	{
		if (!first)
			fputs(pretty ? "," : ", ", f);
		first = false;
		indent(f, depth + 1, pretty);
		print_string(f, key);
		fputs(": ", f);
		print(f, member, depth + 1, pretty);
	}
	if (!first)
		indent(f, depth, pretty);
	fputc('}', f);
}

static void print_double(FILE *f, double d)
{
	/* JSON has no others. */
	fprintf(f, "%.17g", isfinite(d) ? d : 0);
}

static void print(FILE *f, struct json_object *v, unsigned depth, bool pretty)
{
	switch (json_object_get_type(v)) {
	case json_type_object: print_object(f, v, depth, pretty); break;
	case json_type_array: print_array(f, v, depth, pretty); break;
	case json_type_string:
		print_string(f, json_object_get_string(v));
		break;
	case json_type_double:
		print_double(f, json_object_get_double(v));
		break;
	case json_type_null: fputs("null", f); break;
	default: fputs(json_object_to_json_string(v), f); break;
	}
}

char *json_print(struct json_object *v, bool pretty, const char *end)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	print(f, v, 0, pretty);
	fputs(end, f);
	if (!fclose(f))
		return text;
	free(text);
	return NULL;
}

void json_put_str(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

void json_put_int(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key,
			       v > INT64_MAX
				       ? json_object_new_uint64(v)
				       : json_object_new_int64((int64_t)v));
}

void json_put_bool(struct json_object *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

struct json_object *json_put_object(struct json_object *o, const char *key)
{
	struct json_object *v = json_object_new_object();

	json_object_object_add(o, key, v);
	return v;
}

struct json_object *json_put_array(struct json_object *o, const char *key)
{
	struct json_object *v = json_object_new_array();

	json_object_object_add(o, key, v);
	return v;
}

struct json_object *json_add_object(struct json_object *array)
{
	struct json_object *v = json_object_new_object();

	json_object_array_add(array, v);
	return v;
}

const char *json_get_str(struct json_object *o, const char *key)
{
	struct json_object *v = json_object_object_get(o, key);

	return v ? json_object_get_string(v) : NULL;
}

bool json_get_bool(struct json_object *o, const char *key, bool def)
{
	struct json_object *v = json_object_object_get(o, key);

	return v ? json_object_get_boolean(v) : def;
}

int64_t json_get_int(struct json_object *o, const char *key, int64_t def)
{
	struct json_object *v = json_object_object_get(o, key);

	return v ? json_object_get_int64(v) : def;
}
