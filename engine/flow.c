/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control flow and the stack: near branches, calls, returns, pushes and pops,
 * and the ways a block is left.
 *
 * A direct exit within the page of the block is one jump, patched when its
 * target is known. To another page it first checks that the vCPU's execute
 * entry still maps that page as it did when the jump was linked. Indirect
 * exits go through the view's jump cache. Backward and indirect exits poll
 * the doorbell.
 */
#include "engine/count.h"

#include "engine/exec.h"
#include "engine/reloc.h"

#include <string.h>

struct cold *cold_add(struct trans *t, enum cold_kind kind, uint8_t *from)
{
	struct cold *c;

	if (t->ncold == ARRAY_SIZE(t->cold)) {
		t->too_big = true;
		return NULL;
	}
	c = &t->cold[t->ncold++];
	*c = (struct cold){
		.kind = kind, .from = from, .rip = t->rip, .left = t->left};
	return c;
}

static uint8_t *emit_poll(struct trans *t)
{
	struct emit *e = &t->e;

	emit1(e, 0x66); /* cmp word [rsp + doorbell], 0 */
	emit1(e, 0x83);
	emit1(e, 0xbc);
	emit1(e, 0x24);
	emit4(e, OFF_DOORBELL);
	emit1(e, 0);
	return emit_jcc(e, CC_NE);
}

static struct link *link_new(struct trans *t, uint64_t rip, uint64_t mode)
{
	struct link *l = &t->links[t->nlinks];

	if (t->nlinks == 63) {
		t->too_big = true;
		return l;
	}
	t->nlinks++;
	*l = (struct link){.from = t->b, .rip = rip, .mode = mode};
	return l;
}

static void cold_link(struct trans *t, struct link *l, uint8_t *from, bool save)
{
	struct cold *c = cold_add(t, COLD_LINK, from);

	if (!c)
		return;
	c->link = l;
	c->acc = save;
}

/* Leave to C at @rip, no link: single-step and bounce modes. */
static void exit_unlinked(struct trans *t, uint64_t rip)
{
	flags_save(t);
	reloc_st_rip(t, rip);
	reloc_jmp(t,
		  t->engine->leave[t->bounce ? LEAVE_BOUNCED : LEAVE_DISPATCH]);
}

static bool other_page(const struct trans *t, uint64_t rip)
{
	uint64_t here = t->b->rip + t->b->cs_base;

	return ((here ^ (rip + t->b->cs_base)) & PAGE_MASK) != 0 ||
	       t->b->page[1];
}

/*
 * Direct exit. @live: arithmetic flags the target may read; the state of the
 * flags is kept for what follows (the not-taken side of a branch).
 */
static void exit_direct(struct trans *t, uint64_t rip, uint64_t mode, bool live)
{
	bool cross = other_page(t, rip);
	bool poll = rip <= t->rip;
	bool host = t->flags_host, mem = t->flags_mem;
	struct emit *e = &t->e;
	struct link *l;

	if (t->bounce || t->mode & MODE_ONE) {
		exit_unlinked(t, rip);
		t->flags_host = host;
		t->flags_mem = mem;
		return;
	}
	l = link_new(t, rip, mode);
	if (live && (poll || cross || !t->flags_host))
		flags_save(t);
	l->flags_saved = t->flags_mem;
	if (poll)
		cold_link(t, l, emit_poll(t), false);
	if (cross) {
		unsigned int idx = xtlb_index(rip + t->b->cs_base);
		int32_t xid = OFF_VIEW(mode_view(mode)) +
			      (int32_t)offsetof(struct tlb_view, xid) +
			      (int32_t)idx * 4;

		emit_align(e, 4, 7);
		emit_op_cpu(e, 0x81, 4, 7, xid); /* cmp dword [xid], imm32 */
		reloc_note(t, RELOC_XID, e->p - 4);
		l->xid_patch = e->p;
		emit4(e, 0xffffffff);
		cold_link(t, l, emit_jcc(e, CC_NE), false);
	}
	emit_align(e, 4, 1);
	l->patch = emit_jmp(e);
	cold_link(t, l, l->patch, live && !l->flags_saved);
	t->flags_host = host;
	t->flags_mem = mem;
}

void flow_exit_to(struct trans *t, uint64_t rip, uint64_t mode)
{
	exit_direct(t, rip, mode, t->d->live_out != 0);
}

static void cold_jc(struct trans *t, uint8_t *from, int32_t undo)
{
	struct cold *c = cold_add(t, COLD_JC, from);

	if (c)
		c->tag_disp = undo;
}

void flow_sign_extend(struct trans *t)
{
	struct emit *e = &t->e;

	emit1(e, 0x49); /* shl s1, 16 */
	emit1(e, 0xc1);
	emit1(e, 0xe0 | (S1 & 7));
	emit1(e, 16);
	emit1(e, 0x49); /* sar s1, 16 */
	emit1(e, 0xc1);
	emit1(e, 0xf8 | (S1 & 7));
	emit1(e, 16);
}

/*
 * S0 = offset of the target; flags are in memory. @undo: what gives rsp its
 * old value, should the target not be canonical.
 */
static void exit_indirect(struct trans *t, int32_t undo)
{
	int32_t jc = OFF_VIEW(t->view) + offsetof(struct tlb_view, jc);
	struct emit *e = &t->e;

	if (t->bounce || t->mode & MODE_ONE) {
		emit_st(e, OFF(rip), S0);
		reloc_jmp(t, t->engine->leave[t->bounce ? LEAVE_BOUNCED
							: LEAVE_DISPATCH]);
		return;
	}
	cold_jc(t, emit_poll(t), undo);
	emit_mov_rr(e, 4, S1, S0);
	emit1(e, 0x41); /* and s1d, entries - 1 */
	emit1(e, 0x81);
	emit1(e, 0xe0 | (S1 & 7));
	emit4(e, JC_ENTRIES - 1);
	emit1(e, 0x41); /* shl s1d, 4 */
	emit1(e, 0xc1);
	emit1(e, 0xe0 | (S1 & 7));
	emit1(e, 4);
	emit_op_cpu_idx(e, 0x3b, S0, S1, jc + offsetof(struct jc_entry, gva));
	cold_jc(t, emit_jcc(e, CC_NE), undo);
	emit1(e, 0x42); /* jmp [rsp + s1 + code] */
	emit1(e, 0xff);
	emit1(e, 0xa4);
	emit1(e, (S1 & 7) << 3 | 4);
	emit4(e, jc + offsetof(struct jc_entry, code));
}

/* ---- C functions ---- */

static struct insn_call *new_call(struct trans *t, exec_fn *fn)
{
	struct insn_call *c = meta_alloc(t->engine, sizeof(*c));

	if (!c) {
		t->too_big = true;
		return NULL;
	}
	c->fn = fn;
	trans_insn(t, t->d, &c->insn);
	return c;
}

void flow_call_exec(struct trans *t, exec_fn *fn, bool end)
{
	struct insn_call *c = new_call(t, fn);

	if (!c)
		return;
	flags_save(t);
	reloc_st_rip(t, t->rip);
	if (end || t->bounce) {
		reloc_mov_ptr(t, RELOC_CALL, c);
		reloc_jmp(t, t->engine->leave[LEAVE_EXEC]);
		return;
	}
	reloc_mov_ptr(t, RELOC_INSN, &c->insn);
	emit_mov_imm(&t->e, S1, (uintptr_t)fn);
	reloc_call(t, t->engine->exec_stub);
	t->flags_host = false;
	t->flags_mem = true;
}

void flow_slow(struct trans *t)
{
	flags_save(t);
	count_undo(t, &t->left);
	reloc_st_rip(t, t->rip);
	reloc_jmp(t, t->engine->leave[LEAVE_SLOW]);
}

/* ---- stack ---- */

static struct memref stack_ref(const struct trans *t, int64_t disp)
{
	return (struct memref){
		.seg = SEG_SS,
		.base = REG_RSP,
		.index = OPND_NOREG,
		.scale = 1,
		.asize = t->bits == 64 ? 8 : 4,
		.disp = disp,
	};
}

static void adjust_sp(struct trans *t, int32_t delta)
{
	emit_lea(&t->e, t->bits == 64 ? 8 : 4, GSP, GSP, NOHOST, 1, delta);
}

static void protect(struct trans *t)
{
	if (t->d->live_in)
		flags_protect(t);
}

static unsigned int value_reg(struct trans *t, unsigned int guest)
{
	unsigned int h = home(guest);

	if (h != NOHOST)
		return h;
	emit_ld(&t->e, S1, OFF_GPR(guest));
	return S1;
}

/* Store an immediate at S0; returns where it is. */
static uint8_t *store_imm(struct trans *t, unsigned int size, int64_t imm)
{
	struct emit *e = &t->e;
	uint8_t *at;

	if (size == 8 && imm != (int32_t)imm) {
		at = emit_mov_imm(e, S1, imm);
		emit_st_at(e, 8, S0, S1);
		return at;
	}
	if (size == 2)
		emit1(e, 0x66);
	emit_rex(e, size == 8, 0, 0, S0);
	emit1(e, 0xc7);
	emit1(e, S0 & 7);
	at = e->p;
	if (size == 2)
		emit2(e, imm);
	else
		emit4(e, imm);
	return at;
}

/* Load a memory operand into scratch[0]; t->d is the instruction. */
static void load_operand(struct trans *t, const ZydisDecodedOperand *op,
			 unsigned int size)
{
	struct memref m;

	decode_memref(t->d, op, &m);
	mem_addr(t, &m, size, ACC_READ, true);
	if (size == 2) {
		emit1(&t->e, 0x45); /* movzx s1d, word [s0] */
		emit1(&t->e, 0x0f);
		emit1(&t->e, 0xb7);
		emit1(&t->e, (S1 & 7) << 3 | (S0 & 7));
	} else {
		emit_ld_at(&t->e, size, S1, S0);
	}
	emit_st(&t->e, OFF_SCRATCH(0), S1);
}

static void flow_push(struct trans *t)
{
	const ZydisDecodedOperand *op = &t->d->op[0];
	unsigned int size = t->d->in.operand_width / 8, num, rsize;
	struct memref m = stack_ref(t, -(int64_t)size);
	bool high;

	protect(t);
	if (op->type == ZYDIS_OPERAND_TYPE_MEMORY)
		load_operand(t, op, size);
	mem_addr(t, &m, size, ACC_WRITE, false);
	if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		emit_ld(&t->e, S1, OFF_SCRATCH(0));
		emit_st_at(&t->e, size, S0, S1);
	} else if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		store_imm(t, size, op->imm.value.s);
	} else if (decode_gpr(op->reg.value, &num, &rsize, &high)) {
		emit_st_at(&t->e, size, S0, value_reg(t, num));
	}
	adjust_sp(t, -(int32_t)size);
}

static void pop_to_reg(struct trans *t, unsigned int guest, unsigned int size)
{
	unsigned int h = home(guest);
	struct emit *e = &t->e;

	if (size == 2) { /* keep the upper part */
		emit_ld_at(e, 2, S1, S0);
		adjust_sp(t, 2);
		if (h == NOHOST)
			emit_op_cpu(e, 0x89, 2, S1, OFF_GPR(guest));
		else
			emit_mov_rr(e, 2, h, S1);
		return;
	}
	if (guest != REG_RSP)
		adjust_sp(t, size);
	if (h == NOHOST) {
		emit_ld_at(e, size, S1, S0);
		emit_st(e, OFF_GPR(guest), S1);
	} else {
		emit_ld_at(e, size, h, S0);
	}
}

static void flow_pop(struct trans *t)
{
	const ZydisDecodedOperand *op = &t->d->op[0];
	unsigned int size = t->d->in.operand_width / 8, num, rsize;
	struct memref m = stack_ref(t, 0), dst;
	bool high;

	protect(t);
	mem_addr(t, &m, size, ACC_READ, true);
	if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    decode_gpr(op->reg.value, &num, &rsize, &high)) {
		pop_to_reg(t, num, size);
		return;
	}
	emit_ld_at(&t->e, size, S1, S0);
	emit_st(&t->e, OFF_SCRATCH(0), S1);
	decode_memref(t->d, op, &dst);
	if (dst.base == REG_RSP)
		dst.disp += size;
	mem_addr(t, &dst, size, ACC_WRITE, false);
	emit_ld(&t->e, S1, OFF_SCRATCH(0));
	emit_st_at(&t->e, size, S0, S1);
	adjust_sp(t, size);
}

static void flow_leave(struct trans *t)
{
	unsigned int size = t->bits == 64 ? 8 : 4;
	struct memref m = stack_ref(t, 0);

	m.base = REG_RBP;
	protect(t);
	mem_addr(t, &m, size, ACC_READ, true);
	emit_ld_at(&t->e, size, S1, S0);
	emit_lea(&t->e, size, GSP, H_RBP, NOHOST, 1, size);
	emit_mov_rr(&t->e, size, H_RBP, S1);
}

/* ---- branches ---- */

static uint64_t branch_target(const struct trans *t)
{
	const struct dinsn *d = t->d;
	uint64_t rip = d->next_rip + d->op[0].imm.value.s;

	if (t->bits == 64)
		return rip;
	return rip & (d->in.operand_width == 16 ? 0xffff : 0xffffffff);
}

/* Target of an indirect jump or call into S0. */
static void indirect_target(struct trans *t)
{
	const ZydisDecodedOperand *op = &t->d->op[0];
	unsigned int size = t->bits == 64 ? 8 : 4, num, rsize;
	struct memref m;
	bool high;

	if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		decode_memref(t->d, op, &m);
		mem_addr(t, &m, size, ACC_READ, true);
		emit_ld_at(&t->e, size, S0, S0);
		return;
	}
	decode_gpr(op->reg.value, &num, &rsize, &high);
	if (home(num) == NOHOST)
		emit_op_cpu(&t->e, 0x8b, size, S0, OFF_GPR(num));
	else
		emit_mov_rr(&t->e, size, S0, home(num));
}

static void flow_jmp(struct trans *t)
{
	if (t->d->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		flow_exit_to(t, branch_target(t), t->mode);
		return;
	}
	flags_save(t);
	if (t->d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY)
		t->flags_host = false;
	indirect_target(t);
	exit_indirect(t, 0);
}

static void flow_call(struct trans *t)
{
	unsigned int size = t->bits == 64 ? 8 : 4;
	bool direct = t->d->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	struct memref m = stack_ref(t, -(int64_t)size);

	protect(t);
	if (!direct) {
		indirect_target(t);
		emit_st(&t->e, OFF_SCRATCH(1), S0);
		if (t->bits == 64) { /* before the stack is written */
			emit_mov_rr(&t->e, 8, S1, S0);
			flow_sign_extend(t);
			emit_op_rr(&t->e, 0x3b, 8, S1, S0);
			cold_add(t, COLD_SLOW, emit_jcc(&t->e, CC_NE));
			t->flags_host = false;
		}
	}
	mem_addr(t, &m, size, ACC_WRITE, false);
	reloc_note_imm(t, store_imm(t, size, t->next_rip), t->next_rip);
	adjust_sp(t, -(int32_t)size);
	if (direct) {
		flow_exit_to(t, branch_target(t), t->mode);
		return;
	}
	emit_ld(&t->e, S0, OFF_SCRATCH(1));
	exit_indirect(t, size);
}

static void flow_ret(struct trans *t)
{
	unsigned int size = t->bits == 64 ? 8 : 4, extra = 0;
	struct memref m = stack_ref(t, 0);

	if (t->d->in.operand_count_visible &&
	    t->d->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		extra = t->d->op[0].imm.value.u & 0xffff;
	protect(t);
	mem_addr(t, &m, size, ACC_READ, true);
	emit_ld_at(&t->e, size, S0, S0);
	adjust_sp(t, size + extra);
	exit_indirect(t, -(int32_t)(size + extra));
}

static enum host_cc branch_cc(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_JO: return CC_O;
	case ZYDIS_MNEMONIC_JNO: return CC_NO;
	case ZYDIS_MNEMONIC_JB: return CC_B;
	case ZYDIS_MNEMONIC_JNB: return CC_AE;
	case ZYDIS_MNEMONIC_JZ: return CC_E;
	case ZYDIS_MNEMONIC_JNZ: return CC_NE;
	case ZYDIS_MNEMONIC_JBE: return CC_BE;
	case ZYDIS_MNEMONIC_JNBE: return CC_A;
	case ZYDIS_MNEMONIC_JS: return CC_S;
	case ZYDIS_MNEMONIC_JNS: return CC_NS;
	case ZYDIS_MNEMONIC_JP: return CC_P;
	case ZYDIS_MNEMONIC_JNP: return CC_NP;
	case ZYDIS_MNEMONIC_JL: return CC_L;
	case ZYDIS_MNEMONIC_JNL: return CC_GE;
	case ZYDIS_MNEMONIC_JLE: return CC_LE;
	default: return CC_G;
	}
}

/* The taken side of a conditional branch; flags are as before behind it. */
static void exit_taken(struct trans *t, uint64_t rip)
{
	bool host = t->flags_host, mem = t->flags_mem;

	count_taken(t, rip);
	exit_direct(t, rip, t->mode, t->d->live_taken != 0);
	t->flags_host = host;
	t->flags_mem = mem;
}

static void flow_jcc(struct trans *t)
{
	uint64_t rip = branch_target(t);
	enum host_cc cc = branch_cc(t->d->in.mnemonic);
	bool live = t->d->live_taken != 0;
	struct link *l;
	uint8_t *skip;

	flags_restore(t);
	if (t->bounce || t->mode & MODE_ONE || other_page(t, rip) ||
	    rip <= t->rip || count_wants_taken(t)) {
		skip = emit_jcc(&t->e, cc ^ 1);
		exit_taken(t, rip);
		emit_bind(skip, t->e.p);
		return;
	}
	l = link_new(t, rip, t->mode);
	emit_align(&t->e, 4, 2);
	l->patch = emit_jcc(&t->e, cc);
	cold_link(t, l, l->patch, live);
}

static void emit_jrcxz(struct trans *t, uint8_t rel)
{
	if (t->d->in.address_width == 32)
		emit1(&t->e, 0x67);
	emit1(&t->e, 0xe3);
	emit1(&t->e, rel);
}

/* LOOP, LOOPcc, JrCXZ with a 32 or 64-bit counter. */
static void flow_loop(struct trans *t)
{
	unsigned int size = t->d->in.address_width == 32 ? 4 : 8;
	ZydisMnemonic m = t->d->in.mnemonic;
	uint8_t *over, *skip = NULL, *zero;
	struct emit *e = &t->e;

	if (m == ZYDIS_MNEMONIC_LOOPE || m == ZYDIS_MNEMONIC_LOOPNE)
		flags_restore(t);
	if (m == ZYDIS_MNEMONIC_JECXZ || m == ZYDIS_MNEMONIC_JRCXZ) {
		emit_jrcxz(t, 5);
		over = emit_jmp(e);
		exit_taken(t, branch_target(t));
		emit_bind(over, e->p);
		return;
	}
	emit_lea(e, size, H_RCX, H_RCX, NOHOST, 1, -1);
	emit_jrcxz(t, 0);
	zero = e->p;
	if (m == ZYDIS_MNEMONIC_LOOPE)
		skip = emit_jcc(e, CC_NE);
	else if (m == ZYDIS_MNEMONIC_LOOPNE)
		skip = emit_jcc(e, CC_E);
	exit_taken(t, branch_target(t));
	if (skip)
		emit_bind(skip, e->p);
	if (e->p - zero > 127)
		t->too_big = true;
	else
		zero[-1] = e->p - zero;
}

/* Two fields of the state change places. */
static void flow_swapgs(struct trans *t)
{
	int32_t base = OFF(seg) + SEG_GS * (int32_t)sizeof(struct segment);
	struct emit *e = &t->e;

	emit_ld(e, S0, base);
	emit_ld(e, S1, OFF(kernel_gs_base));
	emit_st(e, OFF(kernel_gs_base), S0);
	emit_st(e, base, S1);
}

static void flow_lea(struct trans *t)
{
	const struct dinsn *d = t->d;
	unsigned int num, size, h;
	struct memref m;
	bool high;

	decode_memref(d, &d->op[1], &m);
	decode_gpr(d->op[0].reg.value, &num, &size, &high);
	h = home(num);
	if (size == 4 && m.asize == 8)
		m.asize = 4; /* the low half is the same */
	if (size == 2) {
		mem_ea(t, &m, S0);
		if (h == NOHOST)
			emit_op_cpu(&t->e, 0x89, 2, S0, OFF_GPR(num));
		else
			emit_mov_rr(&t->e, 2, h, S0);
		return;
	}
	if (h != NOHOST && size == m.asize) {
		mem_ea(t, &m, h);
		return;
	}
	mem_ea(t, &m, S0);
	if (size == 4 && m.asize != 4)
		emit_mov_rr(&t->e, 4, S0, S0);
	if (h == NOHOST)
		emit_st(&t->e, OFF_GPR(num), S0);
	else
		emit_mov_rr(&t->e, 8, h, S0);
}

/* MASKMOV*: the store goes through rdi, which borrows the host address. */
static void flow_maskmov(struct trans *t)
{
	const ZydisDecodedOperand *op = decode_mem(t->d);
	struct memref m;

	protect(t); /* before MOVQ may raise #MF */
	emit_st(&t->e, OFF_SCRATCH(5), H_RDI);
	if (t->d->in.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ &&
	    t->cpu->vendor_amd) {
		emit1(&t->e, 0x49); /* movq s1, mm0: MMX state comes first */
		emit1(&t->e, 0x0f);
		emit1(&t->e, 0x7e);
		emit1(&t->e, 0xc0 | (S1 & 7));
	}
	decode_memref(t->d, op, &m);
	mem_addr(t, &m, op->size / 8, ACC_WRITE, true);
	emit_mov_rr(&t->e, 8, H_RDI, S0);
	for (unsigned int i = 0; i < t->d->in.length; i++) {
		uint8_t b = t->d->bytes[i];

		if (i < t->d->in.raw.prefix_count &&
		    (b == 0x67 || b == 0x64 || b == 0x65 || b == 0x2e ||
		     b == 0x36 || b == 0x3e || b == 0x26))
			continue;
		emit1(&t->e, b);
	}
	emit_ld(&t->e, H_RDI, OFF_SCRATCH(5));
	t->spilled = true;
	t->spill_reg = H_RDI;
}

/* MOV m16, Sreg: through the TLB, so that it may be MMIO. */
static void flow_stseg(struct trans *t)
{
	const ZydisDecodedOperand *op = &t->d->op[0];
	unsigned int seg = t->d->in.raw.modrm.reg;
	struct memref m;

	decode_memref(t->d, op, &m);
	protect(t);
	mem_addr(t, &m, 2, ACC_WRITE, false);
	emit_ld32(&t->e, S1,
		  OFF(seg) + (int32_t)(seg * sizeof(struct segment)) +
			  (int32_t)offsetof(struct segment, sel));
	emit_st_at(&t->e, 2, S0, S1);
}

/*
 * Who spins may wait for a vCPU that has no processor: after so many PAUSEs in
 * a row the thread gives its own away, as KVM does where processors tell of
 * loops with PAUSE (engine/spin.c).
 */
static void flow_pause(struct trans *t)
{
	struct emit *e = &t->e;
	struct cold *c;

	protect(t);
	t->flags_host = false;
	emit_op_cpu(e, 0x83, 4, 5, OFF(spin_left)); /* sub dword, 1 */
	emit1(e, 1);
	c = cold_add(t, COLD_PAUSE, emit_jcc(e, CC_B));
	emit1(e, 0xf3);
	emit1(e, 0x90);
	if (c)
		c->back = e->p;
}

/* Stay in the block behind an instruction the mode makes trivial. */
static bool flow_simple(struct trans *t)
{
	switch (t->d->cls) {
	case K_NOP: return true;
	case K_PAUSE: flow_pause(t); return true;
	case K_LEA: flow_lea(t); return true;
	case K_STSEG: flow_stseg(t); return true;
	case K_PUSH: flow_push(t); return true;
	case K_POP: flow_pop(t); return true;
	case K_LEAVE: flow_leave(t); return true;
	case K_MASKMOV: flow_maskmov(t); return true;
	case K_STRING: strop_insn(t); return true;
	case K_CLI:
		if (!(t->mode & MODE_IOPL_OK))
			return false;
		emit_st_imm8(&t->e, OFF(iflag), 0);
		return true;
	case K_CLD: return !(t->mode & MODE_DF);
	case K_STD: return t->mode & MODE_DF;
	case K_SWAPGS:
		if ((t->mode & (MODE_CPL | MODE_L)) != MODE_L)
			return false;
		flow_swapgs(t);
		return true;
	case K_JCC: flow_jcc(t); return true;
	case K_LOOP:
		if (t->d->in.address_width == 16)
			return false;
		flow_loop(t);
		return true;
	default: return false;
	}
}

bool flow_insn(struct trans *t, bool last)
{
	const struct dinsn *d = t->d;

	if (d->cls == K_COPY) {
		copy_insn(t);
		return false;
	}
	if (flow_simple(t))
		return false;
	switch (d->cls) {
	case K_JMP: flow_jmp(t); return true;
	case K_CALLN: flow_call(t); return true;
	case K_RETN: flow_ret(t); return true;
	case K_CALL: flow_call_exec(t, d->fn, false); return t->bounce;
	case K_LOOP: flow_call_exec(t, exec_loop, true); return true;
	default: flow_call_exec(t, d->fn, true); return true;
	}
}
