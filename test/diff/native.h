/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle: runs a block on the host's processor with a given state and
 * reads back what it left. One per process, since the addresses are fixed.
 */
#ifndef DIFF_NATIVE_H
#define DIFF_NATIVE_H

#include "test/diff/state.h"

/*
 * Map the fixed addresses. 0, -ENOSYS when the host lacks XSAVE, or -errno of
 * a mapping.
 */
int native_open(void) __must_check;

/*
 * The host's kernel keeps the bases of fs and gs that blocks set. Where it
 * does not, they must leave these segments alone.
 */
bool native_fsgsbase(void);

/* The selector names a descriptor user mode may see. */
bool native_selector(uint16_t sel);

/* CODE_SIZE bytes that appear, executable, at CODE_GVA. */
uint8_t *native_code(void);

/* The pages as the block sees them. */
struct memory_view {
	uint8_t *data;
	uint8_t *stack;
	uint8_t *readonly;
};

/*
 * Take SIGSEGV and its kin for native blocks (true) or give them back to who
 * had them before. Blocks may run only in between.
 */
void native_signals(bool take);

/*
 * Where the kernel has to set the bases of fs and gs, set them for blocks only
 * that use them, themselves. A block that overwrites its return address may
 * come into one that does: what differs is run again without this.
 */
void native_quick(bool on);

/* A block runs natively now. For signal handlers. */
bool native_running(void);

/* Run from out->st and out->mem; both are replaced by what came of it. */
void native_run(struct outcome *out);

#endif
