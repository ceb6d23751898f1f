/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pointers into a ucontext_t; see sigctx.h.
 */
#include "engine/sigctx.h"

#include <ucontext.h>

void sigctx_get(void *ucontext, struct sigctx *out)
{
	static const int order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
		REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
		REG_R12, REG_R13, REG_R14, REG_R15,
	};
	ucontext_t *uc = ucontext;
	greg_t *g = uc->uc_mcontext.gregs;

	for (int i = 0; i < 16; i++)
		out->gpr[i] = (uint64_t *)&g[order[i]];
	out->rip = (uint64_t *)&g[REG_RIP];
	out->flags = g[REG_EFL];
	out->trapno = g[REG_TRAPNO];
	out->error = g[REG_ERR];
	out->cr2 = g[REG_CR2];
}
