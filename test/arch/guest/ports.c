/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O as a PC has it: pc-testdev's ports and memory, configuration space of
 * PCI, the clock's registers. Values only; how many accesses there are and
 * of what size is seen by the runner's device (io.c). SDM 1 "Input/Output".
 */
#include "test/arch/guest/arch.h"

#define PORT   0xe0 /* four bytes that remember */
#define BYTES  0xe8 /* the same, a byte at a time */
#define MMIO   ((volatile uint8_t *)0xff000000UL)
#define P      1ULL
#define RW     2ULL
#define WINDOW 0x8000000000UL
#define FRAME  0x800000UL

extern uint64_t boot_pml4[512];
static uint64_t pdpt1[512] __attribute__((aligned(4096)));
static uint64_t pd1[512] __attribute__((aligned(4096)));
static uint64_t pt1[512] __attribute__((aligned(4096)));
static uint32_t words[16];

/* ---- ports ---- */

static void test_sizes(void)
{
	outl(PORT, 0x44332211);
	check(inl(PORT) == 0x44332211, "OUT and IN of 32 bits");
	check(inw(PORT) == 0x2211 && inw(PORT + 2) == 0x4433, "IN of 16");
	check(inb(PORT) == 0x11 && inb(PORT + 1) == 0x22 &&
		      inb(PORT + 2) == 0x33 && inb(PORT + 3) == 0x44,
	      "IN of 8");
	outb(PORT + 1, 0xbb);
	check(inl(PORT) == 0x4433bb11, "OUT of 8");
	outw(PORT + 2, 0xddcc);
	check(inl(PORT) == 0xddccbb11, "OUT of 16");
	outl(BYTES, 0x01020304);
	check(inl(PORT) == 0x01020304,
	      "an access of 32 bits to ports of 8 goes to four of them");
}

static void test_merge(void)
{
	reg_t a = ~0UL;

	outl(PORT, 0x12345678);
	__asm__ volatile("inb %1, %%al" : "+a"(a) : "Nd"((uint16_t)PORT));
	check(a == (~0xffUL | 0x78), "IN AL keeps the rest of RAX");
	__asm__ volatile("inw %1, %%ax" : "+a"(a) : "Nd"((uint16_t)PORT));
	check(a == (~0xffffUL | 0x5678), "IN AX too");
	__asm__ volatile("inl %1, %%eax" : "+a"(a) : "Nd"((uint16_t)PORT));
	check(a == 0x12345678, "IN EAX clears its upper half");
}

static void test_strings(void)
{
	reg_t c = 4, s = (reg_t)words, d = (reg_t)(words + 8);
	uint16_t port = PORT;

	for (unsigned int i = 0; i < 4; i++)
		words[i] = 0x01010101 * (i + 1);
	__asm__ volatile("rep outsl" : "+c"(c), "+S"(s) : "d"(port) : "memory");
	check(!c && s == (reg_t)(words + 4) && inl(PORT) == 0x04040404,
	      "REP OUTSD leaves the last one");
	c = 3;
	__asm__ volatile("rep insl" : "+c"(c), "+D"(d) : "d"(port) : "memory");
	check(!c && d == (reg_t)(words + 11) && words[8] == 0x04040404 &&
		      words[10] == 0x04040404 && !words[11],
	      "REP INSD stores each");
	c = 2;
	__asm__ volatile("std; rep insb; cld"
			 : "+c"(c), "+D"(d)
			 : "d"(port)
			 : "memory");
	check(d == (reg_t)(words + 11) - 2, "REP INSB downwards");
}

static volatile reg_t seen_c, seen_d, faults;

static void mend(struct trap *t)
{
	seen_c = t->cx;
	seen_d = t->di;
	faults++;
	pt1[1] = (FRAME + 0x1000) | P | RW;
}

static void test_fault(void)
{
	reg_t c = 10, d = WINDOW + 0xffa;
	uint16_t port = PORT;

	pt1[0] = FRAME | P | RW;
	pt1[1] = 0;
	trap_hook[14] = mend;
	outl(PORT, 0x77777777);
	__asm__ volatile("rep insb" : "+c"(c), "+D"(d) : "d"(port) : "memory");
	trap_hook[14] = NULL;
	check(faults == 1 && seen_c == 4 && seen_d == WINDOW + 0x1000,
	      "REP INSB faults at its element: %x left", seen_c);
	check(!c && *(volatile uint8_t *)(FRAME + 0x1003) == 0x77,
	      "and goes on there");
}

/* ---- memory ---- */

static void test_mmio(void)
{
	volatile uint64_t *q = (void *)MMIO;
	volatile uint32_t *l = (void *)MMIO;
	volatile uint16_t *w = (void *)MMIO;

	*q = 0x8877665544332211;
	check(*q == 0x8877665544332211, "64 bits");
	check(l[0] == 0x44332211 && l[1] == 0x88776655, "32 bits");
	check(w[1] == 0x4433 && w[3] == 0x8877, "16 bits");
	check(MMIO[0] == 0x11 && MMIO[7] == 0x88, "8 bits");
	MMIO[2] = 0xcc;
	w[2] = 0xeeee;
	check(*q == 0x8877eeee44cc2211, "8 and 16 bits written");
}

static void test_rmw(void)
{
	volatile uint32_t *l = (void *)(MMIO + 0x40);
	uint32_t v = 7;
	bool cf;

	*l = 5;
	__asm__ volatile("addl $3, %0" : "+m"(*l));
	check(*l == 8, "ADD");
	__asm__ volatile("lock incl %0" : "+m"(*l));
	check(*l == 9, "LOCK INC");
	__asm__ volatile("xchgl %0, %1" : "+m"(*l), "+r"(v));
	check(*l == 7 && v == 9, "XCHG");
	__asm__ volatile("lock xaddl %1, %0" : "+m"(*l), "+r"(v));
	check(*l == 16 && v == 7, "XADD");
	v = 100;
	__asm__ volatile("lock cmpxchgl %1, %0" : "+m"(*l) : "r"(v), "a"(16));
	check(*l == 100, "CMPXCHG");
	__asm__ volatile("lock btsl $1, %0; setc %1" : "+m"(*l), "=q"(cf));
	check(*l == 102 && !cf, "BTS");
	__asm__ volatile("cmpl $102, %1; setz %0" : "=q"(cf) : "m"(*l));
	check(cf, "CMP");
	__asm__ volatile("pushq %1; popq %0" : "=m"(words[12]) : "m"(*l));
	check(words[12] == 102, "PUSH from a device");
}

static void test_mmio_strings(void)
{
	reg_t c = 5, s = (reg_t)words, d = (reg_t)MMIO + 0x80;
	uint32_t back[6] = {0};

	for (unsigned int i = 0; i < 5; i++)
		words[i] = 0x11223344 + i;
	__asm__ volatile("rep movsl" : "+c"(c), "+S"(s), "+D"(d) : : "memory");
	c = 20;
	s = (reg_t)MMIO + 0x80;
	d = (reg_t)back;
	__asm__ volatile("rep movsb" : "+c"(c), "+S"(s), "+D"(d) : : "memory");
	check(!memcmp(back, words, 20) && !back[5], "there and back");
	c = 8;
	d = (reg_t)MMIO + 0x80;
	__asm__ volatile("rep stosw"
			 : "+c"(c), "+D"(d)
			 : "a"(0xabcd)
			 : "memory");
	check(*(volatile uint64_t *)(MMIO + 0x88) == 0xabcdabcdabcdabcd,
	      "REP STOSW");
	MMIO[0x85] = 0;
	c = 16;
	d = (reg_t)MMIO + 0x80;
	__asm__ volatile("repne scasb" : "+c"(c), "+D"(d) : "a"(0) : "memory");
	check(c == 10 && d == (reg_t)MMIO + 0x86, "REPNE SCASB");
}

static void test_vectors(void)
{
	static uint8_t from[16] = {1, 2,  3,  4,  5,  6,  7,  8,
				   9, 10, 11, 12, 13, 14, 15, 16};
	static uint8_t to[16];

	write_cr4(read_cr4() | 0x600);
	__asm__ volatile("movdqu (%0), %%xmm0; movdqu %%xmm0, (%1);"
			 "movdqu (%1), %%xmm1; movdqu %%xmm1, (%2)"
			 :
			 : "r"(from), "r"(MMIO + 0x100), "r"(to)
			 : "memory");
	check(!memcmp(from, to, 16), "16 bytes there and back");
	__asm__ volatile("fninit; fildq (%0); fistpq (%1)"
			 :
			 : "r"(MMIO + 0x100), "r"(to + 8)
			 : "memory");
	check(!memcmp(from, to + 8, 8), "an x87 load");
}

/* RAM and device side by side. */
static void test_straddle(void)
{
	volatile uint64_t *p = (void *)(WINDOW + 0xffc);

	pt1[0] = FRAME | P | RW;
	pt1[1] = 0xff000000 | P | RW;
	write_cr3(read_cr3());
	*(volatile uint32_t *)MMIO = 0;
	*p = 0x8877665544332211;
	check(*(volatile uint32_t *)(FRAME + 0xffc) == 0x44332211 &&
		      *(volatile uint32_t *)MMIO == 0x88776655,
	      "a store goes to both");
	check(*p == 0x8877665544332211, "and a load comes from both");
}

static void test_nothing(void)
{
	check(inb(0x5f0) == 0xff && inw(0x5f0) == 0xffff &&
		      inl(0x5f0) == 0xffffffff,
	      "a port of nobody reads as ones");
	outl(0x5f0, 0);
	check(inl(0x5f0) == 0xffffffff, "also when written");
}

/* ---- of the board ---- */

static uint32_t pci(unsigned int dev, unsigned int reg)
{
	outl(0xcf8, 0x80000000 | dev << 11 | reg);
	return inl(0xcfc);
}

static void test_pci(void)
{
	uint32_t id = pci(0, 0);

	check(id != 0 && (id & 0xffff) != 0xffff, "a host bridge: %x",
	      (reg_t)id);
	check(inl(0xcf8) == 0x80000000, "the address reads back");
	check(inw(0xcfc) == (id & 0xffff) && inw(0xcfe) == id >> 16 &&
		      inb(0xcff) == id >> 24,
	      "parts of a register");
	check((pci(0, 8) >> 16) == 0x0600, "of class 0600");
	check(pci(0x1e, 0) == 0xffffffff, "an absent device reads as ones");
	outl(0xcf8, 0);
	check(inl(0xcfc) == 0xffffffff,
	      "without the enable bit there is nothing");
}

static uint8_t rtc(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void test_rtc(void)
{
	uint8_t b = rtc(0xb), month = rtc(8);
	bool bcd = !(b & 4);

	check(rtc(0xd) & 0x80, "time and memory are valid");
	if (bcd)
		month = (month >> 4) * 10 + (month & 15);
	check(month >= 1 && month <= 12, "month %d", (int)month);
	outb(0x70, 0x50);
	outb(0x71, 0x5a);
	check(rtc(0x50) == 0x5a, "memory remembers");
}

/* A machine without one: see unittests.cfg. */
static void test_no_pit(void)
{
	outb(0x43, 0x34);
	outb(0x40, 0x12);
	outb(0x40, 0x34);
	outb(0x43, 0);
	check(inb(0x40) == 0xff && inb(0x40) == 0xff, "no counter 0");
	check(inb(0x61) == 0xff, "no speaker's port");
}

void setup(void)
{
	boot_pml4[1] = (uint64_t)pdpt1 | P | RW;
	pdpt1[0] = (uint64_t)pd1 | P | RW;
	pd1[0] = (uint64_t)pt1 | P | RW;
}

const struct test tests[] = {
	{"sizes", test_sizes, "SDM 1 \"I/O Address Space\"", NEEDS_BOARD},
	{"merge", test_merge, "SDM 2 \"IN - Input From Port\"", NEEDS_BOARD},
	{"strings", test_strings,
	 "SDM 2 \"INS/INSB/INSW/INSD\", \"OUTS/OUTSB/OUTSW/OUTSD\"",
	 NEEDS_BOARD},
	{"fault", test_fault,
	 "SDM 2 \"REP/REPE/REPZ/REPNE/REPNZ\": INS and an exception",
	 NEEDS_BOARD},
	{"mmio", test_mmio, "SDM 1 \"Memory-Mapped I/O\"", NEEDS_BOARD},
	{"mmio-rmw", test_rmw,
	 "SDM 1 \"Memory-Mapped I/O\": any instruction that references "
	 "memory",
	 NEEDS_BOARD},
	{"mmio-strings", test_mmio_strings,
	 "SDM 1 \"Memory-Mapped I/O\": MOVS, STOS, SCAS", NEEDS_BOARD},
	{"mmio-vectors", test_vectors,
	 "SDM 1 \"Memory-Mapped I/O\": SSE and x87", NEEDS_BOARD},
	{"mmio-straddle", test_straddle,
	 "SDM 1 \"Ordering I/O\": an operand partly in a device", NEEDS_BOARD},
	{"nothing", test_nothing,
	 "PCI \"Master Initiated Termination\": reads that nobody "
	 "claims have all bits set",
	 NEEDS_BOARD},
	{"pci", test_pci,
	 "PCI \"Software Generation of Configuration "
	 "Transactions\"",
	 NEEDS_BOARD},
	{"rtc", test_rtc, "MC146818 \"Register D\", \"RAM\"", NEEDS_BOARD},
	{"no-pit", test_no_pit,
	 "PCI \"Master Initiated Termination\": pit=off leaves ports to "
	 "nobody",
	 NEEDS_BOARD},
	{NULL},
};
