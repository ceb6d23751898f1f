/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks against each other: TSC, 8254, local APIC timer in its three modes,
 * kvmclock; interrupts through the 8259 and the I/O APIC. Bounds are wide,
 * since the host may be busy: what must not happen is too early, never, or
 * twice.
 */
#include "test/arch/guest/arch.h"

#define APIC(reg)  (*(volatile uint32_t *)(0xfee00000UL + (reg)))
#define APIC_EOI   0xb0
#define APIC_SVR   0xf0
#define APIC_LVTT  0x320
#define APIC_LINT0 0x350
#define APIC_INIT  0x380
#define APIC_COUNT 0x390
#define APIC_DIV   0x3e0
#define LVT_MASK   0x10000
#define LVT_PERIOD 0x20000
#define LVT_TSC    0x40000

#define MSR_TSC          0x10
#define MSR_TSC_ADJUST   0x3b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_KVMCLOCK     0x4b564d01

#define IOAPIC(n) (*(volatile uint32_t *)(0xfec00000UL + (n)))

#define VEC_TIMER 0x70
#define VEC_PIC   0x30
#define VEC_PIN2  0x75

#define PIT_HZ 1193182ULL

static volatile uint32_t ticks, pit_ticks, pin_ticks;
static volatile uint64_t last_tick;
static uint64_t tsc_hz;

static void on_timer(struct trap *t)
{
	ticks++;
	last_tick = rdtsc();
	APIC(APIC_EOI) = 0;
}

static void on_pit(struct trap *t)
{
	pit_ticks++;
	outb(0x20, 0x20);
}

static void on_pin(struct trap *t)
{
	pin_ticks++;
	APIC(APIC_EOI) = 0;
}

static bool wait_ticks(volatile uint32_t *p, uint32_t n)
{
	uint64_t end = rdtsc() + 5 * tsc_hz;

	while (*p < n)
		if (rdtsc() > end)
			return false;
		else
			__asm__ volatile("sti; hlt; cli" : : : "memory");
	return true;
}

static void spin(uint64_t cycles)
{
	uint64_t end = rdtsc() + cycles;

	while (rdtsc() < end)
		__asm__ volatile("pause");
}

/* ---- TSC and 8254 ---- */

static uint16_t pit_read(void)
{
	uint8_t lo;

	outb(0x43, 0x80); /* latch channel 2 */
	lo = inb(0x42);
	return lo | inb(0x42) << 8;
}

/*
 * TSC cycles while channel 2 counts @count down, as operating systems do;
 * never too few, so that the least of several is right on a busy host.
 */
static uint64_t pit_interval(uint16_t count)
{
	uint64_t t0, t1;

	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0); /* channel 2, mode 0 */
	outb(0x42, count);
	t0 = rdtsc();
	outb(0x42, count >> 8);
	while (!(inb(0x61) & 0x20))
		;
	t1 = rdtsc();
	return t1 - t0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t least_interval(uint16_t count)
{
	uint64_t best = ~0ULL;

	for (int i = 0; i < 5; i++)
		best = least(best, pit_interval(count));
	return best;
}

/* Whether the second is twice the first. */
static bool alike(uint64_t one, uint64_t two)
{
	return two > 2 * one * 95 / 100 && two < 2 * one * 110 / 100;
}

static void test_tsc(void)
{
	uint64_t last = rdtsc(), back = 0, best, cycles;

	for (int i = 0; i < 200000; i++) {
		uint64_t now = rdtsc();

		back += now < last;
		last = now;
	}
	check(!back, "the TSC never goes back");
	best = least_interval(11932); /* 10 ms */
	tsc_hz = best * 100;
	check(tsc_hz > 200000000 && tsc_hz < 20000000000ULL,
	      "TSC by the 8254: %d MHz", (int)(tsc_hz / 1000000));
	cycles = least_interval(23864); /* 20 ms */
	/* a busy host may have stretched all of them */
	for (int i = 0; i < 20 && !alike(best, cycles); i++) {
		best = least(best, least_interval(11932));
		cycles = least(cycles, least_interval(23864));
	}
	check(alike(best, cycles),
	      "twice the count takes twice as long: %d of 1000",
	      (int)(cycles * 500 / best));
}

static void test_pit_count(void)
{
	uint16_t a, b;

	outb(0x61, inb(0x61) | 1);
	outb(0x43, 0xb4); /* mode 2 */
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	a = pit_read();
	spin(tsc_hz / 1000);
	b = pit_read();
	check((uint16_t)(a - b) >= 1190, "channel 2 counts down: %d in 1 ms",
	      (int)(uint16_t)(a - b));
}

static void test_tsc_write(void)
{
	uint64_t before = rdtsc(), after;

	wrmsr(MSR_TSC, before + (1ULL << 40));
	after = rdtsc();
	check(after - before >= 1ULL << 40 &&
		      after - before < (1ULL << 40) + tsc_hz,
	      "the TSC can be written");
	wrmsr(MSR_TSC, rdtsc() - (1ULL << 40));
	wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) + 12345678900ULL);
	after = rdtsc();
	check(after - before >= 12345678900ULL &&
		      after - before < 12345678900ULL + tsc_hz * 2,
	      "and moved by TSC_ADJUST");
}

/* ---- 8259 and I/O APIC ---- */

static void pit_periodic(uint16_t count)
{
	outb(0x43, 0x34); /* channel 0, mode 2 */
	outb(0x40, count);
	outb(0x40, count >> 8);
}

static void test_pit_irq(void)
{
	uint64_t t0;
	bool good;

	pic_program(VEC_PIC, 0xffff);
	trap_hook[VEC_PIC] = on_pit;
	APIC(APIC_LINT0) = 0x700; /* ExtINT */
	pit_periodic(11932);
	outb(0x21, 0xfe);
	t0 = rdtsc();
	good = wait_ticks(&pit_ticks, 20);
	t0 = rdtsc() - t0;
	check(good, "20 interrupts of the 8254 through the 8259");
	check(t0 > tsc_hz * 17 / 100 && t0 < tsc_hz,
	      "20 periods of 10 ms take %d ms", (int)(t0 / (tsc_hz / 1000)));
	outb(0x21, 0xff);
	pit_ticks = 0;
	irq_on();
	spin(tsc_hz / 20);
	irq_off();
	check(pit_ticks <= 1, "none while masked: %d", (int)pit_ticks);
}

static void ioapic_write(unsigned int reg, uint32_t v)
{
	IOAPIC(0) = reg;
	IOAPIC(0x10) = v;
}

static void test_ioapic(void)
{
	bool good;

	APIC(APIC_LINT0) = 0x10700;
	pit_periodic(11932);
	trap_hook[VEC_PIN2] = on_pin;
	IOAPIC(0) = 1;
	check((IOAPIC(0x10) >> 16 & 0xff) == 23, "the I/O APIC has 24 pins");
	/* KVM's own routing has IRQ 0 at pin 0, boards have it at pin 2 */
	for (unsigned int pin = 0; pin <= 2; pin += 2) {
		ioapic_write(0x11 + 2 * pin, (APIC(0x20) >> 24) << 24);
		ioapic_write(0x10 + 2 * pin, VEC_PIN2);
	}
	good = wait_ticks(&pin_ticks, 10);
	check(good, "10 interrupts of the 8254 through the I/O APIC");
	ioapic_write(0x10, 0x10000 | VEC_PIN2);
	ioapic_write(0x14, 0x10000 | VEC_PIN2);
	pit_periodic(0);
}

/* ---- local APIC timer ---- */

static uint64_t apic_hz;

/* Counts of the timer in 2 ms; the least of several, as for the TSC. */
static uint32_t apic_count(uint32_t divider)
{
	uint32_t best = ~0u;

	APIC(APIC_DIV) = divider;
	APIC(APIC_LVTT) = LVT_MASK | VEC_TIMER;
	for (int i = 0; i < 20; i++) {
		APIC(APIC_INIT) = 0xffffffff;
		pit_interval(2386);
		best = least(best, 0xffffffff - APIC(APIC_COUNT));
	}
	APIC(APIC_INIT) = 0;
	APIC(APIC_DIV) = 0xb; /* by 1 */
	return best;
}

static void test_apic_rate(void)
{
	uint64_t by16 = apic_count(3) * 8000ULL;

	check(apic_hz > 10000000, "local APIC timer: %d MHz",
	      (int)(apic_hz / 1000000));
	check(by16 > apic_hz / 2 && by16 < apic_hz * 2, "divided by 16: %d MHz",
	      (int)(by16 / 1000000));
}

static void test_one_shot(void)
{
	uint64_t t0;
	bool good;

	ticks = 0;
	APIC(APIC_LVTT) = VEC_TIMER;
	t0 = rdtsc();
	APIC(APIC_INIT) = apic_hz / 50; /* 20 ms */
	good = wait_ticks(&ticks, 1);
	check(good && last_tick - t0 > tsc_hz * 17 / 1000,
	      "one-shot of 20 ms after %d us",
	      (int)((last_tick - t0) / (tsc_hz / 1000000)));
	irq_on();
	spin(tsc_hz / 20);
	irq_off();
	check(ticks == 1 && APIC(APIC_COUNT) == 0, "only once");
	APIC(APIC_INIT) = apic_hz / 50;
	APIC(APIC_INIT) = 0;
	irq_on();
	spin(tsc_hz / 20);
	irq_off();
	check(ticks == 1, "not when stopped by 0");
}

static void test_periodic(void)
{
	uint64_t t0;
	bool good;

	ticks = 0;
	APIC(APIC_LVTT) = LVT_PERIOD | VEC_TIMER;
	t0 = rdtsc();
	APIC(APIC_INIT) = apic_hz / 200;
	good = wait_ticks(&ticks, 20);
	check(good && last_tick - t0 > tsc_hz * 85 / 1000 &&
		      last_tick - t0 < tsc_hz,
	      "20 periods of 5 ms take %d ms",
	      (int)((last_tick - t0) / (tsc_hz / 1000)));
	APIC(APIC_LVTT) = LVT_MASK | LVT_PERIOD | VEC_TIMER;
	ticks = 0;
	irq_on();
	spin(tsc_hz / 20);
	irq_off();
	check(ticks <= 1, "none while masked: %d", (int)ticks);
	APIC(APIC_INIT) = 0;
}

static void test_deadline(void)
{
	uint32_t r[4];
	uint64_t when;
	bool good;

	cpuid(1, 0, r);
	if (!(r[2] >> 24 & 1)) {
		skip("the processor has no TSC deadline");
		return;
	}
	ticks = 0;
	APIC(APIC_LVTT) = LVT_TSC | VEC_TIMER;
	when = rdtsc() + tsc_hz / 50;
	wrmsr(MSR_TSC_DEADLINE, when);
	check(rdmsr(MSR_TSC_DEADLINE) == when, "the deadline reads back");
	good = wait_ticks(&ticks, 1);
	check(good && last_tick >= when, "never before the deadline");
	check(rdmsr(MSR_TSC_DEADLINE) == 0, "which then reads 0");
	wrmsr(MSR_TSC_DEADLINE, 1);
	good = wait_ticks(&ticks, 2);
	check(good, "a deadline in the past fires at once");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_hz / 50);
	wrmsr(MSR_TSC_DEADLINE, 0);
	irq_on();
	spin(tsc_hz / 20);
	irq_off();
	check(ticks == 2, "0 disarms it");
	APIC(APIC_LVTT) = LVT_MASK | VEC_TIMER;
}

/* A busy guest is interrupted, not only a halted one. */
static void test_busy(void)
{
	uint64_t end;

	ticks = 0;
	APIC(APIC_LVTT) = VEC_TIMER;
	APIC(APIC_INIT) = apic_hz / 100;
	end = rdtsc() + 2 * tsc_hz;
	irq_on();
	while (!ticks && rdtsc() < end)
		;
	irq_off();
	check(ticks == 1, "a loop without exits is interrupted");
	ticks = 0;
	APIC(APIC_INIT) = apic_hz / 100;
	__asm__ volatile("sti; 1: cmpl $0, %0; je 1b; cli" : : "m"(ticks));
	check(ticks == 1, "even one of two instructions");
}

/* What the other tests measure with: short, so that some are not disturbed. */
static void calibrate(void)
{
	uint64_t best = ~0ULL;

	for (int i = 0; i < 40; i++)
		best = least(best, pit_interval(2386)); /* 2 ms */
	tsc_hz = best * 500;
	apic_hz = apic_count(0xb) * 500ULL;
}

/* ---- kvmclock ---- */

static struct {
	uint32_t version, pad;
	uint64_t tsc, ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
} volatile clock __attribute__((aligned(64)));

static uint64_t clock_read(void)
{
	uint64_t d, ns;
	uint32_t v;

	do {
		v = clock.version;
		d = rdtsc() - clock.tsc;
		d = clock.shift < 0 ? d >> -clock.shift : d << clock.shift;
		ns = clock.ns +
		     (uint64_t)((unsigned __int128)d * clock.mul >> 32);
	} while (v & 1 || v != clock.version);
	return ns;
}

static void test_kvmclock(void)
{
	uint64_t t0, t1, c0, cycles, back = 0, last;
	uint32_t r[4];

	cpuid(0x40000001, 0, r);
	if (!(r[0] & 8)) {
		skip("the hypervisor has no kvmclock");
		return;
	}
	wrmsr(MSR_KVMCLOCK, (reg_t)&clock | 1);
	check(clock.version && !(clock.version & 1) && clock.mul,
	      "kvmclock is filled in");
	c0 = rdtsc();
	t0 = clock_read();
	for (int i = 0; i < 10; i++)
		pit_interval(11932);
	t1 = clock_read() - t0;
	cycles = rdtsc() - c0;
	/* more of all three on a busy host */
	check(t1 > 99000000, "100 ms of the 8254 are %d us of kvmclock",
	      (int)(t1 / 1000));
	t0 = cycles * 1000 / (tsc_hz / 1000000);
	check(t1 > t0 / 10 * 9 && t1 < t0 / 10 * 11, "and %d us of the TSC",
	      (int)(t0 / 1000));
	last = clock_read();
	for (int i = 0; i < 100000; i++) {
		t1 = clock_read();
		back += t1 < last;
		last = t1;
	}
	check(!back, "kvmclock never goes back");
	wrmsr(MSR_KVMCLOCK, 0);
}

void setup(void)
{
	wrmsr(0x1b, rdmsr(0x1b) | 0x800);
	APIC(APIC_SVR) = 0x1ff;
	trap_hook[VEC_TIMER] = on_timer;
	calibrate();
}

const struct test tests[] = {
	{"tsc", test_tsc,
	 "SDM 3B \"Time-Stamp Counter\": monotonic, at a constant rate"},
	{"pit-count", test_pit_count,
	 "8254 \"Mode Definitions\": mode 2, counter latch command"},
	{"pit-irq", test_pit_irq,
	 "8254 \"Mode Definitions\", 8259A \"Interrupt Masks\""},
	{"ioapic", test_ioapic,
	 "82093AA \"IOREDTBL[23:0] - I/O Redirection Table Registers\""},
	{"apic-rate", test_apic_rate,
	 "SDM 3A \"APIC Timer\": the divide configuration register"},
	{"one-shot", test_one_shot, "SDM 3A \"APIC Timer\": one-shot mode"},
	{"periodic", test_periodic, "SDM 3A \"APIC Timer\": periodic mode"},
	{"deadline", test_deadline, "SDM 3A \"TSC-Deadline Mode\""},
	{"busy", test_busy,
	 "SDM 3A \"Program or Task Restart\": interrupts come between any two "
	 "instructions"},
	{"kvmclock", test_kvmclock,
	 "KVM \"KVM-specific MSRs\": MSR_KVM_SYSTEM_TIME_NEW"},
	{"tsc-write", test_tsc_write,
	 "SDM 3B \"Time-Stamp Counter Adjustment\""},
	{NULL},
};
