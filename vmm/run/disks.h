/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the disks of a machine that stops have in flight. Guest memory and
 * nodes are theirs until it ends, and a disk may be behind a server that is
 * gone.
 */
#ifndef VMM_RUN_DISKS_H
#define VMM_RUN_DISKS_H

#include "vmm/stop.h"

struct backends;
struct control;

/*
 * Reset the machine's devices, and wait until their disks are done: a reset
 * for as long as that takes, or until an operator wants to leave. Who leaves
 * waits for a while, or until asked once more; then control->abandoned is set.
 * The reason, which may be another one by then. The control's lock is held,
 * and dropped meanwhile; vCPUs stay at their gate.
 */
enum stop_reason disks_settle(struct control *c, enum stop_reason reason);

/* One sentence for each that is not done. */
void disks_complain(const struct backends *list,
		    void (*say)(void *ctx, const char *text), void *ctx);

#endif
