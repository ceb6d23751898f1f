/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices as what virtserialport and virtconsole lead to: each
 * -chardev has an entry among the backends.
 */
#ifndef VMM_RUN_CHARPORT_H
#define VMM_RUN_CHARPORT_H

#include "vmm/backend.h"
#include "vmm/run/charconf.h"

struct chardevs;

/* An entry for each port of @c that has none yet. */
int charports_declare(struct backends *list, const struct charconf *c,
		      struct err *e) __must_check;

/* Those that devices have are nobody else's, and the other way round. */
int charports_use(const struct backends *list, struct charconf *c,
		  struct err *e) __must_check;

/* Whether a device, COM1, a monitor or a network has @p. */
bool charports_busy(const struct backends *list, const struct charconf_port *p);

/* They lead to @d's ports, which stay open as long as they do. */
void charports_connect(struct backends *list, const struct chardevs *d);

#endif
