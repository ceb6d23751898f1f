/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hot requests cost: system calls, which is the same on any machine.
 */
#include "test/abi/abi.h"
#include "test/abi/tracer.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#define COUNT   0x20000
#define HANDLER 0x3000u
#define ROUNDS  200u

/* ---- an interrupt for a processor that sleeps ---- */

ABI_GUEST(count, "push %rax; push %rcx; push %rdx; incl 0x20000;"
		 "mov $0x80b,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr;"
		 "pop %rdx; pop %rcx; pop %rax; iretq");
ABI_GUEST(halts, "mov $0x1b,%ecx; rdmsr; or $0xc00,%eax; wrmsr;"
		 "mov $0x80f,%ecx; mov $0x1ff,%eax; xor %edx,%edx; wrmsr;"
		 "1: sti; hlt; jmp 1b");

static struct abi machine;
static const volatile uint64_t *sleeps, *tried, *hit; /* its counters */

/* The vCPU's counter of this name, as it stands in the file. */
static const volatile uint64_t *counter(int vcpu, const char *name)
{
	int fd = CALL(vcpu, KVM_GET_STATS_FD, 0);
	const uint8_t *p = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 0);
	const struct kvm_stats_header *h = (const void *)p;
	const struct kvm_stats_desc *d;

	if (p == MAP_FAILED)
		_exit(2);
	for (uint32_t i = 0; i < h->num_desc; i++) {
		d = (const void *)(p + h->desc_offset +
				   i * (sizeof(*d) + h->name_size));
		if (!strcmp((const char *)(d + 1), name))
			return (const void *)(p + h->data_offset + d->offset);
	}
	_exit(3);
}

static void *run(void *arg)
{
	for (;;)
		CALL(machine.vcpu, KVM_RUN, 0);
	return arg;
}

/* It sleeps, having looked out for @ns at most before. */
static void start(uint64_t ns)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_HALT_POLL, .args = {ns}};
	struct abi *a = &machine;
	pthread_t t;

	abi_open(a, ABI_IRQCHIP);
	abi_set_cpuid(a, a->vcpu);
	memcpy(a->ram + HANDLER, abi_count,
	       (size_t)(abi_count_end - abi_count));
	abi_gate(a, 0x40, HANDLER);
	ABI_START(a, a->vcpu, halts);
	abi_idt(a, a->vcpu);
	OK(a->vm, KVM_ENABLE_CAP, &cap);
	sleeps = counter(a->vcpu, "halt_sleeps");
	tried = counter(a->vcpu, "halt_attempted_poll");
	hit = counter(a->vcpu, "halt_successful_poll");
	if (pthread_create(&t, NULL, run, NULL))
		_exit(4);
	while (!*sleeps)
		sched_yield();
}

static void interrupt(uint64_t nth)
{
	struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x40};

	lodge_ioctl(machine.vm, KVM_SIGNAL_MSI, (unsigned long)&msi);
	while (ABI_WORD(&machine, COUNT) != nth)
		__builtin_ia32_pause();
}

static void interrupts(void)
{
	uint64_t before;

	start(0);
	tracer_mark(true);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		before = *sleeps;
		interrupt(i);
		while (*sleeps == before)
			__builtin_ia32_pause();
	}
	tracer_mark(false);
	if (*tried)
		_exit(6);
}

/* One to wake it and one to sleep again. */
static void test_interrupt(void **state)
{
	struct cost c;

	(void)state;
	tracer_count(&c, interrupts);
	assert_in_range(c.all, ROUNDS, 3 * ROUNDS);
}

/* Sleeps that end soon are looked out for, others are not. */
static void polls(void)
{
	struct timespec soon = {.tv_nsec = 100000};

	start(1000000000);
	for (uint64_t i = 1; !*hit; i++) {
		nanosleep(&soon, NULL);
		interrupt(i);
	}
	_exit(*hit <= *tried ? 0 : 7);
}

static void test_polling(void **state)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_HALT_POLL,
				     .args = {1ull << 32}};
	struct abi a;
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (!child)
		polls();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	abi_open(&a, 0);
	FAILS(a.vm, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = UINT32_MAX;
	OK(a.vm, KVM_ENABLE_CAP, &cap);
	abi_close(&a);
}

/* ---- arguments ---- */

static void stores(void)
{
	uint64_t w[3] = {1};

	abi_open(&machine, 0);
	w[1] = (uintptr_t)machine.ram;
	w[2] = 4096;
	tracer_mark(true);
	for (unsigned int i = 0; i < ROUNDS; i++)
		if (lodge_ioctl(machine.vm, LODGE_WRITES, (unsigned long)w))
			_exit(5);
	tracer_mark(false);
}

static void test_stores(void **state)
{
	struct cost c;

	(void)state;
	tracer_count(&c, stores);
	assert_in_range(c.all, 0, ROUNDS / 10);
}

/* Where the stack ends the kernel is asked, who knows what is behind it. */
static void *at_the_end(void *arg)
{
	char *end = arg;
	struct kvm_regs regs = {.rax = 7};

	OK(machine.vcpu, KVM_SET_REGS, &regs);
	OK(machine.vcpu, KVM_GET_REGS, &regs);
	assert_int_equal(regs.rax, 7);
	FAILS(machine.vcpu, KVM_GET_REGS, end - 8, EFAULT);
	FAILS(machine.vcpu, KVM_GET_REGS, end, EFAULT);
	return NULL;
}

static ucontext_t back;

static void coroutine(void)
{
	struct kvm_regs regs;

	OK(machine.vcpu, KVM_GET_REGS, &regs);
	assert_int_equal(regs.rax, 7);
	FAILS(machine.vcpu, KVM_SET_REGS, 8, EFAULT);
}

static void test_stacks(void **state)
{
	const size_t size = 1 << 20;
	uint8_t *p = mmap(NULL, size + 4096, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	ucontext_t other;
	pthread_t t;

	(void)state;
	abi_open(&machine, 0);
	assert_int_equal(mprotect(p, size, PROT_READ | PROT_WRITE), 0);
	pthread_attr_init(&attr);
	assert_int_equal(pthread_attr_setstack(&attr, p, size), 0);
	assert_int_equal(pthread_create(&t, &attr, at_the_end, p + size), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	getcontext(&other);
	other.uc_stack.ss_sp = p;
	other.uc_stack.ss_size = size;
	other.uc_link = &back;
	makecontext(&other, coroutine, 0);
	assert_int_equal(swapcontext(&back, &other), 0);
	pthread_attr_destroy(&attr);
	munmap(p, size + 4096);
	abi_close(&machine);
}

ABI_GUEST(pauses, "mov $20000,%ecx; 1: pause; dec %ecx; jne 1b; out %al,$1");

/* PAUSEs in a row that gave the processor away, with @n vCPUs. */
static uint64_t yields(unsigned int n, uint64_t disabled)
{
	const volatile uint64_t *yielded;
	struct kvm_run *other;
	uint64_t before;
	struct abi a;

	abi_open(&a, ABI_NO_VCPU);
	if (disabled)
		OK(a.vm, KVM_ENABLE_CAP,
		   (&(struct kvm_enable_cap){
			   .cap = KVM_CAP_X86_DISABLE_EXITS,
			   .args = {disabled},
		   }));
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	if (n == 2)
		abi_add_vcpu(&a, 1, &other);
	yielded = counter(a.vcpu, "pause_yields");
	before = *yielded;
	ABI_START(&a, a.vcpu, pauses);
	abi_run(&a, KVM_EXIT_IO);
	before = *yielded - before;
	abi_close(&a);
	return before;
}

static void test_pause(void **state)
{
	(void)state;
	assert_true(yields(2, 0) > 0);
	assert_true(yields(2, KVM_X86_DISABLE_EXITS_HLT) > 0);
	assert_int_equal(yields(1, 0), 0);
	assert_int_equal(yields(2, KVM_X86_DISABLE_EXITS_PAUSE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_polling),
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
