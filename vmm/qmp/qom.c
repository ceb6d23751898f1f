/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths are QEMU's where clients rely on them.
 */
#include "vmm/qmp/qom.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/balloon.h"
#include "vmm/machine.h"
#include "vmm/qmp/monitor.h"
#include "vmm/run/hotplug.h"
#include "vmm/virtio.h"

/* ---- properties ---- */

struct json_object *qom_put(struct json_object *rows, const char *name,
			    const char *type, struct json_object *value)
{
	struct json_object *row = json_add_object(rows);

	json_put_str(row, "name", name);
	json_put_str(row, "type", type);
	json_object_object_add(row, "value", value);
	return row;
}

struct json_object *qom_put_prop(struct json_object *rows, const struct prop *p,
				 const char *text)
{
	switch (p->type) {
	case PROP_NUMBER:
	case PROP_POWER:
		return qom_put(
			rows, p->name, "uint64",
			json_object_new_uint64(strtoull(text, NULL, 10)));
	case PROP_SIZE:
		return qom_put(
			rows, p->name, "size",
			json_object_new_uint64(strtoull(text, NULL, 10)));
	case PROP_BOOL:
	case PROP_FEATURE:
		return qom_put(rows, p->name, "bool",
			       json_object_new_boolean(!strcmp(text, "on")));
	default:
		return qom_put(rows, p->name, "str",
			       json_object_new_string(text));
	}
}

static void put_str(struct json_object *rows, const char *name,
		    const char *text)
{
	qom_put(rows, name, "string", json_object_new_string(text));
}

static void put_int(struct json_object *rows, const char *name, int64_t n)
{
	qom_put(rows, name, "int", json_object_new_int64(n));
}

/* Where it is, if that was not said. */
static void device_text(const struct devconf_device *d, const struct prop *p,
			char *buf, size_t size)
{
	unsigned addr = virtio_pci_addr(d);

	if (p->type == PROP_ADDR && addr)
		snprintf(buf, size, "%02x.%x", addr / PCI_FUNCTIONS,
			 addr % PCI_FUNCTIONS);
	else
		virtio_conf_text(d->conf, p, buf, size);
}

/* What libvirt reads memory statistics from. */
static void balloon_props(struct virtio_device *dev, struct json_object *rows)
{
	struct json_object *all = json_object_new_object(), *stats;
	struct balloon_stats s;
	unsigned i;

	virtio_balloon_stats(dev, &s);
	stats = json_put_object(all, "stats");
	for (i = 0; i < BALLOON_STATS; i++)
		json_put_int(stats, virtio_balloon_stat_name(i),
			     s.known & BIT(i) ? s.value[i] : UINT64_MAX);
	json_put_int(all, "last-update", (uint64_t)s.when);
	qom_put(rows, "guest-stats", "guest statistics", all);
}

static void device_props(struct qmp *q, const struct qom_object *o,
			 struct json_object *rows)
{
	const struct devconf_device *d = o->what;
	char text[PROP_PATH];
	const struct prop *p;
	unsigned i;

	qom_put(rows, "realized", "bool",
		json_object_new_boolean(d->place != NULL));
	qom_put(rows, "hotpluggable", "bool",
		json_object_new_boolean(d->conf->bus != VIRTIO_BUS_MMIO));
	for (i = 0; (p = virtio_type_prop(d->conf->type, i)); i++) {
		if (!strcmp(p->name, "id") || !strcmp(p->name, "bus"))
			continue;
		device_text(d, p, text, sizeof(text));
		qom_put_prop(rows, p, text);
	}
	if (virtio_device(d) && virtio_is_balloon(virtio_device(d)))
		balloon_props(virtio_device(d), rows);
}

static void object_props(struct qmp *q, const struct qom_object *o,
			 struct json_object *rows)
{
	const struct backend *b = o->what;
	const struct prop *p = devconf_object_of(b)->props;
	char text[PROP_PATH];

	for (; p->name; p++) {
		prop_text(p, b, NULL, text, sizeof(text));
		if (strcmp(p->name, "id"))
			qom_put_prop(rows, p, text);
	}
}

static void cpu_props(struct qmp *q, const struct qom_object *o,
		      struct json_object *rows)
{
	const struct cpu_def *def = q->host->cpu;
	struct json_object *missing = json_object_new_array();
	const char *name;
	unsigned f;

	qom_put(rows, "realized", "bool", json_object_new_boolean(true));
	put_str(rows, "vendor", def->vendor);
	put_str(rows, "model-id", def->model_id);
	put_int(rows, "family", def->family);
	put_int(rows, "model", def->model_number);
	put_int(rows, "stepping", def->stepping);
	for (f = 0; f < CPUID_MODEL_WORDS * 32; f++) {
		name = feature_name(f);
		if (!name)
			continue;
		qom_put(rows, name, "bool",
			json_object_new_boolean(feature_test(def->words, f)));
		if (feature_test(def->missing, f))
			json_object_array_add(missing,
					      json_object_new_string(name));
	}
	qom_put(rows, "unavailable-features", "strList", missing);
}

static void machine_props(struct qmp *q, const struct qom_object *o,
			  struct json_object *rows)
{
	const struct config *c = q->config;

	qom_put(rows, "memory-size", "size",
		json_object_new_uint64(c->ram_size));
	put_str(rows, "kernel", c->kernel ? c->kernel : "");
	put_str(rows, "initrd", c->initrd ? c->initrd : "");
	put_str(rows, "append", c->append ? c->append : "");
}

void qom_put_alike(struct qmp *q, const char *base, struct json_object *rows)
{
	if (!strcmp(base, "x86_64-cpu"))
		cpu_props(q, NULL, rows);
	else if (!strcmp(base, "machine"))
		machine_props(q, NULL, rows);
}

/* ---- objects ---- */

struct walk {
	struct qmp *q;
	bool (*visit)(void *ctx, const struct qom_object *o);
	void *ctx;
	struct qom_object o; /* what is shown next */
};

static bool show(struct walk *w, const char *type, const void *what,
		 void (*props)(struct qmp *, const struct qom_object *,
			       struct json_object *))
{
	snprintf(w->o.type, sizeof(w->o.type), "%s", type);
	w->o.what = what;
	w->o.props = props;
	return w->visit(w->ctx, &w->o);
}

static bool show_containers(struct walk *w)
{
	static const char *const paths[] = {
		"/objects",
		"/chardevs",
		"/machine/peripheral",
		"/machine/peripheral-anon",
		"/machine/unattached",
	};
	size_t i;

	strcpy(w->o.path, "/");
	if (!show(w, "container", NULL, NULL))
		return false;
	strcpy(w->o.path, "/machine");
	snprintf(w->o.type, sizeof(w->o.type), "%s-machine",
		 w->q->config->cpu.cpu.machine.name);
	w->o.what = NULL;
	w->o.props = machine_props;
	if (!w->visit(w->ctx, &w->o))
		return false;
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		strcpy(w->o.path, paths[i]);
		if (!show(w, "container", NULL, NULL))
			return false;
	}
	return true;
}

static const char *device_type(const struct devconf_device *d, char *buf)
{
	const struct virtio_conf *c = d->conf;

	snprintf(buf, QOM_TYPE, "%s%s", c->type->name,
		 c->bus == VIRTIO_BUS_PCI ? "-pci" : "");
	if (c->bus == VIRTIO_BUS_MMIO)
		strcpy(buf, "virtio-mmio");
	return buf;
}

static bool show_devices(struct walk *w)
{
	struct devconf_device *d;
	char type[QOM_TYPE];

	for (d = w->q->control->machine->dev->devices; d; d = d->next) {
		w->o.device = d;
		hotplug_path(w->q->control->machine, d, w->o.path, QOM_PATH);
		if (!show(w, device_type(d, type), d, device_props))
			return false;
		if (!virtio_device(d))
			continue;
		strcat(w->o.path, "/virtio-backend");
		snprintf(type, sizeof(type), "%s-device", d->conf->type->name);
		if (!show(w, type, d, NULL))
			return false;
	}
	w->o.device = NULL;
	return true;
}

static bool show_objects(struct walk *w)
{
	const struct backend *b;

	b = w->q->control->machine->dev->backends.first;
	for (; b; b = b->next) {
		if (!devconf_object_of(b))
			continue;
		snprintf(w->o.path, QOM_PATH, "/objects/%s", b->id);
		if (!show(w, devconf_object_of(b)->name, b, object_props))
			return false;
	}
	return true;
}

const char *qom_port_type(enum charconf_kind kind)
{
	static const char *const types[] = {
		[CHARCONF_STDIO] = "chardev-stdio",
		[CHARCONF_NULL] = "chardev-null",
		[CHARCONF_FILE] = "chardev-file",
		[CHARCONF_PTY] = "chardev-pty",
		[CHARCONF_SOCKET] = "chardev-socket",
	};

	return kind < ARRAY_SIZE(types) ? types[kind] : "";
}

static bool show_ports(struct walk *w)
{
	const struct charconf *c = monitors_ports(w->q->monitors)->conf;
	unsigned i;

	for (i = 0; i < c->ports; i++) {
		snprintf(w->o.path, QOM_PATH, "/chardevs/%s", c->port[i].id);
		if (!show(w, qom_port_type(c->port[i].kind), NULL, NULL))
			return false;
	}
	return true;
}

static bool show_cpus(struct walk *w)
{
	char type[QOM_TYPE];
	unsigned i;

	snprintf(type, sizeof(type), "%s-x86_64-cpu",
		 w->q->config->cpu.cpu.name);
	for (i = 0; i < w->q->host->cpu->topo.cpus; i++) {
		snprintf(w->o.path, QOM_PATH, "/machine/unattached/cpu[%u]", i);
		if (!show(w, type, NULL, cpu_props))
			return false;
	}
	return true;
}

void qom_walk(struct qmp *q,
	      bool (*visit)(void *ctx, const struct qom_object *o), void *ctx)
{
	struct walk w = {.q = q, .visit = visit, .ctx = ctx};

	if (show_containers(&w) && show_devices(&w) && show_objects(&w) &&
	    show_ports(&w))
		show_cpus(&w);
}

/* ---- one of them ---- */

struct search {
	const char *want;
	struct qom_object *found;
	unsigned n;
};

/* "/" at the end counts for nothing. */
static bool same(const char *path, const char *want)
{
	size_t len = strlen(path);

	if (!strcmp(want, "/") || len == 1)
		return !strcmp(path, want);
	return !strncmp(path, want, len) &&
	       strspn(want + len, "/") == strlen(want + len);
}

static bool is_end(const char *path, const char *want)
{
	size_t len = strlen(path), n = strlen(want);

	return n && len > n && path[len - n - 1] == '/' &&
	       !strcmp(path + len - n, want);
}

static bool look(void *ctx, const struct qom_object *o)
{
	struct search *s = ctx;

	if (s->want[0] == '/' ? !same(o->path, s->want)
			      : !is_end(o->path, s->want))
		return true;
	*s->found = *o;
	return ++s->n < 2 && s->want[0] != '/';
}

int qom_find(struct qmp *q, const char *path, struct qom_object *o,
	     struct err *e)
{
	struct search s = {.want = path, .found = o};

	qom_walk(q, look, &s);
	if (!s.n)
		return err_set(e, -ENODEV, "Device '%s' not found", path);
	return s.n == 1 ? 0
			: err_set(e, -EINVAL, "Path '%s' is ambiguous", path);
}
