/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A debugger's work on a child: single steps counted one by one, a software
 * breakpoint written into its code, hardware breakpoints on execution and on
 * data. Trap flag, int3 after a foreign store to code, DR0-DR7.
 */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

extern char step_first[], step_rep[], step_last[], traced_add[];
static volatile long watched[2];

/*
 * Ten instructions from step_first to step_last; the string store counts
 * once per element, so twelve steps.
 */
__asm__(".pushsection .text\n"
	".globl traced, step_first, step_rep, step_last, traced_add\n"
	".type traced, @function\n"
	"traced:\n"
	"	push %rbx\n"
	"step_first:\n"
	"	mov $39, %eax\n" /* getpid */
	"	syscall\n"
	"	xor %eax, %eax\n"
	"	cpuid\n"
	"	lea step_buffer(%rip), %rdi\n"
	"	mov $3, %ecx\n"
	"step_rep:\n"
	"	rep stosb\n"
	"	pushf\n"
	"	pop %rax\n"
	"	call step_last\n"
	"step_last:\n"
	"	pop %rbx\n"
	"	xor %eax, %eax\n"
	"	mov $10, %ecx\n"
	"traced_add:\n"
	"	add $1, %eax\n"
	"	loop traced_add\n"
	"	pop %rbx\n"
	"	ret\n"
	".popsection\n"
	".pushsection .bss\n"
	"step_buffer: .skip 16\n"
	".popsection\n");
extern long traced(void);

static void child(void)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (int i = 0; i < 4; i++) {
		if (traced() != 10)
			_exit(1);
		watched[0] = i;
		watched[1] = i;
	}
	_exit(7);
}

static uintptr_t rip_of(pid_t pid)
{
	struct user_regs_struct regs;

	return ptrace(PTRACE_GETREGS, pid, 0, &regs) ? 0 : regs.rip;
}

static int set_dr(pid_t pid, int i, uintptr_t value)
{
	return ptrace(PTRACE_POKEUSER, pid,
		      offsetof(struct user, u_debugreg) + i * 8, value);
}

static long get_dr(pid_t pid, int i)
{
	return ptrace(PTRACE_PEEKUSER, pid,
		      offsetof(struct user, u_debugreg) + i * 8, 0);
}

/* Lets the child go on and waits for a SIGTRAP. */
static int go(pid_t pid, int request)
{
	int status;

	if (ptrace(request, pid, 0, 0) || waitpid(pid, &status, 0) != pid)
		FAIL("the child is lost: errno %d", errno);
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		FAIL("no trap, status %#x", status);
	return 0;
}

static int hardware_exec(pid_t pid)
{
	if (set_dr(pid, 0, (uintptr_t)step_first) || set_dr(pid, 7, 0x1))
		FAIL("no hardware breakpoint: errno %d", errno);
	if (go(pid, PTRACE_CONT))
		return 1;
	if (rip_of(pid) != (uintptr_t)step_first)
		FAIL("stopped at %#lx", (long)rip_of(pid));
	if (!(get_dr(pid, 6) & 1))
		FAIL("DR6 is %#lx", get_dr(pid, 6));
	return set_dr(pid, 7, 0) ? 1 : 0;
}

static int steps(pid_t pid)
{
	int n = 0, in_rep = 0;

	while (rip_of(pid) != (uintptr_t)step_last) {
		in_rep += rip_of(pid) == (uintptr_t)step_rep;
		if (++n > 40 || go(pid, PTRACE_SINGLESTEP))
			FAIL("lost after %d steps at %#lx", n,
			     (long)rip_of(pid));
	}
	if (n != 12 || in_rep != 3)
		FAIL("%d steps (%d in rep), not 12 (3)", n, in_rep);
	return 0;
}

static int breakpoint(pid_t pid)
{
	long word = ptrace(PTRACE_PEEKTEXT, pid, traced_add, 0);
	struct user_regs_struct regs;

	if (ptrace(PTRACE_POKETEXT, pid, traced_add, (word & ~0xffl) | 0xcc))
		FAIL("cannot write a breakpoint: errno %d", errno);
	/* Hit it twice, stepping over the original in between. */
	for (long hit = 0; hit < 2; hit++) {
		if (go(pid, PTRACE_CONT))
			return 1;
		ptrace(PTRACE_GETREGS, pid, 0, &regs);
		if (regs.rip != (uintptr_t)traced_add + 1)
			FAIL("hit %ld at %#llx", hit, regs.rip);
		if ((long)regs.rax != hit)
			FAIL("hit %ld with rax %lld", hit, regs.rax);
		regs.rip--;
		ptrace(PTRACE_SETREGS, pid, 0, &regs);
		ptrace(PTRACE_POKETEXT, pid, traced_add, word);
		if (go(pid, PTRACE_SINGLESTEP))
			return 1;
		if (!hit)
			ptrace(PTRACE_POKETEXT, pid, traced_add,
			       (word & ~0xffl) | 0xcc);
	}
	return 0;
}

/* A write watchpoint of 8 bytes: traps after the store, the store is done. */
static int hardware_data(pid_t pid)
{
	if (set_dr(pid, 1, (uintptr_t)&watched[1]) ||
	    set_dr(pid, 7, 0x4 | 0x9ul << 20))
		FAIL("no watchpoint: errno %d", errno);
	for (long i = 0; i < 3; i++) {
		if (go(pid, PTRACE_CONT))
			return 1;
		if (ptrace(PTRACE_PEEKDATA, pid, &watched[1], 0) != i)
			FAIL("the watched store %ld is not done", i);
		if ((get_dr(pid, 6) & 0xf) != 2)
			FAIL("DR6 is %#lx", get_dr(pid, 6));
	}
	return set_dr(pid, 7, 0) ? 1 : 0;
}

int check_ptrace(void)
{
	int status, bad;
	pid_t pid = fork();

	if (!pid)
		child();
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		FAIL("no child");
	bad = hardware_exec(pid) || steps(pid) || breakpoint(pid) ||
	      hardware_data(pid);
	if (bad) {
		kill(pid, SIGKILL);
		return 1;
	}
	ptrace(PTRACE_CONT, pid, 0, 0);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 7)
		FAIL("the child ended with %#x", status);
	return 0;
}
