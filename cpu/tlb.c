/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software TLB. First level: the tables translated code reads, of the
 * current address space, one set per view. Second level: translations with
 * the rights the tables granted, of all address spaces that PCIDs keep alive;
 * rights are judged at every use, so it needs no view. A first-level miss is
 * served from there, else by a page walk.
 *
 * SDM 3A 4.10 "Caching Translation Information". Paging-structure caches are
 * not modelled: an upper-level entry is read at every walk.
 */
#include "cpu/tlb.h"
#include <string.h>
#include "cpu/debug.h"
#include "cpu/physmap.h"
#include "x86/paging.h"
#include "x86/regs.h"

#define X_EMPTY     (~0ULL) /* not the address of a page */
#define RIGHTS_MASK 0x3fu
#define PKEY_SHIFT  8

/* ---- second level ---- */

static unsigned int l2_index(gva_t gva, uint64_t gen)
{
	uint64_t vpn = gva >> 12;

	return (vpn ^ vpn >> 12 ^ gen * 0x9e5) & (TLB2_ENTRIES - 1);
}

static struct tlb2_entry *l2_probe(struct cpu_tlb *t, gva_t page, uint64_t gen)
{
	struct tlb2_entry *e = &t->l2[l2_index(page, gen)];

	return (e->gva & PG_MASK) == page && e->gen == gen ? e : NULL;
}

static struct tlb2_entry *l2_find(struct cpu_tlb *t, gva_t page)
{
	struct tlb2_entry *e = l2_probe(t, page, t->gen);

	return e ? e : l2_probe(t, page, t->gen_global);
}

static unsigned int region_bit(gva_t gva, bool giga)
{
	uint64_t n = gva >> (giga ? 30 : 21);

	return (n ^ n >> 10 ^ n >> 20) & 1023;
}

/* Remember that a page of @size lies around @gva: INVLPG must drop it all. */
static void large_note(struct cpu_tlb *t, gva_t gva, const struct walk *w)
{
	bool giga = w->size == SIZE_1G;
	struct tlb_regions *r = &t->large[!!(w->rights & MMU_G)][giga];
	unsigned int bit = region_bit(gva, giga);

	r->bits[bit / 64] |= BIT64(bit % 64);
	if (w->size == SIZE_4M)
		r->bits[bit / 64] |= BIT64(bit % 64 ^ 1);
}

static bool large_seen(const struct cpu_tlb *t, gva_t gva, bool giga)
{
	unsigned int bit = region_bit(gva, giga);

	return (t->large[0][giga].bits[bit / 64] |
		t->large[1][giga].bits[bit / 64]) >>
		       bit % 64 &
	       1;
}

static struct tlb2_entry *l2_insert(struct cpu *cpu, gva_t page,
				    const struct walk *w)
{
	struct cpu_tlb *t = cpu->tlb;
	const struct phys_range *r = tlb_range(cpu, w->gpa);
	uint64_t gen = w->rights & MMU_G ? t->gen_global : t->gen;
	struct tlb2_entry *e = &t->l2[l2_index(page, gen)];
	gpa_t gpa = w->gpa & PG_MASK;

	if (unlikely(w->rights & MMU_LARGE))
		large_note(t, page, w);
	e->gva = page | w->rights | (uint64_t)w->pkey << PKEY_SHIFT;
	e->gen = gen;
	e->hva = r ? (uintptr_t)r->hva + (gpa - r->gpa) : 0;
	e->gpa = gpa | (r ? r->flags & (PHYS_READONLY | PHYS_DIRTY) : 0);
	return e;
}

const struct phys_range *tlb_range(struct cpu *cpu, gpa_t gpa)
{
	const struct physmap *map = cpu->phys;
	struct cpu_tlb *t = cpu->tlb;
	const struct phys_range *r;

	if (unlikely(!map))
		return NULL;
	if (likely(t->range_hint < map->count)) {
		r = &map->ranges[t->range_hint];
		if (gpa - r->gpa < r->size)
			return r;
	}
	r = physmap_find(map, gpa);
	if (r)
		t->range_hint = r - map->ranges;
	return r;
}

/* ---- first level: filling ---- */

static uint64_t empty_tag(unsigned int index)
{
	return index ? 0 : PG_SIZE;
}

/* Differs from every gva the slot can hold. */
static uint64_t jc_empty(unsigned int index)
{
	return !index;
}

static void mark_filled(struct cpu_tlb *t, unsigned int view, unsigned int kind,
			unsigned int index, bool global)
{
	struct tlb_filled *in = &t->filled[global][view][kind];
	struct tlb_filled *not_in = &t->filled[!global][view][kind];
	uint64_t bit = BIT64(index % 64);

	in->bits[index / 64] |= bit;
	in->any |= BIT64(index / 64);
	not_in->bits[index / 64] &= ~bit;
}

static void set_entry(struct cpu_tlb *t, unsigned int view, unsigned int kind,
		      gva_t page, const struct tlb2_entry *e)
{
	unsigned int index = tlb_index(page);
	struct tlb_view *v = &t->view[view];
	struct tlb_entry *d = kind == ACC_WRITE ? &v->w[index] : &v->r[index];

	d->hva = e->hva;
	d->tag = page;
	mark_filled(t, view, kind, index, e->gva & MMU_G);
}

unsigned int tlb_view_of(const struct cpu *cpu, unsigned int acc)
{
	if (acc & ACC_SYSTEM)
		return VIEW_KERNEL;
	if (acc & ACC_USER)
		return VIEW_USER;
	if (cpu->cr4 & CR4_SMAP)
		return cpu->acflag ? VIEW_KERNEL_AC : VIEW_KERNEL;
	return cpu->view == VIEW_USER ? VIEW_KERNEL : cpu->view;
}

/* Walk the tables, raise what the walk finds. */
static struct tlb2_entry *walk_fill(struct cpu *cpu, gva_t gva,
				    unsigned int acc, bool ac)
{
	struct walk w;

	if (unlikely(cpu_long_mode(cpu) && !mmu_canonical(cpu, gva)))
		cpu_raise_err(cpu, VEC_GP, 0);
	if (unlikely(mmu_walk_ac(cpu, gva, acc, ac, &w)))
		cpu_raise_pf(cpu, gva, w.error);
	return l2_insert(cpu, gva & PG_MASK, &w);
}

static struct tlb2_entry *translate(struct cpu *cpu, gva_t gva,
				    unsigned int acc, bool ac)
{
	struct tlb2_entry *e = l2_find(cpu->tlb, gva & PG_MASK);

	cpu->stat[CPU_STAT_TLB_MISS]++;
	if (!e)
		return walk_fill(cpu, gva, acc, ac);
	if ((acc & ACC_KIND) == ACC_WRITE && !(e->gva & MMU_D))
		return walk_fill(cpu, gva, acc, ac);
	if (mmu_deny(cpu, e->gva & RIGHTS_MASK, e->gva >> PKEY_SHIFT & 15, acc,
		     ac))
		return walk_fill(cpu, gva, acc, ac);
	return e;
}

/* Whether stores to the page may go on without asking. */
static bool write_cachable(struct cpu *cpu, uint8_t *hva, unsigned int size)
{
	uint8_t *page = (uint8_t *)((uintptr_t)hva & PG_MASK);

	if (!cpu->code || cpu->code->may_cache_write(cpu, page))
		return true;
	cpu->code->write(cpu, hva, size);
	return false;
}

void tlb_before_write(struct cpu *cpu, uint8_t *hva, unsigned int size)
{
	write_cachable(cpu, hva, size);
}

static bool watched(const struct cpu *cpu, gva_t gva)
{
	return unlikely(cpu->breaks.data) && debug_page(cpu, gva);
}

static void fill_write(struct cpu *cpu, gva_t gva, unsigned int size,
		       unsigned int view, const struct tlb2_entry *e,
		       struct tlb_result *out)
{
	gva_t page = gva & PG_MASK;

	if (unlikely(e->gpa & (PHYS_READONLY | PHYS_DIRTY))) {
		if (e->gpa & PHYS_READONLY) {
			out->hva = NULL;
			return;
		}
		cpu->ops->mark_dirty(cpu, out->gpa);
	}
	if (unlikely(!write_cachable(cpu, out->hva, size)))
		return;
	if (unlikely(watched(cpu, gva)))
		return;
	set_entry(cpu->tlb, view, ACC_WRITE, page, e);
	set_entry(cpu->tlb, view, ACC_READ, page, e);
	out->cached = true;
}

void tlb_fill(struct cpu *cpu, gva_t gva, unsigned int size, unsigned int acc,
	      struct tlb_result *out)
{
	unsigned int view = tlb_view_of(cpu, acc);
	const struct tlb2_entry *e = translate(cpu, gva, acc,
					       view == VIEW_KERNEL_AC);

	out->gpa = (e->gpa & PG_MASK) | (gva & PG_OFFSET);
	out->cached = false;
	if (unlikely(cpu->breaks.data))
		debug_data(cpu, gva, size, acc);
	if (unlikely(!e->hva)) {
		out->hva = NULL;
		return;
	}
	out->hva = (uint8_t *)e->hva + (gva & PG_OFFSET);
	if ((acc & ACC_KIND) == ACC_WRITE) {
		fill_write(cpu, gva, size, view, e, out);
		return;
	}
	if (unlikely(watched(cpu, gva)))
		return;
	set_entry(cpu->tlb, view, ACC_READ, gva & PG_MASK, e);
	out->cached = true;
}

struct xtlb_entry *tlb_fill_exec(struct cpu *cpu, gva_t gva)
{
	unsigned int acc = mem_acc(cpu, ACC_EXEC), index = xtlb_index(gva);
	gva_t page = gva & PG_MASK;
	struct cpu_tlb *t = cpu->tlb;
	struct tlb_view *v = &t->view[cpu->view];
	struct xtlb_entry *x = &v->x[index];
	const struct tlb2_entry *e;

	if (likely(x->gva == page))
		return x;
	e = translate(cpu, gva, acc, false);
	if (!e->hva)
		return NULL;
	v->xid[index] = 0;
	x->gva = page;
	x->hva = e->hva;
	x->gpa = e->gpa & PG_MASK;
	x->page = NULL;
	mark_filled(t, cpu->view, ACC_EXEC, index, e->gva & MMU_G);
	return x;
}

/* ---- first level: dropping ---- */

static void drop_entry(struct cpu_tlb *t, unsigned int view, unsigned int kind,
		       unsigned int index)
{
	struct tlb_view *v = &t->view[view];

	switch (kind) {
	case ACC_READ: v->r[index].tag = empty_tag(index); break;
	case ACC_WRITE: v->w[index].tag = empty_tag(index); break;
	default:
		v->xid[index] = 0;
		v->x[index].gva = X_EMPTY;
		v->x[index].page = NULL;
	}
}

static void drop_filled(struct cpu_tlb *t, bool global, unsigned int view,
			unsigned int kind)
{
	struct tlb_filled *f = &t->filled[global][view][kind];

	for (; f->any; f->any &= f->any - 1) {
		unsigned int word = __builtin_ctzll(f->any);

		for (; f->bits[word]; f->bits[word] &= f->bits[word] - 1)
			drop_entry(t, view, kind,
				   word * 64 + __builtin_ctzll(f->bits[word]));
	}
}

static void jc_drop_set(struct jc_entry *jc, struct tlb_filled *f,
			unsigned int first)
{
	for (; f->any; f->any &= f->any - 1) {
		unsigned int word = __builtin_ctzll(f->any);

		for (; f->bits[word]; f->bits[word] &= f->bits[word] - 1) {
			unsigned int i = first + word * 64 +
					 __builtin_ctzll(f->bits[word]);

			jc[i].gva = jc_empty(i);
		}
	}
}

static void jc_drop(struct cpu_tlb *t, bool global, unsigned int view)
{
	struct jc_filled *f = &t->jc_filled[global][view];

	for (unsigned int k = 0; k < JC_SETS; k++)
		jc_drop_set(t->view[view].jc, &f->set[k], k * TLB_ENTRIES);
	memset(f->pages, 0, sizeof(f->pages));
}

/* Empty the first level: what is not global, or with @global the rest too. */
static void drop_all(struct cpu_tlb *t, bool global)
{
	unsigned int view, kind;

	for (view = 0; view < VIEW_COUNT; view++) {
		for (kind = ACC_READ; kind <= ACC_EXEC; kind++)
			drop_filled(t, global, view, kind);
		jc_drop(t, global, view);
	}
}

static unsigned int jc_page_bit(gva_t gva)
{
	uint64_t vpn = gva >> 12;

	return (vpn ^ vpn >> 8 ^ vpn >> 16) & 255;
}

static void jc_drop_some(struct jc_entry *jc, const struct tlb_filled *f,
			 unsigned int first, gva_t gva, unsigned int shift)
{
	uint64_t any, word;

	for (any = f->any; any; any &= any - 1) {
		unsigned int base = __builtin_ctzll(any);

		for (word = f->bits[base]; word; word &= word - 1) {
			unsigned int i = first + base * 64 +
					 __builtin_ctzll(word);

			if (!((jc[i].gva ^ gva) >> shift))
				jc[i].gva = jc_empty(i);
		}
	}
}

/* Drop jump-cache entries with gva in a region of 1 << @shift bytes. */
static void jc_drop_region(struct cpu_tlb *t, unsigned int view, gva_t gva,
			   unsigned int shift)
{
	unsigned int global, bit = jc_page_bit(gva);

	for (global = 0; global < 2; global++) {
		const struct jc_filled *f = &t->jc_filled[global][view];

		if (shift == 12 && !(f->pages[bit / 64] >> bit % 64 & 1))
			continue;
		for (unsigned int k = 0; k < JC_SETS; k++)
			jc_drop_some(t->view[view].jc, &f->set[k],
				     k * TLB_ENTRIES, gva, shift);
	}
}

static void drop_slot(struct cpu_tlb *t, unsigned int view, unsigned int index,
		      gva_t gva, unsigned int shift)
{
	struct tlb_view *v = &t->view[view];

	if (!((v->r[index].tag ^ gva) >> shift))
		drop_entry(t, view, ACC_READ, index);
	if (!((v->w[index].tag ^ gva) >> shift))
		drop_entry(t, view, ACC_WRITE, index);
	if (!((v->x[index].gva ^ gva) >> shift))
		drop_entry(t, view, ACC_EXEC, index);
}

static void drop_page(struct cpu_tlb *t, gva_t gva)
{
	unsigned int view, index = tlb_index(gva);

	for (view = 0; view < VIEW_COUNT; view++) {
		drop_slot(t, view, index, gva, 12);
		jc_drop_region(t, view, gva, 12);
	}
}

/* Drop all 4K pieces of the pages around @gva; 22 bits cover 4M pages. */
static void drop_large(struct cpu_tlb *t, gva_t gva)
{
	unsigned int view, index, shift = 22;
	gva_t page = gva & ~(SIZE_4M - 1);
	struct tlb2_entry *e;

	for (view = 0; view < VIEW_COUNT; view++) {
		for (index = 0; index < TLB_ENTRIES; index++)
			drop_slot(t, view, index, gva, shift);
		jc_drop_region(t, view, gva, shift);
	}
	for (; !((page ^ gva) >> shift); page += PG_SIZE) {
		e = l2_probe(t, page, t->gen);
		if (e)
			e->gen = 0;
		e = l2_probe(t, page, t->gen_global);
		if (e)
			e->gen = 0;
	}
}

/* ---- generations ---- */

static struct tlb_space *space_of(struct cpu_tlb *t, uint64_t cr3)
{
	unsigned int pcid = cr3 & CR3_PCID_MASK;

	return &t->spaces[(pcid ^ pcid >> 7) & (TLB_SPACES - 1)];
}

/* Nothing cached for the address space @cr3, now current, is good any more. */
static void new_gen(struct cpu_tlb *t, uint64_t cr3)
{
	struct tlb_space *s = space_of(t, cr3);

	t->space = cr3;
	t->gen = ++t->gen_last;
	s->cr3 = t->space;
	s->gen = t->gen;
}

void tlb_init(struct cpu *cpu)
{
	struct cpu_tlb *t = cpu->tlb;
	unsigned int view, i;

	memset(t, 0, sizeof(*t));
	for (view = 0; view < VIEW_COUNT; view++) {
		struct tlb_view *v = &t->view[view];

		v->r[0].tag = empty_tag(0);
		v->w[0].tag = empty_tag(0);
		v->jc[0].gva = jc_empty(0);
		for (i = 0; i < XTLB_ENTRIES; i++)
			v->x[i].gva = X_EMPTY;
	}
	t->gen_global = ++t->gen_last;
	new_gen(t, cpu->cr3);
}

void tlb_flush_nonglobal(struct cpu *cpu)
{
	struct cpu_tlb *t = cpu->tlb;

	cpu->stat[CPU_STAT_TLB_FLUSH]++;
	drop_all(t, false);
	memset(t->spaces, 0, sizeof(t->spaces));
	memset(t->large[0], 0, sizeof(t->large[0]));
	new_gen(t, cpu->cr3);
}

void tlb_flush_all(struct cpu *cpu)
{
	struct cpu_tlb *t = cpu->tlb;

	tlb_flush_nonglobal(cpu);
	drop_all(t, true);
	t->gen_global = ++t->gen_last;
	memset(t->large[1], 0, sizeof(t->large[1]));
}

void tlb_flush_page(struct cpu *cpu, gva_t gva)
{
	struct cpu_tlb *t = cpu->tlb;
	struct tlb2_entry *e;

	if (unlikely(large_seen(t, gva, true))) {
		tlb_flush_all(cpu);
		return;
	}
	if (unlikely(large_seen(t, gva, false))) {
		drop_large(t, gva);
		return;
	}
	drop_page(t, gva);
	e = l2_probe(t, gva & PG_MASK, t->gen);
	if (e)
		e->gen = 0;
	e = l2_probe(t, gva & PG_MASK, t->gen_global);
	if (e)
		e->gen = 0;
}

/* Without PCIDs there is one address space, whatever CR3's low bits are. */
static bool pcid_current(const struct cpu *cpu, unsigned int pcid)
{
	return !(cpu->cr4 & CR4_PCIDE) ||
	       (cpu->tlb->space & CR3_PCID_MASK) == pcid;
}

void tlb_flush_pcid(struct cpu *cpu, unsigned int pcid)
{
	struct cpu_tlb *t = cpu->tlb;
	struct tlb_space *s = space_of(t, pcid);

	if (pcid_current(cpu, pcid)) {
		drop_all(t, false);
		new_gen(t, t->space);
	} else if ((s->cr3 & CR3_PCID_MASK) == pcid) {
		s->gen = 0;
	}
}

void tlb_flush_pcid_page(struct cpu *cpu, unsigned int pcid, gva_t gva)
{
	struct cpu_tlb *t = cpu->tlb;
	struct tlb_space *s = space_of(t, pcid);
	struct tlb2_entry *e;

	if (pcid_current(cpu, pcid)) {
		tlb_flush_page(cpu, gva);
		return;
	}
	if (!s->gen || (s->cr3 & CR3_PCID_MASK) != pcid)
		return;
	if (large_seen(t, gva, false) || large_seen(t, gva, true)) {
		s->gen = 0;
		return;
	}
	e = l2_probe(t, gva & PG_MASK, s->gen);
	if (e)
		e->gen = 0;
}

void tlb_switch_cr3(struct cpu *cpu, uint64_t old_cr3, uint64_t new_cr3,
		    bool noflush)
{
	struct cpu_tlb *t = cpu->tlb;
	bool pcide = cpu->cr4 & CR4_PCIDE;
	struct tlb_space *s;

	new_cr3 &= ~CR3_NOFLUSH;
	s = space_of(t, new_cr3);
	if (pcide && noflush && new_cr3 == old_cr3 && new_cr3 == t->space)
		return;
	drop_all(t, false);
	/* CR3 was changed behind our back: the name of t->gen was wrong */
	if (unlikely(t->space != old_cr3))
		space_of(t, t->space)->gen = 0;
	if (!pcide) /* no other space has entries: the regions are gone */
		memset(t->large[0], 0, sizeof(t->large[0]));
	if (pcide && noflush && s->gen && s->cr3 == new_cr3) {
		t->gen = s->gen;
		t->space = new_cr3;
	} else {
		new_gen(t, new_cr3);
	}
}

void tlb_flush_rights(struct cpu *cpu)
{
	drop_all(cpu->tlb, false);
	drop_all(cpu->tlb, true);
}

/* ---- the engine's wishes ---- */

static void drop_write_some(struct tlb_entry *w, const struct tlb_filled *f,
			    uint64_t page)
{
	uint64_t any, word;

	for (any = f->any; any; any &= any - 1) {
		unsigned int base = __builtin_ctzll(any);

		for (word = f->bits[base]; word; word &= word - 1) {
			unsigned int i = base * 64 + __builtin_ctzll(word);

			if (w[i].hva == page)
				w[i].tag = empty_tag(i);
		}
	}
}

void tlb_drop_write(struct cpu *cpu, const uint8_t *hva)
{
	uint64_t page = (uintptr_t)hva & PG_MASK;
	struct cpu_tlb *t = cpu->tlb;
	unsigned int view, global;

	for (view = 0; view < VIEW_COUNT; view++)
		for (global = 0; global < 2; global++)
			if (!hva)
				drop_filled(t, global, view, ACC_WRITE);
			else
				drop_write_some(
					t->view[view].w,
					&t->filled[global][view][ACC_WRITE],
					page);
}

void tlb_drop_exec(struct cpu *cpu)
{
	unsigned int view;

	for (view = 0; view < VIEW_COUNT; view++) {
		drop_filled(cpu->tlb, false, view, ACC_EXEC);
		drop_filled(cpu->tlb, true, view, ACC_EXEC);
		tlb_jc_flush(cpu, view);
	}
}

void tlb_jc_set(struct cpu *cpu, unsigned int view, gva_t gva, void *code)
{
	struct cpu_tlb *t = cpu->tlb;
	unsigned int i = gva & (JC_ENTRIES - 1), x = xtlb_index(gva);
	unsigned int page = jc_page_bit(gva);
	struct tlb_view *v = &t->view[view];
	/* as long-lived as the page it is in, when that is known */
	bool global = v->x[x].gva == (gva & PG_MASK) &&
		      t->filled[1][view][ACC_EXEC].bits[x / 64] >> x % 64 & 1;
	struct jc_filled *f = &t->jc_filled[global][view];
	unsigned int k = i / TLB_ENTRIES, n = i % TLB_ENTRIES;

	t->jc_filled[!global][view].set[k].bits[n / 64] &= ~BIT64(n % 64);
	f->set[k].bits[n / 64] |= BIT64(n % 64);
	f->set[k].any |= BIT64(n / 64);
	f->pages[page / 64] |= BIT64(page % 64);
	v->jc[i].gva = gva;
	v->jc[i].code = (uintptr_t)code;
}

void tlb_jc_flush(struct cpu *cpu, unsigned int view)
{
	jc_drop(cpu->tlb, false, view);
	jc_drop(cpu->tlb, true, view);
}
