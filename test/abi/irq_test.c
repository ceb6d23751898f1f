/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of a machine with the chips in the kernel's place: timers, pins,
 * messages, eventfds, IPIs. Guests count at 0x20000 and leave by port 0x99.
 */
#include "test/abi/abi.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#define COUNT   0x20000
#define STAMPS  0x21000
#define HANDLER 0x3000u
#define TICKS   20

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void nap(long ns)
{
	struct timespec ts = {.tv_nsec = ns};

	nanosleep(&ts, NULL);
}

/* A VM with chips, CPUID, an IDT, and @handler for @vector. */
static void open_irq(struct abi *a, unsigned int vector, const uint8_t *handler,
		     const uint8_t *end)
{
	abi_open(a, ABI_IRQCHIP | ABI_PIT);
	abi_set_cpuid(a, a->vcpu);
	memcpy(a->ram + HANDLER, handler, (size_t)(end - handler));
	abi_gate(a, vector, HANDLER);
}

static void start(struct abi *a, const uint8_t *code, const uint8_t *end)
{
	abi_long(a, a->vcpu, code, (size_t)(end - code));
	abi_idt(a, a->vcpu);
}

#define OPEN(a, vector, h) open_irq(a, vector, abi_##h, abi_##h##_end)
#define START(a, name)     start(a, abi_##name, abi_##name##_end)

/* Enable the local APIC in x2APIC mode, SVR 0x1ff. */
#define X2APIC_ON                                       \
	"mov $0x1b,%ecx; rdmsr; or $0xc00,%eax; wrmsr;" \
	"mov $0x80f,%ecx; mov $0x1ff,%eax; xor %edx,%edx; wrmsr;"
#define WRITE_MSR(msr, lo) \
	"mov $" #msr ",%ecx; mov $" #lo ",%eax; xor %edx,%edx; wrmsr;"

/* 20 ms of interrupts may take so long, in ns, on a host with other work. */
#define LATE 500000000

/* Count, note the TSC, EOI. */
ABI_GUEST(count_x2,
	  "push %rax; push %rcx; push %rdx;"
	  "rdtsc; shl $32,%rdx; or %rdx,%rax;"
	  "mov 0x20000,%ecx; mov %rax,0x21000(,%rcx,8);"
	  "incl 0x20000;" WRITE_MSR(0x80b,
				    0) "pop %rdx; pop %rcx; pop %rax; iretq");

/* Twenty deadlines 200 us apart, halting in between (or spinning: rbx). */
ABI_GUEST(deadline,
	  X2APIC_ON WRITE_MSR(
		  0x832,
		  0x40040) "1: cmpl $20,0x20000; jae 3f;"
			   "mov 0x20000,%esi;"
			   "rdtsc; shl $32,%rdx; or %rdx,%rax; add %r12,%rax;"
			   "mov %rax,0x22000(,%rsi,8);"
			   "mov %rax,%rdx; shr $32,%rdx; mov $0x6e0,%ecx; cli; "
			   "wrmsr;"
			   "2: test %rbx,%rbx; jnz 4f; sti; hlt; cli; jmp 5f;"
			   "4: sti; pause; cli; 5: cmp 0x20000,%esi; je 2b; "
			   "jmp 1b;"
			   "3: out %al,$0x99; hlt");

static void run_deadlines(bool halting, uint64_t *late)
{
	struct kvm_regs regs;
	struct abi a;
	uint64_t khz, n;

	OPEN(&a, 0x40, count_x2);
	START(&a, deadline);
	khz = (uint64_t)CALL(a.vcpu, KVM_GET_TSC_KHZ, 0);
	regs = abi_regs(a.vcpu);
	regs.rbx = !halting;
	regs.r12 = khz / 5;
	OK(a.vcpu, KVM_SET_REGS, &regs);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	assert_int_equal(ABI_WORD(&a, COUNT), TICKS);
	*late = UINT64_MAX;
	for (uint64_t i = 0; i < TICKS; i++) {
		n = ABI_WORD(&a, STAMPS + 8 * i) -
		    ABI_WORD(&a, 0x22000 + 8 * i);
		assert_true((int64_t)n >= 0); /* never early */
		*late = n < *late ? n : *late;
	}
	*late = *late * 1000000 / khz;
	abi_close(&a);
}

static void test_deadline(void **state)
{
	uint64_t late;

	(void)state;
	run_deadlines(true, &late);
	print_message("halted: %lu ns late at best\n", late);
	assert_true(late < 2000000);
	run_deadlines(false, &late);
	print_message("running: %lu ns late at best\n", late);
	assert_true(late < 2000000);
}

/* xAPIC page: periodic timer, divider 1, then the count is read back. */
ABI_GUEST(count_xapic, "push %rax; mov $0xfee00000,%eax;"
		       "incl 0x20000; movl $0,0xb0(%rax); pop %rax; iretq");
ABI_GUEST(periodic, "mov $0xfee00000,%ebx; movl $0x1ff,0xf0(%rbx);"
		    "movl $0xb,0x3e0(%rbx); movl $0x20041,0x320(%rbx);"
		    "movl $1000000,0x380(%rbx);"
		    "1: sti; hlt; cmpl $20,0x20000; jb 1b;"
		    "mov 0x390(%rbx),%eax; out %al,$0x99; hlt");

static void test_periodic(void **state)
{
	uint64_t before, took;
	struct abi a;

	(void)state;
	OPEN(&a, 0x41, count_xapic);
	START(&a, periodic);
	before = now_ns();
	abi_run(&a, KVM_EXIT_IO);
	took = now_ns() - before;
	assert_in_range(took, 19500000, LATE);
	assert_in_range(abi_regs(a.vcpu).rax, 1, 1000000);
	abi_close(&a);
}

/* PIC at 0x20, PIT at about 1 kHz, local APIC off: the PC of old. */
ABI_GUEST(count_pic, "push %rax; incl 0x20000; mov $0x20,%al; out %al,$0x20;"
		     "pop %rax; iretq");
ABI_GUEST(pit, "mov $0x11,%al; out %al,$0x20; mov $0x20,%al; out %al,$0x21;"
	       "mov $4,%al; out %al,$0x21; mov $1,%al; out %al,$0x21;"
	       "mov $0xfe,%al; out %al,$0x21;"
	       "mov $0x34,%al; out %al,$0x43; mov $0xa9,%al; out %al,$0x40;"
	       "mov $0x04,%al; out %al,$0x40;"
	       "1: sti; hlt; cmpl $20,0x20000; jb 1b; out %al,$0x99; hlt");

static void test_pit(void **state)
{
	uint64_t before, took;
	struct abi a;

	(void)state;
	OPEN(&a, 0x20, count_pic);
	START(&a, pit);
	before = now_ns();
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	took = now_ns() - before;
	assert_in_range(took, 18000000, LATE);
	abi_close(&a);
}

/* IOAPIC pin 5 to vector 0x50; r12d: low word of its redirection entry. */
ABI_GUEST(ioapic, X2APIC_ON
	  "mov $0xff,%al; out %al,$0x21; out %al,$0xa1;"
	  "mov $0xfec00000,%ebx; movl $0x1b,(%rbx); movl $0,0x10(%rbx);"
	  "movl $0x1a,(%rbx); mov %r12d,0x10(%rbx); out %al,$0x98;"
	  "1: sti; hlt; cli; out %al,$0x99; jmp 1b");

static void open_ioapic(struct abi *a, uint32_t rte)
{
	struct kvm_regs regs;

	OPEN(a, 0x50, count_x2);
	START(a, ioapic);
	regs = abi_regs(a->vcpu);
	regs.r12 = rte;
	OK(a->vcpu, KVM_SET_REGS, &regs);
	abi_run(a, KVM_EXIT_IO);
	assert_int_equal(a->run->io.port, 0x98);
}

/* KVM_RUN comes back because the handler ran for the @n-th time. */
static void expect_irq(struct abi *a, uint64_t n)
{
	abi_run(a, KVM_EXIT_IO);
	assert_int_equal(a->run->io.port, 0x99);
	assert_int_equal(ABI_WORD(a, COUNT), n);
}

/* No interrupt comes within 20 ms. */
static void *kick_thread(void *arg)
{
	nap(20000000);
	OK(*(int *)arg, LODGE_KICK, 0);
	return NULL;
}

static void expect_silence(struct abi *a)
{
	pthread_t t;

	pthread_create(&t, NULL, kick_thread, &a->vcpu);
	FAILS(a->vcpu, KVM_RUN, 0, EINTR);
	pthread_join(t, NULL);
}

static int line(struct abi *a, uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level l = {.irq = gsi, .level = level};

	OK(a->vm, KVM_IRQ_LINE_STATUS, &l);
	return l.status;
}

static void test_edge(void **state)
{
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x50);
	assert_int_equal(line(&a, 5, 1), 1);
	expect_irq(&a, 1);
	expect_silence(&a);
	line(&a, 5, 0);
	line(&a, 5, 1);
	line(&a, 5, 0);
	expect_irq(&a, 2);
	expect_silence(&a);
	assert_int_equal(line(&a, 6, 1), -1);    /* masked */
	assert_int_equal(line(&a, 4000, 1), -1); /* no such route */
	abi_close(&a);
}

ABI_GUEST(count_level, "push %rax; push %rcx; push %rdx;"
		       "incl 0x20000; out %al,$0x96;" WRITE_MSR(
			       0x80b, 0) "pop %rdx; pop %rcx; pop %rax; iretq");

/* A level interrupt comes again as long as the line is high. */
static void test_level(void **state)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x8050);
	memcpy(a.ram + HANDLER, abi_count_level,
	       (size_t)(abi_count_level_end - abi_count_level));
	line(&a, 5, 1);
	for (uint64_t i = 1; i < 6; i++) {
		abi_run(&a, KVM_EXIT_IO);
		assert_int_equal(a.run->io.port, 0x96);
		assert_int_equal(ABI_WORD(&a, COUNT), i);
		OK(a.vm, KVM_GET_IRQCHIP, &chip);
		assert_int_equal(chip.chip.ioapic.redirtbl[5].fields.remote_irr,
				 1);
	}
	line(&a, 5, 0);
	expect_irq(&a, 5);
	OK(a.vm, KVM_GET_IRQCHIP, &chip);
	assert_int_equal(chip.chip.ioapic.redirtbl[5].fields.remote_irr, 0);
	expect_silence(&a);
	abi_close(&a);
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, 8), 8);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static uint64_t drain(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, 8) == 8 ? n : 0;
}

static void test_irqfd_rules(void **state)
{
	int e = new_eventfd(), other = new_eventfd(), d = dup(e);
	struct kvm_irqfd f = {.fd = (uint32_t)e, .gsi = 5};
	struct abi a, b;

	(void)state;
	abi_open(&a, 0);
	FAILS(a.vm, KVM_IRQFD, &f, EINVAL); /* no chips */
	abi_close(&a);
	abi_open(&a, ABI_IRQCHIP);
	abi_open(&b, ABI_IRQCHIP);
	f.flags = 8;
	FAILS(a.vm, KVM_IRQFD, &f, EINVAL);
	f.flags = 0;
	f.fd = 999;
	FAILS(a.vm, KVM_IRQFD, &f, EBADF);
	f.fd = (uint32_t)a.vm;
	FAILS(a.vm, KVM_IRQFD, &f, EINVAL);
	f.fd = (uint32_t)e;
	OK(a.vm, KVM_IRQFD, &f);
	FAILS(a.vm, KVM_IRQFD, &f, EBUSY);
	f.gsi = 6;
	FAILS(a.vm, KVM_IRQFD, &f, EBUSY);
	f.fd = (uint32_t)d;
	FAILS(b.vm, KVM_IRQFD, &f, EBUSY);
	f.flags = KVM_IRQFD_FLAG_DEASSIGN;
	OK(a.vm, KVM_IRQFD, &f); /* gsi 6: nothing there, fine */
	f.gsi = 5;
	OK(a.vm, KVM_IRQFD, &f);
	f.flags = 0;
	OK(b.vm, KVM_IRQFD, &f);
	abi_close(&b); /* and with the VM it goes */
	OK(a.vm, KVM_IRQFD, &f);
	abi_close(&a);
	close(e);
	close(d);
	close(other);
}

/* Descriptors that are not the client's own are no eventfds. */
static void test_irqfd_inner(void **state)
{
	int e = new_eventfd();
	struct kvm_irqfd f = {.fd = (uint32_t)e, .gsi = 5};
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x50);
	OK(a.vm, KVM_IRQFD, &f);
	for (int fd = 0; fd < 64; fd++) {
		f.fd = (uint32_t)fd;
		if (fd != e)
			assert_true(CALL(a.vm, KVM_IRQFD, &f) < 0);
	}
	signal_fd(e);
	expect_irq(&a, 1);
	abi_close(&a);
	close(e);
}

static void test_irqfd(void **state)
{
	int e = new_eventfd();
	struct kvm_irqfd f = {.fd = (uint32_t)e, .gsi = 5};
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x50);
	signal_fd(e); /* before it is assigned: counts once */
	OK(a.vm, KVM_IRQFD, &f);
	expect_irq(&a, 1);
	for (uint64_t i = 2; i < 50; i++) {
		signal_fd(e);
		expect_irq(&a, i);
	}
	assert_int_equal(drain(e), 0);
	f.flags = KVM_IRQFD_FLAG_DEASSIGN;
	OK(a.vm, KVM_IRQFD, &f);
	signal_fd(e);
	expect_silence(&a);
	abi_close(&a);
	close(e);
}

/* Closed everywhere, an eventfd is nobody's any more. */
static void test_irqfd_hangup(void **state)
{
	int e = new_eventfd(), d = dup(e), again;
	struct kvm_irqfd f = {.fd = (uint32_t)e, .gsi = 5};
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x50);
	OK(a.vm, KVM_IRQFD, &f);
	close(e); /* its duplicate keeps it */
	assert_int_equal(eventfd(0, EFD_NONBLOCK), e);
	signal_fd(d);
	expect_irq(&a, 1);
	assert_int_equal(drain(d), 0);
	signal_fd(e); /* another one by now */
	expect_silence(&a);
	assert_int_equal(drain(e), 1);
	f.fd = (uint32_t)d;
	FAILS(a.vm, KVM_IRQFD, &f, EBUSY);
	close(d);
	/* The kernel gives the identity of one that is gone to the next. */
	for (int i = 0; i < 64; i++) {
		again = new_eventfd();
		f.fd = (uint32_t)again;
		OK(a.vm, KVM_IRQFD, &f);
		signal_fd(again);
		expect_irq(&a, 2 + (uint64_t)i);
		close(again);
	}
	abi_close(&a);
	close(e);
}

/* The line of a resample irqfd falls with it. */
static void test_resample_hangup(void **state)
{
	int e = new_eventfd(), r = new_eventfd();
	struct kvm_irqfd f = {.fd = (uint32_t)e,
			      .gsi = 5,
			      .flags = KVM_IRQFD_FLAG_RESAMPLE,
			      .resamplefd = (uint32_t)r};
	struct kvm_irqchip c = {.chip_id = KVM_IRQCHIP_IOAPIC};
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x18050); /* masked: asserted for good */
	OK(a.vm, KVM_IRQFD, &f);
	signal_fd(e);
	for (int i = 0; i < 2000 && !(c.chip.ioapic.irr & 1 << 5); i++) {
		nap(1000000);
		OK(a.vm, KVM_GET_IRQCHIP, &c);
	}
	assert_true(c.chip.ioapic.irr & 1 << 5);
	close(e);
	for (int i = 0; i < 5000 && (c.chip.ioapic.irr & 1 << 5); i++) {
		nap(1000000);
		OK(a.vm, KVM_GET_IRQCHIP, &c);
	}
	assert_false(c.chip.ioapic.irr & 1 << 5);
	abi_close(&a);
	close(r);
}

/* Asserted until the guest's EOI, which the resample eventfd tells of. */
static void test_resample(void **state)
{
	int e = new_eventfd(), r = new_eventfd();
	struct kvm_irqfd f = {.fd = (uint32_t)e,
			      .gsi = 5,
			      .flags = KVM_IRQFD_FLAG_RESAMPLE,
			      .resamplefd = (uint32_t)r};
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x8050);
	OK(a.vm, KVM_IRQFD, &f);
	for (uint64_t i = 1; i < 10; i++) {
		signal_fd(e);
		expect_irq(&a, i);
		assert_true(readable(r, 1000));
		assert_int_equal(drain(r), 1);
	}
	expect_silence(&a);
	assert_false(readable(r, 0));
	abi_close(&a);
	close(e);
	close(r);
}

/* A GSI that is a message. */
static void test_msi(void **state)
{
	struct {
		struct kvm_irq_routing h;
		struct kvm_irq_routing_entry e[2];
	} r = {.h.nr = 1,
	       .e[0] = {.gsi = 30,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {.address_lo = 0xfee00000, .data = 0x50}}};
	struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x50};
	int e = new_eventfd();
	struct kvm_irqfd f = {.fd = (uint32_t)e, .gsi = 30};
	struct abi a;

	(void)state;
	open_ioapic(&a, 0x10050);
	assert_int_equal(CALL(a.vm, KVM_SIGNAL_MSI, &msi), 1);
	expect_irq(&a, 1);
	msi.address_lo = 0xfee0f000; /* nobody has this id */
	assert_int_equal(CALL(a.vm, KVM_SIGNAL_MSI, &msi), -1);
	r.h.flags = 1;
	FAILS(a.vm, KVM_SET_GSI_ROUTING, &r, EINVAL);
	r.h.flags = 0;
	r.h.nr = 2;
	r.e[1] = r.e[0]; /* two messages for one GSI */
	FAILS(a.vm, KVM_SET_GSI_ROUTING, &r, EINVAL);
	r.e[1].type = 77;
	r.e[1].gsi = 31;
	FAILS(a.vm, KVM_SET_GSI_ROUTING, &r, EINVAL);
	r.h.nr = 5000;
	FAILS(a.vm, KVM_SET_GSI_ROUTING, &r, EINVAL);
	r.h.nr = 1;
	OK(a.vm, KVM_SET_GSI_ROUTING, &r);
	OK(a.vm, KVM_IRQFD, &f);
	signal_fd(e);
	expect_irq(&a, 2);
	assert_int_equal(line(&a, 5, 1), -1); /* the default routes are gone */
	assert_int_equal(line(&a, 30, 1), 1);
	expect_irq(&a, 3);
	abi_close(&a);
	close(e);
}

ABI_GUEST(count_nmi, "incl 0x20000; iretq");
ABI_GUEST(wait_nmi, "1: cli; hlt; out %al,$0x99; jmp 1b");

static void *nmi_thread(void *arg)
{
	nap(20000000);
	assert_int_equal(CALL(((struct abi *)arg)->vm, KVM_SIGNAL_MSI,
			      &((struct kvm_msi){.address_lo = 0xfee00000,
						 .data = 0x400})),
			 1);
	return NULL;
}

/* An NMI wakes HLT with IF clear; one that came before is taken at once. */
static void test_nmi(void **state)
{
	pthread_t t;
	struct abi a;

	(void)state;
	OPEN(&a, 2, count_nmi);
	START(&a, wait_nmi);
	for (uint64_t i = 1; i < 5; i++) {
		pthread_create(&t, NULL, nmi_thread, &a);
		expect_irq(&a, i);
		pthread_join(t, NULL);
	}
	OK(a.vcpu, KVM_NMI, 0);
	expect_silence(&a);
	assert_int_equal(ABI_WORD(&a, COUNT), 5);
	abi_close(&a);
}

/*
 * Start the AP at 0x5000 by INIT and SIPI, then IPIs to and fro: the AP's
 * handler answers vector 0x61 with 0x60.
 */
ABI_GUEST(ap, ".code16; cli; xor %ax,%ax; mov %ax,%ds; mov %ax,%es;"
	      "lock incl 0x6000; 1: hlt; jmp 1b; .code64;");
ABI_GUEST(bsp,
	  X2APIC_ON "mov $0x830,%ecx; mov $1,%edx; mov $0x4500,%eax; wrmsr;"
		    "mov $1,%edx; mov $0x4605,%eax; wrmsr;"
		    "mov $1,%edx; mov $0x4605,%eax; wrmsr;"
		    "1: pause; cmpl $1,0x6000; jb 1b; out %al,$0x99; hlt");

struct ap {
	int fd;
	struct kvm_run *run;
	int ret;
};

static void *ap_thread(void *arg)
{
	struct ap *ap = arg;

	do
		ap->ret = CALL(ap->fd, KVM_RUN, 0);
	while (ap->ret == -EAGAIN);
	return NULL;
}

static void test_sipi(void **state)
{
	struct kvm_mp_state mp;
	struct ap ap;
	pthread_t t;
	struct abi a;

	(void)state;
	OPEN(&a, 0x60, count_x2);
	ap.fd = abi_add_vcpu(&a, 1, &ap.run);
	abi_set_cpuid(&a, ap.fd);
	OK(ap.fd, KVM_GET_MP_STATE, &mp);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	START(&a, bsp);
	memcpy(a.ram + 0x5000, abi_ap, (size_t)(abi_ap_end - abi_ap));
	pthread_create(&t, NULL, ap_thread, &ap);
	abi_run(&a, KVM_EXIT_IO);
	nap(10000000);
	OK(ap.fd, LODGE_KICK, 0);
	pthread_join(t, NULL);
	assert_int_equal(ap.ret, -EINTR);
	assert_int_equal(ABI_WORD(&a, 0x6000), 1);
	OK(ap.fd, KVM_GET_MP_STATE, &mp);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_HALTED);
	lodge_munmap(ap.fd, ap.run, 12288);
	assert_int_equal(lodge_close(ap.fd), 0);
	abi_close(&a);
}

/* Two vCPUs in 64-bit mode: each IPI is answered by one; 2000 rounds. */
ABI_GUEST(count_ping, "push %rax; push %rcx; push %rdx;"
		      "mov $0x802,%ecx; rdmsr;"
		      "lock incl 0x20000(,%rax,4);"
		      "xor $1,%eax; mov %eax,%edx; mov $0x62,%eax;"
		      "cmpl $2000,0x20000; jae 1f;"
		      "mov $0x830,%ecx; wrmsr; 1:" WRITE_MSR(
			      0x80b, 0) "pop %rdx; pop %rcx; pop %rax; iretq");
ABI_GUEST(ping, X2APIC_ON
	  "out %al,$0x98;"
	  "1: sti; hlt; cli; cmpl $2000,0x20000; jb 1b; out %al,$0x99; hlt");

static void test_ping_pong(void **state)
{
	struct kvm_msi first = {.address_lo = 0xfee00000, .data = 0x62};
	struct kvm_mp_state mp = {.mp_state = KVM_MP_STATE_RUNNABLE};
	uint64_t before;
	struct ap ap;
	pthread_t t;
	struct abi a;

	(void)state;
	OPEN(&a, 0x62, count_ping);
	ap.fd = abi_add_vcpu(&a, 1, &ap.run);
	abi_set_cpuid(&a, ap.fd);
	OK(ap.fd, KVM_SET_MP_STATE, &mp);
	START(&a, ping);
	abi_long(&a, ap.fd, abi_ping, (size_t)(abi_ping_end - abi_ping));
	abi_idt(&a, ap.fd);
	OK(ap.fd, KVM_SET_REGS,
	   &((struct kvm_regs){.rip = ABI_CODE, .rsp = 0x6800, .rflags = 2}));
	abi_run(&a, KVM_EXIT_IO);
	OK(ap.fd, KVM_RUN, 0);
	pthread_create(&t, NULL, ap_thread, &ap);
	before = now_ns();
	assert_int_equal(CALL(a.vm, KVM_SIGNAL_MSI, &first), 1);
	abi_run(&a, KVM_EXIT_IO);
	print_message("IPI and answer between halted vCPUs: %lu ns\n",
		      (now_ns() - before) / 2000);
	assert_int_equal(a.run->io.port, 0x99);
	assert_int_equal((uint32_t)ABI_WORD(&a, COUNT), 2000);
	OK(ap.fd, LODGE_KICK, 0);
	pthread_join(t, NULL);
	lodge_munmap(ap.fd, ap.run, 12288);
	assert_int_equal(lodge_close(ap.fd), 0);
	abi_close(&a);
}

ABI_GUEST(count_user, "incl 0x20000; iretq");
ABI_GUEST(window, "cli; out %al,$0x97; nop; sti; nop; nop; out %al,$0x98; hlt");

/* Without chips the client waits for the window and injects itself. */
static void test_window(void **state)
{
	struct kvm_interrupt irq = {.irq = 0x70};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	memcpy(a.ram + HANDLER, abi_count_user,
	       (size_t)(abi_count_user_end - abi_count_user));
	abi_gate(&a, 0x70, HANDLER);
	START(&a, window);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x97);
	assert_int_equal(a.run->ready_for_interrupt_injection, 0);
	a.run->request_interrupt_window = 1;
	abi_run(&a, KVM_EXIT_IRQ_WINDOW_OPEN);
	assert_int_equal(a.run->ready_for_interrupt_injection, 1);
	assert_int_equal(a.run->if_flag, 1);
	a.run->request_interrupt_window = 0;
	OK(a.vcpu, KVM_INTERRUPT, &irq);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x98);
	assert_int_equal(ABI_WORD(&a, COUNT), 1);
	abi_run(&a, KVM_EXIT_HLT);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_pit),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_irqfd_rules),
		cmocka_unit_test(test_irqfd),
		cmocka_unit_test(test_irqfd_inner),
		cmocka_unit_test(test_irqfd_hangup),
		cmocka_unit_test(test_resample),
		cmocka_unit_test(test_resample_hangup),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_nmi),
		cmocka_unit_test(test_sipi),
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
