/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog. A block may overwrite its return address and so run in a
 * circle for ever; both halves are asked to leave such a block, and a half
 * that does not is a finding. Times are this process's own: a busy machine is
 * nobody's mistake.
 */
#ifndef DIFF_WATCH_H
#define DIFF_WATCH_H

#include "test/diff/state.h"

#define WATCH_TICK_US 100000

/*
 * Tick every `us` microseconds. Often enough, the signals also prove that
 * blocks do not show where they came.
 */
void watch_start(unsigned int us);

/* The block to name should something not end; NULL for none. */
void watch_block(const struct block *b);

/* A run of it, natively or by the engine, begins now. */
void watch_run(void);

#endif
