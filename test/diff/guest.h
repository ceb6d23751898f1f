/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's half: a machine of one cpu whose page tables show the same
 * addresses with the same permissions at CPL 3. Every exception leads to a
 * HLT in ring 0, so that a block costs one engine_run().
 */
#ifndef DIFF_GUEST_H
#define DIFF_GUEST_H

#include "test/diff/state.h"

/*
 * @code: CODE_SIZE bytes shared with the native half. @exact: the engine keeps
 * arithmetic flags exact at every fault. 0 or -errno.
 */
int guest_open(uint8_t *code, bool exact) __must_check;

/* Everything in @code may have changed. */
void guest_code_changed(void);

/*
 * Run from out->st and out->mem; both are replaced by what came of it. False:
 * the engine left for another reason than the end of the block.
 */
bool guest_run(struct outcome *out);

/* What guest_run() returned false for, last time. */
const char *guest_why(void);

/* From a signal handler: end a run that takes too long. */
void guest_kick(void);

#endif
