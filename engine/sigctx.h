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

/*
 * Take SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP. @fn is asked first, with
 * a context it may change; what it does not want goes to the handler that was
 * there. 0 or -errno.
 */
typedef bool sigctx_fn(int sig, struct sigctx *ctx);
int sigctx_install(sigctx_fn *fn) __must_check;

#endif
