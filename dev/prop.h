/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of what an operator configures: a name, a type, a default and a
 * place in a struct. Tables of them end with a row without name; what is in
 * no table does not exist. The help is printed from them as well.
 */
#ifndef DEV_PROP_H
#define DEV_PROP_H

#include "dev/virtio/features.h"
#include "lib/err.h"

#define PROP_NAME 64  /* bytes of an id, with its NUL */
#define PROP_PATH 256 /* bytes of a file's name, with its NUL */

enum prop_type {
	PROP_TEXT,    /* char[max] */
	PROP_NUMBER,  /* uint64_t from min to max */
	PROP_POWER,   /* the same, a power of two */
	PROP_SIZE,    /* the same, with a suffix K, M, G */
	PROP_BOOL,    /* bool */
	PROP_ADDR,    /* unsigned: slot * 8 + function, hexadecimal */
	PROP_CHOICE,  /* unsigned: which word of choices */
	PROP_FEATURE, /* bit number min of the features */
	PROP_LINK,    /* struct prop_link; min: which kind, max: required */
};

/* What a device is connected with on the host. */
enum prop_link_kind {
	LINK_DRIVE,   /* struct drive */
	LINK_NET,     /* struct net */
	LINK_CHARDEV, /* struct port_end */
	LINK_FS,      /* struct p9_export */
	LINK_ENTROPY, /* struct entropy */
};

/* It is named by an id, and found before the device is created. */
struct prop_link {
	char id[PROP_NAME];
	void *object;
};

struct prop {
	const char *name;
	enum prop_type type;
	size_t offset;
	uint64_t min, max;
	const char *def; /* as an operator would write it */
	const char *help;
	const char *const *choices; /* NULL ends them */
};

#define PROP_FEATURE_ROW(name, bit, on)                                       \
	{                                                                     \
		name, PROP_FEATURE, 0, bit, 0, (on) ? "on" : "off", "feature" \
	}

/* NULL when @table, which may be NULL, has no such row. */
const struct prop *prop_find(const struct prop *table, const char *name);

/* Set one from its text; the sentence names it. @f: NULL without features. */
int prop_set(const struct prop *p, void *object, struct virtio_features *f,
	     const char *text, struct err *e);

/* The reverse: what it is, as prop_set() would take it, cut to @size. */
void prop_text(const struct prop *p, const void *object,
	       const struct virtio_features *f, char *buf, size_t size);

/* Set all of a table to their defaults. */
void prop_defaults(const struct prop *table, void *object,
		   struct virtio_features *f);

/* One line for each: "DEVICE.NAME=<type>  help (default)". */
void prop_print(const char *device, const struct prop *table);

/* Whether @text can be an id: a letter, then letters, digits and "-._". */
bool prop_is_id(const char *text);

#endif
