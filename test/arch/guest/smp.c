/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several processors: INIT and SIPI, interprocessor interrupts, locked
 * instructions and memory order, TLB shootdown, code changed by another
 * processor. SDM 3A "Multiple-Processor Management" (8).
 */
#include "test/arch/guest/arch.h"

#define MAX_CPUS    16
#define RUNNER_CPUS 4 /* of arch, as the build calls it */

#define APIC(reg)     (*(volatile uint32_t *)(0xfee00000UL + (reg)))
#define APIC_ID       0x20
#define APIC_EOI      0xb0
#define APIC_LDR      0xd0
#define APIC_DFR      0xe0
#define APIC_SVR      0xf0
#define APIC_ICR      0x300
#define APIC_ICR_HIGH 0x310

#define ICR_LOGICAL 0x00800
#define ICR_ASSERT  0x04000
#define ICR_NMI     0x00400
#define ICR_INIT    0x00500
#define ICR_SIPI    0x00600
#define ICR_SELF    0x40000
#define ICR_ALL     0x80000
#define ICR_OTHERS  0xc0000
#define ICR_BUSY    0x01000

#define VEC_PING  0x60
#define VEC_FLUSH 0x61

#define P  1ULL
#define RW 2ULL

#define WINDOW 0x8000000000UL
#define FRAME  0x800000UL

#define ROUNDS 20000

extern char ap_start[], ap_start_end[];
extern uint64_t boot_pml4[512];
extern char idt[];
void ap_main(unsigned int cpu);

static unsigned int cpus;
struct table_ptr ap_idt;
uint32_t ap_next;
static volatile uint32_t alive, pings[MAX_CPUS], nmis[MAX_CPUS], flushed;
static volatile uint32_t apic_ids[MAX_CPUS];
static uint64_t pdpt1[512] __attribute__((aligned(4096)));
static uint64_t pd1[512] __attribute__((aligned(4096)));
static uint64_t pt1[512] __attribute__((aligned(4096)));

/* Work handed to everybody: run job(cpu), then count up done. */
static void (*volatile job)(unsigned int cpu);
static volatile uint32_t go, done;

static unsigned int my_cpu(void)
{
	uint32_t id = APIC(APIC_ID) >> 24;

	for (unsigned int i = 0; i < cpus; i++)
		if (apic_ids[i] == id)
			return i;
	return 0;
}

static void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static void add(volatile uint32_t *p, uint32_t n)
{
	__asm__ volatile("lock addl %1, %0" : "+m"(*p) : "r"(n) : "memory");
}

/* ---- bringing processors up ---- */

static void send(uint32_t dest, uint32_t icr)
{
	while (APIC(APIC_ICR) & ICR_BUSY)
		pause();
	APIC(APIC_ICR_HIGH) = dest << 24;
	APIC(APIC_ICR) = icr;
}

static void apic_on(void)
{
	wrmsr(0x1b, rdmsr(0x1b) | 0x800);
	APIC(APIC_SVR) = 0x1ff;
}

static bool wait_for(volatile uint32_t *p, uint32_t want)
{
	uint64_t end = rdtsc() + 20000000000ULL;

	while (*p != want)
		if (rdtsc() > end)
			return false;
		else
			pause();
	return true;
}

static void delay(uint64_t cycles)
{
	uint64_t end = rdtsc() + cycles;

	while (rdtsc() < end)
		pause();
}

void ap_main(unsigned int cpu)
{
	uint32_t seen = go;

	apic_on();
	apic_ids[cpu] = APIC(APIC_ID) >> 24;
	add(&alive, 1);
	irq_on();
	for (;;) {
		while (go == seen)
			pause();
		seen = go;
		job(cpu);
		add(&done, 1);
	}
}

static void all(void (*fn)(unsigned int cpu))
{
	job = fn;
	done = 0;
	__asm__ volatile("" : : : "memory");
	go++;
	fn(0);
	add(&done, 1);
	if (!wait_for(&done, cpus))
		die("a job did not end: %d of %d", (int)done, cpus);
}

static void start_page(uint64_t page)
{
	memcpy((void *)page, ap_start, ap_start_end - ap_start);
	send(0, ICR_OTHERS | ICR_ASSERT | ICR_INIT);
	delay(1000000);
	send(0, ICR_OTHERS | ICR_ASSERT | ICR_SIPI | page >> 12);
	delay(1000000);
	send(0, ICR_OTHERS | ICR_ASSERT | ICR_SIPI | page >> 12);
}

static void start_all(void)
{
	ap_idt = (struct table_ptr){256 * 16 - 1, (reg_t)idt};
	ap_next = 1;
	start_page(0x8000);
	if (!wait_for(&alive, cpus - 1))
		die("%d of %d other processors started", (int)alive, cpus - 1);
}

static void test_start(void)
{
	bool distinct = true;

	check(alive == cpus - 1, "INIT and SIPI start %d processors",
	      (int)alive);
	delay(10000000);
	check(alive == cpus - 1, "a second SIPI does nothing: %d", (int)alive);
	for (unsigned int i = 0; i < cpus; i++)
		for (unsigned int j = 0; j < i; j++)
			distinct &= apic_ids[i] != apic_ids[j];
	check(distinct, "APIC ids differ");
}

static void test_again(void)
{
	bool good;

	alive = 0;
	ap_next = 1;
	start_page(0x9000);
	good = wait_for(&alive, cpus - 1);
	check(good,
	      "INIT stops running processors, SIPI starts them elsewhere: %d",
	      (int)alive);
}

/* ---- who they are ---- */

/* What each processor finds in its own CPUID leaves. */
static struct who {
	uint32_t first; /* initial APIC id, leaf 1 */
	uint32_t x2apic, shift[2], count[2];
} who[MAX_CPUS];

static void job_who(unsigned int cpu)
{
	struct who *w = &who[cpu];
	uint32_t r[4];

	cpuid(1, 0, r);
	w->first = r[1] >> 24;
	for (unsigned int level = 0; level < 2; level++) {
		cpuid(0xb, level, r);
		w->shift[level] = r[0] & 31;
		w->count[level] = r[1] & 0xffff;
		w->x2apic = r[3];
	}
}

/* Whether as many processors share the id's upper bits as the leaf says. */
static bool counts_fit(unsigned int level)
{
	for (unsigned int i = 0; i < cpus; i++) {
		uint32_t shift = who[i].shift[level], n = 0;

		for (unsigned int j = 0; j < cpus; j++)
			n += who[j].x2apic >> shift == who[i].x2apic >> shift;
		if (n != who[i].count[level])
			return false;
	}
	return true;
}

static void test_ids(void)
{
	bool ids = true, same = true;
	reg_t set = 0;
	uint32_t r[4];

	cpuid(0, 0, r);
	if (r[0] < 0xb) {
		skip("no leaf 0BH");
		return;
	}
	all(job_who);
	for (unsigned int i = 0; i < cpus; i++) {
		ids &= who[i].first == apic_ids[i] &&
		       who[i].x2apic == apic_ids[i];
		same &= !memcmp(who[i].shift, who[0].shift, 16);
		set |= 1ul << (apic_ids[i] & 63);
	}
	check(ids, "the APIC and leaves 1 and 0BH agree on the ids, as bits %x",
	      set);
	check(same, "all have the same levels: %d and %d bits",
	      (int)who[0].shift[0], (int)who[0].shift[1]);
	check(who[0].shift[0] <= who[0].shift[1], "levels are nested");
	check(counts_fit(0), "threads of a core: %d", (int)who[0].count[0]);
	check(counts_fit(1), "processors of a package: %d",
	      (int)who[0].count[1]);
}

/* ---- locked instructions ---- */

static volatile uint32_t counter32;
static volatile uint64_t counter64, pair[2] __attribute__((aligned(16)));
static volatile uint8_t bits[64];
static volatile uint32_t set_bits;
static uint8_t split[8192] __attribute__((aligned(4096)));

static void job_inc(unsigned int cpu)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t one = 1;

		__asm__ volatile("lock incl %0" : "+m"(counter32));
		__asm__ volatile("lock xaddq %1, %0"
				 : "+m"(counter64), "+r"(one));
	}
}

static void job_cmpxchg(unsigned int cpu)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t lo = pair[0], hi = pair[1];
		bool ok;

		do
			__asm__ volatile("lock cmpxchg16b %1; setz %0"
					 : "=q"(ok), "+m"(pair), "+a"(lo),
					   "+d"(hi)
					 : "b"(lo + 1), "c"(hi - 1)
					 : "memory");
		while (!ok);
	}
}

static void job_bits(unsigned int cpu)
{
	for (uint64_t i = cpu; i < 512; i += cpus) {
		bool was;

		__asm__ volatile("lock btsq %2, %1; setc %0"
				 : "=q"(was), "+m"(bits)
				 : "r"(i)
				 : "memory");
		if (!was)
			add(&set_bits, 1);
	}
}

/* LOCK on operands across a cache line and across a page. */
static void job_split(unsigned int cpu)
{
	volatile uint32_t *line = (void *)(split + 62);
	volatile uint64_t *page = (void *)(split + 4093);

	for (int i = 0; i < 300; i++) {
		__asm__ volatile("lock incl %0" : "+m"(*line));
		__asm__ volatile("lock incq %0" : "+m"(*page));
	}
}

static volatile uint32_t lock_word;
static uint32_t guarded;

static void job_xchg(unsigned int cpu)
{
	for (int i = 0; i < 2000; i++) {
		uint32_t v;

		do {
			v = 1;
			__asm__ volatile("xchgl %0, %1"
					 : "+r"(v), "+m"(lock_word)
					 :
					 : "memory");
			if (v)
				pause();
		} while (v);
		guarded++;
		__asm__ volatile("" : : : "memory");
		lock_word = 0;
	}
}

static void test_locked(void)
{
	all(job_inc);
	check(counter32 == cpus * ROUNDS && counter64 == cpus * ROUNDS,
	      "LOCK INC and XADD lose nothing: %d", (int)counter32);
	all(job_cmpxchg);
	check(pair[0] == cpus * ROUNDS && pair[1] + pair[0] == 0,
	      "CMPXCHG16B loses nothing: %d", (int)pair[0]);
	all(job_bits);
	check(set_bits == 512, "LOCK BTS sets each bit once: %d",
	      (int)set_bits);
	all(job_split);
	check(*(uint32_t *)(split + 62) == cpus * 300 &&
		      *(uint64_t *)(split + 4093) == cpus * 300,
	      "LOCK across lines and pages: %d %d",
	      (int)*(uint32_t *)(split + 62), (int)*(uint64_t *)(split + 4093));
	all(job_xchg);
	check(guarded == cpus * 2000, "a spin lock by XCHG: %d", (int)guarded);
}

/* ---- memory order ---- */

static volatile uint32_t data, ready, order_bad, x, y, rx[2], turn, both_zero;

/* Stores are seen in order, and loads done in order. */
static void job_message(unsigned int cpu)
{
	if (cpu == 0) {
		for (uint32_t i = 1; i <= ROUNDS; i++) {
			data = i;
			ready = i;
		}
	} else {
		uint32_t r;

		do {
			r = ready;
			if (data < r)
				order_bad++;
		} while (r < ROUNDS);
	}
}

/* Two processors meet before each round. */
static void meet(uint32_t n)
{
	add(&turn, 1);
	while (turn < n)
		pause();
}

static void job_dekker(unsigned int cpu)
{
	if (cpu > 1)
		return;
	for (uint32_t i = 0; i < 100; i++) {
		volatile uint32_t *mine = cpu ? &y : &x;
		volatile uint32_t *other = cpu ? &x : &y;

		*mine = 0;
		meet(6 * i + 2);
		*mine = 1;
		__asm__ volatile("mfence" : : : "memory");
		rx[cpu] = *other;
		meet(6 * i + 4);
		if (!cpu && !rx[0] && !rx[1])
			both_zero++;
		meet(6 * i + 6);
	}
}

static void test_order(void)
{
	all(job_message);
	check(!order_bad, "stores become visible in order");
	all(job_dekker);
	check(!both_zero, "MFENCE orders a store before a load");
}

/* ---- interprocessor interrupts ---- */

static void ping(struct trap *t)
{
	add(&pings[my_cpu()], 1);
	APIC(APIC_EOI) = 0;
}

static void nmi(struct trap *t)
{
	add(&nmis[my_cpu()], 1);
}

static bool pinged(unsigned int cpu, uint32_t n)
{
	return wait_for(&pings[cpu], n);
}

static void test_ipi(void)
{
	int rounds = 240 / (int)cpus;
	bool same = true;

	for (unsigned int i = 1; i < cpus; i++) {
		send(apic_ids[i], ICR_ASSERT | VEC_PING);
		same &= pinged(i, 1);
	}
	check(same && !pings[0], "a fixed IPI to each processor");
	for (int n = 0; n < rounds; n++) {
		send(0, ICR_OTHERS | ICR_ASSERT | VEC_PING);
		for (unsigned int i = 1; i < cpus; i++)
			same &= pinged(i, 2 + n);
	}
	check(same && !pings[0], "%d IPIs to all but oneself", rounds);
	irq_on();
	send(0, ICR_ALL | ICR_ASSERT | VEC_PING);
	same &= pinged(0, 1) && pinged(1, 2 + rounds) && pinged(2, 2 + rounds);
	check(same, "an IPI to all");
	irq_off();
	for (unsigned int i = 1; i < cpus; i++) {
		send(apic_ids[i], ICR_ASSERT | ICR_NMI);
		same &= wait_for(&nmis[i], 1);
	}
	check(same, "an NMI to each processor");
}

/* Logical flat mode: one bit each. */
static void job_ldr(unsigned int cpu)
{
	APIC(APIC_DFR) = 0xffffffff;
	APIC(APIC_LDR) = 0x01000000u << cpu;
}

static void test_logical(void)
{
	uint32_t was1 = pings[1], was2 = pings[2], was3 = pings[3];

	all(job_ldr);
	send(0x0a, ICR_ASSERT | ICR_LOGICAL | VEC_PING); /* 1 and 3 */
	check(pinged(1, was1 + 1) && pinged(3, was3 + 1) && pings[2] == was2,
	      "a logical IPI reaches the processors of its mask");
}

static volatile uint32_t halted;

static void job_hlt(unsigned int cpu)
{
	if (cpu != 1)
		return;
	irq_off();
	halted = 1;
	__asm__ volatile("sti; hlt" : : : "memory");
	halted = 2;
}

static void test_wake(void)
{
	bool woke = true;

	for (int i = 0; i < 20; i++) {
		halted = 0;
		job = job_hlt;
		done = 0;
		go++;
		woke &= wait_for(&halted, 1);
		delay(i * 100000);
		send(apic_ids[1], ICR_ASSERT | VEC_PING);
		woke &= wait_for(&halted, 2) && wait_for(&done, cpus - 1);
	}
	check(woke, "an IPI ends HLT, whenever it comes");
}

/* ---- shootdown ---- */

static volatile uint32_t stop, epoch, stale, reads;

static void flush(struct trap *t)
{
	invlpg((void *)WINDOW);
	add(&flushed, 1);
	APIC(APIC_EOI) = 0;
}

/* The frame's number may never be older than the epoch read before. */
static void job_watch(unsigned int cpu)
{
	volatile uint32_t *p = (void *)WINDOW;

	if (!cpu) {
		for (uint32_t i = 1; i <= 60; i++) {
			volatile uint32_t *f = (void *)(FRAME +
							0x1000 * (i & 7));

			*f = i;
			pt1[0] = (uint64_t)f | P | RW;
			flushed = 0;
			send(0, ICR_OTHERS | ICR_ASSERT | VEC_FLUSH);
			if (!wait_for(&flushed, cpus - 1))
				die("shootdown without an answer");
			epoch = i;
		}
		stop = 1;
		return;
	}
	while (!stop) {
		uint32_t e = epoch;

		if (*p < e)
			add(&stale, 1);
		add(&reads, 1);
	}
}

static void test_shootdown(void)
{
	pt1[0] = FRAME | P | RW;
	*(volatile uint32_t *)FRAME = 0;
	trap_hook[VEC_FLUSH] = flush;
	all(job_watch);
	check(!stale && reads, "60 TLB shootdowns, %d stale reads of %d",
	      (int)stale, (int)reads);
}

/* ---- code changed by another processor ---- */

static uint8_t *const code = (uint8_t *)(FRAME + 0x10000);
static volatile uint32_t version, code_bad;

static uint32_t run_code(void)
{
	uint32_t (*volatile f)(void) = (void *)code;

	return f();
}

/* Told of the change, serialised, then run: must be the new code. */
static void job_xmc_sync(unsigned int cpu)
{
	uint32_t seen = 0, r[4];

	if (!cpu) {
		for (uint32_t i = 1; i <= 60; i++) {
			flushed = 0;
			memcpy(code + 1, &i, 4);
			version = i;
			if (!wait_for(&flushed, cpus - 1))
				die("no answer");
		}
		return;
	}
	while (seen < 60) {
		if (version == seen) {
			pause();
			continue;
		}
		seen = version;
		cpuid(0, 0, r);
		if (run_code() != seen)
			add(&code_bad, 1);
		add(&flushed, 1);
	}
}

/* Not told: sees the old value or the new one, and the last one in the end. */
static void job_xmc_async(unsigned int cpu)
{
	uint32_t last = 0, v;

	if (!cpu) {
		for (uint32_t i = 1; i <= 5000; i++)
			*(volatile uint64_t *)code = 0xc300000000b8 |
						     (uint64_t)i << 8;
		return;
	}
	do {
		v = run_code();
		if (v < last || v > 5000)
			add(&code_bad, 1);
		last = v;
	} while (v < 5000);
}

static void test_cross_modify(void)
{
	memcpy(code, "\xb8\0\0\0\0\xc3\0\0", 8);
	all(job_xmc_sync);
	check(!code_bad,
	      "cross-modified code after a serialising "
	      "instruction: %d wrong",
	      (int)code_bad);
	memcpy(code, "\xb8\0\0\0\0\xc3\0\0", 8);
	all(job_xmc_async);
	check(!code_bad, "cross-modified code, unsynchronised: %d wrong",
	      (int)code_bad);
}

/* fw_cfg's FW_CFG_NB_CPUS, where there is one. */
static unsigned int count_cpus(void)
{
	unsigned int n;

	if (!mb_boot)
		return RUNNER_CPUS;
	outw(0x510, 5);
	n = inb(0x511);
	n |= (unsigned int)inb(0x511) << 8;
	if (n < 2 || n > MAX_CPUS)
		die("%d processors; 2 to %d are what this can do", n, MAX_CPUS);
	return n;
}

void setup(void)
{
	cpus = count_cpus();
	boot_pml4[1] = (uint64_t)pdpt1 | P | RW;
	pdpt1[0] = (uint64_t)pd1 | P | RW;
	pd1[0] = (uint64_t)pt1 | P | RW;
	trap_hook[VEC_PING] = ping;
	trap_hook[2] = nmi;
	apic_on();
	apic_ids[0] = APIC(APIC_ID) >> 24;
	start_all();
}

const struct test tests[] = {
	{"start", test_start,
	 "SDM 3A \"MP Initialization Protocol Algorithm for MP Systems\": INIT "
	 "and SIPI"},
	{"ids", test_ids,
	 "SDM 3A \"Hierarchical ID of Logical Processors in an MP System\", "
	 "\"Hierarchical Mapping of CPUID Extended Topology Leaf\"",
	 NEEDS_BOARD},
	{"again", test_again,
	 "SDM 3A \"Local APIC State After an INIT Reset (Wait-for-SIPI "
	 "State)\""},
	{"locked", test_locked, "SDM 3A \"Software Controlled Bus Locking\""},
	{"order", test_order,
	 "SDM 3A \"Memory Ordering in P6 and More Recent Processor Families\""},
	{"ipi", test_ipi, "SDM 3A \"Interrupt Command Register (ICR)\""},
	{"logical", test_logical, "SDM 3A \"Logical Destination Mode\""},
	{"wake", test_wake, "SDM 3A \"HLT Instruction\""},
	{"shootdown", test_shootdown,
	 "SDM 3A \"Propagation of Paging-Structure Changes to Multiple "
	 "Processors\""},
	{"cross-modify", test_cross_modify,
	 "SDM 3A \"Handling Self- and Cross-Modifying Code\""},
	{NULL},
};
