/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character ports that come and go. What QMP says of one becomes the value of
 * -chardev, so that both have one parser and the same sentences.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/console.h"
#include "vmm/machine.h"
#include "vmm/qmp/lent/chardev.h"
#include "vmm/qmp/lent/passed.h"
#include "vmm/qmp/monitor.h"
#include "vmm/run/charport.h"

static struct backends *backends(struct qmp *q)
{
	return &q->control->machine->dev->backends;
}

static bool busy(struct qmp *q, const struct charconf_port *p)
{
	return charports_busy(backends(q), p);
}

/* ---- from QMP's words to an option's ---- */

/* Members of a backend's data, whose they are, and keys they become. */
static const struct {
	const char *type, *member, *key;
} keys[] = {
	{"file", "out", "path"},        {"file", "append", "append"},
	{"socket", "server", "server"}, {"socket", "nodelay", "nodelay"},
	{"inet", "host", "host"},       {"inet", "port", "port"},
	{"unix", "path", "path"},       {"fd", "str", "fd"},
};

static void put_value(FILE *f, const char *key, struct json_object *v)
{
	const char *text = json_object_get_string(v);

	if (json_object_is_type(v, json_type_boolean))
		text = json_object_get_boolean(v) ? "on" : "off";
	fprintf(f, ",%s=", key);
	for (; *text; text++)
		fprintf(f, *text == ',' ? ",," : "%c", *text);
}

/* All members of @data, which is a @type's, but @known ones. */
static int put_members(FILE *f, const char *type, struct json_object *data,
		       const char *known, struct err *e)
{
	size_t i;

	json_object_object_foreach(data, name, v)
	{
		for (i = 0; i < ARRAY_SIZE(keys); i++)
			if (!strcmp(keys[i].type, type) &&
			    !strcmp(keys[i].member, name))
				break;
		if (i < ARRAY_SIZE(keys))
			put_value(f, keys[i].key, v);
		else if (!strstr(known, name))
			return err_set(e, -EINVAL,
				       "Parameter 'backend.data.%.40s' is "
				       "unexpected",
				       name);
	}
	return 0;
}

static int put_socket(FILE *f, struct json_object *data, struct err *e)
{
	struct json_object *addr = json_object_object_get(data, "addr");

	if (!addr)
		return err_set(e, -EINVAL,
			       "Parameter 'backend.data.addr' is missing");
	if (json_get_bool(data, "telnet", false))
		return err_set(e, -ENOTSUP, "telnet is not offered");
	if (json_get_bool(data, "wait", false))
		return err_set(e, -ENOTSUP, "wait: a monitor waits for nobody");
	/* What is not said is a server's, other than on the command line. */
	if (!json_object_object_get(data, "server"))
		fputs(",server=on", f);
	if (put_members(f, json_get_str(addr, "type"),
			json_object_object_get(addr, "data"), "", e))
		return e->code;
	return put_members(f, "socket", data, "addr telnet wait", e);
}

static char *option(const char *id, struct json_object *backend, struct err *e)
{
	const char *type = json_get_str(backend, "type");
	struct json_object *data = json_object_object_get(backend, "data");
	struct json_object *name = json_object_new_string(id);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int ret = 0;

	if (!f) {
		json_object_put(name);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	fputs(type, f);
	put_value(f, "id", name);
	json_object_put(name);
	if (!strcmp(type, "socket"))
		ret = put_socket(f, data, e);
	else if (data)
		ret = put_members(f, type, data, "", e);
	if (!fclose(f) && !ret)
		return text;
	free(text);
	return NULL;
}

/* ---- ports ---- */

static int find(struct qmp *q, const char *id, struct err *e)
{
	int n = charconf_find(monitors_ports(q->monitors)->conf, id);

	return n >= 0 ? n
		      : err_set(e, -EINVAL, "Chardev '%.64s' not found", id);
}

/* @text as number @at, or, behind the last one, as one more. */
static int put(struct qmp *q, unsigned at, const char *text, struct err *e)
{
	struct chardevs *d = monitors_ports(q->monitors);
	struct charconf *one = calloc(1, sizeof(*one));
	const char *id;
	int ret;

	if (!one)
		return err_set(e, -ENOMEM, "out of memory");
	ret = charconf_chardev(one, text, e);
	if (ret > 0)
		ret = err_set(e, -EINVAL, "help is for options");
	id = one->port[0].id;
	if (!ret && at == d->conf->ports && charconf_find(d->conf, id) >= 0)
		ret = err_set(e, -EEXIST, "Chardev with id '%s' already exists",
			      id);
	if (!ret && !prop_is_id(id))
		ret = err_set(e, -EINVAL, "'%s' is no id", id);
	if (!ret)
		ret = charconf_check_lent(one, e);
	if (!ret)
		ret = chardevs_put(d, at, &one->port[0], e);
	if (!ret)
		ret = charports_declare(backends(q), d->conf, e);
	if (!ret) {
		charports_connect(backends(q), d);
		ret = backend_open(backend_find(backends(q), LINK_CHARDEV, id),
				   e);
	}
	free(one);
	return ret;
}

int lent_chardev_add(struct qmp *q, const char *text, struct err *e)
{
	return put(q, monitors_ports(q->monitors)->conf->ports, text, e);
}

static int put_backend(struct qmp *q, unsigned at, struct json_object *args,
		       struct json_object **ret, struct err *e)
{
	struct chardevs *d = monitors_ports(q->monitors);
	struct json_object *backend = json_object_object_get(args, "backend");
	struct json_object *data = json_object_object_get(backend, "data");
	char *text = NULL;
	int code = passed_number(q->passed, data, e);

	if (!code)
		text = option(json_get_str(args, "id"), backend, e);
	code = text ? put(q, at, text, e) : e->code;
	free(text);
	passed_settle(q->passed, !code);
	if (code)
		return code;
	*ret = json_object_new_object();
	if (d->conf->port[at].kind == CHARCONF_PTY)
		json_put_str(*ret, "pty", console_peer(d->port[at]));
	return 0;
}

static int chardev_add(struct qmp *q, struct json_object *args,
		       struct json_object **ret, struct err *e)
{
	return put_backend(q, monitors_ports(q->monitors)->conf->ports, args,
			   ret, e);
}

static int chardev_change(struct qmp *q, struct json_object *args,
			  struct json_object **ret, struct err *e)
{
	int n = find(q, json_get_str(args, "id"), e);

	if (n < 0)
		return n;
	if (busy(q, &monitors_ports(q->monitors)->conf->port[n]))
		return err_set(e, -EBUSY,
			       "Chardev user does not support chardev hotswap");
	return put_backend(q, (unsigned)n, args, ret, e);
}

static int chardev_remove(struct qmp *q, struct json_object *args,
			  struct json_object **ret, struct err *e)
{
	struct chardevs *d = monitors_ports(q->monitors);
	const char *id = json_get_str(args, "id");
	int n = find(q, id, e);
	struct backend *b;

	if (n < 0)
		return n;
	if (busy(q, &d->conf->port[n]))
		return err_set(e, -EBUSY, "Chardev '%.64s' is busy", id);
	b = backend_find(backends(q), LINK_CHARDEV, id);
	if (b && backend_remove(backends(q), b, e))
		return e->code;
	chardevs_drop(d, (unsigned)n);
	return 0;
}

static int send_break(struct qmp *q, struct json_object *args,
		      struct json_object **ret, struct err *e)
{
	struct chardevs *d = monitors_ports(q->monitors);
	int n = find(q, json_get_str(args, "id"), e);

	if (n < 0)
		return n;
	if (d->conf->port[n].lent)
		return err_set(e, -EBUSY, "that port is a network's");
	console_break(d->port[n]);
	return 0;
}

static int query_chardev(struct qmp *q, struct json_object *args,
			 struct json_object **ret, struct err *e)
{
	const struct chardevs *d = monitors_ports(q->monitors);
	struct json_object *o;
	char text[200];
	unsigned i;

	*ret = json_object_new_array();
	for (i = 0; i < d->conf->ports; i++) {
		o = json_add_object(*ret);
		chardevs_describe(d, i, text, sizeof(text));
		json_put_str(o, "label", d->conf->port[i].id);
		json_put_str(o, "filename", text);
		json_put_bool(o, "frontend-open", busy(q, &d->conf->port[i]));
	}
	return 0;
}

static int query_backends(struct qmp *q, struct json_object *args,
			  struct json_object **ret, struct err *e)
{
	const char *name;
	unsigned kind;

	*ret = json_object_new_array();
	for (kind = 0; (name = charconf_kind_name(kind)); kind++)
		json_put_str(json_add_object(*ret), "name", name);
	return 0;
}

const struct qmp_command qmp_chardev_commands[] = {
	{"query-chardev", "", false, "[ChardevInfo]", "character ports",
	 query_chardev},
	{"query-chardev-backends", "", false, "[ChardevBackendInfo]",
	 "where they can lead", query_backends},
	{"chardev-add", "id:str backend:ChardevBackend", false, "ChardevReturn",
	 "one more port", chardev_add},
	{"chardev-change", "id:str backend:ChardevBackend", false,
	 "ChardevReturn", "have one that nobody uses lead elsewhere",
	 chardev_change},
	{"chardev-remove", "id:str", false, "", "one that nobody uses",
	 chardev_remove},
	{"chardev-send-break", "id:str", false, "",
	 "a break to who uses it, as a serial line has it", send_break},
	{0},
};
