/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people change about -netdev user while it is used: ports of this host
 * that lead into the guest.
 */
#ifndef VMM_QMP_LENT_HOSTFWD_H
#define VMM_QMP_LENT_HOSTFWD_H

#include <stdio.h>

#include "vmm/qmp/command.h"

/* "[NETDEV] RULE", in the first user network without a name. */
int lent_hostfwd_add(struct qmp *q, const char *text,
		     struct err *e) __must_check;
int lent_hostfwd_remove(struct qmp *q, const char *text,
			struct err *e) __must_check;

/* All user networks' connections. */
void lent_usernet(struct qmp *q, FILE *out);

#endif
