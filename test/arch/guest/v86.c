/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual-8086 mode: entry by IRET, segments, what IOPL decides, interrupts
 * and exceptions on the way out, the I/O bitmap, CR4.VME. SDM 3B "8086
 * Emulation" (20).
 */
#include "test/arch/guest/arch.h"

#define FLAG_CF   0x1
#define FLAG_IF   0x200
#define FLAG_IOPL 0x3000
#define FLAG_VM   0x20000
#define FLAG_VIF  0x80000
#define FLAG_VIP  0x100000
#define CR4_VME   1

/* Code at 9000:0, stack at 9000:f000, data at a000:0. */
#define SEG_CODE     0x9000
#define SEG_DATA     0xa000
#define LINEAR(s, o) ((volatile uint8_t *)(((s) << 4) + (o)))

struct vframe {
	reg_t ip, cs, flags, sp, ss, es, ds, fs, gs;
};

extern char enter_v86[];
/* unsigned int enter_v86(struct vframe *f, reg_t ax, reg_t dx) */
__asm__(".text\nenter_v86:\n"
	"push %ebx; push %ebp; push %esi; push %edi\n"
	"mov %esp, tss + 4; movl $1f, try_ip; mov %esp, try_sp\n"
	"mov 20(%esp), %esi; mov 24(%esp), %eax; mov 28(%esp), %edx\n"
	"push 32(%esi); push 28(%esi); push 24(%esi); push 20(%esi)\n"
	"push 16(%esi); push 12(%esi); push 8(%esi); push 4(%esi)\n"
	"push (%esi); xor %ecx, %ecx; iret\n"
	"1: mov $0x10, %ecx; mov %ecx, %ds; mov %ecx, %es\n"
	"pop %edi; pop %esi; pop %ebp; pop %ebx; ret\n");

/* What follows struct trap on the stack when VM was set. */
struct after {
	uint32_t es, ds, fs, gs;
};
static struct after segs;
static reg_t depth;

static void keep_segs(struct trap *t)
{
	segs = *(struct after *)(t + 1);
	depth = (reg_t)(t + 1) + sizeof(segs);
	trap_hook[t->vector] = NULL; /* and on to the end of the try */
	caught = *t;
	caught_cr2 = read_cr2();
	{
		reg_t ip = try_ip;

		try_ip = 0;
		__asm__ volatile("mov %0, %%esp; jmp *%1"
				 :
				 : "r"(try_sp), "r"(ip), "a"(t->vector));
	}
}

static unsigned int run(const void *code, unsigned int len, reg_t flags,
			reg_t ax, reg_t dx)
{
	unsigned int (*go)(struct vframe *, reg_t, reg_t) = (void *)enter_v86;
	struct vframe f = {0,        SEG_CODE, flags | FLAG_VM | 2,
			   0xf000,   SEG_CODE, SEG_DATA,
			   SEG_DATA, SEG_DATA, SEG_DATA};
	unsigned int v;

	memcpy((void *)LINEAR(SEG_CODE, 0), code, len);
	for (int i = 0; i < 256; i++)
		trap_hook[i] = keep_segs;
	v = go(&f, ax, dx);
	for (int i = 0; i < 256; i++)
		trap_hook[i] = NULL;
	return v;
}

#define RUN(flags, ax, dx, ...)             \
	run((const uint8_t[]){__VA_ARGS__}, \
	    sizeof((const uint8_t[]){__VA_ARGS__}), flags, ax, dx)

static void test_entry(void)
{
	unsigned int v;

	/* mov bx, cs; mov cx, ds; ud2 */
	v = RUN(0, 0, 0, 0x8c, 0xcb, 0x8c, 0xd9, 0x0f, 0x0b);
	check(v == 6 && caught.flags & FLAG_VM && caught.cs == SEG_CODE &&
		      caught.ip == 4 && caught.ss == SEG_CODE &&
		      caught.sp == 0xf000,
	      "IRET into v8086 mode, an exception out: %x", (reg_t)v);
	check((caught.bx & 0xffff) == SEG_CODE &&
		      (caught.cx & 0xffff) == SEG_DATA,
	      "segment registers hold paragraphs");
	check((segs.es & 0xffff) == SEG_DATA &&
		      (segs.ds & 0xffff) == SEG_DATA &&
		      (segs.fs & 0xffff) == SEG_DATA &&
		      (segs.gs & 0xffff) == SEG_DATA && depth == tss.esp0,
	      "they are pushed before SS: %x %x %x %x", (reg_t)segs.es,
	      (reg_t)segs.ds, (reg_t)segs.fs, (reg_t)segs.gs);
}

static void test_addressing(void)
{
	unsigned int v;

	*(volatile uint16_t *)LINEAR(SEG_DATA, 0x1234) = 0x5678;
	/* mov bx, 0x1000; mov si, 0x200; mov ax, [bx+si+0x34]; ud2 */
	v = RUN(0, 0, 0, 0xbb, 0x00, 0x10, 0xbe, 0x00, 0x02, 0x8b, 0x40, 0x34,
		0x0f, 0x0b);
	check(v == 6 && (caught.ax & 0xffff) == 0x5678, "[bx+si+disp8]: %x",
	      caught.ax);
	/* the sum wraps at 64 KiB: bx = ffff, si = 2 */
	*(volatile uint8_t *)LINEAR(SEG_DATA, 1) = 0x77;
	v = RUN(0, 0, 0, 0xbb, 0xff, 0xff, 0xbe, 0x02, 0x00, 0x8a, 0x00, 0x0f,
		0x0b);
	check(v == 6 && (caught.ax & 0xff) == 0x77, "the offset wraps: %x",
	      caught.ax);
	/* a word at ffff: #GP */
	v = RUN(0, 0, 0, 0xbb, 0xff, 0xff, 0x8b, 0x07, 0x0f, 0x0b);
	check(v == 13 && caught.error == 0 && caught.ip == 3,
	      "a word at ffff is #GP(0): %x", (reg_t)v);
	/* mov eax, 0x10000; mov al, [eax] with 67: beyond the limit */
	v = RUN(0, 0, 0, 0x66, 0xb8, 0, 0, 1, 0, 0x67, 0x8a, 0x00);
	check(v == 13 && caught.ip == 6, "a 32-bit address above ffff is #GP");
	/* mov ax, 0xffff; mov ds, ax; mov al, [0x10]: 1 MiB, no wrap */
	*(volatile uint8_t *)0x100000 = 0x99;
	v = RUN(0, 0, 0, 0xb8, 0xff, 0xff, 0x8e, 0xd8, 0xa0, 0x10, 0x00, 0x0f,
		0x0b);
	check(v == 6 && (caught.ax & 0xff) == 0x99, "ffff:0010 is 1 MiB: %x",
	      caught.ax);
}

static void test_far(void)
{
	unsigned int v;

	memcpy((void *)LINEAR(0x9800, 0x10), "\x8c\xc8\xcb", 3);
	/* lcall 9800:0010 (mov ax, cs; retf); ud2 */
	v = RUN(0, 0, 0, 0x9a, 0x10, 0x00, 0x00, 0x98, 0x0f, 0x0b);
	check(v == 6 && (caught.ax & 0xffff) == 0x9800 &&
		      caught.cs == SEG_CODE && caught.ip == 5,
	      "far call and return: %x", caught.ax);
	/* push to sp = 1 would cross: sp wraps by words only */
	v = RUN(0, 0, 0, 0xbc, 0x00, 0x00, 0x50, 0x0f, 0x0b);
	check(v == 6 && (caught.sp & 0xffff) == 0xfffe, "PUSH at sp 0: %x",
	      caught.sp);
	v = RUN(0, 0, 0, 0xbc, 0x01, 0x00, 0x50, 0x0f, 0x0b);
	check(v == 12 && caught.error == 0, "PUSH at sp 1 is #SS(0): %x",
	      (reg_t)v);
}

/* CLI STI PUSHF POPF INT IRET need IOPL 3; the others do not care. */
static void test_iopl(void)
{
	static const uint8_t insns[][3] = {
		{0xfa}, {0xfb}, {0x9c}, {0x9d}, {0xcd, 0x40}, {0xcf},
	};
	static const char *const names[] = {"CLI",  "STI", "PUSHF",
					    "POPF", "INT", "IRET"};

	for (unsigned int i = 0; i < 6; i++) {
		unsigned int v = run(insns[i], 3, 0, 0, 0);

		check(v == 13 && caught.error == 0 && caught.ip == 0,
		      "%s with IOPL 0 is #GP(0): %x", names[i], (reg_t)v);
	}
	check(RUN(FLAG_IOPL, 0, 0, 0xfb, 0x9c, 0x58, 0xfa, 0x0f, 0x0b) == 6 &&
		      caught.ax & FLAG_IF && !(caught.flags & FLAG_IF),
	      "with IOPL 3 STI, PUSHF and CLI work: %x", caught.ax);
	check(RUN(FLAG_IOPL, 0, 0, 0xb8, 0x01, 0x02, 0x50, 0x9d, 0x0f, 0x0b) ==
			      6 &&
		      caught.flags & FLAG_IF && caught.flags & FLAG_CF &&
		      (caught.flags & FLAG_IOPL) == FLAG_IOPL &&
		      caught.flags & FLAG_VM,
	      "POPF changes IF but not IOPL or VM: %x", caught.flags);
	idt_set(0x40, trap_stub(0x40), 3, 0);
	check(RUN(FLAG_IOPL, 0, 0, 0xcd, 0x40) == 0x40 && caught.ip == 2,
	      "INT n with IOPL 3 goes through the IDT");
	idt_set(0x40, trap_stub(0x40), 0, 0);
	check(RUN(FLAG_IOPL, 0, 0, 0xcd, 0x40) == 13 &&
		      caught.error == 0x40 * 8 + 2,
	      "whose gate needs DPL 3");
	idt_set(3, trap_stub(3), 3, 0);
	check(RUN(0, 0, 0, 0xcc) == 3, "INT3 does not ask for IOPL");
	idt_set(3, trap_stub(3), 0, 0);
}

static void test_privileged(void)
{
	static const uint8_t insns[][3] = {
		{0xf4},
		{0x0f, 0x06}, /* hlt clts */
		{0x0f, 0x20, 0xc0},
		{0x0f, 0x22, 0xc0}, /* mov cr0 */
		{0x0f, 0x30},
		{0x0f, 0x32}, /* msr */
		{0x0f, 0x01, 0x17},
		{0x0f, 0x09}, /* lgdt wbinvd */
	};
	static const uint8_t undefined[][3] = {
		{0x63, 0xc8},       {0x0f, 0x02, 0xc0}, /* arpl lar */
		{0x0f, 0x03, 0xc0}, {0x0f, 0x00, 0xd0}, /* lsl lldt */
		{0x0f, 0x00, 0xc8}, {0x0f, 0x00, 0xe0}, /* str verr */
	};
	bool gp = true, ud = true;

	for (unsigned int i = 0; i < 8; i++)
		gp &= run(insns[i], 3, FLAG_IOPL, 0, 0) == 13 &&
		      !caught.error && caught.ip == 0;
	check(gp, "privileged instructions are #GP(0), whatever IOPL");
	for (unsigned int i = 0; i < 6; i++)
		ud &= run(undefined[i], 3, FLAG_IOPL, 0, 0) == 6;
	check(ud, "ARPL LAR LSL LLDT STR VERR are #UD");
}

/* The bitmap decides even with IOPL 3. */
static struct {
	struct tss tss;
	uint8_t map[0x2001];
} __attribute__((packed)) wide __attribute__((aligned(4096)));

static void test_ports_open(void);

static void test_ports(void)
{
	check(RUN(FLAG_IOPL, 0, DEV_PORT, 0xec, 0x0f, 0x0b) == 13 &&
		      caught.ip == 0,
	      "IN without a bitmap is #GP even with IOPL 3");
	/* the same TSS with a bitmap behind it */
	memset(&wide, 0, sizeof(wide));
	memset(wide.map, 0xff, sizeof(wide.map));
	memcpy(&wide.tss, &tss, sizeof(tss));
	wide.tss.iomap = sizeof(tss);
	wide.map[DEV_PORT / 8] = 0xfe;
	test_ports_open();
}

static void use_tss(void *p, unsigned int size)
{
	reg_t a = (reg_t)p;

	gdt[SEL_TSS / 8] = 0x0000890000000000 | (size - 1) |
			   (uint64_t)(a & 0xffffff) << 16 |
			   (uint64_t)(a >> 24 & 0xff) << 56;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}

static void test_ports_open(void)
{
	static uint8_t stack[1024];

	wide.tss.esp0 = (reg_t)(stack + sizeof(stack));
	use_tss(&wide, sizeof(wide));
	check(RUN(0, 0, DEV_PORT, 0xec, 0x0f, 0x0b) == 6,
	      "IN of an open port with IOPL 0");
	check(RUN(0, 0, DEV_PORT + 1, 0xec, 0x0f, 0x0b) == 13,
	      "IN of a closed one");
	check(RUN(0, 0, DEV_PORT, 0xed, 0x0f, 0x0b) == 13,
	      "IN 16 that ends in a closed one");
	use_tss(&tss, sizeof(tss));
}

/* ---- CR4.VME ---- */

static void test_vme(void)
{
	static struct {
		struct tss tss;
		uint8_t redirect[32], map[0x2001];
	} __attribute__((packed)) t __attribute__((aligned(4096)));
	static uint8_t stack[1024];
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[3] >> 1 & 1)) {
		skip("the processor has no VME");
		return;
	}
	write_cr4(read_cr4() | CR4_VME);
	memcpy(&t.tss, &tss, sizeof(tss));
	t.tss.iomap = offsetof(__typeof__(t), map);
	memset(t.map, 0xff, sizeof(t.map));
	t.tss.esp0 = (reg_t)(stack + sizeof(stack));
	t.redirect[0x41 / 8] = 1 << (0x41 % 8);
	use_tss(&t, sizeof(t));
	/* vector 40 of the program's own table: 9000:0100 */
	*(volatile uint32_t *)(0x40 * 4) = SEG_CODE << 16 | 0x100;
	memcpy((void *)LINEAR(SEG_CODE, 0x100), "\xb9\x34\x12\xcf", 4);
	check(RUN(0, 0, 0, 0xcd, 0x40, 0x0f, 0x0b) == 6 &&
		      (caught.cx & 0xffff) == 0x1234 && caught.ip == 2 &&
		      (caught.sp & 0xffff) == 0xf000,
	      "INT n goes to the program's table: cx %x ip %x", caught.cx,
	      caught.ip);
	check(RUN(0, 0, 0, 0xcd, 0x41) == 13 && caught.ip == 0,
	      "a vector not redirected is #GP with IOPL 0");
	check(RUN(0, 0, 0, 0xfb, 0x9c, 0x58, 0x0f, 0x0b) == 6 &&
		      caught.flags & FLAG_VIF && !(caught.flags & FLAG_IF) &&
		      caught.ax & FLAG_IF,
	      "STI sets VIF, PUSHF shows it as IF: %x flags %x", caught.ax,
	      caught.flags);
	check(RUN(FLAG_VIF, 0, 0, 0xfa, 0x0f, 0x0b) == 6 &&
		      !(caught.flags & FLAG_VIF),
	      "CLI clears VIF");
	check(RUN(FLAG_VIP, 0, 0, 0xfb, 0x0f, 0x0b) == 13 && caught.ip == 0,
	      "STI with VIP set is #GP");
	check(RUN(0, 0, 0, 0xb8, 0x00, 0x02, 0x50, 0x9d, 0x0f, 0x0b) == 6 &&
		      caught.flags & FLAG_VIF,
	      "POPF sets VIF");
	write_cr4(read_cr4() & ~(reg_t)CR4_VME);
	use_tss(&tss, sizeof(tss));
}

/* A hardware interrupt leaves v8086 mode like an exception does. */
static void test_string(void)
{
	unsigned int v;

	memcpy((void *)LINEAR(SEG_DATA, 0x20), "abcdefgh", 8);
	/* mov si,0x20; mov di,0x40; mov cx,8; rep movsb; ud2 */
	v = RUN(0, 0, 0, 0xbe, 0x20, 0, 0xbf, 0x40, 0, 0xb9, 8, 0, 0xf3, 0xa4,
		0x0f, 0x0b);
	check(v == 6 && !memcmp((void *)LINEAR(SEG_DATA, 0x40), "abcdefgh", 8),
	      "REP MOVSB");
	/* std; mov di, 1; mov cx, 2; rep stosw: wraps to ffff, a word there */
	v = RUN(0, 0x1111, 0, 0xfd, 0xbf, 1, 0, 0xb9, 2, 0, 0xf3, 0xab, 0x0f,
		0x0b);
	check(v == 13 && (caught.cx & 0xffff) == 1 &&
		      (caught.di & 0xffff) == 0xffff,
	      "REP STOSW that wraps onto ffff is #GP: cx %x di %x", caught.cx,
	      caught.di);
}

void setup(void)
{
}

const struct test tests[] = {
	{"entry", test_entry, "SDM 3B \"Entering Virtual-8086 Mode\""},
	{"addressing", test_addressing,
	 "SDM 3B \"Address Translation in Real-Address Mode\""},
	{"far", test_far,
	 "SDM 3B \"Enabling Virtual-8086 Mode\": far transfers as in real "
	 "mode"},
	{"string", test_string,
	 "SDM 3B \"Instructions Supported in Real-Address Mode\": strings"},
	{"iopl", test_iopl, "SDM 3B \"Sensitive Instructions\""},
	{"privileged", test_privileged,
	 "SDM 3B \"Protection within a Virtual-8086 Task\""},
	{"ports", test_ports, "SDM 3B \"I/O-Port-Mapped I/O\""},
	{"vme", test_vme,
	 "SDM 3B \"Class 3 - Software Interrupt Handling in Virtual-8086 "
	 "Mode\", \"Protected-Mode Virtual Interrupts\""},
	{NULL},
};
