/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLB against fresh page walks: after a guest changed its tables and
 * flushed as the architecture asks, no cached translation may differ from
 * what the tables say. Small pools of addresses make entries collide.
 */
#include "cpu/fake.h"
#include <time.h>

#define SPACES 5
#define PAGES  48
#define BIG    4 /* 2 MiB pages */

struct world {
	struct fake *f;
	uint64_t cr3[SPACES]; /* roots, PCID = index + 1 */
	unsigned int cur;
	gva_t page[PAGES];
	gva_t big[BIG];
};

static void space_set(struct world *w, unsigned int n)
{
	w->f->cpu.cr3 = w->cr3[n] | (n + 1);
}

/* Global pages are the same in every space: the upper half of the pool. */
static bool is_global(unsigned int n)
{
	return n >= PAGES / 2;
}

static uint64_t random_flags(struct world *w)
{
	uint64_t r = fake_rand(w->f);

	return (r & (PTE_W | PTE_U)) | (r % 8 ? PTE_P : 0) |
	       (r & 0x100000 ? PTE_NX : 0) | (r & 0x200000 ? PTE_D : 0);
}

static gpa_t random_page(struct world *w)
{
	return 0x1000000 + (fake_rand(w->f) % 2048) * PG_SIZE;
}

static void map_one(struct world *w, unsigned int space, unsigned int n,
		    uint64_t pte)
{
	uint64_t keep = w->f->cpu.cr3;

	w->f->cpu.cr3 = w->cr3[space];
	*fake_pte(w->f, w->page[n], 12) = pte;
	w->f->cpu.cr3 = keep;
}

static void remap(struct world *w, unsigned int space, unsigned int n)
{
	uint64_t pte = random_page(w) | random_flags(w);
	unsigned int i;

	if (!is_global(n)) {
		map_one(w, space, n, pte);
		return;
	}
	for (i = 0; i < SPACES; i++)
		map_one(w, i, n, pte | PTE_G);
}

static void remap_big(struct world *w, unsigned int n)
{
	uint64_t pte = 0x1000000 + (fake_rand(w->f) % 8) * SIZE_2M;

	/* the last one is now large, now a table of small pages */
	if (n == BIG - 1 && fake_rand(w->f) & 1) {
		*fake_pte(w->f, w->big[n], 21) = 0;
		*fake_pte(w->f, w->big[n] + 0x5000, 12) = random_page(w) |
							  random_flags(w);
		return;
	}
	*fake_pte(w->f, w->big[n], 21) = pte | random_flags(w) | PTE_PS;
}

static gva_t random_gva(struct world *w)
{
	uint64_t r = fake_rand(w->f);

	if (r % 4)
		return w->page[(r >> 8) % PAGES] + (r >> 32 & 0xff8);
	return w->big[(r >> 8) % BIG] + (r >> 32 & 0x1ffff8);
}

/* One access through the TLB must do as a fresh walk would. */
static void check_access(struct world *w)
{
	struct cpu *cpu = &w->f->cpu;
	unsigned int acc = fake_rand(w->f) % 3;
	gva_t gva = random_gva(w);
	struct walk fresh;
	uint8_t *volatile hva = NULL;
	int want, got;

	cpu->cpl = fake_rand(w->f) & 1 ? 3 : 0;
	cpu->acflag = fake_rand(w->f) & 1;
	cpu->view = cpu->cpl == 3 ? VIEW_USER
		    : cpu->acflag ? VIEW_KERNEL_AC
				  : VIEW_KERNEL;
	acc = mem_acc(cpu, acc);
	want = mmu_probe(cpu, gva, acc, &fresh) ? VEC_PF + 1 : 0;
	if ((acc & ACC_KIND) == ACC_EXEC) {
		struct xtlb_entry *volatile x = NULL;

		got = FAKE_RUN(w->f, x = tlb_fill_exec(cpu, gva));
		if (x)
			hva = (uint8_t *)x->hva + (gva & PG_OFFSET);
	} else {
		got = FAKE_RUN(w->f, hva = mem_hva(cpu, gva, 8, acc, NULL));
	}
	assert_int_equal(got, want);
	if (!want && (acc & ACC_KIND) == ACC_WRITE) {
		/* a global page has an entry in each space, one is dirty */
		mmu_probe(cpu, gva, acc, &fresh);
		assert_true(fresh.rights & (MMU_D | MMU_G));
	}
	if (!want)
		assert_ptr_equal(hva, w->f->ram + fresh.gpa);
	else
		assert_int_equal(cpu->raised.error, fresh.error);
}

/* Change one page and drop it in one of the ways guests do. */
static void change_page(struct world *w)
{
	struct cpu *cpu = &w->f->cpu;
	uint64_t r = fake_rand(w->f);
	unsigned int n = r % PAGES, space = (r >> 8) % SPACES;

	if (is_global(n)) {
		remap(w, space, n);
		if (r & BIT64(20))
			tlb_flush_page(cpu, w->page[n] + 123);
		else
			tlb_flush_all(cpu);
		return;
	}
	remap(w, space, n);
	switch (r >> 24 & 3) {
	case 0: tlb_flush_nonglobal(cpu); break;
	case 1: tlb_flush_pcid(cpu, space + 1); break;
	default: tlb_flush_pcid_page(cpu, space + 1, w->page[n]); break;
	}
}

static void change_big(struct world *w)
{
	unsigned int n = fake_rand(w->f) % BIG;
	uint64_t r = fake_rand(w->f);

	remap_big(w, n);
	if (n < BIG - 1 && r & 1)
		/* any address within the page drops all of it */
		tlb_flush_page(&w->f->cpu, w->big[n] + (r >> 8 & 0x1fffff));
	else if (r & 2)
		tlb_flush_pcid(&w->f->cpu, w->cur + 1);
	else
		tlb_flush_nonglobal(&w->f->cpu);
}

static void switch_space(struct world *w)
{
	unsigned int n = fake_rand(w->f) % SPACES;
	struct cpu *cpu = &w->f->cpu;
	uint64_t old = cpu->cr3;
	bool noflush = fake_rand(w->f) % 4;

	space_set(w, n);
	w->cur = n;
	tlb_switch_cr3(cpu, old, cpu->cr3 | (noflush ? CR3_NOFLUSH : 0),
		       noflush);
}

static void change_rights(struct world *w)
{
	struct cpu *cpu = &w->f->cpu;
	uint64_t r = fake_rand(w->f);

	cpu->cr0 = (cpu->cr0 & ~CR0_WP) | (r & 1 ? CR0_WP : 0);
	cpu->cr4 = (cpu->cr4 & ~(CR4_SMEP | CR4_SMAP)) |
		   (r & 2 ? CR4_SMEP : 0) | (r & 4 ? CR4_SMAP : 0);
	tlb_flush_rights(cpu);
}

static void world_init(struct world *w)
{
	unsigned int i;

	w->f = fake_new();
	w->f->cpu.cr4 |= CR4_PCIDE;
	w->f->next_table = 0x10000;
	for (i = 0; i < SPACES; i++)
		w->cr3[i] = 0x1000 * (i + 1);
	for (i = 0; i < PAGES; i++)
		/* pairs share an index of the first level */
		w->page[i] = 0x555500000000 + (i % 7) * PG_SIZE +
			     (uint64_t)(i / 7) * TLB_ENTRIES * PG_SIZE;
	for (i = PAGES / 2; i < PAGES; i++)
		w->page[i] += 0xffff000000000000 + 0x800000000000 -
			      0x555500000000;
	for (i = 0; i < BIG; i++)
		w->big[i] = 0x7f0000000000 + i * SIZE_2M;
	space_set(w, 0);
	tlb_switch_cr3(&w->f->cpu, 0, w->f->cpu.cr3, false);
}

static void test_coherence(void **state)
{
	struct world w = {0};
	unsigned int i, k;

	world_init(&w);
	for (i = 0; i < 200000; i++) {
		switch (fake_rand(w.f) % 16) {
		case 0:
		case 1:
		case 2: change_page(&w); break;
		case 3: change_big(&w); break;
		case 4:
		case 5: switch_space(&w); break;
		case 6: change_rights(&w); break;
		default: break;
		}
		for (k = 0; k < 8; k++)
			check_access(&w);
	}
	fake_free(w.f);
}

/* A PCID that is kept serves its translations without reading the tables. */
static void test_pcid_kept(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	gva_t gva = 0x400000;
	struct tlb_result res;

	cpu->cr4 |= CR4_PCIDE;
	cpu->cr3 = 0x1000 | 1;
	tlb_switch_cr3(cpu, 0, cpu->cr3, false);
	fake_map(f, gva, 0x5000, PTE_P | PTE_W);
	tlb_fill(cpu, gva, 1, ACC_READ, &res);
	tlb_switch_cr3(cpu, 0x1001, 0x3002, true);
	fake_map(f, gva, 0x6000, PTE_P | PTE_W);
	tlb_switch_cr3(cpu, 0x3002, 0x1001, true);
	tlb_fill(cpu, gva, 1, ACC_READ, &res);
	assert_int_equal(res.gpa, 0x5000); /* stale, as nothing flushed it */
	tlb_switch_cr3(cpu, 0x1001, 0x3002, true);
	tlb_switch_cr3(cpu, 0x3002, 0x1001, false);
	tlb_fill(cpu, gva, 1, ACC_READ, &res);
	assert_int_equal(res.gpa, 0x6000);
	fake_free(f);
}

/* CR3 set as a client does (SET_SREGS): its entries are not the old PCID's. */
static void test_pcid_set(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	gva_t gva = 0x400000;
	struct tlb_result res;

	cpu->cr4 |= CR4_PCIDE;
	cpu->cr3 = 0x1001;
	tlb_switch_cr3(cpu, 0, cpu->cr3, false);
	fake_map(f, gva, 0x5000, PTE_P | PTE_W);
	cpu->cr3 = 0xa002;
	f->next_table = 0xb000;
	fake_map(f, gva, 0x6000, PTE_P | PTE_W);
	tlb_flush_all(cpu);
	tlb_fill(cpu, gva, 1, ACC_READ, &res);
	assert_int_equal(res.gpa, 0x6000);
	cpu->cr3 = 0x1001;
	tlb_switch_cr3(cpu, 0xa002, 0x1001, true);
	tlb_fill(cpu, gva, 1, ACC_READ, &res);
	assert_int_equal(res.gpa, 0x5000);
	/* INVPCID while PCIDs are off means the one address space */
	cpu->cr4 &= ~CR4_PCIDE;
	cpu->cr3 = 0x1018;
	tlb_switch_cr3(cpu, 0x1001, 0x1018, false);
	tlb_fill(cpu, gva, 1, ACC_READ, &res);
	fake_map(f, gva, 0x7000, PTE_P | PTE_W);
	tlb_flush_pcid(cpu, 0);
	tlb_fill(cpu, gva, 1, ACC_READ, &res);
	assert_int_equal(res.gpa, 0x7000);
	fake_free(f);
}

/* Empty entries match no address, not even 0 or the last one. */
static void test_empty(void **state)
{
	struct fake *f = fake_new();
	struct tlb_view *v = &f->cpu.tlb->view[VIEW_KERNEL];
	const gva_t probe[] = {0, 0x1000, ~0ULL, 0x3ff000, ~0xfffULL};
	struct tlb_result res;
	unsigned int i, round;

	fake_map(f, 0, 0x5000, PTE_P | PTE_W);
	fake_map(f, 0xfffffffffffff000, 0x5000, PTE_P | PTE_W);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(probe); i++) {
			unsigned int n = tlb_index(probe[i]);
			unsigned int jc = probe[i] & (JC_ENTRIES - 1);

			assert_true((v->r[n].tag ^ probe[i]) > PG_OFFSET);
			assert_true((v->w[n].tag ^ probe[i]) > PG_OFFSET);
			assert_true(v->jc[jc].gva != probe[i]);
			assert_int_equal(v->xid[n], 0);
		}
		tlb_fill(&f->cpu, 0, 1, ACC_WRITE, &res);
		tlb_fill(&f->cpu, ~0ULL, 1, ACC_WRITE, &res);
		tlb_jc_set(&f->cpu, VIEW_KERNEL, ~0ULL, f);
		tlb_jc_set(&f->cpu, VIEW_KERNEL, 0, f);
		tlb_flush_all(&f->cpu);
	}
	fake_free(f);
}

static bool jc_has(struct fake *f, gva_t gva)
{
	return f->cpu.tlb->view[VIEW_KERNEL].jc[gva & (JC_ENTRIES - 1)].gva ==
	       gva;
}

static void test_jump_cache(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	gva_t a = 0x400000, b = 0xffffffff81000000;

	fake_map(f, a, 0x5000, PTE_P);
	fake_map(f, b, 0x6000, PTE_P | PTE_G);
	assert_non_null(tlb_fill_exec(cpu, a));
	tlb_jc_set(cpu, VIEW_KERNEL, a + 1, f);
	tlb_jc_set(cpu, VIEW_KERNEL, a + 2, f);
	assert_non_null(tlb_fill_exec(cpu, b));
	tlb_jc_set(cpu, VIEW_KERNEL, b + 3, f);
	tlb_jc_set(cpu, VIEW_KERNEL, b + 4, f);
	assert_true(jc_has(f, a + 1) && jc_has(f, b + 3));
	tlb_flush_page(cpu, 0x500000);
	assert_true(jc_has(f, a + 1) && jc_has(f, b + 3));
	tlb_flush_page(cpu, a);
	assert_false(jc_has(f, a + 1) || jc_has(f, a + 2));
	assert_true(jc_has(f, b + 3));
	/* without an execute entry the life of a page is not known */
	tlb_jc_set(cpu, VIEW_KERNEL, a + 1, f);
	tlb_flush_nonglobal(cpu);
	assert_false(jc_has(f, a + 1));
	assert_true(jc_has(f, b + 3) && jc_has(f, b + 4));
	/* an entry that moves from one life to the other */
	tlb_jc_set(cpu, VIEW_KERNEL, a + 3, f);
	assert_false(jc_has(f, b + 3));
	tlb_flush_nonglobal(cpu);
	assert_false(jc_has(f, a + 3));
	tlb_drop_exec(cpu);
	assert_false(jc_has(f, b + 4));
	fake_free(f);
}

/* Stores to code, to logged and to read-only memory. */
static void test_write_rules(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	struct tlb_entry *w = &cpu->tlb->view[VIEW_KERNEL].w[tlb_index(0x1000)];
	struct tlb_result res;

	fake_map(f, 0x1000, 0x5000, PTE_P | PTE_W);
	fake_map(f, 0x2000, FAKE_ROM, PTE_P | PTE_W);
	fake_map(f, 0x3000, 0x7000000000, PTE_P | PTE_W);
	f->code_page = (uintptr_t)f->ram + 0x5000;
	tlb_fill(cpu, 0x1010, 8, ACC_WRITE, &res);
	assert_false(res.cached);
	assert_ptr_equal(res.hva, f->ram + 0x5010);
	assert_int_equal(f->code_writes, 1);
	assert_true((w->tag ^ 0x1010) > PG_OFFSET);
	f->code_page = 0;
	tlb_fill(cpu, 0x1010, 8, ACC_WRITE, &res);
	assert_true(res.cached);
	assert_true((w->tag ^ 0x1010) <= PG_OFFSET);
	tlb_drop_write(cpu, f->ram + 0x6000);
	assert_true((w->tag ^ 0x1010) <= PG_OFFSET);
	tlb_drop_write(cpu, f->ram + 0x5000);
	assert_true((w->tag ^ 0x1010) > PG_OFFSET);
	/* a new round of dirty logging sees the page again */
	f->ranges[0].flags = PHYS_DIRTY;
	tlb_flush_all(cpu);
	f->dirty_calls = 0;
	mem_write(cpu, 0x1010, 8, 1, ACC_WRITE);
	mem_write(cpu, 0x1018, 8, 1, ACC_WRITE);
	assert_int_equal(f->dirty_calls, 1);
	tlb_drop_write(cpu, NULL);
	mem_write(cpu, 0x1010, 8, 1, ACC_WRITE);
	assert_int_equal(f->dirty_calls, 2);
	tlb_fill(cpu, 0x2000, 8, ACC_READ, &res);
	assert_ptr_equal(res.hva, f->ram + FAKE_ROM);
	tlb_fill(cpu, 0x2008, 8, ACC_WRITE, &res);
	assert_null(res.hva);
	assert_int_equal(res.gpa, FAKE_ROM + 8);
	tlb_fill(cpu, 0x3008, 8, ACC_READ, &res);
	assert_null(res.hva);
	assert_int_equal(res.gpa, 0x7000000008);
	assert_int_equal(FAKE_RUN(f, mem_read(cpu, 0x3008, 4, ACC_READ)), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_INTERNAL);
	assert_int_equal(cpu->internal.suberror, 1);
	fake_free(f);
}

/* Accesses over a page's end fault before they change anything. */
static void test_crossing(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	gva_t gva = 0x401000 - 3;

	fake_map(f, 0x400000, 0x5000, PTE_P | PTE_W);
	assert_int_equal(FAKE_RUN(f, mem_write(cpu, gva, 8, ~0ULL, ACC_WRITE)),
			 VEC_PF + 1);
	assert_int_equal(cpu->raised.payload, 0x401000);
	assert_int_equal(cpu->raised.error, PF_W);
	assert_int_equal(f->ram[0x5fff], 0);
	fake_map(f, 0x401000, 0x9000, PTE_P | PTE_W);
	mem_write(cpu, gva, 8, 0x8877665544332211, ACC_WRITE);
	assert_int_equal(f->ram[0x5fff], 0x33);
	assert_int_equal(f->ram[0x9000], 0x44);
	assert_int_equal(mem_read(cpu, gva, 8, ACC_READ), 0x8877665544332211);
	/* outside 64-bit mode addresses wrap at 4 GiB */
	cpu->code_bits = 32;
	fake_map(f, 0xfffff000, 0xa000, PTE_P | PTE_W);
	fake_map(f, 0, 0xb000, PTE_P | PTE_W);
	mem_write(cpu, 0xfffffffe, 4, 0x44332211, ACC_WRITE);
	assert_int_equal(f->ram[0xb001], 0x44);
	fake_free(f);
}

static void test_segments(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	struct segment *ds = &cpu->seg[SEG_DS];
	const uint16_t data = SEG_ATTR_P | SEG_ATTR_S | 3;

#define LIN(seg, off, size, kind) \
	FAKE_RUN(f, mem_linear(cpu, seg, off, size, kind))
	cpu->code_bits = 32;
	*ds = (struct segment){.base = 0x1000, .limit = 0xfff, .attr = data};
	assert_int_equal(mem_linear(cpu, SEG_DS, 0xffc, 4, ACC_WRITE), 0x1ffc);
	assert_int_equal(LIN(SEG_DS, 0xffd, 4, ACC_WRITE), VEC_GP + 1);
	ds->attr = data & ~2;
	assert_int_equal(LIN(SEG_DS, 0, 4, ACC_WRITE), VEC_GP + 1);
	assert_int_equal(LIN(SEG_DS, 0, 4, ACC_READ), 0);
	ds->attr = data | 8; /* readable code */
	assert_int_equal(LIN(SEG_DS, 0, 4, ACC_READ), 0);
	assert_int_equal(LIN(SEG_DS, 0, 4, ACC_WRITE), VEC_GP + 1);
	ds->attr = (data | 8) & ~2; /* execute only */
	assert_int_equal(LIN(SEG_DS, 0, 4, ACC_READ), VEC_GP + 1);
	assert_int_equal(LIN(SEG_DS, 0, 4, ACC_EXEC), 0);
	ds->attr = data | 4; /* expand-down, 64 KiB */
	assert_int_equal(LIN(SEG_DS, 0xfff, 1, ACC_READ), VEC_GP + 1);
	assert_int_equal(LIN(SEG_DS, 0x1000, 4, ACC_READ), 0);
	assert_int_equal(LIN(SEG_DS, 0xfffd, 4, ACC_READ), VEC_GP + 1);
	ds->attr |= SEG_ATTR_DB;
	assert_int_equal(LIN(SEG_DS, 0xfffd, 4, ACC_READ), 0);
	ds->attr = SEG_ATTR_UNUSABLE;
	assert_int_equal(LIN(SEG_DS, 0, 1, ACC_READ), VEC_GP + 1);
	cpu->seg[SEG_SS] = (struct segment){.limit = 0xff, .attr = data};
	assert_int_equal(LIN(SEG_SS, 0xfe, 4, ACC_READ), VEC_SS + 1);
	ds->attr = data | SEG_ATTR_DB;
	ds->limit = 0xffffffff;
	assert_int_equal(mem_linear(cpu, SEG_DS, 0xfffffffe, 4, ACC_READ),
			 0xffe);
	cpu->cr0 &= ~CR0_PE; /* real mode: limit, no type */
	ds->limit = 0xffff;
	ds->attr = 0;
	assert_int_equal(LIN(SEG_DS, 0xffff, 2, ACC_WRITE), VEC_GP + 1);
	assert_int_equal(LIN(SEG_DS, 0xfffe, 2, ACC_WRITE), 0);
	cpu->cr0 |= CR0_PE;
	cpu->code_bits = 64;
	cpu->seg[SEG_FS].base = 0x100000000;
	assert_int_equal(mem_linear(cpu, SEG_FS, 8, 8, ACC_READ), 0x100000008);
	assert_int_equal(mem_linear(cpu, SEG_DS, 8, 8, ACC_READ), 8);
	assert_int_equal(LIN(SEG_DS, 0x7ffffffffffc, 8, ACC_READ), VEC_GP + 1);
	assert_int_equal(LIN(SEG_SS, 0x7ffffffffffc, 8, ACC_READ), VEC_SS + 1);
	fake_free(f);
}

/* Not a test of time, but a look at it: printed, bounded very loosely. */
static void test_cost(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	struct timespec a, b;
	unsigned int i, k, n = 200;
	struct tlb_result res;
	double walk_ns, second_ns;

	for (i = 0; i < 512; i++)
		fake_map(f, 0x400000 + i * PG_SIZE, 0x100000 + i * PG_SIZE,
			 PTE_P | PTE_W | PTE_A | PTE_D);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (k = 0; k < n; k++) {
		tlb_flush_all(cpu);
		for (i = 0; i < 512; i++)
			tlb_fill(cpu, 0x400000 + i * PG_SIZE, 1, ACC_READ,
				 &res);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	walk_ns = (b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (k = 0; k < n; k++) {
		tlb_flush_rights(cpu);
		for (i = 0; i < 512; i++)
			tlb_fill(cpu, 0x400000 + i * PG_SIZE, 1, ACC_READ,
				 &res);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	second_ns = (b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec;
	print_message("miss with flush: %.1f ns by a walk, %.1f ns from the "
		      "second level\n",
		      walk_ns / n / 512, second_ns / n / 512);
	assert_true(walk_ns / n / 512 < 20000);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coherence),
		cmocka_unit_test(test_pcid_kept),
		cmocka_unit_test(test_pcid_set),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_jump_cache),
		cmocka_unit_test(test_write_rules),
		cmocka_unit_test(test_crossing),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
