/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends KVM_RUN from outside: immediate_exit, signals, LODGE_KICK, the
 * signal mask; while guest code runs and while the vCPU sleeps.
 */
#include "test/abi/abi.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

static const uint8_t spin[] = {0xeb, 0xfe};    /* jmp . */
static const uint8_t sleeper[] = {0xfb, 0xf4}; /* sti; hlt */

static struct kvm_run *volatile signalled_run;
static volatile int signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
	if (signalled_run)
		signalled_run->immediate_exit = 1;
}

struct poke {
	struct abi *a;
	pthread_t target;
	void (*how)(struct poke *p);
	pthread_t thread;
};

static void *poke_thread(void *arg)
{
	struct poke *p = arg;
	struct timespec ts = {.tv_nsec = 30000000};

	nanosleep(&ts, NULL);
	p->how(p);
	return NULL;
}

/* Call @how on another thread while this one is in KVM_RUN: -EINTR. */
static void run_poked(struct abi *a, void (*how)(struct poke *p))
{
	struct poke p = {.a = a, .target = pthread_self(), .how = how};
	int ret;

	assert_int_equal(pthread_create(&p.thread, NULL, poke_thread, &p), 0);
	ret = CALL(a->vcpu, KVM_RUN, 0);
	pthread_join(p.thread, NULL);
	assert_int_equal(ret, -EINTR);
	assert_int_equal(a->run->exit_reason, KVM_EXIT_INTR);
	a->run->immediate_exit = 0;
}

static void by_flag(struct poke *p)
{
	p->a->run->immediate_exit = 1;
}

static void by_kick(struct poke *p)
{
	OK(p->a->vcpu, LODGE_KICK, 0);
}

static void by_signal(struct poke *p)
{
	pthread_kill(p->target, SIGUSR1);
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(sig, &sa, NULL);
}

static void test_running(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_real(&a, a.vcpu, spin, sizeof(spin));
	run_poked(&a, by_flag);
	run_poked(&a, by_kick);
	handle(SIGUSR1, SA_RESTART);
	signalled_run = a.run;
	signals = 0;
	run_poked(&a, by_signal);
	assert_int_equal(signals, 1);
	signalled_run = NULL;
	/* A kick that comes early counts for the next call. */
	OK(a.vcpu, LODGE_KICK, 0);
	FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	abi_close(&a);
}

static void test_sleeping(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_real(&a, a.vcpu, sleeper, sizeof(sleeper));
	run_poked(&a, by_kick);
	/* A signal alone is enough here, restarting handler or not. */
	signalled_run = NULL;
	handle(SIGUSR1, SA_RESTART);
	run_poked(&a, by_signal);
	handle(SIGUSR1, 0);
	run_poked(&a, by_signal);
	signalled_run = a.run;
	run_poked(&a, by_signal);
	signalled_run = NULL;
	abi_close(&a);
}

/* No wake-up is lost between the last look and the sleep. */
static void test_no_lost_exit(void **state)
{
	struct itimerspec it = {.it_value.tv_nsec = 1};
	struct sigevent se = {.sigev_notify = SIGEV_SIGNAL,
			      .sigev_signo = SIGUSR1};
	struct abi a;
	timer_t t;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_real(&a, a.vcpu, sleeper, sizeof(sleeper));
	handle(SIGUSR1, SA_RESTART);
	signalled_run = a.run;
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &se, &t), 0);
	for (int i = 0; i < 500; i++) {
		a.run->immediate_exit = 0;
		it.it_value.tv_nsec = 1 + i * 60;
		timer_settime(t, 0, &it, NULL);
		FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	}
	timer_delete(t);
	signalled_run = NULL;
	abi_close(&a);
}

static void set_mask(struct abi *a, uint64_t bits, uint32_t len)
{
	struct {
		struct kvm_signal_mask h;
		uint8_t bits[8];
	} m = {.h.len = len};

	memcpy((uint8_t *)&m + sizeof(m.h), &bits, 8);
	assert_int_equal(CALL(a->vcpu, KVM_SET_SIGNAL_MASK, &m),
			 len == 8 ? 0 : -EINVAL);
}

/*
 * Blocked outside, let through inside: ends KVM_RUN, stays pending, and its
 * handler does not run.
 */
static void test_mask(void **state)
{
	sigset_t set, old, pending;
	struct abi a;
	int sig;

	(void)state;
	handle(SIGUSR2, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	for (int halted = 0; halted < 2; halted++) {
		abi_open(&a, halted ? ABI_IRQCHIP : 0);
		abi_real(&a, a.vcpu, halted ? sleeper : spin, 2);
		set_mask(&a, 0, 4);
		set_mask(&a, 0, 8);
		signals = 0;
		run_poked(&a, by_signal);
		assert_int_equal(signals, 0);
		sigpending(&pending);
		assert_true(sigismember(&pending, SIGUSR1));
		sigwait(&set, &sig);
		/* masked inside too: not seen */
		set_mask(&a, 1ull << (SIGUSR1 - 1), 8);
		pthread_kill(pthread_self(), SIGUSR1);
		run_poked(&a, by_kick);
		sigwait(&set, &sig);
		OK(a.vcpu, KVM_SET_SIGNAL_MASK, 0);
		abi_close(&a);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void *other_thread(void *arg)
{
	struct abi *a = arg;

	return (void *)(intptr_t)CALL(a->vcpu, KVM_RUN, 0);
}

/* One thread makes a vCPU, another runs it. */
static void test_other_thread(void **state)
{
	static const uint8_t code[] = {0xe6, 0x10, 0xf4};
	pthread_t t;
	struct abi a;
	void *ret;

	(void)state;
	abi_open(&a, 0);
	abi_real(&a, a.vcpu, code, sizeof(code));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&t, NULL, other_thread, &a), 0);
		pthread_join(t, &ret);
		assert_null(ret);
		assert_int_equal(a.run->exit_reason,
				 i ? KVM_EXIT_HLT : KVM_EXIT_IO);
	}
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_sleeping),
		cmocka_unit_test(test_no_lost_exit),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_other_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
