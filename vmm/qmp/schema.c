/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query-qmp-schema. Named types come first and are called by their place in
 * the table, so that no client relies on names; those of arguments and of the
 * data of events follow.
 */
#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "vmm/qmp/command.h"
#include "vmm/qmp/type.h"

struct build {
	struct json_object *list;
	unsigned next; /* number of the next type without a name */
};

static unsigned type_number(const char *name)
{
	const struct qmp_type *t = qmp_type_find(name);

	ASSERT(t);
	return (unsigned)(t - qmp_types);
}

/* What the schema calls @type: builtins by name, all others by number. */
static void refer(char *buf, const char *type)
{
	char element[QMP_NAME_MAX];
	size_t len = strlen(type);

	if (qmp_builtin_find(type)) {
		strcpy(buf, type);
	} else if (type[0] != '[') {
		snprintf(buf, QMP_NAME_MAX, "%u", type_number(type));
	} else {
		char inner[QMP_NAME_MAX];

		memcpy(element, type + 1, len - 2);
		element[len - 2] = '\0';
		refer(inner, element);
		snprintf(buf, QMP_NAME_MAX, "[%.60s]", inner);
	}
}

static struct json_object *entity(struct build *b, const char *name,
				  const char *meta)
{
	struct json_object *o = json_add_object(b->list);

	json_put_str(o, "name", name);
	json_put_str(o, "meta-type", meta);
	return o;
}

static bool described(struct build *b, const char *name)
{
	size_t i;

	for (i = 0; i < json_object_array_length(b->list); i++)
		if (!strcmp(name,
			    json_get_str(json_object_array_get_idx(b->list, i),
					 "name")))
			return true;
	return false;
}

/* A list is described where it is used first. */
static void need_list(struct build *b, const char *type)
{
	char name[QMP_NAME_MAX], element[QMP_NAME_MAX];
	size_t len;

	if (type[0] != '[')
		return;
	refer(name, type);
	if (described(b, name))
		return;
	len = strlen(name);
	memcpy(element, name + 1, len - 2);
	element[len - 2] = '\0';
	json_put_str(entity(b, name, "array"), "element-type", element);
}

static void describe_object(struct build *b, const char *name, const char *spec)
{
	struct json_object *members, *o;
	struct qmp_member m;
	const char *rest;
	char ref[QMP_NAME_MAX];

	for (rest = spec; qmp_member_next(&rest, &m);)
		need_list(b, m.type);
	members = json_put_array(entity(b, name, "object"), "members");
	for (rest = spec; qmp_member_next(&rest, &m);) {
		o = json_add_object(members);
		json_put_str(o, "name", m.name);
		if (m.optional)
			json_object_object_add(o, "default", NULL);
		refer(ref, m.type);
		json_put_str(o, "type", ref);
	}
}

static void describe_enum(struct build *b, const char *name, const char *spec)
{
	struct json_object *o = entity(b, name, "enum");
	struct json_object *members = json_put_array(o, "members");
	struct json_object *values = json_put_array(o, "values");
	struct qmp_member m;

	while (qmp_member_next(&spec, &m)) {
		json_put_str(json_add_object(members), "name", m.name);
		json_object_array_add(values, json_object_new_string(m.name));
	}
}

static void describe_builtins(struct build *b)
{
	static const char *const names[] = {"str", "int", "number", "bool",
					    "any"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		json_put_str(entity(b, names[i], "builtin"), "json-type",
			     qmp_builtin_find(names[i]));
}

static void describe_types(struct build *b)
{
	const struct qmp_type *t;
	char name[QMP_NAME_MAX];

	for (t = qmp_types; t->name; t++) {
		snprintf(name, sizeof(name), "%u", (unsigned)(t - qmp_types));
		if (t->meta == QMP_ENUM)
			describe_enum(b, name, t->spec);
		else
			describe_object(b, name, t->spec);
	}
	b->next = (unsigned)(t - qmp_types);
}

/* A type without a name; returns what it is called in @name. */
static void describe_members(struct build *b, const char *spec, char *name)
{
	snprintf(name, QMP_NAME_MAX, "%u", b->next++);
	describe_object(b, name, spec);
}

static void describe_command(struct build *b, const struct qmp_command *c)
{
	char args[QMP_NAME_MAX], ret[QMP_NAME_MAX];
	struct json_object *o;

	describe_members(b, c->args, args);
	if (c->ret[0]) {
		need_list(b, c->ret);
		refer(ret, c->ret);
	} else {
		describe_members(b, "", ret);
	}
	o = entity(b, c->name, "command");
	json_put_str(o, "arg-type", args);
	json_put_str(o, "ret-type", ret);
	json_put_bool(o, "allow-oob", false);
}

struct json_object *qmp_schema(void)
{
	struct build b = {.list = json_object_new_array()};
	const struct qmp_command *c;
	const struct qmp_event *v;
	char name[QMP_NAME_MAX];
	unsigned i;

	describe_builtins(&b);
	describe_types(&b);
	for (i = 0; (c = qmp_command_at(i)); i++)
		describe_command(&b, c);
	for (v = qmp_events; v->name; v++) {
		describe_members(&b, v->spec, name);
		json_put_str(entity(&b, v->name, "event"), "arg-type", name);
	}
	return b.list;
}
