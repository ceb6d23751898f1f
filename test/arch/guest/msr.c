/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers that software of any vendor uses: what reads
 * back, which values are refused, what they do to instructions. SDM 4
 * "Model-Specific Registers (MSRs)", SDM 2 "RDMSR", "WRMSR", "SWAPGS".
 */
#include "test/arch/guest/arch.h"

#define MSR_APIC_BASE   0x1b
#define MSR_MTRR_CAP    0xfe
#define MSR_SYSENTER_CS 0x174
#define MSR_MCG_CAP     0x179
#define MSR_MTRR_BASE0  0x200
#define MSR_MTRR_FIX64K 0x250
#define MSR_PAT         0x277
#define MSR_MTRR_TYPE   0x2ff
#define MSR_MC0_STATUS  0x401
#define MSR_STAR        0xc0000081
#define MSR_LSTAR       0xc0000082
#define MSR_CSTAR       0xc0000083
#define MSR_SFMASK      0xc0000084
#define MSR_FS_BASE     0xc0000100
#define MSR_GS_BASE     0xc0000101
#define MSR_KERNEL_GS   0xc0000102
#define MSR_TSC_AUX     0xc0000103

#define NOT_CANONICAL 0x0100000000000000UL /* for 57 bits as well */

#define USER    0x10000000000UL
#define USER_PA 0xc00000UL

extern uint64_t boot_pml4[512];
static uint64_t pdpt2[512] __attribute__((aligned(4096)));
static uint64_t pd2[512] __attribute__((aligned(4096)));

static bool refused(uint32_t msr, uint64_t v)
{
	return try_call(wrmsr, msr, v) == 13 && !caught.error;
}

static bool takes(uint32_t msr, uint64_t v)
{
	uint64_t old = rdmsr(msr);
	bool good = try_call(wrmsr, msr, v) == NO_FAULT && rdmsr(msr) == v;

	wrmsr(msr, old);
	return good;
}

static void test_unknown(void)
{
	check(try_call(rdmsr, 0x12345678, 0) == 13 && !caught.error,
	      "RDMSR of an address without a register is #GP(0)");
	check(refused(0x12345678, 0),
	      "WRMSR to an address without a register is #GP(0)");
}

/* The upper halves of RAX, RCX and RDX. */
static void test_halves(void)
{
	reg_t a = ~0UL, d = ~0UL, c = 0xffffffff00000000UL | MSR_LSTAR;
	uint64_t v = 0x123456789aUL;

	wrmsr(MSR_LSTAR, v);
	__asm__ volatile("rdmsr" : "+a"(a), "+d"(d) : "c"(c));
	check(a == 0x3456789a && d == 0x12,
	      "RDMSR clears the upper halves of RAX and RDX: %x %x", a, d);
	__asm__ volatile("wrmsr"
			 :
			 : "a"(0xdead000011223344UL), "d"(0xdead000000000055UL),
			   "c"(c));
	check(rdmsr(MSR_LSTAR) == 0x5511223344UL,
	      "WRMSR ignores the upper halves of RAX, RCX and RDX");
}

static void test_user(void)
{
	static const uint8_t code[] = {
		0x0f, 0x32, 0xcd, 0x81, /* rdmsr */
		0x0f, 0x30, 0xcd, 0x81, /* wrmsr */
		0x0f, 0x01, 0xf8, 0x90, /* swapgs */
	};

	memcpy((void *)USER_PA, code, sizeof(code));
	for (unsigned int off = 0; off < sizeof(code); off += 4)
		check(user_call(USER + off, USER + 0x2000, 0, 0) == 13 &&
			      !caught.error && caught.ip == USER + off,
		      "%s at CPL 3 is #GP(0)",
		      !off       ? "RDMSR"
		      : off == 4 ? "WRMSR"
				 : "SWAPGS");
}

static void test_efer(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	check((efer & 0x500) == 0x500, "EFER has LME and LMA in 64-bit mode");
	check(refused(MSR_EFER, efer & ~0x100UL),
	      "clearing EFER.LME with paging on is #GP(0)");
	check(refused(MSR_EFER, efer | 1UL << 40),
	      "a reserved bit of EFER is #GP(0)");
	wrmsr(MSR_EFER, efer ^ 1);
	check(rdmsr(MSR_EFER) == (efer ^ 1), "EFER.SCE changes");
	wrmsr(MSR_EFER, efer);
}

static void test_canonical(void)
{
	static const uint32_t list[] = {MSR_LSTAR, MSR_CSTAR, MSR_FS_BASE,
					MSR_GS_BASE, MSR_KERNEL_GS};

	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		check(refused(list[i], NOT_CANONICAL),
		      "MSR %x refuses what is not canonical", (reg_t)list[i]);
		check(takes(list[i], 0xffff800012345678),
		      "and takes a high address");
	}
}

static uint64_t at_fs(reg_t off)
{
	uint64_t v;

	__asm__ volatile("mov %%fs:(%1), %0" : "=r"(v) : "r"(off));
	return v;
}

static uint64_t at_gs(reg_t off)
{
	uint64_t v;

	__asm__ volatile("mov %%gs:(%1), %0" : "=r"(v) : "r"(off));
	return v;
}

static void test_bases(void)
{
	static volatile uint64_t a[2] = {0x1111, 0x2222}, b[2] = {0x3333, 0};

	wrmsr(MSR_FS_BASE, (reg_t)a);
	wrmsr(MSR_GS_BASE, (reg_t)(a + 1));
	wrmsr(MSR_KERNEL_GS, (reg_t)b);
	check(at_fs(0) == 0x1111 && at_fs(8) == 0x2222,
	      "accesses by FS are at its base MSR");
	check(at_gs(0) == 0x2222, "and by GS");
	__asm__ volatile("swapgs" : : : "memory");
	check(at_gs(0) == 0x3333 && rdmsr(MSR_GS_BASE) == (reg_t)b &&
		      rdmsr(MSR_KERNEL_GS) == (reg_t)(a + 1),
	      "SWAPGS exchanges it with KERNEL_GS_BASE");
	__asm__ volatile("swapgs" : : : "memory");
	__asm__ volatile("mov %w0, %%fs" : : "r"(SEL_DATA));
	check(rdmsr(MSR_FS_BASE) == 0, "a load of FS sets its base");
	__asm__ volatile("mov %w0, %%gs" : : "r"(SEL_DATA));
	check(rdmsr(MSR_GS_BASE) == 0 && rdmsr(MSR_KERNEL_GS) == (reg_t)b,
	      "of GS only the active one");
}

static void test_fsgsbase(void)
{
	uint32_t r[4];
	reg_t v;

	cpuid(7, 0, r);
	if (!(r[1] & 1)) {
		skip("the processor has no FSGSBASE");
		return;
	}
	write_cr4(read_cr4() | 0x10000);
	__asm__ volatile("wrfsbase %0" : : "r"(0x123456789UL));
	check(rdmsr(MSR_FS_BASE) == 0x123456789, "WRFSBASE");
	wrmsr(MSR_GS_BASE, 0x987654321);
	__asm__ volatile("rdgsbase %0" : "=r"(v));
	check(v == 0x987654321, "RDGSBASE");
	__asm__ volatile("rdfsbase %k0" : "=r"(v) : "0"(~0UL));
	check(v == 0x23456789, "RDFSBASE of 32 bits: %x", v);
	write_cr4(read_cr4() & ~0x10000UL);
}

static void do_rdfsbase(void)
{
	__asm__ volatile("rdfsbase %%rax" : : : "rax");
}

static void test_fsgsbase_off(void)
{
	check(try_call(do_rdfsbase, 0, 0) == 6,
	      "RDFSBASE with CR4.FSGSBASE clear is #UD");
}

static void test_tsc_aux(void)
{
	uint32_t r[4];
	uint32_t lo, hi, aux;

	cpuid(0x80000001, 0, r);
	if (!(r[3] >> 27 & 1)) {
		skip("the processor has no RDTSCP");
		return;
	}
	wrmsr(MSR_TSC_AUX, 0x13572468);
	__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	check(aux == 0x13572468, "RDTSCP loads ECX from TSC_AUX");
	check(rdmsr(MSR_TSC_AUX) == 0x13572468, "and it reads back");
}

static void test_syscall_msrs(void)
{
	check(takes(MSR_STAR, 0x0023001000000000), "STAR reads back");
	check(takes(MSR_LSTAR, 0x1234567000), "LSTAR reads back");
	check(takes(MSR_CSTAR, 0x7654321000), "CSTAR reads back");
	check(takes(MSR_SFMASK, 0x47700), "SFMASK reads back");
	check(takes(MSR_SYSENTER_CS, 0x18), "SYSENTER_CS reads back");
	check(takes(MSR_SYSENTER_CS + 1, 0x12345000),
	      "SYSENTER_ESP reads back");
	check(takes(MSR_SYSENTER_CS + 2, 0x12346000),
	      "SYSENTER_EIP reads back");
}

static void test_pat(void)
{
	uint64_t pat = rdmsr(MSR_PAT);

	check(pat == 0x0007040600070406, "PAT after a reset: %x", pat);
	check(takes(MSR_PAT, 0x0007040600070105), "PAT reads back");
	check(refused(MSR_PAT, pat | 2ULL << 56), "type 2 is #GP(0)");
	check(refused(MSR_PAT, (pat & ~0xffUL) | 3), "type 3 is #GP(0)");
	check(refused(MSR_PAT, (pat & ~0xff00UL) | 8 << 8),
	      "a reserved bit is #GP(0)");
	check(rdmsr(MSR_PAT) == pat, "and changes nothing");
}

static void test_mtrr(void)
{
	uint64_t cap = rdmsr(MSR_MTRR_CAP), type = rdmsr(MSR_MTRR_TYPE);

	check(cap & 0xff, "there are %d variable ranges", (int)(cap & 0xff));
	check(refused(MSR_MTRR_CAP, cap), "MTRRcap is read-only");
	check(refused(MSR_MTRR_TYPE, type | 0x100),
	      "a reserved bit of MTRRdefType is #GP(0)");
	check(refused(MSR_MTRR_TYPE, (type & ~0xffUL) | 2),
	      "a reserved default type is #GP(0)");
	check(refused(MSR_MTRR_BASE0, 2), "a reserved type of a range is #GP");
	check(refused(MSR_MTRR_BASE0, 0x100),
	      "a reserved bit of a range is #GP");
	check(refused(MSR_MTRR_FIX64K, 7),
	      "a reserved type of a fixed range is #GP");
	check(takes(MSR_MTRR_FIX64K, 0x0606060606060604),
	      "fixed ranges read back");
}

static void test_mca(void)
{
	uint32_t r[4];
	bool good = true;
	unsigned int n;

	cpuid(1, 0, r);
	if (!(r[3] >> 14 & 1)) {
		skip("the processor has no machine check architecture");
		return;
	}
	n = rdmsr(MSR_MCG_CAP) & 0xff;
	check(n > 0, "%d banks", (int)n);
	for (unsigned int i = 0; i < n; i++) {
		wrmsr(MSR_MC0_STATUS + 4 * i, 0);
		good &= rdmsr(MSR_MC0_STATUS + 4 * i) == 0;
	}
	check(good, "0 clears the status of each bank");
}

static void test_cpuid(void)
{
	reg_t a = 0xffffffff00000001, c = 0xffffffff00000000, b = ~0UL;
	reg_t d = ~0UL;
	uint32_t r[4];

	__asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	check(!((a | b | c | d) >> 32), "CPUID clears all upper halves");
	check(!(c >> 27 & 1), "OSXSAVE is clear before CR4.OSXSAVE is set");
	if (!(c >> 26 & 1)) {
		skip("the processor has no XSAVE");
		return;
	}
	write_cr4(read_cr4() | 1 << 18);
	cpuid(1, 0, r);
	check(r[2] >> 27 & 1, "and set after");
	write_cr4(read_cr4() & ~(1UL << 18));
}

void setup(void)
{
	boot_pml4[2] = (uint64_t)pdpt2 | 7;
	pdpt2[0] = (uint64_t)pd2 | 7;
	pd2[0] = USER_PA | 0x87;
}

const struct test tests[] = {
	{"unknown", test_unknown,
	 "SDM 2 \"RDMSR\", \"WRMSR\": #GP(0) for a reserved "
	 "address"},
	{"halves", test_halves,
	 "SDM 2 \"RDMSR\", \"WRMSR\": the high-order 32 bits"},
	{"user", test_user, "SDM 3A \"Privileged Instructions\""},
	{"efer", test_efer, "SDM 3A \"Extended Feature Enable Register\""},
	{"canonical", test_canonical,
	 "SDM 2 \"WRMSR\": #GP(0) for an address that is not canonical"},
	{"bases", test_bases,
	 "SDM 3A \"Segment Loading Instructions in IA-32e Mode\", SDM 2 "
	 "\"SWAPGS - Swap GS Base Register\""},
	{"fsgsbase", test_fsgsbase,
	 "SDM 2 \"RDFSBASE/RDGSBASE\", \"WRFSBASE/WRGSBASE\""},
	{"fsgsbase-off", test_fsgsbase_off,
	 "SDM 2 \"RDFSBASE/RDGSBASE\": #UD if CR4.FSGSBASE is clear"},
	{"tsc-aux", test_tsc_aux,
	 "SDM 2 \"RDTSCP - Read Time-Stamp Counter and Processor ID\""},
	{"syscall", test_syscall_msrs,
	 "SDM 3A \"Fast System Calls in 64-Bit Mode\""},
	{"pat", test_pat, "SDM 3A \"IA32_PAT MSR\""},
	{"mtrr", test_mtrr, "SDM 3A \"Setting Memory Ranges with MTRRs\""},
	{"mca", test_mca, "SDM 3B \"IA32_MCi_STATUS MSRS\""},
	{"cpuid", test_cpuid, "SDM 2 \"CPUID - CPU Identification\""},
	{NULL},
};
