/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM offers to guests that know it: Linux "KVM CPUID bits",
 * "KVM-specific MSRs", "Linux KVM Hypercall". All is skipped elsewhere.
 */
#include "test/arch/guest/arch.h"

#define F_CLOCK2   (1U << 3)
#define F_ASYNC_PF (1U << 4)
#define F_STEAL    (1U << 5)
#define F_EOI      (1U << 6)
#define F_STABLE   (1U << 24)

#define MSR_WALL     0x4b564d00
#define MSR_CLOCK    0x4b564d01
#define MSR_ASYNC_PF 0x4b564d02
#define MSR_STEAL    0x4b564d03
#define MSR_EOI      0x4b564d04
#define MSR_NONE     0x4b564d7f

#define APIC(reg) (*(volatile uint32_t *)(0xfee00000UL + (reg)))
#define APIC_EOI  0xb0
#define APIC_SVR  0xf0
#define APIC_ISR  0x100
#define APIC_ICR  0x300
#define SELF      0x40000
#define VECTOR    0x61

#define HC_NONE 1000
#define ENOSYS  1000

static uint32_t features; /* 0: not KVM */

static bool lacks(uint32_t bit)
{
	if (!(features & bit))
		skip("the hypervisor does not offer it");
	return !(features & bit);
}

static bool refused(uint32_t msr, uint64_t v)
{
	return try_call(wrmsr, msr, v) == 13 && !caught.error;
}

static void test_refused(void)
{
	if (!features) {
		skip("not on KVM");
		return;
	}
	check(try_call(rdmsr, MSR_NONE, 0) == 13 && refused(MSR_NONE, 0),
	      "a number without a register is #GP(0)");
	if (!(features & F_ASYNC_PF))
		check(refused(MSR_ASYNC_PF, 1),
		      "so are asynchronous page faults where CPUID has none");
}

/* ---- clocks ---- */

static struct {
	uint32_t version, sec, ns;
} volatile wall __attribute__((aligned(64)));

static void test_wall(void)
{
	if (lacks(F_CLOCK2))
		return;
	wrmsr(MSR_WALL, (reg_t)&wall);
	check(!(wall.version & 1), "its version is even");
	check(wall.sec > 1600000000 && wall.ns < 1000000000,
	      "a time of this century: %d", (int)wall.sec);
}

static uint32_t clock[8] __attribute__((aligned(64)));

static void test_stable(void)
{
	if (lacks(F_CLOCK2))
		return;
	wrmsr(MSR_CLOCK, (reg_t)clock | 1);
	check(rdmsr(MSR_CLOCK) == ((reg_t)clock | 1), "it reads back");
	if (!(features & F_STABLE))
		check(!(((uint8_t *)clock)[29] & 1), "no stable TSC, no bit");
	wrmsr(MSR_CLOCK, 0);
	check(rdmsr(MSR_CLOCK) == 0, "and goes off");
}

/* ---- EOI ---- */

static volatile uint32_t eoi_flag __attribute__((aligned(4)));
static volatile uint32_t arrived, offered;

static void on_ipi(struct trap *t)
{
	bool lazy;

	arrived++;
	__asm__ volatile("btrl $0, %0; setc %1"
			 : "+m"(eoi_flag), "=q"(lazy)
			 :
			 : "memory");
	if (lazy)
		offered++;
	else
		APIC(APIC_EOI) = 0;
}

static void send_ipis(unsigned int n)
{
	for (unsigned int i = 1; i <= n; i++) {
		APIC(APIC_ICR) = SELF | VECTOR;
		irq_on();
		for (unsigned int k = 0; arrived < i && k < 1000000; k++)
			__asm__ volatile("pause");
		irq_off();
	}
}

static void test_eoi(void)
{
	if (lacks(F_EOI))
		return;
	APIC(APIC_SVR) = 0x1ff;
	trap_hook[VECTOR] = on_ipi;
	check(refused(MSR_EOI, (reg_t)&eoi_flag | 3), "bit 1 is reserved");
	wrmsr(MSR_EOI, (reg_t)&eoi_flag | 1);
	send_ipis(20);
	check(arrived == 20, "every interrupt arrives: %d", (int)arrived);
	check(offered > 0, "some end without the register: %d", (int)offered);
	check(!(APIC(APIC_ISR + 0x10 * (VECTOR / 32)) >> VECTOR % 32 & 1),
	      "and have ended");
	wrmsr(MSR_EOI, 0);
	arrived = offered = 0;
	send_ipis(5);
	check(arrived == 5 && !offered, "not when it is off");
	trap_hook[VECTOR] = NULL;
}

/* ---- steal time ---- */

static struct {
	uint64_t steal;
	uint32_t version, flags;
	uint8_t preempted, pad[47];
} volatile st __attribute__((aligned(64)));

static void test_steal(void)
{
	uint64_t end, last = 0, back = 0;

	if (lacks(F_STEAL))
		return;
	check(refused(MSR_STEAL, (reg_t)&st | 3), "bits 5 to 1 are reserved");
	wrmsr(MSR_STEAL, (reg_t)&st | 1);
	check(rdmsr(MSR_STEAL) == ((reg_t)&st | 1), "it reads back");
	end = rdtsc() + 200000000;
	while (rdtsc() < end) {
		uint64_t now;

		inb(0x80); /* a chance to be told */
		now = st.steal;
		back += now < last;
		last = now;
	}
	check(st.version && !(st.version & 1), "its version is even: %x",
	      (reg_t)st.version);
	check(!back, "stolen time only grows");
	check(!st.flags && !st.preempted, "we run");
	wrmsr(MSR_STEAL, 0);
}

/* ---- hypercalls ---- */

static reg_t call_intel(reg_t nr)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xc1" : "+a"(nr) : : "memory");
	return nr;
}

static reg_t call_amd(reg_t nr)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xd9" : "+a"(nr) : : "memory");
	return nr;
}

static void test_hypercall(void)
{
	reg_t (*call)(reg_t) = call_intel;

	if (!features) {
		skip("not on KVM");
		return;
	}
	if (try_call(call_intel, HC_NONE, 0) != NO_FAULT)
		call = call_amd;
	check(call(HC_NONE) == (reg_t)-ENOSYS,
	      "one that is not known says -KVM_ENOSYS");
}

void setup(void)
{
	uint32_t r[4];

	cpuid(0x40000000, 0, r);
	if (memcmp(&r[1], "KVMKVMKVM\0\0\0", 12))
		return;
	cpuid(0x40000001, 0, r);
	features = r[0];
}

const struct test tests[] = {
	{"refused", test_refused, "KVM \"KVM-specific MSRs\""},
	{"wall", test_wall,
	 "KVM \"KVM-specific MSRs\": MSR_KVM_WALL_CLOCK_NEW"},
	{"stable", test_stable,
	 "KVM \"KVM-specific MSRs\": MSR_KVM_SYSTEM_TIME_NEW"},
	{"eoi", test_eoi, "KVM \"KVM-specific MSRs\": MSR_KVM_PV_EOI_EN"},
	{"steal", test_steal, "KVM \"KVM-specific MSRs\": MSR_KVM_STEAL_TIME"},
	{"hypercall", test_hypercall, "KVM \"Linux KVM Hypercall\""},
	{NULL},
};
