/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that clients passed to one monitor, by name, until something
 * takes them. The event loop's thread only, as commands are.
 */
#ifndef VMM_QMP_LENT_PASSED_H
#define VMM_QMP_LENT_PASSED_H

#include <json-c/json.h>

#include "lib/err.h"

struct console;
struct passed_fd;

/* One that is zero has none, and no way for any to come. */
struct passed {
	struct console *console;
	struct passed_fd *first;
};

/* The descriptor that came with the request; the caller's, or -errno. */
int passed_take(struct passed *p, struct err *e) __must_check;

/* Call it @name; who was called so before is closed. Takes @fd over. */
int passed_keep(struct passed *p, const char *name, int fd,
		struct err *e) __must_check;

/* Close that one. */
int passed_drop(struct passed *p, const char *name, struct err *e) __must_check;

/*
 * Of options that name descriptors (fd, fds, vhostfd, vhostfds, and the str
 * of an address whose type is fd), put numbers in the place of names. What
 * was named belongs to the one who gets the options if passed_settle() is
 * told that he @took it, and is closed else. @p may be NULL.
 */
int passed_number(struct passed *p, struct json_object *options,
		  struct err *e) __must_check;
void passed_settle(struct passed *p, bool took);

void passed_close(struct passed *p);

#endif
