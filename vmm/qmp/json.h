/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON texts out of a stream of bytes, and back. What is between two texts
 * decides nothing about them, so that one that is garbage costs an error and
 * no more. Parsing itself is json-c's.
 */
#ifndef VMM_QMP_JSON_H
#define VMM_QMP_JSON_H

#include <json-c/json.h>

#include "lib/err.h"

#define JSON_MAX_SIZE  (1U << 20) /* bytes of one text */
#define JSON_MAX_DEPTH 128

/* One that is zero has seen nothing. */
struct json_stream {
	char *buf;
	size_t used, size;
	unsigned depth;
	char quote;   /* inside a string: what ends it */
	bool escaped; /* after a backslash */
	bool skip;    /* what is too long, to the end of the line */
};

void json_stream_free(struct json_stream *s);

/*
 * Take up to @n bytes of @p; returns how many. *@ret is 1 with a value in
 * *@out, which is the caller's and NULL for a null, 0 when all was taken
 * without end, or -errno with a sentence.
 */
size_t json_stream_feed(struct json_stream *s, const char *p, size_t n,
			struct json_object **out, int *ret, struct err *e);

/*
 * The text of @v as QMP writes it, on one line or indented, with @end behind.
 * free() it; NULL when memory is short.
 */
char *json_print(struct json_object *v, bool pretty, const char *end);

/* Members of objects that are made here. */
void json_put_str(struct json_object *o, const char *key, const char *v);
void json_put_int(struct json_object *o, const char *key, uint64_t v);
void json_put_bool(struct json_object *o, const char *key, bool v);
/* A new object or array as a member. */
struct json_object *json_put_object(struct json_object *o, const char *key);
struct json_object *json_put_array(struct json_object *o, const char *key);
/* A new object as the last element. */
struct json_object *json_add_object(struct json_object *array);

/* Members of arguments that were checked; NULL, @def without one. */
const char *json_get_str(struct json_object *o, const char *key);
bool json_get_bool(struct json_object *o, const char *key, bool def);
int64_t json_get_int(struct json_object *o, const char *key, int64_t def);

#endif
