/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals. A kernel leaves KVM_RUN before a handler runs; here the guest is
 * inside the client's own thread. So every handler of the client is installed
 * as `trampoline`, which, when it finds the thread in KVM_RUN, only asks the
 * guest to stop and keeps the signal. After KVM_RUN the signals are sent to
 * the thread again and their handlers find what they would find with a
 * kernel: a thread outside of KVM_RUN, free to jump or to use the vCPU.
 *
 * Signals of hardware faults belong to liblodge once it is loaded. It passes
 * on what is not the guest's; the client's handlers for them exist in our
 * table only, and the signals are never blocked in threads that run guests.
 *
 * Signals libc keeps for itself pass by unseen.
 */
#include "shim/shim.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

#define NR_SIGNALS 65

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

/*
 * pthread_cancel() ends a system call that waits; libc's own signal for that
 * cannot be seen here, so this one follows it. To a client that does not use
 * it, it is as if it did not exist.
 */
#define WAKE 64

/*
 * The client's actions. Two places for each, so that a handler that looks
 * while another thread writes still finds a whole one.
 */
static struct {
	struct sigaction slot[2];
	uint8_t current;
} actions[NR_SIGNALS];
static uint32_t writing; /* lock of writers */
static bool faults_taken;

static __thread struct thread thread __attribute__((tls_model("initial-exec")));

struct thread *thread_self(void)
{
	return &thread;
}

static bool is_fault(int sig)
{
	for (size_t i = 0; i < ARRAY_SIZE(fault_signals); i++)
		if (fault_signals[i] == sig)
			return true;
	return false;
}

static uint64_t bit_of(int sig)
{
	return BIT64(sig - 1);
}

/* Never blocked: faults, and WAKE in threads that run guests. */
static void get_open(const struct thread *t, sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(fault_signals); i++)
		sigaddset(set, fault_signals[i]);
	if (t->runs_guests)
		sigaddset(set, WAKE);
}

/* Those of them in @set. */
static uint64_t open_bits(const struct thread *t, const sigset_t *set)
{
	uint64_t bits = 0;
	sigset_t open;

	get_open(t, &open);
	for (int sig = 1; sig < NR_SIGNALS; sig++)
		if (sigismember(&open, sig) == 1 && sigismember(set, sig) == 1)
			bits |= bit_of(sig);
	return bits;
}

static void remove_open(const struct thread *t, sigset_t *set)
{
	sigset_t open;

	get_open(t, &open);
	for (int sig = 1; sig < NR_SIGNALS; sig++)
		if (sigismember(&open, sig) == 1)
			sigdelset(set, sig);
}

static void remove_faults(sigset_t *set)
{
	for (size_t i = 0; i < ARRAY_SIZE(fault_signals); i++)
		sigdelset(set, fault_signals[i]);
}

static const struct sigaction *action_of(int sig)
{
	return &actions[sig].slot[__atomic_load_n(&actions[sig].current,
						  __ATOMIC_ACQUIRE)];
}

/* All signals are blocked while the lock is held, as handlers may set too. */
static void write_begin(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	if (faults_taken)
		remove_faults(&all);
	real()->pthread_sigmask(SIG_SETMASK, &all, old);
	while (__atomic_exchange_n(&writing, 1, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
}

static void write_end(const sigset_t *old)
{
	__atomic_store_n(&writing, 0, __ATOMIC_RELEASE);
	real()->pthread_sigmask(SIG_SETMASK, old, NULL);
}

static void set_action(int sig, const struct sigaction *act)
{
	uint8_t next = !actions[sig].current;

	actions[sig].slot[next] = *act;
	__atomic_store_n(&actions[sig].current, next, __ATOMIC_RELEASE);
}

/* ---- delivery ---- */

/* Keep a signal for after KVM_RUN; those of one number may merge. */
static void defer(struct thread *t, int sig, const siginfo_t *info)
{
	uint32_t n = t->ndeferred;

	for (uint32_t i = 0; sig < SIGRTMIN && i < n; i++)
		if (t->deferred[i].si_signo == sig)
			return;
	if (n == SIGNAL_DEFER)
		return;
	t->deferred[n] = *info;
	t->deferred[n].si_signo = sig;
	t->ndeferred = n + 1;
}

/* True when the thread is in KVM_RUN: the signal has to wait. */
static bool postpone(int sig, const siginfo_t *info)
{
	struct thread *t = &thread;
	void *token = t->token;
	int saved = errno;

	if (!token)
		return false;
	defer(t, sig, info);
	lib_get()->kick(token);
	errno = saved;
	return true;
}

void signal_replay(struct thread *t)
{
	sigset_t all, old;
	uint32_t n;

	sigfillset(&all);
	real()->pthread_sigmask(SIG_SETMASK, &all, &old);
	n = t->ndeferred;
	t->ndeferred = 0;
	for (uint32_t i = 0; i < n; i++)
		real()->syscall(SYS_rt_tgsigqueueinfo, getpid(),
				(int)real()->syscall(SYS_gettid),
				t->deferred[i].si_signo, &t->deferred[i]);
	real()->pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void set_default(int sig)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	real()->sigaction(sig, &dfl, NULL);
}

static void trampoline(int sig, siginfo_t *info, void *uc)
{
	struct sigaction act;

	if (postpone(sig, info))
		return;
	act = *action_of(sig);
	if (act.sa_flags & (int)SA_RESETHAND)
		set_default(sig);
	if (act.sa_handler == SIG_DFL || act.sa_handler == SIG_IGN)
		return;
	/* A handler of one argument does not mind two more. */
	act.sa_sigaction(sig, info, uc);
}

/* What a fault or a sent signal of its number does without a handler. */
static void end_by_default(int sig, const siginfo_t *info,
			   const struct sigaction *act)
{
	sigset_t set;

	if (info->si_code <= 0 && act->sa_handler == SIG_IGN)
		return;
	set_default(sig);
	if (info->si_code > 0)
		return; /* the fault repeats */
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	real()->pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * A fault that is not the guest's. liblodge's handler has none of the
 * client's flags, so what they ask for is done here.
 */
static void fault(int sig, siginfo_t *info, void *uc)
{
	struct sigaction act;
	sigset_t mask, old;

	if (cpuid_emulate(sig, uc))
		return;
	if (info->si_code <= 0 && postpone(sig, info))
		return;
	act = *action_of(sig);
	if (act.sa_handler == SIG_DFL || act.sa_handler == SIG_IGN) {
		end_by_default(sig, info, &act);
		return;
	}
	if (act.sa_flags & (int)SA_RESETHAND)
		set_action(sig, &(struct sigaction){.sa_handler = SIG_DFL});
	mask = act.sa_mask;
	remove_faults(&mask);
	real()->pthread_sigmask(SIG_BLOCK, &mask, &old);
	act.sa_sigaction(sig, info, uc);
	real()->pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* ---- installing ---- */

/* Through us, or past us when there is nothing to call. */
static int install(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction ours = *act;

	if (act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN) {
		ours.sa_sigaction = trampoline;
		ours.sa_flags |= SA_SIGINFO;
		ours.sa_flags &= ~(int)SA_RESETHAND;
		if (faults_taken)
			remove_faults(&ours.sa_mask);
	}
	return real()->sigaction(sig, &ours, old);
}

static bool is_ours(const struct sigaction *act)
{
	return (act->sa_flags & SA_SIGINFO) &&
	       (act->sa_sigaction == trampoline || act->sa_sigaction == fault);
}

/* With the lock held. A failure leaves everything as it was. */
static int replace(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before = *action_of(sig), known = {0};
	int ret = 0;

	if (faults_taken && is_fault(sig)) {
		known = before;
		if (act)
			set_action(sig, act);
	} else {
		if (act)
			set_action(sig, act);
		ret = act ? install(sig, act, &known)
			  : real()->sigaction(sig, NULL, &known);
		if (ret && act)
			set_action(sig, &before);
		if (!ret && is_ours(&known))
			known = before;
	}
	if (!ret && old)
		*old = known;
	return ret;
}

/* What the client knows of an action the kernel told of. */
static void show(int sig, struct sigaction *old)
{
	if (is_ours(old) || (faults_taken && is_fault(sig)))
		*old = *action_of(sig);
}

/* A child of vfork() is about to exec: nothing of it has to end KVM_RUN. */
static int set_directly(int sig, const struct sigaction *act,
			struct sigaction *old)
{
	int ret = real()->sigaction(sig, act, old);

	if (!ret && old)
		show(sig, old);
	return ret;
}

int signal_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction want, was;
	sigset_t mask;
	int ret;

	if (sig <= 0 || sig >= NR_SIGNALS || sig == SIGKILL || sig == SIGSTOP)
		return real()->sigaction(sig, act, old);
	if (fd_borrowed())
		return set_directly(sig, act, old);
	if (act)
		want = *act; /* a bad pointer must not fault with the lock */
	write_begin(&mask);
	ret = replace(sig, act ? &want : NULL, &was);
	write_end(&mask);
	if (!ret && old)
		*old = was;
	return ret;
}

void signal_take_faults(void)
{
	struct sigaction ours = {
		.sa_sigaction = fault,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART,
	};
	struct sigaction old;
	sigset_t mask;

	if (faults_taken)
		return;
	write_begin(&mask);
	for (size_t i = 0; i < ARRAY_SIZE(fault_signals); i++) {
		if (real()->sigaction(fault_signals[i], &ours, &old))
			continue;
		if (!is_ours(&old))
			set_action(fault_signals[i], &old);
	}
	__atomic_store_n(&faults_taken, true, __ATOMIC_RELEASE);
	write_end(&mask);
}

void signal_take_wake(void)
{
	struct sigaction ours = {
		.sa_sigaction = trampoline,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	struct sigaction old;
	sigset_t mask;

	write_begin(&mask);
	if (!real()->sigaction(WAKE, NULL, &old) && old.sa_handler == SIG_DFL)
		real()->sigaction(WAKE, &ours, NULL);
	write_end(&mask);
}

SHIM_API int pthread_cancel(pthread_t thread_id)
{
	int ret = real()->pthread_cancel(thread_id);
	struct sigaction act;

	if (!ret && lib_get() && !real()->sigaction(WAKE, NULL, &act) &&
	    is_ours(&act) && action_of(WAKE)->sa_handler == SIG_DFL)
		pthread_kill(thread_id, WAKE);
	return ret;
}

SHIM_API int sigaction(int sig, const struct sigaction *act,
		       struct sigaction *old)
{
	return signal_action(sig, act, old);
}

SHIM_API int __sigaction(int sig, const struct sigaction *act,
			 struct sigaction *old)
{
	return signal_action(sig, act, old);
}

static __sighandler_t set_handler(int sig, __sighandler_t handler, int flags)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
	struct sigaction old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (!(flags & SA_NODEFER))
		sigaddset(&act.sa_mask, sig);
	return signal_action(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

SHIM_API __sighandler_t signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, SA_RESTART);
}

SHIM_API __sighandler_t bsd_signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, SA_RESTART);
}

SHIM_API __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
	return set_handler(sig, handler, (int)SA_RESETHAND | SA_NODEFER);
}

SHIM_API int sigignore(int sig)
{
	struct sigaction act = {.sa_handler = SIG_IGN};

	return signal_action(sig, &act, NULL);
}

SHIM_API __sighandler_t sigset(int sig, __sighandler_t handler)
{
	struct sigaction act = {.sa_handler = handler}, old;
	bool hold = handler == SIG_HOLD;
	sigset_t set, was;

	sigemptyset(&set);
	if (sigaddset(&set, sig) ||
	    signal_action(sig, hold ? NULL : &act, &old))
		return SIG_ERR;
	if (sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, &was))
		return SIG_ERR;
	return sigismember(&was, sig) ? SIG_HOLD : old.sa_handler;
}

/* ---- masks ---- */

/* What has been blocked so far stays so for the client only. */
void signal_open_faults(struct thread *t)
{
	sigset_t set, old;

	get_open(t, &set);
	if (!real()->pthread_sigmask(SIG_UNBLOCK, &set, &old))
		t->hidden |= open_bits(t, &old);
	t->faults_open = true;
}

void signal_enter_thread(struct thread *t)
{
	t->runs_guests = true;
	signal_open_faults(t);
}

/* What the client believes is kept apart from what is true. */
static void filter(struct thread *t, int how, sigset_t *set)
{
	uint64_t bits = open_bits(t, set);

	if (how == SIG_UNBLOCK)
		t->hidden &= ~bits;
	else
		t->hidden = bits | (how == SIG_BLOCK ? t->hidden : 0);
	if (how != SIG_UNBLOCK)
		remove_open(t, set);
}

static int change_mask(int how, const sigset_t *set, sigset_t *old,
		       int (*change)(int, const sigset_t *, sigset_t *))
{
	struct thread *t = &thread;
	uint64_t hidden = t->hidden;
	sigset_t want;
	int ret;

	if (likely(!t->faults_open && !cpuid_traps()) || fd_borrowed())
		return change(how, set, old);
	if (set) {
		want = *set;
		filter(t, how, &want);
	}
	ret = change(how, set ? &want : NULL, old);
	if (ret) {
		t->hidden = hidden;
		return ret;
	}
	for (int sig = 1; old && sig < NR_SIGNALS; sig++)
		if (hidden & bit_of(sig))
			sigaddset(old, sig);
	return 0;
}

SHIM_API int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(how, set, old, real()->sigprocmask);
}

SHIM_API int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(how, set, old, real()->pthread_sigmask);
}
