/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The types of QMP: what arguments, results and events are made of. Written
 * as text, "name:type" for each member and "name?:type" for one that may be
 * missing; a type is str, int, number, bool, any, a name of the table, or
 * one of these in brackets for a list. Checking a value and the schema clients
 * read both come from that.
 */
#ifndef VMM_QMP_TYPE_H
#define VMM_QMP_TYPE_H

#include <json-c/json.h>

#include "lib/err.h"

#define QMP_NAME_MAX 64

enum qmp_meta { QMP_ENUM, QMP_OBJECT };

struct qmp_type {
	const char *name;
	enum qmp_meta meta;
	const char *spec; /* members, or values with blanks between */
};

struct qmp_event {
	const char *name;
	const char *spec; /* members of its data */
	bool limited;     /* one each second, see evlimit.h */
	const char *key;  /* ... for each value of this member */
};

/* Both end with a row without name. */
extern const struct qmp_type qmp_types[];
extern const struct qmp_event qmp_events[];

const struct qmp_type *qmp_type_find(const char *name);
/* The same for what JSON has itself: its json-type for the schema, or NULL. */
const char *qmp_builtin_find(const char *name);

/* One of a list of members or values. */
struct qmp_member {
	char name[QMP_NAME_MAX];
	char type[QMP_NAME_MAX]; /* "" of a value */
	bool optional;
};

/* The next one of *@spec, which moves on; false at its end. */
bool qmp_member_next(const char **spec, struct qmp_member *m);

/*
 * Whether @v is an object with these members, and with no others unless
 * @open. The sentence names the member.
 */
int qmp_check_members(const char *spec, bool open, struct json_object *v,
		      struct err *e);
/* Whether @v is a @type; @name is what the sentence calls it. */
int qmp_check(const char *type, const char *name, struct json_object *v,
	      struct err *e);

#endif
