/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the XSAVE family against silicon: the same state, the same
 * mask, the host's own instruction on a plain buffer beside ours on guest
 * memory; every mask, in one page and across two, in and out of 64-bit mode.
 * Built with general registers only: guest state is live in most of it.
 */
#include "cpu/xstate.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "cpu/crop.h"
#include "cpu/fake.h"
#include "cpu/insn.h"
#include "cpu/reset.h"

#define GVA      0x100000ULL /* 4 pages, mapped to scattered RAM */
#define UNMAPPED (GVA + 0x4000)
#define NATIVE   (xstate_layout()->native)

static uint8_t want[8192] __attribute__((aligned(64)));
static uint8_t again[8192] __attribute__((aligned(64)));
static uint8_t got[8192] __attribute__((aligned(64)));
static uint8_t init[8192] __attribute__((aligned(64)));

static struct fake *setup(void)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	unsigned int i;

	assert_int_equal(cpu_state_create(cpu), 0);
	cpu_reset(cpu, false);
	fake_long_mode(f);
	cpu->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	cpu->xcr0 = xstate_layout()->mask;
	for (i = 0; i < 4; i++)
		fake_map(f, GVA + i * 4096, 0x200000 + i * 3 * 4096,
			 PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	return f;
}

static void teardown(struct fake *f)
{
	cpu_state_destroy(&f->cpu);
	fake_free(f);
}

static uint8_t *ram(struct fake *f, gva_t gva)
{
	uint64_t off = gva - GVA;

	return f->ram + 0x200000 + (off >> 12) * 3 * 4096 + (off & 4095);
}

static void guest_put(struct fake *f, gva_t gva, const uint8_t *p, unsigned n)
{
	for (; n; n--)
		*ram(f, gva++) = *p++;
}

static void guest_get(struct fake *f, gva_t gva, uint8_t *p, unsigned n)
{
	for (; n; n--)
		*p++ = *ram(f, gva++);
}

static int run(struct fake *f, exec_fn *fn, gva_t gva, uint64_t mask)
{
	struct insn i = {
		.opsize = 8,
		.addrsize = 8,
		.nops = 1,
		.op[0] = {.kind = OPND_MEM,
			  .seg = SEG_DS,
			  .base = OPND_NOREG,
			  .index = OPND_NOREG,
			  .disp = gva},
	};

	f->cpu.gpr[REG_RAX] = (uint32_t)mask;
	f->cpu.gpr[REG_RDX] = mask >> 32;
	return FAKE_RUN(f, fn(&f->cpu, &i));
}

static void fill(struct fake *f, uint8_t *p, unsigned int n)
{
	for (; n; n--)
		*p++ = fake_rand(f);
}

/* A random image with components @bv, fit for KVM_SET_XSAVE and XRSTOR. */
static void random_image(struct fake *f, uint8_t *p, uint64_t bv)
{
	struct xsave_area *x = (struct xsave_area *)p;

	fill(f, p, 8192);
	memset(&x->hdr, 0, sizeof(x->hdr));
	x->hdr.xstate_bv = bv;
	x->fx.fcw = 0x340 | (x->fx.fcw & 0xc3f);
	x->fx.mxcsr &= xstate_layout()->mxcsr_mask;
	x->fx.mxcsr_mask = xstate_layout()->mxcsr_mask;
	x->fx.fip &= 0x7fffffffffff;
	x->fx.fdp &= 0x7fffffffffff;
	x->fx.fop &= 0x7ff;
}

static void set_state(struct fake *f, uint64_t bv)
{
	random_image(f, init, bv);
	/* MXCSR comes with either of two components */
	if (!(bv & 6))
		((struct xsave_area *)init)->fx.mxcsr = MXCSR_RESET;
	assert_int_equal(xstate_set(&f->cpu, init, sizeof(init)), 0);
}

static void host(const char *op, uint8_t *p, uint64_t mask)
{
	uint32_t lo = mask, hi = mask >> 32;

	if (op[5] == 'c')
		__asm__ volatile("xsavec64 (%0)" ::"r"(p), "a"(lo), "d"(hi)
				 : "memory");
	else if (op[1] == 's')
		__asm__ volatile("xsave64 (%0)" ::"r"(p), "a"(lo), "d"(hi)
				 : "memory");
	else
		__asm__ volatile("xrstor64 (%0)" ::"r"(p), "a"(lo), "d"(hi)
				 : "memory");
}

/* Masks of guest-visible components, dense in interesting ones. */
static uint64_t mask_of(struct fake *f, unsigned int n)
{
	uint64_t m = fake_rand(f);

	return n < 8 ? n : n == 8 ? ~0ULL : m;
}

static void compare(const char *what, uint64_t bv, uint64_t mask, gva_t gva,
		    unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (got[i] != want[i])
			fail_msg("%s: bv %lx mask %lx at %lx: byte %u is %x, "
				 "not %x",
				 what, bv, mask, gva, i, got[i], want[i]);
}

/*
 * The host's own instruction saves the same registers to @want before ours
 * runs, and to @again behind it. The processor may report a component in its
 * initial state as in use, and does so once the host has preempted and
 * resumed this thread; then the two differ and nothing can be said.
 */
static bool save_both(struct fake *f, bool compact, gva_t gva, uint64_t mask,
		      int *res)
{
	const char *op = compact ? "xsavec" : "xsave";

	memcpy(again, want, sizeof(again));
	xstate_load(&f->cpu);
	host(op, want, mask & NATIVE);
	*res = run(f, compact ? exec_xsavec : exec_xsave, gva, mask);
	host(op, again, mask & NATIVE);
	xstate_save(&f->cpu);
	return !memcmp(want, again, sizeof(again));
}

/* @off: of the buffer in guest memory. */
static void save_once(struct fake *f, bool compact, unsigned int off,
		      uint64_t mask)
{
	uint64_t bv = fake_rand(f) & NATIVE;
	gva_t gva = GVA + off;
	unsigned int tries = 0;
	int res;

	do {
		set_state(f, bv);
		fill(f, want, 4096);
		guest_put(f, gva, want, 4096);
		assert_true(tries++ < 100);
	} while (!save_both(f, compact, gva, mask, &res));
	assert_int_equal(res, 0);
	guest_get(f, gva, got, 4096);
	compare(compact ? "xsavec" : "xsave", bv, mask, gva, 4096);
}

static void test_save(void **state)
{
	static const unsigned int offs[] = {0, 64, 3968, 4032, 3520, 2560};
	struct fake *f = setup();
	unsigned int i, n;

	if (!xstate_layout()->xsavec) {
		teardown(f);
		skip();
		return;
	}
	f->cpu.xcr0 = NATIVE;
	for (i = 0; i < ARRAY_SIZE(offs); i++)
		for (n = 0; n < 300; n++) {
			save_once(f, false, offs[i], mask_of(f, n));
			save_once(f, true, offs[i], mask_of(f, n));
		}
	/* a software XSAVEC must give the same */
	((struct xstate_layout *)xstate_layout())->xsavec = false;
	((struct xstate_layout *)xstate_layout())->xinuse = false;
	for (n = 0; n < 300; n++)
		save_once(f, true, 0, mask_of(f, n));
	((struct xstate_layout *)xstate_layout())->xsavec = true;
	((struct xstate_layout *)xstate_layout())->xinuse = cpuid_host_has(
		FEAT_XGETBV1);
	teardown(f);
}

/*
 * The image restored by the host to @want and by us to @got, out of state @old.
 * AMD's processors keep the x87 pointers of a thread that the host preempts
 * only where an exception is pending: then the two differ, for this once.
 */
static bool restore_both(struct fake *f, const uint8_t *img, uint64_t old,
			 gva_t gva, uint64_t mask)
{
	int res;

	set_state(f, old);
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	xstate_load(&f->cpu);
	host("xrstor", (uint8_t *)(uintptr_t)img, mask & NATIVE);
	host("xsave", want, NATIVE);
	/* back to the same old state */
	((struct xsave_area *)init)->fx.mxcsr_mask = 0;
	host("xrstor", init, NATIVE);
	res = run(f, exec_xrstor, gva, mask);
	host("xsave", got, NATIVE);
	xstate_save(&f->cpu);
	assert_int_equal(res, 0);
	/* XINUSE may say more than is in use; values are what counts */
	memset(want + 512, 0, 8);
	memset(got + 512, 0, 8);
	return !memcmp(want, got, 4096);
}

/* Restore a random image twice and compare all of the registers. */
static void restore_once(struct fake *f, bool compact, unsigned int off,
			 uint64_t mask)
{
	uint64_t bv = fake_rand(f) & NATIVE, old = fake_rand(f) & NATIVE;
	static uint8_t img[8192] __attribute__((aligned(64)));
	struct xsave_area *x = (struct xsave_area *)img;
	gva_t gva = GVA + off;
	unsigned int tries = 0;

	random_image(f, img, bv);
	if (compact)
		x->hdr.xcomp_bv = XSAVE_COMPACT | bv | (fake_rand(f) & NATIVE);
	guest_put(f, gva, img, 4096);
	while (!restore_both(f, img, old, gva, mask) && tries++ < 20)
		;
	compare(compact ? "xrstor compact" : "xrstor", bv, mask, gva, 4096);
}

static void test_restore(void **state)
{
	static const unsigned int offs[] = {0, 64, 3968, 4032, 3520, 2560};
	struct fake *f = setup();
	unsigned int i, n;

	f->cpu.xcr0 = NATIVE;
	for (i = 0; i < ARRAY_SIZE(offs); i++)
		for (n = 0; n < 300; n++) {
			restore_once(f, false, offs[i], mask_of(f, n));
			if (xstate_layout()->xsavec)
				restore_once(f, true, offs[i], mask_of(f, n));
		}
	teardown(f);
}

/* Run with state loaded; the vector plus one. */
static int live(struct fake *f, exec_fn *fn, gva_t gva, uint64_t mask)
{
	int res;

	xstate_load(&f->cpu);
	res = run(f, fn, gva, mask);
	xstate_save(&f->cpu);
	return res;
}

static void test_faults(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct xsave_area *x = (struct xsave_area *)ram(f, GVA);

	assert_int_equal(live(f, exec_xsave, GVA + 8, 7), VEC_GP + 1);
	assert_int_equal(live(f, exec_xrstor, GVA + 32, 7), VEC_GP + 1);
	assert_int_equal(live(f, exec_fxsave, GVA + 8, 0), VEC_GP + 1);
	assert_int_equal(live(f, exec_xsave, UNMAPPED - 64, 7), VEC_PF + 1);
	assert_true(cpu->raised.payload == UNMAPPED);
	assert_int_equal(live(f, exec_xrstor, UNMAPPED, 7), VEC_PF + 1);
	cpu->cr0 |= CR0_TS;
	assert_int_equal(live(f, exec_xsave, GVA, 7), VEC_NM + 1);
	assert_int_equal(live(f, exec_fxrstor, GVA, 7), VEC_NM + 1);
	cpu->cr0 ^= CR0_TS | CR0_EM;
	assert_int_equal(live(f, exec_xsave, GVA, 7), 0);
	assert_int_equal(live(f, exec_fxsave, GVA, 7), VEC_NM + 1);
	cpu->cr0 &= ~CR0_EM;
	cpu->cpl = 3;
	assert_int_equal(live(f, exec_xsaves, GVA, 7), VEC_GP + 1);
	assert_int_equal(live(f, exec_xrstors, GVA, 7), VEC_GP + 1);
	assert_int_equal(live(f, exec_xsavec, GVA, 7), 0);
	cpu->cpl = 0;
	/* headers */
	assert_int_equal(live(f, exec_xrstors, GVA, 7), 0);
	x->hdr.xcomp_bv = 0;
	assert_int_equal(live(f, exec_xrstors, GVA, 7), VEC_GP + 1);
	assert_int_equal(live(f, exec_xrstor, GVA, 7), 0);
	x->hdr.xstate_bv |= 8;
	assert_int_equal(live(f, exec_xrstor, GVA, 7), VEC_GP + 1);
	x->hdr.xstate_bv = 2;
	x->hdr.xcomp_bv = XSAVE_COMPACT | 1;
	assert_int_equal(live(f, exec_xrstor, GVA, 7), VEC_GP + 1);
	x->hdr.xcomp_bv |= 2;
	assert_int_equal(live(f, exec_xrstor, GVA, 7), 0);
	x->hdr.reserved[5] = 1;
	assert_int_equal(live(f, exec_xrstor, GVA, 7), VEC_GP + 1);
	x->hdr.reserved[5] = 0;
	x->fx.mxcsr = 0x80000000;
	assert_int_equal(live(f, exec_xrstor, GVA, 7), VEC_GP + 1);
	assert_int_equal(live(f, exec_xrstor, GVA, 1), 0);
	assert_int_equal(live(f, exec_fxrstor, GVA, 7), VEC_GP + 1);
	cpu->cr4 &= ~CR4_OSXSAVE;
	assert_int_equal(live(f, exec_xsave, GVA, 7), VEC_UD + 1);
	teardown(f);
}

static void test_pkru(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	uint32_t off = xstate_layout()->comp[XF_PKRU].offset;
	struct xsave_area *x = (struct xsave_area *)ram(f, GVA);
	unsigned int k;

	memset(x, 0xcc, 4096);
	memset(&x->hdr, 0, sizeof(x->hdr));
	x->fx.mxcsr = MXCSR_RESET;
	cpu->pkru = 0x55555554;
	assert_int_equal(live(f, exec_xsave, GVA, 0x200), 0);
	assert_true(x->hdr.xstate_bv == 0x200);
	assert_int_equal(*(uint32_t *)((char *)x + off), 0x55555554);
	cpu->pkru = 0;
	assert_int_equal(live(f, exec_xrstor, GVA, 0x1ff), 0);
	assert_int_equal(cpu->pkru, 0);
	assert_int_equal(live(f, exec_xrstor, GVA, 0x200), 0);
	assert_int_equal(cpu->pkru, 0x55555554);
	/* compacted: right behind what is asked for; in one page and not */
	for (k = 0; k < 2; k++) {
		gva_t gva = GVA + k * 3584;
		uint64_t val;

		cpu->pkru = 0x77777777;
		assert_int_equal(live(f, exec_xsaves, gva, ~0ULL), 0);
		guest_get(f, gva + 520, (uint8_t *)&val, 8);
		assert_true(val == (XSAVE_COMPACT | cpu->xcr0));
		guest_get(f, gva + xstate_compact_size(NATIVE), (uint8_t *)&val,
			  8);
		assert_true(val == 0x77777777);
		cpu->pkru = 1;
		assert_int_equal(live(f, exec_xrstors, gva, 0x200), 0);
		assert_int_equal(cpu->pkru, 0x77777777);
		cpu->pkru = 0;
		assert_int_equal(live(f, exec_xsaves, gva, ~0ULL), 0);
		cpu->pkru = 3;
		assert_int_equal(live(f, exec_xrstors, gva, ~0ULL), 0);
		assert_int_equal(cpu->pkru, 0);
	}
	cpu->pkru = 5;
	xstate_load(cpu);
	assert_true(xstate_inuse(cpu) & 0x200);
	xstate_save(cpu);
	teardown(f);
}

/* No address of the host, none of the guest's own lost. */
static void test_pointers(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct fxsave_area *fx = (struct fxsave_area *)ram(f, GVA);

	xstate_load(cpu);
	__asm__ volatile("fld1");
	assert_int_equal(run(f, exec_fxsave, GVA, 0), 0);
	xstate_save(cpu);
	assert_true(fx->fip == 0 && fx->fdp == 0 && fx->fop == 0);
	/* AMD keeps the pointers only with an exception pending */
	fx->fcw &= ~1;
	fx->fsw |= 0x81;
	fx->fip = 0x1234567890;
	fx->fdp = 0x2234567890;
	fx->fop = 0x123;
	assert_int_equal(live(f, exec_fxrstor, GVA, 0), 0);
	memset(fx, 0, 512);
	assert_int_equal(live(f, exec_fxsave, GVA, 0), 0);
	assert_true(fx->fip == 0x1234567890 && fx->fdp == 0x2234567890);
	assert_int_equal(live(f, exec_xsave, GVA, 1), 0);
	assert_true(fx->fip == 0x1234567890 && fx->fdp == 0x2234567890);
	xstate_load(cpu);
	__asm__ volatile("fnclex; fld1");
	assert_int_equal(run(f, exec_xsave, GVA, 1), 0);
	xstate_save(cpu);
	assert_true(fx->fip == 0 && fx->fdp == 0);
	assert_true(((struct xsave_area *)cpu->xsave)->fx.fip == 0);
	teardown(f);
}

/* Registers 8 to 15 and above stay out of it outside 64-bit mode. */
static void test_legacy_mode(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	uint8_t *p = ram(f, GVA);
	const uint32_t avx = xstate_layout()->comp[XF_AVX].offset;
	uint64_t mask = NATIVE;

	set_state(f, NATIVE);
	memset(p, 0xee, 4096);
	memset(p + 512, 0, 64);
	cpu->code_bits = 32;
	cpu->seg[SEG_DS] = (struct segment){
		.limit = ~0u, .attr = SEG_ATTR_P | SEG_ATTR_S | 3 | SEG_ATTR_G};
	cpu_segment_derive(cpu, SEG_DS);
	assert_int_equal(live(f, exec_xsave, GVA, mask), 0);
	assert_memory_equal(p + 160, init + 160, 128);
	assert_int_equal(p[288], 0xee);
	if (NATIVE & XCR0_AVX) {
		assert_memory_equal(p + avx, init + avx, 128);
		assert_int_equal(p[avx + 128], 0xee);
	}
	/* clear 0 to 7 by restoring an empty header; 8 to 15 must stay */
	memset(p + 512, 0, 64);
	*(uint32_t *)(p + 24) = MXCSR_RESET;
	assert_int_equal(live(f, exec_xrstor, GVA, mask), 0);
	xstate_get(cpu, got, 4096);
	memset(want, 0, 128);
	assert_memory_equal(got + 160, want, 128);
	assert_memory_equal(got + 288, init + 288, 128);
	if (NATIVE & XCR0_AVX) {
		assert_memory_equal(got + avx, want, 128);
		assert_memory_equal(got + avx + 128, init + avx + 128, 128);
	}
	assert_int_equal(live(f, exec_fxrstor, GVA, 0), 0);
	xstate_get(cpu, got, 4096);
	assert_memory_equal(got + 160, p + 160, 128);
	assert_memory_equal(got + 288, init + 288, 128);
	teardown(f);
}

static void test_images(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct xsave_area *x = (struct xsave_area *)want;
	struct fpu_image fpu;
	unsigned int n;

	for (n = 0; n < 64; n++) {
		random_image(f, want, fake_rand(f) & xstate_layout()->mask);
		assert_int_equal(xstate_set(cpu, want, 4096), 0);
		xstate_load(cpu);
		xstate_save(cpu);
		xstate_get(cpu, got, 4096);
		assert_int_equal(xstate_set(cpu, got, 4096), 0);
		xstate_get(cpu, init, 4096);
		assert_memory_equal(got, init, 4096);
		if (x->hdr.xstate_bv & XCR0_SSE)
			assert_memory_equal(got + 160, want + 160, 256);
		if (x->hdr.xstate_bv & XCR0_PKRU)
			assert_memory_equal(
				&cpu->pkru,
				want + xstate_layout()->comp[XF_PKRU].offset,
				4);
		else
			assert_int_equal(cpu->pkru, 0);
	}
	x->hdr.xcomp_bv = XSAVE_COMPACT;
	assert_int_equal(xstate_set(cpu, want, 4096), -EINVAL);
	x->hdr.xcomp_bv = 0;
	x->hdr.xstate_bv = 1 << 3;
	assert_int_equal(xstate_set(cpu, want, 4096), -EINVAL);
	x->hdr.xstate_bv = 2;
	x->fx.mxcsr = 1u << 31;
	assert_int_equal(xstate_set(cpu, want, 4096), -EINVAL);
	x->hdr.xstate_bv = 1;
	assert_int_equal(xstate_set(cpu, want, 4096), 0);
	cpu->xcr0_allowed = 3; /* the client is not held back by CPUID */
	x->hdr.xstate_bv = xstate_layout()->mask;
	x->fx.mxcsr = MXCSR_RESET;
	assert_int_equal(xstate_set(cpu, want, 4096), 0);

	xstate_get_fpu(cpu, &fpu);
	fpu.fcw = 0x27f;
	fpu.xmm[15][3] = 0x99;
	xstate_set_fpu(cpu, &fpu);
	xstate_load(cpu);
	xstate_save(cpu);
	memset(&fpu, 0, sizeof(fpu));
	xstate_get_fpu(cpu, &fpu);
	assert_int_equal(fpu.fcw, 0x27f);
	assert_int_equal(fpu.xmm[15][3], 0x99);
	assert_int_equal(xstate_image_size(cpu), 4096);
	teardown(f);
}

static void test_host_kept(void **state)
{
	struct fake *f = setup();
	uint32_t mxcsr = 0x9fc0, back;
	uint16_t fcw = 0x77f, fback;

	__asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(fcw));
	xstate_load(&f->cpu);
	__asm__ volatile("fld1; fld1; fldpi");
	xstate_save(&f->cpu);
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(back), "=m"(fback));
	assert_int_equal(back, mxcsr);
	assert_int_equal(fback, fcw);
	mxcsr = 0x1f80;
	fcw = 0x37f;
	__asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(fcw));
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_save),
		cmocka_unit_test(test_restore),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_pkru),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_legacy_mode),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_host_kept),
	};

	xstate_layout();
	if (!xstate_layout()->xsave)
		return 77; /* skipped: the host has no XSAVE */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
