/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every thread of the child is traced; a mark is a system call, too.
 */
#include "test/abi/tracer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/ptrace.h>

#define MARK  0x4c4f4447 /* no prctl() there is */
#define CALLS COST_CALLS

static void count(struct cost *c, pid_t tid)
{
	struct ptrace_syscall_info info = {0};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (info.entry.nr == SYS_prctl && info.entry.args[0] == MARK) {
		c->on = info.entry.args[1];
	} else if (c->on) {
		c->all++;
		c->of[info.entry.nr % CALLS]++;
	}
}

/* Until the child is gone; its exit status. */
static int follow(struct cost *c, pid_t child)
{
	int status, sig;
	pid_t tid;

	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0)
			return -1;
		if (!WIFSTOPPED(status)) {
			if (tid == child)
				return status;
			continue;
		}
		sig = WSTOPSIG(status);
		if (sig == (SIGTRAP | 0x80))
			count(c, tid);
		if (sig == (SIGTRAP | 0x80) || status >> 16 || sig == SIGSTOP)
			sig = 0;
		ptrace(PTRACE_SYSCALL, tid, 0, sig);
	}
}

void tracer_count(struct cost *c, void (*scene)(void))
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
			     PTRACE_O_EXITKILL;
	int status;
	pid_t child = fork();

	memset(c, 0, sizeof(*c));
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(77);
		raise(SIGSTOP);
		scene();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		skip(); /* nobody may trace here */
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, 0, options), 0);
	ptrace(PTRACE_SYSCALL, child, 0, 0);
	assert_int_equal(follow(c, child), 0);
	for (unsigned int i = 0; i < CALLS; i++)
		if (c->of[i])
			print_message("system call %u: %u times\n", i,
				      c->of[i]);
}

void tracer_mark(bool on)
{
	syscall(SYS_prctl, MARK, (unsigned long)on);
}
