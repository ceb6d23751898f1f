/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices from their options to a list whose entries are connected. What a
 * device is and can be told is in dev/virtio; nothing here names one.
 */
#include "vmm/devconf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "lib/keyval.h"

bool devconf_knows(const char *name)
{
	enum virtio_bus bus;

	return virtio_type_find(name, &bus) || virtio_type_instead(name);
}

void devconf_print_names(void)
{
	const struct virtio_type *t = NULL;

	while ((t = virtio_type_next(t))) {
		if (t->part_of)
			printf("%s\n", t->name);
		else
			printf("%s-pci, %s-device\n", t->name, t->name);
	}
}

/* ---- one device ---- */

struct devconf_device *devconf_new(const char *name, struct err *e)
{
	enum virtio_bus bus;
	const struct virtio_type *t = virtio_type_find(name, &bus);
	struct devconf_device *d;

	if (!t && (t = virtio_type_instead(name))) {
		err_set(e, -ENOTSUP, "'%s' is not offered, but %s-pci is", name,
			t->name);
		return NULL;
	}
	if (!t) {
		err_set(e, -EINVAL, "'%s' is no device", name);
		return NULL;
	}
	d = calloc(1, sizeof(*d));
	if (d)
		d->conf = virtio_conf_new(t);
	if (!d || !d->conf) {
		free(d);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	d->conf->bus = bus;
	return d;
}

int devconf_set(struct devconf_device *d, const char *name, const char *text,
		struct err *e)
{
	return virtio_conf_set(d->conf, name, text, e);
}

void devconf_free(struct devconf_device *d)
{
	if (d)
		free(d->conf);
	free(d);
}

/* The least number that no other device of the type has. */
static unsigned free_nth(const struct devconf *c, const struct virtio_type *t)
{
	const struct devconf_device *d = c->devices;
	unsigned nth = 0;

	while (d) {
		if (d->conf->type == t && d->conf->nth == nth) {
			nth++;
			d = c->devices;
		} else {
			d = d->next;
		}
	}
	return nth;
}

int devconf_add(struct devconf *c, struct devconf_device *d, struct err *e)
{
	struct devconf_device **end = &c->devices;
	const char *id = d->conf->id;

	if (id[0] && !prop_is_id(id))
		return err_set(e, -EINVAL,
			       "'%s' is no id (a letter, then letters, "
			       "digits, '-', '.', '_')",
			       id);
	if (devconf_find(c, id))
		return err_set(e, -EEXIST, "a second device '%s'", id);
	d->conf->nth = free_nth(c, d->conf->type);
	while (*end)
		end = &(*end)->next;
	*end = d;
	return 0;
}

struct devconf_device *devconf_find(const struct devconf *c, const char *id)
{
	struct devconf_device *d = c->devices;

	while (d && (!id[0] || strcmp(d->conf->id, id)))
		d = d->next;
	return d;
}

static int set_all(struct devconf_device *d, const char *arg, struct err *e)
{
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare && !strcmp(kv.value, "help")) {
			virtio_type_print(d->conf->type);
			return 1;
		}
		ret = devconf_set(d, kv.bare ? kv.value : kv.key,
				  kv.bare ? "on" : kv.value, e);
		if (ret)
			return ret;
	}
	return ret;
}

int devconf_device(struct devconf *c, const char *arg, struct err *e)
{
	struct devconf_device *d;
	struct keyval kv;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no device name given");
	d = devconf_new(kv.value, e);
	if (!d)
		return e->code;
	ret = set_all(d, arg, e);
	if (!ret)
		ret = devconf_add(c, d, e);
	if (ret)
		devconf_free(d);
	return ret;
}

/* ---- its connections ---- */

static int connect_link(struct devconf *c, struct devconf_device *d,
			const struct prop *p, struct prop_link *link,
			struct err *e)
{
	const char *kind = backend_kind((enum prop_link_kind)p->min);
	struct backend *b;

	if (!link->id[0])
		return p->max ? err_set(e, -EINVAL, "%s= is missing", p->name)
			      : 0;
	b = backend_find(&c->backends, (enum prop_link_kind)p->min, link->id);
	if (!b)
		return err_set(e, -EINVAL, "there is no %s '%s'", kind,
			       link->id);
	if (b->user && b->user != d)
		return err_set(e, -EBUSY, "%s '%s' has a user already", kind,
			       link->id);
	b->user = d;
	return 0;
}

static void disconnect(struct devconf *c, const struct devconf_device *d)
{
	struct backend *b;

	for (b = c->backends.first; b; b = b->next)
		if (b->user == d)
			b->user = NULL;
}

static int connect_links(struct devconf *c, struct devconf_device *d,
			 struct err *e)
{
	const struct prop *p = NULL;
	struct prop_link *link;
	int ret = 0;

	while (!ret && (link = virtio_conf_link(d->conf, &p)))
		ret = connect_link(c, d, p, link, e);
	return ret;
}

/* bus=ID.0, as QEMU names the bus of a device; without it the last one. */
static int find_parent(struct devconf *c, struct devconf_device *d,
		       struct err *e)
{
	const struct virtio_conf *conf = d->conf;
	struct devconf_device *p;
	char name[PROP_NAME + 2];

	for (p = c->devices; p; p = p->next) {
		snprintf(name, sizeof(name), "%s.0", p->conf->id);
		if (strcmp(p->conf->type->name, conf->type->part_of))
			continue;
		if (!conf->parent[0] || !strcmp(conf->parent, name) ||
		    !strcmp(conf->parent, p->conf->id))
			d->parent = p;
	}
	if (d->parent)
		return 0;
	return conf->parent[0] ? err_set(e, -EINVAL, "bus '%s' is no %s's",
					 conf->parent, conf->type->part_of)
			       : err_set(e, -EINVAL, "there is no %s for it",
					 conf->type->part_of);
}

static int find_bus(struct devconf *c, struct devconf_device *d, struct err *e)
{
	struct virtio_conf *conf = d->conf;

	if (conf->type->part_of)
		return find_parent(c, d, e);
	if (conf->bus == VIRTIO_BUS_ANY)
		conf->bus = c->env.pci ? VIRTIO_BUS_PCI : VIRTIO_BUS_MMIO;
	if (conf->bus == VIRTIO_BUS_PCI && !c->env.pci)
		return err_set(e, -EINVAL,
			       "this machine has no PCI bus, use the name that "
			       "ends in -device");
	if (conf->bus == VIRTIO_BUS_MMIO && c->env.pci)
		return err_set(e, -EINVAL,
			       "this machine has a PCI bus, use the name that "
			       "ends in -pci");
	if (conf->bus == VIRTIO_BUS_MMIO && conf->addr)
		return err_set(e, -EINVAL, "addr= is for devices on PCI");
	if (conf->parent[0] && strcmp(conf->parent, "pci.0") &&
	    strcmp(conf->parent, "pcie.0"))
		return err_set(e, -EINVAL, "there is no bus '%s' (pci.0)",
			       conf->parent);
	if (devconf_count_mmio(c) > DEVCONF_MMIO_MAX)
		return err_set(e, -ENOSPC, "more than %d devices without PCI",
			       DEVCONF_MMIO_MAX);
	return 0;
}

int devconf_connect(struct devconf *c, struct devconf_device *d, struct err *e)
{
	const struct virtio_type *t = d->conf->type;
	int ret = find_bus(c, d, e);

	if (!ret)
		ret = connect_links(c, d, e);
	if (!ret && t->check)
		ret = t->check(d->conf, &c->env, e);
	if (!ret)
		return 0;
	disconnect(c, d);
	d->parent = NULL;
	return err_wrap(e, "%s", t->name);
}

static bool has_parts(const struct devconf *c, const struct devconf_device *d)
{
	const struct devconf_device *p = c->devices;

	while (p && p->parent != d)
		p = p->next;
	return p;
}

int devconf_remove(struct devconf *c, struct devconf_device *d, struct err *e)
{
	struct devconf_device **at = &c->devices;

	if (has_parts(c, d))
		return err_set(e, -EBUSY, "device '%s' has others on it",
			       d->conf->id);
	if (d->place)
		return err_set(e, -EBUSY, "device '%s' is plugged in",
			       d->conf->id);
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	disconnect(c, d);
	devconf_free(d);
	return 0;
}

/* ---- all of them ---- */

unsigned devconf_count_mmio(const struct devconf *c)
{
	const struct devconf_device *d;
	unsigned n = 0;

	for (d = c->devices; d; d = d->next)
		n += d->conf->bus == VIRTIO_BUS_MMIO;
	return n;
}

int devconf_check(struct devconf *c, const struct virtio_env *env,
		  struct err *e)
{
	struct devconf_device *d;
	int ret = 0;

	c->env = *env;
	for (d = c->devices; !ret && d; d = d->next)
		ret = devconf_connect(c, d, e);
	return ret ? err_wrap(e, "-device") : 0;
}

void devconf_exit(struct devconf *c)
{
	struct devconf_device *d;

	while ((d = c->devices)) {
		c->devices = d->next;
		devconf_free(d);
	}
	backends_free(&c->backends);
}
