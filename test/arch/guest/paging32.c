/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two 32-bit paging modes: two levels with 4 KiB and 4 MiB pages, and PAE
 * with 4 KiB and 2 MiB pages, as a cross product against a naive model; the
 * rules of the PDPTE registers. SDM 3A "32-Bit Paging" (4.3), "PAE Paging"
 * (4.4).
 */
#include "test/arch/guest/access.h"

#define P  1u
#define RW 2u
#define US 4u
#define PS 0x80u

#define PF_P    1
#define PF_W    2
#define PF_U    4
#define PF_RSVD 8
#define PF_I    16

#define CR0_PG   0x80000000u
#define CR0_WP   0x10000
#define CR4_PSE  0x10
#define CR4_PAE  0x20
#define EFER_NXE 0x800

#define WINDOW  0x80000000u
#define USER    0xa0000000u
#define FRAME   0x800000u
#define USER_PA 0xc00000u

static uint32_t pd32[1024] __attribute__((aligned(4096)));
static uint32_t pt32[1024] __attribute__((aligned(4096)));
static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd_low[512] __attribute__((aligned(4096)));
static uint64_t pd_high[512] __attribute__((aligned(4096)));
static uint64_t pt64[512] __attribute__((aligned(4096)));

struct setup {
	bool pae, large, wp, nxe, user;
	bool leaf_nx, upper_nx, rsvd;
	uint32_t leaf, upper;
	enum access access;
};

static bool has_nx;

static int model(const struct setup *s)
{
	bool us, rw, xd;
	int err = 0;

	if (s->access == WRITE)
		err |= PF_W;
	if (s->user)
		err |= PF_U;
	if (s->access == FETCH && s->pae && s->nxe)
		err |= PF_I;
	if (!s->large) {
		if (!(s->upper & P))
			return err;
		if (s->upper_nx && !s->nxe)
			return err | PF_P | PF_RSVD;
	}
	if (!(s->leaf & P))
		return err;
	if ((s->leaf_nx && !s->nxe) || s->rsvd)
		return err | PF_P | PF_RSVD;
	us = s->leaf & US && (s->large || s->upper & US);
	rw = s->leaf & RW && (s->large || s->upper & RW);
	xd = s->leaf_nx || (!s->large && s->upper_nx);
	if (s->user ? !us || (s->access == WRITE && !rw)
		    : s->access == WRITE && s->wp && !rw)
		return err | PF_P;
	return s->access == FETCH && xd ? err | PF_P : -1;
}

static uint64_t nx_bit(bool nx)
{
	return nx ? 1ULL << 63 : 0;
}

/* Where the accessed and dirty bits will be found. */
static uint32_t *build(const struct setup *s)
{
	unsigned int i = WINDOW >> 22, j = WINDOW >> 21 & 511;

	if (s->pae && s->large) {
		pd_high[j] = FRAME | s->leaf | PS | nx_bit(s->leaf_nx) |
			     (s->rsvd ? 1 << 13 : 0);
		return (uint32_t *)&pd_high[j];
	}
	if (s->pae) {
		pd_high[j] = (reg_t)pt64 | s->upper | nx_bit(s->upper_nx);
		pt64[0] = FRAME | s->leaf | nx_bit(s->leaf_nx) |
			  (s->rsvd ? 1ULL << 58 : 0);
		return (uint32_t *)&pt64[0];
	}
	if (s->large) {
		pd32[i] = FRAME | s->leaf | PS | (s->rsvd ? 1 << 21 : 0);
		return &pd32[i];
	}
	pd32[i] = (reg_t)pt32 | s->upper;
	pt32[0] = FRAME | s->leaf;
	return &pt32[0];
}

static void one(const struct setup *s, struct tally *t)
{
	uint32_t *leaf = build(s);
	int want = model(s), got;

	invlpg((void *)WINDOW);
	got = s->user ? access_user(s->access, WINDOW, USER)
		      : access_kernel(s->access, WINDOW);
	if (tally_add(t, got == want && ad_right(s->access, *leaf, want) &&
				 (want < 0 || caught_cr2 - WINDOW <= 16)))
		return;
	print("# leaf %x upper %x nx %d %d rsvd %d wp %d nxe %d user %d "
	      "access %d: want %d got %d, leaf now %x\n",
	      (reg_t)s->leaf, (reg_t)s->upper, s->leaf_nx, s->upper_nx, s->rsvd,
	      s->wp, s->nxe, s->user, s->access, want, got, (reg_t)*leaf);
}

static void each_access(struct setup *s, struct tally *t)
{
	for (unsigned int bits = 0; bits < 64; bits++) {
		s->leaf = bits & 7;
		s->leaf_nx = bits & 8;
		s->rsvd = bits & 16;
		s->upper_nx = bits & 32;
		if ((!s->pae && (s->leaf_nx || s->upper_nx)) ||
		    (!s->pae && !s->large && s->rsvd) ||
		    (s->large && s->upper_nx))
			continue;
		for (s->upper = 0; s->upper < (s->large ? 1 : 8); s->upper++)
			for (s->access = READ; s->access <= FETCH; s->access++)
				one(s, t);
	}
}

static void cross_product(bool pae, bool large, const char *name)
{
	struct setup s = {.pae = pae, .large = large};
	struct tally t = {0};

	for (unsigned int c = 0; c < 8; c++) {
		reg_t cr0 = read_cr0() & ~(reg_t)CR0_WP;

		s.wp = c & 1;
		s.nxe = c & 2;
		s.user = c & 4;
		if (s.nxe && (!pae || !has_nx))
			continue;
		write_cr0(s.wp ? cr0 | CR0_WP : cr0);
		if (has_nx)
			wrmsr(MSR_EFER, s.nxe ? EFER_NXE : 0);
		each_access(&s, &t);
	}
	tally_report(&t, name);
}

/* ---- two levels ---- */

static void paging_off(void)
{
	write_cr0(read_cr0() & ~CR0_PG);
	write_cr4(read_cr4() & ~(reg_t)(CR4_PSE | CR4_PAE));
	write_cr3(0);
}

static void two_levels_on(void)
{
	for (unsigned int i = 0; i < 16; i++)
		pd32[i] = i << 22 | PS | RW | P;
	pd32[0xfee00000u >> 22] = 0xfec00000u | PS | RW | P;
	pd32[USER >> 22] = USER_PA | PS | RW | US | P;
	write_cr4(read_cr4() | CR4_PSE);
	write_cr3((reg_t)pd32);
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

static void test_two_levels(void)
{
	two_levels_on();
	cross_product(false, false, "two levels, 4 KiB pages");
	cross_product(false, true, "two levels, 4 MiB pages");
	paging_off();
}

/* PSE off: bit 7 of a directory entry means nothing. */
static void test_no_pse(void)
{
	static uint32_t low[1024] __attribute__((aligned(4096)));
	volatile uint32_t *p = (void *)WINDOW;

	two_levels_on();
	*(volatile uint32_t *)FRAME = 0x1234;
	pt32[0] = FRAME | P | RW;
	pd32[WINDOW >> 22] = (reg_t)pt32 | PS | P | RW;
	/* the image lies in large pages, so PSE goes only with paging */
	for (unsigned int i = 0; i < 1024; i++)
		low[i] = i << 12 | RW | P;
	__asm__ volatile("" : : : "memory"); /* not in use before it is full */
	pd32[0] = (reg_t)low | RW | P;
	write_cr3(read_cr3());
	write_cr4(read_cr4() & ~(reg_t)CR4_PSE);
	check(*p == 0x1234, "without CR4.PSE bit 7 is ignored");
	write_cr4(read_cr4() | CR4_PSE);
	paging_off();
}

/* PSE-36: bits 13-20 are address bits 32-39; they lead out of RAM here. */
static void test_pse36(void)
{
	volatile uint32_t *p = (void *)WINDOW;
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[3] >> 17 & 1)) {
		skip("the processor has no PSE-36");
		return;
	}
	two_levels_on();
	*(volatile uint32_t *)FRAME = 0x1234;
	pd32[WINDOW >> 22] = FRAME | PS | P | RW | 1 << 13;
	invlpg((void *)WINDOW);
	check(*p != 0x1234, "PSE-36 reaches above 4 GiB: %x", (reg_t)*p);
	paging_off();
}

/* ---- PAE ---- */

static void pae_on(void)
{
	for (unsigned int i = 0; i < 32; i++)
		pd_low[i] = i << 21 | PS | RW | P;
	pd_high[USER >> 21 & 511] = USER_PA | PS | RW | US | P;
	pdpt[0] = (reg_t)pd_low | P;
	pdpt[2] = (reg_t)pd_high | P;
	write_cr4(read_cr4() | CR4_PAE);
	write_cr3((reg_t)pdpt);
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

static void test_pae(void)
{
	*(uint8_t *)FRAME = 0xc3;
	pae_on();
	cross_product(true, false, "PAE, 4 KiB pages");
	cross_product(true, true, "PAE, 2 MiB pages");
	paging_off();
}

/* A page of the high directory, and what it shows. */
static void pae_window(void)
{
	pae_on();
	*(volatile uint32_t *)FRAME = 0x1234;
	pd_high[WINDOW >> 21 & 511] = FRAME | PS | P | RW;
	write_cr3((reg_t)pdpt);
}

/* PDPTEs are registers: loaded by CR3 and nothing else, checked then. */
static void test_pdptes(void)
{
	volatile uint32_t *p = (void *)WINDOW;

	pae_window();
	check(*p == 0x1234, "window by a large page");
	pdpt[2] = 0;
	invlpg((void *)WINDOW);
	check(*p == 0x1234, "a changed PDPTE is not seen by INVLPG");
	write_cr3((reg_t)pdpt);
	check(try_call(do_read, WINDOW, 0) == 14 && caught.error == 0,
	      "but by a CR3 load");
	pdpt[2] = (reg_t)pd_high | P | RW;
	check(try_call(write_cr3, (reg_t)pdpt, 0) == 13,
	      "a PDPTE with reserved bits is #GP at the CR3 load");
	check(try_call(do_read, WINDOW, 0) == 14, "which changes nothing");
	pdpt[2] = (reg_t)pd_high | P;
	write_cr3((reg_t)pdpt);
	check(*p == 0x1234, "mended");
	paging_off();
}

/* CR3 points anywhere on 32 bytes. */
static void test_cr3_align(void)
{
	static uint64_t four[8] __attribute__((aligned(64)));
	volatile uint32_t *p = (void *)WINDOW;

	pae_window();
	for (int i = 0; i < 4; i++)
		four[4 + i] = pdpt[i];
	write_cr3((reg_t)(four + 4));
	check(*p == 0x1234, "a PDPT in the middle of a page");
	write_cr3((reg_t)pdpt);
	paging_off();
}

static void set_lme(reg_t unused, reg_t unused2)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 0x100);
}

static void test_lme(void)
{
	pae_on();
	check(try_call(set_lme, 0, 0) == 13,
	      "EFER.LME may not change while paging is on");
	paging_off();
}

void setup(void)
{
	uint32_t r[4];

	cpuid(0x80000001, 0, r);
	has_nx = r[3] >> 20 & 1;
	*(uint8_t *)FRAME = 0xc3;
	for (int i = 0; i < 3; i++)
		memcpy((void *)(USER_PA + 16 * i), user_code[i], 16);
}

const struct test tests[] = {
	{"two-levels", test_two_levels,
	 "SDM 3A \"32-Bit Paging\", \"Access Rights\": every combination, 4 "
	 "KiB and 4 MiB pages"},
	{"no-pse", test_no_pse,
	 "SDM 3A \"32-Bit Paging\": bit 7 of a PDE with CR4.PSE clear"},
	{"pse36", test_pse36, "SDM 3A \"32-Bit Paging\": PSE-36"},
	{"pae", test_pae,
	 "SDM 3A \"PAE Paging\", \"Access Rights\": every combination, 4 KiB "
	 "and 2 MiB pages"},
	{"pdptes", test_pdptes, "SDM 3A \"PDPTE Registers\""},
	{"cr3-align", test_cr3_align,
	 "SDM 3A \"PDPTE Registers\": CR3 on 32 bytes"},
	{"lme", test_lme,
	 "SDM 3A \"Initializing IA-32e Mode\": LME while paging is on"},
	{NULL},
};
