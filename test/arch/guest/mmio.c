/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions of 64-bit code that have more than a plain operand in device
 * memory: stacks, descriptor tables, port strings, register images. What they
 * do is compared with the same on RAM, and the device's log shows that each
 * access came once, in order, 8 bytes at most.
 */
#include "test/arch/guest/devlog.h"

#define P    1ULL
#define RW   2ULL
#define USER 4ULL

#define WINDOW 0x8000000000UL
#define FRAME  0x800000UL
#define STACK  0x800 /* offset in the device; grows down from here */
#define PORT   (DEV_PORT + 8)

#define CR4_OSFXSR  (1u << 9)
#define CR4_OSXSAVE (1u << 18)

extern uint64_t boot_pml4[512];
static uint64_t pdpt1[512] __attribute__((aligned(4096)));
static uint64_t pd1[512] __attribute__((aligned(4096)));
static uint64_t pt1[512] __attribute__((aligned(4096)));
static uint8_t ram[4096] __attribute__((aligned(64)));

static volatile uint64_t *dev64(unsigned int off)
{
	return (volatile uint64_t *)(MMIO + off);
}

static void dev_set(unsigned int off, const void *from, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		MMIO[off + i] = ((const uint8_t *)from)[i];
	log_reset();
}

static bool dev_same(unsigned int off, const void *with, unsigned int n)
{
	bool same = true;

	for (unsigned int i = 0; i < n; i++)
		same &= MMIO[off + i] == ((const uint8_t *)with)[i];
	log_reset();
	return same;
}

/* ---- segment registers and tables ---- */

static void test_store_segment(void)
{
	uint16_t ss, ds;

	*dev64(0x40) = ~0ULL;
	log_reset();
	__asm__ volatile("movw %%ss, %0; mov %%ss, %1"
			 : "=m"(MMIO[0x40]), "=r"(ss));
	check(LOG_IS(WR(2, 0x40)) && ss == SEL_DATA &&
		      *dev64(0x40) == (0xffffffffffff0000 | ss),
	      "MOV of SS");
	log_reset();
	__asm__ volatile("movw %%ds, %0; mov %%ds, %1"
			 : "=m"(MMIO[0x42]), "=r"(ds));
	check(LOG_IS(WR(2, 0x42)) && dev_same(0x42, &ds, 2), "MOV of DS");
	__asm__ volatile("sldt %0" : "=m"(MMIO[0x44]));
	check(LOG_IS(WR(2, 0x44)) && dev_same(0x44, "\0", 2), "SLDT");
	__asm__ volatile("str %0" : "=m"(MMIO[0x46]));
	check(LOG_IS(WR(2, 0x46)) && *dev64(0x40) >> 48 == SEL_TSS, "STR");
	log_reset();
	__asm__ volatile("smsw %0" : "=m"(MMIO[0x48]));
	check(LOG_IS(WR(2, 0x48)) && *(volatile uint16_t *)(MMIO + 0x48) ==
					     (uint16_t)read_cr0(),
	      "SMSW");
	log_reset();
	__asm__ volatile("lmsw %0" : : "m"(MMIO[0x48]));
	check(LOG_IS(RD(2, 0x48)), "LMSW");
}

static void test_table_registers(void)
{
	struct table_ptr gdtr, idtr, now;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
	__asm__ volatile("sgdt %0" : "=m"(MMIO[0x80]) : : "memory");
	check(LOG_IS(WR(8, 0x80), WR(2, 0x88)) &&
		      dev_same(0x80, &gdtr, sizeof(gdtr)),
	      "SGDT");
	__asm__ volatile("sidt %0" : "=m"(MMIO[0x93]) : : "memory");
	check(LOG_IS(WR(8, 0x93), WR(2, 0x9b)) &&
		      dev_same(0x93, &idtr, sizeof(idtr)),
	      "SIDT, misaligned");
	__asm__ volatile("lidt %1; sidt %0" : "=m"(now) : "m"(MMIO[0x93]));
	check(LOG_IS(RD(2, 0x93), RD(8, 0x95)) &&
		      !memcmp(&now, &idtr, sizeof(now)),
	      "LIDT");
	gdtr.limit -= 8;
	dev_set(0x80, &gdtr, sizeof(gdtr));
	__asm__ volatile("lgdt %1; sgdt %0" : "=m"(now) : "m"(MMIO[0x80]));
	check(LOG_IS(RD(2, 0x80), RD(8, 0x82)) &&
		      !memcmp(&now, &gdtr, sizeof(now)),
	      "LGDT");
}

#define GDT_AT 0x400 /* in the device */

/* The table itself in the device: loads, marks and questions. */
static void test_gdt(void)
{
	const uint64_t data = 0x00cf92000000ffff, code = 0x00af9a000000ffff;
	struct table_ptr old, here = {12 * 8 - 1, (reg_t)MMIO + GDT_AT};
	uint64_t table[12], limit = 0, rights = 0;
	uint16_t es;

	memcpy(table, gdt, sizeof(table));
	table[11] = data; /* SEL_FREE; not accessed yet */
	dev_set(GDT_AT, table, sizeof(table));
	__asm__ volatile("sgdt %0; lgdt %1" : "=m"(old) : "m"(here));
	__asm__ volatile("mov %1, %%es; mov %%es, %0"
			 : "=r"(es)
			 : "r"(SEL_FREE));
	check(es == SEL_FREE &&
		      LOG_IS(RD(8, GDT_AT + 88), RD(1, GDT_AT + 93),
			     WR(1, GDT_AT + 93)) &&
		      MMIO[GDT_AT + 93] == 0x93,
	      "a data segment, marked accessed");
	log_reset();
	__asm__ volatile("mov %1, %%es; mov %%es, %0"
			 : "=r"(es)
			 : "r"(SEL_FREE));
	check(LOG_IS(RD(8, GDT_AT + 88)), "and again, only read");
	__asm__ volatile("lsl %k1, %k0" : "=r"(limit) : "r"(SEL_FREE) : "cc");
	check(limit == 0xffffffff && LOG_IS(RD(8, GDT_AT + 88)), "LSL");
	__asm__ volatile("lar %k1, %k0" : "=r"(rights) : "r"(SEL_FREE) : "cc");
	check(rights == 0xc09300 && LOG_IS(RD(8, GDT_AT + 88)), "LAR");
	*dev64(GDT_AT + 88) = code;
	log_reset();
	__asm__ volatile("pushq %0; lea 1f(%%rip), %%rax; push %%rax\n"
			 "lretq\n1:"
			 :
			 : "i"(SEL_FREE)
			 : "rax", "memory");
	check(LOG_IS(RD(8, GDT_AT + 88), RD(1, GDT_AT + 93),
		     WR(1, GDT_AT + 93)),
	      "a far return");
	__asm__ volatile("mov %%rsp, %%rcx; pushq %0; push %%rcx; pushf\n"
			 "pushq %1; lea 1f(%%rip), %%rax; push %%rax\n"
			 "iretq\n1:"
			 :
			 : "i"(SEL_DATA), "i"(SEL_CODE64)
			 : "rax", "rcx", "memory");
	check(LOG_IS(RD(8, GDT_AT + 24), RD(8, GDT_AT + 16)), "IRET");
	MMIO[GDT_AT + SEL_TSS + 5] = 0x89;
	log_reset();
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
	check(LOG_IS(RD(8, GDT_AT + SEL_TSS), RD(8, GDT_AT + SEL_TSS + 8),
		     RD(1, GDT_AT + SEL_TSS + 5),
		     WR(1, GDT_AT + SEL_TSS + 5)) &&
		      MMIO[GDT_AT + SEL_TSS + 5] == 0x8b,
	      "LTR, marked busy");
	__asm__ volatile("lgdt %0; mov %1, %%es" : : "m"(old), "r"(SEL_DATA));
	log_reset();
}

/* ---- stacks ---- */

/* @body with the stack pointer in the device; may use rax and rcx. */
#define ON_DEVICE(body, out)                                      \
	__asm__ volatile("mov %%rsp, %%r12; mov %1, %%rsp\n" body \
			 "\nmov %%rsp, %%r13; mov %%r12, %%rsp"   \
			 : "=a"(out)                              \
			 : "r"((reg_t)MMIO + STACK)               \
			 : "rcx", "r12", "r13", "rbp", "memory", "cc")

#define PUSHED(n) WR(8, STACK - 8 * (n))
#define POPPED(n) RD(8, STACK - 8 * (n))

static void test_stack(void)
{
	reg_t v;

	log_reset();
	ON_DEVICE("pushq $0x1234; mov $7, %%ecx; push %%rcx\n"
		  "pop %%rax; pop %%rcx; shl $32, %%rcx; or %%rcx, %%rax",
		  v);
	check(v == 0x123400000007 &&
		      LOG_IS(PUSHED(1), PUSHED(2), POPPED(2), POPPED(1)),
	      "PUSH and POP");
	ON_DEVICE("pushw $0x55; popw %%ax", v);
	check((v & 0xffff) == 0x55 &&
		      LOG_IS(WR(2, STACK - 2), RD(2, STACK - 2)),
	      "of 16 bits");
	ON_DEVICE("stc; pushf; clc; popf; sbb %%eax, %%eax", v);
	check((uint32_t)v == ~0u && LOG_IS(PUSHED(1), POPPED(1)),
	      "PUSHF and POPF");
	ON_DEVICE("call 1f; 1: pop %%rcx; call 2f; jmp 3f; 2: ret\n"
		  "3: lea 1b(%%rip), %%rax; sub %%rcx, %%rax",
		  v);
	check(!v && LOG_IS(PUSHED(1), POPPED(1), PUSHED(1), POPPED(1)),
	      "CALL and RET");
	ON_DEVICE("lea 1f(%%rip), %%rcx; xor %%eax, %%eax; call *%%rcx\n"
		  "jmp 2f; 1: inc %%eax; ret $16\n2:",
		  v);
	check(v == 1 && LOG_IS(PUSHED(1), POPPED(1)), "indirect CALL, RET n");
	ON_DEVICE("mov $5, %%ebp; enter $32, $0; mov %%rbp, %%rax; leave\n"
		  "sub %%rsp, %%rax; add %%rbp, %%rax",
		  v);
	check(v == (reg_t)-8 + 5 && LOG_IS(PUSHED(1), POPPED(1)),
	      "ENTER and LEAVE: %x", v);
	/* a display of two: rbp at STACK - 64, its frame pointer above it */
	*dev64(STACK - 72) = 0x77;
	log_reset();
	ON_DEVICE("lea -64(%%rsp), %%rbp; enter $0, $2; mov %%rbp, %%rax", v);
	check(v == (reg_t)MMIO + STACK - 8 &&
		      LOG_IS(PUSHED(1), RD(8, STACK - 72), PUSHED(2),
			     PUSHED(3)) &&
		      *dev64(STACK - 16) == 0x77,
	      "ENTER that copies a display");
	log_reset();
}

static void test_stack_far(void)
{
	struct {
		uint32_t off;
		uint16_t sel;
	} __attribute__((packed)) ptr;
	uint64_t frame[5] = {0, SEL_CODE64, 2, 0, SEL_DATA};
	reg_t v;

	ON_DEVICE("pushw %%fs; popw %%fs; push %%gs; pop %%gs", v);
	check(LOG_IS(WR(2, STACK - 2), RD(2, STACK - 2), PUSHED(1), POPPED(1)),
	      "PUSH and POP of FS and GS");
	__asm__ volatile("lea 1f(%%rip), %0; jmp 2f; 1: lretl; 2:" : "=r"(v));
	ptr.off = v;
	ptr.sel = SEL_CODE64;
	dev_set(0x100, &ptr, sizeof(ptr));
	ON_DEVICE("mov $0xd0000100, %%ecx; lcall *(%%rcx); mov $3, %%eax", v);
	check(v == 3 && LOG_IS(RD(4, 0x100), RD(2, 0x104), WR(4, STACK - 4),
			       WR(4, STACK - 8), RD(4, STACK - 8),
			       RD(4, STACK - 4)),
	      "far CALL by a pointer in the device, far RET");
	__asm__ volatile("lea 1f(%%rip), %0; jmp 2f\n"
			 "1: mov $9, %%eax; jmp *%%rcx; 2:"
			 : "=r"(v));
	frame[0] = v;
	frame[3] = (reg_t)MMIO + STACK;
	dev_set(STACK - 40, frame, sizeof(frame));
	ON_DEVICE("sub $40, %%rsp; lea 1f(%%rip), %%rcx; iretq; 1:", v);
	check((uint32_t)v == 9 && LOG_IS(POPPED(5), POPPED(4), POPPED(3),
					 POPPED(2), POPPED(1)),
	      "IRET");
}

/* Operand and stack in the device. */
static void test_push_memory(void)
{
	reg_t v;

	*dev64(0x180) = 0xabcdef;
	log_reset();
	ON_DEVICE("mov $0xd0000180, %%ecx; pushq (%%rcx)\n"
		  "popq 8(%%rcx); mov 8(%%rcx), %%eax",
		  v);
	check(v == 0xabcdef && LOG_IS(RD(8, 0x180), PUSHED(1), POPPED(1),
				      WR(8, 0x188), RD(4, 0x188)),
	      "PUSH and POP of memory");
}

/* ---- ports ---- */

static void ins(unsigned int size, void *to, reg_t n, bool down)
{
	if (down)
		__asm__ volatile("std" ::: "cc");
	if (size == 1)
		__asm__ volatile("rep insb; cld"
				 : "+D"(to), "+c"(n)
				 : "d"((uint16_t)PORT)
				 : "memory");
	else
		__asm__ volatile("rep insl; cld"
				 : "+D"(to), "+c"(n)
				 : "d"((uint16_t)PORT)
				 : "memory");
	check(!n, "REP INS counts to zero");
}

static void outs(unsigned int size, const void *from, reg_t n, bool down)
{
	if (down)
		__asm__ volatile("std" ::: "cc");
	if (size == 1)
		__asm__ volatile("rep outsb; cld"
				 : "+S"(from), "+c"(n)
				 : "d"((uint16_t)PORT));
	else
		__asm__ volatile("rep outsw; cld"
				 : "+S"(from), "+c"(n)
				 : "d"((uint16_t)PORT));
	check(!n, "REP OUTS counts to zero");
}

static void test_port_strings(void)
{
	static const uint8_t val[4] = {0xd4, 0xc3, 0xb2, 0xa1};

	outl(PORT, 0xa1b2c3d4);
	log_reset();
	ins(4, (void *)(MMIO + 0x200), 3, false);
	check(LOG_IS(IN(4, PORT), WR(4, 0x200), IN(4, PORT), WR(4, 0x204),
		     IN(4, PORT), WR(4, 0x208)) &&
		      dev_same(0x200, val, 4) && dev_same(0x208, val, 4),
	      "REP INSD to the device");
	ins(1, (void *)(MMIO + 0x221), 2, true);
	check(LOG_IS(IN(1, PORT), WR(1, 0x221), IN(1, PORT), WR(1, 0x220)),
	      "REP INSB downwards");
	outs(2, (void *)(MMIO + 0x200), 3, false);
	check(LOG_IS(RD(2, 0x200), OUT(2, PORT), RD(2, 0x202), OUT(2, PORT),
		     RD(2, 0x204), OUT(2, PORT)) &&
		      inw(PORT) == 0xc3d4,
	      "REP OUTSW from the device");
	log_reset();
	outs(1, (void *)(MMIO + 0x203), 2, true);
	check(LOG_IS(RD(1, 0x203), OUT(1, PORT), RD(1, 0x202), OUT(1, PORT)) &&
		      inb(PORT) == 0xb2,
	      "REP OUTSB downwards");
	log_reset();
}

/* ---- from RAM into the device: WINDOW + 0x1000 ---- */

static void window(void)
{
	boot_pml4[1] = (uint64_t)pdpt1 | P | RW | USER;
	pdpt1[0] = (uint64_t)pd1 | P | RW | USER;
	pd1[0] = (uint64_t)pt1 | P | RW | USER;
	pt1[0] = FRAME | P | RW | USER;
	pt1[1] = DEV_MMIO | P | RW | USER;
	write_cr3(read_cr3());
}

static void test_straddle(void)
{
	uint8_t *edge = (uint8_t *)WINDOW + 0x1000;
	const void *src = ram;
	void *dst = edge - 6;
	reg_t n = 3;

	for (int i = 0; i < 64; i++)
		ram[i] = 0x10 + i;
	log_reset();
	__asm__ volatile("rep movsl"
			 : "+S"(src), "+D"(dst), "+c"(n)
			 :
			 : "memory");
	check(LOG_IS(WR(2, 0), WR(4, 2)) && !memcmp(edge - 6, ram, 6) &&
		      dev_same(0, ram + 6, 6),
	      "REP MOVSD from RAM into the device");
	src = edge - 6;
	dst = ram + 128;
	n = 3;
	__asm__ volatile("rep movsl"
			 : "+S"(src), "+D"(dst), "+c"(n)
			 :
			 : "memory");
	check(LOG_IS(RD(2, 0), RD(4, 2)) && !memcmp(ram + 128, ram, 12),
	      "and back");
	dst = edge - 2;
	n = 5;
	__asm__ volatile("rep stosb"
			 : "+D"(dst), "+c"(n)
			 : "a"(0x66)
			 : "memory");
	check(logged(3, LOG_WRITE, 1, 0, 1) && edge[-1] == 0x66, "REP STOSB");
	outl(PORT, 0x04030201);
	log_reset();
	ins(4, edge - 6, 2, false);
	check(LOG_IS(IN(4, PORT), IN(4, PORT), WR(2, 0)) &&
		      !memcmp(edge - 6, "\1\2\3\4\1\2", 6) &&
		      dev_same(0, "\3\4", 2),
	      "REP INSD from RAM into the device");
	outs(2, edge - 1, 2, false);
	check(LOG_IS(RD(1, 0), OUT(2, PORT), RD(2, 1), OUT(2, PORT)),
	      "REP OUTSW from RAM and the device");
	__asm__ volatile("sgdt %0" : "=m"(edge[-3]));
	__asm__ volatile("sgdt %0" : "=m"(ram[0]));
	check(LOG_IS(WR(7, 0)) && !memcmp(edge - 3, ram, 3) &&
		      dev_same(0, ram + 3, 7),
	      "SGDT half to RAM, half to the device");
	__asm__ volatile("lgdt %0" : : "m"(edge[-3]));
	check(LOG_IS(RD(7, 0)), "and LGDT back");
}

/* A fault in the second page comes before the device sees anything. */
static void half_lgdt(reg_t at, reg_t unused)
{
	__asm__ volatile("sgdt (%0)" : : "r"(at) : "memory");
}

static void test_fault_first(void)
{
	reg_t at = WINDOW + 0x2000 - 3;

	pt1[2] = 0;
	invlpg((void *)(WINDOW + 0x2000));
	log_reset();
	check(try_call(half_lgdt, at, 0) == 14 &&
		      caught_cr2 == WINDOW + 0x2000 && inl(DEV_LOG_COUNT) == 0,
	      "a page fault comes before the first access");
}

/* ---- register images ---- */

static void xmm_set(uint64_t v)
{
	__asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm7; movq %0, %%xmm15"
			 :
			 : "r"(v));
}

static uint64_t xmm_get(void)
{
	uint64_t v;

	__asm__ volatile("movq %%xmm15, %0" : "=r"(v));
	return v;
}

static void test_fxsave(void)
{
	uint32_t mxcsr = 0x1fc0, was;

	write_cr4(read_cr4() | CR4_OSFXSR);
	__asm__ volatile("fninit; fld1; fldpi; ldmxcsr %0" : : "m"(mxcsr));
	xmm_set(0x1122334455667788);
	memset(ram, 0, 512);
	dev_set(0x200, ram, 512);
	__asm__ volatile("fxsave %0" : "=m"(ram[0]) : : "memory");
	__asm__ volatile("fxsave %0" : "=m"(MMIO[0x200]) : : "memory");
	check(covered(LOG_WRITE, 0x200, 416) && dev_same(0x200, ram, 512),
	      "FXSAVE");
	xmm_set(0);
	mxcsr = 0x1f80;
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fxrstor %0" : : "m"(MMIO[0x200]));
	check(covered(LOG_READ, 0x200, 416), "FXRSTOR reads once");
	__asm__ volatile("stmxcsr %0; fxsave %1" : "=m"(was), "=m"(ram[512]));
	check(was == 0x1fc0 && xmm_get() == 0x1122334455667788 &&
		      !memcmp(ram, ram + 512, 416),
	      "FXRSTOR restores");
	__asm__ volatile("fnstenv %0" : "=m"(MMIO[0x20]) : : "memory");
	check(covered(LOG_WRITE, 0x20, 28), "FNSTENV");
	__asm__ volatile("fldenv %0" : : "m"(MMIO[0x20]));
	check(covered(LOG_READ, 0x20, 28), "FLDENV");
	__asm__ volatile("fninit");
}

static bool xsave_start(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[2] >> 26 & 1))
		return false;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	cpuid(13, 0, r);
	__asm__ volatile("xsetbv" : : "c"(0), "a"(r[0] & 7), "d"(0));
	return true;
}

static void test_xsave(void)
{
	uint32_t accesses;

	if (!xsave_start())
		return;
	memset(ram, 0, 2048);
	dev_set(0x200, ram, 1024);
	__asm__ volatile("fninit; fld1");
	xmm_set(0x8877665544332211);
	__asm__ volatile("xsave64 %0" : "=m"(ram[0]) : "a"(3), "d"(0));
	log_reset();
	__asm__ volatile("xsave64 %0" : "=m"(MMIO[0x200]) : "a"(3), "d"(0));
	accesses = inl(DEV_LOG_COUNT);
	/* x87 3 + 16, SSE 32, MXCSR 1, the header read and written */
	check(accesses == 54 && dev_same(0x200, ram, 576), "XSAVE: %d accesses",
	      (int)accesses);
	xmm_set(0);
	log_reset();
	__asm__ volatile("fninit; xrstor64 %0"
			 :
			 : "m"(MMIO[0x200]), "a"(3), "d"(0));
	accesses = inl(DEV_LOG_COUNT);
	check(accesses == 8 + 52 && xmm_get() == 0x8877665544332211,
	      "XRSTOR: %d accesses", (int)accesses);
	__asm__ volatile("xsave64 %0" : "=m"(ram[1024]) : "a"(3), "d"(0));
	check(!memcmp(ram, ram + 1024, 576), "and all is back");
	*dev64(0x200 + 512) = 1ULL << 62; /* no such component */
	log_reset();
}

static void bad_xrstor(reg_t at, reg_t unused)
{
	__asm__ volatile("xrstor64 (%0)" : : "r"(at), "a"(3), "d"(0));
}

static void test_bad_xrstor(void)
{
	if (!(read_cr4() & CR4_OSXSAVE))
		return;
	check(try_call(bad_xrstor, (reg_t)MMIO + 0x200, 0) == 13 &&
		      covered(LOG_READ, 0x400, 64),
	      "XRSTOR of a bad header reads no more than that");
}

static void test_gather(void)
{
	static const uint32_t index[4] = {3, 1, 1, 0};
	uint32_t got[4], r[4];

	cpuid(7, 0, r);
	if (!(read_cr4() & CR4_OSXSAVE) || !(r[1] >> 5 & 1))
		return;
	for (int i = 0; i < 4; i++)
		((volatile uint32_t *)MMIO)[i] = 0x100 + i;
	log_reset();
	__asm__ volatile("vmovdqu %1, %%xmm1\n"
			 "vpcmpeqd %%xmm2, %%xmm2, %%xmm2\n"
			 "vpgatherdd %%xmm2, (%2,%%xmm1,4), %%xmm0\n"
			 "vmovdqu %%xmm0, %0"
			 : "=m"(got)
			 : "m"(index), "r"(MMIO));
	check(LOG_IS(RD(4, 12), RD(4, 4), RD(4, 4), RD(4, 0)) &&
		      got[0] == 0x103 && got[1] == 0x101 && got[2] == 0x101 &&
		      got[3] == 0x100,
	      "VPGATHERDD, one address twice");
}

static void test_cmpxchg16(void)
{
	uint64_t lo = 5, hi = 6;
	bool ok;

	*dev64(0x300) = 5;
	*dev64(0x308) = 6;
	log_reset();
	__asm__ volatile("lock cmpxchg16b %1; setz %0"
			 : "=q"(ok), "+m"(MMIO[0x300]), "+a"(lo), "+d"(hi)
			 : "b"(7ULL), "c"(8ULL)
			 : "memory", "cc");
	check(ok &&
		      LOG_IS(RD(8, 0x300), RD(8, 0x308), WR(8, 0x300),
			     WR(8, 0x308)) &&
		      *dev64(0x308) == 8,
	      "CMPXCHG16B");
	log_reset();
}

/* ---- where a processor of KVM gives up ---- */

static void touch(reg_t at, reg_t unused)
{
	(void)*(volatile uint8_t *)at;
}

static void test_refusals(void)
{
	/* tables in the device: nothing is mapped by them */
	pd1[1] = DEV_MMIO | P | RW;
	for (int i = 0; i < 8; i++)
		MMIO[i] = 0xff;
	log_reset();
	check(try_call(touch, WINDOW + 0x200000, 0) == 14 &&
		      caught.error == 0 && inl(DEV_LOG_COUNT) == 0,
	      "a page table in the device: %x", caught.error);
	/* user code in the device ends itself only */
	check(user_call(WINDOW + 0x1000, WINDOW + 0x800, 0, 0) == 6 &&
		      caught.ip == WINDOW + 0x1000,
	      "CPL 3 code in the device is #UD");
}

void setup(void)
{
	window();
}

const struct test tests[] = {
	{"segment", test_store_segment,
	 "SDM 2 \"MOV - Move\": a segment register to memory is 16 bits",
	 NEEDS_RUNNER},
	{"tables", test_table_registers,
	 "SDM 2 \"LGDT/LIDT\", \"SGDT\", \"SIDT\": ten bytes", NEEDS_RUNNER},
	{"gdt", test_gdt,
	 "SDM 3A \"Segment Descriptor Tables\": in device memory",
	 NEEDS_RUNNER},
	{"stack", test_stack, "SDM 1 \"Stacks\": in device memory",
	 NEEDS_RUNNER},
	{"stack-far", test_stack_far,
	 "SDM 1 \"Far CALL and RET Operation\": on a stack in device memory",
	 NEEDS_RUNNER},
	{"push", test_push_memory,
	 "SDM 2 \"PUSH\", \"POP\", \"CALL\", \"JMP\": operands in device "
	 "memory",
	 NEEDS_RUNNER},
	{"port-strings", test_port_strings,
	 "SDM 2 \"INS\", \"OUTS\": strings in device memory", NEEDS_RUNNER},
	{"straddle", test_straddle,
	 "SDM 3A \"Page-Fault Exceptions\": operands partly in device memory",
	 NEEDS_RUNNER},
	{"fault-first", test_fault_first,
	 "SDM 3A \"Exception Classifications\": nothing is accessed before a "
	 "fault",
	 NEEDS_RUNNER},
	{"fxsave", test_fxsave,
	 "SDM 2 \"FXSAVE\", \"FXRSTOR\": in device memory", NEEDS_RUNNER},
	{"xsave", test_xsave,
	 "SDM 1 \"Operation of XSAVE\", \"Operation of XRSTOR\": in device "
	 "memory",
	 NEEDS_RUNNER},
	{"xrstor-bad", test_bad_xrstor,
	 "SDM 1 \"Operation of XRSTOR\": #GP for a reserved header, after "
	 "reading it",
	 NEEDS_RUNNER},
	{"gather", test_gather,
	 "SDM 2 \"VPGATHERDD/VPGATHERQD\": elements in device memory",
	 NEEDS_RUNNER},
	{"cmpxchg16", test_cmpxchg16,
	 "SDM 2 \"CMPXCHG8B/CMPXCHG16B\": in device memory", NEEDS_RUNNER},
	{"refusals", test_refusals,
	 "KVM \"KVM_EXIT_INTERNAL_ERROR\": what is not done on device "
	 "memory",
	 NEEDS_RUNNER},
	{NULL},
};
