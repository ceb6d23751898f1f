/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitors of a run: QMP for programs and a line at a time for people,
 * each at a character port, all looking at the same machine.
 */
#ifndef VMM_QMP_MONITOR_H
#define VMM_QMP_MONITOR_H

#include "vmm/run/chardev.h"
#include "vmm/qmp/command.h"

/* Without monitors there is one all the same, for the control's events. */
struct monitors;

/*
 * Attach what @c names to @d's ports. @qmp is copied; its control's events
 * come here from now on. NULL with a sentence on failure.
 */
struct monitors *monitors_open(const struct charconf *c, struct chardevs *d,
			       const struct qmp *qmp,
			       struct err *e) __must_check;

/* Detach; what was not sent yet is sent by chardevs_close(). */
void monitors_close(struct monitors *m);

/* The ports, for who lists and changes them. */
struct chardevs *monitors_ports(const struct monitors *m);

#endif
