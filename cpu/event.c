/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery of exceptions and interrupts: real mode, protected mode, long mode
 * with IST, task gates. SDM 3A chapter 6 "Interrupt and Exception Handling",
 * SDM 3B "Interrupt and Exception Handling in Virtual-8086 Mode" (20.3),
 * SDM 2A "INT n" (its pseudo code), APM 2 chapter 8.
 *
 * RF is not set in the image of interrupts taken between iterations of a
 * string instruction: nobody but a debugger with instruction breakpoints on
 * that very instruction could tell.
 */
#include "cpu/seg.h"
#include "lib/check.h"

#define IRQ_CLEARS       (RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM)
#define DR6_TAKEN        (DR6_BREAKS | DR6_BD | DR6_BS | DR6_BT)
#define DEBUGCTL_LBR_BTF 3ULL

/* INT n, INT3 and INTO, whose gates are checked for DPL; not INT1. */
static bool event_soft(const struct cpu_event *ev)
{
	return ev->kind == EVENT_SOFT_INT ||
	       (ev->kind == EVENT_SOFT_EXC && ev->vector != VEC_DB);
}

static unsigned int event_ext(const struct cpu_event *ev)
{
	return event_soft(ev) ? 0 : ERR_EXT;
}

static uint64_t event_return_rip(const struct cpu *cpu)
{
	const struct cpu_event *ev = &cpu->event;

	if (ev->kind != EVENT_SOFT_INT && ev->kind != EVENT_SOFT_EXC)
		return cpu->rip;
	return (cpu->rip + ev->insn_len) & seg_size_mask(cpu->code_bits / 8);
}

/*
 * RFLAGS as pushed. SDM 3B "Debug Exception" (17.3.1.1): faults push RF set,
 * but an instruction breakpoint leaves it alone.
 */
static uint64_t event_image(const struct cpu *cpu)
{
	const struct cpu_event *ev = &cpu->event;
	uint64_t flags = cpu_rflags(cpu);

	if (ev->kind == EVENT_FAULT &&
	    (ev->vector != VEC_DB || ev->payload & DR6_BD))
		flags |= RFLAGS_RF;
	return flags;
}

static void take_payload(struct cpu *cpu)
{
	const struct cpu_event *ev = &cpu->event;

	if (ev->kind > EVENT_TRAP && ev->kind != EVENT_SOFT_EXC)
		return;
	if (ev->vector == VEC_PF && ev->has_payload) {
		cpu->cr2 = ev->payload;
	} else if (unlikely(ev->vector == VEC_DB)) {
		if (ev->has_payload)
			cpu->dr6 = (cpu->dr6 & ~DR6_BREAKS) | DR6_FIXED |
				   (ev->payload & DR6_TAKEN);
		cpu->dr7 &= ~DR7_GD;
		cpu->debugctl &= ~DEBUGCTL_LBR_BTF;
		cpu->mode_dirty = true;
	}
}

static void enter_handler(struct cpu *cpu, uint64_t rip, bool clear_if)
{
	if (cpu->rflags_sys & IRQ_CLEARS)
		cpu->mode_dirty = true;
	cpu->rflags_sys &= ~(uint64_t)IRQ_CLEARS;
	if (clear_if)
		cpu->iflag = 0;
	cpu->rip = rip;
}

/* ---- real mode ---- */

static void deliver_real(struct cpu *cpu)
{
	unsigned int off = cpu->event.vector * 4;
	struct stackref st;
	uint64_t frame[3];
	uint32_t far;

	if (off + 3 > cpu->idt.limit)
		cpu_raise_err(cpu, VEC_GP, ERR_VECTOR(cpu->event.vector));
	far = mem_read(cpu, (uint32_t)(cpu->idt.base + off), 4,
		       ACC_READ | ACC_SYSTEM);
	if ((far & 0xffff) > cpu->seg[SEG_CS].limit)
		cpu_raise_err(cpu, VEC_GP, 0);
	frame[0] = event_image(cpu);
	frame[1] = cpu->seg[SEG_CS].sel;
	frame[2] = event_return_rip(cpu);
	stackref_current(cpu, &st);
	stackref_push(cpu, &st, frame, 3, 2);
	stackref_set_sp(cpu, st.mask, st.sp);
	seg_commit_real(cpu, SEG_CS, far >> 16);
	cpu->rip = far & 0xffff;
	cpu->iflag = 0;
	cpu->acflag = 0;
	cpu->rflags_sys &= ~(uint64_t)(RFLAGS_TF | RFLAGS_RF);
}

/*
 * IF and IOPL as the 8086 program sees them: with IOPL below 3 the virtual
 * interrupt flag stands for IF.
 */
void event_redirect_v8086(struct cpu *cpu, uint8_t vector, uint16_t next_ip)
{
	uint64_t flags = cpu_rflags(cpu);
	bool virtual_if = cpu_iopl(cpu) < 3;
	struct stackref st;
	uint64_t frame[3];
	uint32_t far;

	far = mem_read(cpu, vector * 4u, 4, ACC_READ | ACC_USER);
	if (virtual_if) {
		flags = (flags & ~(uint64_t)RFLAGS_IF) | RFLAGS_IOPL;
		if (flags & RFLAGS_VIF)
			flags |= RFLAGS_IF;
	}
	frame[0] = flags;
	frame[1] = cpu->seg[SEG_CS].sel;
	frame[2] = next_ip;
	stackref_current(cpu, &st);
	stackref_push(cpu, &st, frame, 3, 2);
	stackref_set_sp(cpu, st.mask, st.sp);
	seg_commit_v8086(cpu, SEG_CS, far >> 16);
	cpu->rip = far & 0xffff;
	cpu->rflags_sys &= ~(uint64_t)(RFLAGS_TF | RFLAGS_RF);
	if (virtual_if)
		cpu->rflags_sys &= ~(uint64_t)RFLAGS_VIF;
	else
		cpu->iflag = 0;
	cpu->mode_dirty = true;
}

/* ---- protected mode, 16 and 32-bit gates ---- */

/* Code segment of a gate: what legacy and long mode have in common. */
static void check_handler_cs(struct cpu *cpu, uint16_t sel, struct seg_desc *d)
{
	unsigned int ext = event_ext(&cpu->event);

	if (sel_null(sel))
		cpu_raise_err(cpu, VEC_GP, ext);
	if (!seg_fetch(cpu, sel, d) || !desc_code(d->lo) ||
	    desc_dpl(d->lo) > cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, sel_err(sel) | ext);
	if (cpu_long_mode(cpu) && (d->lo >> 53 & 3) != 1)
		cpu_raise_err(cpu, VEC_GP, sel_err(sel) | ext);
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel) | ext);
}

static void check_gate(struct cpu *cpu, uint64_t gate)
{
	const struct cpu_event *ev = &cpu->event;

	if (event_soft(ev) && desc_dpl(gate) < cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, ERR_VECTOR(ev->vector));
	if (!desc_present(gate))
		cpu_raise_err(cpu, VEC_NP,
			      ERR_VECTOR(ev->vector) | event_ext(ev));
}

/* The current stack's part of a frame; returns how many values. */
static unsigned int frame_outer(const struct cpu *cpu, uint64_t *frame,
				bool inner)
{
	unsigned int n = 0;

	if (cpu_v8086(cpu)) {
		frame[n++] = cpu->seg[SEG_GS].sel;
		frame[n++] = cpu->seg[SEG_FS].sel;
		frame[n++] = cpu->seg[SEG_DS].sel;
		frame[n++] = cpu->seg[SEG_ES].sel;
	}
	if (inner) {
		frame[n++] = cpu->seg[SEG_SS].sel;
		frame[n++] = cpu->gpr[REG_RSP];
	}
	return n;
}

static unsigned int frame_common(const struct cpu *cpu, uint64_t *frame,
				 unsigned int n)
{
	frame[n++] = event_image(cpu);
	frame[n++] = cpu->seg[SEG_CS].sel;
	frame[n++] = event_return_rip(cpu);
	if (cpu->event.has_error)
		frame[n++] = cpu->event.error;
	return n;
}

static void leave_v8086(struct cpu *cpu)
{
	seg_commit_null(cpu, SEG_ES, 0);
	seg_commit_null(cpu, SEG_DS, 0);
	seg_commit_null(cpu, SEG_FS, 0);
	seg_commit_null(cpu, SEG_GS, 0);
}

static void deliver_gate(struct cpu *cpu, uint64_t gate)
{
	unsigned int ext = event_ext(&cpu->event), type = desc_type(gate), n;
	unsigned int size = type & 8 ? 4 : 2, cpl = cpu->cpl;
	uint32_t sp, off = gate_offset(gate);
	bool v8086 = cpu_v8086(cpu), inner;
	struct seg_desc cs, ss = {0};
	uint64_t frame[STACKREF_MAX];
	struct stackref st;
	uint16_t ss_sel = 0;

	check_handler_cs(cpu, gate_sel(gate), &cs);
	if (!desc_conforming(cs.lo))
		cpl = desc_dpl(cs.lo);
	if (v8086 && cpl != 0)
		cpu_raise_err(cpu, VEC_GP, sel_err(gate_sel(gate)) | ext);
	inner = cpl < cpu->cpl;
	if (inner) {
		seg_tss_stack(cpu, cpl, ext, &ss_sel, &sp);
		seg_check_stack(cpu, ss_sel, &ss, cpl, VEC_TS, ext);
		stackref_desc(cpu, &st, ss.lo, sp, cpl, sel_err(ss_sel) | ext);
	} else {
		stackref_current(cpu, &st);
		st.err = ext;
	}
	if (size == 2)
		off &= 0xffff;
	if (off > desc_limit(cs.lo))
		cpu_raise_err(cpu, VEC_GP, ext);
	if (inner)
		seg_mark_accessed(cpu, &ss);
	seg_mark_accessed(cpu, &cs);
	n = frame_common(cpu, frame, frame_outer(cpu, frame, inner));
	stackref_push(cpu, &st, frame, n, size);

	enter_handler(cpu, off, !(type & 1));
	if (v8086)
		leave_v8086(cpu);
	if (inner)
		seg_commit(cpu, SEG_SS, ss_sel, ss.lo);
	seg_commit_cs(cpu, gate_sel(gate), cs.lo, cpl);
	stackref_set_sp(cpu, st.mask, st.sp);
}

/* The T bit is looked at when the event is over: #DB is not a nested one. */
static void deliver_task(struct cpu *cpu, uint64_t gate)
{
	const struct cpu_event *ev = &cpu->event;
	const struct task_request req = {
		.sel = gate_sel(gate),
		.source = TASK_GATE,
		.return_rip = event_return_rip(cpu),
		.ext = event_ext(ev),
		.has_error = ev->has_error,
		.error = ev->error,
	};

	if (task_switch(cpu, &req)) {
		cpu->event.valid = false;
		cpu->shadow = 0;
		cpu_raise_db(cpu, DR6_BT, true);
	}
}

static void deliver_protected(struct cpu *cpu)
{
	const struct cpu_event *ev = &cpu->event;
	unsigned int off = ev->vector * 8;
	uint32_t err = ERR_VECTOR(ev->vector) | event_ext(ev);
	uint64_t gate;

	if (off + 7 > cpu->idt.limit)
		cpu_raise_err(cpu, VEC_GP, err);
	gate = seg_sys_read8(cpu, (uint32_t)(cpu->idt.base + off));
	switch (gate >> 40 & 0x1f) {
	case DESC_TASK_GATE:
		check_gate(cpu, gate);
		deliver_task(cpu, gate);
		return;
	case DESC_INT16:
	case DESC_TRAP16:
	case DESC_INT32:
	case DESC_TRAP32:
		check_gate(cpu, gate);
		deliver_gate(cpu, gate);
		return;
	default: cpu_raise_err(cpu, VEC_GP, err);
	}
}

/* ---- long mode ---- */

/* Write @n values down from @rsp, the first one highest. */
static void push_frame64(struct cpu *cpu, uint64_t rsp, const uint64_t *frame,
			 unsigned int n, unsigned int cpl)
{
	unsigned int acc = seg_acc(cpu, cpl), size = n * 8, i;
	unsigned int view = acc & ACC_SYSTEM ? VIEW_KERNEL : cpu->view;
	gva_t gva = rsp - size;
	uint64_t *p, buf[6];

	if (!seg_canonical(cpu, gva) || !seg_canonical(cpu, rsp - 1))
		cpu_raise_err(cpu, VEC_SS, event_ext(&cpu->event));
	p = (uint64_t *)seg_tlb_write(cpu, view, gva, size);
	if (unlikely(!p))
		p = buf;
	for (i = 0; i < n; i++)
		p[n - 1 - i] = frame[i];
	if (unlikely(p == buf))
		mem_write_buf(cpu, gva, buf, size, acc | ACC_WRITE);
}

/* The gate of the event, checked; returns its type. */
static unsigned int read_gate64(struct cpu *cpu, uint64_t *lo, uint64_t *hi)
{
	const struct cpu_event *ev = &cpu->event;
	unsigned int off = ev->vector * 16, type;
	uint32_t err = ERR_VECTOR(ev->vector) | event_ext(ev);

	if (off + 15 > cpu->idt.limit)
		cpu_raise_err(cpu, VEC_GP, err);
	*lo = seg_sys_read8(cpu, cpu->idt.base + off);
	*hi = seg_sys_read8(cpu, cpu->idt.base + off + 8);
	type = *lo >> 40 & 0x1f;
	if (type != DESC_INT32 && type != DESC_TRAP32)
		cpu_raise_err(cpu, VEC_GP, err);
	check_gate(cpu, *lo);
	return type;
}

static uint64_t handler_rsp(struct cpu *cpu, uint64_t gate, unsigned int cpl)
{
	unsigned int ext = event_ext(&cpu->event), ist = gate >> 32 & 7;
	uint64_t rsp = cpu->gpr[REG_RSP];

	if (ist)
		rsp = seg_tss_rsp(cpu, TSS64_IST0 + ist * 8, ext);
	else if (cpl != cpu->cpl)
		rsp = seg_tss_rsp(cpu, TSS64_RSP0 + cpl * 8, ext);
	return rsp & ~0xfULL;
}

static void deliver_long(struct cpu *cpu)
{
	unsigned int type, cpl = cpu->cpl, n;
	uint64_t lo, hi, rip, rsp, frame[6];
	struct seg_desc cs;

	type = read_gate64(cpu, &lo, &hi);
	check_handler_cs(cpu, gate_sel(lo), &cs);
	if (!desc_conforming(cs.lo))
		cpl = desc_dpl(cs.lo);
	rsp = handler_rsp(cpu, lo, cpl);
	rip = gate_offset(lo) | hi << 32;
	if (!seg_canonical(cpu, rip))
		cpu_raise_err(cpu, VEC_GP, event_ext(&cpu->event));
	seg_mark_accessed(cpu, &cs);
	n = frame_common(cpu, frame, frame_outer(cpu, frame, true));
	push_frame64(cpu, rsp, frame, n, cpl);

	enter_handler(cpu, rip, type == DESC_INT32);
	if (cpl != cpu->cpl)
		seg_commit_null_ss(cpu, cpl, cpl);
	seg_commit_cs(cpu, gate_sel(lo), cs.lo, cpl);
	cpu->gpr[REG_RSP] = rsp - n * 8;
}

/* ---- the front ---- */

void cpu_event_deliver(struct cpu *cpu)
{
	struct cpu_event *ev = &cpu->event;

	take_payload(cpu);
	if (ev->kind == EVENT_NMI)
		cpu->nmi_blocked = 1;
	cpu->stat[ev->kind == EVENT_IRQ ? CPU_STAT_IRQ : CPU_STAT_EXCEPTION]++;
	if (likely(cpu_long_mode(cpu)))
		deliver_long(cpu);
	else if (cpu_protected(cpu))
		deliver_protected(cpu);
	else
		deliver_real(cpu);
	ev->valid = false;
	cpu->shadow = 0;
}

enum event_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PF, CLASS_DF };

/* SDM 3A "Interrupt 8" (6.15): which pairs of events make a double fault. */
static enum event_class event_class(const struct cpu_event *ev)
{
	if (ev->kind > EVENT_TRAP)
		return CLASS_BENIGN;
	switch (ev->vector) {
	case VEC_DF: return CLASS_DF;
	case VEC_PF: return CLASS_PF;
	case VEC_DE:
	case VEC_TS:
	case VEC_NP:
	case VEC_SS:
	case VEC_GP: return CLASS_CONTRIBUTORY;
	default: return CLASS_BENIGN;
	}
}

bool cpu_event_nested(struct cpu *cpu, const struct cpu_event *ev)
{
	enum event_class first = event_class(&cpu->event);
	enum event_class second = event_class(ev);

	if (ev->vector == VEC_PF && ev->has_payload)
		cpu->cr2 = ev->payload;
	if (first == CLASS_DF && second != CLASS_BENIGN) {
		cpu->event.valid = false;
		cpu->exit = CPU_EXIT_SHUTDOWN;
		return false;
	}
	if ((first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY) ||
	    (first == CLASS_PF && second != CLASS_BENIGN)) {
		cpu->event = (struct cpu_event){
			.valid = true,
			.vector = VEC_DF,
			.kind = EVENT_FAULT,
			.has_error = true,
		};
		return true;
	}
	cpu->event = *ev;
	return true;
}

bool cpu_irq_allowed(const struct cpu *cpu)
{
	return cpu->iflag && !cpu->shadow && !cpu->event.valid;
}

bool cpu_nmi_allowed(const struct cpu *cpu)
{
	return !cpu->nmi_blocked && !cpu->shadow && !cpu->smm &&
	       !cpu->event.valid;
}

void cpu_queue_irq(struct cpu *cpu, uint8_t vector)
{
	ASSERT(!cpu->event.valid);
	cpu->event = (struct cpu_event){
		.valid = true,
		.vector = vector,
		.kind = EVENT_IRQ,
	};
}

void cpu_queue_nmi(struct cpu *cpu)
{
	ASSERT(!cpu->event.valid);
	cpu->event = (struct cpu_event){
		.valid = true,
		.vector = VEC_NMI,
		.kind = EVENT_NMI,
	};
}
