/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processors at once: LOCK is LOCK, also across pages; nobody runs in an
 * exclusive section; a kick ends any loop. SDM 3A "Locked Atomic Operations"
 * (8.1).
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/fake.h"

#define COUNTER FAKE_DATA
#define LOCKVAR (FAKE_DATA + 64)
#define CROSS   (FAKE_DATA + 0x1ffe) /* 4 bytes, two in each page */
#define STARTED (FAKE_DATA + 128)
#define MANY    1000000u
#define SOME    2000u /* where each needs an exclusive section */

static struct fake fake;

static uint64_t reg(unsigned int n, enum cpu_reg r)
{
	return fake.cpu[n]->gpr[r];
}

static void set_reg(unsigned int n, enum cpu_reg r, uint64_t val)
{
	fake.cpu[n]->gpr[r] = val;
}

static uint64_t ram64(gpa_t gpa)
{
	uint64_t val;

	memcpy(&val, fake.ram + gpa, 8);
	return val;
}

/* rdi: counter, rsi: lock, ecx: how often */
static void start(unsigned int n, gpa_t code, gpa_t counter, uint32_t times)
{
	fake_start(&fake, n, code);
	set_reg(n, REG_RDI, counter);
	set_reg(n, REG_RSI, LOCKVAR);
	set_reg(n, REG_RCX, times);
}

static void join_hlt(unsigned int n)
{
	assert_int_equal(fake_join(&fake, n), CPU_EXIT_HLT);
	assert_int_equal(fake_vector(&fake, n), -1);
}

static void run_both(gpa_t code0, gpa_t code1, gpa_t counter, uint32_t times)
{
	memset(fake.ram + FAKE_DATA, 0, 0x4000);
	start(0, code0, counter, times);
	start(1, code1, counter, times);
	fake_spawn(&fake, 0);
	fake_spawn(&fake, 1);
	join_hlt(0);
	join_hlt(1);
}

/* ---- counters ---- */

GUEST(count_inc, "1: lock incl (%rdi); dec %ecx; jne 1b; hlt");
GUEST(count_xadd, "1: mov $1, %eax; lock xadd %rax, (%rdi); add %rax, %rbx;"
		  "dec %ecx; jne 1b; hlt");
GUEST(count_cmpxchg, "1: mov (%rdi), %eax; 2: lea 1(%rax), %edx;"
		     "lock cmpxchg %edx, (%rdi); jne 2b; dec %ecx; jne 1b;"
		     "hlt");
/* the counter is taken away, and brought back greater */
GUEST(count_xchg, "1: xor %eax, %eax; 2: xchg %eax, (%rdi); test %eax, %eax;"
		  "jne 3f; pause; jmp 2b; 3: inc %eax; mov %eax, (%rdi);"
		  "dec %ecx; jne 1b; hlt");
GUEST(count_r10, "mov $3, %r10d; 1: lock add %r10, (%rdi); dec %ecx; jne 1b;"
		 "hlt");
GUEST(count_16, "mov %ecx, %r8d; 1: mov (%rdi), %rax; mov 8(%rdi), %rdx;"
		"2: lea 1(%rax), %rbx; lea 2(%rdx), %rcx;"
		"lock cmpxchg16b (%rdi); jne 2b; dec %r8d; jne 1b; hlt");

static void both_same(gpa_t counter, uint32_t times)
{
	run_both(FAKE_CODE, FAKE_CODE, counter, times);
}

static void test_inc(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, count_inc);
	both_same(COUNTER, MANY);
	assert_int_equal(ram64(COUNTER), 2 * MANY);
}

static void test_xadd(void **state)
{
	uint64_t n = 2 * MANY;

	(void)state;
	fake_load(&fake, FAKE_CODE, count_xadd);
	both_same(COUNTER, MANY);
	assert_int_equal(ram64(COUNTER), n);
	/* every old value was seen once */
	assert_int_equal(reg(0, REG_RBX) + reg(1, REG_RBX), n * (n - 1) / 2);
}

static void test_cmpxchg(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, count_cmpxchg);
	both_same(COUNTER, MANY);
	assert_int_equal(ram64(COUNTER), 2 * MANY);
	fake_load(&fake, FAKE_CODE, count_16);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, 64);
	both_same(COUNTER, MANY / 2);
	assert_int_equal(ram64(COUNTER), MANY);
	assert_int_equal(ram64(COUNTER + 8), 2 * MANY);
}

/* Starts at 1: 0 means that the other has it. */
static void xchg_pair(gpa_t counter, uint32_t times)
{
	memset(fake.ram + FAKE_DATA, 0, 0x4000);
	fake.ram[counter] = 1;
	for (unsigned int n = 0; n < 2; n++)
		start(n, FAKE_CODE, counter, times);
	fake_spawn(&fake, 0);
	fake_spawn(&fake, 1);
	join_hlt(0);
	join_hlt(1);
}

static void test_xchg(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, count_xchg);
	xchg_pair(COUNTER, MANY / 4);
	assert_int_equal(ram64(COUNTER), MANY / 2 + 1);
}

static void test_homeless(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, count_r10);
	both_same(COUNTER, MANY);
	assert_int_equal(ram64(COUNTER), 6 * MANY);
}

GUEST(spin, "1: mov $1, %eax; 2: xchg %eax, (%rsi); test %eax, %eax; je 4f;"
	    "3: pause; cmpl $0, (%rsi); jne 3b; mov $1, %eax; jmp 2b;"
	    "4: mov (%rdi), %eax; inc %eax; mov %eax, (%rdi);"
	    "mov 8(%rdi), %eax; add $2, %eax; mov %eax, 8(%rdi);"
	    "movl $0, (%rsi); dec %ecx; jne 1b; hlt");

static void test_spin_lock(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, spin);
	both_same(COUNTER, MANY / 4);
	assert_int_equal(ram64(COUNTER), MANY / 2);
	assert_int_equal(ram64(COUNTER + 8), MANY);
}

/* ---- across pages ---- */

/* the lower half lies in the first page, the upper in the second */
GUEST(low_half, "1: lock incw (%rdi); dec %ecx; jne 1b; hlt");
GUEST(high_half, "1: lock addl $0x10000, (%rdi); dec %ecx; jne 1b; hlt");
GUEST(next_page, "1: lock incw 2(%rdi); dec %ecx; jne 1b; hlt");

static uint32_t cross_value(void)
{
	uint32_t val;

	memcpy(&val, fake.ram + CROSS, 4);
	return val;
}

static void test_cross_inc(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, count_inc);
	both_same(CROSS, SOME);
	assert_int_equal(cross_value(), 2 * SOME);
	fake_load(&fake, FAKE_CODE + 0x1000, count_xadd);
	run_both(FAKE_CODE, FAKE_CODE + 0x1000, CROSS, SOME);
	assert_int_equal(cross_value(), 2 * SOME);
	fake_load(&fake, FAKE_CODE + 0x2000, count_cmpxchg);
	run_both(FAKE_CODE, FAKE_CODE + 0x2000, CROSS, SOME);
	assert_int_equal(cross_value(), 2 * SOME);
}

/* Against accesses that need no slow path: a counter half each. */
static void test_cross_halves(void **state)
{
	const uint32_t fast = 100 * SOME;

	(void)state;
	fake_load(&fake, FAKE_CODE, low_half);
	fake_load(&fake, FAKE_CODE + 0x1000, high_half);
	fake_load(&fake, FAKE_CODE + 0x2000, next_page);
	memset(fake.ram + FAKE_DATA, 0, 0x4000);
	start(0, FAKE_CODE, CROSS, fast);
	start(1, FAKE_CODE + 0x1000, CROSS, SOME);
	fake_spawn(&fake, 0);
	fake_spawn(&fake, 1);
	join_hlt(0);
	join_hlt(1);
	assert_int_equal(cross_value() & 0xffff, fast & 0xffff);
	assert_int_equal(cross_value() >> 16, SOME);
	fake_load(&fake, FAKE_CODE, count_inc);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, 64);
	memset(fake.ram + FAKE_DATA, 0, 0x4000);
	start(0, FAKE_CODE, CROSS, SOME);
	start(1, FAKE_CODE + 0x2000, CROSS, fast);
	fake_spawn(&fake, 0);
	fake_spawn(&fake, 1);
	join_hlt(0);
	join_hlt(1);
	assert_int_equal(cross_value() & 0xffff, SOME);
	assert_int_equal(cross_value() >> 16, fast & 0xffff);
}

/* XCHG locks without being told to. */
static void test_cross_xchg(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, count_xchg);
	xchg_pair(CROSS, 500);
	assert_int_equal(cross_value(), 1001);
}

/* LOCK on bytes that are translated, by both. */
GUEST(code_word, "mov $0, %eax; hlt");

static void test_lock_on_code(void **state)
{
	const gpa_t at = FAKE_CODE + 0x3000;
	uint32_t val;

	(void)state;
	fake_load(&fake, FAKE_CODE, count_inc);
	fake_load(&fake, at, code_word);
	for (unsigned int n = 0; n < 2; n++) {
		fake_start(&fake, n, at);
		assert_int_equal(fake_run(&fake, n), CPU_EXIT_HLT);
	}
	run_both(FAKE_CODE, FAKE_CODE, at + 1, SOME);
	memcpy(&val, fake.ram + at + 1, 4);
	assert_int_equal(val, 2 * SOME);
	fake_start(&fake, 1, at);
	assert_int_equal(fake_run(&fake, 1), CPU_EXIT_HLT);
	assert_int_equal(reg(1, REG_RAX), 2 * SOME);
}

/* ---- exclusive sections ---- */

GUEST(count_forever, "1: lock incl (%rdi); jmp 1b");
GUEST(cross_forever, "1: lock incl (%rsi); lock incl (%rdi); jmp 1b");

static void settle(void)
{
	const struct timespec ts = {.tv_nsec = 200000};

	nanosleep(&ts, NULL);
}

static void start_forever(gpa_t code1)
{
	memset(fake.ram + FAKE_DATA, 0, 0x4000);
	for (unsigned int n = 0; n < 2; n++) {
		start(n, n ? code1 : FAKE_CODE, COUNTER + 4 * n, 0);
		set_reg(n, REG_RSI, CROSS);
		fake_spawn(&fake, n);
	}
	for (unsigned int n = 0; n < 2; n++)
		while (!fake_peek(&fake, COUNTER + 4 * n))
			sched_yield();
}

static void stop_forever(void)
{
	for (unsigned int n = 0; n < 2; n++)
		cpu_request(fake.cpu[n], CPU_REQ_EXIT);
	for (unsigned int n = 0; n < 2; n++)
		assert_int_equal(fake_join(&fake, n), CPU_EXIT_REQUEST);
}

/* Both stand still inside, both go on afterwards. */
static void check_exclusive(void)
{
	uint32_t before[2], inside[2];

	for (unsigned int i = 0; i < 100; i++) {
		engine_exclusive_begin(fake.engine);
		for (unsigned int n = 0; n < 2; n++) {
			assert_false(fake.cpu[n]->in_guest);
			before[n] = fake_peek(&fake, COUNTER + 4 * n);
		}
		settle();
		for (unsigned int n = 0; n < 2; n++)
			inside[n] = fake_peek(&fake, COUNTER + 4 * n);
		engine_exclusive_end(fake.engine);
		assert_memory_equal(before, inside, sizeof(before));
		for (unsigned int n = 0; i % 20 == 0 && n < 2; n++)
			while (fake_peek(&fake, COUNTER + 4 * n) == before[n])
				sched_yield();
	}
}

static void test_exclusive(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, count_forever);
	start_forever(FAKE_CODE);
	check_exclusive();
	stop_forever();
}

/* The processors want exclusive sections of their own meanwhile. */
static void test_exclusive_contended(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, cross_forever);
	fake_load(&fake, FAKE_CODE + 0x1000, count_forever);
	start_forever(FAKE_CODE + 0x1000);
	check_exclusive();
	stop_forever();
	start_forever(FAKE_CODE);
	check_exclusive();
	stop_forever();
}

/* ---- kicks ---- */

GUEST(loop_jmp, "movl $1, (%rsi); 1: jmp 1b");
GUEST(loop_jcc, "movl $1, (%rsi); 1: test %eax, %eax; je 1b; hlt");
GUEST(loop_loop, "movl $1, (%rsi); 2: mov $100, %ecx; 1: loop 1b; jmp 2b");
GUEST(loop_indirect, "movl $1, (%rsi); lea 1f(%rip), %rax; 1: jmp *%rax");
GUEST(loop_call, "movl $1, (%rsi); 1: call 2f; jmp 1b; 2: ret");
GUEST(loop_recursion, "movl $1, (%rsi); 1: lea 2f(%rip), %rax; push %rax;"
		      "ret; 2: lea 1b(%rip), %rax; push %rax; ret");
GUEST(loop_pages, "8: movl $1, (%rsi); jmp 8b+0x2000");
GUEST(loop_back, "8: jmp 8b-0x2000");
GUEST(loop_string, "movl $1, (%rsi); 1: mov $0x300000, %edi;"
		   "mov $0x1000, %ecx; rep stosb; jmp 1b");
GUEST(loop_cpuid, "movl $1, (%rsi); 1: xor %eax, %eax; cpuid; jmp 1b");
GUEST(loop_rdtsc, "movl $1, (%rsi); 1: rdtsc; pause; jmp 1b");
GUEST(loop_cross, "movl $1, (%rsi); mov $0x201ffe, %edi;"
		  "1: lock incl (%rdi); jmp 1b");
GUEST(loop_self, "movl $1, (%rsi); 1: mov $0, %eax; incl 1b+1(%rip); jmp 1b");

static const struct {
	const char *what;
	const uint8_t *from, *to;
} loops[] = {
#define LOOP(name)                      \
	{                               \
#name, name, name##_end \
	}
	LOOP(loop_jmp),      LOOP(loop_jcc),    LOOP(loop_loop),
	LOOP(loop_indirect), LOOP(loop_call),   LOOP(loop_recursion),
	LOOP(loop_pages),    LOOP(loop_string), LOOP(loop_cpuid),
	LOOP(loop_rdtsc),    LOOP(loop_cross),  LOOP(loop_self),
#undef LOOP
};

static void load_loop(unsigned int i)
{
	memcpy(fake.ram + FAKE_CODE, loops[i].from,
	       loops[i].to - loops[i].from);
	fake_load(&fake, FAKE_CODE + 0x2000, loop_back);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, 0x3000);
	fake_poke(&fake, STARTED, 0);
	fake_start(&fake, 0, FAKE_CODE);
	set_reg(0, REG_RSI, STARTED);
}

static void test_kick(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(loops); i++) {
		load_loop(i);
		for (unsigned int k = 0; k < 10; k++) {
			fake_spawn(&fake, 0);
			fake_await(&fake, STARTED, 1);
			if (k & 1) /* well inside, or perhaps not yet */
				settle();
			cpu_request(fake.cpu[0], CPU_REQ_EXIT);
			if (fake_join(&fake, 0) != CPU_EXIT_REQUEST)
				fail_msg("%s: exit %d, vector %d",
					 loops[i].what, fake.thread[0].kind,
					 fake_vector(&fake, 0));
		}
	}
}

/* Asked while outside: the next run comes back at once, one time. */
static void test_kick_outside(void **state)
{
	uint8_t *page = engine_run_page(fake.cpu[0]);

	(void)state;
	load_loop(0);
	cpu_request(fake.cpu[0], CPU_REQ_EXIT);
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_REQUEST);
	assert_int_equal(fake_peek(&fake, STARTED), 0);
	assert_int_equal(fake.cpu[0]->rip, FAKE_CODE);
	page[1] = 1; /* immediate_exit of struct kvm_run */
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_REQUEST);
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_REQUEST);
	page[1] = 0;
	fake_spawn(&fake, 0);
	fake_await(&fake, STARTED, 1);
	page[1] = 1; /* as a signal handler of the thread does */
	assert_int_equal(fake_join(&fake, 0), CPU_EXIT_REQUEST);
	page[1] = 0;
}

static struct {
	uint32_t exits, stop;
} kicked;

static void *run_often(void *arg)
{
	struct cpu *cpu = arg;

	while (!__atomic_load_n(&kicked.stop, __ATOMIC_SEQ_CST)) {
		if (engine_run(cpu) != CPU_EXIT_REQUEST)
			return arg; /* nothing else may come */
		__atomic_add_fetch(&kicked.exits, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static unsigned long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000UL + ts.tv_nsec / 1000000;
}

/* For so long, each time until the processor came out. */
static void kick(unsigned long ms)
{
	unsigned long end = now_ms() + ms;

	while (now_ms() < end) {
		uint32_t before = __atomic_load_n(&kicked.exits,
						  __ATOMIC_SEQ_CST);

		cpu_request(fake.cpu[0], CPU_REQ_EXIT);
		while (__atomic_load_n(&kicked.exits, __ATOMIC_SEQ_CST) ==
		       before)
			sched_yield();
	}
}

/* No kick is lost, whatever the processor is about. */
static void test_kick_often(void **state)
{
	pthread_t thread;
	void *ret;

	(void)state;
	load_loop(0);
	memset(&kicked, 0, sizeof(kicked));
	assert_int_equal(pthread_create(&thread, NULL, run_often, fake.cpu[0]),
			 0);
	kick(500);
	__atomic_store_n(&kicked.stop, 1, __ATOMIC_SEQ_CST);
	cpu_request(fake.cpu[0], CPU_REQ_EXIT);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_null(ret);
}

/* ---- */

static int setup(void **state)
{
	(void)state;
	fake_watchdog(20);
	fake_open(&fake, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_close(&fake);
	fake_watchdog(0);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_inc),        TEST(test_xadd),
		TEST(test_cmpxchg),    TEST(test_xchg),
		TEST(test_homeless),   TEST(test_spin_lock),
		TEST(test_cross_inc),  TEST(test_cross_halves),
		TEST(test_cross_xchg), TEST(test_lock_on_code),
		TEST(test_exclusive),  TEST(test_exclusive_contended),
		TEST(test_kick),       TEST(test_kick_outside),
		TEST(test_kick_often),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
