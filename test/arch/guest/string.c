/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String instructions of 64-bit mode: sizes, directions, counts, what a
 * fault leaves in the registers, address size and segment overrides,
 * interrupts on the way. SDM 1 "String Operations", SDM 2
 * "REP/REPE/REPZ/REPNE/REPNZ - Repeat String Operation Prefix".
 */
#include "test/arch/guest/arch.h"

#define P  1ULL
#define RW 2ULL

#define WINDOW 0x8000000000UL /* two pages, the second at will */
#define FRAME  0x800000UL
#define SRC    0xa00000UL
#define DST    0xb00000UL

#define APIC(reg)  (*(volatile uint32_t *)(0xfee00000UL + (reg)))
#define APIC_EOI   0xb0
#define APIC_SVR   0xf0
#define APIC_LVTT  0x320
#define APIC_INIT  0x380
#define APIC_DIV   0x3e0
#define LVT_PERIOD 0x20000
#define VEC_TIMER  0x70

#define MSR_FS_BASE 0xc0000100
#define FLAG_DF     0x400

extern uint64_t boot_pml4[512];
static uint64_t pdpt1[512] __attribute__((aligned(4096)));
static uint64_t pd1[512] __attribute__((aligned(4096)));
static uint64_t pt1[512] __attribute__((aligned(4096)));

struct regs {
	reg_t c, s, d, a;
};

/* @insn with these registers, and what it leaves; cld behind it. */
#define RUN(insn, r)                                                 \
	__asm__ volatile(insn "; cld"                                \
			 : "+c"((r)->c), "+S"((r)->s), "+D"((r)->d), \
			   "+a"((r)->a)                              \
			 :                                           \
			 : "memory", "cc")

static void fill(reg_t at, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		((volatile uint8_t *)at)[i] = (uint8_t)(i * 7 + i / 256);
}

static bool same(reg_t a, reg_t b, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (((volatile uint8_t *)a)[i] != ((volatile uint8_t *)b)[i])
			return false;
	return true;
}

static void clear(reg_t at, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		((volatile uint8_t *)at)[i] = 0;
}

#define MOVS(insn, size)                                             \
	do {                                                         \
		struct regs r = {37, SRC + 3, DST + 5};              \
		clear(DST, 400);                                     \
		RUN(insn, &r);                                       \
		check(!r.c && r.s == SRC + 3 + 37 * (size) &&        \
			      r.d == DST + 5 + 37 * (size) &&        \
			      same(SRC + 3, DST + 5, 37 * (size)) && \
			      !*(volatile uint8_t *)(r.d) &&         \
			      !*(volatile uint8_t *)(DST + 4),       \
		      insn);                                         \
	} while (0)

static void test_movs(void)
{
	fill(SRC, 400);
	MOVS("rep movsb", 1);
	MOVS("rep movsw", 2);
	MOVS("rep movsl", 4);
	MOVS("rep movsq", 8);
}

static void test_one(void)
{
	struct regs r = {9, SRC, DST, ~0UL};

	fill(SRC, 16);
	RUN("movsq", &r);
	check(r.c == 9 && r.s == SRC + 8 && r.d == DST + 8,
	      "without a prefix RCX stays");
	RUN("lodsb", &r);
	check(r.a == (~0xffUL | 8 * 7) && r.s == SRC + 9,
	      "LODSB changes AL alone: %x", r.a);
	RUN("lodsl", &r);
	check(!(r.a >> 32), "LODSD clears the upper half of RAX");
}

#define STOS(insn, size)                                                       \
	do {                                                                   \
		struct regs r = {21, 0, DST + 1, 0x8877665544332211};          \
		reg_t want = 0x8877665544332211;                               \
		bool good = true;                                              \
		clear(DST, 200);                                               \
		RUN(insn, &r);                                                 \
		for (int i = 0; i < 21; i++)                                   \
			good &= !memcmp((void *)(DST + 1 + i * (size)), &want, \
					size);                                 \
		check(good && !r.c && r.d == DST + 1 + 21 * (size) &&          \
			      !*(volatile uint8_t *)r.d,                       \
		      insn);                                                   \
	} while (0)

static void test_stos(void)
{
	STOS("rep stosb", 1);
	STOS("rep stosw", 2);
	STOS("rep stosl", 4);
	STOS("rep stosq", 8);
}

static void test_lods(void)
{
	struct regs r = {5, SRC, 0, 0};

	fill(SRC, 64);
	RUN("rep lodsw", &r);
	check(!r.c && r.s == SRC + 10 && r.a == *(volatile uint16_t *)(SRC + 8),
	      "REP LODSW leaves the last one");
}

static void test_backwards(void)
{
	struct regs r = {16, SRC + 15 * 4, DST + 15 * 4};

	fill(SRC, 64);
	clear(DST - 8, 80);
	RUN("std; rep movsl", &r);
	check(!r.c && r.s == SRC - 4 && r.d == DST - 4 && same(SRC, DST, 64),
	      "REP MOVSD downwards");
	r = (struct regs){3, 0, DST + 20, 0xff};
	RUN("std; rep stosb", &r);
	check(r.d == DST + 17 && *(volatile uint8_t *)(DST + 18) == 0xff &&
		      *(volatile uint8_t *)(DST + 21) != 0xff,
	      "REP STOSB downwards");
}

static void test_overlap(void)
{
	struct regs r = {63, DST, DST + 1};
	bool good = true;

	clear(DST, 70);
	*(volatile uint8_t *)DST = 0x5a;
	RUN("rep movsb", &r);
	for (int i = 0; i < 64; i++)
		good &= ((volatile uint8_t *)DST)[i] == 0x5a;
	check(good && !*(volatile uint8_t *)(DST + 64),
	      "a copy onto itself, one byte on, repeats the first byte");
	*(volatile uint64_t *)DST = 0x0102030405060708;
	*(volatile uint64_t *)(DST + 8) = 0;
	r = (struct regs){2, DST, DST + 4};
	RUN("rep movsq", &r);
	/* the second element is what the first one made of it */
	check(*(volatile uint32_t *)(DST + 4) == 0x05060708 &&
		      *(volatile uint32_t *)(DST + 8) == 0x01020304 &&
		      *(volatile uint32_t *)(DST + 12) == 0x01020304,
	      "of eight bytes, four on, goes element by element");
}

static void test_scas(void)
{
	struct regs r = {100, 0, SRC, 0x77};
	bool zf;

	clear(SRC, 200);
	*(volatile uint8_t *)(SRC + 41) = 0x77;
	__asm__ volatile("repne scasb; setz %0"
			 : "=q"(zf), "+c"(r.c), "+D"(r.d)
			 : "a"(r.a)
			 : "memory");
	check(zf && r.c == 58 && r.d == SRC + 42,
	      "REPNE SCASB stops behind what it found");
	r = (struct regs){100, 0, SRC, 0};
	__asm__ volatile("repe scasb; setz %0"
			 : "=q"(zf), "+c"(r.c), "+D"(r.d)
			 : "a"(r.a)
			 : "memory");
	check(!zf && r.c == 58 && r.d == SRC + 42,
	      "REPE SCASB behind what differs");
	r = (struct regs){20, 0, SRC, 0x1234567800000000};
	__asm__ volatile("repne scasq; setz %0"
			 : "=q"(zf), "+c"(r.c), "+D"(r.d)
			 : "a"(r.a)
			 : "memory");
	check(!zf && !r.c && r.d == SRC + 160, "REPNE SCASQ to the end");
}

static void test_cmps(void)
{
	struct regs r = {50, SRC, DST};
	bool zf, cf;

	fill(SRC, 300);
	fill(DST, 300);
	*(volatile uint8_t *)(DST + 4 * 30) = 0xff;
	*(volatile uint8_t *)(SRC + 4 * 30) = 0x01;
	__asm__ volatile("repe cmpsl; setz %0; setc %1"
			 : "=q"(zf), "=q"(cf), "+c"(r.c), "+S"(r.s), "+D"(r.d)
			 :
			 : "memory");
	check(!zf && r.c == 19 && r.s == SRC + 124 && r.d == DST + 124,
	      "REPE CMPSD stops behind the difference");
	check(cf == (*(volatile uint32_t *)(SRC + 120) <
		     *(volatile uint32_t *)(DST + 120)),
	      "and its flags are those of source minus destination");
}

static void test_zero(void)
{
	struct regs r = {0, 0x0100000000000000, 0x0100000000000000, 5};
	reg_t flags;

	/* nothing is accessed: the addresses are not canonical */
	RUN("rep movsb", &r);
	check(r.s == 0x0100000000000000 && !r.c, "REP MOVSB with RCX 0");
	__asm__ volatile("xor %%eax, %%eax; stc; repe cmpsb; pushf; pop %0"
			 : "=r"(flags), "+c"(r.c), "+S"(r.s), "+D"(r.d)
			 :
			 : "rax", "memory");
	check((flags & 0x41) == 0x41, "REPE CMPSB with RCX 0 keeps flags");
}

static void test_addr32(void)
{
	struct regs r = {0xffffffff00000004, 0xffffffff00000000 | SRC,
			 0xffffffff00000000 | DST};

	fill(SRC, 64);
	clear(DST, 64);
	RUN("addr32 rep movsq", &r);
	check(same(SRC, DST, 32) && !*(volatile uint8_t *)(DST + 32),
	      "with 67 ECX, ESI and EDI are used");
	check(r.c == 0 && r.s == SRC + 32 && r.d == DST + 32,
	      "and their upper halves cleared");
}

static void test_segment(void)
{
	struct regs r = {4, 0x10, DST};

	fill(SRC, 64);
	clear(DST, 64);
	wrmsr(MSR_FS_BASE, SRC);
	RUN("rep movsl %%fs:(%%rsi), %%es:(%%rdi)", &r);
	check(same(SRC + 0x10, DST, 16) && r.s == 0x20,
	      "FS overrides the source's segment");
	wrmsr(MSR_FS_BASE, 0);
}

/* ---- faults on the way ---- */

static volatile reg_t seen_c, seen_s, seen_d, seen_flags, faults;

static void mend(struct trap *t)
{
	seen_c = t->cx;
	seen_s = t->si;
	seen_d = t->di;
	seen_flags = t->flags;
	faults++;
	pt1[1] = (FRAME + 0x1000) | P | RW;
}

static void window(void)
{
	pt1[0] = FRAME | P | RW;
	pt1[1] = 0;
	invlpg((void *)WINDOW);
	invlpg((void *)(WINDOW + 0x1000));
	faults = 0;
}

static void test_fault(void)
{
	struct regs r = {64, SRC, WINDOW + 0xfc0};

	fill(SRC, 512);
	window();
	trap_hook[14] = mend;
	RUN("rep movsq", &r);
	check(faults == 1 && seen_c == 56 && seen_s == SRC + 64 &&
		      seen_d == WINDOW + 0x1000,
	      "a fault leaves the registers at its element: %x left, %x",
	      seen_c, seen_d);
	check(seen_flags & 0x10000, "RF is set in its frame");
	check(!r.c && same(SRC, WINDOW + 0xfc0, 512),
	      "and the copy goes on there");
	window();
	r = (struct regs){30, 0, WINDOW + 0xffc - 80, ~0UL};
	RUN("rep stosq", &r);
	check(faults == 1 && seen_c == 20 && seen_d == WINDOW + 0xffc,
	      "an element on two pages faults whole: %x left", seen_c);
	trap_hook[14] = NULL;
}

static void test_fault_cmps(void)
{
	reg_t c = 40, s = SRC, d = WINDOW + 0xff0;
	bool zf;

	window();
	fill(SRC, 64);
	for (int i = 0; i < 64; i++)
		((volatile uint8_t *)FRAME)[0xff0 + i] = ((
			volatile uint8_t *)SRC)[i];
	trap_hook[14] = mend;
	__asm__ volatile("repe cmpsb; setz %0"
			 : "=q"(zf), "+c"(c), "+S"(s), "+D"(d)
			 :
			 : "memory");
	check(faults == 1 && seen_c == 24 && seen_s == SRC + 16,
	      "REPE CMPSB faults at its element: %x left", seen_c);
	check(zf && !c, "and compares on");
	trap_hook[14] = NULL;
}

/* ---- interrupts on the way ---- */

static volatile unsigned int ticks, inside, bad;
extern char rep_here[];

static void on_timer(struct trap *t)
{
	ticks++;
	if (t->ip == (reg_t)rep_here) {
		inside++;
		/* where it stands: source and count go together */
		bad += t->si - SRC != 0x40000 - t->cx;
	}
	APIC(APIC_EOI) = 0;
}

static void test_interrupt(void)
{
	uint64_t end = rdtsc() + 20000000000ULL;
	reg_t c, s, d;
	bool good = true;

	fill(SRC, 0x40000);
	trap_hook[VEC_TIMER] = on_timer;
	wrmsr(0x1b, rdmsr(0x1b) | 0x800);
	APIC(APIC_SVR) = 0x1ff;
	APIC(APIC_DIV) = 0xb;
	APIC(APIC_LVTT) = LVT_PERIOD | VEC_TIMER;
	APIC(APIC_INIT) = 1000000;
	irq_on();
	while (ticks < 20 && rdtsc() < end) {
		c = 0x40000;
		s = SRC;
		d = DST;
		__asm__ volatile("rep_here: rep movsb"
				 : "+c"(c), "+S"(s), "+D"(d)
				 :
				 : "memory");
		good &= !c && s == SRC + 0x40000 && d == DST + 0x40000;
	}
	irq_off();
	APIC(APIC_INIT) = 0;
	check(ticks >= 20, "interrupts come while strings are copied: %d",
	      (int)ticks);
	check(good && same(SRC, DST, 0x40000), "every copy is complete");
	check(!bad, "registers are whole at each of %d interrupts within",
	      (int)inside);
}

void setup(void)
{
	boot_pml4[1] = (uint64_t)pdpt1 | P | RW;
	pdpt1[0] = (uint64_t)pd1 | P | RW;
	pd1[0] = (uint64_t)pt1 | P | RW;
}

const struct test tests[] = {
	{"movs", test_movs, "SDM 2 \"MOVS/MOVSB/MOVSW/MOVSD/MOVSQ\""},
	{"single", test_one,
	 "SDM 2 \"LODS/LODSB/LODSW/LODSD/LODSQ\": operands of each size"},
	{"stos", test_stos, "SDM 2 \"STOS/STOSB/STOSW/STOSD/STOSQ\""},
	{"lods", test_lods, "SDM 2 \"LODS/LODSB/LODSW/LODSD/LODSQ\""},
	{"backwards", test_backwards, "SDM 1 \"DF Flag\""},
	{"overlap", test_overlap,
	 "SDM 1 \"Repeated String Operations\": element by element"},
	{"scas", test_scas, "SDM 2 \"SCAS/SCASB/SCASW/SCASD\""},
	{"cmps", test_cmps, "SDM 2 \"CMPS/CMPSB/CMPSW/CMPSD/CMPSQ\""},
	{"zero", test_zero,
	 "SDM 2 \"REP/REPE/REPZ/REPNE/REPNZ\": a count of 0"},
	{"addr32", test_addr32,
	 "SDM 1 \"Operand Size and Address Size in 64-Bit Mode\": address "
	 "size"},
	{"segment", test_segment,
	 "SDM 1 \"String Operations\": the source's segment may be "
	 "overridden"},
	{"fault", test_fault,
	 "SDM 2 \"REP/REPE/REPZ/REPNE/REPNZ\": registers at an exception"},
	{"fault-cmps", test_fault_cmps,
	 "SDM 2 \"REP/REPE/REPZ/REPNE/REPNZ\": REPE and an exception"},
	{"interrupt", test_interrupt,
	 "SDM 2 \"REP/REPE/REPZ/REPNE/REPNZ\": suspended by interrupts"},
	{NULL},
};
