/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults as a process sees them (which signal, which code, which address,
 * which instruction), and a timer's signals during a computation whose
 * registers must survive them.
 */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile int got_signal;
static volatile int got_code;
static void *volatile got_addr;
static volatile uintptr_t got_rip;
static volatile int ticks;

static void on_fault(int sig, siginfo_t *info, void *uc)
{
	ucontext_t *u = uc;

	got_signal = sig;
	got_code = info->si_code;
	got_addr = info->si_addr;
	got_rip = u->uc_mcontext.gregs[REG_RIP];
	siglongjmp(back, 1);
}

/* Spoils the vector registers that the interrupted code is using. */
static void on_tick(int sig)
{
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\t"
			 "pcmpeqd %%xmm7, %%xmm7\n\t"
			 "pcmpeqd %%xmm15, %%xmm15" ::
				 : "xmm0", "xmm7", "xmm15");
	ticks++;
}

/* Each action's faulting instruction is marked by a global label. */
extern char fault_div[], fault_ud[], fault_load[], fault_store[];
extern char fault_gp[], after_int3[];

static void act_div(void *p)
{
	__asm__ volatile("xor %%edx, %%edx\n\tmov $1, %%eax\n\t"
			 "xor %%ecx, %%ecx\n\t"
			 ".globl fault_div\nfault_div: idiv %%ecx" ::
				 : "eax", "ecx", "edx");
}

static void act_ud(void *p)
{
	__asm__ volatile(".globl fault_ud\nfault_ud: ud2");
}

static void act_load(void *p)
{
	__asm__ volatile(".globl fault_load\n"
			 "fault_load: movzbl (%0), %%eax" ::"r"(p)
			 : "eax");
}

static void act_store(void *p)
{
	__asm__ volatile(".globl fault_store\n"
			 "fault_store: movq $1, (%0)" ::"r"(p)
			 : "memory");
}

static void act_noncanonical(void *p)
{
	__asm__ volatile(".globl fault_gp\nfault_gp: mov (%0), %%rax" ::"r"(
				 0x8000000000000000ul)
			 : "rax");
}

static void act_int3(void *p)
{
	__asm__ volatile("int3\n\t.globl after_int3\nafter_int3: nop");
}

struct fault {
	const char *what;
	void (*act)(void *);
	void *arg;
	int sig;
	int code;
	void *addr; /* NULL: not looked at */
	const char *rip;
};

static int expect(const struct fault *f)
{
	got_signal = 0;
	if (!sigsetjmp(back, 1))
		f->act(f->arg);
	if (got_signal != f->sig || got_code != f->code)
		FAIL("%s: signal %d code %d, not %d code %d", f->what,
		     got_signal, got_code, f->sig, f->code);
	if (f->addr && got_addr != f->addr)
		FAIL("%s: address %p, not %p", f->what, got_addr, f->addr);
	if (got_rip != (uintptr_t)f->rip)
		FAIL("%s: at %#lx, not %p", f->what, (long)got_rip, f->rip);
	return 0;
}

static int faults(void)
{
	/* One page and none behind it. */
	char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	char *end = p + 4096;
	const struct fault table[] = {
		{"divide", act_div, NULL, SIGFPE, FPE_INTDIV, fault_div,
		 fault_div},
		{"ud2", act_ud, NULL, SIGILL, ILL_ILLOPN, fault_ud, fault_ud},
		{"load unmapped", act_load, end + 17, SIGSEGV, SEGV_MAPERR,
		 end + 17, fault_load},
		{"store read-only", act_store, p + 8, SIGSEGV, SEGV_ACCERR,
		 p + 8, fault_store},
		{"non-canonical", act_noncanonical, NULL, SIGSEGV, SI_KERNEL,
		 NULL, fault_gp},
		{"int3", act_int3, NULL, SIGTRAP, SI_KERNEL, NULL, after_int3},
	};
	const struct fault across = {"store across", act_store,   end - 4,
				     SIGSEGV,        SEGV_MAPERR, end,
				     fault_store};
	int bad = 0;

	if (p == MAP_FAILED || munmap(end, 4096))
		FAIL("no memory");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		bad |= expect(&table[i]);
	mprotect(p, 4096, PROT_READ | PROT_WRITE);
	bad |= expect(&across);
	if (end[-4] || end[-1])
		FAIL("a store that faulted half-way wrote its first half");
	return bad;
}

/* A sum kept in vector and general registers while signals arrive. */
static uint64_t sum_registers(uint64_t n)
{
	uint64_t gpr = 0, vec[2];

	__asm__ volatile("pxor %%xmm0, %%xmm0\n\t"
			 "movq %[one], %%xmm7\n\t"
			 "1: paddq %%xmm7, %%xmm0\n\t"
			 "lea 3(%[gpr]), %[gpr]\n\t"
			 "movdqa %%xmm0, %%xmm15\n\t"
			 "dec %[n]\n\t"
			 "jnz 1b\n\t"
			 "movdqu %%xmm15, %[vec]"
			 : [gpr] "+r"(gpr), [n] "+r"(n), [vec] "=m"(vec)
			 : [one] "r"(1ul)
			 : "xmm0", "xmm7", "xmm15", "cc");
	return gpr * 0x10000 + vec[0] + vec[1];
}

static int timer(void)
{
	struct itimerval on = {{0, 1000}, {0, 1000}};
	struct itimerval off = {{0, 0}, {0, 0}};
	int64_t end = now_ns() + 1500000000;
	uint64_t n = 1000000;

	if (setitimer(ITIMER_REAL, &on, NULL))
		FAIL("no timer");
	while (now_ns() < end) {
		uint64_t sum = sum_registers(n);

		if (sum != 3 * n * 0x10000 + n)
			FAIL("registers changed under a signal: %#lx",
			     (long)sum);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	if (ticks < 50)
		FAIL("only %d signals in 1.5 s", ticks);
	printf("signal %d ticks\n", ticks);
	return 0;
}

int check_signal(void)
{
	static char stack[65536];
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};
	static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};
	struct sigaction sa = {.sa_sigaction = on_fault,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_RESTART};

	sigaltstack(&alt, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	sigaction(SIGALRM, &tick, NULL);
	return faults() | timer();
}
