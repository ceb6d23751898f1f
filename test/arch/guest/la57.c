/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 5-level paging: into it and back, addresses of 57 bits, the entries of the
 * fifth level. SDM 3A "4-Level Paging and 5-Level Paging", "Control
 * Registers".
 */
#include "test/arch/guest/arch.h"

#define P  1ULL
#define RW 2ULL
#define A  0x20ULL
#define PS 0x80ULL
#define NX (1ULL << 63)

#define CR0_WP   0x10000
#define CR4_LA57 0x1000

#define WINDOW (1UL << 48) /* PML5[1] */
#define FRAME  0x800000UL
#define FRAME2 0xa00000UL

extern uint64_t boot_pml4[512];
static uint64_t pml5[512] __attribute__((aligned(4096)));
static uint64_t pml4[512] __attribute__((aligned(4096)));
static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));

/* Load both registers with paging off, from a 32-bit code segment. */
void set_paging(reg_t cr3, reg_t cr4);
__asm__(".globl set_paging\n"
	"set_paging:\n"
	"	push	%rbx; push %rbp; push %r12; push %r13\n"
	"	push	%r14; push %r15\n"
	"	pushq	$0x08\n"
	"	push	$1f\n"
	"	lretq\n"
	"	.code32\n"
	"1:	mov	%cr0, %eax\n"
	"	and	$0x7fffffff, %eax\n"
	"	mov	%eax, %cr0\n"
	"	mov	%esi, %cr4\n"
	"	mov	%edi, %cr3\n"
	"	or	$0x80000000, %eax\n"
	"	mov	%eax, %cr0\n"
	"	ljmp	$0x18, $2f\n"
	"	.code64\n"
	"2:	pop	%r15; pop %r14; pop %r13\n"
	"	pop	%r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static bool missing(void)
{
	uint32_t r[4];

	cpuid(7, 0, r);
	if (!(r[2] >> 16 & 1))
		skip("the processor has no 5-level paging");
	return !(r[2] >> 16 & 1);
}

static void enter(void)
{
	pml5[0] = (reg_t)boot_pml4 | P | RW;
	pml5[1] = (reg_t)pml4 | P | RW;
	pml4[0] = (reg_t)pdpt | P | RW;
	pdpt[0] = (reg_t)pd | P | RW;
	pd[0] = FRAME | P | RW | PS;
	set_paging((reg_t)pml5, read_cr4() | CR4_LA57);
}

static void leave(void)
{
	set_paging((reg_t)boot_pml4, read_cr4() & ~(reg_t)CR4_LA57);
}

static unsigned int load(reg_t at)
{
	extern char load_byte[];

	return try_call(load_byte, at, 0);
}
__asm__("load_byte: movzbl (%rdi), %eax; ret\n"
	"store_byte: movb $7, (%rdi); ret\n");

static unsigned int store(reg_t at)
{
	extern char store_byte[];

	return try_call(store_byte, at, 0);
}

static bool faults(unsigned int vector, reg_t error, reg_t at)
{
	return vector == 14 && caught.error == error && caught_cr2 == at;
}

static void test_change(void)
{
	if (missing())
		return;
	check(try_call(write_cr4, read_cr4() | CR4_LA57, 0) == 13 &&
		      !caught.error,
	      "CR4.LA57 cannot be set in 64-bit mode");
	enter();
	check(read_cr4() & CR4_LA57, "but with paging off");
	check(try_call(write_cr4, read_cr4() & ~(reg_t)CR4_LA57, 0) == 13 &&
		      !caught.error,
	      "nor cleared");
	leave();
	check(!(read_cr4() & CR4_LA57), "and back");
}

static void test_reach(void)
{
	if (missing())
		return;
	*(volatile uint32_t *)(FRAME + 0x123456) = 0x11223344;
	check(load(WINDOW) == 13 && !caught.error,
	      "with four levels bit 48 is not canonical");
	enter();
	check(*(volatile uint32_t *)(WINDOW + 0x123456) == 0x11223344,
	      "with five it is an address");
	*(volatile uint32_t *)(WINDOW + 0x123456) = 5;
	check(*(volatile uint32_t *)(FRAME + 0x123456) == 5, "stores as well");
	leave();
	check(load(WINDOW) == 13, "and back");
}

static void test_canonical(void)
{
	if (missing())
		return;
	enter();
	check(load(1UL << 56) == 13 && !caught.error, "bit 56 alone is #GP");
	check(load(0xfeffffffffffffff) == 13, "bits 63 to 57 must equal it");
	check(faults(load(0xff00000000000000), 0, 0xff00000000000000),
	      "the lowest address of the upper half");
	check(faults(load((1UL << 56) - 1), 0, (1UL << 56) - 1),
	      "the highest of the lower half");
	check(faults(load(0xffff7fffffffffff), 0, 0xffff7fffffffffff),
	      "no hole where four levels have theirs");
	leave();
}

static void test_entries(void)
{
	if (missing())
		return;
	enter();
	load(WINDOW);
	check(pml5[1] & A, "A is set in the fifth level");
	pml5[1] = (reg_t)pml4 | RW;
	invlpg((void *)WINDOW);
	check(faults(load(WINDOW + 8), 0, WINDOW + 8), "P");
	pml5[1] = (reg_t)pml4 | P | RW | PS;
	check(faults(load(WINDOW), 9, WINDOW), "PS is reserved");
	pml5[1] = (reg_t)pml4 | P;
	write_cr0(read_cr0() | CR0_WP);
	check(faults(store(WINDOW), 3, WINDOW), "R/W");
	check(load(WINDOW) == NO_FAULT, "which says nothing of loads");
	pml5[1] = (reg_t)pml4 | P | RW | NX;
	write_cr3(read_cr3());
	check(faults(try_call((void *)WINDOW, 0, 0), 0x11, WINDOW), "XD");
	leave();
}

static void test_invalidation(void)
{
	if (missing())
		return;
	*(volatile uint8_t *)FRAME = 1;
	*(volatile uint8_t *)FRAME2 = 2;
	enter();
	check(*(volatile uint8_t *)WINDOW == 1, "one frame");
	pd[0] = FRAME2 | P | RW | PS;
	invlpg((void *)WINDOW);
	check(*(volatile uint8_t *)WINDOW == 2, "INVLPG takes 57 bits");
	pd[0] = FRAME | P | RW | PS;
	write_cr3(read_cr3());
	check(*(volatile uint8_t *)WINDOW == 1, "CR3");
	leave();
}

void setup(void)
{
}

const struct test tests[] = {
	{"change", test_change,
	 "SDM 3A \"Control Registers\": CR4.LA57 in IA-32e mode"},
	{"reach", test_reach, "SDM 3A \"4-Level Paging and 5-Level Paging\""},
	{"canonical", test_canonical,
	 "SDM 1 \"Canonical Addressing\": 57 bits"},
	{"entries", test_entries,
	 "SDM 3A \"4-Level Paging and 5-Level Paging\": Format of a PML5 "
	 "Entry"},
	{"invalidation", test_invalidation,
	 "SDM 3A \"Operations that Invalidate TLBs and Paging-Structure "
	 "Caches\""},
	{NULL},
};
