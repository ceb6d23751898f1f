/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port and memory-mapped I/O as the client of the KVM ABI sees it: sizes,
 * order and number of accesses, string forms, read-modify-write, operands
 * that straddle RAM and device. The test device logs every access.
 */
#include "test/arch/guest/devlog.h"

#define MMIO ((volatile uint8_t *)(reg_t)DEV_MMIO)

#define P  1ULL
#define RW 2ULL

#define WINDOW 0x8000000000UL
#define FRAME  0x800000UL

extern uint64_t boot_pml4[512];
static uint64_t pdpt1[512] __attribute__((aligned(4096)));
static uint64_t pd1[512] __attribute__((aligned(4096)));
static uint64_t pt1[512] __attribute__((aligned(4096)));
static uint8_t buf[4096];

/* ---- ports ---- */

static void test_ports(void)
{
	log_reset();
	outb(DEV_PORT + 1, 0x11);
	check(logged(1, LOG_PIO | LOG_WRITE, 1, DEV_PORT + 1, 0), "OUT 8");
	outw(DEV_PORT + 2, 0x3322);
	check(logged(1, LOG_PIO | LOG_WRITE, 2, DEV_PORT + 2, 0), "OUT 16");
	outl(DEV_PORT + 4, 0x77665544);
	check(logged(1, LOG_PIO | LOG_WRITE, 4, DEV_PORT + 4, 0), "OUT 32");
	check(inb(DEV_PORT + 1) == 0x11 && inw(DEV_PORT + 2) == 0x3322 &&
		      inl(DEV_PORT + 4) == 0x77665544,
	      "IN of each size");
	log_reset();
	check(inl(DEV_PORT + 3) == 0x66554433 &&
		      logged(1, LOG_PIO | LOG_READ, 4, DEV_PORT + 3, 0),
	      "IN from an odd port");
}

/* IN of 8 and 16 bits keeps the rest of RAX, of 32 clears the upper half. */
static void test_merge(void)
{
	uint64_t a = ~0ULL, b = ~0ULL, c = ~0ULL;

	__asm__ volatile("inb %1, %b0"
			 : "+a"(a)
			 : "Nd"((uint16_t)(DEV_PORT + 1)));
	__asm__ volatile("inw %1, %w0"
			 : "+a"(b)
			 : "Nd"((uint16_t)(DEV_PORT + 2)));
	__asm__ volatile("inl %1, %k0"
			 : "+a"(c)
			 : "Nd"((uint16_t)(DEV_PORT + 4)));
	check(a == 0xffffffffffffff11 && b == 0xffffffffffff3322 &&
		      c == 0x77665544,
	      "what IN leaves of RAX: %x %x %x", a, b, c);
	log_reset();
}

static void rep_outs(unsigned int size, const void *p, reg_t n)
{
	uint16_t port = DEV_PORT + 8;

	if (size == 1)
		__asm__ volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(port));
	else if (size == 2)
		__asm__ volatile("rep outsw" : "+S"(p), "+c"(n) : "d"(port));
	else
		__asm__ volatile("rep outsl" : "+S"(p), "+c"(n) : "d"(port));
	if (n)
		die("REP OUTS left a count");
}

static void rep_ins(unsigned int size, void *p, reg_t n)
{
	uint16_t port = DEV_PORT + 8;

	if (size == 1)
		__asm__ volatile("rep insb"
				 : "+D"(p), "+c"(n)
				 : "d"(port)
				 : "memory");
	else if (size == 2)
		__asm__ volatile("rep insw"
				 : "+D"(p), "+c"(n)
				 : "d"(port)
				 : "memory");
	else
		__asm__ volatile("rep insl"
				 : "+D"(p), "+c"(n)
				 : "d"(port)
				 : "memory");
	if (n)
		die("REP INS left a count");
}

static void test_string_ports(void)
{
	static const unsigned int counts[] = {0, 1, 7, 300, 1500};

	for (unsigned int size = 1; size <= 4; size *= 2)
		for (unsigned int i = 0; i < 4; i++) {
			unsigned int n = counts[i];

			rep_outs(size, buf, n);
			check(logged(n, LOG_PIO | LOG_WRITE, size, DEV_PORT + 8,
				     0),
			      "REP OUTS of %d times %d", (int)n, (int)size);
		}
	outl(DEV_PORT + 8, 0xa1b2c3d4);
	log_reset();
	for (unsigned int size = 1; size <= 4; size *= 2) {
		bool same = true;

		memset(buf, 0, sizeof(buf));
		rep_ins(size, buf, 700);
		for (unsigned int i = 0; i < 700 * size; i++)
			same &= buf[i] ==
				(uint8_t)(0xa1b2c3d4 >> 8 * (i % size));
		check(same && buf[700 * size] == 0 &&
			      logged(700, LOG_PIO | LOG_READ, size,
				     DEV_PORT + 8, 0),
		      "REP INS of 700 times %d", (int)size);
	}
}

static void test_backwards(void)
{
	const uint8_t *p = buf + 10;
	uint8_t last;
	reg_t n = 5;

	for (int i = 0; i < 20; i++)
		buf[i] = i;
	__asm__ volatile("std; rep outsb; cld"
			 : "+S"(p), "+c"(n)
			 : "d"((uint16_t)(DEV_PORT + 8)));
	last = inb(DEV_PORT + 8);
	check(p == buf + 5 && n == 0 && last == 6,
	      "REP OUTSB downwards: last byte %x", (reg_t)last);
	log_reset();
}

/* INS into a page that is not there: nothing is lost, nothing read twice. */
static volatile bool mended;

static void mend(struct trap *t)
{
	pt1[1] = (FRAME + 0x1000) | P | RW;
	invlpg((void *)(WINDOW + 0x1000));
	mended = true;
}

static void test_ins_fault(void)
{
	uint8_t *p = (uint8_t *)WINDOW + 0x1000 - 10;
	reg_t n = 20;

	pt1[0] = FRAME | P | RW;
	pt1[1] = 0;
	invlpg((void *)WINDOW);
	invlpg((void *)(WINDOW + 0x1000));
	trap_hook[14] = mend;
	log_reset();
	__asm__ volatile("rep insb"
			 : "+D"(p), "+c"(n)
			 : "d"((uint16_t)(DEV_PORT + 8))
			 : "memory");
	trap_hook[14] = NULL;
	check(mended && logged(20, LOG_PIO | LOG_READ, 1, DEV_PORT + 8, 0),
	      "REP INSB with a page fault on its way reads 20 times");
}

/* ---- memory ---- */

static void test_mmio_sizes(void)
{
	volatile uint64_t *q = (volatile uint64_t *)(MMIO + 0x10);

	*(MMIO + 0x10) = 0x11;
	check(logged(1, LOG_WRITE, 1, 0x10, 0), "MMIO store of 1");
	*(volatile uint16_t *)(MMIO + 0x12) = 0x3322;
	check(logged(1, LOG_WRITE, 2, 0x12, 0), "MMIO store of 2");
	*(volatile uint32_t *)(MMIO + 0x14) = 0x77665544;
	check(logged(1, LOG_WRITE, 4, 0x14, 0), "MMIO store of 4");
	*(volatile uint64_t *)(MMIO + 0x18) = 0x1122334455667788;
	check(covered(LOG_WRITE, 0x18, 8), "MMIO store of 8");
	check(*(MMIO + 0x10) == 0x11 && logged(1, LOG_READ, 1, 0x10, 0) &&
		      *(volatile uint16_t *)(MMIO + 0x12) == 0x3322 &&
		      logged(1, LOG_READ, 2, 0x12, 0) &&
		      *(volatile uint32_t *)(MMIO + 0x14) == 0x77665544 &&
		      logged(1, LOG_READ, 4, 0x14, 0),
	      "MMIO loads of 1, 2, 4");
	check(q[1] == 0x1122334455667788 && covered(LOG_READ, 0x18, 8),
	      "MMIO load of 8");
	*(volatile uint32_t *)(MMIO + 0x21) = 0xdeadbeef;
	check(covered(LOG_WRITE, 0x21, 4), "MMIO store of 4, misaligned");
}

static void test_mmio_insns(void)
{
	volatile uint32_t *p = (volatile uint32_t *)(MMIO + 0x40);
	uint32_t v = 5;
	bool ok;

	*p = 0x80;
	log_reset();
	__asm__ volatile("movzbl %1, %0" : "=r"(v) : "m"(*p));
	check(v == 0x80 && logged(1, LOG_READ, 1, 0x40, 0), "MOVZX");
	__asm__ volatile("movsbl %1, %0" : "=r"(v) : "m"(*p));
	check(v == 0xffffff80 && logged(1, LOG_READ, 1, 0x40, 0), "MOVSX");
	__asm__ volatile("addl $0x7f, %0" : "+m"(*p));
	check(inl(DEV_LOG_COUNT) == 2 &&
		      inl(DEV_LOG_READ) == (LOG_READ | LOG_SIZE(4) | 0x40) &&
		      inl(DEV_LOG_READ) == (LOG_WRITE | LOG_SIZE(4) | 0x40) &&
		      *p == 0xff,
	      "ADD to memory is one load and one store");
	log_reset();
	__asm__ volatile("cmpl $0xff, %1; sete %0" : "=q"(ok) : "m"(*p));
	check(ok && logged(1, LOG_READ, 4, 0x40, 0), "CMP with memory");
	__asm__ volatile("testb $1, %1; setne %0" : "=q"(ok) : "m"(*p));
	check(ok && logged(1, LOG_READ, 1, 0x40, 0), "TEST with memory");
	v = 7;
	__asm__ volatile("xchgl %0, %1" : "+r"(v), "+m"(*p));
	check(v == 0xff && *p == 7, "XCHG");
	v = 3;
	__asm__ volatile("lock xaddl %0, %1" : "+r"(v), "+m"(*p));
	check(v == 7 && *p == 10, "LOCK XADD");
	__asm__ volatile("lock btsl $8, %0" : "+m"(*p));
	check(*p == 0x10a, "LOCK BTS");
	v = 0x10a;
	__asm__ volatile("lock cmpxchgl %2, %0; setz %1"
			 : "+m"(*p), "=q"(ok)
			 : "r"(0x55), "a"(v));
	check(ok && *p == 0x55, "LOCK CMPXCHG");
	__asm__ volatile("notl %0; negl %0; shll $4, %0" : "+m"(*p));
	check(*p == 0x560, "NOT NEG SHL: %x", (reg_t)*p);
	__asm__ volatile("push %1; pop %0" : "=r"(*(reg_t *)buf) : "m"(*p));
	__asm__ volatile("imull $3, %1, %0" : "=r"(v) : "m"(*p));
	check(v == 0x1020, "IMUL from memory");
	log_reset();
}

static void test_mmio_string(void)
{
	const void *src = buf;
	void *dst = (void *)(MMIO + 0x100);
	bool same = true;
	reg_t n = 64;

	for (int i = 0; i < 256; i++)
		buf[i] = i * 7;
	log_reset();
	__asm__ volatile("rep movsl"
			 : "+S"(src), "+D"(dst), "+c"(n)
			 :
			 : "memory");
	check(logged(64, LOG_WRITE, 4, 0x100, 4), "REP MOVSD to the device");
	src = (void *)(MMIO + 0x100);
	dst = buf + 1024;
	n = 256;
	__asm__ volatile("rep movsb"
			 : "+S"(src), "+D"(dst), "+c"(n)
			 :
			 : "memory");
	check(logged(256, LOG_READ, 1, 0x100, 1) &&
		      !memcmp(buf, buf + 1024, 256),
	      "REP MOVSB from the device");
	dst = (void *)(MMIO + 0x200);
	n = 16;
	__asm__ volatile("rep stosw"
			 : "+D"(dst), "+c"(n)
			 : "a"(0xabcd)
			 : "memory");
	check(logged(16, LOG_WRITE, 2, 0x200, 2), "REP STOSW to the device");
	*(MMIO + 0x205) = 0;
	log_reset();
	dst = (void *)(MMIO + 0x200);
	n = 32;
	__asm__ volatile("mov $0xab, %%al; cmpb %%al, (%0)"
			 : "+D"(dst)
			 :
			 : "rax", "cc");
	log_reset();
	__asm__ volatile("repe scasw"
			 : "+D"(dst), "+c"(n)
			 : "a"(0xabcd)
			 : "cc");
	same = logged(3, LOG_READ, 2, 0x200, 2);
	check(same && n == 29, "REPE SCASW stops where it differs");
}

/* An operand half in RAM and half in the device. */
static void test_straddle(void)
{
	volatile uint64_t *p = (void *)(WINDOW + 0xffd);

	pt1[0] = FRAME | P | RW;
	pt1[1] = DEV_MMIO | P | RW;
	invlpg((void *)WINDOW);
	invlpg((void *)(WINDOW + 0x1000));
	log_reset();
	*p = 0x8877665544332211;
	check(*(volatile uint32_t *)(FRAME + 0xffc) >> 8 == 0x332211 &&
		      covered(LOG_WRITE, 0, 5),
	      "a store half to RAM, half to the device");
	check(*p == 0x8877665544332211 && covered(LOG_READ, 0, 5),
	      "and a load");
}

static void test_rom(void)
{
	volatile uint32_t *p = (volatile uint32_t *)(reg_t)DEV_ROM;

	log_reset();
	check(p[1] == 0x5a5a5a5a && inl(DEV_LOG_COUNT) == 0,
	      "a read-only slot is read without an exit");
	p[1] = 1;
	check(logged(1, LOG_WRITE, 4, 0x8004, 0) && p[1] == 0x5a5a5a5a,
	      "and a store to it exits and changes nothing");
}

static void test_nothing(void)
{
	volatile uint32_t *p = (volatile uint32_t *)0xe0000000UL;

	check(*p == 0xffffffff, "nobody's address reads as ones");
	*p = 0;
}

/* The TSS's permission bitmap decides for CPL 3. */
static struct {
	struct tss tss;
	uint8_t map[0x2001];
} __attribute__((packed)) wide __attribute__((aligned(4096)));

static const uint8_t user_code[] = {
	0xec, 0xcd, USER_RETURN, 0x90,        /* in al, dx */
	0xed, 0xcd, USER_RETURN, 0x90,        /* in eax, dx */
	0x66, 0xed, 0xcd,        USER_RETURN, /* in ax, dx */
};

static unsigned int user_in(unsigned int off, uint16_t port)
{
	/* rdx is what user_call() takes as its third argument */
	return user_call(WINDOW + off, WINDOW + 0x800, port, 0);
}

static void test_bitmap(void)
{
	reg_t a = (reg_t)&wide;

	boot_pml4[1] |= 4;
	pdpt1[0] |= 4;
	pd1[0] |= 4;
	pt1[0] = FRAME | P | RW | 4;
	write_cr3(read_cr3());
	memcpy((void *)FRAME, user_code, sizeof(user_code));
	check(user_in(0, DEV_PORT) == 13, "IN at CPL 3 without a bitmap");
	memset(&wide, 0xff, sizeof(wide));
	memset(&wide.tss, 0, sizeof(wide.tss));
	wide.tss.iomap = sizeof(struct tss);
	wide.map[DEV_PORT / 8] = 0xf0; /* four ports are open */
	wide.tss.rsp[0] = (reg_t)(buf + sizeof(buf));
	gdt[SEL_TSS / 8] = 0x0000890000000000 | (sizeof(wide) - 1) |
			   (uint64_t)(a & 0xffffff) << 16 |
			   (uint64_t)(a >> 24 & 0xff) << 56;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
	check(user_in(0, DEV_PORT + 3) == USER_RETURN, "IN of an open port");
	check(user_in(0, DEV_PORT + 4) == 13, "IN of a closed port");
	check(user_in(4, DEV_PORT) == USER_RETURN, "IN 32 of four open ports");
	check(user_in(4, DEV_PORT + 1) == 13,
	      "IN 32 that ends in a closed one");
	check(user_in(8, DEV_PORT + 2) == USER_RETURN &&
		      user_in(8, DEV_PORT + 3) == 13,
	      "IN 16 at the border");
	log_reset();
}

void setup(void)
{
	boot_pml4[1] = (uint64_t)pdpt1 | P | RW;
	pdpt1[0] = (uint64_t)pd1 | P | RW;
	pd1[0] = (uint64_t)pt1 | P | RW;
}

const struct test tests[] = {
	{"ports", test_ports,
	 "SDM 1 \"I/O Address Space\": one access of the operand's size",
	 NEEDS_RUNNER},
	{"merge", test_merge, "SDM 2 \"IN - Input From Port\": the rest of RAX",
	 NEEDS_RUNNER},
	{"string", test_string_ports,
	 "SDM 2 \"INS/INSB/INSW/INSD - Input from Port to String\", "
	 "\"OUTS/OUTSB/OUTSW/OUTSD - Output String to Port\"",
	 NEEDS_RUNNER},
	{"backwards", test_backwards,
	 "SDM 2 \"INS/INSB/INSW/INSD - Input from Port to String\": DF",
	 NEEDS_RUNNER},
	{"ins-fault", test_ins_fault,
	 "SDM 2 \"REP/REPE/REPZ/REPNE/REPNZ - Repeat String Operation "
	 "Prefix\": restart after a fault",
	 NEEDS_RUNNER},
	{"mmio-sizes", test_mmio_sizes, "SDM 1 \"Memory-Mapped I/O\"",
	 NEEDS_RUNNER},
	{"mmio-insns", test_mmio_insns,
	 "SDM 1 \"Memory-Mapped I/O\": any instruction that references memory",
	 NEEDS_RUNNER},
	{"mmio-string", test_mmio_string,
	 "SDM 1 \"Memory-Mapped I/O\": string instructions", NEEDS_RUNNER},
	{"straddle", test_straddle,
	 "SDM 1 \"Ordering I/O\": an operand partly in a device", NEEDS_RUNNER},
	{"rom", test_rom,
	 "KVM \"KVM_SET_USER_MEMORY_REGION\": KVM_MEM_READONLY", NEEDS_RUNNER},
	{"nothing", test_nothing,
	 "KVM \"The kvm_run structure\": KVM_EXIT_MMIO where no memory is",
	 NEEDS_RUNNER},
	{"bitmap", test_bitmap, "SDM 1 \"I/O Permission Bit Map\""},
	{NULL},
};
