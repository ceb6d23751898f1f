/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 4-level paging: the cross product of entry bits, control bits, privilege
 * and kind of access against a naive model (SDM 3A "Access Rights" (4.6),
 * "Page-Fault Exceptions" (4.7), "Accessed and Dirty Flags" (4.8)); then the
 * rules of TLB invalidation, PCIDs and global pages (4.10).
 */
#include "test/arch/guest/access.h"

#define P    1ULL
#define RW   2ULL
#define US   4ULL
#define A    0x20ULL
#define D    0x40ULL
#define PS   0x80ULL
#define G    0x100ULL
#define RSVD (1ULL << 51)
#define NX   (1ULL << 63)

#define PF_P    1
#define PF_W    2
#define PF_U    4
#define PF_RSVD 8
#define PF_I    16
#define PF_PK   32

#define CR0_WP    0x10000
#define CR4_PGE   0x80
#define CR4_PCIDE 0x20000
#define CR4_SMEP  0x100000
#define CR4_SMAP  0x200000
#define CR4_PKE   0x400000
#define EFER_NXE  0x800
#define FLAG_AC   0x40000

/* The window under test and, apart from it, code and stack of CPL 3. */
#define WINDOW  0x8000000000UL  /* PML4[1] */
#define USER    0x10000000000UL /* PML4[2] */
#define FRAME   0x800000UL
#define FRAME2  0xa00000UL
#define USER_PA 0xc00000UL

static uint64_t pdpt1[512] __attribute__((aligned(4096)));
static uint64_t pd1[512] __attribute__((aligned(4096)));
static uint64_t pt1[512] __attribute__((aligned(4096)));
static uint64_t pdpt2[512] __attribute__((aligned(4096)));
static uint64_t pd2[512] __attribute__((aligned(4096)));
extern uint64_t boot_pml4[512];

static uint64_t phys_mask, efer;
static bool smep, smap, nx, gig, pcid, invpcid;

struct setup {
	uint64_t leaf, upper; /* bits of the last entry, of the one above */
	unsigned int level;   /* of the leaf: 1, 2, 3 */
	bool wp, smep, smap, nxe, ac, user;
	enum access access;
};

/* ---- the model ---- */

static int model(const struct setup *s)
{
	uint64_t entry[2] = {s->upper, s->leaf};
	bool us = true, rw = true, xd = false, bad = false;
	int err = 0;

	if (s->access == WRITE)
		err |= PF_W;
	if (s->user)
		err |= PF_U;
	if (s->access == FETCH && (s->nxe || s->smep))
		err |= PF_I;
	for (int i = s->level == 3; i < 2; i++) {
		if (!(entry[i] & P))
			return err;
		if (entry[i] & RSVD || (entry[i] & NX && !s->nxe))
			return err | PF_P | PF_RSVD;
		us &= !!(entry[i] & US);
		rw &= !!(entry[i] & RW);
		xd |= !!(entry[i] & NX);
	}
	if (s->user) {
		bad = !us || (s->access == WRITE && !rw) ||
		      (s->access == FETCH && xd);
	} else if (s->access == FETCH) {
		bad = xd || (us && s->smep);
	} else {
		bad = (us && s->smap && !s->ac) ||
		      (s->access == WRITE && s->wp && !rw);
	}
	return bad ? err | PF_P : -1;
}

/* ---- doing it ---- */

static int access_checked(const struct setup *s)
{
	int got;

	if (s->ac)
		write_flags(read_flags() | FLAG_AC);
	got = access_kernel(s->access, WINDOW);
	write_flags(read_flags() & ~(reg_t)FLAG_AC);
	return got;
}

/* The window: one page, the entries above it fully open but for @upper. */
static uint64_t *build(const struct setup *s)
{
	uint64_t open = P | RW | US;

	boot_pml4[1] = (uint64_t)pdpt1 | open;
	if (s->level == 3) {
		pdpt1[0] = s->leaf | PS;
		return &pdpt1[0];
	}
	pdpt1[0] = (uint64_t)pd1 | open;
	if (s->level == 2) {
		pdpt1[0] = (uint64_t)pd1 | s->upper;
		pd1[0] = FRAME | s->leaf | PS;
		return &pd1[0];
	}
	pd1[0] = (uint64_t)pt1 | s->upper;
	pt1[0] = FRAME | s->leaf;
	return &pt1[0];
}

static void set_controls(const struct setup *s)
{
	reg_t cr4 = read_cr4() & ~(reg_t)(CR4_SMEP | CR4_SMAP);
	reg_t cr0 = read_cr0() & ~(reg_t)CR0_WP;

	write_cr0(s->wp ? cr0 | CR0_WP : cr0);
	write_cr4(cr4 | (s->smep ? CR4_SMEP : 0) | (s->smap ? CR4_SMAP : 0));
	wrmsr(MSR_EFER, s->nxe ? efer | EFER_NXE : efer & ~EFER_NXE);
}

static void one(const struct setup *s, struct tally *t)
{
	uint64_t *leaf = build(s);
	int want = model(s), got;

	invlpg((void *)WINDOW);
	got = s->user ? access_user(s->access, WINDOW, USER)
		      : access_checked(s);
	if (tally_add(t, got == want && ad_right(s->access, *leaf, want) &&
				 (want < 0 || caught_cr2 - WINDOW <= 16)))
		return;
	print("# level %d leaf %x upper %x wp %d smep %d smap %d nxe %d ac %d "
	      "user %d access %d: want %d got %d, leaf now %x cr2 %x\n",
	      s->level, s->leaf, s->upper, s->wp, s->smep, s->smap, s->nxe,
	      s->ac, s->user, s->access, want, got, (reg_t)*leaf, caught_cr2);
}

static void each_access(struct setup *s, struct tally *t)
{
	for (unsigned int bits = 0; bits < 32; bits++) {
		s->leaf = (bits & 1 ? P : 0) | (bits & 2 ? RW : 0) |
			  (bits & 4 ? US : 0) | (bits & 8 ? NX : 0) |
			  (bits & 16 ? RSVD : 0);
		for (unsigned int up = 0; up < (s->level == 3 ? 1 : 8); up++) {
			s->upper = P | (up & 1 ? RW : 0) | (up & 2 ? US : 0) |
				   (up & 4 ? NX : 0);
			for (s->access = READ; s->access <= FETCH; s->access++)
				one(s, t);
		}
	}
}

static void cross_product(unsigned int level, const char *name)
{
	struct tally t = {0};
	struct setup s = {.level = level};

	for (unsigned int c = 0; c < 64; c++) {
		s.wp = c & 1;
		s.smep = c & 2;
		s.smap = c & 4;
		s.nxe = c & 8;
		s.ac = c & 16;
		s.user = c & 32;
		if ((s.smep && !smep) || (s.smap && !smap) || (s.nxe && !nx) ||
		    (s.ac && s.user))
			continue;
		set_controls(&s);
		each_access(&s, &t);
	}
	set_controls(&(struct setup){.wp = true, .nxe = nx});
	tally_report(&t, name);
}

/* ---- directed ---- */

static void plain_window(uint64_t frame, uint64_t bits)
{
	boot_pml4[1] = (uint64_t)pdpt1 | P | RW | US;
	pdpt1[0] = (uint64_t)pd1 | P | RW | US;
	pd1[0] = (uint64_t)pt1 | P | RW | US;
	pt1[0] = frame | bits;
	pt1[1] = 0;
	write_cr3(read_cr3());
	invlpg((void *)WINDOW);
	invlpg((void *)(WINDOW + 0x1000));
}

static void store8(volatile uint64_t *p, uint64_t v)
{
	*p = v;
}

static void load8(volatile uint64_t *p, reg_t unused)
{
	(void)*p;
}

/* The second half of an access faults: nothing is stored, CR2 names it. */
static void test_crossing(void)
{
	volatile uint64_t *p = (void *)(WINDOW + 0xffc);
	volatile uint32_t *low = (void *)(FRAME + 0xffc);

	plain_window(FRAME, P | RW);
	*low = 0x11223344;
	check(try_call(store8, (reg_t)p, ~0UL) == 14 &&
		      caught_cr2 == WINDOW + 0x1000 && caught.error == PF_W,
	      "store across pages, second missing: cr2 %x error %x", caught_cr2,
	      caught.error);
	check(*low == 0x11223344, "and its first half is not stored");
	check(try_call(load8, (reg_t)p, 0) == 14 &&
		      caught_cr2 == WINDOW + 0x1000 && caught.error == 0,
	      "load across pages, second missing: cr2 %x", caught_cr2);
	pt1[1] = FRAME2 | P; /* present, read-only */
	invlpg((void *)(WINDOW + 0x1000));
	check(try_call(store8, (reg_t)p, ~0UL) == 14 &&
		      caught_cr2 == WINDOW + 0x1000 &&
		      caught.error == (PF_W | PF_P) && *low == 0x11223344,
	      "store across pages, second read-only: error %x", caught.error);
	pt1[1] = FRAME2 | P | RW;
	invlpg((void *)(WINDOW + 0x1000));
	store8(p, 0x8877665544332211);
	check(*low == 0x44332211 && *(volatile uint32_t *)FRAME2 == 0x88776655,
	      "store across two frames that are apart");
	check(*p == 0x8877665544332211, "and the load of it");
}

static void test_canonical(void)
{
	reg_t low = 0x0000800000000000, high = 0xffff7fffffffffff;

	check(try_call(load8, low, 0) == 13 && caught.error == 0,
	      "non-canonical load is #GP(0)");
	check(try_call(store8, high - 7, 1) == 13 && caught.error == 0,
	      "non-canonical store is #GP(0)");
	check(try_call(load8, low - 4, 0) == 13,
	      "load whose end is not canonical is #GP");
	check(try_call((void *)low, 0, 0) == 13 && caught.error == 0,
	      "call to a non-canonical address is #GP");
}

static void stack_load(reg_t addr, reg_t unused)
{
	__asm__ volatile("mov %%rbp, %%rcx; mov %0, %%rbp;"
			 "movb (%%rbp), %%al; mov %%rcx, %%rbp"
			 :
			 : "r"(addr)
			 : "rax", "rcx");
}

static void test_stack_fault(void)
{
	unsigned int v = try_call(stack_load, 0x0000800000000000, 0);

	check(v == 12 && caught.error == 0,
	      "non-canonical address by rbp is #SS(0): %x", (reg_t)v);
}

/* What INVLPG, CR3 and CR4.PGE must drop. */
static void test_invalidation(void)
{
	volatile uint64_t *p = (void *)WINDOW;

	*(volatile uint64_t *)FRAME = 1;
	*(volatile uint64_t *)FRAME2 = 2;
	plain_window(FRAME, P | RW);
	check(*p == 1, "window shows the first frame");
	pt1[0] = FRAME2 | P | RW;
	invlpg((void *)WINDOW);
	check(*p == 2, "INVLPG makes a new entry seen");
	pt1[0] = FRAME | P | RW;
	write_cr3(read_cr3());
	check(*p == 1, "a CR3 load makes a new entry seen");
	write_cr4(read_cr4() | CR4_PGE);
	pt1[0] = FRAME | P | RW | G;
	invlpg((void *)WINDOW);
	check(*p == 1, "global page");
	pt1[0] = FRAME2 | P | RW | G;
	write_cr4(read_cr4() & ~(reg_t)CR4_PGE);
	check(*p == 2, "a change of CR4.PGE drops global pages");
	pt1[0] = FRAME | P | RW;
	invlpg((void *)(WINDOW + 0x123));
	check(*p == 1, "INVLPG takes any address in the page");
}

static void test_upper_change(void)
{
	volatile uint64_t *p = (void *)WINDOW;

	*(volatile uint64_t *)FRAME = 1;
	plain_window(FRAME, P | RW | US);
	(void)*p;
	pd1[0] = 0;
	invlpg((void *)WINDOW);
	check(try_call(load8, (reg_t)p, 0) == 14 && !caught.error,
	      "INVLPG after clearing a directory entry");
	pd1[0] = FRAME | P | RW | PS;
	check(*p == 1, "a page may become present without INVLPG");
	check(pd1[0] & A && !(pd1[0] & D), "A is set in a 2 MiB entry, D not");
	*p = 1;
	check(pd1[0] & D, "D is set by the first store");
	pd1[0] &= ~(A | D);
	invlpg((void *)WINDOW);
	*p = 1;
	check((pd1[0] & (A | D)) == (A | D), "A and D again after INVLPG");
	check(boot_pml4[1] & A && pdpt1[0] & A, "A in upper entries");
}

/* Dirty without write permission, then made writable by the fault handler. */
static void make_writable(struct trap *t)
{
	if (t->error != (PF_P | PF_W))
		die("copy on write: error %x", t->error);
	pt1[0] = FRAME2 | P | RW;
	invlpg((void *)WINDOW);
}

static void test_retry(void)
{
	volatile uint64_t *p = (void *)WINDOW;

	*(volatile uint64_t *)FRAME = 10;
	*(volatile uint64_t *)FRAME2 = 20;
	plain_window(FRAME, P);
	check(*p == 10, "read-only frame");
	trap_hook[14] = make_writable;
	__asm__ volatile("lock addq $5, %0" : "+m"(*p));
	trap_hook[14] = NULL;
	check(*(volatile uint64_t *)FRAME2 == 25 &&
		      *(volatile uint64_t *)FRAME == 10,
	      "an instruction restarts after its fault was mended");
}

static void test_pcid(void)
{
	volatile uint64_t *p = (void *)WINDOW;
	reg_t cr3 = read_cr3() & ~0xfffUL;

	if (!pcid) {
		skip("the processor has no PCIDs");
		return;
	}
	*(volatile uint64_t *)FRAME = 1;
	*(volatile uint64_t *)FRAME2 = 2;
	plain_window(FRAME, P | RW);
	check(try_call(write_cr4, read_cr4() | CR4_PCIDE, 0) == NO_FAULT,
	      "CR4.PCIDE can be set while CR3[11:0] is 0");
	write_cr3(cr3 | 1);
	(void)*p;
	pt1[0] = FRAME2 | P | RW;
	write_cr3(cr3 | 2);
	check(*p == 2, "another PCID does not use the first one's entries");
	write_cr3(cr3 | 1);
	check(*p == 2, "CR3 without bit 63 drops the PCID's entries");
	pt1[0] = FRAME | P | RW;
	invlpg((void *)WINDOW);
	write_cr3(cr3 | 1 | 1UL << 63);
	check(*p == 1, "INVLPG, then a CR3 load that keeps entries");
	check((read_cr3() & 0xfff) == 1 && !(read_cr3() >> 63),
	      "bit 63 of CR3 is not stored");
	check(try_call(write_cr4, read_cr4() & ~(reg_t)CR4_PCIDE, 0) ==
		      NO_FAULT,
	      "CR4.PCIDE can be cleared");
	check(read_cr3() == (cr3 | 1), "which leaves CR3 as it is");
	check(try_call(write_cr4, read_cr4() | CR4_PCIDE, 0) == 13,
	      "setting it with CR3[11:0] not 0 is #GP");
	write_cr3(cr3);
}

static void do_invpcid(reg_t type, reg_t desc)
{
	__asm__ volatile("invpcid (%1), %0"
			 :
			 : "r"(type), "r"(desc)
			 : "memory");
}

static void test_invpcid(void)
{
	volatile uint64_t *p = (void *)WINDOW;
	uint64_t desc[2] = {1, WINDOW};
	reg_t cr3 = read_cr3() & ~0xfffUL;

	if (!pcid || !invpcid) {
		skip("the processor has no INVPCID");
		return;
	}
	*(volatile uint64_t *)FRAME = 1;
	*(volatile uint64_t *)FRAME2 = 2;
	plain_window(FRAME, P | RW);
	write_cr4(read_cr4() | CR4_PCIDE);
	for (reg_t type = 0; type < 4; type++) {
		write_cr3(cr3 | 1);
		pt1[0] = FRAME | P | RW;
		do_invpcid(2, (reg_t)desc);
		(void)*p;
		write_cr3(cr3 | 2 | 1UL << 63);
		pt1[0] = FRAME2 | P | RW;
		do_invpcid(type, (reg_t)desc);
		write_cr3(cr3 | 1 | 1UL << 63);
		check(*p == 2, "INVPCID type %d drops another PCID's entry",
		      (int)type);
	}
	check(try_call(do_invpcid, 4, (reg_t)desc) == 13,
	      "INVPCID type 4 is #GP");
	desc[0] = 0x1000;
	check(try_call(do_invpcid, 0, (reg_t)desc) == 13,
	      "INVPCID with a PCID of 13 bits is #GP");
	write_cr3(cr3);
	write_cr4(read_cr4() & ~(reg_t)CR4_PCIDE);
}

static void test_cr3(void)
{
	check(try_call(write_cr3, phys_mask + 1, 0) == 13,
	      "CR3 above the physical address width is #GP");
}

static void test_control_faults(void)
{
	check(try_call(write_cr4, read_cr4() & ~0x20UL, 0) == 13,
	      "clearing CR4.PAE in long mode is #GP");
	check(try_call(write_cr0, read_cr0() & ~0x80000000UL, 0) == 13,
	      "clearing CR0.PG in 64-bit mode is #GP");
	check(try_call(write_cr0, read_cr0() & ~1UL, 0) == 13,
	      "clearing CR0.PE with paging on is #GP");
	check(try_call(write_cr0, read_cr0() | 1UL << 32, 0) == 13,
	      "CR0 above 32 bits is #GP");
	check(try_call(write_cr4, read_cr4() | 1UL << 31, 0) == 13,
	      "an undefined CR4 bit is #GP");
}

static void wrpkru(reg_t v, reg_t c)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(v), "c"(c), "d"(0));
}

static reg_t rdpkru(reg_t c)
{
	reg_t v, d = ~0UL;

	__asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(v), "+d"(d) : "c"(c));
	return d ? ~0UL : v;
}

/* Access disable is bit 2k of PKRU, write disable bit 2k + 1. */
static void check_key(reg_t pkru, int read, int write, int user, const char *s)
{
	wrpkru(pkru, 0);
	check(access_kernel(READ, WINDOW) == read &&
		      access_kernel(WRITE, WINDOW) == write &&
		      access_user(READ, WINDOW, USER) ==
			      (read < 0 ? -1 : read | PF_U) &&
		      access_user(WRITE, WINDOW, USER) == user &&
		      access_user(FETCH, WINDOW, USER) == -1,
	      "%s", s);
}

static void test_keys(void)
{
	uint32_t r[4];

	cpuid(7, 0, r);
	if (!(r[2] >> 3 & 1)) {
		skip("the processor has no protection keys");
		return;
	}
	check(try_call(wrpkru, 0, 0) == 6 && try_call(rdpkru, 0, 0) == 6,
	      "without CR4.PKE both instructions are #UD");
	write_cr4(read_cr4() | CR4_PKE);
	check(try_call(wrpkru, 0, 1) == 13 && try_call(rdpkru, 1, 0) == 13,
	      "RCX must be 0");
	wrpkru(0x5a5a5a50, 0);
	check(rdpkru(0) == 0x5a5a5a50, "PKRU reads back, RDX is cleared");
	plain_window(FRAME, P | RW | US | 3ULL << 59);
	write_cr0(read_cr0() & ~(reg_t)CR0_WP);
	check_key(0, -1, -1, -1, "key 3 without restriction");
	check_key(3U << 4, -1, -1, -1, "which those of key 2 are not");
	check_key(1U << 6, PF_P | PF_PK, PF_P | PF_PK | PF_W,
		  PF_P | PF_PK | PF_W | PF_U,
		  "access disabled: not to fetches");
	check_key(2U << 6, -1, -1, PF_P | PF_PK | PF_W | PF_U,
		  "write disabled: for CPL 3 alone");
	write_cr0(read_cr0() | CR0_WP);
	check_key(2U << 6, -1, PF_P | PF_PK | PF_W, PF_P | PF_PK | PF_W | PF_U,
		  "with CR0.WP for both");
	plain_window(FRAME, P | RW | 3ULL << 59);
	wrpkru(3U << 6, 0);
	check(access_kernel(WRITE, WINDOW) == -1,
	      "supervisor pages have no key");
	wrpkru(0, 0);
	write_cr4(read_cr4() & ~(reg_t)CR4_PKE);
}

static void test_4k(void)
{
	check(phys_mask < RSVD, "bit 51 is reserved here");
	cross_product(1, "4 KiB pages, cross product");
}

static void test_2m(void)
{
	cross_product(2, "2 MiB pages, cross product");
}

static void test_1g(void)
{
	if (gig)
		cross_product(3, "1 GiB pages, cross product");
	else
		skip("the processor has no 1 GiB pages");
}

static void detect(void)
{
	uint32_t r[4];

	cpuid(7, 0, r);
	smep = r[1] >> 7 & 1;
	smap = r[1] >> 20 & 1;
	invpcid = r[1] >> 10 & 1;
	cpuid(1, 0, r);
	pcid = r[2] >> 17 & 1;
	cpuid(0x80000001, 0, r);
	nx = r[3] >> 20 & 1;
	gig = r[3] >> 26 & 1;
	cpuid(0x80000008, 0, r);
	phys_mask = (1ULL << (r[0] & 0xff)) - 1;
	efer = rdmsr(MSR_EFER);
}

void setup(void)
{
	detect();
	*(uint8_t *)FRAME = 0xc3;      /* for fetches: RET */
	*(volatile uint8_t *)0 = 0xc3; /* the 1 GiB page is at 0 */
	for (int i = 0; i < 3; i++)
		memcpy((void *)(USER_PA + 16 * i), user_code[i], 16);
	boot_pml4[2] = (uint64_t)pdpt2 | P | RW | US;
	pdpt2[0] = (uint64_t)pd2 | P | RW | US;
	pd2[0] = USER_PA | P | RW | US | PS;
}

const struct test tests[] = {
	{"4k", test_4k,
	 "SDM 3A \"Access Rights\", \"Page-Fault Exceptions\", \"Accessed and "
	 "Dirty Flags\": every combination, 4 KiB pages"},
	{"2m", test_2m,
	 "SDM 3A \"Access Rights\", \"Page-Fault Exceptions\": every "
	 "combination, 2 MiB pages"},
	{"1g", test_1g,
	 "SDM 3A \"Access Rights\", \"Page-Fault Exceptions\": every "
	 "combination, 1 GiB pages"},
	{"crossing", test_crossing,
	 "SDM 3A \"Page-Fault Exceptions\": CR2 and error code of an access to "
	 "two pages"},
	{"canonical", test_canonical, "SDM 1 \"Canonical Addressing\""},
	{"stack", test_stack_fault,
	 "SDM 3A \"Interrupt 12 - Stack Fault Exception\": stack references "
	 "that are not canonical"},
	{"invalidation", test_invalidation,
	 "SDM 3A \"Operations that Invalidate TLBs and Paging-Structure "
	 "Caches\""},
	{"upper", test_upper_change,
	 "SDM 3A \"Accessed and Dirty Flags\", \"Optional Invalidation\": P "
	 "set needs no invalidation"},
	{"retry", test_retry,
	 "SDM 3A \"Exception Classifications\": a fault can be mended and the "
	 "instruction restarted"},
	{"control", test_control_faults,
	 "SDM 3A \"Control Registers\", \"Paging-Mode Enabling\": reserved "
	 "bits and forbidden changes"},
	{"cr3", test_cr3,
	 "SDM 2 \"MOV - Move to/from Control Registers\": reserved bits of "
	 "CR3"},
	{"pcid", test_pcid, "SDM 3A \"Process-Context Identifiers (PCIDs)\""},
	{"keys", test_keys, "SDM 3A \"Protection Keys\""},
	{"invpcid", test_invpcid,
	 "SDM 2 \"INVPCID - Invalidate Process-Context Identifier\""},
	{NULL},
};
