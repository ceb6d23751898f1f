/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading descriptions of types, and holding values against them. The
 * sentences are those of QEMU, which clients look for.
 */
#include "vmm/qmp/type.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/check.h"

/* Of nested members: "a.b[].c". */
#define PATH_MAX_LEN 256

static const struct {
	const char *name;
	const char *json; /* as the schema calls it */
	const char *what; /* as people do */
	enum json_type type;
} builtins[] = {
	{"str", "string", "string", json_type_string},
	{"int", "int", "integer", json_type_int},
	{"number", "number", "number", json_type_double},
	{"bool", "boolean", "boolean", json_type_boolean},
	{"any", "value", "value", json_type_null},
};

const char *qmp_builtin_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(builtins); i++)
		if (!strcmp(builtins[i].name, name))
			return builtins[i].json;
	return NULL;
}

const struct qmp_type *qmp_type_find(const char *name)
{
	const struct qmp_type *t;

	for (t = qmp_types; t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

static void copy(char *to, const char *from, size_t len)
{
	ASSERT(len && len < QMP_NAME_MAX);
	memcpy(to, from, len);
	to[len] = '\0';
}

bool qmp_member_next(const char **spec, struct qmp_member *m)
{
	const char *p = *spec + strspn(*spec, " ");
	size_t len = strcspn(p, " ");
	const char *colon = memchr(p, ':', len);
	size_t name = colon ? (size_t)(colon - p) : len;

	if (!len)
		return false;
	*m = (struct qmp_member){0};
	m->optional = colon && colon[-1] == '?';
	copy(m->name, p, name - m->optional);
	if (colon)
		copy(m->type, colon + 1, len - name - 1);
	*spec = p + len;
	return true;
}

static int wrong(const char *name, const char *what, struct err *e)
{
	return err_set(e, -EINVAL,
		       "Invalid parameter type for '%s', expected: %s", name,
		       what);
}

static bool is_builtin(size_t i, struct json_object *v)
{
	enum json_type type = json_object_get_type(v);

	if (builtins[i].type == json_type_null || type == builtins[i].type)
		return true;
	return builtins[i].type == json_type_double && type == json_type_int;
}

static int check_enum(const char *values, const char *name,
		      struct json_object *v, struct err *e)
{
	struct qmp_member m;

	if (!json_object_is_type(v, json_type_string))
		return wrong(name, "string", e);
	while (qmp_member_next(&values, &m))
		if (!strcmp(m.name, json_object_get_string(v)))
			return 0;
	return err_set(e, -EINVAL,
		       "Parameter '%s' does not accept value '%.64s'", name,
		       json_object_get_string(v));
}

/* "outer.inner", without a dot when @outer is "". */
static const char *join(char *buf, const char *outer, const char *inner)
{
	snprintf(buf, PATH_MAX_LEN, "%s%s%s", outer, *outer ? "." : "", inner);
	return buf;
}

static int check_members(const char *spec, bool open, const char *outer,
			 struct json_object *v, struct err *e);

static int check_named(const char *type, const char *name,
		       struct json_object *v, struct err *e)
{
	const struct qmp_type *t = qmp_type_find(type);

	ASSERT(t);
	if (t->meta == QMP_ENUM)
		return check_enum(t->spec, name, v, e);
	if (!json_object_is_type(v, json_type_object))
		return wrong(name, "object", e);
	return check_members(t->spec, false, name, v, e);
}

static int check_list(const char *type, const char *name, struct json_object *v,
		      struct err *e)
{
	char element[QMP_NAME_MAX], where[PATH_MAX_LEN];
	size_t i;
	int ret = 0;

	copy(element, type + 1, strlen(type) - 2);
	if (!json_object_is_type(v, json_type_array))
		return wrong(name, "array", e);
	for (i = 0; !ret && i < json_object_array_length(v); i++) {
		snprintf(where, sizeof(where), "%s[%zu]", name, i);
		ret = qmp_check(element, where, json_object_array_get_idx(v, i),
				e);
	}
	return ret;
}

int qmp_check(const char *type, const char *name, struct json_object *v,
	      struct err *e)
{
	size_t i;

	if (type[0] == '[')
		return check_list(type, name, v, e);
	for (i = 0; i < ARRAY_SIZE(builtins); i++)
		if (!strcmp(builtins[i].name, type))
			return is_builtin(i, v)
				       ? 0
				       : wrong(name, builtins[i].what, e);
	return check_named(type, name, v, e);
}

static bool has_member(const char *spec, const char *name)
{
	struct qmp_member m;

	while (qmp_member_next(&spec, &m))
		if (!strcmp(m.name, name))
			return true;
	return false;
}

static int check_others(const char *spec, const char *outer,
			struct json_object *v, struct err *e)
{
	char where[PATH_MAX_LEN];

	json_object_object_foreach(v, key, member)
	{
		(void)member;
		if (!has_member(spec, key))
			return err_set(e, -EINVAL,
				       "Parameter '%s' is unexpected",
				       join(where, outer, key));
	}
	return 0;
}

static int check_members(const char *spec, bool open, const char *outer,
			 struct json_object *v, struct err *e)
{
	const char *rest = spec;
	struct json_object *value;
	char where[PATH_MAX_LEN];
	struct qmp_member m;
	int ret = 0;

	while (!ret && qmp_member_next(&rest, &m)) {
		join(where, outer, m.name);
		if (json_object_object_get_ex(v, m.name, &value))
			ret = qmp_check(m.type, where, value, e);
		else if (!m.optional)
			ret = err_set(e, -EINVAL, "Parameter '%s' is missing",
				      where);
	}
	return ret || open ? ret : check_others(spec, outer, v, e);
}

int qmp_check_members(const char *spec, bool open, struct json_object *v,
		      struct err *e)
{
	return check_members(spec, open, "", v, e);
}
