/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages with code, the blocks in them, and how both go away.
 *
 * Every host page a vCPU may write to through its TLB has a flag word: a bit
 * set of vCPUs that hold a write entry, and CODE. Marking a page as code sets
 * CODE, then makes the vCPUs of the bit set drop their write entries and
 * waits for them; only then are its bytes read for translation. A write entry
 * is made by setting one's bit and refused when CODE was there: one atomic
 * word, so no store can slip between. Lock: engine->lock, except where a
 * function says otherwise; block_find() runs without it (blocks are only
 * freed in exclusive sections).
 */
#include "engine/reloc.h"
#include "engine/slow.h"

#include "lib/check.h"

#include <string.h>
#include <sys/mman.h>

#define CACHE_LINE 64ULL
#define FLAG_CODE  BIT(31)
#define META_SIZE  (512ULL << 20)
#define PERM_SIZE  (2048ULL << 20)
#define MAX_BLOCKS (1u << 20)

/* One (gva page, codepage) pair; its id is what direct jumps check. */
struct xmap {
	struct xmap *next;
	const struct codepage *page;
	gva_t gva;
	uint32_t id;
};

_Static_assert(offsetof(struct block, dir) == CACHE_LINE, "see there");

void *meta_reserve(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void meta_release(void *p, uint64_t size)
{
	if (p)
		munmap(p, size);
}

int page_init(struct engine *engine)
{
	engine->meta = meta_reserve(META_SIZE);
	engine->perm = meta_reserve(PERM_SIZE);
	if (!engine->meta || !engine->perm)
		return -1;
	engine->meta_size = META_SIZE;
	engine->perm_size = PERM_SIZE;
	engine->hash = meta_reserve(sizeof(void *) << BLOCK_HASH_BITS);
	engine->xmaps = meta_reserve(sizeof(void *) << XMAP_HASH_BITS);
	engine->pages = meta_reserve(sizeof(void *) << PAGE_HASH_BITS);
	engine->by_code = meta_reserve(sizeof(void *) * MAX_BLOCKS);
	if (!engine->hash || !engine->xmaps || !engine->pages ||
	    !engine->by_code || moved_init(engine))
		return -1;
	engine->next_xid = 1;
	return 0;
}

void page_fini(struct engine *engine)
{
	moved_fini(engine);
	meta_release(engine->meta, META_SIZE);
	meta_release(engine->perm, PERM_SIZE);
	meta_release(engine->hash, sizeof(void *) << BLOCK_HASH_BITS);
	meta_release(engine->xmaps, sizeof(void *) << XMAP_HASH_BITS);
	meta_release(engine->pages, sizeof(void *) << PAGE_HASH_BITS);
	meta_release(engine->by_code, sizeof(void *) * MAX_BLOCKS);
}

void *meta_alloc(struct engine *engine, size_t size)
{
	void *p = engine->meta + engine->meta_used;

	size = ALIGN_UP(size, 16UL);
	if (engine->meta_used + size > engine->meta_size)
		return NULL;
	engine->meta_used += size;
	return p;
}

struct block *block_alloc(struct engine *engine)
{
	struct block *b;

	engine->meta_used = ALIGN_UP(engine->meta_used, CACHE_LINE);
	b = meta_alloc(engine, sizeof(*b));
	if (b)
		memset(b, 0, sizeof(*b));
	return b;
}

/* Zeroed, never freed before the engine; any thread. */
static void *perm_alloc(struct engine *engine, size_t size)
{
	uint64_t at = __atomic_fetch_add(
		&engine->perm_used, ALIGN_UP(size, 64UL), __ATOMIC_RELAXED);

	ASSERT(at + size <= engine->perm_size);
	return engine->perm + at;
}

static void *child(struct engine *engine, void **slot, size_t size)
{
	void *p = __atomic_load_n(slot, __ATOMIC_ACQUIRE), *none = NULL;

	if (likely(p))
		return p;
	p = perm_alloc(engine, size);
	if (__atomic_compare_exchange_n(slot, &none, p, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return p;
	return none;
}

/* Flag word of a host page: three levels of 4096, made as needed. */
static uint32_t *page_flag(struct engine *engine, const uint8_t *hva)
{
	uint64_t n = (uintptr_t)hva >> 12;
	void **l1 = (void **)&engine->pageflags[n >> 24 & 4095];
	void **l2 = child(engine, l1, 4096 * sizeof(void *));
	uint32_t *l3 = child(engine, &l2[n >> 12 & 4095],
			     4096 * sizeof(uint32_t));

	return &l3[n & 4095];
}

static unsigned int page_hash(const uint8_t *hva)
{
	return (uintptr_t)hva >> 12 & ((1u << PAGE_HASH_BITS) - 1);
}

static struct codepage *page_lookup(struct engine *engine, const uint8_t *hva)
{
	struct codepage *p = __atomic_load_n(&engine->pages[page_hash(hva)],
					     __ATOMIC_ACQUIRE);

	while (p && p->hva != hva)
		p = p->hash_next;
	return p;
}

struct codepage *page_get(struct engine *engine, uint8_t *hva)
{
	struct codepage *p = page_lookup(engine, hva);
	struct codepage **head = &engine->pages[page_hash(hva)];

	if (p)
		return p;
	p = perm_alloc(engine, sizeof(*p));
	p->hva = hva;
	p->hash_next = *head;
	p->acquire_gen = engine->acquire_gen;
	__atomic_store_n(head, p, __ATOMIC_RELEASE);
	return p;
}

static unsigned int xmap_hash(const struct codepage *p, gva_t gva)
{
	uint64_t h = ((uintptr_t)p >> 6 ^ gva >> 12) * 0x9e3779b97f4a7c15ULL;

	return h >> (64 - XMAP_HASH_BITS);
}

uint32_t page_xid(struct engine *engine, struct codepage *p, gva_t gva)
{
	struct xmap **head = &engine->xmaps[xmap_hash(p, gva)], *x;

	for (x = *head; x; x = x->next)
		if (x->page == p && x->gva == gva)
			return x->id;
	x = meta_alloc(engine, sizeof(*x));
	ASSERT(x); /* get_block() keeps a reserve */
	x->page = p;
	x->gva = gva;
	x->id = engine->next_xid++;
	x->next = *head;
	*head = x;
	p->aliased = p->mapped;
	p->mapped = true;
	return x->id;
}

/* Make another cpu drop its write entries and wait until it did. */
static void drop_write_of(struct cpu *other)
{
	struct engine_cpu *ec = ec_of(other);

	__atomic_store_n(&ec->code_ack, 0, __ATOMIC_SEQ_CST);
	cpu_request(other, CPU_REQ_CODE);
	while (__atomic_load_n(&other->in_guest, __ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&ec->code_ack, __ATOMIC_ACQUIRE))
		futex_wait_short(&ec->code_ack, 0);
}

void page_mark_code(struct cpu *cpu, struct codepage *p)
{
	struct engine *engine = cpu->engine;
	uint32_t *flag = page_flag(engine, p->hva), writers;

	if (p->code)
		return;
	__atomic_store_n(&p->code, true, __ATOMIC_RELAXED);
	writers = __atomic_fetch_or(flag, FLAG_CODE, __ATOMIC_SEQ_CST);
	__atomic_and_fetch(flag, FLAG_CODE, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < engine->ncpus; i++) {
		struct cpu *other = engine->cpus[i];

		if (!other || !(writers & BIT(other->id % 31)))
			continue;
		if (other == cpu)
			tlb_drop_write(cpu, p->hva);
		else
			drop_write_of(other);
	}
}

/* No block depends on the page any more: stores may be fast again. */
static void page_unmark(struct engine *engine, struct codepage *p)
{
	__atomic_store_n(&p->code, false, __ATOMIC_RELAXED);
	p->granules = 0;
	__atomic_and_fetch(page_flag(engine, p->hva), ~FLAG_CODE,
			   __ATOMIC_SEQ_CST);
}

unsigned int block_hash(const struct codepage *p, uint64_t rip, uint64_t mode)
{
	uint64_t h = ((uintptr_t)p >> 6 ^ mode) * 0xc2b2ae3d27d4eb4fULL;

	h = (h ^ h >> 32 ^ rip) * 0x9e3779b97f4a7c15ULL;
	return h >> (64 - BLOCK_HASH_BITS);
}

struct block *block_find(struct engine *engine, struct codepage *p,
			 uint64_t rip, uint64_t cs_base, uint64_t mode)
{
	struct block *b = __atomic_load_n(
		&engine->hash[block_hash(p, rip, mode)], __ATOMIC_ACQUIRE);

	for (; b; b = __atomic_load_n(&b->hash_next, __ATOMIC_ACQUIRE))
		if (b->rip == rip && b->page[0] == p && b->mode == mode &&
		    b->cs_base == cs_base && b->valid)
			return b;
	return NULL;
}

static uint64_t granule_mask(unsigned int from, unsigned int to)
{
	uint64_t first = from >> 6, last = (to - 1) >> 6;

	return (last == 63 ? ~0ULL : BIT64(last + 1) - 1) & ~(BIT64(first) - 1);
}

/* Which bytes of its page @n a block depends on. */
static void block_range(const struct block *b, int n, unsigned int *from,
			unsigned int *to)
{
	*from = n ? 0 : b->start;
	*to = n ? b->end1 : b->end;
}

bool blocks_full(const struct engine *engine)
{
	return engine->nblocks == MAX_BLOCKS ||
	       engine->meta_used + (1 << 20) > engine->meta_size;
}

static void patch32(uint8_t *rw, uint32_t val)
{
	__atomic_store_n((uint32_t *)rw, val, __ATOMIC_RELEASE);
}

static void link_drop(struct link *l)
{
	if (l->xid_patch)
		patch32(l->xid_patch, 0xffffffff);
	patch32(l->patch, l->stub - (l->patch + 4));
	l->to = NULL;
}

void link_to(struct engine *engine, struct link *l, struct block *to,
	     uint32_t xid)
{
	uint8_t *target = l->flags_saved ? to->ind : to->dir;

	if (!target || l->to || !l->from->valid)
		return;
	l->to = to;
	l->next_in = to->in;
	to->in = l;
	patch32(l->patch, target - to_rx(engine, l->patch + 4));
	if (l->xid_patch)
		patch32(l->xid_patch, xid);
}

static void unhook_link(struct link *l)
{
	struct link **at = &l->to->in;

	while (*at != l)
		at = &(*at)->next_in;
	*at = l->next_in;
	l->to = NULL;
}

/* Entry bytes become a jump: five of eight aligned bytes in one store. */
static void patch_entry(struct engine *engine, uint8_t *rx, uint8_t *stale)
{
	uint8_t *rw = rx - engine->rx_off;
	uint64_t word = *(uint64_t *)rw;
	uint32_t rel = stale - (rx + 5);

	word = (word & ~0xffffffffffULL) | 0xe9 | (uint64_t)rel << 8;
	__atomic_store_n((uint64_t *)rw, word, __ATOMIC_RELEASE);
}

/* Both halves of a crossing block may be the same host page. */
static int block_pages(const struct block *b)
{
	return b->page[1] && b->page[1] != b->page[0] ? 2 : 1;
}

/* Which of a block's pages @p is. */
static int page_slot(const struct block *b, const struct codepage *p)
{
	return b->page[0] == p ? 0 : 1;
}

static void page_add(struct block *b, int n)
{
	struct codepage *p = b->page[n];
	struct block *next = p->blocks;

	b->page_next[n] = next;
	b->page_at[n] = &p->blocks;
	if (next)
		next->page_at[page_slot(next, p)] = &b->page_next[n];
	p->blocks = b;
}

static void page_remove(struct engine *engine, struct block *b, int n)
{
	struct codepage *p = b->page[n];
	struct block *next = b->page_next[n];

	*b->page_at[n] = next;
	if (next)
		next->page_at[page_slot(next, p)] = b->page_at[n];
	if (!p->blocks && !engine->keep_code)
		page_unmark(engine, p);
}

void block_invalidate(struct engine *engine, struct block *b)
{
	struct block **at =
		&engine->hash[block_hash(b->page[0], b->rip, b->mode)];

	b->valid = false;
	while (*at != b)
		at = &(*at)->hash_next;
	__atomic_store_n(at, b->hash_next, __ATOMIC_RELEASE);
	if (b->relocs)
		template_remove(engine, b);
	while (b->in) {
		struct link *l = b->in;

		b->in = l->next_in;
		link_drop(l);
	}
	for (unsigned int i = 0; i < b->nlinks; i++)
		if (b->links[i].to)
			unhook_link(&b->links[i]);
	patch_entry(engine, b->ind, b->stale_ind);
	if (b->dir && b->dir != b->ind)
		patch_entry(engine, b->dir, b->stale_dir);
	for (int n = 0; n < block_pages(b); n++)
		page_remove(engine, b, n);
}

/* Invalidate what depends on [from, to) of the page; count of blocks. */
static unsigned int page_invalidate(struct engine *engine, struct codepage *p,
				    unsigned int from, unsigned int to)
{
	unsigned int count = 0, bf, bt;
	struct block *b, *next;

	for (b = p->blocks; b; b = next) {
		bool hit = false;

		next = b->page_next[page_slot(b, p)];
		for (int n = 0; n < 2; n++) {
			block_range(b, n, &bf, &bt);
			hit |= b->page[n] == p && bf < to && bt > from;
		}
		if (!hit)
			continue;
		block_invalidate(engine, b);
		count++;
	}
	return count;
}

/*
 * Remember the bytes a new block was made from. Where other blocks were made
 * of other bytes, the client changed them unnoticed: those blocks go.
 */
static void page_copy(struct engine *engine, struct codepage *p,
		      const uint8_t *seen, unsigned int from, unsigned int to)
{
	uint64_t mask = granule_mask(from, to);

	if (!p->copy)
		p->copy = perm_alloc(engine, PAGE_SIZE);
	for (unsigned int i = 0; i < 64; i++)
		if (mask & ~p->granules & BIT64(i))
			memcpy(p->copy + i * 64, seen + i * 64, 64);
	if (p->granules & mask &&
	    memcmp(p->copy + from, seen + from, to - from)) {
		page_invalidate(engine, p, from, to);
		memcpy(p->copy + from, seen + from, to - from);
	}
	p->granules |= mask;
}

static void by_code_add(struct engine *engine, struct block *b)
{
	engine->by_code[engine->nblocks] = b;
	__atomic_store_n(&engine->nblocks, engine->nblocks + 1,
			 __ATOMIC_RELEASE);
}

void block_insert(struct engine *engine, struct block *b, const uint8_t *seen)
{
	struct block **head =
		&engine->hash[block_hash(b->page[0], b->rip, b->mode)];

	engine->keep_code = true; /* the pages do not become empty */
	for (int n = 0; seen && n < 2 && b->page[n]; n++) {
		unsigned int from, to;

		block_range(b, n, &from, &to);
		page_copy(engine, b->page[n], seen + n * PAGE_SIZE, from, to);
	}
	engine->keep_code = false;
	for (int n = 0; n < block_pages(b); n++)
		page_add(b, n);
	b->valid = true;
	if (b->relocs)
		template_add(engine, b);
	b->hash_next = *head;
	if (seen)
		by_code_add(engine, b);
	else
		moved_add(engine, b);
	__atomic_store_n(head, b, __ATOMIC_RELEASE);
}

void page_revalidate(struct engine *engine, struct codepage *p)
{
	for (uint64_t left = p->granules; left; left &= left - 1) {
		unsigned int i = __builtin_ctzll(left);

		if (!(p->granules & BIT64(i)) ||
		    !memcmp(p->copy + i * 64, p->hva + i * 64, 64))
			continue;
		page_invalidate(engine, p, i * 64, i * 64 + 64);
		p->granules &= ~BIT64(i);
	}
	p->acquire_gen = engine->acquire_gen;
}

static bool may_cache_write(struct cpu *cpu, uint8_t *hva_page)
{
	uint32_t *flag = page_flag(cpu->engine, hva_page);
	uint32_t bit = BIT(cpu->id % 31);
	uint32_t old = __atomic_load_n(flag, __ATOMIC_RELAXED);

	if (!(old & bit) || old & FLAG_CODE)
		old = __atomic_fetch_or(flag, bit, __ATOMIC_SEQ_CST);
	return !(old & FLAG_CODE);
}

/*
 * The store itself comes after this returns. A translation made in between
 * has read the old bytes: therefore the page is noted, and whoever translates
 * code in it waits for our next safepoint and looks again (page_settle()).
 */
static void code_write(struct cpu *cpu, uint8_t *hva, unsigned int size)
{
	struct engine *engine = cpu->engine;
	struct engine_cpu *ec = ec_of(cpu);
	uint8_t *page = (uint8_t *)((uintptr_t)hva & PAGE_MASK);
	struct codepage *p = page_lookup(engine, page);
	unsigned int from = hva - page, n = 0;

	if (!p || !size)
		return;
	engine_lock(cpu);
	if (p->granules & granule_mask(from, from + size))
		n = page_invalidate(engine, p, from, from + size);
	__atomic_store_n(&ec->storing, page, __ATOMIC_SEQ_CST);
	engine_unlock(engine);
	ec->invalidations += n;
	cpu->stat[CPU_STAT_INVALIDATE] += n;
}

/* After code of @p was translated: stores under way may have changed it. */
void page_settle(struct cpu *cpu, struct codepage *p)
{
	struct engine *engine = cpu->engine;
	bool again = false;

	for (unsigned int i = 0; i < engine->ncpus; i++) {
		struct cpu *other = engine->cpus[i];

		if (!other || other == cpu ||
		    __atomic_load_n(&ec_of(other)->storing, __ATOMIC_SEQ_CST) !=
			    p->hva)
			continue;
		drop_write_of(other);
		again = true;
	}
	if (again)
		page_revalidate(engine, p);
}

const struct cpu_code_ops page_code_ops = {
	.may_cache_write = may_cache_write,
	.write = code_write,
	.mmio = slow_mmio,
};

/* All pages with code are fewer than the range has: go through them. */
static bool by_table(uint64_t size)
{
	return size >> 12 > 1u << PAGE_HASH_BITS;
}

static bool holds_code(const struct codepage *p)
{
	return p && __atomic_load_n(&p->code, __ATOMIC_RELAXED);
}

bool page_holds_code(struct engine *engine, const uint8_t *hva, uint64_t size)
{
	uint64_t at = (uintptr_t)hva & PAGE_MASK;
	uint64_t n = (((uintptr_t)hva & ~PAGE_MASK) + size + PAGE_SIZE - 1) /
		     PAGE_SIZE;

	if (by_table(size))
		return true;
	/* by number: the last page's end may be no address */
	for (; n; n--, at += PAGE_SIZE)
		if (holds_code(page_lookup(engine, (uint8_t *)at)))
			return true;
	return false;
}

/* The part of [from, to) that is in the page. */
static void invalidate_part(struct engine *engine, struct codepage *p,
			    uint64_t from, uint64_t to)
{
	uint64_t page = (uintptr_t)p->hva;

	if (!p->blocks || from >= page + PAGE_SIZE || to <= page)
		return;
	from = MAX(from, page);
	to = MIN(to, page + PAGE_SIZE);
	page_invalidate(engine, p, from - page, to - page);
}

void page_invalidate_range(struct engine *engine, const uint8_t *hva,
			   uint64_t size)
{
	uint64_t from = (uintptr_t)hva, to = from + size;
	struct codepage *p;

	if (by_table(size)) {
		for (unsigned int i = 0; i < 1u << PAGE_HASH_BITS; i++)
			for (p = engine->pages[i]; p; p = p->hash_next)
				invalidate_part(engine, p, from, to);
		return;
	}
	for (uint64_t at = from & PAGE_MASK; at < to; at += PAGE_SIZE) {
		p = page_lookup(engine, (uint8_t *)at);
		if (p)
			invalidate_part(engine, p, from, to);
	}
}

void page_flush_all(struct engine *engine)
{
	for (unsigned int i = 0; i < 1u << PAGE_HASH_BITS; i++) {
		struct codepage *p;

		for (p = engine->pages[i]; p; p = p->hash_next) {
			p->blocks = NULL;
			p->mapped = p->aliased = false;
			if (p->code)
				page_unmark(engine, p);
		}
	}
	memset(engine->hash, 0, sizeof(void *) << BLOCK_HASH_BITS);
	memset(engine->xmaps, 0, sizeof(void *) << XMAP_HASH_BITS);
	moved_reset(engine);
	engine->nblocks = 0;
	engine->meta_used = 0;
	engine->work = NULL;
	engine->code_used = engine->code_start;
	engine->flush_gen++;
	/* ids of pages go as well: they are made of the same memory */
	for (unsigned int i = 0; i < engine->ncpus; i++)
		if (engine->cpus[i])
			tlb_drop_exec(engine->cpus[i]);
}

struct block *block_by_code(struct engine *engine, const uint8_t *rx)
{
	const uint8_t *rw = rx - engine->rx_off;
	bool copy = rw < engine->rw + engine->code_start;
	struct block **all = copy ? engine->copies->by_code : engine->by_code;
	unsigned int lo = 0;
	unsigned int hi = __atomic_load_n(
		copy ? &engine->copies->n : &engine->nblocks, __ATOMIC_ACQUIRE);

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;
		struct block *b = all[mid];

		if (rw < b->code)
			hi = mid;
		else if (rw >= b->code + b->code_size)
			lo = mid + 1;
		else
			return b;
	}
	return NULL;
}
