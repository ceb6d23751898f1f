/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that goes away under a guest: KVM_RUN answers -EFAULT with the
 * guest at the instruction, other vCPUs run on, and when the memory is back
 * the guest goes on. A program of its own with one test, because cmocka takes
 * SIGSEGV over at the start of every test and the library at its first VM.
 */
#include "test/abi/abi.h"

#include <asm/kvm_para.h>

#define GOOD  0x800000u /* a page that is there, then pages that are not */
#define BAD   0x801000u
#define PAGES 4u
#define OTHER 0x3000u /* code of the second vCPU */

#define CODE(name, text)                                                  \
	extern const uint8_t name[], name##_end[];                        \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\nhlt\n" #name \
		"_end:\n.popsection")

/* rbx: BAD, rsi: BAD, rdi: GOOD, r10: GOOD + 0xffe */
CODE(load, "movb (%rbx), %al");
CODE(store, "movb $7, 8(%rbx)");
CODE(vector, "movups (%rbx), %xmm0");
CODE(cross_load, "movl (%r10), %eax");
CODE(cross_store, "movl %eax, (%r10)");
CODE(cross_lock, "lock incl (%r10)");
CODE(cross_sse, "movups (%r10), %xmm0");
CODE(movs, "movl $64, %ecx; rep movsb");
CODE(stos_down, "leaq 64(%rbx), %rdi; movl $9, %ecx; std; rep stosq; cld");
CODE(scas, "leaq (%rbx), %rdi; movl $64, %ecx; repne scasb");
CODE(fxsave, "fxsave (%rbx)");
CODE(fxrstor, "fxrstor (%rbx)");
CODE(sgdt, "sgdt (%rbx)");
CODE(lgdt, "lgdt (%rbx)");
CODE(push, "leaq 64(%rbx), %rsp; push %rax");
CODE(call, "leaq 64(%rbx), %rsp; call 1f; 1:");
CODE(enter, "leaq 64(%rbx), %rsp; enter $16, $2");
CODE(far_return, "leaq (%rbx), %rsp; lretq");
CODE(trap, "leaq 512(%rbx), %rsp; int3");
CODE(fetch, "jmp *%rbx");
CODE(fetch_cross, "leaq 1(%r10), %rax; jmp *%rax");
CODE(walk, "mov %rbx, %cr3; nop");

static const struct {
	const char *name;
	const uint8_t *code, *end;
	unsigned int before; /* bytes of code in front of what faults */
	uint64_t rip;        /* where, if elsewhere */
} cases[] = {
#define CASE(n, ...)                        \
	{                                   \
#n, n, n##_end, __VA_ARGS__ \
	}
	CASE(load, 0, 0),
	CASE(store, 0, 0),
	CASE(vector, 0, 0),
	CASE(cross_load, 0, 0),
	CASE(cross_store, 0, 0),
	CASE(cross_lock, 0, 0),
	CASE(cross_sse, 0, 0),
	CASE(movs, 5, 0),
	CASE(stos_down, 10, 0),
	CASE(scas, 8, 0),
	CASE(fxsave, 0, 0),
	CASE(fxrstor, 0, 0),
	CASE(sgdt, 0, 0),
	CASE(lgdt, 0, 0),
	CASE(push, 4, 0),
	CASE(call, 4, 0),
	CASE(enter, 4, 0),
	CASE(far_return, 3, 0),
	CASE(trap, 7, 0),
	CASE(fetch, 0, BAD),
	CASE(fetch_cross, 0, BAD - 1),
	CASE(walk, 3, 0),
};

struct machine {
	struct abi a;
	int other;
	struct kvm_run *other_run;
	uint8_t *p; /* GOOD in the host */
	struct kvm_sregs sregs;
};

static void open_machine(struct machine *m)
{
	struct kvm_userspace_memory_region r = {
		.slot = 1,
		.guest_phys_addr = GOOD,
		.memory_size = PAGES * 4096,
	};

	m->p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(m->p != MAP_FAILED);
	r.userspace_addr = (uintptr_t)m->p;
	abi_open(&m->a, 0);
	m->other = abi_add_vcpu(&m->a, 1, &m->other_run);
	abi_set_cpuid(&m->a, m->a.vcpu);
	OK(m->a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	abi_long(&m->a, m->a.vcpu, load, 1);
	abi_long(&m->a, m->other, load, 1);
	abi_gate(&m->a, 3, ABI_CODE + 0x800);
	abi_idt(&m->a, m->a.vcpu);
	m->a.ram[ABI_CODE + 0x800] = 0xf4;
	OK(m->a.vcpu, KVM_GET_SREGS, &m->sregs);
}

/* What the pages hold when they come back: by default, page tables. */
static void fill(struct machine *m, const uint8_t *code)
{
	static const uint64_t frame[2] = {ABI_CODE + 0x800, 8};
	uint8_t *bad = m->p + 0x1000;

	memset(m->p, 0, PAGES * 4096);
	memcpy(bad, m->a.ram + m->sregs.cr3, 4096);
	if (code == fetch)
		bad[0] = 0xf4;
	if (code == fetch_cross)
		memcpy(bad - 1, (const uint8_t[]){0xb0, 0x55, 0xf4}, 3);
	if (code == far_return)
		memcpy(bad, frame, sizeof(frame));
	if (code == fxrstor)
		memset(bad, 0, 512);
}

/* The second vCPU translates and runs something new: no lock is held. */
static void run_other(struct machine *m, uint8_t n)
{
	const uint8_t code[] = {0xb0, n, 0xf4}; /* mov $n, %al; hlt */
	struct kvm_regs regs = {.rip = OTHER + n * 16u, .rflags = 2};

	memcpy(m->a.ram + OTHER + n * 16u, code, sizeof(code));
	OK(m->other, KVM_SET_REGS, &regs);
	OK(m->other, KVM_RUN, 0);
	assert_int_equal(m->other_run->exit_reason, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(m->other).rax & 0xff, n);
}

static void set_regs(struct machine *m)
{
	struct kvm_regs regs = {
		.rip = ABI_CODE,
		.rflags = 2,
		.rsp = 0x7000,
		.rbp = GOOD + 0x100,
		.rax = 3,
		.rbx = BAD,
		.rsi = BAD,
		.rdi = GOOD,
		.r10 = BAD - 2,
	};

	OK(m->a.vcpu, KVM_SET_SREGS, &m->sregs);
	OK(m->a.vcpu, KVM_SET_REGS, &regs);
}

static void run_case(struct machine *m, unsigned int n)
{
	uint64_t rip = cases[n].rip ? cases[n].rip : ABI_CODE + cases[n].before;
	struct kvm_regs before, after;

	print_message("%s\n", cases[n].name);
	memcpy(m->a.ram + ABI_CODE, cases[n].code,
	       (size_t)(cases[n].end - cases[n].code));
	set_regs(m);
	fill(m, cases[n].code);
	mprotect(m->p + 0x1000, (PAGES - 1) * 4096, PROT_NONE);
	FAILS(m->a.vcpu, KVM_RUN, 0, EFAULT);
	before = abi_regs(m->a.vcpu);
	assert_int_equal(before.rip, rip);
	run_other(m, (uint8_t)n);
	FAILS(m->a.vcpu, KVM_RUN, 0, EFAULT);
	after = abi_regs(m->a.vcpu);
	assert_memory_equal(&before, &after, sizeof(after));
	mprotect(m->p + 0x1000, (PAGES - 1) * 4096, PROT_READ | PROT_WRITE);
	abi_run(&m->a, KVM_EXIT_HLT);
}

/* Each result, as far as memory or registers show it. */
static void check_case(struct machine *m, unsigned int n)
{
	const uint8_t *code = cases[n].code, *bad = m->p + 0x1000;
	struct kvm_regs regs = abi_regs(m->a.vcpu);
	uint32_t word;

	memcpy(&word, bad - 2, 4);
	if (code == load)
		assert_int_equal(regs.rax, bad[0]);
	if (code == store)
		assert_int_equal(bad[8], 7);
	if (code == cross_load)
		assert_int_equal(regs.rax, word);
	if (code == cross_store)
		assert_int_equal(word, 3);
	if (code == cross_lock)
		assert_int_equal(word, bad[1] << 24 | bad[0] << 16 | 1);
	if (code == movs)
		assert_memory_equal(m->p, bad, 64);
	if (code == push)
		assert_int_equal(bad[56], 3);
	if (code == fetch_cross)
		assert_int_equal(regs.rax & 0xff, 0x55);
	if (code == trap)
		assert_int_equal(regs.rip, ABI_CODE + 0x801);
}

/* What the kvm room itself writes and reads of the guest. */
static void test_own(struct machine *m)
{
	struct {
		uint32_t nmsrs, pad; /* struct kvm_msrs */
		struct kvm_msr_entry entry[2];
	} msrs = {
		.nmsrs = 2,
		.entry = {{.index = MSR_KVM_SYSTEM_TIME_NEW, .data = BAD | 1},
			  {.index = MSR_KVM_WALL_CLOCK_NEW, .data = BAD}},
	};
	struct kvm_translation t = {.linear_address = 0x1000};
	struct kvm_sregs s;

	set_regs(m);
	mprotect(m->p + 0x1000, (PAGES - 1) * 4096, PROT_NONE);
	memcpy(m->a.ram + ABI_CODE, (const uint8_t[]){0xf4}, 1);
	assert_int_equal(CALL(m->a.vcpu, KVM_SET_MSRS, &msrs), 2);
	abi_run(&m->a, KVM_EXIT_HLT);
	OK(m->a.vcpu, KVM_TRANSLATE, &t);
	assert_true(t.valid);
	s = m->sregs;
	s.cr3 = BAD;
	OK(m->a.vcpu, KVM_SET_SREGS, &s);
	OK(m->a.vcpu, KVM_TRANSLATE, &t);
	assert_false(t.valid);
}

static void test_host_fault(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m);
	for (unsigned int n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		run_case(&m, n);
		check_case(&m, n);
	}
	test_own(&m);
	assert_int_equal(lodge_munmap(m.other, m.other_run, 12288), 0);
	assert_int_equal(lodge_close(m.other), 0);
	abi_close(&m.a);
	munmap(m.p, PAGES * 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
