/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block: decode up to its end, work out which arithmetic flags matter
 * where, emit. A block lies in one guest page, except that its single
 * instruction may reach into the next.
 *
 * Flags liveness follows direct jumps within the page by looking ahead at
 * the target's first instructions; the bytes looked at belong to the block's
 * dependencies, so that a store to them drops the block.
 */
#include "engine/count.h"

#include "engine/exec.h"
#include "engine/reloc.h"
#include "engine/slow.h"
#include "engine/stubs.h"
#include "lib/check.h"

#include <errno.h>
#include <string.h>

#define MAX_INSNS  40
#define PEEK_INSNS 6

struct work {
	struct dinsn d[MAX_INSNS];
	struct dinsn peek;
	unsigned int n;
	bool flow_end; /* last instruction does not fall through */
	struct trans t;
	struct link links[64];
	struct insn_map map[MAX_INSNS + 1];
};

static void depend(struct block *b, unsigned int from, unsigned int to)
{
	b->start = MIN(b->start, from);
	b->end = MAX(b->end, to);
}

/*
 * Arithmetic flags are kept everywhere. Counters of conditional branches are
 * what recorders of execution find their place by: it is compared to the bit.
 */
static bool exact_flags(const struct cpu *cpu, uint64_t mode)
{
	return cpu->engine->cfg.exact_flags || mode & MODE_COUNT(COUNT_COND);
}

/*
 * Flags that may be read from @off in the block's page on, as far as a short
 * look tells; everything when it does not tell.
 */
static uint16_t peek_live(struct cpu *cpu, struct work *w, struct block *b,
			  uint64_t rip, uint64_t mode, unsigned int bits)
{
	uint64_t page = (b->rip + b->cs_base) & PAGE_MASK;
	uint16_t open = RFLAGS_ARITH, live = 0;

	if (mode & MODE_ONE || b->page[1] || exact_flags(cpu, mode))
		return RFLAGS_ARITH;
	for (int i = 0; i < PEEK_INSNS && open; i++) {
		uint64_t off = rip + b->cs_base - page;

		if (off >= PAGE_SIZE ||
		    decode_insn(cpu, bits, cpu->engine->seen + off,
				PAGE_SIZE - off, rip, &w->peek))
			return live | open;
		decode_classify(cpu, mode, &w->peek);
		depend(b, off, off + w->peek.in.length);
		live |= w->peek.reads & open;
		open &= ~w->peek.kills;
		switch (w->peek.cls) {
		case K_COPY:
		case K_NOP:
		case K_PAUSE:
		case K_LEA:
		case K_PUSH:
		case K_POP:
		case K_LEAVE:
		case K_CLI:
		case K_STRING:
		case K_SWAPGS: rip = w->peek.next_rip; break;
		default: return live | open;
		}
	}
	return live | open;
}

static uint64_t rel_target(const struct dinsn *d, unsigned int bits)
{
	uint64_t rip = d->next_rip + d->op[0].imm.value.s;

	if (bits == 64)
		return rip;
	return rip & (d->in.operand_width == 16 ? 0xffff : 0xffffffff);
}

bool trans_ends_block(const struct dinsn *d, uint64_t mode)
{
	switch (d->cls) {
	case K_END:
	case K_JMP:
	case K_CALLN:
	case K_RETN: return true;
	case K_CLI: return !(mode & MODE_IOPL_OK);
	case K_CLD: return mode & MODE_DF;
	case K_STD: return !(mode & MODE_DF);
	case K_SWAPGS: return (mode & (MODE_CPL | MODE_L)) != MODE_L;
	case K_LOOP: return d->in.address_width == 16;
	default: return false;
	}
}

/* 0: fine; -EFAULT: the first instruction needs the next page. */
static int decode_block(struct cpu *cpu, struct work *w, struct block *b,
			unsigned int bits, bool next_page)
{
	unsigned int off = (b->rip + b->cs_base) & (PAGE_SIZE - 1);
	unsigned int max = b->mode & MODE_ONE ? 1 : MAX_INSNS;
	uint64_t rip = b->rip;

	b->start = off;
	while (w->n < max && off < PAGE_SIZE) {
		struct dinsn *d = &w->d[w->n];
		const uint8_t *bytes = cpu->engine->seen + off;
		unsigned int len = PAGE_SIZE - off;
		int ret;

		if (len < 15 && next_page && w->n == 0)
			len += 15;
		ret = decode_insn(cpu, bits, bytes, len, rip, d);
		if (ret == -EFAULT) {
			if (w->n == 0 && !next_page)
				return -EFAULT;
			if (w->n)
				break;
			ret = -ERANGE;
		}
		if (ret) { /* no such instruction */
			memset(&d->in, 0, sizeof(d->in));
			d->in.length = 1;
			d->in.operand_width = d->in.address_width = bits;
			d->rip = d->next_rip = rip;
			d->cls = K_END;
			d->fn = decode_refusal(ret);
			d->reads = RFLAGS_ARITH;
			d->writes = d->kills = 0;
			d->bytes[0] = bytes[0];
		} else {
			decode_classify(cpu, b->mode, d);
		}
		w->n++;
		off += d->in.length;
		rip = d->next_rip;
		if (trans_ends_block(d, b->mode)) {
			w->flow_end = true;
			break;
		}
	}
	depend(b, b->start, MIN(off, PAGE_SIZE));
	if (off > PAGE_SIZE)
		b->end1 = off - PAGE_SIZE;
	return 0;
}

/* Backward over the block: what each instruction must find and leave. */
static void liveness(struct cpu *cpu, struct work *w, struct block *b,
		     unsigned int bits)
{
	struct dinsn *last = &w->d[w->n - 1];
	bool exact = exact_flags(cpu, b->mode);
	uint16_t live;

	if (w->flow_end) {
		bool direct = (last->cls == K_JMP || last->cls == K_CALLN) &&
			      last->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

		live = direct ? peek_live(cpu, w, b, rel_target(last, bits),
					  b->mode, bits)
			      : RFLAGS_ARITH;
	} else {
		live = peek_live(cpu, w, b, last->next_rip, b->mode, bits);
	}
	for (unsigned int i = w->n; i-- > 0;) {
		struct dinsn *d = &w->d[i];

		if (d->cls == K_JCC || d->cls == K_LOOP) {
			d->live_taken = peek_live(
				cpu, w, b, rel_target(d, bits), b->mode, bits);
			live |= d->live_taken;
		}
		d->live_out = live;
		live = (live & ~d->kills) | d->reads;
		if (exact)
			live = RFLAGS_ARITH;
		d->live_in = live;
	}
	b->livein = live != 0;
}

/* Direct exits the block can have. */
static unsigned int count_links(const struct work *w)
{
	unsigned int n = 1;

	for (unsigned int i = 0; i < w->n; i++)
		n += w->d[i].cls == K_JCC || w->d[i].cls == K_LOOP;
	return n;
}

void trans_insn(struct trans *t, const struct dinsn *d, struct insn *out)
{
	decode_to_insn(d,
		       t->bits == 64        ? 64
		       : t->mode & MODE_SSB ? 32
					    : 16,
		       out);
}

static void emit_cold_mem(struct trans *t, struct cold *c)
{
	struct mem_meta meta = {
		.rip = c->rip,
		.size = c->size,
		.acc = c->acc,
		.rule = c->rule,
		.left = c->left,
	};
	struct emit *e = &t->e;

	if (c->tag_disp)
		emit_op_cpu_idx(e, 0x33, S0, S1, c->tag_disp);
	else if (c->rip_rel)
		reloc_mov_gva(t, S0, c->gva);
	else
		emit_mov_imm(e, S0, c->gva);
	reloc_call(t, t->engine->mem_stub[0]);
	if (e->end - e->p < (ptrdiff_t)sizeof(meta)) {
		e->overflow = true;
		return;
	}
	memcpy(e->p, &meta, sizeof(meta));
	reloc_note(t, RELOC_ANY64, e->p + offsetof(struct mem_meta, rip));
	e->p += sizeof(meta);
	emit_bind(emit_jmp(e), c->back);
}

/*
 * A target in S0 that is not canonical faults at the jump itself: take the
 * stack pointer back and let C do it all. (57-bit targets go there, too.)
 */
static void emit_canonical(struct trans *t, const struct cold *c)
{
	struct emit *e = &t->e;
	uint8_t *ok;

	emit_mov_rr(e, 8, S1, S0);
	flow_sign_extend(t);
	emit_op_rr(e, 0x3b, 8, S1, S0);
	ok = emit_jcc(e, CC_E);
	if (c->tag_disp)
		emit_lea(e, 8, GSP, GSP, NOHOST, 1, c->tag_disp);
	count_undo(t, &c->left);
	reloc_st_rip(t, c->rip);
	reloc_jmp(t, t->engine->leave[LEAVE_SLOW]);
	emit_bind(ok, e->p);
}

static void emit_cold(struct trans *t, struct cold *c)
{
	struct emit *e = &t->e;

	emit_bind(c->from, e->p);
	switch (c->kind) {
	case COLD_MEM: emit_cold_mem(t, c); return;
	case COLD_LINK:
		if (c->link->patch == c->from)
			c->link->stub = e->p;
		if (c->acc) {
			t->flags_host = true;
			t->flags_mem = false;
			flags_save(t);
		}
		reloc_mov_ptr(t, RELOC_LINK, c->link);
		reloc_jmp(t, t->engine->leave[LEAVE_LINK]);
		return;
	case COLD_SLOW:
		count_undo(t, &c->left);
		reloc_st_rip(t, c->rip);
		reloc_jmp(t, t->engine->leave[LEAVE_SLOW]);
		return;
	case COLD_STALE:
		reloc_st_rip(t, c->rip);
		reloc_jmp(t, t->engine->leave[LEAVE_STALE]);
		return;
	case COLD_COUNT: count_cold(t, c); return;
	case COLD_PAUSE:
		reloc_call(t, t->engine->pause_stub);
		emit_bind(emit_jmp(e), c->back);
		return;
	case COLD_JC:
		if (t->bits == 64)
			emit_canonical(t, c);
		emit_st(e, OFF(rip), S0);
		reloc_jmp(t, t->engine->leave[LEAVE_DISPATCH]);
		return;
	}
}

static void emit_stale(struct trans *t, bool save)
{
	if (save) {
		t->flags_host = true;
		t->flags_mem = false;
		flags_save(t);
	}
	reloc_st_rip(t, t->b->rip);
	reloc_jmp(t, t->engine->leave[LEAVE_STALE]);
}

/* Five bytes that invalidation overwrites with a jump in one store. */
static uint8_t *emit_entry(struct trans *t)
{
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	uint8_t *p;

	emit_align(&t->e, 8, 0);
	p = t->e.p;
	for (unsigned int i = 0; i < 5; i++)
		emit1(&t->e, nop5[i]);
	return p;
}

/* The second page must still be mapped as it was. Flags are in memory. */
static void emit_page1_check(struct trans *t, uint32_t xid)
{
	uint64_t gva = ((t->b->rip + t->b->cs_base) & PAGE_MASK) + PAGE_SIZE;
	int32_t off = OFF_VIEW(t->view) +
		      (int32_t)offsetof(struct tlb_view, xid) +
		      (int32_t)xtlb_index(gva) * 4;

	emit_op_cpu(&t->e, 0x81, 4, 7, off);
	emit4(&t->e, xid);
	cold_add(t, COLD_STALE, emit_jcc(&t->e, CC_NE));
}

static void emit_entries(struct trans *t, struct work *w, uint32_t xid1)
{
	struct block *b = t->b;
	bool by_mem = b->page[1] || (t->count && b->livein);

	t->rip = b->rip;
	if (by_mem) { /* flags go through memory: dir runs into ind */
		b->livein = true;
		b->dir = to_rx(t->engine, emit_entry(t));
		t->flags_host = true;
		t->flags_mem = false;
		flags_save(t);
	}
	b->ind = to_rx(t->engine, emit_entry(t));
	t->flags_host = false;
	t->flags_mem = true;
	if (b->page[1])
		emit_page1_check(t, xid1);
	count_entry(t, w->d, w->n);
	if (by_mem)
		return;
	if (!b->livein) {
		b->dir = b->ind;
		t->flags_mem = false;
		return;
	}
	flags_restore(t);
	b->dir = to_rx(t->engine, emit_entry(t));
	t->flags_mem = false;
}

static void emit_body(struct trans *t, struct work *w)
{
	bool ended = false;

	for (unsigned int i = 0; i < w->n && !t->too_big; i++) {
		struct dinsn *d = &w->d[i];
		uint8_t *from = t->e.p;
		struct tally left;

		t->d = d;
		t->rip = d->rip;
		t->next_rip = d->next_rip;
		t->spilled = false;
		t->op_flags_host = false;
		if (i)
			count_next(t, d, w->n - i);
		left = t->left;
		ended = flow_insn(t, i + 1 == w->n);
		w->map[i] = (struct insn_map){
			.host = from - t->b->code,
			.left = left,
			.flags = (t->op_flags_host ? MAP_FLAGS_HOST : 0) |
				 (t->spilled ? MAP_SPILLED | t->spill_reg << 4
					     : 0),
		};
	}
	if (ended || t->too_big)
		return;
	count_end(t, t->d);
	flow_exit_to(t, t->next_rip, t->mode);
}

static void emit_tail(struct trans *t)
{
	struct block *b = t->b;

	for (unsigned int i = 0; i < t->ncold; i++)
		emit_cold(t, &t->cold[i]);
	b->stale_ind = to_rx(t->engine, t->e.p);
	emit_stale(t, false);
	b->stale_dir = to_rx(t->engine, t->e.p);
	emit_stale(t, b->dir && b->dir != b->ind);
}

static void trans_init(struct trans *t, struct cpu *cpu, struct block *b,
		       struct link *links)
{
	memset(t, 0, offsetof(struct trans, cold));
	t->ncold = 0;
	t->nlinks = t->nrelocs = 0;
	t->too_big = t->fixed = false;
	t->engine = cpu->engine;
	t->cpu = cpu;
	t->b = b;
	t->mode = b->mode;
	t->view = mode_view(b->mode);
	t->bits = b->mode & MODE_L ? 64 : b->mode & MODE_D ? 32 : 16;
	t->links = links;
}

static struct work *work_of(struct engine *engine)
{
	if (!engine->work)
		engine->work = meta_alloc(engine, sizeof(struct work));
	return engine->work;
}

/*
 * Blocks of 64-bit code that depend on one page can be copied. False: no
 * memory.
 */
static bool keep_relocs(struct trans *t)
{
	size_t size = t->nrelocs * sizeof(struct reloc);
	struct block *b = t->b;

	if (t->bits != 64 || b->page[1] || t->fixed)
		return true;
	b->relocs = meta_alloc(t->engine, size);
	if (!b->relocs)
		return false;
	memcpy(b->relocs, t->relocs, size);
	b->nrelocs = t->nrelocs;
	return true;
}

/* Keep what the block needs after translation. */
static int finish(struct trans *t, struct work *w)
{
	struct engine *engine = t->engine;
	struct block *b = t->b;
	struct link *links;

	b->code_size = t->e.p - b->code;
	b->ninsn = w->n;
	b->nlinks = t->nlinks;
	b->map = meta_alloc(engine, w->n * sizeof(struct insn_map));
	b->lens = meta_alloc(engine, w->n);
	links = b->links;
	if (!b->map || !b->lens || !links || !keep_relocs(t))
		return -ENOMEM;
	memcpy(b->map, w->map, w->n * sizeof(struct insn_map));
	for (unsigned int i = 0; i < w->n; i++)
		b->lens[i] = w->d[i].in.length;
	engine->code_used = ALIGN_UP((uint64_t)(t->e.p - engine->rw), 16ULL);
	return 0;
}

/*
 * @next: the second page when the first instruction is known to reach it.
 * Returns NULL with *err = -EFAULT: call again with the next page; -ENOMEM:
 * code memory is full.
 */
struct block *translate(struct cpu *cpu, struct codepage *page,
			struct codepage *next, uint32_t xid1, int *err)
{
	struct engine *engine = cpu->engine;
	struct work *w = work_of(engine);
	struct block *b = block_alloc(engine);
	unsigned int max = MAX_INSNS;
	struct trans *t;

	*err = -ENOMEM;
	if (!w || !b || engine->code_used + BLOCK_ROOM > engine->code_size)
		return NULL;
	t = &w->t;
	memcpy(engine->seen, page->hva, PAGE_SIZE);
	if (next)
		memcpy(engine->seen + PAGE_SIZE, next->hva, 64);
again:
	memset(b, 0, sizeof(*b));
	b->rip = cpu->rip;
	b->cs_base = cpu->code_bits == 64 ? 0 : cpu->seg[SEG_CS].base;
	b->mode = cpu->mode;
	b->page[0] = page;
	b->start = PAGE_SIZE;
	w->n = 0;
	w->flow_end = false;
	trans_init(t, cpu, b, NULL);
	*err = decode_block(cpu, w, b, t->bits, next != NULL);
	if (*err)
		return NULL;
	if (b->end1)
		b->page[1] = next;
	b->xid1 = xid1;
	if (w->n > max) {
		w->n = max;
		w->flow_end = false;
		b->end = b->start; /* narrowed below */
		for (unsigned int i = 0, off = b->start; i < w->n; i++)
			b->end = off += w->d[i].in.length;
	}
	liveness(cpu, w, b, t->bits);
	b->links = meta_alloc(engine, count_links(w) * sizeof(struct link));
	*err = -ENOMEM;
	if (!b->links)
		return NULL;
	t->links = b->links;
	t->count = mode_classes(b->mode);
	b->code = engine->rw + engine->code_used;
	t->e.p = b->code;
	t->e.end = b->code + BLOCK_ROOM;
	emit_entries(t, w, xid1);
	emit_body(t, w);
	if (!t->too_big)
		emit_tail(t);
	if (t->too_big || t->e.overflow) {
		ASSERT(max > 1);
		max = w->n / 2 ? w->n / 2 : 1;
		goto again;
	}
	if (finish(t, w))
		return NULL;
	*err = 0;
	return b;
}

int translate_bounce(struct cpu *cpu, const uint8_t *bytes, unsigned int len,
		     unsigned int slot, struct bounce_code *out)
{
	struct engine *engine = cpu->engine;
	struct work *w = work_of(engine);
	uint8_t *code = ec_of(cpu)->bounce_code + slot * BOUNCE_CODE_SIZE;
	struct trans *t = &w->t;
	struct block b = {
		.rip = cpu->rip,
		.mode = cpu->mode | MODE_ONE,
	};
	struct dinsn *d = &w->d[0];
	int ret;

	trans_init(t, cpu, &b, w->links);
	ret = decode_insn(cpu, t->bits, bytes, len, cpu->rip, d);
	if (ret)
		return ret;
	decode_classify(cpu, b.mode, d);
	if (d->cls == K_STRING)
		d->cls = K_END; /* an element that is not plain RAM */
	d->live_in = d->live_out = d->live_taken = RFLAGS_ARITH;
	t->bounce = true;
	b.code = t->e.p = code;
	t->e.end = code + BOUNCE_CODE_SIZE;
	t->d = d;
	t->rip = d->rip;
	t->next_rip = d->next_rip;
	t->flags_mem = true;
	flags_restore(t);
	out->cls = d->cls;
	out->fn = d->fn;
	out->lock = decode_locks(d);
	out->general = d->in.meta.isa_ext == ZYDIS_ISA_EXT_BASE ||
		       d->in.meta.isa_ext == ZYDIS_ISA_EXT_LONGMODE;
	trans_insn(t, d, &out->insn);
	if (d->cls == K_CALL || d->cls == K_END)
		return 0;
	if (!flow_insn(t, true))
		flow_exit_to(t, d->next_rip, cpu->mode);
	for (unsigned int i = 0; i < t->ncold; i++)
		emit_cold(t, &t->cold[i]);
	if (t->too_big || t->e.overflow)
		return -E2BIG;
	out->entry = to_rx(engine, code);
	memcpy(out->refs, t->refs, sizeof(t->refs));
	out->nrefs = t->nrefs;
	return 0;
}
