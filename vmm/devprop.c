/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function for each direction over the types.
 */
#include "vmm/devprop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "vmm/keyval.h"

const struct devprop *devprop_find(const struct devprop *table,
				   const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

static int set_string(const struct devprop *p, char *to, const char *text,
		      struct err *e)
{
	if (strlen(text) >= p->max)
		return err_set(e, -EINVAL, "'%s' is too long", text);
	strcpy(to, text);
	return 0;
}

static int set_slot(const struct devprop *p, unsigned *to, const char *text,
		    struct err *e)
{
	unsigned long slot;
	char *end;

	slot = strtoul(text, &end, 16);
	if (end == text || (*end && strcmp(end, ".0")) || slot < p->min ||
	    slot > p->max)
		return err_set(e, -EINVAL, "'%s' is not a slot from 1 to 1f",
			       text);
	*to = (unsigned)slot;
	return 0;
}

static int set_number(const struct devprop *p, uint64_t *to, const char *text,
		      struct err *e)
{
	uint64_t n;
	int ret = keyval_number(text, p->min, p->max, &n, e);

	if (!ret && p->type == PROP_POWER && n & (n - 1))
		return err_set(e, -EINVAL, "%s is not a power of two", text);
	if (!ret)
		*to = n;
	return ret;
}

static int set_feature(const struct devprop *p, struct virtio_features *f,
		       const char *text, struct err *e)
{
	bool on;
	int ret = keyval_bool(text, &on, e);

	if (!ret)
		features_put(f, (unsigned)p->min, on);
	return ret;
}

static int set(const struct devprop *p, void *object, struct virtio_features *f,
	       const char *text, struct err *e)
{
	void *to = (char *)object + p->offset;

	switch (p->type) {
	case PROP_STRING: return set_string(p, to, text, e);
	case PROP_NUMBER:
	case PROP_POWER: return set_number(p, to, text, e);
	case PROP_BOOL: return keyval_bool(text, to, e);
	case PROP_SLOT: return set_slot(p, to, text, e);
	case PROP_FEATURE: return set_feature(p, f, text, e);
	}
	return -EINVAL;
}

int devprop_set(const struct devprop *p, void *object,
		struct virtio_features *f, const char *text, struct err *e)
{
	int ret = set(p, object, f, text, e);

	return ret ? err_wrap(e, "%s", p->name) : 0;
}

void devprop_defaults(const struct devprop *table, void *object,
		      struct virtio_features *f)
{
	for (; table->name; table++)
		if (table->type != PROP_SLOT)
			ASSERT(!set(table, object, f, table->def, NULL));
}

void devprop_print(const char *device, const struct devprop *table)
{
	static const char *const types[] = {
		[PROP_STRING] = "text",  [PROP_NUMBER] = "number",
		[PROP_POWER] = "number", [PROP_BOOL] = "on|off",
		[PROP_SLOT] = "slot",    [PROP_FEATURE] = "on|off",
	};

	for (; table->name; table++)
		printf("%s.%s=<%s>  %s (default: %s)\n", device, table->name,
		       types[table->type], table->help,
		       table->def[0] ? table->def : "none");
}
