/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine's fw_cfg holds: its size, its memory map, the operator's
 * items.
 */
#ifndef VMM_FWITEMS_H
#define VMM_FWITEMS_H

#include "lib/err.h"

struct machine;

/* Create m->fwcfg; board_exit() destroys it. */
int fwitems_create(struct machine *m, struct err *e) __must_check;

#endif
