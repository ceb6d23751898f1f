/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the devices: what -drive, -blockdev and -netdev name. A
 * list; each entry is the first member of what its option's parser made, and
 * brings its own functions. It is opened once, and lent to one machine after
 * the other.
 */
#ifndef VMM_BACKEND_H
#define VMM_BACKEND_H

#include "dev/prop.h"

struct backend;

struct backend_class {
	enum prop_link_kind kind; /* which properties can name it */
	const char *what;         /* "drive", in sentences */
	/* Set b->object, what devices get. 0 or -errno with a sentence. */
	int (*open)(struct backend *b, struct err *e);
	/* Of one that was opened. */
	void (*close)(struct backend *b);
	/* Of any: what else it has. NULL: nothing. */
	void (*free)(struct backend *b);
};

struct backend {
	struct backend *next;
	const struct backend_class *class;
	char id[PROP_NAME];
	void *object;     /* NULL: not open */
	const void *user; /* who has it, NULL: nobody */
};

struct backends {
	struct backend *first;
};

/* "a drive", of any class of that kind. */
const char *backend_kind(enum prop_link_kind kind);

/*
 * Put @b, from malloc(), at the end of @list, which then owns it. -EINVAL
 * when its id is none or there is another one of its kind.
 */
int backend_add(struct backends *list, struct backend *b,
		struct err *e) __must_check;

struct backend *backend_find(const struct backends *list,
			     enum prop_link_kind kind, const char *id);

/* Open what is not open. */
int backend_open(struct backend *b, struct err *e) __must_check;
int backends_open(struct backends *list, struct err *e) __must_check;

/* Close it, take it out of @list and free it. -EBUSY while it has a user. */
int backend_remove(struct backends *list, struct backend *b,
		   struct err *e) __must_check;

/* Close all; the list stays. */
void backends_close(struct backends *list);
/* Close and free all. */
void backends_free(struct backends *list);

#endif
