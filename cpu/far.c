/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far JMP, CALL and RET. SDM 2 "JMP", "CALL", "RET"; SDM 3A "Privilege Level
 * Checking When Transferring Program Control Between Code Segments" (5.8);
 * APM 3 for what AMD does otherwise (no m16:64 pointers). IRET is in
 * cpu/iret.c, SYSCALL and SYSENTER in cpu/syscall.c, INT in cpu/intop.c.
 */
#include "cpu/seg.h"

struct far_ptr {
	uint16_t sel;
	uint64_t off;
};

static struct far_ptr far_operand(struct cpu *cpu, const struct insn *i,
				  unsigned int size)
{
	const unsigned int acc = mem_acc(cpu, ACC_READ);
	const uint8_t *end = i->bytes + i->len;
	struct far_ptr p;
	gva_t gva;

	if (i->op[0].kind == OPND_MEM) {
		gva = insn_linear(cpu, i, 0, size + 2, ACC_READ);
		p.off = mem_read(cpu, gva, size, acc);
		p.sel = mem_read(cpu, seg_wrap(cpu, gva + size), 2, acc);
	} else {
		p.off = i->op[0].disp & seg_size_mask(size);
		p.sel = end[-2] | end[-1] << 8;
	}
	return p;
}

static unsigned int far_size(const struct cpu *cpu, const struct insn *i)
{
	return i->opsize == 8 && cpu->vendor_amd ? 4 : i->opsize;
}

void far_check_rip(struct cpu *cpu, uint64_t cs, uint64_t rip, unsigned int ext)
{
	bool ok;

	if (cpu_long_mode(cpu) && cs & DESC_L)
		ok = seg_canonical(cpu, rip);
	else
		ok = rip <= desc_limit(cs);
	if (!ok)
		cpu_raise_err(cpu, VEC_GP, ext);
}

static void finish(struct cpu *cpu, uint16_t sel, const struct seg_desc *d,
		   unsigned int cpl, uint64_t rip)
{
	seg_commit_cs(cpu, sel, d->lo, cpl);
	cpu->rip = rip;
}

/* ---- real mode and v8086 ---- */

static int far_real(struct cpu *cpu, const struct insn *i, struct far_ptr p,
		    bool call)
{
	uint64_t frame[2] = {cpu->seg[SEG_CS].sel, i->next_rip};
	struct stackref st;

	if (p.off > cpu->seg[SEG_CS].limit)
		cpu_raise_err(cpu, VEC_GP, 0);
	if (call) {
		stackref_current(cpu, &st);
		stackref_push(cpu, &st, frame, 2, i->opsize);
		stackref_set_sp(cpu, st.mask, st.sp);
	}
	if (cpu_v8086(cpu))
		seg_commit_v8086(cpu, SEG_CS, p.sel);
	else
		seg_commit_real(cpu, SEG_CS, p.sel);
	cpu->rip = p.off;
	return EXEC_JUMP;
}

/* ---- JMP and CALL in protected mode ---- */

/* A code segment reached without a gate. */
static void check_direct(struct cpu *cpu, uint16_t sel,
			 const struct seg_desc *d)
{
	unsigned int dpl = desc_dpl(d->lo);
	bool ok;

	if (desc_conforming(d->lo))
		ok = dpl <= cpu->cpl;
	else
		ok = dpl == cpu->cpl && sel_rpl(sel) <= cpu->cpl;
	if (!ok || (cpu_long_mode(cpu) && desc_bad_ld(d->lo)))
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel));
}

static void call_push(struct cpu *cpu, uint64_t next_rip, unsigned int size)
{
	uint64_t frame[2] = {cpu->seg[SEG_CS].sel, next_rip};
	struct stackref st;

	stackref_current(cpu, &st);
	stackref_push(cpu, &st, frame, 2, size);
	stackref_set_sp(cpu, st.mask, st.sp);
}

static int far_code(struct cpu *cpu, const struct insn *i, struct far_ptr p,
		    struct seg_desc *d, bool call)
{
	check_direct(cpu, p.sel, d);
	far_check_rip(cpu, d->lo, p.off, 0);
	seg_mark_accessed(cpu, d);
	if (call)
		call_push(cpu, i->next_rip, far_size(cpu, i));
	finish(cpu, p.sel, d, cpu->cpl, p.off);
	return EXEC_JUMP;
}

/* Code segment named by a call gate. */
static void check_gate_code(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
			    bool call)
{
	unsigned int dpl;
	bool ok;

	if (sel_null(sel))
		cpu_raise_err(cpu, VEC_GP, 0);
	if (!seg_fetch(cpu, sel, d) || !desc_code(d->lo))
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	dpl = desc_dpl(d->lo);
	ok = call || desc_conforming(d->lo) ? dpl <= cpu->cpl : dpl == cpu->cpl;
	if (!ok || (cpu_long_mode(cpu) && (d->lo >> 53 & 3) != 1))
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel));
}

/* A call through a gate to an inner ring, in long mode: no parameters. */
static void gate_inner64(struct cpu *cpu, uint64_t next_rip, unsigned int cpl)
{
	uint64_t rsp = seg_tss_rsp(cpu, TSS64_RSP0 + cpl * 8, 0);
	uint64_t frame[4] = {cpu->seg[SEG_SS].sel, cpu->gpr[REG_RSP],
			     cpu->seg[SEG_CS].sel, next_rip};
	struct stackref st = {
		.sp = rsp,
		.mask = ~0ULL,
		.acc = seg_acc(cpu, cpl),
	};

	stackref_push(cpu, &st, frame, 4, 8);
	seg_commit_null_ss(cpu, cpl, cpl);
	cpu->gpr[REG_RSP] = st.sp;
}

/* To the same ring, perhaps from compatibility mode: a 64-bit stack now. */
static void gate_same64(struct cpu *cpu, uint64_t next_rip)
{
	uint64_t frame[2] = {cpu->seg[SEG_CS].sel, next_rip};
	struct stackref st = {
		.sp = cpu->gpr[REG_RSP],
		.mask = ~0ULL,
		.acc = mem_acc(cpu, 0),
	};

	stackref_push(cpu, &st, frame, 2, 8);
	cpu->gpr[REG_RSP] = st.sp;
}

/* To an inner ring by a 16 or 32-bit gate, which copies @count parameters. */
static void gate_inner(struct cpu *cpu, uint64_t next_rip, unsigned int cpl,
		       unsigned int count, unsigned int size)
{
	uint64_t frame[STACKREF_MAX];
	struct stackref old, st;
	struct seg_desc ss;
	unsigned int n = 0;
	uint16_t sel;
	uint32_t sp;

	seg_tss_stack(cpu, cpl, 0, &sel, &sp);
	seg_check_stack(cpu, sel, &ss, cpl, VEC_TS, 0);
	stackref_desc(cpu, &st, ss.lo, sp, cpl, sel_err(sel));
	stackref_current(cpu, &old);
	frame[n++] = cpu->seg[SEG_SS].sel;
	frame[n++] = cpu->gpr[REG_RSP];
	while (count-- > 0)
		frame[n++] = stackref_read(cpu, &old, count * size, size);
	frame[n++] = cpu->seg[SEG_CS].sel;
	frame[n++] = next_rip;
	seg_mark_accessed(cpu, &ss);
	stackref_push(cpu, &st, frame, n, size);
	seg_commit(cpu, SEG_SS, sel, ss.lo);
	stackref_set_sp(cpu, st.mask, st.sp);
}

static int far_gate(struct cpu *cpu, const struct insn *i, uint16_t sel,
		    struct seg_desc *gate, bool call)
{
	unsigned int size = gate->lo >> 40 & 8 ? 4 : 2;
	unsigned int cpl = cpu->cpl;
	uint64_t off = gate_offset(gate->lo);
	struct seg_desc cs;

	if (cpu_long_mode(cpu)) {
		if (!seg_fetch_hi(cpu, sel, gate))
			cpu_raise_err(cpu, VEC_GP, sel_err(sel));
		off |= gate->hi << 32;
		size = 8;
	}
	if (!desc_present(gate->lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel));
	check_gate_code(cpu, gate_sel(gate->lo), &cs, call);
	off &= seg_size_mask(size);
	far_check_rip(cpu, cs.lo, off, 0);
	seg_mark_accessed(cpu, &cs);
	if (call && !desc_conforming(cs.lo))
		cpl = desc_dpl(cs.lo);
	if (cpl < cpu->cpl && size == 8)
		gate_inner64(cpu, i->next_rip, cpl);
	else if (cpl < cpu->cpl)
		gate_inner(cpu, i->next_rip, cpl, gate->lo >> 32 & 0x1f, size);
	else if (call && size == 8)
		gate_same64(cpu, i->next_rip);
	else if (call)
		call_push(cpu, i->next_rip, size);
	finish(cpu, gate_sel(gate->lo), &cs, cpl, off);
	return EXEC_JUMP;
}

static int far_task(struct cpu *cpu, const struct insn *i, uint16_t sel,
		    bool call)
{
	const struct task_request req = {
		.sel = sel,
		.source = call ? TASK_CALL : TASK_JMP,
		.return_rip = i->next_rip,
	};

	if (task_switch(cpu, &req))
		cpu_raise_db(cpu, DR6_BT, true);
	return EXEC_JUMP;
}

static int far_system(struct cpu *cpu, const struct insn *i, uint16_t sel,
		      struct seg_desc *d, bool call)
{
	unsigned int dpl = desc_dpl(d->lo), type = desc_type(d->lo);

	if (dpl < cpu->cpl || dpl < sel_rpl(sel) ||
	    (cpu_long_mode(cpu) && type != DESC_CALL32))
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	switch (type) {
	case DESC_CALL16:
	case DESC_CALL32: return far_gate(cpu, i, sel, d, call);
	case DESC_TSS16:
	case DESC_TSS32: return far_task(cpu, i, sel, call);
	case DESC_TASK_GATE:
		if (!desc_present(d->lo))
			cpu_raise_err(cpu, VEC_NP, sel_err(sel));
		return far_task(cpu, i, gate_sel(d->lo), call);
	default: cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	}
}

static int far_jump(struct cpu *cpu, const struct insn *i, bool call)
{
	struct far_ptr p = far_operand(cpu, i, far_size(cpu, i));
	struct seg_desc d;

	if (!seg_protected(cpu))
		return far_real(cpu, i, p, call);
	if (sel_null(p.sel) || !seg_fetch(cpu, p.sel, &d))
		cpu_raise_err(cpu, VEC_GP, sel_err(p.sel));
	if (desc_system(d.lo))
		return far_system(cpu, i, p.sel, &d, call);
	if (!desc_code(d.lo))
		cpu_raise_err(cpu, VEC_GP, sel_err(p.sel));
	return far_code(cpu, i, p, &d, call);
}

int exec_jmp_far(struct cpu *cpu, const struct insn *i)
{
	return far_jump(cpu, i, false);
}

int exec_call_far(struct cpu *cpu, const struct insn *i)
{
	return far_jump(cpu, i, true);
}

/* ---- RET ---- */

void far_check_return_cs(struct cpu *cpu, uint16_t sel, struct seg_desc *d)
{
	unsigned int rpl = sel_rpl(sel), dpl;

	if (sel_null(sel) || !seg_fetch(cpu, sel, d) || !desc_code(d->lo) ||
	    rpl < cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	dpl = desc_dpl(d->lo);
	if (desc_conforming(d->lo) ? dpl > rpl : dpl != rpl)
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	if (cpu_long_mode(cpu) && desc_bad_ld(d->lo))
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel));
}

bool far_check_return_ss(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
			 uint64_t cs, unsigned int cpl)
{
	if (sel_null(sel) && cpu_long_mode(cpu) && cs & DESC_L && cpl != 3)
		return true;
	seg_check_stack(cpu, sel, d, cpl, VEC_GP, 0);
	return false;
}

static int ret_real(struct cpu *cpu, const struct stackref *st, uint64_t rip,
		    uint16_t sel, unsigned int bytes)
{
	if (rip > cpu->seg[SEG_CS].limit)
		cpu_raise_err(cpu, VEC_GP, 0);
	if (cpu_v8086(cpu))
		seg_commit_v8086(cpu, SEG_CS, sel);
	else
		seg_commit_real(cpu, SEG_CS, sel);
	stackref_set_sp(cpu, st->mask, st->sp + bytes);
	cpu->rip = rip;
	return EXEC_JUMP;
}

/* The width of the stack pointer once CS is @cs and SS has @ss_attr. */
static uint64_t return_mask(const struct cpu *cpu, uint64_t cs,
			    uint16_t ss_attr)
{
	if (cpu_long_mode(cpu) && cs & DESC_L)
		return ~0ULL;
	return stackref_mask(ss_attr);
}

struct ret {
	uint64_t rip;
	unsigned int size; /* of one value */
	unsigned int imm;  /* bytes of parameters to release */
	uint16_t sel;
};

static void ret_outer(struct cpu *cpu, const struct stackref *st,
		      const struct ret *r, struct seg_desc *cs)
{
	unsigned int cpl = sel_rpl(r->sel), off = 2 * r->size + r->imm;
	uint64_t sp = stackref_read(cpu, st, off, r->size);
	uint16_t ss_sel = stackref_read(cpu, st, off + r->size, r->size);
	struct seg_desc ss = {0};
	bool null_ss = far_check_return_ss(cpu, ss_sel, &ss, cs->lo, cpl);

	far_check_rip(cpu, cs->lo, r->rip, 0);
	seg_mark_accessed(cpu, cs);
	if (null_ss) {
		seg_commit_null_ss(cpu, ss_sel, cpl);
	} else {
		seg_mark_accessed(cpu, &ss);
		seg_commit(cpu, SEG_SS, ss_sel, ss.lo);
	}
	finish(cpu, r->sel, cs, cpl, r->rip);
	stackref_set_sp(cpu, return_mask(cpu, cs->lo, cpu->seg[SEG_SS].attr),
			sp + r->imm);
	seg_drop_inner(cpu, cpl);
}

int exec_ret_far(struct cpu *cpu, const struct insn *i)
{
	struct ret r = {.size = i->opsize};
	struct stackref st;
	struct seg_desc cs;
	unsigned int bytes;

	if (i->nops && i->op[0].kind == OPND_IMM)
		r.imm = i->op[0].disp & 0xffff;
	bytes = 2 * r.size + r.imm;
	stackref_current(cpu, &st);
	r.rip = stackref_read(cpu, &st, 0, r.size);
	r.sel = stackref_read(cpu, &st, r.size, r.size);
	if (!seg_protected(cpu))
		return ret_real(cpu, &st, r.rip, r.sel, bytes);
	far_check_return_cs(cpu, r.sel, &cs);
	if (sel_rpl(r.sel) > cpu->cpl) {
		ret_outer(cpu, &st, &r, &cs);
		return EXEC_JUMP;
	}
	far_check_rip(cpu, cs.lo, r.rip, 0);
	seg_mark_accessed(cpu, &cs);
	finish(cpu, r.sel, &cs, cpu->cpl, r.rip);
	stackref_set_sp(cpu, return_mask(cpu, cs.lo, cpu->seg[SEG_SS].attr),
			st.sp + bytes);
	return EXEC_JUMP;
}
