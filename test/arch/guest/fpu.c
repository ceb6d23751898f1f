/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of x87, MMX, SSE and AVX: control words, exceptions, what enables
 * them, and how it is saved. SDM 1 "Programming with the x87 FPU",
 * "Managing State Using the XSAVE Feature Set", SDM 3A "System Programming
 * for Instruction Set Extensions".
 */
#include "test/arch/guest/arch.h"

#define CR0_MP  2UL
#define CR0_EM  4UL
#define CR0_TS  8UL
#define CR0_NE  0x20UL
#define CR4_FX  0x200UL
#define CR4_XMM 0x400UL
#define CR4_XS  0x40000UL

static uint8_t area[4096] __attribute__((aligned(64)));
static uint32_t cap[4]; /* CPUID 1 */
static const uint64_t ones[4] = {~0UL, ~0UL, ~0UL, ~0UL};
static const uint64_t zeros[4];

/* A function of one instruction, for try_call(). */
#define INSN(name, insn)    \
	extern char name[]; \
	__asm__(".text\n" #name ": " insn "\n ret\n")

INSN(i_fld1, "fld1");
INSN(i_fwait, "fwait");
INSN(i_fnop, "fnop");
INSN(i_mmx, "paddb %mm0, %mm0");
INSN(i_paddb, "paddb %xmm1, %xmm1");
INSN(i_movaps, "movaps (%rdi), %xmm1");
INSN(i_movups, "movups (%rdi), %xmm1");
INSN(i_paddd, "paddd (%rdi), %xmm1");
INSN(i_vpaddd, "vpaddd (%rdi), %xmm1, %xmm1");
INSN(i_vaddps, "vaddps %ymm1, %ymm1, %ymm1");
INSN(i_ldmxcsr, "ldmxcsr (%rdi)");
INSN(i_divss, "divss %xmm2, %xmm1");
INSN(i_fxsave, "fxsave (%rdi)");
INSN(i_fxrstor, "fxrstor (%rdi)");
INSN(i_xsave, "mov %esi, %eax; xor %edx, %edx; xsave (%rdi)");
INSN(i_xrstor, "mov %esi, %eax; xor %edx, %edx; xrstor (%rdi)");
INSN(i_xsetbv, "mov %edi, %ecx; mov %esi, %eax; mov %rsi, %rdx;"
	       "shr $32, %rdx; xsetbv");
INSN(i_xgetbv, "xor %ecx, %ecx; xgetbv");

static uint16_t fsw(void)
{
	uint16_t v;

	__asm__ volatile("fnstsw %0" : "=a"(v));
	return v;
}

static uint16_t fcw(void)
{
	uint16_t v;

	__asm__ volatile("fnstcw %0" : "=m"(v));
	return v;
}

static void set_fcw(uint16_t v)
{
	__asm__ volatile("fldcw %0" : : "m"(v));
}

static uint16_t full_tags(void)
{
	uint32_t env[7];

	__asm__ volatile("fnstenv %0; fldenv %0" : "+m"(env));
	return env[2];
}

static uint32_t mxcsr(void)
{
	uint32_t v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

static void set_mxcsr(uint32_t v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v));
}

static void fninit(void)
{
	__asm__ volatile("fninit");
}

/* ---- x87 ---- */

static void test_init(void)
{
	set_fcw(0x27f);
	__asm__ volatile("fld1; fninit");
	check(fcw() == 0x37f, "FNINIT sets FCW to 37f: %x", (reg_t)fcw());
	check(fsw() == 0, "FSW to 0");
	check(full_tags() == 0xffff, "and every tag to empty");
}

static void test_stack(void)
{
	fninit();
	for (int i = 0; i < 9; i++)
		__asm__ volatile("fld1");
	check((fsw() & 0x241) == 0x241,
	      "a ninth load is a stack overflow, C1 set: %x", (reg_t)fsw());
	fninit();
	__asm__ volatile("fstp %st(0)");
	check((fsw() & 0x241) == 0x41,
	      "a store from an empty stack an underflow, C1 clear: %x",
	      (reg_t)fsw());
	fninit();
}

static void test_tags(void)
{
	fninit();
	__asm__ volatile("fld1; fldz; fld1; fldz; fdivrp");
	/* st0 infinity, st1 zero, st2 one: physical 5, 6, 7 */
	check(full_tags() == 0x1bff, "tags of infinity, zero and one: %x",
	      (reg_t)full_tags());
	fninit();
}

static void test_mf(void)
{
	fninit();
	set_fcw(0x37f & ~4); /* zero divide is not masked */
	__asm__ volatile("fld1; fldz; fdivrp");
	check(fsw() & 0x8000, "a pending exception: FSW %x", (reg_t)fsw());
	check(try_call(i_fwait, 0, 0) == 16, "the next FWAIT is #MF");
	check(try_call(i_fld1, 0, 0) == 16, "so is the next load");
	__asm__ volatile("fnclex");
	check(try_call(i_fwait, 0, 0) == NO_FAULT && !(fsw() & 0x80ff),
	      "FNCLEX forgets it");
	fninit();
}

static void test_mf_late(void)
{
	fninit();
	__asm__ volatile("fld1; fldz; fdivrp"); /* masked: ZE is only noted */
	check((fsw() & 0x8004) == 4, "masked: FSW %x", (reg_t)fsw());
	set_fcw(0x37f & ~4);
	check(fsw() & 0x8000, "unmasking with its flag set makes it pending");
	check(try_call(i_fwait, 0, 0) == 16, "and FWAIT is #MF");
	__asm__ volatile("fnclex");
	fninit();
}

static int32_t rounded(uint16_t rc)
{
	static const double half = 2.5;
	int32_t v;

	set_fcw(0x37f | rc << 10);
	__asm__ volatile("fldl %1; fistpl %0" : "=m"(v) : "m"(half));
	set_fcw(0x37f);
	return v;
}

static void test_rounding(void)
{
	fninit();
	check(rounded(0) == 2, "2.5 to the nearest even");
	check(rounded(1) == 2, "down");
	check(rounded(2) == 3, "up");
	check(rounded(3) == 2, "to zero");
}

static void test_integer(void)
{
	static const double big = 1e10;
	uint8_t bcd[10];
	int32_t v;
	int32_t n = 12345;

	fninit();
	__asm__ volatile("fldl %1; fistpl %0" : "=m"(v) : "m"(big));
	check(v == (int32_t)0x80000000 && fsw() & 1,
	      "FISTP of too much stores the integer indefinite");
	fninit();
	__asm__ volatile("fildl %1; fbstp %0" : "=m"(bcd) : "m"(n));
	check(bcd[0] == 0x45 && bcd[1] == 0x23 && bcd[2] == 1 && !bcd[9],
	      "FBSTP of 12345");
	n = -1;
	__asm__ volatile("fildl %1; fbstp %0" : "=m"(bcd) : "m"(n));
	check(bcd[0] == 1 && bcd[9] == 0x80, "and of -1");
}

static void test_fsave(void)
{
	uint32_t again[27];

	fninit();
	set_fcw(0x27f);
	__asm__ volatile("fldpi; fld1; fnsave %0" : "=m"(area));
	check(fcw() == 0x37f && full_tags() == 0xffff,
	      "FNSAVE initialises the FPU");
	__asm__ volatile("frstor %1; fnsave %0" : "=m"(again) : "m"(area));
	check((uint16_t)again[0] == 0x27f && !memcmp(again + 7, area + 28, 80),
	      "FRSTOR brings it back");
	check(area[28 + 9] == 0x3f && area[28 + 19] == 0x40,
	      "ST(0) is first in the image");
}

/* CR0.EM, MP and TS. */
static void test_switches(void)
{
	reg_t cr0 = read_cr0();

	write_cr0(cr0 | CR0_TS | CR0_MP);
	check(try_call(i_fnop, 0, 0) == 7, "x87 with TS is #NM");
	check(try_call(i_fwait, 0, 0) == 7, "FWAIT with TS and MP is #NM");
	check(try_call(i_mmx, 0, 0) == 7, "MMX with TS is #NM");
	check(try_call(i_paddb, 0, 0) == 7, "SSE with TS is #NM");
	write_cr0((cr0 | CR0_TS) & ~CR0_MP);
	check(try_call(i_fwait, 0, 0) == NO_FAULT, "FWAIT without MP is not");
	write_cr0(cr0 | CR0_EM);
	check(try_call(i_fnop, 0, 0) == 7, "x87 with EM is #NM");
	check(try_call(i_mmx, 0, 0) == 6, "MMX with EM is #UD");
	check(try_call(i_paddb, 0, 0) == 6, "SSE with EM is #UD");
	write_cr0(cr0);
	write_cr4(read_cr4() & ~CR4_FX);
	check(try_call(i_paddb, 0, 0) == 6, "SSE without CR4.OSFXSR is #UD");
	check(try_call(i_mmx, 0, 0) == NO_FAULT, "MMX does not need it");
	write_cr4(read_cr4() | CR4_FX);
}

static void test_mmx(void)
{
	uint16_t tags;

	fninit();
	__asm__ volatile("fld1; movq %0, %%mm3" : : "m"(ones));
	tags = full_tags();
	check(!(tags & tags >> 1 & 0x5555), "MMX makes all registers valid: %x",
	      (reg_t)tags);
	check(!(fsw() & 0x3800), "and TOP 0");
	__asm__ volatile("fnsave %0" : "=m"(area));
	check(*(uint16_t *)(area + 28 + 3 * 10 + 8) == 0xffff,
	      "the exponent of a written register is all ones");
	__asm__ volatile("frstor %0; emms" : : "m"(area));
	check(full_tags() == 0xffff, "EMMS makes them empty");
	fninit();
}

/* ---- SSE ---- */

static void test_mxcsr(void)
{
	uint32_t bad = 0x10000;

	set_mxcsr(0x1fbf);
	check(mxcsr() == 0x1fbf, "MXCSR reads back");
	check(try_call(i_ldmxcsr, (reg_t)&bad, 0) == 13 && !caught.error,
	      "a reserved bit is #GP(0)");
	check(mxcsr() == 0x1fbf, "and changes nothing");
	set_mxcsr(0x1f80);
}

static void divide(uint32_t csr)
{
	static const float one = 1;

	set_mxcsr(csr);
	__asm__ volatile("movss %0, %%xmm1; xorps %%xmm2, %%xmm2" : : "m"(one));
}

static void test_xm(void)
{
	divide(0x1f80);
	check(try_call(i_divss, 0, 0) == NO_FAULT && mxcsr() == 0x1f84,
	      "a masked division by zero sets ZE");
	divide(0x1f80 & ~0x200);
	check(try_call(i_divss, 0, 0) == 19 && caught.ip == (reg_t)i_divss,
	      "one that is not masked is #XM: %x", caught.vector);
	check(mxcsr() & 4, "with ZE set");
	divide(0x1f80 & ~0x200);
	write_cr4(read_cr4() & ~CR4_XMM);
	check(try_call(i_divss, 0, 0) == 6, "or #UD without CR4.OSXMMEXCPT: %x",
	      caught.vector);
	write_cr4(read_cr4() | CR4_XMM);
	set_mxcsr(0x1f80);
}

static void test_align(void)
{
	reg_t odd = (reg_t)area + 8;

	check(try_call(i_movaps, odd, 0) == 13 && !caught.error,
	      "MOVAPS that is not aligned is #GP(0)");
	check(try_call(i_paddd, odd, 0) == 13, "so is an operand of PADDD");
	check(try_call(i_movups, odd, 0) == NO_FAULT, "MOVUPS is not");
}

static void test_fxsave(void)
{
	fninit();
	set_fcw(0x27f);
	set_mxcsr(0x1fa0);
	__asm__ volatile("fld1; movups %0, %%xmm3" : : "m"(ones));
	memset(area, 0x11, sizeof(area));
	__asm__ volatile("fxsave64 %0" : "+m"(area));
	check(*(uint16_t *)area == 0x27f && *(uint16_t *)(area + 2) == 0x3800,
	      "FXSAVE: FCW and FSW");
	check(area[4] == 0x80, "abridged tags: %x", (reg_t)area[4]);
	check(*(uint32_t *)(area + 24) == 0x1fa0 &&
		      !(~*(uint32_t *)(area + 28) & 0xffbf),
	      "MXCSR and its mask %x", (reg_t) * (uint32_t *)(area + 28));
	check(*(uint64_t *)(area + 32) == 1UL << 63 &&
		      *(uint16_t *)(area + 40) == 0x3fff,
	      "ST(0)");
	check(!memcmp(area + 160 + 48, ones, 16), "XMM3");
	check(area[464] == 0x11 && area[511] == 0x11,
	      "bytes for software stay");
	__asm__ volatile("xorps %%xmm3, %%xmm3; fxrstor64 %0; fxsave64 %1"
			 :
			 : "m"(area), "m"(area[1024]));
	check(!memcmp(area, area + 1024, 416), "FXRSTOR brings it back");
	check(try_call(i_fxsave, (reg_t)area + 8, 0) == 13,
	      "FXSAVE that is not aligned is #GP");
	*(uint32_t *)(area + 24) = 0x80000000;
	check(try_call(i_fxrstor, (reg_t)area, 0) == 13,
	      "FXRSTOR of a reserved bit of MXCSR is #GP");
	set_mxcsr(0x1f80);
	fninit();
}

/* ---- XSAVE and AVX ---- */

static bool xsave_on(void)
{
	if (!(cap[2] >> 26 & 1)) {
		skip("the processor has no XSAVE");
		return false;
	}
	write_cr4(read_cr4() | CR4_XS);
	return try_call(i_xsetbv, 0, 3) == NO_FAULT;
}

static bool avx_on(void)
{
	if (!(cap[2] >> 28 & 1)) {
		skip("the processor has no AVX");
		return false;
	}
	return xsave_on() && try_call(i_xsetbv, 0, 7) == NO_FAULT;
}

static reg_t xcr0(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (reg_t)hi << 32 | lo;
}

static void test_xcr0(void)
{
	write_cr4(read_cr4() & ~CR4_XS);
	check(try_call(i_xgetbv, 0, 0) == 6,
	      "XGETBV without CR4.OSXSAVE is #UD");
	if (!xsave_on())
		return;
	check(xcr0() == 3, "XCR0 reads back");
	check(try_call(i_xsetbv, 0, 2) == 13, "XCR0 without x87 is #GP");
	check(try_call(i_xsetbv, 0, 5) == 13, "with AVX and no SSE #GP");
	check(try_call(i_xsetbv, 0, 1UL << 62 | 3) == 13,
	      "with a reserved bit #GP");
	check(try_call(i_xsetbv, 1, 3) == 13, "XCR1 is #GP");
	check(xcr0() == 3, "and XCR0 stays");
}

static void test_xsave(void)
{
	uint64_t *bv = (uint64_t *)(area + 512);

	if (!xsave_on())
		return;
	memset(area, 0, sizeof(area));
	__asm__ volatile("movups %0, %%xmm3" : : "m"(ones));
	try_call(i_xsave, (reg_t)area, 3);
	check(bv[0] & 2, "XSTATE_BV names SSE in use: %x", bv[0]);
	check(!memcmp(area + 160 + 48, ones, 16), "XMM3 is at its place");
	bv[0] = 1UL << 1;
	memset(area + 160, 0x77, 256);
	try_call(i_xrstor, (reg_t)area, 2);
	__asm__ volatile("movups %%xmm5, %0" : "=m"(area[2048]));
	check(area[2048] == 0x77 && area[2063] == 0x77, "XRSTOR loads it");
	bv[0] = 0;
	try_call(i_xrstor, (reg_t)area, 2);
	__asm__ volatile("movups %%xmm5, %0" : "=m"(area[2048]));
	check(!area[2048] && !area[2063],
	      "and initialises what XSTATE_BV does not name");
	bv[0] = 1UL << 1 | 1UL << 2;
	memset(area + 160, 0x11, 16);
	try_call(i_xsave, (reg_t)area, 1);
	check(bv[0] & 1UL << 1 && area[160] == 0x11,
	      "XSAVE leaves alone what is not asked for");
}

static void test_xrstor_faults(void)
{
	uint64_t *header = (uint64_t *)(area + 512);

	if (!xsave_on())
		return;
	memset(area, 0, sizeof(area));
	*(uint32_t *)(area + 24) = 0x1f80;
	check(try_call(i_xsave, (reg_t)area + 16, 3) == 13,
	      "XSAVE that is not aligned to 64 is #GP");
	header[0] = 1UL << 60;
	check(try_call(i_xrstor, (reg_t)area, 3) == 13,
	      "XRSTOR of a component that is not enabled is #GP");
	header[0] = 3;
	header[2] = 1;
	check(try_call(i_xrstor, (reg_t)area, 3) == 13,
	      "of a header with reserved bytes #GP");
	header[2] = 0;
	*(uint32_t *)(area + 24) = 0x80001f80;
	check(try_call(i_xrstor, (reg_t)area, 3) == 13,
	      "of a reserved bit of MXCSR #GP");
	*(uint32_t *)(area + 24) = 0x1f80;
	*(uint16_t *)area = 0x37f;
	check(try_call(i_xrstor, (reg_t)area, 3) == NO_FAULT, "mended");
	fninit();
}

static void test_avx_off(void)
{
	reg_t cr0 = read_cr0();

	if (!avx_on())
		return;
	check(try_call(i_vaddps, 0, 0) == NO_FAULT, "AVX with XCR0.AVX");
	write_cr0(cr0 | CR0_TS);
	check(try_call(i_vaddps, 0, 0) == 7, "with TS #NM");
	write_cr0(cr0);
	try_call(i_xsetbv, 0, 3);
	check(try_call(i_vaddps, 0, 0) == 6, "without XCR0.AVX #UD");
	write_cr4(read_cr4() & ~CR4_XS);
	check(try_call(i_vaddps, 0, 0) == 6, "without CR4.OSXSAVE #UD");
}

static void fill(void)
{
	__asm__ volatile("vmovups %0, %%ymm4" : : "m"(ones));
}

static uint64_t upper(void)
{
	uint64_t v[4];

	__asm__ volatile("vmovups %%ymm4, %0" : "=m"(v));
	return v[3];
}

static void test_avx_upper(void)
{
	if (!avx_on())
		return;
	fill();
	__asm__ volatile("paddd %xmm4, %xmm4");
	check(upper() == ~0UL, "a legacy SSE instruction keeps bits 255:128");
	__asm__ volatile("vpaddd %xmm4, %xmm4, %xmm4");
	check(upper() == 0, "one with VEX.128 clears them");
	fill();
	__asm__ volatile("vzeroupper");
	check(upper() == 0, "VZEROUPPER clears them");
	__asm__ volatile("vmovups %%ymm4, %0" : "=m"(area));
	check(*(uint64_t *)area == ~0UL, "and keeps the rest");
	__asm__ volatile("vzeroall; vmovups %%ymm4, %0" : "=m"(area));
	check(*(uint64_t *)area == 0, "VZEROALL does not");
	check(try_call(i_vpaddd, (reg_t)area + 1, 0) == NO_FAULT,
	      "operands with VEX need no alignment");
}

static void test_avx_xsave(void)
{
	uint64_t *bv = (uint64_t *)(area + 512);
	uint32_t r[4];

	if (!avx_on())
		return;
	cpuid(0xd, 2, r);
	check(r[0] == 256 && r[1] >= 576, "16 upper halves at %d", (int)r[1]);
	memset(area, 0, sizeof(area));
	fill();
	try_call(i_xsave, (reg_t)area, 7);
	check(bv[0] & 4 && !memcmp(area + r[1] + 64, ones, 16),
	      "XSAVE stores the upper half of YMM4");
	__asm__ volatile("vzeroall");
	try_call(i_xrstor, (reg_t)area, 4);
	check(upper() == ~0UL, "XRSTOR of AVX alone loads it");
	__asm__ volatile("vzeroupper");
	try_call(i_xsave, (reg_t)area, 7);
	check(!(bv[0] & 4) || !memcmp(area + r[1] + 64, zeros, 16),
	      "VZEROUPPER leaves AVX initial or zero");
}

void setup(void)
{
	cpuid(1, 0, cap);
	write_cr0((read_cr0() | CR0_MP | CR0_NE) & ~(CR0_EM | CR0_TS));
	write_cr4(read_cr4() | CR4_FX | CR4_XMM);
	fninit();
	set_mxcsr(0x1f80);
}

const struct test tests[] = {
	{"init", test_init,
	 "SDM 2 \"FINIT/FNINIT - Initialize Floating-Point Unit\""},
	{"stack", test_stack,
	 "SDM 1 \"Stack Overflow or Underflow Exception\""},
	{"tags", test_tags, "SDM 1 \"x87 FPU Tag Word\""},
	{"mf", test_mf,
	 "SDM 3A \"Interrupt 16 - x87 FPU Floating-Point Error\""},
	{"mf-late", test_mf_late, "SDM 1 \"x87 FPU Status Register\": ES"},
	{"rounding", test_rounding, "SDM 1 \"Rounding Control Field\""},
	{"integer", test_integer,
	 "SDM 2 \"FIST/FISTP - Store Integer\", \"FBSTP - Store BCD Integer "
	 "and Pop\""},
	{"fsave", test_fsave,
	 "SDM 1 \"Saving the x87 FPU's State with "
	 "FSTENV/FNSTENV and FSAVE/FNSAVE\""},
	{"switches", test_switches,
	 "SDM 3A \"Control Registers\": EM, MP and TS; OSFXSR"},
	{"mmx", test_mmx, "SDM 3A \"The MMX State and MMX Register Aliasing\""},
	{"mxcsr", test_mxcsr, "SDM 1 \"MXCSR Control and Status Register\""},
	{"xm", test_xm,
	 "SDM 3A \"Interrupt 19 - SIMD Floating-Point Exception\""},
	{"align", test_align,
	 "SDM 2 \"MOVAPS - Move Aligned Packed Single-Precision "
	 "Floating-Point Values\", \"Exceptions Type 4\""},
	{"fxsave", test_fxsave,
	 "SDM 2 \"FXSAVE - Save x87 FPU, MMX Technology, and SSE State\""},
	{"xcr0", test_xcr0,
	 "SDM 1 \"Enabling the XSAVE Feature Set and XSAVE-Enabled "
	 "Features\""},
	{"xsave", test_xsave,
	 "SDM 1 \"Operation of XSAVE\", \"Operation of XRSTOR\""},
	{"xrstor-faults", test_xrstor_faults,
	 "SDM 1 \"Operation of XRSTOR\": standard form, #GP"},
	{"avx-off", test_avx_off, "SDM 2 \"Exceptions Type 2\": #UD and #NM"},
	{"avx-upper", test_avx_upper,
	 "SDM 1 \"Vector Length Transition and Programming "
	 "Considerations\", SDM 2 \"VZEROUPPER\""},
	{"avx-xsave", test_avx_xsave, "SDM 1 \"AVX State\""},
	{NULL},
};
