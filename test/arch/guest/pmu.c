/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Performance counters of either vendor: what they count, where, how they
 * overflow, which values their registers refuse. Events that any processor
 * with counters has: instructions and branches retired. SDM 3B "Performance
 * Monitoring", APM 2 "Performance Monitoring Counters".
 */
#include "test/arch/guest/arch.h"

#define APIC(reg) (*(volatile uint32_t *)(0xfee00000UL + (reg)))
#define APIC_EOI  0xb0
#define APIC_SVR  0xf0
#define APIC_LVTP 0x340
#define LVT_MASK  0x10000
#define VEC_PMI   0x61

#define SEL_USR   (1UL << 16)
#define SEL_OS    (1UL << 17)
#define SEL_INT   (1UL << 20)
#define SEL_EN    (1UL << 22)
#define ANYTHREAD (1UL << 21)

#define MSR_DEBUGCTL   0x1d9
#define MSR_FIXED_CTR0 0x309
#define MSR_PERF_CAP   0x345
#define MSR_FIXED_CTRL 0x38d
#define MSR_FULL0      0x4c1

#define FREEZE (1UL << 12) /* DEBUGCTL */
#define FROZEN (1UL << 59) /* the global status, from version 4 on */

#define WIDTH   (~0UL >> 16) /* of the counters of either vendor */
#define CR4_PCE (1UL << 8)

#define USER    0x10000000000UL
#define USER_PA 0xc00000UL

enum event { INSN, BRANCH };

/* One vendor's registers; the global ones are 0 where there are none. */
struct unit {
	uint32_t sel, ctr, step;
	uint32_t status, ctl, clear, set;
	uint16_t event[2];
};

static const struct unit intel = {0x186, 0xc1,  1,     0x38e,
				  0x38f, 0x390, 0x391, {0xc0, 0xc4}};
static const struct unit amd = {0xc0010200, 0xc0010201,  2,
				0xc0000300, 0xc0000301,  0xc0000302,
				0xc0000303, {0xc0, 0xc2}};

static struct unit unit;
static unsigned int version, counters;
static bool is_amd;

extern uint64_t boot_pml4[512];
static uint64_t pdpt2[512] __attribute__((aligned(4096)));
static uint64_t pd2[512] __attribute__((aligned(4096)));

/* ---- code to be counted ---- */

#define NOPS 200

void code_nothing(reg_t a, reg_t b);
void code_nops(reg_t a, reg_t b);
void code_loop(reg_t turns, reg_t b); /* two instructions a turn */
extern const char code_user[], code_user_end[];
__asm__("code_nothing: ret\n"
	"code_nops: .rept 200; nop; .endr; ret\n"
	"code_loop: 1: dec %rdi; jnz 1b; ret\n"
	"code_user: test %rdi, %rdi; jz 2f\n"
	"1: dec %rdi; jnz 1b\n"
	"2: int $0x81\n"
	"code_user_end:");

static void run_user(reg_t turns, reg_t b)
{
	user_call(USER, USER + 0x2000, turns, 0);
}

/* ---- the unit ---- */

static void find_intel(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
	if (r[0] < 10)
		return;
	cpuid(10, 0, r);
	version = r[0] & 0xff;
	counters = version ? r[0] >> 8 & 0xff : 0;
	if (version < 2)
		unit.status = unit.ctl = unit.clear = 0;
	if (version < 4)
		unit.set = 0;
}

static void find_amd(void)
{
	uint32_t r[4];

	cpuid(0x80000000, 0, r);
	if (r[0] >= 0x80000022) {
		cpuid(0x80000022, 0, r);
		version = r[0] & 1 ? 2 : 0;
		counters = r[1] & 15;
	}
	cpuid(0x80000001, 0, r);
	if (!version && r[2] >> 23 & 1) {
		version = 1;
		counters = 6;
	}
	if (version < 2)
		unit.status = unit.ctl = unit.clear = unit.set = 0;
}

static bool find(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
	is_amd = r[1] == 0x68747541; /* "Auth" */
	unit = is_amd ? amd : intel;
	version = counters = 0;
	if (is_amd)
		find_amd();
	else
		find_intel();
	if (!counters)
		skip("the processor enumerates no counters");
	return counters;
}

/* Counter 0 counts @event where @where says, from @from on. */
static void start(enum event event, uint64_t where, uint64_t from)
{
	wrmsr(unit.sel, 0);
	wrmsr(unit.ctr, from);
	if (unit.ctl)
		wrmsr(unit.ctl, 1);
	wrmsr(unit.sel, unit.event[event] | where | SEL_EN);
}

static uint64_t stop(void)
{
	wrmsr(unit.sel, 0);
	return rdmsr(unit.ctr);
}

typedef void code_fn(reg_t a, reg_t b);

static uint64_t count_at(enum event event, uint64_t where, code_fn *fn, reg_t a)
{
	start(event, where, 0);
	fn(a, 0);
	return stop();
}

/* Of @fn by itself. */
static uint64_t count(enum event event, code_fn *fn, reg_t a)
{
	return count_at(event, SEL_OS, fn, a) -
	       count_at(event, SEL_OS, code_nothing, a);
}

/* ---- what is counted ---- */

static void test_instructions(void)
{
	uint64_t n;

	if (!find())
		return;
	n = count(INSN, code_nops, 0);
	check(n == NOPS, "%d NOPs are %d instructions", NOPS, (int)n);
	n = count(INSN, code_loop, 1000);
	check(n == 2000, "a loop of 1000 turns has %d", (int)n);
	check(rdmsr(unit.ctr) == rdmsr(unit.ctr), "and none that is off");
}

static void test_branches(void)
{
	uint64_t n;

	if (!find())
		return;
	n = count(BRANCH, code_nops, 0);
	check(!n, "NOPs are no branches: %d", (int)n);
	n = count(BRANCH, code_loop, 1000);
	check(n == 1000, "taken or not, a loop of 1000 turns has %d", (int)n);
}

static void test_privilege(void)
{
	uint64_t few, many;

	if (!find())
		return;
	memcpy((void *)USER_PA, code_user, (size_t)(code_user_end - code_user));
	few = count_at(INSN, SEL_USR, code_loop, 1000);
	check(!few, "USR leaves CPL 0 out: %d", (int)few);
	many = count_at(INSN, SEL_USR, run_user, 1000);
	check(many == 2003, "and counts CPL 3: %d of 2003", (int)many);
	few = count_at(INSN, SEL_OS, run_user, 0);
	many = count_at(INSN, SEL_OS, run_user, 1000);
	check(few && few == many, "OS leaves CPL 3 out: %d, %d", (int)few,
	      (int)many);
	few = count_at(INSN, 0, run_user, 1000);
	check(!few, "neither counts nothing: %d", (int)few);
}

/* ---- overflow ---- */

static volatile unsigned int hits;
static volatile reg_t hit_ip;
static volatile uint32_t hit_lvt;

static void pmi(struct trap *t)
{
	hits++;
	hit_ip = t->ip;
	hit_lvt = APIC(APIC_LVTP);
	wrmsr(unit.sel, 0);
	APIC(APIC_EOI) = 0;
}

static void test_overflow(void)
{
	reg_t first = (reg_t)code_nops;

	if (!find())
		return;
	hits = 0;
	APIC(APIC_LVTP) = VEC_PMI;
	irq_on();
	start(INSN, SEL_OS | SEL_INT, -(uint64_t)(NOPS / 2) & WIDTH);
	code_nops(0, 0);
	stop();
	irq_off();
	check(hits == 1, "one interrupt from an overflow: %d", (int)hits);
	check(hit_ip > first && hit_ip <= first + NOPS,
	      "behind the instruction, at %x from the start", hit_ip - first);
	check(!!(hit_lvt & LVT_MASK) == !is_amd,
	      is_amd ? "which leaves the LVT entry as it is"
		     : "which masks the LVT entry");
	APIC(APIC_LVTP) = LVT_MASK;
}

/* Without SEL_INT the register tells. */
static void test_status(void)
{
	uint64_t left;

	if (!find())
		return;
	if (!unit.status) {
		skip("no global status");
		return;
	}
	wrmsr(unit.clear, 1);
	check(!(rdmsr(unit.status) & 1), "no overflow before");
	start(INSN, SEL_OS, -(uint64_t)(NOPS / 2) & WIDTH);
	code_nops(0, 0);
	left = stop();
	check(rdmsr(unit.status) & 1, "its bit after");
	check(left && left < NOPS, "the counter went on: %x", left);
	wrmsr(unit.clear, 1);
	check(!(rdmsr(unit.status) & 1), "cleared by 1");
	start(INSN, SEL_OS, 0);
	wrmsr(unit.ctl, 0);
	left = rdmsr(unit.ctr);
	code_nops(0, 0);
	check(stop() == left, "a counter that is off globally stands still");
}

static void test_status_set(void)
{
	const struct unit *all = &intel;
	uint64_t bits;

	if (!find())
		return;
	if (is_amd)
		all = &amd;
	if (!unit.set) {
		check(try_call(wrmsr, all->set, 1) == 13 && !caught.error,
		      "no such register: WRMSR is #GP(0)");
		return;
	}
	bits = (1UL << counters) - 1;
	wrmsr(unit.set, bits);
	check((rdmsr(unit.status) & bits) == bits, "1 sets a counter's bit");
	check(!rdmsr(unit.set), "and the register reads as 0");
	wrmsr(unit.clear, bits);
	check(!(rdmsr(unit.status) & bits), "they can be cleared");
}

/* With the interrupt all counters stop, until the handler is done with them. */
static void test_freeze(void)
{
	uint64_t left;

	if (!find())
		return;
	if (is_amd || version < 2) {
		skip("of Intel's processors, from version 2 on");
		return;
	}
	wrmsr(MSR_DEBUGCTL, FREEZE);
	start(INSN, SEL_OS | SEL_INT, -(uint64_t)(NOPS / 2) & WIDTH);
	code_nops(0, 0);
	left = rdmsr(unit.ctr);
	code_nops(0, 0);
	check(left < NOPS / 2 && rdmsr(unit.ctr) == left,
	      "behind an overflow nothing is counted: %x", left);
	check(rdmsr(unit.status) & 1, "which the status tells");
	if (version < 4) {
		check(!rdmsr(unit.ctl), "all are off globally");
		wrmsr(unit.clear, 1);
		wrmsr(unit.ctl, 1);
	} else {
		check(rdmsr(unit.ctl) == 1, "the global control stays");
		check(rdmsr(unit.status) & FROZEN, "the status says frozen");
		wrmsr(unit.clear, FROZEN | 1);
	}
	code_nops(0, 0);
	check(stop() >= left + NOPS, "and it goes on when that is cleared");
	wrmsr(MSR_DEBUGCTL, 0);
	check(!rdmsr(MSR_DEBUGCTL), "freezing can be switched off");
}

/* ---- registers ---- */

static reg_t pmc_read(reg_t index, reg_t unused)
{
	uint32_t lo, hi;

	__asm__ volatile("rdpmc" : "=a"(lo), "=d"(hi) : "c"(index));
	return (reg_t)hi << 32 | lo;
}

static void test_rdpmc(void)
{
	static const uint8_t code[] = {0x31, 0xc9, 0x0f, 0x33, 0xcd, 0x81};

	if (!find())
		return;
	memcpy((void *)USER_PA, code, sizeof(code));
	wrmsr(unit.ctr, 0x1234);
	check(pmc_read(0, 0) == 0x1234, "RDPMC reads a counter");
	check(try_call(pmc_read, counters, 0) == 13 && !caught.error,
	      "one that is not there is #GP(0)");
	write_cr4(read_cr4() & ~CR4_PCE);
	check(user_call(USER, USER + 0x2000, 0, 0) == 13 && !caught.error &&
		      caught.ip == USER + 2,
	      "at CPL 3 without CR4.PCE, too");
	write_cr4(read_cr4() | CR4_PCE);
	check(user_call(USER, USER + 0x2000, 0, 0) == USER_RETURN &&
		      caught.ax == 0x1234,
	      "with it, it reads");
	write_cr4(read_cr4() & ~CR4_PCE);
}

static bool refused(uint32_t msr, uint64_t v)
{
	return try_call(wrmsr, msr, v) == 13 && !caught.error;
}

static void test_reserved(void)
{
	uint32_t r[4];

	if (!find())
		return;
	check(refused(unit.sel + counters * unit.step, 0),
	      "the event select behind the last is #GP(0)");
	if (is_amd) {
		wrmsr(unit.ctr, ~0UL);
		check(rdmsr(unit.ctr) == WIDTH, "a counter has 48 bits");
		return;
	}
	check(refused(unit.sel, 1UL << 32), "bits 63:32 of an event select");
	cpuid(10, 0, r);
	if (r[3] >> 15 & 1)
		check(refused(unit.sel, ANYTHREAD), "AnyThread, where it is "
						    "deprecated");
	if (unit.ctl)
		check(refused(unit.ctl, 1UL << 31),
		      "a counter that is not there, globally");
	if (unit.status)
		check(refused(unit.status, 0), "the status is read-only");
}

static void test_width(void)
{
	uint32_t r[4];

	if (!find())
		return;
	if (is_amd) {
		skip("of Intel's processors");
		return;
	}
	wrmsr(unit.ctr, 0x80000000);
	check(rdmsr(unit.ctr) == (0xffffffff80000000 & WIDTH),
	      "bit 31 of a write is extended");
	wrmsr(unit.ctr, 0x1200000034);
	check(rdmsr(unit.ctr) == 0x34, "and the upper half is not written");
	cpuid(1, 0, r);
	if (!(r[2] >> 15 & 1) || !(rdmsr(MSR_PERF_CAP) >> 13 & 1)) {
		skip("no writes of full width");
		return;
	}
	wrmsr(MSR_FULL0, 0x1200000034);
	check(rdmsr(unit.ctr) == 0x1200000034, "by the other name it is");
	check(refused(MSR_FULL0, WIDTH + 1), "which refuses more");
}

static void test_fixed(void)
{
	uint64_t from, n;

	if (!find())
		return;
	if (is_amd || version < 2) {
		skip("no fixed counters");
		return;
	}
	check(refused(MSR_FIXED_CTRL, 4), "AnyThread of a fixed counter");
	wrmsr(unit.ctl, 1UL << 32);
	wrmsr(MSR_FIXED_CTRL, 1);
	from = rdmsr(MSR_FIXED_CTR0);
	code_loop(1000, 0);
	n = rdmsr(MSR_FIXED_CTR0) - from;
	wrmsr(MSR_FIXED_CTRL, 0);
	check(n >= 2000 && n < 2100, "the first counts instructions: %d",
	      (int)n);
	wrmsr(MSR_FIXED_CTRL, 2);
	from = rdmsr(MSR_FIXED_CTR0);
	code_loop(1000, 0);
	check(rdmsr(MSR_FIXED_CTR0) == from, "at CPL 3 only, if told so");
	wrmsr(MSR_FIXED_CTRL, 0);
}

void setup(void)
{
	boot_pml4[2] = (uint64_t)pdpt2 | 7;
	pdpt2[0] = (uint64_t)pd2 | 7;
	pd2[0] = USER_PA | 0x87;
	wrmsr(0x1b, rdmsr(0x1b) | 0x800);
	APIC(APIC_SVR) = 0x1ff;
	trap_hook[VEC_PMI] = pmi;
}

const struct test tests[] = {
	{"instructions", test_instructions,
	 "SDM 3B \"Pre-defined Architectural Performance Events\": "
	 "instructions retired"},
	{"branches", test_branches,
	 "SDM 3B \"Pre-defined Architectural Performance Events\": branch "
	 "instructions retired"},
	{"privilege", test_privilege,
	 "SDM 3B \"Architectural Performance Monitoring Version 1\": USR and "
	 "OS flags"},
	{"overflow", test_overflow,
	 "SDM 3B \"Generating an Interrupt on Overflow\", SDM 3A \"Local "
	 "Vector "
	 "Table\""},
	{"status", test_status,
	 "SDM 3B \"Architectural Performance Monitoring Version 2\", APM 2 "
	 "\"Performance Monitoring Counters\": global registers"},
	{"status-set", test_status_set,
	 "SDM 3B \"Architectural Performance Monitoring Version 4\", APM 2 "
	 "\"PerfCntrGlobalStatusSet\""},
	{"freeze", test_freeze,
	 "SDM 3B \"Freezing LBR and Performance Counters on PMI\""},
	{"rdpmc", test_rdpmc, "SDM 2 \"RDPMC\""},
	{"reserved", test_reserved,
	 "SDM 3B \"Architectural Performance Monitoring\": reserved fields"},
	{"width", test_width,
	 "SDM 3B \"Full-Width Writes to Performance Counter Registers\""},
	{"fixed", test_fixed, "SDM 3B \"Fixed-Function Performance Counters\""},
	{NULL},
};
