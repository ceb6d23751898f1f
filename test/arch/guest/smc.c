/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Self-modifying and cross-modifying code on one processor: SDM 3A
 * "Self-Modifying Code" (11.6). Stores through any mapping of a page must be
 * seen by the next branch to it; also inside the running block, in loops, on
 * the second page of an instruction, and by string stores.
 */
#include "test/arch/guest/arch.h"

#define P  1ULL
#define RW 2ULL

#define WINDOW 0x8000000000UL /* PML4[1], pages mapped at will */
#define FRAME  0x800000UL     /* frames seen one to one as well */

extern uint64_t boot_pml4[512];
static uint64_t pdpt1[512] __attribute__((aligned(4096)));
static uint64_t pd1[512] __attribute__((aligned(4096)));
static uint64_t pt1[512] __attribute__((aligned(4096)));

typedef unsigned int code_fn(void);

/* mov eax, imm32; ret */
static void put_fn(uint8_t *p, uint32_t val)
{
	p[0] = 0xb8;
	memcpy(p + 1, &val, 4);
	p[5] = 0xc3;
}

static unsigned int call(volatile void *p)
{
	code_fn *volatile f = (code_fn *)p;

	return f();
}

static void map(unsigned int n, uint64_t frame)
{
	pt1[n] = frame | P | RW;
	invlpg((void *)(WINDOW + 0x1000UL * n));
}

static uint8_t *frame(unsigned int n)
{
	return (uint8_t *)(FRAME + 0x1000UL * n);
}

/* ---- cases ---- */

static void test_rewrite(void)
{
	uint8_t *p = frame(0);
	bool same = true;

	for (uint32_t i = 0; i < 1000; i++) {
		put_fn(p, i * 3);
		same &= call(p) == i * 3;
	}
	check(same, "a function rewritten and called 1000 times");
}

/* Only the immediate changes, by stores of each size. */
static void test_sizes(void)
{
	uint8_t *p = frame(0) + 64;
	bool same = true;

	put_fn(p, 0);
	for (uint32_t i = 1; i < 200; i++) {
		*(volatile uint8_t *)(p + 1) = i;
		same &= (call(p) & 0xff) == (i & 0xff);
		*(volatile uint16_t *)(p + 2) = i;
		same &= (call(p) >> 8 & 0xffff) == i;
		*(volatile uint32_t *)(p + 1) = i * 0x01010101;
		same &= call(p) == i * 0x01010101;
		*(volatile uint64_t *)p = 0xc300000000b8 | (uint64_t)i << 8;
		same &= call(p) == i;
	}
	check(same, "patched by 1, 2, 4 and 8 bytes");
}

static void test_locked(void)
{
	uint8_t *p = frame(0) + 128;
	volatile uint32_t *imm = (volatile uint32_t *)(p + 1);
	bool same = true;

	put_fn(p, 0);
	for (uint32_t i = 1; i < 200; i++) {
		__asm__ volatile("lock incl %0" : "+m"(*imm));
		same &= call(p) == i;
	}
	check(same, "patched by LOCK INC");
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t v = i;

		__asm__ volatile("xchg %0, %1" : "+m"(*imm), "+r"(v));
		same &= call(p) == i;
	}
	check(same, "patched by XCHG");
}

static void test_string_store(void)
{
	uint8_t *p = frame(0) + 192, from[6];
	bool same = true;

	for (uint32_t i = 0; i < 200; i++) {
		put_fn(from, i);
		memcpy(p, from, 6); /* rep movsb */
		same &= call(p) == i;
		memset(p + 1, i, 4); /* rep stosb */
		same &= call(p) == (i & 0xff) * 0x01010101;
	}
	check(same, "patched by REP MOVSB and REP STOSB");
}

static void test_push(void)
{
	uint8_t *p = frame(0) + 256;
	uint64_t code = 0xc300000000b8;
	bool same = true;

	for (uint64_t i = 0; i < 100; i++) {
		reg_t sp = (reg_t)p + 8;

		__asm__ volatile("xchg %%rsp, %0; push %1; xchg %%rsp, %0"
				 : "+r"(sp)
				 : "r"(code | i << 8)
				 : "memory");
		same &= call(p) == i;
	}
	check(same, "patched by PUSH");
}

static void test_alias(void)
{
	uint8_t *a = (uint8_t *)WINDOW, *b = (uint8_t *)WINDOW + 0x1000;
	bool same = true;

	map(0, (uint64_t)frame(1));
	map(1, (uint64_t)frame(1));
	for (uint32_t i = 0; i < 300; i++) {
		put_fn(i % 3 == 0 ? a : i % 3 == 1 ? b : frame(1), i);
		same &= call(a) == i && call(b) == i && call(frame(1)) == i;
	}
	check(same, "one frame at three addresses, written through each");
}

static void test_remap(void)
{
	uint8_t *a = (uint8_t *)WINDOW;
	bool same = true;

	put_fn(frame(2), 2);
	put_fn(frame(3), 3);
	for (int i = 0; i < 300; i++) {
		map(0, (uint64_t)frame(2 + i % 2));
		same &= call(a) == 2 + (unsigned int)i % 2;
	}
	check(same, "one address, two frames in turn");
}

/* mov eax, imm32 starts on one page and ends on the next. */
static void test_two_pages(void)
{
	uint8_t *a = (uint8_t *)WINDOW + 0xffe;
	bool same = true;

	map(0, (uint64_t)frame(4));
	map(1, (uint64_t)frame(6));
	put_fn(a, 0x11223344);
	same &= call(a) == 0x11223344;
	for (uint32_t i = 0; i < 100; i++) {
		frame(6)[0] = i; /* byte 1 of the immediate */
		same &= call(a) == (0x11220044 | i << 8);
		frame(4)[0xfff] = i;
		same &= call(a) == (0x11220000 | i << 8 | i);
		frame(4)[0xfff] = 0x44;
	}
	check(same, "an instruction across pages, each half patched");
	memcpy(frame(7), frame(6), 4096);
	frame(7)[0] = 0x77;
	frame(6)[0] = 0x66;
	for (int i = 0; i < 100; i++) {
		map(1, (uint64_t)frame(i % 2 ? 7 : 6));
		same &= (call(a) >> 8 & 0xff) == (i % 2 ? 0x77 : 0x66);
	}
	check(same, "and with its second page mapped elsewhere");
}

/* A branch whose target page changes under it. */
static void test_jump_remap(void)
{
	uint8_t *a = (uint8_t *)WINDOW, *b = a + 0x1000;
	bool same = true;
	int32_t rel = (int32_t)(b - (a + 5));

	map(0, (uint64_t)frame(8));
	a[0] = 0xe9;
	memcpy(a + 1, &rel, 4);
	put_fn(frame(9), 9);
	put_fn(frame(10), 10);
	for (int i = 0; i < 300; i++) {
		map(1, (uint64_t)frame(9 + i % 2));
		same &= call(a) == 9 + (unsigned int)i % 2;
	}
	check(same, "a direct jump to a page that is mapped anew");
}

/*
 * The store is in the same straight line as what it changes: the next
 * instruction, then one further on. Intel and AMD see it at once.
 */
extern char patch1[], patch1_at[], patch2[], patch2_at[], patch3[], patch3_at[],
	patch3_loop[];
__asm__(".text\n"
	".balign 64\n"
	"patch1: mov $0, %eax\n"
	" movl %edi, 1+patch1_at\n"
	"patch1_at: mov $0x12345678, %eax\n ret\n"
	".balign 64\n"
	"patch2: movl %edi, 1+patch2_at\n nop\n nop\n xor %eax, %eax\n"
	" add $1, %ecx\n nop\n"
	"patch2_at: mov $0x12345678, %eax\n ret\n"
	".balign 64\n"
	/* each turn increments the immediate it adds */
	"patch3: mov $10, %ecx\n xor %eax, %eax\n movl $0, 1+patch3_at\n"
	"patch3_loop: incl 1+patch3_at\n"
	"patch3_at: .byte 0x05; .long 0\n dec %ecx\n jnz patch3_loop\n ret\n"
	".balign 64\n");

static void test_same_block(void)
{
	unsigned int (*f1)(unsigned int) = (void *)patch1;
	unsigned int (*f2)(unsigned int) = (void *)patch2;
	code_fn *f3 = (void *)patch3;
	bool same1 = true, same2 = true, same3 = true;

	for (unsigned int i = 0; i < 100; i++) {
		same1 &= f1(i) == i;
		same2 &= f2(i ^ 0x5555) == (i ^ 0x5555);
		same3 &= f3() == 55;
	}
	check(same1, "a store to the next instruction");
	check(same2, "a store to an instruction of the same line");
	check(same3, "a loop that changes its own body each turn");
}

/* The store makes a branch of what follows. */
static void test_becomes_jump(void)
{
	uint8_t *p = frame(11);
	bool same = true;

	/* mov byte [rip+1], edi-low ; jmp +0/+5 ; mov eax,1 ; ret... */
	static const uint8_t code[] = {
		0x40, 0x88, 0x3d, 0x01, 0, 0,    0, /* mov [rip+1], dil */
		0xeb, 0x00,                         /* jmp +dil */
		0xb8, 1,    0,    0,    0, 0xc3,    /* mov eax,1; ret */
		0xb8, 2,    0,    0,    0, 0xc3,    /* mov eax,2; ret */
	};
	unsigned int (*f)(unsigned int) = (void *)p;

	memcpy(p, code, sizeof(code));
	for (int i = 0; i < 100; i++)
		same &= f(i & 1 ? 6 : 0) == (i & 1 ? 2u : 1u);
	check(same, "a store to the displacement of the next jump");
}

/* Data and code in one page: stores that hit no code. */
static void test_mixed_page(void)
{
	uint8_t *p = frame(12);
	volatile uint64_t *data = (volatile uint64_t *)(p + 2048);
	uint64_t sum = 0;

	put_fn(p, 7);
	for (uint64_t i = 0; i < 2000; i++) {
		*data = i;
		sum += call(p) + *data;
	}
	check(sum == 2000 * 7 + 1999 * 1000, "code and busy data share a page");
}

/* What was code becomes data and code again, with exceptions in between. */
static void test_reuse(void)
{
	uint8_t *p = frame(13);
	bool same = true;

	for (uint32_t i = 0; i < 100; i++) {
		put_fn(p, i);
		same &= call(p) == i;
		p[0] = 0x0f; /* ud2 */
		p[1] = 0x0b;
		same &= try_call(p, 0, 0) == 6 && caught.ip == (reg_t)p;
	}
	check(same, "code turned into UD2 and back");
}

/* Long code, so that many blocks lie in what is rewritten. */
static void test_large(void)
{
	uint8_t *p = frame(16);
	bool same = true;

	for (uint32_t round = 1; round < 6; round++) {
		for (unsigned int i = 0; i < 16 * 4096 - 16; i += 8) {
			/* add eax, imm8; jmp +3 */
			static const uint8_t step[] = {0x83, 0xc0, 0, 0xeb, 3};

			memcpy(p + i, step, 5);
			p[i + 2] = round;
		}
		p[16 * 4096 - 16] = 0xc3;
		same &= try_call(p, 0, 0) == NO_FAULT;
		__asm__ volatile("xor %%eax, %%eax; call *%1; mov %%eax, %0"
				 : "=m"(*(uint32_t *)frame(15))
				 : "r"(p)
				 : "rax", "memory");
		same &= *(uint32_t *)frame(15) == round * (16 * 4096 - 16) / 8;
	}
	check(same, "64 KiB of code rewritten five times");
}

static void put_ret(reg_t p, reg_t unused)
{
	*(volatile uint8_t *)p = 0xc3;
}

/* A write-protected code page: the store faults and changes nothing. */
static void test_read_only(void)
{
	uint8_t *a = (uint8_t *)WINDOW;

	map(0, (uint64_t)frame(14));
	put_fn(a, 5);
	call(a);
	write_cr0(read_cr0() | 0x10000);
	pt1[0] = (uint64_t)frame(14) | P;
	invlpg(a);
	check(try_call(put_ret, (reg_t)a, 0) == 14 && call(a) == 5,
	      "a store to read-only code faults");
	frame(14)[1] = 6;
	check(call(a) == 6, "while its writable alias works");
}

void setup(void)
{
	boot_pml4[1] = (uint64_t)pdpt1 | P | RW;
	pdpt1[0] = (uint64_t)pd1 | P | RW;
	pd1[0] = (uint64_t)pt1 | P | RW;
}

const struct test tests[] = {
	{"rewrite", test_rewrite,
	 "SDM 3A \"Self-Modifying Code\": a store, a branch, the new code"},
	{"sizes", test_sizes,
	 "SDM 3A \"Self-Modifying Code\": stores of every size"},
	{"locked", test_locked,
	 "SDM 3A \"Self-Modifying Code\": locked stores"},
	{"string-store", test_string_store,
	 "SDM 3A \"Self-Modifying Code\": string stores"},
	{"push", test_push, "SDM 3A \"Self-Modifying Code\": stores by PUSH"},
	{"alias", test_alias,
	 "SDM 3A \"Self-Modifying Code\": another linear address of the same "
	 "memory"},
	{"remap", test_remap,
	 "SDM 3A \"Self-Modifying Code\", \"Recommended Invalidation\": "
	 "another frame behind the same address"},
	{"two-pages", test_two_pages,
	 "SDM 3A \"Self-Modifying Code\": an instruction on two pages"},
	{"jump-remap", test_jump_remap,
	 "SDM 3A \"Self-Modifying Code\", \"Recommended Invalidation\": a jump "
	 "between two pages"},
	{"same-block", test_same_block,
	 "SDM 3A \"Self-Modifying Code\": the code behind the store, in one "
	 "run"},
	{"becomes-jump", test_becomes_jump,
	 "SDM 3A \"Self-Modifying Code\": an instruction becomes a branch"},
	{"mixed-page", test_mixed_page,
	 "SDM 3A \"Self-Modifying Code\": code and data on a page"},
	{"reuse", test_reuse,
	 "SDM 3A \"Self-Modifying Code\": the same page filled again and "
	 "again"},
	{"large", test_large, "SDM 3A \"Self-Modifying Code\": many functions"},
	{"read-only", test_read_only,
	 "SDM 3A \"Self-Modifying Code\", \"Access Rights\": code that is "
	 "read-only elsewhere"},
	{NULL},
};
