/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting in translated code, where the mode word asks for it. A stretch is
 * a run of instructions that is left early by faults alone: it ends with a
 * branch (where memory is counted, with an access as well), or before an
 * instruction that a C function does and counts (cpu/pmu). At its start the
 * classes it adds to are added to, all at once; a fault takes back what did
 * not come to pass, by the instruction's row in the block's map. An addition
 * that carries has come to the end of a counter: it is taken back, too, and
 * single steps find the place.
 *
 * What ended the stretch before and is only known now (C function came back,
 * branch was not taken) is added along: the carry. It stays when the rest is
 * taken back.
 *
 * The guest's flags are set aside first where anyone may read them.
 */
#include "engine/count.h"

#include "cpu/pmu/pmu.h"
#include "engine/reloc.h"
#include "engine/slow.h"

#define TAKEN        (BIT(COUNT_TAKEN) | BIT(COUNT_COND_TAKEN))
#define OP_ADD       0
#define OP_SUB       5
#define OFF_COUNT(c) (OFF(count) + 8 * (int32_t)(c))

static const struct tally none;

static enum retired kind_of(unsigned int cls, bool direct)
{
	switch (cls) {
	case K_JCC:
	case K_LOOP: return RETIRED_COND;
	case K_JMP: return direct ? RETIRED_JMP : RETIRED_JMP_INDIRECT;
	case K_CALLN: return direct ? RETIRED_CALL : RETIRED_CALL_INDIRECT;
	case K_RETN: return RETIRED_RET;
	default: return RETIRED_PLAIN;
	}
}

/* A C function does it, which raises its faults and is counted there. */
static bool by_function(const struct trans *t, const struct dinsn *d)
{
	switch (d->cls) {
	case K_CALL: return true;
	case K_JMP:
	case K_CALLN:
	case K_RETN: return false;
	default: return trans_ends_block(d, t->mode);
	}
}

static void stretch(const struct trans *t, const struct dinsn *d,
		    unsigned int n, struct tally *out)
{
	*out = (struct tally){0};
	while (out->n < n && !by_function(t, d)) {
		out->kind = kind_of(
			d->cls, d->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE);
		if (t->count & COUNT_MEM_MASK)
			out->mem = decode_touches(d);
		out->n++;
		d++;
		if (out->kind != RETIRED_PLAIN || out->mem)
			return;
	}
}

static unsigned int part(const struct tally *y, unsigned int class)
{
	return class == COUNT_INSN ? y->n : count_last(y, class);
}

static void emit_count(struct trans *t, unsigned int op, unsigned int class,
		       unsigned int n)
{
	if (!n)
		return;
	emit_op_cpu(&t->e, 0x83, 8, op, OFF_COUNT(class));
	emit1(&t->e, n);
}

void count_undo(struct trans *t, const struct tally *y)
{
	for (uint32_t left = t->count; left; left &= left - 1)
		emit_count(t, OP_SUB, __builtin_ctz(left),
			   part(y, __builtin_ctz(left)));
}

void count_cold(struct trans *t, const struct cold *c)
{
	uint32_t added = BIT(c->class + 1) - 1;

	for (uint32_t left = t->count; left; left &= left - 1) {
		unsigned int class = __builtin_ctz(left);

		if (added >> class & 1)
			emit_count(t, OP_SUB, class, part(&c->left, class));
		else
			emit_count(t, OP_ADD, class, part(&c->carry, class));
	}
	reloc_st_rip(t, c->rip);
	reloc_jmp(t, t->engine->leave[LEAVE_COUNT]);
}

/* Add for @y and @carry; the place is t->rip. */
static void emit_point(struct trans *t, const struct tally *y,
		       const struct tally *carry, bool live)
{
	bool ready = false;

	for (uint32_t left = t->count; left; left &= left - 1) {
		unsigned int class = __builtin_ctz(left);
		unsigned int n = part(y, class) + part(carry, class);
		struct cold *c;

		if (!n)
			continue;
		if (!ready && live)
			flags_save(t);
		t->flags_host = false;
		ready = true;
		emit_count(t, OP_ADD, class, n);
		if (t->mode & MODE_ONE) /* looked at after each step */
			continue;
		c = cold_add(t, COLD_COUNT, emit_jcc(&t->e, CC_B));
		if (!c)
			return;
		c->left = *y;
		c->carry = *carry;
		c->class = class;
	}
}

/* What is known of an instruction once it was passed; false: nothing. */
static bool carry_of(const struct dinsn *d, struct tally *out)
{
	*out = (struct tally){0};
	if (d->cls == K_CALL)
		*out = (struct tally){.n = 1, .mem = decode_touches(d)};
	else if (d->cls == K_JCC || d->cls == K_LOOP)
		out->kind = RETIRED_COND_NTAKEN;
	return out->n || out->kind;
}

void count_entry(struct trans *t, const struct dinsn *d, unsigned int n)
{
	struct tally y;

	if (likely(!t->count))
		return;
	stretch(t, d, n, &y);
	emit_point(t, &y, &none, d->live_in);
	t->left = y;
}

void count_next(struct trans *t, const struct dinsn *d, unsigned int n)
{
	struct tally y, carry;

	if (likely(!t->count))
		return;
	if (t->left.n <= 1)
		t->left = none;
	else
		t->left.n--;
	if (!carry_of(d - 1, &carry) && t->left.n)
		return;
	stretch(t, d, n, &y);
	emit_point(t, &y, &carry, d->live_in);
	t->left = y;
}

void count_end(struct trans *t, const struct dinsn *last)
{
	struct tally carry;

	t->left = none;
	if (likely(!t->count))
		return;
	t->rip = t->next_rip;
	if (carry_of(last, &carry))
		emit_point(t, &none, &carry, last->live_out);
	t->rip = last->rip;
}

bool count_wants_taken(const struct trans *t)
{
	return t->count & TAKEN;
}

void count_taken(struct trans *t, uint64_t target)
{
	static const struct tally taken = {.kind = RETIRED_COND_TAKEN};
	uint64_t rip = t->rip;

	if (likely(!count_wants_taken(t)))
		return;
	t->rip = target;
	emit_point(t, &none, &taken, t->d->live_taken);
	t->rip = rip;
}

/* ---- instructions done in C ---- */

static enum retired kind_of_function(const struct insn_call *c)
{
	bool direct = c->insn.op[0].kind == OPND_IMM;
	exec_fn *fn = c->fn;

	if (fn == exec_jcc || fn == exec_loop)
		return RETIRED_COND;
	if (fn == exec_jmp_near)
		return kind_of(K_JMP, direct);
	if (fn == exec_call_near)
		return kind_of(K_CALLN, direct);
	if (fn == exec_ret_near)
		return RETIRED_RET;
	if (fn == exec_jmp_far || fn == exec_call_far || fn == exec_ret_far ||
	    fn == exec_iret || fn == exec_syscall || fn == exec_sysret ||
	    fn == exec_sysenter || fn == exec_sysexit)
		return RETIRED_FAR;
	return RETIRED_PLAIN;
}

void count_function(struct cpu *cpu, const struct insn_call *c, bool jumped)
{
	if (likely(!cpu->count_on))
		return;
	pmu_retire(cpu, kind_of_function(c), jumped);
	count_retire_mem(cpu, c->insn.mem);
}

void count_bounced(struct cpu *cpu, const struct bounce_code *bc)
{
	if (likely(!cpu->count_on))
		return;
	pmu_retire(cpu, kind_of(bc->cls, bc->insn.op[0].kind == OPND_IMM),
		   cpu->rip != bc->insn.next_rip);
	count_retire_mem(cpu, bc->insn.mem);
}
