/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals as clients use them that have not heard of immediate_exit: whatever
 * has a handler ends KVM_RUN, and the handler finds the vCPU free.
 */
#include "test/shim/client.h"

static struct machine m;
static volatile sig_atomic_t seen;
static volatile int handler_result;
static sigjmp_buf escape;

static void count(int sig)
{
	(void)sig;
	seen++;
}

static void handle(int sig, void (*fn)(int sig), int flags)
{
	struct sigaction act = {.sa_handler = fn, .sa_flags = flags};

	CHECK(!sigaction(sig, &act, NULL));
}

static void start_timer(long us)
{
	struct itimerspec when = {.it_value = {0, us * 1000}};
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR2,
	};
	timer_t timer;

	CHECK(!timer_create(CLOCK_MONOTONIC, &ev, &timer));
	CHECK(!timer_settime(timer, 0, &when, NULL));
}

static void run_interrupted(void)
{
	FAILS(ioctl(m.vcpu, KVM_RUN, 0), EINTR);
	CHECK(m.run->exit_reason == KVM_EXIT_INTR);
}

void signals_timer(void)
{
	machine_open(&m);
	machine_code(&m, guest_spin, sizeof(guest_spin));
	handle(SIGUSR2, count, SA_RESTART);
	for (int i = 1; i <= 10; i++) {
		start_timer(3000);
		run_interrupted();
		CHECK(seen == i);
	}
	machine_close(&m);
}

static void *kick(void *thread)
{
	for (int i = 0; i < 100; i++) {
		int before = seen;

		CHECK(!pthread_kill(*(pthread_t *)thread, SIGUSR1));
		while (seen == before)
			usleep(100);
	}
	return NULL;
}

static void kick_100(void)
{
	pthread_t self = pthread_self(), other;

	seen = 0;
	handle(SIGUSR1, count, 0);
	CHECK(!pthread_create(&other, NULL, kick, &self));
	while (seen < 100)
		CHECK(ioctl(m.vcpu, KVM_RUN, 0) == -1 && errno == EINTR);
	CHECK(!pthread_join(other, NULL));
}

void signals_kick(void)
{
	machine_open(&m);
	machine_code(&m, guest_spin, sizeof(guest_spin));
	kick_100();
	machine_close(&m);
}

/* Asleep inside KVM_RUN: HLT with the interrupt controller in the kernel. */
void signals_halted(void)
{
	static const uint8_t halt[] = {0xfb, 0xf4, 0xeb, 0xfd};
	struct kvm_userspace_memory_region r = {.memory_size = RAM};
	struct machine plain;

	machine_open(&plain);
	m = plain;
	m.vm = ioctl(m.kvm, KVM_CREATE_VM, 0);
	r.userspace_addr = (uintptr_t)m.ram;
	CHECK(!ioctl(m.vm, KVM_CREATE_IRQCHIP, 0));
	CHECK(!ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &r));
	m.vcpu = ioctl(m.vm, KVM_CREATE_VCPU, 0);
	m.run = mmap(NULL, m.run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     m.vcpu, 0);
	CHECK(m.run != MAP_FAILED);
	machine_code(&m, halt, sizeof(halt));
	kick_100();
}

static void jump(int sig)
{
	(void)sig;
	siglongjmp(escape, 1);
}

void signals_jump(void)
{
	machine_open(&m);
	handle(SIGUSR2, jump, 0);
	for (volatile int i = 0; i < 5; i++) {
		machine_code(&m, guest_spin, sizeof(guest_spin));
		if (!sigsetjmp(escape, 1)) {
			start_timer(2000);
			ioctl(m.vcpu, KVM_RUN, 0);
			CHECK(!"KVM_RUN came back");
		}
		machine_code(&m, guest_out, sizeof(guest_out));
		machine_expect_out(&m, 0x10);
	}
	machine_close(&m);
}

static void use_vcpu(int sig, siginfo_t *info, void *uc)
{
	struct kvm_regs regs;

	(void)uc;
	CHECK(sig == SIGUSR2 && info->si_signo == SIGUSR2);
	CHECK(info->si_code == SI_TIMER);
	handler_result = ioctl(m.vcpu, KVM_GET_REGS, &regs);
	CHECK(regs.rip == CODE);
	regs.rip = CODE + 2;
	CHECK(!ioctl(m.vcpu, KVM_SET_REGS, &regs));
}

void signals_handler_uses_vcpu(void)
{
	struct sigaction act = {
		.sa_sigaction = use_vcpu,
		.sa_flags = SA_SIGINFO | (int)SA_RESETHAND,
	};
	uint8_t code[6];

	memcpy(code, guest_spin, 2);
	memcpy(code + 2, guest_out, 4);
	machine_open(&m);
	machine_code(&m, code, sizeof(code));
	CHECK(!sigaction(SIGUSR2, &act, NULL));
	handler_result = -1;
	start_timer(2000);
	run_interrupted();
	CHECK(!handler_result);
	machine_expect_out(&m, 0x10);
	CHECK(!sigaction(SIGUSR2, NULL, &act) && act.sa_handler == SIG_DFL);
	machine_close(&m);
}

static void own_fault(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	CHECK(sig == SIGSEGV && info->si_addr == (void *)0x10);
	seen++;
	siglongjmp(escape, 1);
}

static void not_for_us(int sig)
{
	(void)sig;
	CHECK(!"a fault of the guest reached its client");
}

/* Handlers for faults, installed after the VM was made. */
void signals_faults(void)
{
	struct sigaction act = {.sa_sigaction = own_fault,
				.sa_flags = SA_SIGINFO},
			 old;

	volatile int *volatile nowhere = (void *)0x10;

	machine_open(&m);
	CHECK(!sigaction(SIGSEGV, &act, &old) && old.sa_handler == SIG_DFL);
	CHECK(signal(SIGFPE, not_for_us) == SIG_DFL);
	for (volatile int i = 0; i < 3; i++) {
		machine_code(&m, guest_div, sizeof(guest_div));
		machine_expect_out(&m, 0x20);
		if (!sigsetjmp(escape, 1)) {
			*nowhere = 1;
			CHECK(!"wrote to nowhere");
		}
	}
	CHECK(seen == 3);
	CHECK(!sigaction(SIGSEGV, NULL, &old));
	CHECK(old.sa_sigaction == own_fault && (old.sa_flags & SA_SIGINFO));
	CHECK(signal(SIGFPE, SIG_IGN) == not_for_us);
	machine_close(&m);
}

/* A thread that blocks all it can, as many do for their vCPUs. */
void signals_blocked(void)
{
	sigset_t all, was, now;

	machine_open(&m);
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, &was));
	machine_code(&m, guest_div, sizeof(guest_div));
	machine_expect_out(&m, 0x20);
	CHECK(!pthread_sigmask(SIG_BLOCK, NULL, &now));
	CHECK(sigismember(&now, SIGSEGV) && sigismember(&now, SIGUSR1));
	CHECK(!pthread_sigmask(SIG_SETMASK, &was, &now));
	CHECK(sigismember(&now, SIGFPE));
	CHECK(!sigprocmask(SIG_BLOCK, &all, &now) &&
	      !sigismember(&now, SIGFPE));
	machine_code(&m, guest_div, sizeof(guest_div));
	machine_expect_out(&m, 0x20);
	machine_close(&m);
}

/* KVM_SET_SIGNAL_MASK: EINTR, no handler, and the signal is still there. */
void signals_mask(void)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} __attribute__((packed)) mask = {.head.len = 8};
	sigset_t set, pending;

	machine_open(&m);
	machine_code(&m, guest_spin, sizeof(guest_spin));
	handle(SIGUSR2, count, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK(!ioctl(m.vcpu, KVM_SET_SIGNAL_MASK, &mask));
	start_timer(2000);
	run_interrupted();
	CHECK(!seen && !sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR2));
	run_interrupted();
	CHECK(!sigprocmask(SIG_UNBLOCK, &set, NULL) && seen == 1);
	machine_close(&m);
}

static void *run_on(void *p)
{
	sigset_t all;

	(void)p;
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	seen = 1;
	for (;;) {
		ioctl(m.vcpu, KVM_RUN, 0);
		pthread_testcancel();
	}
	return NULL;
}

/* A thread is cancelled at the next point after KVM_RUN, which ends. */
void signals_cancel(void)
{
	void *how;

	machine_open(&m);
	machine_code(&m, guest_spin, sizeof(guest_spin));
	for (int i = 0; i < 3; i++) {
		pthread_t t;

		seen = 0;
		CHECK(!pthread_create(&t, NULL, run_on, NULL));
		while (!seen)
			usleep(1000);
		usleep(5000);
		CHECK(!pthread_cancel(t));
		CHECK(!pthread_join(t, &how) && how == PTHREAD_CANCELED);
	}
	machine_close(&m);
}

/* What one sets is what one gets. */
void signals_actions(void)
{
	struct sigaction act = {.sa_handler = count, .sa_flags = SA_RESTART};
	struct sigaction old;

	sigaddset(&act.sa_mask, SIGUSR1);
	CHECK(!sigaction(SIGUSR2, &act, NULL));
	CHECK(!sigaction(SIGUSR2, NULL, &old) && old.sa_handler == count);
	CHECK(!(old.sa_flags & SA_SIGINFO) && (old.sa_flags & SA_RESTART));
	CHECK(sigismember(&old.sa_mask, SIGUSR1));
	CHECK(signal(SIGUSR2, SIG_IGN) == count);
	CHECK(!raise(SIGUSR2) && !seen);
	CHECK(signal(SIGUSR2, count) == SIG_IGN);
	CHECK(!raise(SIGUSR2) && seen == 1);
	CHECK(signal(SIGKILL, count) == SIG_ERR && errno == EINVAL);
	CHECK(signal(SIGRTMIN + 3, count) == SIG_DFL);
	FAILS(sigaction(0, &act, NULL), EINVAL);
	FAILS(sigaction(65, &act, NULL), EINVAL);
	CHECK(!raise(SIGRTMIN + 3) && seen == 2);
}
