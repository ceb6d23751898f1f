/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables and segment registers. SDM 3A "Segment Descriptors"
 * (3.4.5), "Privilege Level Checking When Accessing Data Segments" (5.6);
 * APM 2 "Segment-Register Loads"; real mode keeps limit and attributes, as
 * every processor since the 80386 does ("big real mode").
 */
#include "cpu/seg.h"
#include "cpu/cpuid.h"

static bool table_lookup(struct cpu *cpu, uint16_t sel, unsigned int size,
			 gva_t *gva)
{
	const struct segment *ldt = &cpu->seg[SEG_LDT];
	unsigned int off = sel & 0xfff8;

	if (sel & SEL_TI) {
		if (ldt->attr & SEG_ATTR_UNUSABLE || !(ldt->attr & SEG_ATTR_P))
			return false;
		*gva = ldt->base + off;
		if (off + size - 1 > ldt->limit)
			return false;
	} else {
		*gva = cpu->gdt.base + off;
		if (off + size - 1 > cpu->gdt.limit)
			return false;
	}
	if (!cpu_long_mode(cpu))
		*gva = (uint32_t)*gva;
	return true;
}

bool seg_fetch(struct cpu *cpu, uint16_t sel, struct seg_desc *d)
{
	if (unlikely(!table_lookup(cpu, sel, 8, &d->gva)))
		return false;
	d->lo = seg_sys_read8(cpu, d->gva);
	d->hi = 0;
	return true;
}

bool seg_fetch_hi(struct cpu *cpu, uint16_t sel, struct seg_desc *d)
{
	if (!table_lookup(cpu, sel, 16, &d->gva))
		return false;
	d->hi = seg_sys_read8(cpu, d->gva + 8);
	return !(d->hi >> 40 & 0x1f);
}

/* Other processors may change the same byte: one locked operation. */
static void mark_byte(struct cpu *cpu, gva_t gva, uint8_t set, uint8_t clear)
{
	const unsigned int acc = ACC_WRITE | ACC_SYSTEM;
	gpa_t gpa;
	uint8_t *p = mem_hva(cpu, gva, 1, acc, &gpa);
	uint8_t b;

	if (p && set) {
		__atomic_fetch_or(p, set, __ATOMIC_SEQ_CST);
	} else if (p) {
		__atomic_fetch_and(p, ~clear, __ATOMIC_SEQ_CST);
	} else {
		b = mem_read(cpu, gva, 1, ACC_READ | ACC_SYSTEM);
		mem_write(cpu, gva, 1, (b & ~clear) | set, acc);
	}
}

void seg_mark_accessed(struct cpu *cpu, struct seg_desc *d)
{
	if (likely(d->lo & DESC_ACCESSED))
		return;
	mark_byte(cpu, d->gva + 5, 1, 0);
	d->lo |= DESC_ACCESSED;
}

void seg_mark_busy(struct cpu *cpu, gva_t gva, bool busy)
{
	mark_byte(cpu, gva + 5, busy ? 2 : 0, busy ? 0 : 2);
}

void seg_check_data(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
		    uint8_t vec, unsigned int ext)
{
	unsigned int dpl;

	if (!seg_fetch(cpu, sel, d) || !desc_readable(d->lo))
		cpu_raise_err(cpu, vec, sel_err(sel) | ext);
	dpl = desc_dpl(d->lo);
	if (!desc_conforming(d->lo) && (dpl < cpu->cpl || dpl < sel_rpl(sel)))
		cpu_raise_err(cpu, vec, sel_err(sel) | ext);
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel) | ext);
}

void seg_check_stack(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
		     unsigned int cpl, uint8_t vec, unsigned int ext)
{
	if (sel_null(sel) || !seg_fetch(cpu, sel, d) || sel_rpl(sel) != cpl ||
	    desc_dpl(d->lo) != cpl || !desc_writable(d->lo))
		cpu_raise_err(cpu, vec, sel_err(sel) | ext);
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_SS, sel_err(sel) | ext);
}

void seg_commit(struct cpu *cpu, enum cpu_seg seg, uint16_t sel, uint64_t lo)
{
	struct segment *s = &cpu->seg[seg];

	s->base = desc_base(lo);
	s->limit = desc_limit(lo);
	s->attr = desc_attr(lo);
	s->sel = sel;
	cpu_segment_derive(cpu, seg);
	cpu->mode_dirty = true;
}

void seg_commit_cs(struct cpu *cpu, uint16_t sel, uint64_t lo, unsigned int cpl)
{
	struct segment *s = &cpu->seg[SEG_CS];

	s->base = desc_base(lo);
	s->limit = desc_limit(lo);
	s->attr = desc_attr(lo);
	s->sel = (sel & ~SEL_RPL) | cpl;
	if (cpu_long_mode(cpu) && lo & DESC_L) {
		s->base = 0;
		cpu->code_bits = 64;
	} else {
		cpu->code_bits = s->attr & SEG_ATTR_DB ? 32 : 16;
	}
	cpu_segment_derive(cpu, SEG_CS);
	if (cpl != cpu->cpl)
		seg_set_cpl(cpu, cpl);
	cpu->mode_dirty = true;
}

void seg_commit_null(struct cpu *cpu, enum cpu_seg seg, uint16_t sel)
{
	struct segment *s = &cpu->seg[seg];

	if (!cpu->vendor_amd || cpu_has(cpu, FEAT_NULL_SEL_BASE)) {
		s->base = 0;
		s->limit = 0;
	}
	s->attr = SEG_ATTR_UNUSABLE;
	s->sel = sel;
	s->lim_r = s->lim_w = 0;
	cpu->mode_dirty = true;
}

/* The CPL is derived from SS.DPL, so a null SS has one. */
void seg_commit_null_ss(struct cpu *cpu, uint16_t sel, unsigned int cpl)
{
	seg_commit_null(cpu, SEG_SS, sel);
	cpu->seg[SEG_SS].attr |= cpl << 5;
}

void seg_commit_real(struct cpu *cpu, enum cpu_seg seg, uint16_t sel)
{
	struct segment *s = &cpu->seg[seg];

	s->base = (uint32_t)sel << 4;
	s->sel = sel;
	if (s->attr & SEG_ATTR_UNUSABLE) {
		s->attr = SEG_ATTR_DATA16;
		s->limit = 0xffff;
	}
	cpu_segment_derive(cpu, seg);
	cpu->mode_dirty = true;
}

void seg_commit_v8086(struct cpu *cpu, enum cpu_seg seg, uint16_t sel)
{
	struct segment *s = &cpu->seg[seg];

	s->base = (uint32_t)sel << 4;
	s->sel = sel;
	s->limit = 0xffff;
	s->attr = SEG_ATTR_V8086;
	cpu_segment_derive(cpu, seg);
	cpu->mode_dirty = true;
}

void seg_commit_flat(struct cpu *cpu, enum cpu_seg seg, uint16_t sel,
		     uint16_t attr)
{
	struct segment *s = &cpu->seg[seg];

	s->base = 0;
	s->limit = 0xffffffff;
	s->lim_r = BIT64(32);
	s->lim_w = attr & 8 ? 0 : BIT64(32);
	s->attr = attr;
	s->sel = sel;
	cpu->mode_dirty = true;
}

static void load_ss(struct cpu *cpu, uint16_t sel)
{
	struct seg_desc d;

	if (sel_null(sel) && cpu->code_bits == 64 && cpu->cpl != 3 &&
	    sel_rpl(sel) == cpu->cpl) {
		seg_commit_null_ss(cpu, sel, cpu->cpl);
		return;
	}
	seg_check_stack(cpu, sel, &d, cpu->cpl, VEC_GP, 0);
	seg_mark_accessed(cpu, &d);
	seg_commit(cpu, SEG_SS, sel, d.lo);
}

void seg_load(struct cpu *cpu, enum cpu_seg seg, uint16_t sel)
{
	struct seg_desc d;

	if (!cpu_protected(cpu)) {
		seg_commit_real(cpu, seg, sel);
	} else if (cpu_v8086(cpu)) {
		seg_commit_v8086(cpu, seg, sel);
	} else if (seg == SEG_SS) {
		load_ss(cpu, sel);
	} else if (sel_null(sel)) {
		seg_commit_null(cpu, seg, sel);
	} else {
		seg_check_data(cpu, sel, &d, VEC_GP, 0);
		seg_mark_accessed(cpu, &d);
		seg_commit(cpu, seg, sel, d.lo);
	}
}

void seg_drop_inner(struct cpu *cpu, unsigned int cpl)
{
	static const uint8_t segs[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		const struct segment *s = &cpu->seg[segs[i]];

		if (s->attr & SEG_ATTR_UNUSABLE || seg_dpl(s) >= cpl)
			continue;
		if ((s->attr & 0x1c) == 0x1c)
			continue; /* conforming code */
		seg_commit_null(cpu, segs[i], 0);
	}
}

void seg_tss_stack(struct cpu *cpu, unsigned int cpl, unsigned int ext,
		   uint16_t *ss, uint32_t *sp)
{
	const struct segment *tr = &cpu->seg[SEG_TR];
	bool wide = tr->attr & 8;
	unsigned int size = wide ? 4 : 2;
	unsigned int off = wide ? TSS32_ESP0 + cpl * 8 : TSS16_SP0 + cpl * 4;
	const unsigned int acc = ACC_READ | ACC_SYSTEM;

	if (off + size + 1 > tr->limit)
		cpu_raise_err(cpu, VEC_TS, sel_err(tr->sel) | ext);
	*sp = mem_read(cpu, (uint32_t)(tr->base + off), size, acc);
	*ss = mem_read(cpu, (uint32_t)(tr->base + off + size), 2, acc);
}

uint64_t seg_tss_rsp(struct cpu *cpu, unsigned int offset, unsigned int ext)
{
	const struct segment *tr = &cpu->seg[SEG_TR];
	uint64_t rsp;

	if (offset + 7 > tr->limit)
		cpu_raise_err(cpu, VEC_TS, sel_err(tr->sel) | ext);
	rsp = seg_sys_read8(cpu, tr->base + offset);
	if (!seg_canonical(cpu, rsp))
		cpu_raise_err(cpu, VEC_SS, ext);
	return rsp;
}
