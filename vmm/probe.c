/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest in long mode that does what every kernel does at once: leave for
 * user mode by IRETQ, come back by SYSCALL, compute with POPCNT and SSE and in
 * a loop on both sides, tell a port, halt. A KVM that emulates a few
 * instructions only (paravirtual builds do) fails at the first it does not
 * know, or runs out of time. A timer signal bounds each KVM_RUN.
 */
#include "vmm/probe.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vmm/cpuid.h"
#include "vmm/hv.h"
#include "vmm/segment.h"
#include "vmm/vcpu.h"

#define PROBE_SIZE     0x10000
#define PROBE_GDT      0x0800
#define PROBE_PML4     0x1000
#define PROBE_PDPT     0x2000
#define PROBE_PD       0x3000
#define PROBE_CODE     0x4000
#define PROBE_STACK    0x8000
#define PROBE_PORT     0x80
#define PROBE_LIMIT_NS 250000000L
#define PROBE_TICK_NS  10000000L
#define PROBE_MAGIC    0x123456789abcdef0ULL
#define PROBE_POPCNT   32 /* bits set in PROBE_MAGIC */

/* Runs at PROBE_CODE with r15 = PROBE_MAGIC. */
__asm__(".pushsection .rodata\n"
	"probe_code:\n"
	/* wrmsr EFER |= SCE, STAR, LSTAR */
	"	mov $0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	or $1, %eax\n"
	"	wrmsr\n"
	"	mov $0xc0000081, %ecx\n"
	"	xor %eax, %eax\n"
	"	mov $0x00100008, %edx\n"
	"	wrmsr\n"
	"	inc %ecx\n"
	"	lea probe_back(%rip), %rax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	lea probe_user(%rip), %rax\n"
	"	pushq $0x1b\n"
	"	pushq $0x7000\n"
	"	pushq $2\n"
	"	pushq $0x23\n"
	"	push %rax\n"
	"	iretq\n"
	"probe_user:\n"
	"	mov $1000000, %ecx\n"
	"1:	dec %ecx\n"
	"	jnz 1b\n"
	"	popcnt %r15, %rbx\n"
	"	movq %r15, %xmm0\n"
	"	paddq %xmm0, %xmm0\n"
	"	movq %xmm0, %rdx\n"
	"	push %rdx\n"
	"	pop %rsi\n"
	"	syscall\n"
	"probe_back:\n"
	"	popcnt %r15, %r14\n"
	"	paddq %xmm0, %xmm0\n"
	"	movq %xmm0, %rdi\n"
	"	mov $1000000, %ecx\n"
	"1:	dec %ecx\n"
	"	jnz 1b\n"
	"	mov $0x5a, %al\n"
	"	out %al, $0x80\n"
	"	hlt\n"
	"probe_end:\n"
	".popsection\n");

extern const uint8_t probe_code[], probe_end[];

struct probe {
	struct hv *hv;
	int vm;
	int vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *ram;
};

static void fill_memory(uint8_t *ram)
{
	/* Kernel code and data at 8 and 0x10, user data 0x18, code 0x20. */
	static const uint64_t gdt[] = {
		0,
		0x00af9b000000ffff,
		0x00cf93000000ffff,
		0x00cff3000000ffff,
		0x00affb000000ffff,
	};
	const uint64_t flags = 7; /* present, writable, user */
	uint64_t *table = (uint64_t *)ram;

	memcpy(ram + PROBE_GDT, gdt, sizeof(gdt));
	table[PROBE_PML4 / 8] = PROBE_PDPT | flags;
	table[PROBE_PDPT / 8] = PROBE_PD | flags;
	table[PROBE_PD / 8] = flags | 0x80;
	memcpy(ram + PROBE_CODE, probe_code, (size_t)(probe_end - probe_code));
}

static int set_state(struct probe *p, struct err *e)
{
	struct kvm_regs regs = {
		.rip = PROBE_CODE,
		.rsp = PROBE_STACK,
		.r15 = PROBE_MAGIC,
		.rflags = 2,
	};
	struct kvm_sregs s;
	int ret = HV_CALL(p->hv, p->vcpu, KVM_GET_SREGS, &s, e);

	if (ret < 0)
		return ret;
	s.cs = segment_flat(8, 0xb, true);
	s.ds = s.es = s.fs = s.gs = s.ss = segment_flat(0x10, 3, false);
	s.gdt.base = PROBE_GDT;
	s.gdt.limit = 5 * 8 - 1;
	s.cr0 = 0x80000033; /* PG NE ET MP PE */
	s.cr3 = PROBE_PML4;
	s.cr4 = 0x620;  /* OSXMMEXCPT OSFXSR PAE */
	s.efer = 0x500; /* LMA LME */
	ret = HV_CALL(p->hv, p->vcpu, KVM_SET_SREGS, &s, e);
	if (ret >= 0)
		ret = HV_CALL(p->hv, p->vcpu, KVM_SET_REGS, &regs, e);
	return ret;
}

static int create_vcpu(struct probe *p, struct err *e)
{
	struct kvm_cpuid2 *cpuid;
	void *run = NULL;
	int ret = HV_CALLN(p->hv, p->vm, KVM_CREATE_VCPU, 0, e);

	if (ret < 0)
		return ret;
	p->vcpu = ret;
	ret = HV_CALLN(p->hv, p->hv->fd, KVM_GET_VCPU_MMAP_SIZE, 0, e);
	if (ret < 0)
		return ret;
	if ((size_t)ret < sizeof(struct kvm_run))
		return err_set(e, -EPROTO, "its KVM_GET_VCPU_MMAP_SIZE is %d",
			       ret);
	p->run_size = (size_t)ret;
	ret = p->hv->ops->mmap(p->hv->priv, p->vcpu, p->run_size, &run);
	if (ret < 0)
		return err_set(e, ret, "it cannot map struct kvm_run: %s",
			       strerror(-ret));
	p->run = run;
	cpuid = cpuid_fetch_supported(p->hv, e);
	if (!cpuid)
		return -EIO;
	ret = HV_CALL(p->hv, p->vcpu, KVM_SET_CPUID2, cpuid, e);
	free(cpuid);
	return ret;
}

static int create(struct probe *p, struct err *e)
{
	struct kvm_userspace_memory_region slot = {.memory_size = PROBE_SIZE};
	void *ram = mmap(NULL, PROBE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ret;

	if (ram == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory");
	p->ram = ram;
	fill_memory(ram);
	ret = HV_CALLN(p->hv, p->hv->fd, KVM_CREATE_VM, 0, e);
	if (ret < 0)
		return ret;
	p->vm = ret;
	slot.userspace_addr = (uintptr_t)ram;
	ret = HV_CALL(p->hv, p->vm, KVM_SET_USER_MEMORY_REGION, &slot, e);
	if (ret >= 0)
		ret = create_vcpu(p, e);
	if (ret >= 0)
		ret = set_state(p, e);
	return MIN(ret, 0);
}

static void destroy(struct probe *p)
{
	if (p->run)
		p->hv->ops->munmap(p->hv->priv, p->vcpu, p->run, p->run_size);
	hv_close_fd(p->hv, p->vcpu);
	hv_close_fd(p->hv, p->vm);
	if (p->ram)
		munmap(p->ram, PROBE_SIZE);
}

static bool expired(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000000000L + now.tv_nsec -
		       start->tv_nsec >=
	       PROBE_LIMIT_NS;
}

/* KVM_RUN until an exit, or until time is over. */
static int run(struct probe *p, uint32_t want, const char *what,
	       const struct timespec *start, struct err *e)
{
	int ret;

	do {
		ret = hv_ioctl(p->hv, p->vcpu, KVM_RUN, 0);
	} while ((ret == -EINTR || ret == -EAGAIN) && !expired(start));
	if (ret == -EINTR || ret == -EAGAIN)
		return err_set(e, -ETIME, "a few instructions took too long");
	if (ret < 0)
		return err_set(e, ret, "KVM_RUN fails: %s", strerror(-ret));
	if (p->run->exit_reason == want)
		return 0;
	if (p->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		return err_set(e, -ENOTSUP,
			       "it gave up on an ordinary instruction "
			       "(internal error %u)",
			       p->run->internal.suberror);
	return err_set(e, -ENOTSUP, "exit %u came instead of %s",
		       p->run->exit_reason, what);
}

static int check(struct probe *p, const struct timespec *start, struct err *e)
{
	const struct kvm_run *r = p->run;
	struct kvm_regs regs = {0};
	int ret = run(p, KVM_EXIT_IO, "a port write", start, e);

	if (ret)
		return ret;
	if (r->io.port != PROBE_PORT || r->io.size != 1 || r->io.count != 1 ||
	    r->io.direction != KVM_EXIT_IO_OUT ||
	    r->io.data_offset >= p->run_size ||
	    ((const uint8_t *)r)[r->io.data_offset] != 0x5a)
		return err_set(e, -ENOTSUP, "a port write came out wrong");
	ret = run(p, KVM_EXIT_HLT, "a halt", start, e);
	if (!ret)
		ret = HV_CALL(p->hv, p->vcpu, KVM_GET_REGS, &regs, e);
	if (ret < 0)
		return ret;
	if (regs.rbx != PROBE_POPCNT || regs.r14 != PROBE_POPCNT ||
	    regs.rsi != 2 * PROBE_MAGIC || regs.rdi != 4 * PROBE_MAGIC ||
	    regs.rip != PROBE_CODE + (uint64_t)(probe_end - probe_code))
		return err_set(e, -ENOTSUP, "the registers came out wrong");
	return 0;
}

/* A tick interrupts KVM_RUN; repeated, as the first may come too early. */
static int start_ticks(timer_t *timer, struct err *e)
{
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID};
	struct itimerspec when = {
		.it_interval = {.tv_nsec = PROBE_TICK_NS},
		.it_value = {.tv_nsec = PROBE_LIMIT_NS},
	};

	ev.sigev_signo = VCPU_KICK;
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &ev, timer))
		return err_set(e, -errno, "cannot create a timer");
	timer_settime(*timer, 0, &when, NULL);
	return 0;
}

int probe_long_mode(struct hv *hv, struct err *e)
{
	struct probe p = {.hv = hv, .vm = -1, .vcpu = -1};
	struct timespec start;
	timer_t timer;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &start);
	ret = start_ticks(&timer, e);
	if (ret)
		return ret;
	ret = create(&p, e);
	if (!ret)
		ret = check(&p, &start, e);
	destroy(&p);
	timer_delete(timer);
	return ret;
}
