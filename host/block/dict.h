/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a node as a flat list of dotted keys: -drive, -blockdev, JSON
 * text and file names all come to this. Who understands a key takes it; what
 * nobody took is an error of the operator.
 */
#ifndef HOST_BLOCK_DICT_H
#define HOST_BLOCK_DICT_H

#include "lib/err.h"

struct dict_entry {
	char *key;
	char *value;
	bool taken;
};

struct dict {
	unsigned count;
	struct dict_entry *entry;
};

/* Free what is in it; it is empty then. */
void dict_clear(struct dict *d);

/* Add or replace. 0 or -ENOMEM with a sentence. */
int dict_put(struct dict *d, const char *key, const char *value,
	     struct err *e) __must_check;

/* The same, from the object in @text: {"a": {"b": 1}} becomes a.b=1. */
int dict_put_json(struct dict *d, const char *text, struct err *e) __must_check;

/* NULL when there is no such key. Taking it marks it as understood. */
const char *dict_get(const struct dict *d, const char *key);
const char *dict_take(struct dict *d, const char *key);

/* Those that return -EINVAL leave a sentence that names the key. */
int dict_take_bool(struct dict *d, const char *key, bool *out, struct err *e);
int dict_take_size(struct dict *d, const char *key, uint64_t *out,
		   struct err *e);

/* Move all that begins with "@prefix." into @out, without that. */
int dict_split(struct dict *d, const char *prefix, struct dict *out,
	       struct err *e) __must_check;

/* A key nobody took, or NULL. */
const char *dict_left(const struct dict *d);

#endif
