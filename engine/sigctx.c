/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pointers into a ucontext_t; see sigctx.h.
 */
#include "engine/sigctx.h"

#include <errno.h>
#include <signal.h>
#include <ucontext.h>

static struct sigaction old_action[NSIG];
static sigctx_fn *owner;

static void sigctx_get(void *ucontext, struct sigctx *out)
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

static void forward(int sig, siginfo_t *info, void *uc)
{
	struct sigaction *old = &old_action[sig];

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, uc);
	} else if (old->sa_handler == SIG_DFL) {
		signal(sig, SIG_DFL); /* the fault repeats and kills */
	} else if (old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
	}
}

static void handler(int sig, siginfo_t *info, void *uc)
{
	int saved_errno = errno;
	struct sigctx c;

	sigctx_get(uc, &c);
	if (info->si_code <= 0 || !owner(sig, &c))
		forward(sig, info, uc);
	errno = saved_errno;
}

int sigctx_install(sigctx_fn *fn)
{
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	struct sigaction sa = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART,
	};

	owner = fn;
	for (unsigned int i = 0; i < ARRAY_SIZE(sigs); i++)
		if (sigaction(sigs[i], &sa, &old_action[sigs[i]]))
			return -errno;
	return 0;
}
