/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short array; the JSON is json-c's to read.
 */
#include "host/block/dict.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keyval.h"

#define KEY_MAX 256

void dict_clear(struct dict *d)
{
	unsigned i;

	for (i = 0; i < d->count; i++) {
		free(d->entry[i].key);
		free(d->entry[i].value);
	}
	free(d->entry);
	*d = (struct dict){0};
}

static struct dict_entry *find(const struct dict *d, const char *key)
{
	unsigned i;

	for (i = 0; i < d->count; i++)
		if (!strcmp(d->entry[i].key, key))
			return &d->entry[i];
	return NULL;
}

int dict_put(struct dict *d, const char *key, const char *value, struct err *e)
{
	struct dict_entry *p = find(d, key);
	char *text = strdup(value);

	if (p && text) {
		free(p->value);
		p->value = text;
		p->taken = false;
		return 0;
	}
	p = realloc(d->entry, (d->count + 1) * sizeof(*p));
	if (p)
		d->entry = p;
	if (!p || !text) {
		free(text);
		return err_set(e, -ENOMEM, "out of memory");
	}
	p[d->count] = (struct dict_entry){strdup(key), text, false};
	if (!p[d->count].key) {
		free(text);
		return err_set(e, -ENOMEM, "out of memory");
	}
	d->count++;
	return 0;
}

static int put_value(struct dict *d, const char *key, struct json_object *v,
		     struct err *e);

static int put_object(struct dict *d, const char *prefix, struct json_object *o,
		      struct err *e)
{
	struct json_object_iterator it = json_object_iter_begin(o);
	struct json_object_iterator end = json_object_iter_end(o);
	char key[KEY_MAX];
	int ret = 0, n;

	for (; !ret && !json_object_iter_equal(&it, &end);
	     json_object_iter_next(&it)) {
		n = snprintf(key, sizeof(key), "%s%s%s", prefix,
			     prefix[0] ? "." : "",
			     json_object_iter_peek_name(&it));
		if (n >= (int)sizeof(key))
			return err_set(e, -EINVAL, "'%s' is too long", prefix);
		ret = put_value(d, key, json_object_iter_peek_value(&it), e);
	}
	return ret;
}

static int put_value(struct dict *d, const char *key, struct json_object *v,
		     struct err *e)
{
	switch (json_object_get_type(v)) {
	case json_type_object: return put_object(d, key, v, e);
	case json_type_boolean:
		return dict_put(d, key,
				json_object_get_boolean(v) ? "on" : "off", e);
	case json_type_int:
	case json_type_double:
	case json_type_string:
		return dict_put(d, key, json_object_get_string(v), e);
	case json_type_null: return dict_put(d, key, "", e);
	default:
		return err_set(e, -EINVAL, "'%s' is a list, which no option is",
			       key);
	}
}

int dict_put_json(struct dict *d, const char *text, struct err *e)
{
	enum json_tokener_error why;
	struct json_object *o = json_tokener_parse_verbose(text, &why);
	int ret;

	if (!o)
		return err_set(e, -EINVAL, "not JSON: %s",
			       json_tokener_error_desc(why));
	ret = json_object_is_type(o, json_type_object)
		      ? put_object(d, "", o, e)
		      : err_set(e, -EINVAL, "not a JSON object");
	json_object_put(o);
	return ret;
}

const char *dict_get(const struct dict *d, const char *key)
{
	const struct dict_entry *p = find(d, key);

	return p && !p->taken ? p->value : NULL;
}

const char *dict_take(struct dict *d, const char *key)
{
	struct dict_entry *p = find(d, key);

	if (!p || p->taken)
		return NULL;
	p->taken = true;
	return p->value;
}

int dict_take_bool(struct dict *d, const char *key, bool *out, struct err *e)
{
	const char *text = dict_take(d, key);

	return text && keyval_bool(text, out, e) ? err_wrap(e, "%s", key) : 0;
}

int dict_take_size(struct dict *d, const char *key, uint64_t *out,
		   struct err *e)
{
	const char *text = dict_take(d, key);

	return text && keyval_size(text, 1, out, e) ? err_wrap(e, "%s", key)
						    : 0;
}

int dict_split(struct dict *d, const char *prefix, struct dict *out,
	       struct err *e)
{
	size_t len = strlen(prefix);
	struct dict_entry *p;
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < d->count; i++) {
		p = &d->entry[i];
		if (p->taken || strncmp(p->key, prefix, len) ||
		    p->key[len] != '.')
			continue;
		p->taken = true;
		ret = dict_put(out, p->key + len + 1, p->value, e);
	}
	return ret;
}

const char *dict_left(const struct dict *d)
{
	unsigned i;

	for (i = 0; i < d->count; i++)
		if (!d->entry[i].taken)
			return d->entry[i].key;
	return NULL;
}
