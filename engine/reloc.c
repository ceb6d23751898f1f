/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of blocks for other addresses; see reloc.h. A copy is byte for byte
 * what a translation there would have been (engine/reloc_test.c), and shares
 * with its template what is the same anywhere: the map and the lengths.
 *
 * Blocks begin at a multiple of 16 in code memory, so that what is aligned in
 * one is aligned in its copy.
 */
#include "engine/reloc.h"

#include "engine/decode.h"
#include "lib/check.h"

#include <string.h>

#define BLOCK_ALIGN 16ULL

/* ---- noting ---- */

void reloc_note(struct trans *t, enum reloc_kind kind, const uint8_t *at)
{
	if (t->nrelocs == ARRAY_SIZE(t->relocs)) {
		t->fixed = true;
		return;
	}
	t->relocs[t->nrelocs++] = (struct reloc){
		.at = at - t->b->code,
		.kind = kind,
	};
}

static bool is_s32(uint64_t val)
{
	return (int64_t)val == (int32_t)val;
}

void reloc_note_imm(struct trans *t, const uint8_t *at, uint64_t val)
{
	reloc_note(t,
		   is_s32(val)         ? RELOC_S32
		   : val <= UINT32_MAX ? RELOC_HIGH32
				       : RELOC_64,
		   at);
}

void reloc_st_rip(struct trans *t, uint64_t rip)
{
	reloc_note_imm(t, emit_st_imm64(&t->e, OFF(rip), rip, S0), rip);
}

void reloc_mov_gva(struct trans *t, unsigned int reg, uint64_t gva)
{
	uint8_t *at = emit_mov_imm(&t->e, reg, gva);

	reloc_note(t,
		   gva <= UINT32_MAX ? RELOC_U32
		   : is_s32(gva)     ? RELOC_NEG32
				     : RELOC_64,
		   at);
}

void reloc_mov_ptr(struct trans *t, enum reloc_kind kind, const void *p)
{
	const ZydisDecodedOperand *op = decode_mem(t->d);
	uint8_t *at = emit_mov_imm(&t->e, S0, (uintptr_t)p);

	if ((uintptr_t)p <= UINT32_MAX)
		t->fixed = true;
	reloc_note(t, kind, at);
	t->relocs[t->nrelocs - 1].rip_rel = kind != RELOC_LINK && op &&
					    decode_rip_rel(op);
}

void reloc_jmp(struct trans *t, const uint8_t *stub)
{
	emit_jmp_to(&t->e, stub, t->engine->rx_off);
	reloc_note(t, RELOC_STUB, t->e.p - 4);
}

void reloc_call(struct trans *t, const uint8_t *stub)
{
	emit_call_to(&t->e, stub, t->engine->rx_off);
	reloc_note(t, RELOC_STUB, t->e.p - 4);
}

/* ---- moving ---- */

struct move {
	struct engine *engine;
	const struct block *from;
	struct block *to;
	uint64_t by; /* the guest's addresses */
};

static uint64_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

/* A value whose class is @kind now; false: it is not after the move. */
static bool move_imm32(const struct move *m, enum reloc_kind kind, uint8_t *p)
{
	uint64_t val = get32(p);

	if (kind == RELOC_S32 || kind == RELOC_NEG32)
		val = (uint64_t)(int32_t)val;
	val += m->by;
	put32(p, val);
	switch (kind) {
	case RELOC_S32: return is_s32(val);
	case RELOC_NEG32: return is_s32(val) && val > UINT32_MAX;
	case RELOC_U32: return val <= UINT32_MAX;
	case RELOC_HIGH32: return val <= UINT32_MAX && !is_s32(val);
	default: return true;
	}
}

static bool move_imm64(const struct move *m, uint8_t *p)
{
	uint64_t val = get64(p) + m->by;

	put64(p, val);
	return val > UINT32_MAX && !is_s32(val);
}

/*
 * The index into a table of @n entries of @size bytes moves on, and wraps;
 * @table: of any view, where the table begins.
 */
static void move_index(const struct move *m, uint8_t *p, int32_t table,
		       unsigned int n, unsigned int size)
{
	uint32_t off = (uint32_t)get32(p) - table;
	uint32_t view = off / sizeof(struct tlb_view) * sizeof(struct tlb_view);
	uint32_t in = off - view, index = in / size;
	uint32_t to = (index & ~(n - 1)) |
		      ((index + (uint32_t)(m->by >> 12)) & (n - 1));

	put32(p, table + view + to * size + in % size);
}

/* Reads and writes: two tables of a size, one behind the other. */
_Static_assert(offsetof(struct tlb_view, r) == 0 &&
		       offsetof(struct tlb_view, w) ==
			       TLB_ENTRIES * sizeof(struct tlb_entry),
	       "move_index() knows both by the bits above the index");

static bool move_call(const struct move *m, const struct reloc *r, uint8_t *p)
{
	size_t in = r->kind == RELOC_INSN ? offsetof(struct insn_call, insn)
					  : 0;
	const struct insn_call *old = (void *)(get64(p) - in);
	struct insn_call *c = moved_alloc(m->engine, sizeof(*c), 16);

	if (!c)
		return false;
	*c = *old;
	c->insn.next_rip += m->by;
	for (unsigned int i = 0; r->rip_rel && i < c->insn.nops; i++)
		if (c->insn.op[i].kind == OPND_MEM && c->insn.op[i].rip_rel)
			c->insn.op[i].disp += m->by;
	put64(p, (uintptr_t)c + in);
	return (uintptr_t)c > UINT32_MAX;
}

static bool move_place(const struct move *m, const struct reloc *r)
{
	uint8_t *p = m->to->code + r->at;

	switch ((enum reloc_kind)r->kind) {
	case RELOC_STUB:
		put32(p, get32(p) - (m->to->code - m->from->code));
		return true;
	case RELOC_S32:
	case RELOC_NEG32:
	case RELOC_U32:
	case RELOC_HIGH32:
	case RELOC_LOW32: return move_imm32(m, r->kind, p);
	case RELOC_64: return move_imm64(m, p);
	case RELOC_ANY64: put64(p, get64(p) + m->by); return true;
	case RELOC_TLB:
		move_index(m, p, OFF_VIEW(0), TLB_ENTRIES,
			   sizeof(struct tlb_entry));
		return true;
	case RELOC_XID:
		move_index(m, p,
			   OFF_VIEW(0) +
				   (int32_t)offsetof(struct tlb_view, xid),
			   XTLB_ENTRIES, sizeof(uint32_t));
		return true;
	case RELOC_LINK:
		put64(p, get64(p) - (uintptr_t)m->from->links +
				 (uintptr_t)m->to->links);
		return true;
	case RELOC_CALL:
	case RELOC_INSN: return move_call(m, r, p);
	}
	ASSERT(!"kind of place");
}

/* Links as they were when made; false: one points the other way there. */
static bool move_links(const struct move *m)
{
	ptrdiff_t host = m->to->code - m->from->code;

	for (unsigned int i = 0; i < m->to->nlinks; i++) {
		const struct link *old = &m->from->links[i];
		struct link *l = &m->to->links[i];

		*l = *old;
		l->from = m->to;
		l->to = NULL;
		l->next_in = NULL;
		l->patch += host;
		l->stub += host;
		l->rip += m->by;
		put32(l->patch, l->stub - (l->patch + 4));
		if (l->xid_patch) {
			l->xid_patch += host;
			put32(l->xid_patch, 0xffffffff);
		}
		if ((l->rip < m->to->rip) != (old->rip < m->from->rip))
			return false;
	}
	return true;
}

static void move_entries(const struct move *m)
{
	ptrdiff_t host = m->to->code - m->from->code;
	struct block *b = m->to;

	b->ind += host;
	if (b->dir)
		b->dir += host;
	b->stale_ind += host;
	b->stale_dir += host;
}

struct block *reloc_copy(struct engine *engine, const struct block *from,
			 uint64_t rip)
{
	struct copies *c = engine->copies;
	struct block *b = moved_alloc(engine, sizeof(*b), 64);
	struct move m = {engine, from, b, rip - from->rip};
	const struct codepage *p = from->page[0];

	if (!b || c->used + from->code_size > c->end ||
	    memcmp(p->copy + from->start, p->hva + from->start,
		   from->end - from->start))
		return NULL;
	*b = *from;
	b->rip = rip;
	b->hash_next = b->page_next[0] = NULL;
	b->in = NULL;
	b->valid = false;
	b->relocs = NULL;
	b->code = engine->rw + c->used;
	b->links = moved_alloc(engine, from->nlinks * sizeof(struct link), 16);
	if (!b->links)
		return NULL;
	memcpy(b->code, from->code, from->code_size);
	if (!move_links(&m))
		return NULL;
	for (unsigned int i = 0; i < from->nrelocs; i++)
		if (!move_place(&m, &from->relocs[i]))
			return NULL;
	move_entries(&m);
	c->used = ALIGN_UP(c->used + b->code_size, BLOCK_ALIGN);
	return b;
}
