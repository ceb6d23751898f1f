/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector and x87 state: in the host's registers while a guest runs, in
 * cpu->xsave else. SDM 1 "Managing State Using the XSAVE Feature Set" (13).
 *
 * - The image has the host's standard format. PKRU is never the guest's in
 *   the host: it lives in the cpu and joins images for clients only.
 * - Instruction and data pointers of the x87 in a saved image would be host
 *   addresses: they read 0 unless the guest or the client loaded them and
 *   they are still the loaded ones. Selectors always read 0.
 */
#include "cpu/xstate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/tlb.h"
#include "lib/check.h"

#define EXT_OFFSET     576u
#define MXCSR_MASK_OLD 0xffbfu
#define IMAGE_MIN      4096u

/* ---- the layout ---- */

static struct xstate_layout layout;
static int layout_state; /* 0 unknown, 1 being made, 2 known */

static void layout_component(unsigned int i)
{
	uint32_t a = 0xd, b, c = i, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	layout.comp[i].size = a;
	layout.comp[i].offset = b;
	layout.comp[i].align = c & 2;
}

static void layout_place_pkru(uint32_t end)
{
	layout.mask |= XCR0_PKRU;
	if (cpuid_host()->max_leaf >= 0xd)
		layout_component(XF_PKRU);
	if (!layout.comp[XF_PKRU].size || !(cpuid_host()->xcr0 & XCR0_PKRU)) {
		layout.comp[XF_PKRU].size = 8;
		layout.comp[XF_PKRU].offset = ALIGN_UP(end, 8);
		layout.comp[XF_PKRU].align = false;
	}
}

static void layout_make(void)
{
	const struct cpuid_host *h = cpuid_host();
	uint32_t end = EXT_OFFSET;
	struct fxsave_area fx __attribute__((aligned(16)));
	unsigned int i;

	layout.xsave = cpuid_host_has(FEAT_XSAVE);
	layout.xsavec = layout.xsave && cpuid_host_has(FEAT_XSAVEC);
	layout.xinuse = layout.xsave && cpuid_host_has(FEAT_XGETBV1);
	layout.native = XCR0_X87 | XCR0_SSE;
	if (layout.xsave)
		layout.native |= h->xcr0 & (XCR0_AVX | XCR0_AVX512);
	layout.mask = layout.native;
	for (i = XF_AVX; i < XF_COUNT; i++) {
		if (!(layout.native >> i & 1))
			continue;
		layout_component(i);
		end = MAX(end, layout.comp[i].offset + layout.comp[i].size);
	}
	if (layout.xsave)
		layout_place_pkru(end);
	layout.size = xstate_size(layout.mask);
	__asm__ volatile("fxsave64 %0" : "=m"(fx));
	layout.mxcsr_mask = fx.mxcsr_mask ? fx.mxcsr_mask : MXCSR_MASK_OLD;
}

const struct xstate_layout *xstate_layout(void)
{
	int zero = 0;

	if (likely(__atomic_load_n(&layout_state, __ATOMIC_ACQUIRE) == 2))
		return &layout;
	if (__atomic_compare_exchange_n(&layout_state, &zero, 1, false,
					__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
		layout_make();
		__atomic_store_n(&layout_state, 2, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&layout_state, __ATOMIC_ACQUIRE) != 2)
		__builtin_ia32_pause();
	return &layout;
}

uint32_t xstate_size(uint64_t mask)
{
	uint32_t end = EXT_OFFSET;
	unsigned int i;

	for (i = XF_AVX; i < XF_COUNT; i++)
		if (mask >> i & 1)
			end = MAX(end,
				  layout.comp[i].offset + layout.comp[i].size);
	return end;
}

uint32_t xstate_compact_offset(uint64_t comps, unsigned int n)
{
	uint32_t off = EXT_OFFSET;
	unsigned int i;

	for (i = XF_AVX; i < n; i++)
		if (comps >> i & 1) {
			if (layout.comp[i].align)
				off = ALIGN_UP(off, 64);
			off += layout.comp[i].size;
		}
	if (n < XF_COUNT && layout.comp[n].align)
		off = ALIGN_UP(off, 64);
	return off;
}

uint32_t xstate_compact_size(uint64_t mask)
{
	return xstate_compact_offset(mask, XF_COUNT);
}

/* ---- the host's instructions ---- */

static void host_xsave(void *p, uint64_t mask)
{
	__asm__ volatile("xsave64 (%0)" ::"r"(p), "a"((uint32_t)mask),
			 "d"((uint32_t)(mask >> 32))
			 : "memory");
}

void xstate_host_load(const struct xsave_area *x, uint64_t mask)
{
	__asm__ volatile("xrstor64 (%0)" ::"r"(x), "a"((uint32_t)mask),
			 "d"((uint32_t)(mask >> 32))
			 : "memory");
}

static uint64_t read_xinuse(void)
{
	uint32_t a, d;

	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
	return a | (uint64_t)d << 32;
}

uint32_t xstate_host_mxcsr(void)
{
	uint32_t v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

void xstate_host_save(struct xsave_area *x)
{
	memset(&x->hdr, 0, sizeof(x->hdr));
	if (layout.xsave) {
		host_xsave(x, layout.native);
	} else {
		__asm__ volatile("fxsave64 (%0)" ::"r"(x) : "memory");
		x->hdr.xstate_bv = XCR0_X87 | XCR0_SSE;
	}
}

static void load_all(const struct xsave_area *x)
{
	if (layout.xsave)
		xstate_host_load(x, layout.native);
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(x) : "memory");
}

static void init_image(struct xsave_area *x, uint32_t size)
{
	memset(x, 0, size);
	x->fx.fcw = FCW_RESET;
	x->fx.mxcsr = MXCSR_RESET;
	x->fx.mxcsr_mask = layout.mxcsr_mask;
	if (!layout.xsave)
		x->hdr.xstate_bv = XCR0_X87 | XCR0_SSE;
}

void xstate_scrub(const struct cpu *cpu, struct fxsave_area *fx)
{
	if (fx->fip == cpu->fp_ip && fx->fdp == cpu->fp_dp)
		return;
	fx->fip = fx->fdp = 0;
	fx->fop = 0;
}

/* ---- engine_run()'s load and save ---- */

void xstate_load(struct cpu *cpu)
{
	ASSERT(!cpu->xstate_live);
	cpu->host_mxcsr = xstate_host_mxcsr();
	__asm__ volatile("fnstcw %0" : "=m"(cpu->host_fcw));
	load_all((struct xsave_area *)cpu->xsave);
	cpu->xstate_live = true;
}

void xstate_save(struct cpu *cpu)
{
	struct xsave_area *x = (struct xsave_area *)cpu->xsave;

	ASSERT(cpu->xstate_live);
	xstate_host_save(x);
	xstate_scrub(cpu, &x->fx);
	/* no pending exception, no full x87 stack, no slow upper halves */
	if (x->hdr.xstate_bv & XCR0_X87)
		__asm__ volatile("fninit");
	if (layout.native & XCR0_AVX)
		__asm__ volatile("vzeroupper");
	__asm__ volatile("ldmxcsr %0" ::"m"(cpu->host_mxcsr));
	if (cpu->host_fcw != FCW_RESET)
		__asm__ volatile("fldcw %0" ::"m"(cpu->host_fcw));
	cpu->xstate_live = false;
}

uint64_t xstate_host_inuse(struct cpu *cpu)
{
	struct xsave_area *x = (struct xsave_area *)cpu->xbounce;

	if (layout.xinuse)
		return read_xinuse() & layout.native;
	xstate_host_save(x);
	return x->hdr.xstate_bv;
}

uint64_t xstate_inuse(struct cpu *cpu)
{
	uint64_t v = xstate_host_inuse(cpu);

	if (cpu->pkru)
		v |= XCR0_PKRU;
	return v & cpu->xcr0;
}

/* ---- images of clients ---- */

uint32_t xstate_image_size(const struct cpu *cpu)
{
	return MAX(xstate_size(layout.mask), IMAGE_MIN);
}

static struct xsave_area *image(const struct cpu *cpu)
{
	ASSERT(!cpu->xstate_live);
	return (struct xsave_area *)cpu->xsave;
}

void xstate_get(const struct cpu *cpu, void *buf, uint32_t size)
{
	uint32_t n = MIN(size, xstate_size(layout.native));
	struct xsave_area *x = buf;

	memcpy(buf, image(cpu), n);
	memset((uint8_t *)buf + n, 0, size - n);
	if (cpu->pkru) {
		x->hdr.xstate_bv |= XCR0_PKRU;
		memcpy((uint8_t *)buf + layout.comp[XF_PKRU].offset, &cpu->pkru,
		       4);
	}
}

static bool image_valid(const struct cpu *cpu, const struct xsave_area *x)
{
	uint64_t allowed = layout.mask | XCR0_X87 | XCR0_SSE;
	unsigned int i;

	if (x->hdr.xstate_bv & ~allowed || x->hdr.xcomp_bv)
		return false;
	for (i = 0; i < ARRAY_SIZE(x->hdr.reserved); i++)
		if (x->hdr.reserved[i])
			return false;
	if (!(x->hdr.xstate_bv & (XCR0_SSE | XCR0_AVX)))
		return true;
	return !(x->fx.mxcsr & ~layout.mxcsr_mask);
}

/* What is not in use reads as its initial value, whatever was sent there. */
static void image_settle(struct xsave_area *x)
{
	uint64_t bv = x->hdr.xstate_bv;
	unsigned int i;

	if (!(bv & XCR0_X87)) {
		memset(&x->fx, 0, offsetof(struct fxsave_area, mxcsr));
		memset(x->fx.st, 0, sizeof(x->fx.st));
		x->fx.fcw = FCW_RESET;
	}
	if (!(bv & (XCR0_SSE | XCR0_AVX)))
		x->fx.mxcsr = MXCSR_RESET;
	if (!(bv & XCR0_SSE))
		memset(x->fx.xmm, 0, sizeof(x->fx.xmm));
	for (i = XF_AVX; i < XF_PKRU; i++)
		if (layout.native >> i & 1 && !(bv >> i & 1))
			memset((uint8_t *)x + layout.comp[i].offset, 0,
			       layout.comp[i].size);
	x->fx.mxcsr_mask = layout.mxcsr_mask;
}

int xstate_set(struct cpu *cpu, const void *buf, uint32_t size)
{
	const struct xsave_area *in = buf;
	struct xsave_area *x = image(cpu);
	uint32_t pkru = 0;

	if (size < xstate_size(in->hdr.xstate_bv) || !image_valid(cpu, in))
		return -EINVAL;
	memcpy(x, in, MIN(size, xstate_size(layout.native)));
	if (in->hdr.xstate_bv & XCR0_PKRU)
		memcpy(&pkru, (uint8_t *)buf + layout.comp[XF_PKRU].offset, 4);
	x->hdr.xstate_bv &= layout.native;
	image_settle(x);
	cpu->fp_ip = x->fx.fip;
	cpu->fp_dp = x->fx.fdp;
	xstate_set_pkru(cpu, pkru);
	return 0;
}

void xstate_get_fpu(const struct cpu *cpu, struct fpu_image *out)
{
	const struct fxsave_area *fx = &image(cpu)->fx;

	memset(out, 0, sizeof(*out));
	memcpy(out->st, fx->st, sizeof(out->st));
	memcpy(out->xmm, fx->xmm, sizeof(out->xmm));
	out->fcw = fx->fcw;
	out->fsw = fx->fsw;
	out->ftw = fx->ftw;
	out->fop = fx->fop;
	out->fip = fx->fip;
	out->fdp = fx->fdp;
	out->mxcsr = fx->mxcsr;
}

/* MXCSR stays what it is, as KVM has it. */
void xstate_set_fpu(struct cpu *cpu, const struct fpu_image *in)
{
	struct xsave_area *x = image(cpu);

	memcpy(x->fx.st, in->st, sizeof(in->st));
	memcpy(x->fx.xmm, in->xmm, sizeof(in->xmm));
	x->fx.fcw = in->fcw;
	x->fx.fsw = in->fsw;
	x->fx.ftw = in->ftw;
	x->fx.fop = in->fop;
	x->fx.fip = cpu->fp_ip = in->fip;
	x->fx.fdp = cpu->fp_dp = in->fdp;
	x->hdr.xstate_bv |= XCR0_X87 | XCR0_SSE;
}

void xstate_set_pkru(struct cpu *cpu, uint32_t pkru)
{
	if (cpu->pkru == pkru)
		return;
	cpu->pkru = pkru;
	tlb_flush_rights(cpu);
}

/* ---- life ---- */

void xstate_reset(struct cpu *cpu)
{
	init_image(image(cpu), cpu->xsave_size);
	cpu->fp_ip = cpu->fp_dp = 0;
	xstate_set_pkru(cpu, 0);
}

int xstate_init(struct cpu *cpu)
{
	cpu->xsave_size = ALIGN_UP(MAX(xstate_layout()->size, IMAGE_MIN), 64);
	cpu->xsave = aligned_alloc(64, cpu->xsave_size);
	cpu->xbounce = aligned_alloc(64, cpu->xsave_size);
	if (!cpu->xsave || !cpu->xbounce) {
		xstate_fini(cpu);
		return -ENOMEM;
	}
	init_image((struct xsave_area *)cpu->xsave, cpu->xsave_size);
	init_image((struct xsave_area *)cpu->xbounce, cpu->xsave_size);
	return 0;
}

void xstate_fini(struct cpu *cpu)
{
	free(cpu->xsave);
	free(cpu->xbounce);
	cpu->xsave = cpu->xbounce = NULL;
}
