/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed pieces of host code at the start of code memory: the way in and out
 * of translated code and the calls from it into C. They are emitted, not
 * assembled, so that code memory may lie anywhere in the address space.
 *
 * rsp is &cpu inside; see architecture.md.
 */
#include "engine/stubs.h"
#include "engine/reloc.h"

static const uint8_t saved[] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};

static void emit_push(struct emit *e, unsigned int reg)
{
	if (reg & 8)
		emit1(e, 0x41);
	emit1(e, 0x50 | (reg & 7));
}

static void emit_pop(struct emit *e, unsigned int reg)
{
	if (reg & 8)
		emit1(e, 0x41);
	emit1(e, 0x58 | (reg & 7));
}

static bool caller_saved(unsigned int host)
{
	return host <= H_RDX || host == H_RSI || host == H_RDI ||
	       host == H_R8 || host == H_R9;
}

/* Guest registers to or from struct cpu, which is at [rsp + delta]. */
static void emit_regs(struct emit *e, bool store, bool all, int delta)
{
	for (unsigned int g = 0; g < 16; g++) {
		unsigned int h = home(g);

		if (h == NOHOST || (!all && !caller_saved(h)))
			continue;
		emit_op_cpu(e, store ? 0x89 : 0x8b, 8, h, OFF_GPR(g) + delta);
	}
}

static void emit_ret(struct emit *e)
{
	emit1(e, 0xc3);
}

/* uint64_t enter(struct cpu *cpu, void *code) */
static void stub_enter(struct engine *engine, struct emit *e)
{
	engine->enter = (void *)to_rx(engine, e->p);
	for (unsigned int i = 0; i < ARRAY_SIZE(saved); i++)
		emit_push(e, saved[i]);
	/* mov [rdi + host_rsp], rsp ; mov rsp, rdi */
	emit1(e, 0x48);
	emit1(e, 0x89);
	emit1(e, 0xa7);
	emit4(e, OFF(host_rsp));
	emit_mov_rr(e, 8, H_RSP, H_RDI);
	emit_mov_rr(e, 8, S0, H_RSI);
	emit_regs(e, false, true, 0);
	emit1(e, 0x41); /* jmp S0 */
	emit1(e, 0xff);
	emit1(e, 0xe0 | (S0 & 7));
}

/* Reached by jmp with S0 = exit_arg; returns @reason from enter(). */
static void stub_leave(struct engine *engine, struct emit *e,
		       enum leave_reason reason)
{
	engine->leave[reason] = to_rx(engine, e->p);
	emit_st(e, OFF(exit_arg), S0);
	emit_regs(e, true, true, 0);
	emit_mov_imm(e, H_RAX, reason);
	emit_ld(e, H_RSP, OFF(host_rsp));
	for (unsigned int i = ARRAY_SIZE(saved); i-- > 0;)
		emit_pop(e, saved[i]);
	emit_ret(e);
}

/* call S1 with an aligned stack; rsp is &cpu - 8 on entry */
static void emit_c_call(struct emit *e, uint64_t fn)
{
	emit_lea(e, 8, H_RDI, H_RSP, NOHOST, 1, 8);
	emit1(e, 0x48); /* sub rsp, 8 */
	emit1(e, 0x83);
	emit1(e, 0xec);
	emit1(e, 8);
	if (fn)
		emit_mov_imm(e, S1, fn);
	emit1(e, 0x41); /* call S1 */
	emit1(e, 0xff);
	emit1(e, 0xd0 | (S1 & 7));
	emit1(e, 0x48); /* add rsp, 8 */
	emit1(e, 0x83);
	emit1(e, 0xc4);
	emit1(e, 8);
}

/*
 * Slow memory access: called with S0 = gva, struct mem_meta after the call.
 * Comes back behind the meta data with S0 = host address, or not at all.
 */
static void stub_mem(struct engine *engine, struct emit *e)
{
	engine->mem_stub[0] = engine->mem_stub[1] = to_rx(engine, e->p);
	emit_regs(e, true, true, 8);
	emit_ld(e, H_RDX, 0);
	emit_mov_rr(e, 8, H_RSI, S0);
	emit_c_call(e, (uintptr_t)engine_mem_slow);
	emit_mov_rr(e, 8, S0, H_RAX);
	emit_regs(e, false, false, 8);
	emit_pop(e, S1);
	emit_lea(e, 8, S1, S1, NOHOST, 1, sizeof(struct mem_meta));
	emit1(e, 0x41); /* jmp S1 */
	emit1(e, 0xff);
	emit1(e, 0xe0 | (S1 & 7));
}

/* PAUSE: the guest's flags are in memory or nobody's. */
static void stub_pause(struct engine *engine, struct emit *e)
{
	engine->pause_stub = to_rx(engine, e->p);
	emit_regs(e, true, false, 8);
	emit_c_call(e, (uintptr_t)spin_pause);
	emit_regs(e, false, false, 8);
	emit_ret(e);
}

/* Called with S0 = insn, S1 = exec function that always goes on. */
static void stub_exec(struct engine *engine, struct emit *e)
{
	engine->exec_stub = to_rx(engine, e->p);
	emit_regs(e, true, true, 8);
	emit_mov_rr(e, 8, H_RSI, S0);
	emit_c_call(e, 0);
	emit_regs(e, false, true, 8);
	emit_ret(e);
}

void stubs_emit(struct engine *engine)
{
	struct emit e = {
		.p = engine->rw,
		.end = engine->rw + CODE_FIXED,
	};

	stub_enter(engine, &e);
	for (int r = LEAVE_DISPATCH; r <= LEAVE_BOUNCED; r++) {
		emit_align(&e, 16, 0);
		stub_leave(engine, &e, r);
	}
	emit_align(&e, 16, 0);
	stub_mem(engine, &e);
	emit_align(&e, 16, 0);
	stub_exec(engine, &e);
	emit_align(&e, 16, 0);
	stub_pause(engine, &e);
	engine->code_start = engine->copies->max;
	engine->code_used = engine->code_start;
}
