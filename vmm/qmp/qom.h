/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of objects that QMP clients look into, made anew for each question
 * from the lists there are: devices, -object, character ports, processors.
 */
#ifndef VMM_QMP_QOM_H
#define VMM_QMP_QOM_H

#include "dev/prop.h"
#include "vmm/qmp/command.h"
#include "vmm/run/charconf.h"

#define QOM_PATH 192
#define QOM_TYPE 96

struct devconf_device;

struct qom_object {
	char path[QOM_PATH];
	char type[QOM_TYPE];
	/*
	 * Its properties but "type", as rows of ObjectPropertyInfo that have
	 * a "value" each; NULL: none.
	 */
	void (*props)(struct qmp *q, const struct qom_object *o,
		      struct json_object *rows);
	const void *what;              /* of props's own type */
	struct devconf_device *device; /* if it is one, else NULL */
};

/* Call @visit with each object until it says no. */
void qom_walk(struct qmp *q,
	      bool (*visit)(void *ctx, const struct qom_object *o), void *ctx);

/*
 * By its path, or the end of one that no other has. -ENODEV, or -EINVAL if
 * others do.
 */
int qom_find(struct qmp *q, const char *path, struct qom_object *o,
	     struct err *e) __must_check;

/* A row; takes @value over. */
struct json_object *qom_put(struct json_object *rows, const char *name,
			    const char *type, struct json_object *value);

/* A row of property @p, which says @text. */
struct json_object *qom_put_prop(struct json_object *rows, const struct prop *p,
				 const char *text);

/* Of an object that is a @base, processors and machines: all are alike. */
void qom_put_alike(struct qmp *q, const char *base, struct json_object *rows);

/* What a character port of that kind is; "" behind the last kind. */
const char *qom_port_type(enum charconf_kind kind);

#endif
