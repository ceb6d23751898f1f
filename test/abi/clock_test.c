/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time as guest and client see it, and the other services of leaf
 * 0x40000001: steal time and the EOI by flag.
 */
#include "test/abi/abi.h"

#include <time.h>
#include <x86intrin.h>

#define CLOCK_PAGE 0x30000
#define WALL_PAGE  0x31000
#define STEAL_PAGE 0x32000
#define EOI_WORD   0x33000
#define NS         1000000000ll

struct pvclock {
	uint32_t version, pad;
	uint64_t tsc, ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
};

static int64_t clock_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

static void set_msr(int vcpu, uint32_t index, uint64_t data)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} m = {.h.nmsrs = 1, .e = {.index = index, .data = data}};

	assert_int_equal(CALL(vcpu, KVM_SET_MSRS, &m), 1);
}

static uint64_t get_msr(int vcpu, uint32_t index)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} m = {.h.nmsrs = 1, .e = {.index = index}};

	assert_int_equal(CALL(vcpu, KVM_GET_MSRS, &m), 1);
	return m.e.data;
}

/* As a guest computes it from the page and its TSC. */
static int64_t pvclock_ns(const struct abi *a, uint64_t tsc)
{
	struct pvclock p;
	uint64_t delta;

	memcpy(&p, a->ram + CLOCK_PAGE, sizeof(p));
	assert_int_equal(p.version & 1, 0);
	assert_true(p.version > 0);
	delta = tsc - p.tsc;
	delta = p.shift < 0 ? delta >> -p.shift : delta << p.shift;
	return (int64_t)(p.ns +
			 (uint64_t)((unsigned __int128)delta * p.mul >> 32));
}

ABI_GUEST(read_tsc, "1: rdtsc; shl $32,%rdx; or %rdx,%rax; mov %rax,%rbx;"
		    "out %al,$0x99; jmp 1b");

static uint64_t guest_tsc(struct abi *a)
{
	abi_run(a, KVM_EXIT_IO);
	return abi_regs(a->vcpu).rbx;
}

static int64_t get_clock(struct abi *a)
{
	int64_t before = clock_of(CLOCK_REALTIME);
	struct kvm_clock_data c = {0};

	OK(a->vm, KVM_GET_CLOCK, &c);
	assert_true(c.flags & KVM_CLOCK_TSC_STABLE);
	assert_in_range(c.realtime, before - 100000,
			clock_of(CLOCK_REALTIME) + 100000);
	return (int64_t)c.clock;
}

/* The guest's TSC and the host's clock, of the quickest of some looks. */
static int64_t look(struct abi *a, int64_t *host)
{
	int64_t best = INT64_MAX, tsc = 0, from, to, t;

	for (int i = 0; i < 50; i++) {
		from = clock_of(CLOCK_MONOTONIC_RAW);
		t = (int64_t)guest_tsc(a);
		to = clock_of(CLOCK_MONOTONIC_RAW);
		if (to - from >= best)
			continue;
		best = to - from;
		*host = from + best / 2;
		tsc = t;
	}
	return tsc;
}

/* kvmclock, the guest's TSC and the host's clock run at one rate. */
static void test_rate(void **state)
{
	struct timespec nap = {.tv_nsec = 400000000};
	int64_t k0, k1, h0, h1, t0, t1, drift;
	int64_t khz;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, read_tsc);
	set_msr(a.vcpu, 0x4b564d01, CLOCK_PAGE | 1);
	guest_tsc(&a);
	khz = CALL(a.vcpu, KVM_GET_TSC_KHZ, 0);
	t0 = look(&a, &h0);
	k0 = pvclock_ns(&a, (uint64_t)t0);
	nanosleep(&nap, NULL);
	t1 = look(&a, &h1);
	k1 = pvclock_ns(&a, (uint64_t)t1);
	drift = (k1 - k0) - (h1 - h0);
	print_message("drift in %ld ns: %ld ns\n", h1 - h0, drift);
	assert_in_range(drift + 200000, 0, 400000); /* below 0.05 % */
	drift = (t1 - t0) * 1000000 / khz - (k1 - k0);
	assert_in_range(drift + 20000, 0, 40000);
	/* and the client reads the same clock */
	k0 = pvclock_ns(&a, guest_tsc(&a));
	k1 = get_clock(&a);
	assert_in_range(k1, k0, pvclock_ns(&a, guest_tsc(&a)));
	abi_close(&a);
}

static void test_set_clock(void **state)
{
	struct kvm_clock_data c = {.clock = 1000 * NS};
	struct abi a;
	int64_t now;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, read_tsc);
	assert_in_range(get_clock(&a), 0, 10 * NS); /* counts from the start */
	set_msr(a.vcpu, 0x4b564d01, CLOCK_PAGE | 1);
	guest_tsc(&a);
	OK(a.vm, KVM_SET_CLOCK, &c);
	now = pvclock_ns(&a, guest_tsc(&a));
	assert_in_range(now, 1000 * NS, 1001 * NS);
	c.flags = KVM_CLOCK_REALTIME;
	c.realtime = (uint64_t)(clock_of(CLOCK_REALTIME) - 50 * NS);
	OK(a.vm, KVM_SET_CLOCK, &c);
	assert_in_range(get_clock(&a), 1050 * NS, 1051 * NS);
	c.flags = 1;
	FAILS(a.vm, KVM_SET_CLOCK, &c, EINVAL);
	/* The wall clock is the time at which kvmclock was zero. */
	set_msr(a.vcpu, 0x4b564d00, WALL_PAGE);
	assert_in_range(clock_of(CLOCK_REALTIME) / NS -
				*(uint32_t *)(void *)(a.ram + WALL_PAGE + 4),
			1049, 1052);
	abi_close(&a);
}

/* The client sets the TSC; vCPUs set within a second agree exactly. */
static void test_tsc(void **state)
{
	struct kvm_run *run;
	struct abi a;
	uint64_t x;
	int other;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	other = abi_add_vcpu(&a, 1, &run);
	ABI_START(&a, a.vcpu, read_tsc);
	x = guest_tsc(&a);
	assert_true(x < 60ull * 10000000000); /* counts from the start */
	set_msr(a.vcpu, 0x10, 1ull << 40);
	set_msr(other, 0x10, 1ull << 40);
	x = guest_tsc(&a);
	assert_in_range(x, 1ull << 40, (1ull << 40) + 10000000000);
	x = get_msr(other, 0x10) - get_msr(a.vcpu, 0x10);
	assert_true((int64_t)x < 0 && (int64_t)x > -10000000);
	assert_int_equal(get_msr(a.vcpu, 0x3b), 0);
	lodge_munmap(other, run, 12288);
	lodge_close(other);
	abi_close(&a);
}

static void test_tsc_khz(void **state)
{
	struct abi a;
	int khz;

	(void)state;
	abi_open(&a, 0);
	khz = CALL(a.vcpu, KVM_GET_TSC_KHZ, 0);
	assert_true(khz > 100000);
	OK(a.vcpu, KVM_SET_TSC_KHZ, khz);
	OK(a.vcpu, KVM_SET_TSC_KHZ, khz + khz / 10000);
	FAILS(a.vcpu, KVM_SET_TSC_KHZ, INT32_MAX, EINVAL);
	OK(a.vcpu, KVM_SET_TSC_KHZ, 0);
	assert_int_equal(CALL(a.vcpu, KVM_GET_TSC_KHZ, 0), khz);
	abi_close(&a);
}

/* Guests count at the rate the client chose, kvmclock agrees with it. */
static void test_tsc_scaled(void **state)
{
	int64_t t0, t1, ns;
	int64_t n0, n1;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	FAILS(a.vm, KVM_SET_TSC_KHZ, 1000000, EINVAL); /* there is a vCPU */
	assert_int_equal(CALL(a.vm, KVM_GET_TSC_KHZ, 0),
			 CALL(a.vcpu, KVM_GET_TSC_KHZ, 0));
	abi_set_cpuid(&a, a.vcpu);
	OK(a.vcpu, KVM_SET_TSC_KHZ, 1000000);
	assert_int_equal(CALL(a.vcpu, KVM_GET_TSC_KHZ, 0), 1000000);
	set_msr(a.vcpu, 0x4b564d01, CLOCK_PAGE | 1);
	ABI_START(&a, a.vcpu, read_tsc);
	guest_tsc(&a);
	n0 = clock_of(CLOCK_MONOTONIC);
	t0 = (int64_t)guest_tsc(&a);
	usleep(50000);
	t1 = (int64_t)guest_tsc(&a);
	n1 = clock_of(CLOCK_MONOTONIC);
	/* 1 GHz: cycles are nanoseconds */
	assert_true(t1 - t0 >= 50000000);
	assert_true(t1 - t0 <= (n1 - n0) * 1001 / 1000);
	t0 = (int64_t)guest_tsc(&a);
	ns = pvclock_ns(&a, (uint64_t)t0);
	t1 = (int64_t)guest_tsc(&a);
	assert_in_range(pvclock_ns(&a, (uint64_t)t1) - ns, t1 - t0 - 1,
			t1 - t0 + 1);
	abi_close(&a);
}

/* The offset as a vCPU's attribute is what is added to the host's counter. */
static void test_tsc_offset(void **state)
{
	struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL,
				       .attr = KVM_VCPU_TSC_OFFSET};
	uint64_t offset = 0, before, after, seen;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	attr.addr = (uintptr_t)&offset;
	OK(a.vcpu, KVM_HAS_DEVICE_ATTR, &attr);
	offset = -1000000000000ull;
	OK(a.vcpu, KVM_SET_DEVICE_ATTR, &attr);
	ABI_START(&a, a.vcpu, read_tsc);
	before = __builtin_ia32_rdtsc() + offset;
	guest_tsc(&a);
	seen = guest_tsc(&a);
	after = __builtin_ia32_rdtsc() + offset;
	assert_true(seen - before <= after - before);
	offset = 0;
	OK(a.vcpu, KVM_GET_DEVICE_ATTR, &attr);
	assert_true(offset == -1000000000000ull);
	attr.attr = 7;
	FAILS(a.vcpu, KVM_HAS_DEVICE_ATTR, &attr, ENXIO);
	FAILS(a.vcpu, KVM_SET_DEVICE_ATTR, &attr, ENXIO);
	attr = (struct kvm_device_attr){.attr = KVM_VCPU_TSC_OFFSET,
					.addr = 16};
	FAILS(a.vcpu, KVM_GET_DEVICE_ATTR, &attr, EFAULT);
	abi_close(&a);
}

static void test_paused(void **state)
{
	struct pvclock p;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, read_tsc);
	FAILS(a.vcpu, KVM_KVMCLOCK_CTRL, 0, EINVAL);
	set_msr(a.vcpu, 0x4b564d01, CLOCK_PAGE | 1);
	guest_tsc(&a);
	memcpy(&p, a.ram + CLOCK_PAGE, sizeof(p));
	assert_int_equal(p.flags, 1);
	OK(a.vcpu, KVM_KVMCLOCK_CTRL, 0);
	guest_tsc(&a);
	memcpy(&p, a.ram + CLOCK_PAGE, sizeof(p));
	assert_int_equal(p.flags, 3);
	abi_close(&a);
}

static void test_steal(void **state)
{
	struct {
		uint64_t steal;
		uint32_t version, flags;
	} st;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, read_tsc);
	memset(a.ram + STEAL_PAGE, 0, 64);
	set_msr(a.vcpu, 0x4b564d03, STEAL_PAGE | 1);
	guest_tsc(&a);
	memcpy(&st, a.ram + STEAL_PAGE, sizeof(st));
	assert_true(st.version >= 2 && st.version % 2 == 0);
	assert_true(st.steal < 60ull * 1000000000);
	abi_close(&a);
}

/*
 * Self IPIs that are ended by the flag: no exit for the EOI, and the next
 * interrupt comes all the same. The handler counts real EOIs at 0x20008.
 */
ABI_GUEST(eoi_handler, "push %rax; push %rcx; push %rdx; incl 0x20000;"
		       "lock btrl $0,0x33000; jc 1f; incl 0x20008;"
		       "mov $0x80b,%ecx; xor %eax,%eax; xor %edx,%edx; wrmsr;"
		       "1: pop %rdx; pop %rcx; pop %rax; iretq");
ABI_GUEST(eoi, "mov $0x1b,%ecx; rdmsr; or $0xc00,%eax; wrmsr;"
	       "mov $0x80f,%ecx; mov $0x1ff,%eax; xor %edx,%edx; wrmsr;"
	       "mov $0x4b564d04,%ecx; mov $0x33001,%eax; wrmsr;"
	       "sti; mov $100,%ebx;"
	       "1: mov $0x83f,%ecx; mov $0x40,%eax; xor %edx,%edx; wrmsr;"
	       "dec %ebx; jnz 1b; cli; out %al,$0x99");

static void test_pv_eoi(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	memcpy(a.ram + 0x3000, abi_eoi_handler,
	       (size_t)(abi_eoi_handler_end - abi_eoi_handler));
	abi_gate(&a, 0x40, 0x3000);
	ABI_START(&a, a.vcpu, eoi);
	abi_idt(&a, a.vcpu);
	abi_run(&a, KVM_EXIT_IO);
	assert_int_equal(a.run->io.port, 0x99);
	assert_int_equal(ABI_WORD(&a, 0x20000), 100);
	assert_int_equal(ABI_WORD(&a, 0x20008), 0);
	abi_close(&a);
}

/* Hypercalls nobody offers, and what a user program gets. */
ABI_GUEST(hypercall, "mov $99,%eax; vmcall; mov %rax,%rbx; out %al,$0x99");

static void test_hypercall(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	abi_set_cpuid(&a, a.vcpu);
	ABI_START(&a, a.vcpu, hypercall);
	abi_run(&a, KVM_EXIT_IO);
	assert_true(abi_regs(a.vcpu).rbx == -1000ull);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_set_clock),
		cmocka_unit_test(test_tsc),
		cmocka_unit_test(test_tsc_khz),
		cmocka_unit_test(test_tsc_scaled),
		cmocka_unit_test(test_tsc_offset),
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_pv_eoi),
		cmocka_unit_test(test_hypercall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
