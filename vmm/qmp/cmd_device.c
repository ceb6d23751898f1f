/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that add and remove devices and what they are connected to. The
 * members of their arguments become an option's value, so that both have one
 * parser and the same sentences.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/nic.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/qmp/lent/passed.h"
#include "vmm/run/hotplug.h"
#include "vmm/virtio.h"

static struct devconf *devices(struct qmp *q)
{
	return q->control->machine->dev;
}

/* A scalar as an option has it; NULL for what is none. */
static const char *scalar(struct json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_boolean:
		return json_object_get_boolean(v) ? "on" : "off";
	case json_type_string:
	case json_type_int:
	case json_type_double: return json_object_get_string(v);
	default: return NULL;
	}
}

static int put_pair(FILE *f, const char *key, struct json_object *v,
		    struct err *e)
{
	const char *text = scalar(v);

	if (!text)
		return err_set(e, -EINVAL,
			       "Invalid parameter type for '%s', expected: "
			       "string",
			       key);
	if (strpbrk(key, ",="))
		return err_set(e, -EINVAL, "Parameter '%s' is unexpected", key);
	fprintf(f, ",%s=", key);
	for (; *text; text++)
		fprintf(f, *text == ',' ? ",," : "%c", *text);
	return 0;
}

static int flatten(FILE *f, const char *outer, struct json_object *v,
		   struct err *e);

/* [{"str": "x"}, ...]: the key once for each. */
static int flatten_list(FILE *f, const char *key, struct json_object *v,
			struct err *e)
{
	struct json_object *element, *text;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < json_object_array_length(v); i++) {
		element = json_object_array_get_idx(v, i);
		if (json_object_is_type(element, json_type_object) &&
		    json_object_object_get_ex(element, "str", &text))
			element = text;
		ret = put_pair(f, key, element, e);
	}
	return ret;
}

static int flatten_member(FILE *f, const char *key, struct json_object *v,
			  struct err *e)
{
	switch (json_object_get_type(v)) {
	case json_type_object: return flatten(f, key, v, e);
	case json_type_array: return flatten_list(f, key, v, e);
	default: return put_pair(f, key, v, e);
	}
}

/* "outer.inner=value" for each member; depth is the parser's limit. */
static int flatten(FILE *f, const char *outer, struct json_object *v,
		   struct err *e)
{
	char key[128];
	int ret = 0;

	json_object_object_foreach(v, name, member)
	{
		if (!strcmp(name, "driver") && !*outer)
			continue;
		if (snprintf(key, sizeof(key), "%s%s%s", outer,
			     *outer ? "." : "", name) >= (int)sizeof(key))
			return err_set(e, -EINVAL, "'%.64s' is too long", name);
		ret = flatten_member(f, key, member, e);
		if (ret)
			break;
	}
	return ret;
}

/* @first, and the other members of @args but that called @skip. */
static char *option(const char *first, const char *skip,
		    struct json_object *args, struct err *e)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int ret;

	if (!f) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	json_object_object_del(args, skip);
	fputs(first, f);
	ret = flatten(f, "", args, e);
	if (!fclose(f) && !ret)
		return text;
	free(text);
	return NULL;
}

/* ---- devices ---- */

static int set_properties(struct devconf_device *d, struct json_object *args,
			  struct err *e)
{
	const char *text;
	int ret = 0;

	json_object_object_foreach(args, key, v)
	{
		if (!strcmp(key, "driver"))
			continue;
		text = scalar(v);
		ret = text ? devconf_set(d, key, text, e)
			   : err_set(e, -EINVAL,
				     "Invalid parameter type for '%s', "
				     "expected: string",
				     key);
		if (ret)
			break;
	}
	return ret;
}

static int device_add(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	struct devconf_device *d = devconf_new(json_get_str(args, "driver"), e);

	if (!d)
		return e->code;
	if (set_properties(d, args, e)) {
		devconf_free(d);
		return e->code;
	}
	return hotplug_add(q->control->machine, d, e);
}

/* By id or by path. */
static struct devconf_device *find(struct qmp *q, const char *name)
{
	struct devconf_device *d;
	char path[128];

	for (d = devices(q)->devices; d; d = d->next) {
		hotplug_path(q->control->machine, d, path, sizeof(path));
		if ((d->conf->id[0] && !strcmp(d->conf->id, name)) ||
		    !strcmp(path, name))
			return d;
	}
	return NULL;
}

static int device_del(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	const char *id = json_get_str(args, "id");
	struct devconf_device *d = find(q, id);

	return d ? hotplug_remove(q->control->machine, d, e)
		 : err_set(e, -ENODEV, "Device '%s' not found", id);
}

static int set_link(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e)
{
	const char *name = json_get_str(args, "name");
	struct devconf_device *d = find(q, name);
	const struct backend *b;

	/* A card, or the netdev that it is connected to. */
	b = d ? NULL : backend_find(&devices(q)->backends, LINK_NET, name);
	for (d = b ? devices(q)->devices : d; b && d && b->user != d;)
		d = d->next;
	if (!d || !virtio_device(d) ||
	    virtio_device(d)->class->id != VIRTIO_ID_NET)
		return err_set(e, -ENODEV, "Device '%s' not found", name);
	virtio_net_set_link(virtio_device(d), json_get_bool(args, "up", true));
	return 0;
}

/* ---- backends ---- */

static int
backend_add_one(struct qmp *q, enum prop_link_kind kind, const char *id,
		int (*parse)(struct devconf *, const char *, struct err *),
		const char *text, struct err *e)
{
	struct backends *list = &devices(q)->backends;
	struct backend *b;
	int ret = parse(devices(q), text, e);

	if (ret)
		return ret < 0 ? ret
			       : err_set(e, -EINVAL, "help is for options");
	b = backend_find(list, kind, id);
	if (!b)
		return err_set(e, -EINVAL, "'%s' was not made", id);
	ret = backend_open(b, e);
	if (ret && backend_remove(list, b, NULL))
		return -EBUSY;
	return ret;
}

static int backend_del_one(struct qmp *q, enum prop_link_kind kind,
			   const char *id, struct err *e)
{
	struct backend *b = backend_find(&devices(q)->backends, kind, id);

	return b ? backend_remove(&devices(q)->backends, b, e)
		 : err_set(e, -ENODEV, "Device '%s' not found", id);
}

static int netdev_add(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	char type[32], id[PROP_NAME];
	char *text;
	int code;

	snprintf(type, sizeof(type), "%s", json_get_str(args, "type"));
	snprintf(id, sizeof(id), "%s", json_get_str(args, "id"));
	if (strpbrk(type, ",="))
		return err_set(e, -EINVAL, "'%s' is no kind of netdev", type);
	text = passed_number(q->passed, args, e)
		       ? NULL
		       : option(type, "type", args, e);
	if (!text)
		passed_settle(q->passed, false);
	if (!text)
		return e->code;
	code = backend_add_one(q, LINK_NET, id, devconf_netdev, text, e);
	free(text);
	passed_settle(q->passed, !code);
	return code;
}

static int netdev_del(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	return backend_del_one(q, LINK_NET, json_get_str(args, "id"), e);
}

static int object_add(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	char type[48], id[PROP_NAME];
	char *text;
	int code;

	snprintf(type, sizeof(type), "qom-type=%s",
		 json_get_str(args, "qom-type"));
	snprintf(id, sizeof(id), "%s", json_get_str(args, "id"));
	if (strchr(type, ','))
		return err_set(e, -EINVAL, "invalid object type: %s", type);
	text = option(type, "qom-type", args, e);
	if (!text)
		return e->code;
	code = backend_add_one(q, LINK_ENTROPY, id, devconf_object, text, e);
	free(text);
	return code;
}

static int object_del(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	return backend_del_one(q, LINK_ENTROPY, json_get_str(args, "id"), e);
}

static int blockdev_add(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	char driver[64], id[PROP_NAME];
	char *text;
	int code;

	snprintf(driver, sizeof(driver), "driver=%s",
		 json_get_str(args, "driver"));
	snprintf(id, sizeof(id), "%s", json_get_str(args, "node-name"));
	if (strchr(driver, ','))
		return err_set(e, -EINVAL, "'%s' is no driver", driver);
	text = option(driver, "driver", args, e);
	if (!text)
		return e->code;
	code = backend_add_one(q, LINK_DRIVE, id, devconf_blockdev, text, e);
	free(text);
	return code;
}

static int blockdev_del(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	return backend_del_one(q, LINK_DRIVE, json_get_str(args, "node-name"),
			       e);
}

const struct qmp_command qmp_device_commands[] = {
	{"device_add", "driver:str bus?:str id?:str", true, "",
	 "plug a device in; other members are its properties", device_add},
	{"device_del", "id:str", false, "",
	 "have the guest let go of one: DEVICE_DELETED", device_del},
	{"netdev_add", "type:str id:str", true, "", "as -netdev", netdev_add},
	{"netdev_del", "id:str", false, "", "one that nobody uses", netdev_del},
	{"object-add", "qom-type:str id:str", true, "", "as -object",
	 object_add},
	{"object-del", "id:str", false, "", "one that nobody uses", object_del},
	{"blockdev-add", "driver:str node-name:str", true, "", "as -blockdev",
	 blockdev_add},
	{"blockdev-del", "node-name:str", false, "", "one that nobody uses",
	 blockdev_del},
	{"set_link", "name:str up:bool", false, "",
	 "plug a card's cable in or pull it", set_link},
	{0},
};
