/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of a vCPU: take requests, deliver events, find or make the block
 * at rip, run it, see why it came back. It runs on the caller's stack; faults
 * raised anywhere below, in C functions or in translated code, land here.
 */
#include "engine/slow.h"

#include "cpu/debug.h"
#include "cpu/msr.h"
#include "cpu/pmu/pmu.h"
#include "cpu/xstate.h"
#include "engine/count.h"
#include "engine/reloc.h"
#include "engine/stubs.h"
#include "lib/check.h"
#include "x86/regs.h"

#include <errno.h>
#include <string.h>

static gva_t code_gva(const struct cpu *cpu)
{
	if (cpu->code_bits == 64)
		return cpu->rip;
	return (cpu->seg[SEG_CS].base + cpu->rip) & 0xffffffff;
}

/*
 * Code in MMIO. KVM's emulator cannot fetch it either: an exit, which the
 * guest's user mode must not be able to cause.
 */
static void __noreturn fetch_error(struct cpu *cpu, gva_t gva)
{
	if (cpu->cpl)
		cpu_raise(cpu, VEC_UD);
	cpu_internal_error(cpu, 1, gva);
}

/* Execute entry of the page of @gva, with codepage and id filled in. */
struct codepage *run_code_page(struct cpu *cpu, gva_t gva, uint32_t *xid)
{
	struct tlb_view *v = &cpu->tlb->view[cpu->view];
	unsigned int i = xtlb_index(gva);
	struct xtlb_entry *x = &v->x[i];
	struct engine *engine = cpu->engine;

	if (x->gva != (gva & PAGE_MASK) || !v->xid[i]) {
		x = tlb_fill_exec(cpu, gva);
		if (!x)
			fetch_error(cpu, gva);
		engine_lock(cpu);
		x->page = page_get(engine, (uint8_t *)x->hva);
		v->xid[i] = page_xid(engine, x->page, gva & PAGE_MASK);
		if (((struct codepage *)x->page)->acquire_gen !=
		    engine->acquire_gen)
			page_revalidate(engine, x->page);
		engine_unlock(engine);
	}
	if (xid)
		*xid = v->xid[i];
	return x->page;
}

unsigned int run_fetch(struct cpu *cpu, uint8_t *bytes)
{
	gva_t gva = code_gva(cpu);
	struct codepage *p = run_code_page(cpu, gva, NULL);
	unsigned int len = MIN(15u, 4096 - (unsigned int)(gva & 4095));
	struct walk w;

	memcpy(bytes, p->hva + (gva & 4095), len);
	if (len < 15 &&
	    !mmu_probe(cpu, (gva | 4095) + 1, mem_acc(cpu, ACC_EXEC), &w)) {
		p = run_code_page(cpu, (gva | 4095) + 1, NULL);
		memcpy(bytes + len, p->hva, 15 - len);
		len = 15;
	}
	return len;
}

/* CS limit and canonical form of the next instruction. */
static void check_fetch(struct cpu *cpu)
{
	if (cpu->code_bits == 64) {
		if (!mmu_canonical(cpu, cpu->rip))
			cpu_raise_err(cpu, VEC_GP, 0);
	} else if (cpu->rip > cpu->seg[SEG_CS].limit) {
		cpu_raise_err(cpu, VEC_GP, 0);
	}
}

/* Everything full: start again with empty code memory. */
static void flush_all(struct cpu *cpu)
{
	excl_begin_self(cpu);
	page_flush_all(cpu->engine);
	excl_end_self(cpu);
}

static void drop_copies(struct cpu *cpu)
{
	excl_begin_self(cpu);
	moved_drop(cpu->engine);
	excl_end_self(cpu);
}

/* What goes for every new block; vector registers are the host's or not. */
static void insert_block(struct cpu *cpu, struct block *b, const uint8_t *seen)
{
	block_insert(cpu->engine, b, seen);
	page_settle(cpu, b->page[0]);
	if (b->page[1])
		page_settle(cpu, b->page[1]);
}

static struct block *translate_block(struct cpu *cpu, struct codepage *p,
				     struct codepage *next, uint32_t xid1,
				     int *err)
{
	struct engine *engine = cpu->engine;
	struct block *b;

	xstate_save(cpu);
	engine->keep_code = false; /* a host fault may have left it */
	page_mark_code(cpu, p);
	if (next)
		page_mark_code(cpu, next);
	b = translate(cpu, p, next, xid1, err);
	if (b)
		insert_block(cpu, b, engine->seen);
	cpu->stat[CPU_STAT_TRANSLATE]++;
	return b;
}

/* The block was made before, for another address of its page. */
static struct block *move_block(struct cpu *cpu, struct codepage *p, int *err)
{
	struct block *b;

	if (cpu->code_bits != 64 || likely(!p->aliased))
		return NULL;
	b = moved_block(cpu->engine, p, cpu->rip, cpu->mode, err);
	if (!b)
		return NULL;
	insert_block(cpu, b, NULL);
	cpu->stat[CPU_STAT_MOVE]++;
	return b;
}

static struct block *make_block(struct cpu *cpu, struct codepage *p,
				struct codepage *next, uint32_t xid1, int *err)
{
	struct engine *engine = cpu->engine;
	struct block *b;

	*err = 0;
	engine_lock(cpu);
	b = block_find(engine, p, cpu->rip,
		       cpu->code_bits == 64 ? 0 : cpu->seg[SEG_CS].base,
		       cpu->mode);
	if (!b && blocks_full(engine)) {
		*err = -ENOMEM;
	} else if (!b) {
		b = move_block(cpu, p, err);
		if (!b && !*err)
			b = translate_block(cpu, p, next, xid1, err);
	}
	engine_unlock(engine);
	if (!cpu->xstate_live)
		xstate_load(cpu);
	return b;
}

/* The block at rip in the current mode, made if there is none. */
static struct block *get_block(struct cpu *cpu)
{
	gva_t gva = code_gva(cpu);
	uint64_t cs_base = cpu->code_bits == 64 ? 0 : cpu->seg[SEG_CS].base;
	struct codepage *p, *next = NULL;
	uint32_t xid1 = 0;
	struct block *b;
	int err;

	check_fetch(cpu);
	if (blocks_full(cpu->engine))
		flush_all(cpu);
	p = run_code_page(cpu, gva, NULL);
	b = block_find(cpu->engine, p, cpu->rip, cs_base, cpu->mode);
	while (!b || b->page[1]) {
		gva_t gva1 = (gva & PAGE_MASK) + PAGE_SIZE;

		if (b || next) {
			if (cpu->code_bits != 64)
				gva1 &= 0xffffffff;
			next = run_code_page(cpu, gva1, &xid1);
		}
		if (b && b->page[1] == next && b->xid1 == xid1)
			return b;
		if (b) { /* the second page is another one now */
			engine_lock(cpu);
			if (b->valid)
				block_invalidate(cpu->engine, b);
			engine_unlock(cpu->engine);
		}
		b = make_block(cpu, p, next, xid1, &err);
		if (err == -ENOMEM) {
			flush_all(cpu);
			continue;
		}
		if (err == -ENOSPC) {
			drop_copies(cpu);
			continue;
		}
		if (err == -EFAULT) {
			ASSERT(!next);
			next = run_code_page(cpu, gva1, &xid1);
			continue;
		}
		ASSERT(b);
		if (!b->page[1] || b->page[1] == next)
			return b;
	}
	return b;
}

static bool doorbell(const struct cpu *cpu)
{
	const struct {
		volatile uint16_t v;
	} __attribute__((packed)) *bell = (const void *)(cpu->doorbell - 1);

	return bell->v || __atomic_load_n(&cpu->requests, __ATOMIC_RELAXED);
}

/* True: leave with cpu->exit. */
static bool take_requests(struct cpu *cpu)
{
	uint32_t req;

	__atomic_store_n(cpu->doorbell, 0, __ATOMIC_SEQ_CST);
	engine_answer_code(cpu);
	req = __atomic_exchange_n(&cpu->requests, 0, __ATOMIC_SEQ_CST);
	if (req & CPU_REQ_CODE) {
		__atomic_or_fetch(&cpu->requests, CPU_REQ_CODE,
				  __ATOMIC_SEQ_CST);
		engine_answer_code(cpu);
	}
	if (req & CPU_REQ_TLB_FLUSH)
		tlb_flush_all(cpu);
	if (req & CPU_REQ_ACQUIRE)
		tlb_drop_exec(cpu);
	if (req & CPU_REQ_PAUSE)
		engine_park(cpu);
	if (req & (CPU_REQ_EVENT | CPU_REQ_EXIT) || cpu->doorbell[-1]) {
		cpu->exit = CPU_EXIT_REQUEST;
		return true;
	}
	return false;
}

static bool event_window(struct cpu *cpu)
{
	if (!cpu->irq_blocked)
		return false;
	if (!cpu_irq_allowed(cpu) &&
	    !(cpu->nmi_pending && cpu_nmi_allowed(cpu)))
		return false;
	cpu->irq_blocked = 0;
	cpu->exit = CPU_EXIT_IRQ;
	return true;
}

/* An instruction is complete: what was noted on its way becomes a trap. */
static void step_done(struct cpu *cpu)
{
	uint64_t bits = cpu->db_pending;

	if (likely(!bits))
		return;
	if (cpu->shadow & CPU_SHADOW_MOVSS) { /* held back by one instruction */
		cpu->db_pending &= ~DR6_BS;
		return;
	}
	cpu->db_pending = 0;
	cpu_raise_db(cpu, bits, true);
}

/* A string instruction between iterations: no breakpoint on it again. */
static void again(struct cpu *cpu)
{
	if (cpu->mode & MODE_ONE)
		cpu->rflags_sys |= RFLAGS_RF;
}

/* A C function did an instruction: where to go on. */
static void exec_call(struct cpu *cpu, const struct insn_call *c)
{
	switch (slow_exec(cpu, c)) {
	case EXEC_NEXT:
		cpu->rip = c->insn.next_rip;
		count_function(cpu, c, false);
		break;
	case EXEC_JUMP: count_function(cpu, c, true); break;
	case EXEC_AGAIN: again(cpu); break;
	case EXEC_SLOW: slow_string(cpu, &c->insn); break;
	}
	slow_drain(cpu);
}

static void link_block(struct cpu *cpu, struct link *l, struct block *b)
{
	uint32_t xid = 0;

	/* an event may have come in between */
	if (b->rip != l->rip || b->cs_base != l->from->cs_base ||
	    b->mode != l->mode)
		return;
	run_code_page(cpu, code_gva(cpu), &xid);
	engine_lock(cpu);
	if (b->valid)
		link_to(cpu->engine, l, b, xid);
	engine_unlock(cpu->engine);
}

/* The jump cache led to a block that is gone. */
static void forget_jump(struct cpu *cpu)
{
	gva_t gva = code_gva(cpu);
	struct jc_entry *jc =
		&cpu->tlb->view[cpu->view].jc[gva & (JC_ENTRIES - 1)];

	if (jc->gva == gva)
		jc->gva = ~gva; /* of another index: never found */
}

static void came_back(struct cpu *cpu, uint64_t why)
{
	struct insn_call *c;

	switch (why) {
	case LEAVE_DISPATCH: break;
	case LEAVE_STALE: forget_jump(cpu); break;
	case LEAVE_COUNT: cpu->mode_dirty = true; break;
	case LEAVE_LINK: {
		struct link *l = (struct link *)cpu->exit_arg;

		cpu->rip = l->rip;
		ec_of(cpu)->link = l;
		ec_of(cpu)->link_gen = cpu->engine->flush_gen;
		break;
	}
	case LEAVE_EXEC:
		exec_call(cpu, (struct insn_call *)cpu->exit_arg);
		break;
	case LEAVE_SLOW:
		c = slow_start(cpu);
		if (c)
			exec_call(cpu, c);
		break;
	case LEAVE_FAULT: __builtin_longjmp(cpu->jmpbuf, 1);
	default: ASSERT(!"reason to leave");
	}
}

/*
 * The block runs beyond the limit of CS. Blocks are shared by segments that
 * differ in limits only.
 */
static bool past_limit(const struct cpu *cpu, const struct block *b)
{
	uint64_t end = cpu->rip;

	if (likely(cpu->code_bits == 64 || cpu->mode & MODE_FLAT))
		return false;
	for (unsigned int i = 0; i < b->ninsn; i++)
		end += b->lens[i];
	return end > (uint64_t)cpu->seg[SEG_CS].limit + 1;
}

static void run_one(struct cpu *cpu)
{
	bool held = cpu->shadow & CPU_SHADOW_MOVSS;
	uint64_t mode = cpu->mode, hit;
	struct block *b;

	if (unlikely(cpu->breaks.exec) && !held &&
	    !(cpu->rflags_sys & RFLAGS_RF)) {
		hit = debug_exec(cpu, code_gva(cpu));
		if (hit)
			cpu_raise_db(cpu, hit, false);
	}
	cpu->mode |= MODE_ONE;
	cpu->shadow = 0;
	cpu->mode_dirty = true;
	b = get_block(cpu);
	cpu->mode = mode;
	if (unlikely(past_limit(cpu, b)))
		cpu_raise_err(cpu, VEC_GP, 0);
	if (cpu->rflags_sys & RFLAGS_TF || cpu->guest_debug & DEBUG_STEP)
		cpu->db_pending |= DR6_BS;
	cpu->rflags_sys &= ~(uint64_t)RFLAGS_RF;
	came_back(cpu, cpu->engine->enter(cpu, b->ind));
}

static void run_blocks(struct cpu *cpu)
{
	struct cpu_tlb *tlb = cpu->tlb;
	unsigned int view = cpu->view;
	gva_t gva = code_gva(cpu);
	struct jc_entry *jc = &tlb->view[view].jc[gva & (JC_ENTRIES - 1)];
	struct engine_cpu *ec = ec_of(cpu);
	struct link *l = ec->link;
	struct block *b;

	ec->link = NULL;
	cpu->rflags_sys &= ~(uint64_t)RFLAGS_RF;
	if (tlb->jc_mode[view] != cpu->mode) {
		tlb_jc_flush(cpu, view);
		tlb->jc_mode[view] = cpu->mode;
	} else if (!l && jc->gva == gva && cpu->code_bits != 16) {
		uint64_t why = cpu->engine->enter(cpu, (void *)jc->code);

		if (why == LEAVE_DISPATCH && code_gva(cpu) == gva)
			jc->gva = ~gva; /* the block may be stale */
		came_back(cpu, why);
		return;
	}
	cpu->stat[CPU_STAT_DISPATCH]++;
	b = get_block(cpu);
	if (unlikely(past_limit(cpu, b))) {
		run_one(cpu);
		return;
	}
	if (l && ec->link_gen == cpu->engine->flush_gen)
		link_block(cpu, l, b);
	if (cpu->mode & MODE_FLAT)
		tlb_jc_set(cpu, view, gva, b->ind);
	came_back(cpu, cpu->engine->enter(cpu, b->ind));
}

/* The client debugs: a debug exception of the guest is its own. */
static void __noreturn debug_exit(struct cpu *cpu)
{
	cpu->debug_exit = (struct cpu_debug_exit){
		.exception = VEC_DB,
		.pc = code_gva(cpu),
		.dr6 = cpu->event.payload | DR6_FIXED,
		.dr7 = debug_dr7(cpu) | DR7_FIXED,
	};
	cpu->event.valid = false;
	cpu_exit_to_kvm(cpu, CPU_EXIT_DEBUG);
}

static void deliver(struct cpu *cpu)
{
	const struct cpu_event *ev = &cpu->event;
	bool soft = ev->kind == EVENT_SOFT_INT || ev->kind == EVENT_SOFT_EXC;
	bool irq = ev->kind == EVENT_IRQ;

	if (debug_owned(cpu) && ev->vector == VEC_DB && ev->has_payload &&
	    ev->kind <= EVENT_TRAP)
		debug_exit(cpu);
	cpu_event_deliver(cpu);
	if (soft) /* INT n and its like are complete */
		count_retire(cpu, RETIRED_FAR, true);
	else if (unlikely(cpu->count_on))
		pmu_event(cpu, irq);
	step_done(cpu);
}

/* A counter that is at its end has its interrupt before the next insn. */
static void look_at_counters(struct cpu *cpu)
{
	if (unlikely(cpu->count_armed) && pmu_hit(cpu))
		pmu_overflow(cpu);
}

static void loop_body(struct cpu *cpu) __noreturn __attribute__((noinline));
static void loop_body(struct cpu *cpu)
{
	struct engine_cpu *ec = ec_of(cpu);

	for (;;) {
		if (ec->do_slow) { /* the instruction has begun: nothing before */
			ec->do_slow = false;
			came_back(cpu, LEAVE_SLOW);
			step_done(cpu);
		}
		if (cpu->event.valid)
			deliver(cpu);
		look_at_counters(cpu);
		if (unlikely(cpu->pmi))
			cpu_exit_to_kvm(cpu, CPU_EXIT_PMI);
		if (doorbell(cpu) && take_requests(cpu))
			cpu_exit_to_kvm(cpu, CPU_EXIT_REQUEST);
		if (cpu->mode_dirty)
			cpu_update_mode(cpu);
		if (event_window(cpu))
			cpu_exit_to_kvm(cpu, CPU_EXIT_IRQ);
		if (cpu->shadow || cpu->mode & MODE_ONE)
			run_one(cpu);
		else
			run_blocks(cpu);
		step_done(cpu);
	}
}

static void complete_io(struct cpu *cpu)
{
	if (slow_io_complete(cpu) != EXEC_AGAIN) {
		count_retire(cpu, RETIRED_PLAIN, false);
		if (cpu->io.string)
			count_retire_mem(cpu, cpu->io.in ? RETIRED_STORE
							 : RETIRED_LOAD);
	} else if (cpu->rip == cpu->io_pending.rip)
		again(cpu);
	slow_drain(cpu);
}

static void complete_mmio(struct cpu *cpu)
{
	const struct insn_call *c = slow_resume(cpu);

	if (c)
		exec_call(cpu, c);
}

/* Finish the access the client answered. */
static void complete(struct cpu *cpu)
{
	struct engine_cpu *ec = ec_of(cpu);
	enum cpu_exit_kind pending = ec->pending;

	ec->pending = CPU_EXIT_NONE;
	switch (pending) {
	case CPU_EXIT_IO: complete_io(cpu); break;
	case CPU_EXIT_MMIO: complete_mmio(cpu); break;
	case CPU_EXIT_MSR:
		msr_complete(cpu);
		count_retire(cpu, RETIRED_PLAIN, false);
		break;
	default: return;
	}
	step_done(cpu);
}

/* Leaving by an exit: what becomes of the traps of the instruction. */
static void exit_traps(struct cpu *cpu)
{
	uint64_t bits = cpu->db_pending;

	switch (cpu->exit) {
	case CPU_EXIT_HLT: /* these are complete */
	case CPU_EXIT_CR8:
	case CPU_EXIT_HYPERCALL:
		count_retire(cpu, RETIRED_PLAIN, false);
		cpu->db_pending = 0;
		if (bits)
			cpu->event = (struct cpu_event){
				.valid = true,
				.vector = VEC_DB,
				.kind = EVENT_TRAP,
				.payload = bits,
				.has_payload = true,
			};
		break;
	case CPU_EXIT_EFAULT: /* these begin again */
	case CPU_EXIT_DEBUG:
	case CPU_EXIT_BUS_LOCK:
	case CPU_EXIT_INTERNAL:
	case CPU_EXIT_SHUTDOWN: cpu->db_pending = 0; break;
	default: break;
	}
}

/* A fault was raised: it becomes the event, or joins the one under way. */
static bool landed(struct cpu *cpu)
{
	struct engine_cpu *ec = ec_of(cpu);
	struct cpu_event ev = cpu->raised;

	if (ec->do_slow)
		return true;
	slow_left(cpu);
	if (!ev.valid) {
		exit_traps(cpu);
		return false;
	}
	if (ev.kind == EVENT_TRAP && ev.vector == VEC_DB)
		ev.payload |= cpu->db_pending;
	cpu->db_pending = 0;
	slow_drop(cpu);
	cpu->raised.valid = false;
	if (cpu->event.valid) {
		if (!cpu_event_nested(cpu, &ev)) {
			cpu->exit = CPU_EXIT_SHUTDOWN;
			return false;
		}
	} else {
		cpu->event = ev;
	}
	slow_drain(cpu); /* what was stored before the fault */
	return true;
}

int engine_guard(struct cpu *cpu, int (*fn)(struct cpu *cpu, void *arg),
		 void *arg)
{
	struct engine_cpu *ec = ec_of(cpu);
	volatile int ret = -EFAULT;

	ec->guard = true;
	hostfault_enter(cpu);
	if (!__builtin_setjmp(cpu->jmpbuf))
		ret = fn(cpu, arg);
	hostfault_leave();
	ec->guard = false;
	return ret;
}

void run_efault(struct cpu *cpu)
{
	struct engine *engine = cpu->engine;

	if (ec_of(cpu)->guard)
		__builtin_longjmp(cpu->jmpbuf, 1);
	if (__atomic_load_n(&engine->lock_owner, __ATOMIC_RELAXED) == cpu)
		engine_unlock(engine);
	slow_abort(cpu);
	if (!cpu->xstate_live)
		xstate_load(cpu);
	ec_of(cpu)->do_slow = false;
	cpu_exit_to_kvm(cpu, CPU_EXIT_EFAULT);
}

/*
 * Faults land here. Only volatile locals are trusted behind the jump: clang
 * keeps others in registers that the jump does not bring back.
 */
static __attribute__((noinline)) enum cpu_exit_kind run_loop(struct cpu *self,
							     bool complete_only)
{
	struct cpu *volatile cpu = self;
	volatile bool fresh = true, only = complete_only;

	if (__builtin_setjmp(self->jmpbuf)) {
		if (!landed(cpu))
			return cpu->exit;
	}
	if (fresh) {
		fresh = false;
		complete(cpu);
	}
	if (only)
		return CPU_EXIT_NONE;
	loop_body(cpu);
}

static enum cpu_exit_kind run(struct cpu *cpu, bool complete_only)
{
	struct engine_cpu *ec = ec_of(cpu);
	bool vectors = !complete_only || (ec->pending == CPU_EXIT_MMIO &&
					  slow_needs_vectors(cpu));
	enum cpu_exit_kind kind;

	if (complete_only && ec->pending == CPU_EXIT_NONE)
		return CPU_EXIT_NONE;
	hostfault_enter(cpu);
	engine_enter_guest(cpu);
	cpu->raised.valid = false;
	pmu_clock(cpu, true);
	if (vectors)
		xstate_load(cpu);
	kind = run_loop(cpu, complete_only);
	if (cpu->xstate_live)
		xstate_save(cpu);
	look_at_counters(cpu);
	pmu_clock(cpu, false);
	if (cpu->mode_dirty)
		cpu_update_mode(cpu);
	engine_leave_guest(cpu);
	hostfault_leave();
	cpu->stat[CPU_STAT_EXITS]++;
	if (kind == CPU_EXIT_IO || kind == CPU_EXIT_MMIO ||
	    kind == CPU_EXIT_MSR)
		ec->pending = kind;
	return kind;
}

enum cpu_exit_kind engine_run(struct cpu *cpu)
{
	return run(cpu, false);
}

enum cpu_exit_kind engine_complete(struct cpu *cpu)
{
	return run(cpu, true);
}

bool engine_pending(const struct cpu *cpu)
{
	return ec_of((struct cpu *)cpu)->pending != CPU_EXIT_NONE;
}

void engine_cancel(struct cpu *cpu)
{
	ec_of(cpu)->pending = CPU_EXIT_NONE;
	slow_abort(cpu);
}

/* Slow path of an inlined access; from translated code, engine's stack. */
uint64_t engine_mem_slow(struct cpu *cpu, uint64_t gva, const uint8_t *meta)
{
	const struct mem_meta *m = (const void *)meta;
	struct engine_cpu *ec = ec_of(cpu);
	uint32_t before = ec->invalidations;
	struct tlb_result r;

	cpu->rip = m->rip;
	cpu->stat[CPU_STAT_TLB_MISS]++;
	if (unlikely(m->left.n))
		pmu_unretire(cpu, &m->left, -1);
	if (!m->rule.kind)
		mask_check(cpu, &m->rule, gva);
	if (!m->rule.kind && (gva & 4095) + m->size <= 4096 &&
	    mmu_canonical(cpu, gva)) {
		tlb_fill(cpu, gva, m->size, mem_acc(cpu, m->acc), &r);
		if (r.hva && ec->invalidations == before &&
		    !(cpu->db_pending & DR6_BREAKS)) {
			if (unlikely(m->left.n))
				pmu_unretire(cpu, &m->left, 1);
			return (uintptr_t)r.hva;
		}
	}
	/* it looks for breakpoints again */
	cpu->db_pending &= ~DR6_BREAKS;
	ec->do_slow = true;
	__builtin_longjmp(cpu->jmpbuf, 1);
}
