/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties: a name, a type, a default and a place. Tables of them end with
 * a row without name.
 */
#ifndef VMM_DEVPROP_H
#define VMM_DEVPROP_H

#include "dev/virtio/features.h"
#include "lib/err.h"

enum devprop_type {
	PROP_STRING,  /* char[max] */
	PROP_NUMBER,  /* uint64_t from min to max */
	PROP_POWER,   /* the same, a power of two */
	PROP_BOOL,    /* bool */
	PROP_SLOT,    /* unsigned, hexadecimal */
	PROP_FEATURE, /* bit number min of the features */
};

struct devprop {
	const char *name;
	enum devprop_type type;
	size_t offset;
	uint64_t min, max;
	const char *def; /* as an operator would write it */
	const char *help;
};

#define PROP_FEATURE_ROW(name, bit, on)                                       \
	{                                                                     \
		name, PROP_FEATURE, 0, bit, 0, (on) ? "on" : "off", "feature" \
	}

const struct devprop *devprop_find(const struct devprop *table,
				   const char *name);

/* Set one from its text; the sentence names it. */
int devprop_set(const struct devprop *p, void *object,
		struct virtio_features *f, const char *text, struct err *e);

/* Set all of a table to their defaults. */
void devprop_defaults(const struct devprop *table, void *object,
		      struct virtio_features *f);

/* One line for each: "DEVICE.NAME=<type>  help (default)". */
void devprop_print(const char *device, const struct devprop *table);

#endif
