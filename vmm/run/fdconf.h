/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that were open before we began.
 */
#ifndef VMM_RUN_FDCONF_H
#define VMM_RUN_FDCONF_H

#include "lib/err.h"

/* "fd=N,set=M,opaque=TEXT": descriptor N is found at /dev/fdset/M. */
int fdconf_add(const char *arg, struct err *e) __must_check;

#endif
