/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches with 16 and 32-bit TSSs. SDM 3A "Task Switching"
 * (7.3), whose table gives the checks and which context they fault in: what
 * is wrong with the TSS itself faults in the old task, what is wrong with its
 * contents in the new one. Long mode has no task switches. Tables, TSSs and
 * stacks in MMIO are an internal error.
 */
#include "cpu/crop.h"
#include "cpu/debug.h"
#include "cpu/seg.h"

#define DR7_LOCAL 0x155ULL /* L0-L3 and LE */
#define TSS_MAX   TSS32_SIZE
#define ACC_TSS_R (ACC_READ | ACC_SYSTEM)
#define ACC_TSS_W (ACC_WRITE | ACC_SYSTEM)

/* A TSS's contents in one layout. Segments in the order of enum cpu_seg. */
struct tss_image {
	uint32_t rip, flags, cr3;
	uint32_t gpr[8];
	uint16_t seg[6];
	uint16_t ldt;
	bool wide;
	bool trap;
};

static uint32_t get(const uint8_t *buf, unsigned int off, unsigned int size)
{
	uint32_t val = buf[off] | buf[off + 1] << 8;

	if (size == 4)
		val |= (uint32_t)(buf[off + 2] | buf[off + 3] << 8) << 16;
	return val;
}

static void put(uint8_t *buf, unsigned int off, uint32_t val, unsigned int size)
{
	unsigned int k;

	for (k = 0; k < size; k++)
		buf[off + k] = val >> k * 8;
}

static void read_image(struct cpu *cpu, uint32_t base, bool wide,
		       struct tss_image *t)
{
	unsigned int size = wide ? 4 : 2, k;
	unsigned int segs = wide ? 6 : 4;
	uint8_t b[TSS_MAX];

	mem_read_buf(cpu, base, b, wide ? TSS32_SIZE : TSS16_SIZE, ACC_TSS_R);
	*t = (struct tss_image){.wide = wide};
	t->rip = get(b, wide ? TSS32_EIP : TSS16_IP, size);
	t->flags = get(b, wide ? TSS32_EFLAGS : TSS16_FLAGS, size);
	t->ldt = get(b, wide ? TSS32_LDT : TSS16_LDT, 2);
	for (k = 0; k < 8; k++)
		t->gpr[k] = get(b, (wide ? TSS32_GPR : TSS16_GPR) + k * size,
				size);
	for (k = 0; k < segs; k++)
		t->seg[k] = get(b, (wide ? TSS32_SEG : TSS16_SEG) + k * size,
				2);
	if (wide) {
		t->cr3 = get(b, TSS32_CR3, 4);
		t->trap = b[TSS32_TRAP] & 1;
	}
}

/* The part that a processor writes when it leaves a task. */
static void save_image(struct cpu *cpu, uint32_t rip, uint32_t flags)
{
	const struct segment *tr = &cpu->seg[SEG_TR];
	bool wide = tr->attr & 8;
	unsigned int size = wide ? 4 : 2, segs = wide ? 6 : 4, k;
	unsigned int start = wide ? TSS32_EIP : TSS16_IP;
	unsigned int len = (10 + segs) * size;
	uint8_t b[TSS_MAX];

	put(b, 0, rip, size);
	put(b, size, flags, size);
	for (k = 0; k < 8; k++)
		put(b, (2 + k) * size, cpu->gpr[k], size);
	for (k = 0; k < segs; k++)
		put(b, (10 + k) * size, cpu->seg[k].sel, size);
	mem_write_buf(cpu, (uint32_t)(tr->base + start), b, len, ACC_TSS_W);
}

/* Everything that faults in the old task. */
static void check_request(struct cpu *cpu, const struct task_request *req,
			  struct seg_desc *d)
{
	bool iret = req->source == TASK_IRET, busy, ok;
	uint8_t vec = iret ? VEC_TS : VEC_GP;
	uint32_t err = sel_err(req->sel) | req->ext;
	const struct segment *tr = &cpu->seg[SEG_TR];
	unsigned int type;

	if (sel_null(req->sel) || req->sel & SEL_TI ||
	    !seg_fetch(cpu, req->sel, d))
		cpu_raise_err(cpu, vec, err);
	type = desc_type(d->lo);
	busy = type & 2;
	ok = desc_system(d->lo) && ((type & ~0xau) == DESC_TSS16);
	if (!ok || busy != iret)
		cpu_raise_err(cpu, vec, err);
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_NP, err);
	if (desc_limit(d->lo) < (type & 8 ? TSS32_SIZE : TSS16_SIZE) - 1u)
		cpu_raise_err(cpu, VEC_TS, err);
	if (tr->limit < (tr->attr & 8 ? TSS32_LDT : TSS16_LDT) - 1u)
		cpu_raise_err(cpu, VEC_TS, sel_err(tr->sel) | req->ext);
}

/* Busy bits, the old task's image, the link to it. */
static void write_tables(struct cpu *cpu, const struct task_request *req,
			 const struct seg_desc *d)
{
	struct segment *tr = &cpu->seg[SEG_TR];
	bool nested = req->source == TASK_CALL || req->source == TASK_GATE;
	gva_t old = (uint32_t)(cpu->gdt.base + (tr->sel & 0xfff8));
	uint64_t flags = cpu_rflags(cpu);

	if (nested)
		mem_check(cpu, desc_base(d->lo), 2, ACC_TSS_W);
	if (!nested)
		mem_check(cpu, old, 8, ACC_TSS_W);
	if (req->source != TASK_IRET)
		mem_check(cpu, d->gva, 8, ACC_TSS_W);
	if (req->source == TASK_IRET)
		flags &= ~(uint64_t)RFLAGS_NT;
	save_image(cpu, req->return_rip, flags);
	if (nested)
		mem_write(cpu, desc_base(d->lo), 2, tr->sel, ACC_TSS_W);
	if (!nested)
		seg_mark_busy(cpu, old, false);
	if (req->source != TASK_IRET)
		seg_mark_busy(cpu, d->gva, true);
}

static void load_ldt(struct cpu *cpu, uint16_t sel, unsigned int ext)
{
	struct seg_desc d;

	if (sel_null(sel))
		return;
	if (sel & SEL_TI || !seg_fetch(cpu, sel, &d) || !desc_system(d.lo) ||
	    desc_type(d.lo) != DESC_LDT || !desc_present(d.lo))
		cpu_raise_err(cpu, VEC_TS, sel_err(sel) | ext);
	seg_commit(cpu, SEG_LDT, sel, d.lo);
}

static void load_cs(struct cpu *cpu, uint16_t sel, unsigned int ext)
{
	unsigned int rpl = sel_rpl(sel), dpl;
	struct seg_desc d;

	if (sel_null(sel) || !seg_fetch(cpu, sel, &d) || !desc_code(d.lo))
		cpu_raise_err(cpu, VEC_TS, sel_err(sel) | ext);
	dpl = desc_dpl(d.lo);
	if (desc_conforming(d.lo) ? dpl > rpl : dpl != rpl)
		cpu_raise_err(cpu, VEC_TS, sel_err(sel) | ext);
	if (!desc_present(d.lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel) | ext);
	seg_mark_accessed(cpu, &d);
	seg_commit_cs(cpu, sel, d.lo, rpl);
}

static void load_data(struct cpu *cpu, enum cpu_seg seg, uint16_t sel,
		      unsigned int ext)
{
	struct seg_desc d;

	if (sel_null(sel))
		return;
	seg_check_data(cpu, sel, &d, VEC_TS, ext);
	seg_mark_accessed(cpu, &d);
	seg_commit(cpu, seg, sel, d.lo);
}

static void load_segments(struct cpu *cpu, const struct tss_image *t,
			  unsigned int ext)
{
	struct seg_desc ss;
	unsigned int k;

	load_ldt(cpu, t->ldt, ext);
	if (cpu_v8086(cpu)) {
		for (k = SEG_ES; k <= SEG_GS; k++)
			seg_commit_v8086(cpu, k, t->seg[k]);
		return;
	}
	load_cs(cpu, t->seg[SEG_CS], ext);
	seg_check_stack(cpu, t->seg[SEG_SS], &ss, cpu->cpl, VEC_TS, ext);
	seg_mark_accessed(cpu, &ss);
	seg_commit(cpu, SEG_SS, t->seg[SEG_SS], ss.lo);
	load_data(cpu, SEG_ES, t->seg[SEG_ES], ext);
	load_data(cpu, SEG_DS, t->seg[SEG_DS], ext);
	load_data(cpu, SEG_FS, t->seg[SEG_FS], ext);
	load_data(cpu, SEG_GS, t->seg[SEG_GS], ext);
}

/* Selectors first, without descriptors: faults now hit the new task. */
static void load_registers(struct cpu *cpu, const struct tss_image *t,
			   bool nested)
{
	uint64_t flags = t->flags;
	unsigned int k;

	if (nested)
		flags |= RFLAGS_NT;
	seg_set_rflags(cpu, flags);
	for (k = 0; k < 8; k++)
		cpu->gpr[k] = t->gpr[k];
	cpu->rip = t->rip;
	cpu->shadow = 0;
	cpu->dr7 &= ~DR7_LOCAL;
	cpu->mode_dirty = true;
	debug_no_step(cpu); /* TF was the old task's */
	cpu->cr0 |= CR0_TS;
	for (k = SEG_ES; k <= SEG_GS; k++)
		seg_commit_null(cpu, k, t->seg[k]);
	seg_commit_null(cpu, SEG_LDT, t->ldt);
	seg_set_cpl(cpu, flags & RFLAGS_VM ? 3 : sel_rpl(t->seg[SEG_CS]));
	seg_commit_null_ss(cpu, t->seg[SEG_SS], cpu->cpl);
	cpu->code_bits = 16;
}

static void push_error(struct cpu *cpu, const struct task_request *req,
		       bool wide)
{
	uint64_t err = req->error;
	struct stackref st;

	stackref_current(cpu, &st);
	st.err = req->ext;
	stackref_push(cpu, &st, &err, 1, wide ? 4 : 2);
	stackref_set_sp(cpu, st.mask, st.sp);
}

bool task_switch(struct cpu *cpu, const struct task_request *req)
{
	const struct segment *cs = &cpu->seg[SEG_CS];
	struct tss_image t;
	struct seg_desc d;

	cpu->mmlog = NULL; /* registers change on the way: no second run */
	check_request(cpu, req, &d);
	read_image(cpu, desc_base(d.lo), d.lo >> 40 & 8, &t);
	write_tables(cpu, req, &d);

	seg_commit(cpu, SEG_TR, req->sel, d.lo | DESC_BUSY);
	load_registers(cpu, &t,
		       req->source == TASK_CALL || req->source == TASK_GATE);
	if (t.wide && cpu_paging(cpu))
		crop_load_cr3(cpu, t.cr3);
	load_segments(cpu, &t, req->ext);
	if (cpu->rip > cs->limit)
		cpu_raise_err(cpu, VEC_GP, req->ext);
	if (req->has_error)
		push_error(cpu, req, t.wide);
	return t.trap;
}
