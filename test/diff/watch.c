/* SPDX-License-Identifier: Apache-2.0 */
#include "test/diff/watch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lib/check.h"
#include "test/diff/guest.h"
#include "test/diff/native.h"

#define ASK_US  300000 /* of one run, after which it is asked to end */
#define QUIT_US 20000000

static const struct block *volatile current;
static volatile uint64_t waited; /* us since the run began */
static uint64_t cpu_used;        /* us, at the last tick */

void watch_block(const struct block *b)
{
	current = b;
	waited = 0;
}

void watch_run(void)
{
	waited = 0;
}

static void say_which(const char *what)
{
	static char text[96];
	int n = snprintf(
		text, sizeof(text), "--- %s: diff -b 0x%" PRIx64 "@0x%x\n",
		what, current ? current->seed : 0, current ? current->gva : 0);

	if (write(STDOUT_FILENO, text, n) != n)
		_exit(2);
}

static uint64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/*
 * A signal comes with the block's flags: with AC set, C code would fault. So
 * the handler drops them first; what returns from it has them again. A native
 * block is left from here as if the tick had been a fault of its own.
 */
__asm__(".pushsection .text\n"
	"watch_tick_entry:\n"
	"	push	$0x202\n"
	"	popf\n"
	"	push	%rdi\n"
	"	push	%rsi\n"
	"	push	%rdx\n"
	"	call	watch_tick\n"
	"	pop	%rdx\n"
	"	pop	%rsi\n"
	"	pop	%rdi\n"
	"	test	%al, %al\n"
	"	jnz	native_signal\n"
	"	ret\n"
	".popsection");
void watch_tick_entry(int sig, siginfo_t *info, void *ctx);
bool watch_tick(void);

/* True: leave the native block. The block's fs is in force: no libc state. */
bool watch_tick(void)
{
	uint64_t now = cpu_us();

	waited += now - cpu_used;
	cpu_used = now;
	if (waited < ASK_US)
		return false;
	if (native_running())
		return true;
#ifdef DIFF_ENGINE
	guest_kick();
#endif
	if (waited < QUIT_US)
		return false;
	say_which("does not end");
	_exit(1);
}

/* The engine found a mistake of its own. */
static void aborted(int sig)
{
	say_which("aborted");
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
}

void watch_start(unsigned int us)
{
	struct itimerval it = {{0, us}, {0, us}};
	struct sigaction sa = {.sa_sigaction = watch_tick_entry,
			       .sa_flags = SA_SIGINFO | SA_RESTART |
					   SA_ONSTACK};

	cpu_used = cpu_us();
	signal(SIGABRT, aborted);
	if (sigaction(SIGALRM, &sa, NULL) || setitimer(ITIMER_REAL, &it, NULL))
		abort();
}
