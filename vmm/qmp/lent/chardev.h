/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people's monitors need of the character ports.
 */
#ifndef VMM_QMP_LENT_CHARDEV_H
#define VMM_QMP_LENT_CHARDEV_H

#include "vmm/qmp/command.h"

/* One more port, as -chardev has it. */
int lent_chardev_add(struct qmp *q, const char *text,
		     struct err *e) __must_check;

#endif
