/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupted context a signal handler gets, apart from cpu/cpu.h because
 * the two headers name registers alike.
 */
#ifndef ENGINE_SIGCTX_H
#define ENGINE_SIGCTX_H

#include "lib/util.h"

struct sigctx {
	uint64_t *gpr[16]; /* by register number */
	uint64_t *rip;
	uint64_t flags, trapno, error, cr2;
};

void sigctx_get(void *ucontext, struct sigctx *out);

#endif
