/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single stepping and debug registers: SDM 3B "Debug Exceptions" (17.3),
 * "Debug Registers" (17.2). Every #DB is written down with its rip and DR6.
 */
#include "test/arch/guest/arch.h"

#define FLAG_TF 0x100
#define FLAG_RF 0x10000

#define DR6_BS    0x4000
#define DR6_BD    0x2000
#define DR6_FIXED 0xffff0ff0
#define DR7_FIXED 0x400
#define DR7_GD    0x2000

/* Kind and length of breakpoint @n, enabled for all tasks. */
#define BP(n, rw, len) \
	(2UL << (2 * (n)) | ((len) << 2 | (rw)) << (16 + 4 * (n)))
#define BP_EXEC  0UL
#define BP_WRITE 1UL
#define BP_IO    2UL
#define BP_RW    3UL
#define LEN1     0UL
#define LEN2     1UL
#define LEN8     2UL
#define LEN4     3UL

static volatile struct {
	reg_t ip[64], dr6[64], flags[64];
	unsigned int n;
} hits;

static bool skip_fault; /* set RF on the way back */

static void note(struct trap *t)
{
	if (hits.n < 64) {
		hits.ip[hits.n] = t->ip;
		hits.dr6[hits.n] = read_dr6();
		hits.flags[hits.n] = t->flags;
	}
	hits.n++;
	write_dr6(DR6_FIXED);
	if (skip_fault)
		t->flags |= FLAG_RF;
}

static void reset(void)
{
	write_dr7(DR7_FIXED);
	write_dr6(DR6_FIXED);
	hits.n = 0;
}

static bool stepped(unsigned int i, const char *at)
{
	return i < hits.n && hits.ip[i] == (reg_t)at &&
	       hits.dr6[i] == (DR6_FIXED | DR6_BS);
}

/* ---- TF ---- */

extern char st0[], st1[], st2[], st3[], st4[], st5[], st6[], st7[], st8[],
	st_int[];
static uint8_t from[8], to[8];

static __attribute__((noinline)) void step_some(void)
{
	reg_t rsi = (reg_t)from, rdi = (reg_t)to, rcx = 3;

	__asm__ volatile("pushf; orl $0x100, (%%rsp); popf\n"
			 "st0: nop\n"
			 "st1: xor %%eax, %%eax\n"
			 "st2: jz st3\n"
			 "ud2\n"
			 "st3: rep movsb\n"
			 "st4: pushf\n"
			 "st5: mov %%ss, %%edx\n"
			 "st6: mov %%edx, %%ss\n"
			 "st7: nop\n"
			 "st8: andl $~0x100, (%%rsp); popf\n"
			 "nop"
			 : "+S"(rsi), "+D"(rdi), "+c"(rcx)
			 :
			 : "rax", "rdx", "memory", "cc");
}

static void test_step(void)
{
	static char *const want[] = {st1, st2, st3, st3, st3, st4, st5, st6};
	bool same = true;

	reset();
	step_some();
	for (unsigned int i = 0; i < 8; i++)
		same &= stepped(i, want[i]);
	check(same, "a #DB after each instruction and each turn of REP");
	check(hits.n >= 9 && stepped(8, st8),
	      "none between MOV SS and the next instruction: %x",
	      hits.ip[8] - (reg_t)st6);
	check(hits.flags[0] & FLAG_TF && !(hits.flags[0] & FLAG_RF),
	      "TF is in the frame of a single step, RF is not");
	/* st8's AND, then POPF clears TF but is itself still stepped */
	check(hits.n == 11, "%d steps in all", (int)hits.n);
}

static volatile reg_t int_flags;

static void note_int(struct trap *t)
{
	int_flags = read_flags();
}

static void test_step_int(void)
{
	reset();
	trap_hook[0x40] = note_int;
	__asm__ volatile("pushf; orl $0x100, (%%rsp); popf\n"
			 "int $0x40\n"
			 "st_int: pushf; andl $~0x100, (%%rsp); popf"
			 :
			 :
			 : "memory", "cc");
	check(!(int_flags & FLAG_TF), "INT n clears TF");
	check(hits.ip[0] != (reg_t)trap_stub(0x40),
	      "INT n is not followed by a #DB at its handler");
	trap_hook[0x40] = NULL;
}

/* ---- breakpoints ---- */

extern char bp_here[], bp_next[];

static __attribute__((noinline)) void bp_code(void)
{
	__asm__ volatile("nop; bp_here: nop; bp_next: nop");
}

static void test_exec(void)
{
	reset();
	skip_fault = true;
	write_dr0((reg_t)bp_here);
	write_dr7(DR7_FIXED | BP(0, BP_EXEC, LEN1));
	bp_code();
	check(hits.n == 1 && hits.ip[0] == (reg_t)bp_here &&
		      hits.dr6[0] == (DR6_FIXED | 1),
	      "instruction breakpoint: %d, rip off by %x, DR6 %x", (int)hits.n,
	      hits.ip[0] - (reg_t)bp_here, hits.dr6[0]);
	/* SDM 3B 17.3.1.1: of all faults only this one pushes RF as it is */
	check(!(hits.flags[0] & FLAG_RF), "RF is not in its frame");
	bp_code();
	check(hits.n == 2, "RF lasts for one instruction");
	skip_fault = false;
	reset();
	bp_code();
	check(hits.n == 0, "not with DR7 clear");
}

static volatile uint64_t watched[4] __attribute__((aligned(64)));

static void store_byte(unsigned int off)
{
	((volatile uint8_t *)watched)[off] = 1;
}

static void test_write(void)
{
	reset();
	write_dr1((reg_t)watched + 8);
	write_dr7(DR7_FIXED | BP(1, BP_WRITE, LEN8));
	watched[1] = 5;
	check(hits.n == 1 && hits.dr6[0] == (DR6_FIXED | 2) && watched[1] == 5,
	      "data breakpoint: after the store, DR6 %x", hits.dr6[0]);
	(void)watched[1];
	check(hits.n == 1, "a write breakpoint ignores loads");
	store_byte(15);
	check(hits.n == 2, "a byte within eight");
	store_byte(16);
	store_byte(7);
	check(hits.n == 2, "bytes beside them do not count");
	*(volatile uint64_t *)((reg_t)watched + 1) = 0;
	check(hits.n == 3, "a store that overlaps does");
	*(volatile uint32_t *)((reg_t)watched + 4) = 0;
	check(hits.n == 3, "one that ends before does not");
}

static void test_lengths(void)
{
	static const struct {
		reg_t len;
		unsigned int bytes;
	} lens[] = {{LEN1, 1}, {LEN2, 2}, {LEN4, 4}, {LEN8, 8}};

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int count = 0;

		reset();
		write_dr2((reg_t)watched + 8);
		write_dr7(DR7_FIXED | BP(2, BP_WRITE, lens[i].len));
		for (unsigned int off = 0; off < 24; off++) {
			unsigned int was = hits.n;

			store_byte(off);
			if (hits.n > was)
				count |= 1u << off;
		}
		check(count == ((1u << lens[i].bytes) - 1) << 8,
		      "length %d watches bytes %x", (int)lens[i].bytes,
		      (reg_t)count);
	}
}

static void test_read_write(void)
{
	reset();
	write_dr3((reg_t)watched);
	write_dr7(DR7_FIXED | BP(3, BP_RW, LEN4));
	(void)watched[0];
	check(hits.n == 1 && hits.dr6[0] == (DR6_FIXED | 8),
	      "read/write breakpoint on a load: DR6 %x", hits.dr6[0]);
	watched[0] = 1;
	check(hits.n == 2, "and on a store");
	__asm__ volatile("lock incl %0" : "+m"(watched[0]));
	check(hits.n == 3, "once for a read-modify-write: %d", (int)hits.n);
	__asm__ volatile("push %0" : : "m"(watched[0]));
	check(hits.n == 4, "PUSH of the operand");
	__asm__ volatile("add $8, %%rsp" : : : "memory");
}

static void test_two(void)
{
	reset();
	write_dr0((reg_t)watched);
	write_dr1((reg_t)watched + 4);
	write_dr7(DR7_FIXED | BP(0, BP_WRITE, LEN1) | BP(1, BP_WRITE, LEN1));
	watched[0] = 1;
	check(hits.n == 1 && hits.dr6[0] == (DR6_FIXED | 3),
	      "two breakpoints in one #DB: DR6 %x", hits.dr6[0]);
}

static void test_string(void)
{
	reg_t rdi = (reg_t)watched, rcx = 4;

	reset();
	write_dr0((reg_t)watched + 16);
	write_dr7(DR7_FIXED | BP(0, BP_WRITE, LEN8));
	__asm__ volatile("rep stosq"
			 : "+D"(rdi), "+c"(rcx)
			 : "a"(0UL)
			 : "memory");
	check(hits.n == 1, "a REP store hits a breakpoint in its middle: %d",
	      (int)hits.n);
}

static void test_io(void)
{
	reset();
	write_cr4(read_cr4() | 8);
	write_dr0(DEV_PORT);
	write_dr7(DR7_FIXED | BP(0, BP_IO, LEN2));
	outb(DEV_PORT + 1, 1);
	check(hits.n == 1 && hits.dr6[0] == (DR6_FIXED | 1),
	      "I/O breakpoint: %d, DR6 %x", (int)hits.n, hits.dr6[0]);
	outb(DEV_PORT + 2, 1);
	check(hits.n == 1, "the port beside it does not count");
	(void)inb(DEV_PORT);
	check(hits.n == 2, "IN counts as well");
	reset();
}

static reg_t get_dr4(void)
{
	reg_t v;

	__asm__ volatile("mov %%dr4, %0" : "=r"(v));
	return v;
}

static void test_access(void)
{
	reset();
	write_cr4(read_cr4() | 8);
	check(try_call(get_dr4, 0, 0) == 6, "DR4 with CR4.DE is #UD");
	write_cr4(read_cr4() & ~8UL);
	check(try_call(get_dr4, 0, 0) == NO_FAULT, "DR4 is DR6 without it");
	write_dr7(0);
	check(read_dr7() == DR7_FIXED, "DR7 reads with bit 10 set: %x",
	      read_dr7());
	write_dr6(0);
	check(read_dr6() == DR6_FIXED, "DR6 reads with its fixed bits: %x",
	      read_dr6());
	check(try_call(write_dr7, 1UL << 32, 0) == 13,
	      "DR7 above 32 bits is #GP");
	check(try_call(write_dr6, 1UL << 32, 0) == 13,
	      "DR6 above 32 bits is #GP");
	reset();
	write_dr7(DR7_FIXED | DR7_GD);
	(void)read_dr0();
	check(hits.n == 1 && hits.dr6[0] == (DR6_FIXED | DR6_BD) &&
		      !(read_dr7() & DR7_GD),
	      "general detect: DR6 %x, DR7 %x", hits.dr6[0], read_dr7());
}

/* The processor adds to DR6 and never clears it, but for BS and B0-3. */
static void leave_dr6(struct trap *t)
{
	hits.dr6[hits.n++ & 63] = read_dr6();
}

static void test_sticky(void)
{
	reset();
	trap_hook[1] = leave_dr6;
	write_dr6(DR6_FIXED | DR6_BD);
	write_dr0((reg_t)watched);
	write_dr7(DR7_FIXED | BP(0, BP_WRITE, LEN1));
	watched[0] = 1;
	check(hits.dr6[0] & DR6_BD && hits.dr6[0] & 1,
	      "DR6.BD stays when a breakpoint hits: %x", hits.dr6[0]);
	trap_hook[1] = note;
	reset();
}

void setup(void)
{
	trap_hook[1] = note;
}

const struct test tests[] = {
	{"step", test_step, "SDM 3B \"Single-Step Exception Condition\""},
	{"step-int", test_step_int,
	 "SDM 3B \"Single-Step Exception Condition\": TF is clear in a "
	 "handler"},
	{"exec", test_exec,
	 "SDM 3B \"Instruction-Breakpoint Exception Condition\": before the "
	 "instruction, RF masks it"},
	{"write", test_write,
	 "SDM 3B \"Data Memory and I/O Breakpoint Exception Conditions\": "
	 "after the write"},
	{"lengths", test_lengths, "SDM 3B \"Breakpoint Field Recognition\""},
	{"read-write", test_read_write,
	 "SDM 3B \"Debug Control Register (DR7)\": R/W fields"},
	{"two", test_two,
	 "SDM 3B \"Debug Status Register (DR6)\": B0 through B3"},
	{"string", test_string,
	 "SDM 3B \"Data Memory and I/O Breakpoint Exception Conditions\": "
	 "repeated string instructions"},
	{"io", test_io,
	 "SDM 3B \"Debug Control Register (DR7)\": I/O breakpoints with "
	 "CR4.DE"},
	{"access", test_access,
	 "SDM 3B \"Debug Registers DR4 and DR5\", \"General-Detect Exception "
	 "Condition\""},
	{"sticky", test_sticky,
	 "SDM 3B \"Debug Status Register (DR6)\": the processor clears none of "
	 "its bits"},
	{NULL},
};
