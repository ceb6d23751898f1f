/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of types, and the properties all of them have. Its rows are
 * written by the list that compiles the files.
 */
#include "dev/virtio/type.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/pcifn.h"
#include "lib/check.h"

#define FILE_TYPES(name) \
	extern const struct virtio_type virtio_##name##_types[];
#include "dev/virtio/types.def"
#undef FILE_TYPES

#define FILE_TYPES(name) virtio_##name##_types,
static const struct virtio_type *const files[] = {
#include "dev/virtio/types.def"
};
#undef FILE_TYPES

#define FIELD(f) offsetof(struct virtio_conf, f)

static const char *const only_on[] = {"on", "auto", NULL};
static const char *const only_off[] = {"off", NULL};
static const char *const only_empty[] = {"", NULL};

/* The value of a property that can have one value only. */
struct fixed {
	unsigned value;
};

static const struct prop part_props[] = {
	{"id", PROP_TEXT, FIELD(id), 0, PROP_NAME, "", "name"},
	{"bus", PROP_TEXT, FIELD(parent), 0, PROP_NAME, "", "where it is"},
	{0},
};

static const struct prop common_props[] = {
	{"addr", PROP_ADDR, FIELD(addr), 0, 0, "any", "place on PCI"},
	{"multifunction", PROP_BOOL, FIELD(multifunction), 0, 0, "off",
	 "others may have its slot's other functions"},
	{"vectors", PROP_NUMBER, FIELD(vectors), 0, MSIX_MAX, "128",
	 "MSI-X vectors, at most"},
	PROP_FEATURE_ROW("indirect_desc", VIRTIO_F_INDIRECT_DESC, true),
	PROP_FEATURE_ROW("event_idx", VIRTIO_F_EVENT_IDX, true),
	PROP_FEATURE_ROW("queue_reset", VIRTIO_F_RING_RESET, true),
	PROP_FEATURE_ROW("packed", VIRTIO_F_RING_PACKED, false),
	PROP_FEATURE_ROW("in_order", VIRTIO_F_IN_ORDER, false),
	PROP_FEATURE_ROW("notification_data", VIRTIO_F_NOTIFICATION_DATA,
			 false),
	{0},
};

/* What can be said but not be changed. */
static const struct prop fixed_props[] = {
	{"disable-legacy", PROP_CHOICE, 0, 0, 0, "on",
	 "no interface of before virtio 1", only_on},
	{"disable-modern", PROP_CHOICE, 0, 0, 0, "off", "virtio 1", only_off},
	{"iommu_platform", PROP_CHOICE, 0, 0, 0, "off",
	 "addresses are physical ones", only_off},
	{"ats", PROP_CHOICE, 0, 0, 0, "off", "no IOMMU", only_off},
	{"romfile", PROP_CHOICE, 0, 0, 0, "", "no expansion ROM", only_empty},
	{0},
};

const struct virtio_type *virtio_type_next(const struct virtio_type *t)
{
	size_t i = 0;

	if (t && t[1].name)
		return t + 1;
	/* The last of a file: the file that has it is the one before. */
	for (; t && i < ARRAY_SIZE(files); i++) {
		const struct virtio_type *last = files[i];

		while (last[1].name)
			last++;
		if (last == t)
			break;
	}
	i += t != NULL;
	return i < ARRAY_SIZE(files) ? files[i] : NULL;
}

static const char *const endings[] = {"", "-pci", "-pci-non-transitional",
				      "-device"};
static const enum virtio_bus ending_bus[] = {VIRTIO_BUS_ANY, VIRTIO_BUS_PCI,
					     VIRTIO_BUS_PCI, VIRTIO_BUS_MMIO};

static bool matches(const char *name, const char *stem, bool part,
		    enum virtio_bus *bus)
{
	size_t len = strlen(stem), i;

	if (strncmp(name, stem, len))
		return false;
	for (i = 0; i < (part ? 1 : ARRAY_SIZE(endings)); i++) {
		if (strcmp(name + len, endings[i]))
			continue;
		*bus = ending_bus[i];
		return true;
	}
	return false;
}

const struct virtio_type *virtio_type_find(const char *name,
					   enum virtio_bus *bus)
{
	const struct virtio_type *t = NULL;

	while ((t = virtio_type_next(t)))
		if (matches(name, t->name, t->part_of, bus))
			break;
	return t;
}

const struct virtio_type *virtio_type_instead(const char *name)
{
	const struct virtio_type *t = NULL;
	enum virtio_bus bus;

	while ((t = virtio_type_next(t)))
		if (t->instead && matches(name, t->instead, false, &bus))
			break;
	return t;
}

struct virtio_conf *virtio_conf_new(const struct virtio_type *t)
{
	struct virtio_conf *c = calloc(1, t->conf_size);

	if (!c)
		return NULL;
	c->type = t;
	if (!t->part_of) {
		features_put(&c->want, VIRTIO_F_VERSION_1, true);
		prop_defaults(common_props, c, &c->want);
	}
	prop_defaults(t->props, c, &c->want);
	return c;
}

static int set_fixed(const struct virtio_type *t, const char *name,
		     const char *text, struct err *e)
{
	const struct prop *p = prop_find(fixed_props, name);
	struct fixed fixed;

	if (!p || t->part_of)
		return err_set(e, -EINVAL,
			       "%s has no property '%s' (%s,help lists them)",
			       t->name, name, t->name);
	return prop_set(p, &fixed, NULL, text, e);
}

int virtio_conf_set(struct virtio_conf *c, const char *name, const char *text,
		    struct err *e)
{
	const struct virtio_type *t = c->type;
	const struct prop *p = prop_find(t->props, name);

	if (!p)
		p = prop_find(part_props, name);
	if (!p && !t->part_of)
		p = prop_find(common_props, name);
	if (!p)
		return set_fixed(t, name, text, e);
	if (p->type == PROP_FEATURE)
		features_put(&c->named, (unsigned)p->min, true);
	return prop_set(p, c, &c->want, text, e);
}

struct prop_link *virtio_conf_link(struct virtio_conf *c, const struct prop **p)
{
	*p = *p ? *p + 1 : c->type->props;
	while (*p && (*p)->name && (*p)->type != PROP_LINK)
		(*p)++;
	return *p && (*p)->name ? (struct prop_link *)((char *)c + (*p)->offset)
				: NULL;
}

/* A type's own come first, so that nothing hides them. */
#define TABLES 4

static const struct prop *table_of(const struct virtio_type *t, unsigned i)
{
	const struct prop *const tables[TABLES] = {
		t->props,
		part_props,
		t->part_of ? NULL : common_props,
		t->part_of ? NULL : fixed_props,
	};

	return tables[i];
}

const struct prop *virtio_type_prop(const struct virtio_type *t, unsigned i)
{
	const struct prop *p;
	unsigned table;

	for (table = 0; table < TABLES; table++)
		for (p = table_of(t, table); p && p->name; p++)
			if (!i--)
				return p;
	return NULL;
}

void virtio_conf_text(const struct virtio_conf *c, const struct prop *p,
		      char *buf, size_t size)
{
	if (prop_find(fixed_props, p->name) == p)
		snprintf(buf, size, "%s", p->def);
	else
		prop_text(p, c, &c->want, buf, size);
}

void virtio_type_print(const struct virtio_type *t)
{
	unsigned table;

	for (table = 0; table < TABLES; table++)
		prop_print(t->name, table_of(t, table));
}
