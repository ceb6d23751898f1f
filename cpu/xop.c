/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's FXSAVE and XSAVE instructions, carried out by the host's own on
 * guest memory or on a bounce buffer. SDM 1 "Managing State Using the XSAVE
 * Feature Set" (13), SDM 2 for each instruction, APM 4 and 5 where AMD
 * differs.
 *
 * - A restore always goes through the bounce buffer, since what is checked
 *   there must not change before the host's instruction reads it.
 * - XSAVEOPT saves everything asked for: the host tracks modifications by
 *   host address, which is not the guest's.
 * - XSAVES and XRSTORS have no supervisor component to serve: IA32_XSS is 0.
 * - x87 code and data selectors read 0 and are not restored.
 */
#include "cpu/xstate.h"

#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/insn.h"
#include "cpu/mem.h"
#include "cpu/tlb.h"
#include "x86/regs.h"

#define FX_SIZE     512u
#define FX_X87_SIZE 24u /* control words and pointers */
#define FX_MXCSR    24u
#define FX_ST       32u
#define FX_XMM      160u
#define FX_END      416u /* of what the processor writes */
#define HDR_OFFSET  512u
#define EXT_OFFSET  576u

/* ---- checks ---- */

static void need_fpu(struct cpu *cpu, uint64_t cr0_bits)
{
	if (cpu->cr0 & cr0_bits)
		cpu_raise(cpu, VEC_NM);
}

static void need_xsave(struct cpu *cpu, bool ring0)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		cpu_raise(cpu, VEC_UD);
	if (ring0 && cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, 0);
	need_fpu(cpu, CR0_TS);
}

static void need_feature(struct cpu *cpu, enum feature f)
{
	if (!cpu_has(cpu, f))
		cpu_raise(cpu, VEC_UD);
}

static void need(struct cpu *cpu, bool ok)
{
	if (!ok)
		cpu_raise_err(cpu, VEC_GP, 0);
}

static uint64_t requested(const struct cpu *cpu)
{
	uint64_t mask = (uint32_t)cpu->gpr[REG_RAX] |
			(uint64_t)(uint32_t)cpu->gpr[REG_RDX] << 32;

	return mask & cpu->xcr0;
}

static bool long_code(const struct cpu *cpu)
{
	return cpu->code_bits == 64;
}

/* Outside 64-bit mode only registers 0 to 7 exist. */
static uint32_t part_size(const struct cpu *cpu, unsigned int i)
{
	if (long_code(cpu))
		return xstate_layout()->comp[i].size;
	switch (i) {
	case XF_AVX: return 128;
	case XF_ZMM_HI256: return 256;
	case XF_HI16_ZMM: return 0;
	default: return xstate_layout()->comp[i].size;
	}
}

static uint32_t xmm_size(const struct cpu *cpu)
{
	return long_code(cpu) ? 256 : 128;
}

/* ---- the operand: one or two pages of guest memory ---- */

struct area {
	struct cpu *cpu;
	gva_t gva;
	unsigned int kind;
	uint32_t split;  /* bytes in the first page */
	uint8_t *hva[2]; /* NULL: not RAM, use mem_* */
};

/* Alignment is checked on the linear address. */
static gva_t area_linear(struct cpu *cpu, const struct insn *i, uint32_t size,
			 uint32_t align, unsigned int kind)
{
	gva_t gva = insn_linear(cpu, i, 0, size, kind);

	need(cpu, !(gva & (align - 1)));
	return gva;
}

/* After this no access to the area faults. */
static void area_open(struct area *a, struct cpu *cpu, gva_t gva, uint32_t size,
		      unsigned int kind)
{
	unsigned int acc = mem_acc(cpu, kind);
	uint32_t room = 4096 - (gva & 4095);
	gpa_t gpa;

	a->cpu = cpu;
	a->gva = gva;
	a->kind = kind;
	a->split = MIN(room, size);
	if (size > room)
		mem_check(cpu, gva, size, acc);
	a->hva[0] = mem_hva(cpu, gva, a->split, acc, &gpa);
	a->hva[1] = a->hva[0];
	if (size > room)
		a->hva[1] = mem_hva(cpu, gva + room, size - room, acc, &gpa);
	if (!a->hva[0] || !a->hva[1]) {
		a->hva[0] = NULL;
		mem_check(cpu, gva, size, acc);
	}
}

static void copy(struct area *a, uint8_t *hva, uint8_t *p, uint32_t n)
{
	if (a->kind == ACC_WRITE) {
		/* where both pages hold code only the second was announced */
		tlb_before_write(a->cpu, hva, n);
		memcpy(hva, p, n);
	} else {
		memcpy(p, hva, n);
	}
}

static void transfer(struct area *a, uint32_t off, void *p, uint32_t n)
{
	uint8_t *b = p;
	uint32_t first = off < a->split ? MIN(n, a->split - off) : 0;

	if (!n)
		return;
	if (!a->hva[0]) {
		unsigned int acc = mem_acc(a->cpu, a->kind);

		if (a->kind == ACC_WRITE)
			mem_write_buf(a->cpu, a->gva + off, p, n, acc);
		else
			mem_read_buf(a->cpu, a->gva + off, p, n, acc);
		return;
	}
	if (first)
		copy(a, a->hva[0] + off, b, first);
	if (n > first)
		copy(a, a->hva[1] + (off + first - a->split), b + first,
		     n - first);
}

/* ---- saving ---- */

struct save {
	struct cpu *cpu;
	struct area a;
	uint64_t rfbm;
	bool compact; /* XSAVEC, XSAVES */
	bool w64;     /* 64-bit x87 pointers */
};

static uint32_t save_offset(const struct save *s, unsigned int i)
{
	return s->compact ? xstate_compact_offset(s->rfbm, i)
			  : xstate_layout()->comp[i].offset;
}

static void put(struct save *s, uint32_t off, const void *p, uint32_t n)
{
	transfer(&s->a, off, (void *)p, n);
}

/* Legacy region and components of the bounce image, those in @which. */
static void save_parts(struct save *s, const struct xsave_area *x,
		       uint64_t which)
{
	const uint8_t *b = (const uint8_t *)x;
	uint64_t mxcsr = s->compact ? which & XCR0_SSE
				    : s->rfbm & (XCR0_SSE | XCR0_AVX);
	unsigned int i;

	if (which & XCR0_X87) {
		put(s, 0, x, FX_X87_SIZE);
		put(s, FX_ST, b + FX_ST, 128);
	}
	if (which & XCR0_SSE)
		put(s, FX_XMM, b + FX_XMM, xmm_size(s->cpu));
	if (mxcsr)
		put(s, FX_MXCSR, b + FX_MXCSR, 8);
	for (i = XF_AVX; i < XF_PKRU; i++)
		if (which >> i & 1)
			put(s, save_offset(s, i),
			    b + xstate_layout()->comp[i].offset,
			    part_size(s->cpu, i));
}

static void save_pkru(struct save *s)
{
	uint64_t pkru = s->cpu->pkru;

	if (s->rfbm & XCR0_PKRU && (pkru || !s->compact))
		put(s, save_offset(s, XF_PKRU), &pkru, 8);
}

static void save_header(struct save *s, uint64_t inuse)
{
	uint64_t hdr[2] = {inuse, s->rfbm | XSAVE_COMPACT};
	uint64_t old;

	if (s->compact) {
		put(s, HDR_OFFSET, hdr, 16);
		return;
	}
	old = mem_read(s->cpu, s->a.gva + HDR_OFFSET, 8,
		       mem_acc(s->cpu, ACC_READ));
	hdr[0] |= old & ~s->rfbm;
	put(s, HDR_OFFSET, hdr, 8);
}

/* 32-bit form: pointers are cut and selectors read 0. */
static void narrow_pointers(struct fxsave_area *fx)
{
	fx->fip = (uint32_t)fx->fip;
	fx->fdp = (uint32_t)fx->fdp;
}

static void save_bounced(struct save *s)
{
	struct cpu *cpu = s->cpu;
	struct xsave_area *x = (struct xsave_area *)cpu->xbounce;
	uint64_t inuse;

	xstate_host_save(x);
	xstate_scrub(cpu, &x->fx);
	if (!s->w64)
		narrow_pointers(&x->fx);
	inuse = x->hdr.xstate_bv & s->rfbm & xstate_layout()->native;
	if (s->compact && s->rfbm & XCR0_SSE && x->fx.mxcsr != MXCSR_RESET)
		inuse |= XCR0_SSE;
	save_parts(s, x, s->compact ? inuse : s->rfbm);
	save_pkru(s);
	if (cpu->pkru)
		inuse |= s->rfbm & XCR0_PKRU;
	save_header(s, inuse);
}

static void host_xsave(struct xsave_area *x, uint64_t mask, bool compact)
{
	uint32_t lo = mask, hi = mask >> 32;

	if (compact)
		__asm__ volatile("xsavec64 (%0)" ::"r"(x), "a"(lo), "d"(hi)
				 : "memory");
	else
		__asm__ volatile("xsave64 (%0)" ::"r"(x), "a"(lo), "d"(hi)
				 : "memory");
}

/*
 * The host's instruction right on the guest's buffer. Only when its result
 * is the guest's: all registers visible, x87 pointers not among it.
 */
static bool save_direct(struct save *s, uint32_t size)
{
	const struct xstate_layout *l = xstate_layout();
	struct xsave_area *x = (struct xsave_area *)s->a.hva[0];
	uint64_t pkru = s->cpu->pkru;

	if (!x || s->a.split < size || !long_code(s->cpu) ||
	    (s->compact && !l->xsavec))
		return false;
	if (s->rfbm & XCR0_X87 &&
	    (!l->xinuse || xstate_host_inuse(s->cpu) & XCR0_X87))
		return false;
	host_xsave(x, s->rfbm & l->native, s->compact);
	if (s->rfbm & XCR0_PKRU) {
		if (s->compact)
			x->hdr.xcomp_bv |= XCR0_PKRU;
		x->hdr.xstate_bv &= ~XCR0_PKRU;
		x->hdr.xstate_bv |= pkru ? XCR0_PKRU : 0;
		save_pkru(s);
	}
	return true;
}

static int save(struct cpu *cpu, const struct insn *i, bool compact)
{
	struct save s = {
		.cpu = cpu,
		.rfbm = requested(cpu),
		.compact = compact,
		.w64 = i->opsize == 8,
	};
	uint32_t size = compact ? xstate_compact_size(s.rfbm)
				: xstate_size(s.rfbm);
	gva_t gva = area_linear(cpu, i, size, 64, ACC_WRITE);

	area_open(&s.a, cpu, gva, size, ACC_WRITE);
	if (!save_direct(&s, size))
		save_bounced(&s);
	return EXEC_NEXT;
}

int exec_xsave(struct cpu *cpu, const struct insn *i)
{
	need_feature(cpu, FEAT_XSAVE);
	need_xsave(cpu, false);
	return save(cpu, i, false);
}

int exec_xsaveopt(struct cpu *cpu, const struct insn *i)
{
	need_feature(cpu, FEAT_XSAVEOPT);
	need_xsave(cpu, false);
	return save(cpu, i, false);
}

int exec_xsavec(struct cpu *cpu, const struct insn *i)
{
	need_feature(cpu, FEAT_XSAVEC);
	need_xsave(cpu, false);
	return save(cpu, i, true);
}

int exec_xsaves(struct cpu *cpu, const struct insn *i)
{
	need_feature(cpu, FEAT_XSAVES);
	need_xsave(cpu, true);
	return save(cpu, i, true);
}

/* ---- restoring ---- */

struct restore {
	struct cpu *cpu;
	struct area a;
	uint64_t rfbm;
	struct xsave_header hdr; /* the guest's */
	bool compact;
	bool w64;
};

static void get(struct restore *r, uint32_t off, void *p, uint32_t n)
{
	transfer(&r->a, off, p, n);
}

static bool header_valid(const struct restore *r, bool must_compact)
{
	const struct xsave_header *h = &r->hdr;
	uint64_t comps = h->xcomp_bv & ~XSAVE_COMPACT;
	unsigned int i;

	if (!r->compact) {
		if (must_compact || h->xcomp_bv || h->reserved[0])
			return false;
		return !(h->xstate_bv & ~r->cpu->xcr0);
	}
	if (comps & ~r->cpu->xcr0 || h->xstate_bv & ~comps)
		return false;
	for (i = 0; i < ARRAY_SIZE(h->reserved); i++)
		if (h->reserved[i])
			return false;
	return cpu_has(r->cpu, FEAT_XSAVEC);
}

static uint32_t image_offset(const struct restore *r, unsigned int i)
{
	return r->compact ? xstate_compact_offset(r->hdr.xcomp_bv, i)
			  : xstate_layout()->comp[i].offset;
}

/*
 * MXCSR: the standard format loads it whenever SSE or AVX is asked for, the
 * compacted one with the SSE component only.
 */
static void restore_mxcsr(struct restore *r, struct xsave_area *x)
{
	uint32_t mxcsr = xstate_host_mxcsr();
	bool sse = r->rfbm & XCR0_SSE;

	if (r->compact && sse && !(r->hdr.xstate_bv & XCR0_SSE))
		mxcsr = MXCSR_RESET;
	else if (sse || (!r->compact && r->rfbm & XCR0_AVX))
		get(r, FX_MXCSR, &mxcsr, 4);
	need(r->cpu, !(mxcsr & ~xstate_layout()->mxcsr_mask));
	x->fx.mxcsr = mxcsr;
}

/* Copy component @i to where the bounce image has it, or its initial value. */
static void restore_part(struct restore *r, struct xsave_area *x,
			 unsigned int i, bool present)
{
	uint8_t *to = (uint8_t *)x + xstate_layout()->comp[i].offset;

	if (present)
		get(r, image_offset(r, i), to, part_size(r->cpu, i));
	else
		memset(to, 0, part_size(r->cpu, i));
}

static void restore_x87(struct restore *r, struct xsave_area *x)
{
	get(r, 0, &x->fx, FX_X87_SIZE);
	get(r, FX_ST, x->fx.st, 128);
	if (!r->w64)
		narrow_pointers(&x->fx);
}

/*
 * Fill the bounce image and return the components that take a value from it;
 * others of RFBM become initial. Outside 64-bit mode the registers that the
 * guest cannot see keep theirs, so everything asked for comes from the image.
 */
static uint64_t restore_parts(struct restore *r, struct xsave_area *x)
{
	uint64_t native = r->rfbm & xstate_layout()->native;
	uint64_t present = r->hdr.xstate_bv & native;
	bool whole = long_code(r->cpu);
	unsigned int i;

	if (!whole)
		xstate_host_save(x);
	restore_mxcsr(r, x);
	if (present & XCR0_X87)
		restore_x87(r, x);
	if (present & XCR0_SSE)
		get(r, FX_XMM, x->fx.xmm, xmm_size(r->cpu));
	else if (!whole && native & XCR0_SSE)
		memset(x->fx.xmm, 0, xmm_size(r->cpu));
	for (i = XF_AVX; i < XF_PKRU; i++)
		if (present >> i & 1 || (!whole && native >> i & 1))
			restore_part(r, x, i, present >> i & 1);
	return whole ? present : present | (native & ~XCR0_X87);
}

static uint32_t image_pkru(struct restore *r)
{
	uint32_t pkru = 0;

	if (r->hdr.xstate_bv & XCR0_PKRU)
		get(r, image_offset(r, XF_PKRU), &pkru, 4);
	return pkru;
}

static void restore_commit(struct restore *r, struct xsave_area *x,
			   uint64_t present)
{
	struct cpu *cpu = r->cpu;

	memset(&x->hdr, 0, sizeof(x->hdr));
	x->hdr.xstate_bv = present;
	if (r->rfbm & XCR0_X87) {
		cpu->fp_ip = present & XCR0_X87 ? x->fx.fip : 0;
		cpu->fp_dp = present & XCR0_X87 ? x->fx.fdp : 0;
	}
	xstate_host_load(x, r->rfbm & xstate_layout()->native);
	if (r->rfbm & XCR0_PKRU)
		xstate_set_pkru(cpu, image_pkru(r));
}

static int restore(struct cpu *cpu, const struct insn *i, bool must_compact)
{
	struct xsave_area *x = (struct xsave_area *)cpu->xbounce;
	struct restore r = {
		.cpu = cpu,
		.rfbm = requested(cpu),
		.w64 = i->opsize == 8,
	};
	gva_t gva = area_linear(cpu, i, EXT_OFFSET, 64, ACC_READ);
	uint32_t size;

	mem_read_buf(cpu, gva + HDR_OFFSET, &r.hdr, sizeof(r.hdr),
		     mem_acc(cpu, ACC_READ));
	r.compact = r.hdr.xcomp_bv & XSAVE_COMPACT;
	need(cpu, header_valid(&r, must_compact));
	size = r.compact ? xstate_compact_size(r.hdr.xcomp_bv)
			 : xstate_size(r.rfbm & r.hdr.xstate_bv);
	area_linear(cpu, i, size, 64, ACC_READ);
	area_open(&r.a, cpu, gva, size, ACC_READ);
	restore_commit(&r, x, restore_parts(&r, x));
	return EXEC_NEXT;
}

int exec_xrstor(struct cpu *cpu, const struct insn *i)
{
	need_feature(cpu, FEAT_XSAVE);
	need_xsave(cpu, false);
	return restore(cpu, i, false);
}

int exec_xrstors(struct cpu *cpu, const struct insn *i)
{
	need_feature(cpu, FEAT_XSAVES);
	need_xsave(cpu, true);
	return restore(cpu, i, true);
}

/* ---- FXSAVE, FXRSTOR ---- */

/* AMD's fast form: ring 0 of 64-bit mode leaves the XMM registers out. */
static uint32_t fx_xmm_size(const struct cpu *cpu)
{
	if (cpu->efer & EFER_FFXSR && !cpu->cpl && long_code(cpu))
		return 0;
	return xmm_size(cpu);
}

static void host_fxsave(struct fxsave_area *fx)
{
	__asm__ volatile("fxsave64 (%0)" ::"r"(fx) : "memory");
}

int exec_fxsave(struct cpu *cpu, const struct insn *i)
{
	struct fxsave_area *fx = (struct fxsave_area *)cpu->xbounce;
	struct area a;
	gva_t gva;

	need_fpu(cpu, CR0_EM | CR0_TS);
	gva = area_linear(cpu, i, FX_SIZE, 16, ACC_WRITE);
	area_open(&a, cpu, gva, FX_SIZE, ACC_WRITE);
	host_fxsave(fx);
	xstate_scrub(cpu, fx);
	if (i->opsize != 8)
		narrow_pointers(fx);
	transfer(&a, 0, fx, FX_XMM + fx_xmm_size(cpu));
	return EXEC_NEXT;
}

int exec_fxrstor(struct cpu *cpu, const struct insn *i)
{
	struct fxsave_area *fx = (struct fxsave_area *)cpu->xbounce;
	uint32_t size = FX_XMM + fx_xmm_size(cpu);
	struct area a;
	gva_t gva;

	need_fpu(cpu, CR0_EM | CR0_TS);
	gva = area_linear(cpu, i, FX_SIZE, 16, ACC_READ);
	area_open(&a, cpu, gva, FX_SIZE, ACC_READ);
	if (size < FX_END)
		host_fxsave(fx);
	transfer(&a, 0, fx, size);
	need(cpu, !(fx->mxcsr & ~xstate_layout()->mxcsr_mask));
	if (i->opsize != 8)
		narrow_pointers(fx);
	cpu->fp_ip = fx->fip;
	cpu->fp_dp = fx->fdp;
	__asm__ volatile("fxrstor64 (%0)" ::"r"(fx) : "memory");
	return EXEC_NEXT;
}
