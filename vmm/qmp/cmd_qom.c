/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that look into objects.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/virtio/balloon.h"
#include "vmm/machine.h"
#include "vmm/qmp/qom.h"
#include "vmm/qmp/type.h"
#include "vmm/virtio.h"

struct children {
	const char *of;
	struct json_object *rows;
};

static bool add_child(void *ctx, const struct qom_object *o)
{
	const struct children *c = ctx;
	const char *name = strrchr(o->path, '/') + 1;
	size_t len = strlen(c->of);
	char type[QOM_TYPE + 8];

	/* The root is its own slash. */
	if (len == 1)
		len = 0;
	if (!*name || strncmp(o->path, c->of, len) || name != o->path + len + 1)
		return true;
	snprintf(type, sizeof(type), "child<%s>", o->type);
	qom_put(c->rows, name, type, json_object_new_string(o->path));
	return true;
}

/* The rows of the object at the member "path", which is *@o then; or NULL. */
static struct json_object *rows_of(struct qmp *q, struct json_object *args,
				   struct qom_object *o, struct err *e)
{
	struct children c = {.of = o->path};

	if (qom_find(q, json_get_str(args, "path"), o, e))
		return NULL;
	c.rows = json_object_new_array();
	qom_put(c.rows, "type", "string", json_object_new_string(o->type));
	if (o->props)
		o->props(q, o, c.rows);
	qom_walk(q, add_child, &c);
	return c.rows;
}

static int qom_list(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e)
{
	struct qom_object o;
	struct json_object *rows = rows_of(q, args, &o, e);
	size_t i;

	if (!rows)
		return e->code;
	for (i = 0; i < json_object_array_length(rows); i++)
		json_object_object_del(json_object_array_get_idx(rows, i),
				       "value");
	*ret = rows;
	return 0;
}

static struct json_object *find_row(struct json_object *rows, const char *name)
{
	struct json_object *row;
	size_t i;

	for (i = 0; i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		if (!strcmp(json_get_str(row, "name"), name))
			return row;
	}
	return NULL;
}

static int no_property(const struct qom_object *o, const char *name,
		       struct err *e)
{
	return err_set(e, -EINVAL, "Property '%s.%.64s' not found", o->type,
		       name);
}

static int qom_get(struct qmp *q, struct json_object *args,
		   struct json_object **ret, struct err *e)
{
	const char *name = json_get_str(args, "property");
	struct qom_object o;
	struct json_object *rows = rows_of(q, args, &o, e), *row;

	if (!rows)
		return e->code;
	row = find_row(rows, name);
	if (row)
		*ret = json_object_get(json_object_object_get(row, "value"));
	else
		no_property(&o, name, e);
	json_object_put(rows);
	return row ? 0 : e->code;
}

/* The next machine, after a reset, has it from the configuration. */
static int set_period(struct devconf_device *d, struct json_object *value,
		      struct err *e)
{
	struct virtio_device *dev = virtio_device(d);
	int ret = qmp_check("int", "value", value, e);

	if (!ret)
		ret = devconf_set(d, BALLOON_PERIOD,
				  json_object_get_string(value), e);
	if (ret || !dev)
		return ret;
	return virtio_balloon_poll(dev, (unsigned)json_object_get_int64(value),
				   e);
}

/* What was made is as it is: other commands are for what else can change. */
static int qom_set(struct qmp *q, struct json_object *args,
		   struct json_object **ret, struct err *e)
{
	const char *name = json_get_str(args, "property");
	struct qom_object o;
	struct json_object *rows = rows_of(q, args, &o, e);

	if (!rows)
		return e->code;
	if (find_row(rows, name) && !strcmp(name, BALLOON_PERIOD))
		set_period(o.device, json_object_object_get(args, "value"), e);
	else if (find_row(rows, name))
		err_set(e, -EPERM, "Property '%s.%s' is not writable", o.type,
			name);
	else
		no_property(&o, name, e);
	json_object_put(rows);
	return e->code;
}

/* ---- types ---- */

/* Those that no list has; an empty parent: none. */
static const struct base {
	const char *name;
	const char *parent;
	bool abstract;
} bases[] = {
	{"object", "", true},
	{"container", "object", false},
	{"machine", "object", true},
	{"chardev", "object", true},
	{"rng-backend", "object", true},
	{"device", "object", true},
	{"cpu", "device", true},
	{"x86_64-cpu", "cpu", true},
	{"pci-device", "device", true},
	{"virtio-pci", "pci-device", true},
	{"sys-bus-device", "device", true},
	{"virtio-mmio", "sys-bus-device", false},
	{"virtio-device", "device", true},
	{"virtio-serial-port", "device", true},
};

static const char *parent_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bases); i++)
		if (!strcmp(bases[i].name, name))
			return bases[i].parent;
	return "";
}

struct types {
	struct json_object *list;
	const char *implements; /* NULL: any */
	bool abstract;          /* these too */
};

static void add_type(const struct types *t, const char *name,
		     const char *parent, bool abstract)
{
	const char *is = name;
	struct json_object *o;

	if (abstract && !t->abstract)
		return;
	if (t->implements && strcmp(name, t->implements))
		for (is = parent; strcmp(is, t->implements);) {
			is = parent_of(is);
			if (!*is)
				return;
		}
	o = json_add_object(t->list);
	json_put_str(o, "name", name);
	if (abstract)
		json_put_bool(o, "abstract", true);
	if (*parent)
		json_put_str(o, "parent", parent);
}

static void add_devices(const struct types *types)
{
	static const struct {
		const char *ending, *parent;
	} forms[] = {
		{"-pci", "virtio-pci"},
		{"-pci-non-transitional", "virtio-pci"},
		{"-device", "virtio-device"},
	};
	const struct virtio_type *t = NULL;
	char name[QOM_TYPE];
	size_t i;

	while ((t = virtio_type_next(t))) {
		if (t->part_of)
			add_type(types, t->name, "virtio-serial-port", false);
		for (i = 0; !t->part_of && i < ARRAY_SIZE(forms); i++) {
			snprintf(name, sizeof(name), "%s%s", t->name,
				 forms[i].ending);
			add_type(types, name, forms[i].parent, false);
		}
	}
}

static void add_cpus(const struct types *types)
{
	static const char *const others[] = {"max", "host", "base"};
	const struct cpu_model *m;
	char name[QOM_TYPE];
	unsigned n, v;

	for (n = 0; n < ARRAY_SIZE(others); n++) {
		snprintf(name, sizeof(name), "%s-x86_64-cpu", others[n]);
		add_type(types, name, "x86_64-cpu", false);
	}
	for (n = 0; (m = model_get(n)); n++) {
		snprintf(name, sizeof(name), "%s-x86_64-cpu", m->name);
		add_type(types, name, "x86_64-cpu", false);
		for (v = 1; v <= model_versions(m); v++) {
			snprintf(name, sizeof(name), "%s-v%u-x86_64-cpu",
				 m->name, v);
			add_type(types, name, "x86_64-cpu", false);
		}
	}
}

static void add_rest(const struct types *types)
{
	const struct object_kind *k;
	struct machtype m;
	const char *alias;
	char name[QOM_TYPE];
	unsigned n;

	for (n = 0; (k = devconf_object_kind(n)); n++)
		add_type(types, k->name, "rng-backend", false);
	for (n = 0; *qom_port_type(n); n++)
		add_type(types, qom_port_type(n), "chardev", false);
	for (n = 0; machtype_get(n, &m, &alias); n++) {
		snprintf(name, sizeof(name), "%s-machine", m.name);
		add_type(types, name, "machine", false);
	}
	for (n = 0; n < ARRAY_SIZE(bases); n++)
		add_type(types, bases[n].name, bases[n].parent,
			 bases[n].abstract);
}

static void add_types(const struct types *types)
{
	add_devices(types);
	add_cpus(types);
	add_rest(types);
}

static int list_types(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	const struct types types = {
		.list = *ret = json_object_new_array(),
		.implements = json_get_str(args, "implements"),
		.abstract = json_get_bool(args, "abstract", false),
	};

	add_types(&types);
	return 0;
}

/* What an operator can say of a device, and what it is if he does not. */
static int put_defaults(const struct virtio_type *t, struct json_object *rows,
			struct err *e)
{
	struct virtio_conf *c = virtio_conf_new(t);
	struct json_object *row, *value;
	char text[PROP_PATH];
	const struct prop *p;
	unsigned i;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; (p = virtio_type_prop(t, i)); i++) {
		virtio_conf_text(c, p, text, sizeof(text));
		row = qom_put_prop(rows, p, text);
		json_put_str(row, "description", p->help);
		if (p->def[0] && p->type != PROP_ADDR) {
			value = json_object_object_get(row, "value");
			json_object_object_add(row, "default-value",
					       json_object_get(value));
		}
		json_object_object_del(row, "value");
	}
	free(c);
	return 0;
}

static bool is_type(const char *name, const char *base)
{
	const struct types types = {json_object_new_array(), base, true};
	struct json_object *row;

	add_types(&types);
	row = find_row(types.list, name);
	json_object_put(types.list);
	return row;
}

static int device_properties(struct qmp *q, struct json_object *args,
			     struct json_object **ret, struct err *e)
{
	const char *name = json_get_str(args, "typename");
	const struct virtio_type *t;
	enum virtio_bus bus;

	if (!is_type(name, "object"))
		return err_set(e, -ENODEV, "Device '%s' not found", name);
	t = virtio_type_find(name, &bus);
	if (!t)
		return err_set(e, -EINVAL,
			       "Parameter 'typename' expects a non-abstract "
			       "device type");
	*ret = json_object_new_array();
	return put_defaults(t, *ret, e);
}

static void put_object_props(const char *name, struct json_object *rows)
{
	const struct object_kind *k;
	const struct prop *p;
	struct json_object *row;
	unsigned n;

	for (n = 0; (k = devconf_object_kind(n)); n++) {
		if (strcmp(k->name, name))
			continue;
		for (p = k->props; p->name; p++) {
			row = qom_put_prop(rows, p, p->def ? p->def : "");
			json_put_str(row, "description", p->help);
		}
	}
}

/* Of any type: what its objects have. */
static int type_properties(struct qmp *q, struct json_object *args,
			   struct json_object **ret, struct err *e)
{
	static const char *const alike[] = {"x86_64-cpu", "machine"};
	const char *name = json_get_str(args, "typename");
	const struct virtio_type *t;
	struct json_object *rows;
	enum virtio_bus bus;
	size_t i;

	if (!is_type(name, "object"))
		return err_set(e, -ENODEV, "Class '%.64s' not found", name);
	*ret = rows = json_object_new_array();
	qom_put(rows, "type", "string", NULL);
	t = virtio_type_find(name, &bus);
	if (t && put_defaults(t, rows, e)) {
		json_object_put(rows);
		*ret = NULL;
		return e->code;
	}
	put_object_props(name, rows);
	for (i = 0; i < ARRAY_SIZE(alike); i++)
		if (is_type(name, alike[i]) && strcmp(name, alike[i]))
			qom_put_alike(q, alike[i], rows);
	for (i = 0; i < json_object_array_length(rows); i++)
		json_object_object_del(json_object_array_get_idx(rows, i),
				       "value");
	return 0;
}

const struct qmp_command qmp_qom_commands[] = {
	{"qom-list", "path:str", false, "[ObjectPropertyInfo]",
	 "what an object has", qom_list},
	{"qom-get", "path:str property:str", false, "any", "what a property is",
	 qom_get},
	{"qom-set", "path:str property:str value:any", false, "",
	 "how often a balloon is asked; others cannot be changed", qom_set},
	{"qom-list-types", "implements?:str abstract?:bool", false,
	 "[ObjectTypeInfo]", "types of objects", list_types},
	{"qom-list-properties", "typename:str", false, "[ObjectPropertyInfo]",
	 "what objects of a type have", type_properties},
	{"device-list-properties", "typename:str", false,
	 "[ObjectPropertyInfo]", "what -device takes", device_properties},
	{0},
};
