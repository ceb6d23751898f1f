/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities that change what a guest meets: hypercalls, paravirtual
 * features, quirks, HLT, the timers' clock; and the calls for one register.
 */
#include "test/abi/abi.h"

#include <asm/kvm_para.h>
#include <cpuid.h>
#include <linux/kvm_para.h>
#include <signal.h>

#include "include/uapi/kvm_new.h"

static int enable(int fd, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap c = {.cap = cap, .args = {arg}};

	return CALL(fd, KVM_ENABLE_CAP, &c);
}

static int check(int fd, uint64_t cap)
{
	return CALL(fd, KVM_CHECK_EXTENSION, cap);
}

/* Whether guests are told they run on Intel's: what KVM looks at, too. */
static bool intel(void)
{
	const char *vendor = getenv("LODGE_VENDOR");
	uint32_t a, b, c, d;

	if (vendor)
		return !strcmp(vendor, "intel");
	__cpuid(0, a, b, c, d);
	return b == signature_INTEL_ebx;
}

static void set_reg(struct abi *a, size_t offset, uint64_t val)
{
	struct kvm_regs r = abi_regs(a->vcpu);

	memcpy((uint8_t *)&r + offset, &val, 8);
	OK(a->vcpu, KVM_SET_REGS, &r);
}

#define SET(a, reg, val) set_reg(a, offsetof(struct kvm_regs, reg), val)

/* Both hypercall instructions, at 2 and at 5. */
ABI_GUEST(calls, "out %al,$1; vmcall; vmmcall; out %al,$2; hlt");

static void open_calls(struct abi *a, int flags)
{
	abi_open(a, flags);
	abi_set_cpuid(a, a->vcpu);
	ABI_START(a, a->vcpu, calls);
	abi_run(a, KVM_EXIT_IO);
	/* VAPIC_POLL_IRQ does nothing and says so. */
	SET(a, rax, KVM_HC_VAPIC_POLL_IRQ);
}

/* Both, each with its answer: at 2 and at 13. */
ABI_GUEST(both, "out %al,$1; vmcall; mov %rax,%rsi; mov $1,%eax;"
		"vmmcall; out %al,$2; hlt");

static void open_both(struct abi *a)
{
	abi_open(a, 0);
	abi_set_cpuid(a, a->vcpu);
	ABI_START(a, a->vcpu, both);
	abi_run(a, KVM_EXIT_IO);
	SET(a, rax, KVM_HC_VAPIC_POLL_IRQ);
}

static void test_fix_hypercall(void **state)
{
	uint8_t native[3] = {0x0f, 0x01, intel() ? 0xc1 : 0xd9};
	struct abi a;

	(void)state;
	open_both(&a);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 2);
	assert_int_equal(abi_regs(a.vcpu).rsi, 0);
	assert_int_equal(abi_regs(a.vcpu).rax, 0);
	assert_memory_equal(a.ram + ABI_CODE + 2, native, 3);
	assert_memory_equal(a.ram + ABI_CODE + 13, native, 3);
	abi_close(&a);
	/* Without the quirk the other one is no instruction. */
	open_both(&a);
	assert_true(check(a.vm, KVM_CAP_DISABLE_QUIRKS2) &
		    KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
	assert_int_equal(enable(a.vm, KVM_CAP_DISABLE_QUIRKS2,
				KVM_X86_QUIRK_FIX_HYPERCALL_INSN),
			 0);
	abi_run(&a, KVM_EXIT_SHUTDOWN);
	assert_int_equal(abi_regs(a.vcpu).rip, ABI_CODE + (intel() ? 13u : 2u));
	assert_int_equal(a.ram[ABI_CODE + 4], 0xc1);
	assert_int_equal(a.ram[ABI_CODE + 15], 0xd9);
	abi_close(&a);
}

static void test_exit_hypercall(void **state)
{
	struct abi a;

	(void)state;
	open_calls(&a, 0);
	assert_int_equal(check(a.vm, KVM_CAP_EXIT_HYPERCALL),
			 1 << KVM_HC_MAP_GPA_RANGE);
	assert_int_equal(enable(a.vm, KVM_CAP_EXIT_HYPERCALL, 1), -EINVAL);
	SET(&a, rax, KVM_HC_MAP_GPA_RANGE);
	SET(&a, rip, ABI_CODE + 2);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal((int64_t)abi_regs(a.vcpu).rax, -KVM_ENOSYS);
	assert_int_equal(
		enable(a.vm, KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE),
		0);
	SET(&a, rax, KVM_HC_MAP_GPA_RANGE);
	SET(&a, rbx, 0x1000);
	SET(&a, rcx, 0); /* no pages */
	SET(&a, rip, ABI_CODE + 5);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal((int64_t)abi_regs(a.vcpu).rax, -KVM_EINVAL);
	SET(&a, rax, KVM_HC_MAP_GPA_RANGE);
	SET(&a, rcx, 7);
	SET(&a, rdx, 0x10);
	SET(&a, rip, ABI_CODE + 5);
	abi_run(&a, KVM_EXIT_HYPERCALL);
	assert_int_equal(a.run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	assert_int_equal(a.run->hypercall.args[0], 0x1000);
	assert_int_equal(a.run->hypercall.args[1], 7);
	assert_int_equal(a.run->hypercall.args[2], 0x10);
	assert_int_equal(a.run->hypercall.longmode, 1);
	assert_int_equal(a.run->hypercall.ret, 0);
	a.run->hypercall.ret = 0x123;
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(abi_regs(a.vcpu).rax, 0x123);
	abi_close(&a);
}

/* The guest's CPUID counts when the client wants it to. */
static void test_enforce_pv(void **state)
{
	struct kvm_cpuid2 none = {0};
	struct abi a;

	(void)state;
	open_calls(&a, ABI_IRQCHIP);
	assert_int_equal(check(a.sys, KVM_CAP_ENFORCE_PV_FEATURE_CPUID), 1);
	assert_int_equal(enable(a.vcpu, KVM_CAP_SPLIT_IRQCHIP, 1), -EINVAL);
	SET(&a, rax, KVM_HC_SCHED_YIELD);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(abi_regs(a.vcpu).rax, (uint64_t)-KVM_ENOSYS);
	abi_close(&a);
	for (int enforce = 0; enforce < 2; enforce++) {
		abi_open(&a, 0);
		OK(a.vcpu, KVM_SET_CPUID2, &none);
		assert_int_equal(enable(a.vcpu,
					KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
					(uint64_t)enforce),
				 0);
		ABI_START(&a, a.vcpu, calls);
		abi_run(&a, KVM_EXIT_IO);
		SET(&a, rax, KVM_HC_SCHED_YIELD);
		SET(&a, rip, ABI_CODE + 5);
		abi_run(&a, KVM_EXIT_IO);
		assert_int_equal((int64_t)abi_regs(a.vcpu).rax,
				 enforce ? -KVM_ENOSYS : 0);
		abi_close(&a);
	}
}

ABI_GUEST(platform, "mov $0xce,%ecx; rdmsr; out %al,$1; hlt");

static void test_platform_info(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_set_cpuid(&a, a.vcpu);
	assert_int_equal(check(a.vm, KVM_CAP_MSR_PLATFORM_INFO), 1);
	ABI_START(&a, a.vcpu, platform);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(enable(a.vm, KVM_CAP_MSR_PLATFORM_INFO, 0), 0);
	ABI_START(&a, a.vcpu, platform);
	abi_run(&a, KVM_EXIT_SHUTDOWN); /* #GP, and there is no IDT */
	assert_int_equal(enable(a.vm, KVM_CAP_MSR_PLATFORM_INFO, 1), 0);
	ABI_START(&a, a.vcpu, platform);
	abi_run(&a, KVM_EXIT_IO);
	abi_close(&a);
}

/*
 * Write the timer's count, wait for 2^22 cycles, read it: the cycles in
 * between, and with those of the write and the read.
 */
ABI_GUEST(timer, "mov $0xfee00000,%ebx; movl $0x1ff,0xf0(%rbx);"
		 "movl $0x10020,0x320(%rbx); movl $0xb,0x3e0(%rbx);"
		 "rdtsc; mov %eax,%edi;"
		 "movl $0xffffffff,0x380(%rbx); rdtsc; mov %eax,%esi;"
		 "1: rdtsc; sub %esi,%eax; cmp $0x400000,%eax; jb 1b;"
		 "mov %eax,%r8d; mov 0x390(%rbx),%ecx; not %ecx;"
		 "rdtsc; sub %edi,%eax; out %al,$1; hlt");

/* Ticks of a cycle; @steady: nothing came between the guest's looks. */
static double tick_rate(struct abi *a, bool *steady)
{
	struct kvm_regs r;

	ABI_START(a, a->vcpu, timer);
	abi_run(a, KVM_EXIT_IO);
	r = abi_regs(a->vcpu);
	*steady = r.rax - r.r8 < r.r8 / 50;
	return (double)r.rcx / (double)r.r8;
}

static double ticks(uint64_t ns)
{
	bool steady = false;
	double rate = 0;
	struct abi a;

	abi_open(&a, ABI_NO_VCPU);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, ns),
			 -ENXIO);
	OK(a.vm, KVM_CREATE_IRQCHIP, 0);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 0),
			 -EINVAL);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 1 << 26),
			 -EINVAL);
	assert_int_equal(check(a.vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS), 1);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, ns), 0);
	assert_int_equal(check(a.vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS), ns);
	assert_int_equal(check(a.sys, KVM_CAP_X86_APIC_BUS_CYCLES_NS), 1);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, ns),
			 -EINVAL);
	abi_set_cpuid(&a, a.vcpu);
	for (int i = 0; i < 100 && !steady; i++)
		rate = tick_rate(&a, &steady);
	abi_close(&a);
	return rate;
}

static void test_bus_cycles(void **state)
{
	double ratio = ticks(1) / ticks(40);

	(void)state;
	assert_in_range((uint64_t)(ratio * 1000), 36000, 44000);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_disable_exits(void **state)
{
	static const uint8_t halt[] = {0xf4, 0xe6, 0x01};
	struct sigaction sa = {.sa_handler = on_alarm};
	struct abi a;

	(void)state;
	abi_open(&a, ABI_NO_VCPU);
	assert_int_equal(check(a.vm, KVM_CAP_X86_DISABLE_EXITS),
			 KVM_X86_DISABLE_EXITS_HLT |
				 KVM_X86_DISABLE_EXITS_PAUSE);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_DISABLE_EXITS,
				KVM_X86_DISABLE_EXITS_MWAIT),
			 -EINVAL);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_DISABLE_EXITS,
				KVM_X86_DISABLE_EXITS_HLT),
			 0);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	assert_int_equal(enable(a.vm, KVM_CAP_X86_DISABLE_EXITS,
				KVM_X86_DISABLE_EXITS_HLT),
			 -EINVAL);
	abi_long(&a, a.vcpu, halt, sizeof(halt));
	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 20000); /* one before KVM_RUN does not count */
	FAILS(a.vcpu, KVM_RUN, 0, EINTR);
	ualarm(0, 0);
	OK(a.vcpu, KVM_NMI, 0); /* without an IDT the end */
	abi_run(&a, KVM_EXIT_SHUTDOWN);
	abi_close(&a);
}

/* With HLT left to the guest its wake-up by hypercall is not offered. */
static void test_unhalt(void **state)
{
	struct kvm_cpuid2 *c = calloc(1,
				      sizeof(*c) + 256 * sizeof(c->entries[0]));
	struct abi a;

	(void)state;
	for (int off = 0; off < 2; off++) {
		abi_open(&a, ABI_NO_VCPU);
		if (off)
			assert_int_equal(enable(a.vm, KVM_CAP_X86_DISABLE_EXITS,
						KVM_X86_DISABLE_EXITS_HLT),
					 0);
		a.vcpu = abi_add_vcpu(&a, 0, &a.run);
		c->nent = 256;
		OK(a.sys, KVM_GET_SUPPORTED_CPUID, c);
		for (uint32_t i = 0; i < c->nent; i++)
			if (c->entries[i].function == KVM_CPUID_FEATURES)
				c->entries[i].eax |= 1 << KVM_FEATURE_PV_UNHALT;
		OK(a.vcpu, KVM_SET_CPUID2, c);
		c->nent = 256;
		OK(a.vcpu, KVM_GET_CPUID2, c);
		for (uint32_t i = 0; i < c->nent; i++)
			if (c->entries[i].function == KVM_CPUID_FEATURES)
				assert_int_equal(
					c->entries[i].eax >>
							KVM_FEATURE_PV_UNHALT &
						1,
					!off);
		abi_close(&a);
	}
	free(c);
}

/* flds (%rax); fnstcw (%rax); mov (%rax),%bl; out %al,$1 */
ABI_GUEST(x87, "fldcw 0x20000; flds (%rax); fnstcw (%rax); mov (%rax),%bl;"
	       "out %al,$1; hlt");

static void expect_mmio(struct abi *a, uint32_t len, bool write)
{
	abi_run(a, KVM_EXIT_MMIO);
	assert_int_equal(a->run->mmio.len, len);
	assert_int_equal(a->run->mmio.is_write, write);
	memset(a->run->mmio.data, 0, 8);
}

/* What the kernel cannot do on device memory, for those who want to know. */
static void test_emulation_failure(void **state)
{
	struct kvm_regs regs;
	struct abi a;

	(void)state;
	for (uint64_t on = 0; on < 2; on++) {
		abi_open(&a, 0);
		assert_int_equal(check(a.vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE),
				 1);
		assert_int_equal(
			enable(a.vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 2),
			-EINVAL);
		assert_int_equal(
			enable(a.vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, on), 0);
		ABI_WORD(&a, 0x20000) = 0x37f;
		ABI_START(&a, a.vcpu, x87);
		SET(&a, rax, 0x30000000);
		if (on) {
			abi_run(&a, KVM_EXIT_INTERNAL_ERROR);
			assert_int_equal(a.run->emulation_failure.suberror,
					 KVM_INTERNAL_ERROR_EMULATION);
			assert_true(a.run->emulation_failure.ndata >= 3);
			assert_int_equal(a.run->emulation_failure.flags, 1);
			assert_int_equal(a.run->emulation_failure.insn_size,
					 15);
			assert_memory_equal(a.run->emulation_failure.insn_bytes,
					    "\xd9\0", 2);
			regs = abi_regs(a.vcpu);
			assert_int_equal(regs.rip, ABI_CODE + 7);
			regs.rip += 2;
			OK(a.vcpu, KVM_SET_REGS, &regs);
		} else {
			expect_mmio(&a, 4, false);
		}
		expect_mmio(&a, 2, true);
		expect_mmio(&a, 1, false);
		abi_run(&a, KVM_EXIT_IO);
		abi_close(&a);
	}
}

#define REG(index) (0x2030000200000000ull | (index))

static void test_one_reg(void **state)
{
	uint64_t val = 0;
	struct kvm_one_reg r = {.id = REG(0x277), .addr = (uintptr_t)&val};
	struct kvm_reg_list list = {.n = 5};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	assert_int_equal(check(a.vm, KVM_CAP_ONE_REG), 1);
	OK(a.vcpu, KVM_GET_ONE_REG, &r);
	assert_true(val == 0x7040600070406);
	val = 0x07070707;
	OK(a.vcpu, KVM_SET_ONE_REG, &r);
	val = 0;
	OK(a.vcpu, KVM_GET_ONE_REG, &r);
	assert_true(val == 0x07070707);
	val = 0x02; /* no memory type */
	FAILS(a.vcpu, KVM_SET_ONE_REG, &r, EINVAL);
	r.addr = 8;
	FAILS(a.vcpu, KVM_GET_ONE_REG, &r, EFAULT);
	FAILS(a.vcpu, KVM_SET_ONE_REG, &r, EFAULT);
	r.addr = (uintptr_t)&val;
	r.id = REG(0x12345678); /* no such MSR */
	FAILS(a.vcpu, KVM_GET_ONE_REG, &r, EINVAL);
	r.id = REG(0x277) ^ 1ull << 40;
	FAILS(a.vcpu, KVM_GET_ONE_REG, &r, EINVAL);
	r.id = REG(0x277) ^ 1ull << 52;
	FAILS(a.vcpu, KVM_GET_ONE_REG, &r, EINVAL);
	r.id = 0x2030000300000000ull; /* the shadow stack pointer */
	FAILS(a.vcpu, KVM_GET_ONE_REG, &r, EINVAL);
	OK(a.vcpu, KVM_GET_REG_LIST, &list);
	assert_int_equal(list.n, 0);
	abi_close(&a);
}

static void test_numbers(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	FAILS(a.vm, KVM_SET_NR_MMU_PAGES, 63, EINVAL);
	OK(a.vm, KVM_SET_NR_MMU_PAGES, 64);
	/* Only the low half of a rate counts: zero is the host's. */
	OK(a.vcpu, KVM_SET_TSC_KHZ, 1ull << 32);
	assert_int_equal(CALL(a.vcpu, KVM_GET_TSC_KHZ, 0),
			 CALL(a.vm, KVM_GET_TSC_KHZ, 0));
	abi_close(&a);
}

#define CAP(name, value)              \
	{                             \
		KVM_CAP_##name, value \
	}

/*
 * What QEMU 7.2 and 11 do not start without, or do less well, and the value
 * they have to see at least; of bit sets, the bits.
 */
static const struct {
	uint32_t cap;
	int value;
} qemu_caps[] = {
	CAP(ADJUST_CLOCK, 14),
	CAP(BINARY_STATS_FD, 1),
	CAP(COALESCED_MMIO, 2),
	CAP(COALESCED_PIO, 1),
	CAP(DEBUGREGS, 1),
	CAP(DESTROY_MEMORY_REGION_WORKS, 1),
	CAP(DIRTY_LOG_RING_ACQ_REL, 1 << 16),
	CAP(EXCEPTION_PAYLOAD, 1),
	CAP(EXT_CPUID, 1),
	CAP(GET_MSR_FEATURES, 1),
	CAP(GET_TSC_KHZ, 1),
	CAP(GUEST_MEMFD, 1),
	CAP(HLT, 1),
	CAP(IMMEDIATE_EXIT, 1),
	CAP(INTERNAL_ERROR_DATA, 1),
	CAP(IOEVENTFD, 1),
	CAP(IOEVENTFD_ANY_LENGTH, 1),
	CAP(IRQCHIP, 1),
	CAP(IRQFD, 1),
	CAP(IRQFD_RESAMPLE, 1),
	CAP(IRQ_INJECT_STATUS, 1),
	CAP(IRQ_ROUTING, 1024),
	CAP(JOIN_MEMORY_REGIONS_WORKS, 1),
	CAP(KVMCLOCK_CTRL, 1),
	CAP(MANUAL_DIRTY_LOG_PROTECT2, 3),
	CAP(MAX_VCPUS, 255),
	CAP(MAX_VCPU_ID, 256),
	CAP(MCE, 10),
	CAP(MP_STATE, 1),
	CAP(NR_MEMSLOTS, 509),
	CAP(NR_VCPUS, 1),
	CAP(PIT2, 1),
	CAP(PIT_STATE2, 1),
	CAP(PMU_CAPABILITY, 1),
	CAP(PRE_FAULT_MEMORY, 1),
	CAP(READONLY_MEM, 1),
	CAP(REINJECT_CONTROL, 1),
	CAP(SET_GUEST_DEBUG, 1),
	CAP(SET_IDENTITY_MAP_ADDR, 1),
	CAP(SET_TSS_ADDR, 1),
	CAP(SIGNAL_MSI, 1),
	CAP(SPLIT_IRQCHIP, 1),
	CAP(SREGS2, 1),
	CAP(STEAL_TIME, 1),
	CAP(SYNC_MMU, 1),
	CAP(SYS_ATTRIBUTES, 1),
	CAP(TSC_CONTROL, 1),
	CAP(TSC_DEADLINE_TIMER, 1),
	CAP(USER_MEMORY, 1),
	CAP(USER_MEMORY2, 1),
	CAP(VCPU_EVENTS, 1),
	CAP(X2APIC_API, 3),
	CAP(X86_BUS_LOCK_EXIT, 3),
	CAP(X86_DISABLE_EXITS, 6),
	CAP(X86_MSR_FILTER, 1),
	CAP(X86_ROBUST_SINGLESTEP, 1),
	CAP(X86_TRIPLE_FAULT_EVENT, 1),
	CAP(X86_USER_SPACE_MSR, 1),
	CAP(XCRS, 1),
	CAP(XSAVE, 1),
	CAP(XSAVE2, 4096),
};

/* And what is announced only when it works, which it does not. */
static const uint32_t absent_caps[] = {
	KVM_CAP_ASYNC_PF, KVM_CAP_ASYNC_PF_INT,    KVM_CAP_DEVICE_CTRL,
	KVM_CAP_HYPERV,   KVM_CAP_HYPERV_VP_INDEX, KVM_CAP_NESTED_STATE,
	KVM_CAP_PCI_2_3,  KVM_CAP_VAPIC,           KVM_CAP_X86_NOTIFY_VMEXIT,
	KVM_CAP_X86_SMM,  KVM_CAP_XEN_HVM,
};

static void test_qemu(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	for (size_t i = 0; i < sizeof(qemu_caps) / sizeof(qemu_caps[0]); i++) {
		int has = check(a.vm, qemu_caps[i].cap);

		if (has < qemu_caps[i].value)
			fail_msg("capability %u is %d, not %d",
				 qemu_caps[i].cap, has, qemu_caps[i].value);
	}
	for (size_t i = 0; i < sizeof(absent_caps) / 4; i++)
		assert_int_equal(check(a.vm, absent_caps[i]), 0);
	abi_close(&a);
}

/* CMCI to vector 0x50 in xAPIC mode, bank 7. */
ABI_GUEST(cmci, "mov $0xfee00000,%ebx; movl $0x1ff,0xf0(%rbx);"
		"movl $0x50,0x2f0(%rbx); mov $0x287,%ecx; xor %edx,%edx;"
		"mov $0x40000000,%eax; wrmsr; out %al,$1;"
		"sti; nop; nop; cli; out %al,$2;"
		"xor %eax,%eax; wrmsr; out %al,$3;"
		"sti; nop; nop; out %al,$4;"
		"mov $0x20000000,%eax; wrmsr; out %al,$5");
ABI_GUEST(on_cmci, "incl 0x20000; movl $0,0xb0(%rbx); iretq");

static void test_cmci(void **state)
{
	struct kvm_x86_mce mce = {.status = 0xac00000000010090ull, .bank = 7};
	uint64_t cap = 1 << 8 | 1 << 10 | 10;
	struct abi a;

	(void)state;
	mce.status &= ~(7ull << 55);
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	OK(a.vcpu, KVM_X86_SETUP_MCE, &cap);
	memcpy(a.ram + 0x3000, abi_on_cmci,
	       (size_t)(abi_on_cmci_end - abi_on_cmci));
	abi_gate(&a, 0x50, 0x3000);
	ABI_START(&a, a.vcpu, cmci);
	abi_idt(&a, a.vcpu);
	abi_run(&a, KVM_EXIT_IO);
	OK(a.vcpu, KVM_X86_SET_MCE, &mce);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 2);
	assert_int_equal(ABI_WORD(&a, 0x20000), 1);
	abi_run(&a, KVM_EXIT_IO); /* turned off */
	OK(a.vcpu, KVM_X86_SET_MCE, &mce);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 4);
	assert_int_equal(ABI_WORD(&a, 0x20000), 1);
	abi_run(&a, KVM_EXIT_SHUTDOWN); /* a reserved bit */
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fix_hypercall),
		cmocka_unit_test(test_exit_hypercall),
		cmocka_unit_test(test_enforce_pv),
		cmocka_unit_test(test_platform_info),
		cmocka_unit_test(test_bus_cycles),
		cmocka_unit_test(test_disable_exits),
		cmocka_unit_test(test_unhalt),
		cmocka_unit_test(test_one_reg),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_qemu),
		cmocka_unit_test(test_cmci),
		cmocka_unit_test(test_emulation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
