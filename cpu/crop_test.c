/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of control registers, debug registers, XCR0 and reset: what is
 * refused, what changes, what leaves.
 */
#include "cpu/crop.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "cpu/fake.h"
#include "cpu/insn.h"
#include "cpu/reset.h"
#include "cpu/xstate.h"
#include "x86/msr.h"

static struct fake *setup(void)
{
	struct fake *f = fake_new();

	assert_int_equal(cpu_state_create(&f->cpu), 0);
	cpu_reset(&f->cpu, false);
	fake_long_mode(f);
	f->cpu.maxphyaddr = 40;
	f->cpu.cr4_allowed |= CR4_UMIP | CR4_LA57 | CR4_FSGSBASE | CR4_PCIDE |
			      CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | CR4_PKE;
	f->cpu.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | 0xb | SEG_ATTR_L;
	return f;
}

/* Protected mode, 32 bits, no paging. */
static struct fake *setup32(void)
{
	struct fake *f = setup();

	f->cpu.cr0 = CR0_PE | CR0_ET;
	f->cpu.cr4 = 0;
	f->cpu.cr3 = 0;
	f->cpu.efer = 0;
	f->cpu.code_bits = 32;
	f->cpu.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | 0xb | SEG_ATTR_DB;
	return f;
}

static void teardown(struct fake *f)
{
	cpu_state_destroy(&f->cpu);
	fake_free(f);
}

/* A register-to-register form: @n is the control or debug register. */
static int run(struct fake *f, exec_fn *fn, unsigned int n, uint64_t val)
{
	bool from = fn == exec_mov_from_cr || fn == exec_mov_from_dr;
	struct insn i = {.opsize = 8, .addrsize = 8, .next_rip = 0x103};

	i.op[from].kind = OPND_CR;
	i.op[from].reg = n;
	i.op[!from] = (struct opnd){
		.kind = OPND_REG, .size = 8, .reg = REG_RBX};
	if (!from)
		f->cpu.gpr[REG_RBX] = val;
	f->cpu.rip = 0x100;
	return FAKE_RUN(f, fn(&f->cpu, &i));
}

static int to_cr(struct fake *f, unsigned int n, uint64_t val)
{
	return run(f, exec_mov_to_cr, n, val);
}

#define GP (VEC_GP + 1)

static void test_cr0(void **state)
{
	struct fake *f = setup32();
	struct cpu *cpu = &f->cpu;

	assert_int_equal(to_cr(f, 0, BIT64(32) | CR0_PE), GP);
	assert_int_equal(to_cr(f, 0, CR0_PG), GP);
	assert_int_equal(to_cr(f, 0, CR0_PE | CR0_NW), GP);
	assert_int_equal(to_cr(f, 0, CR0_PE | CR0_NW | CR0_CD), 0);
	assert_int_equal(to_cr(f, 0, CR0_PE | 0x40), 0); /* reserved: dropped */
	assert_true(cpu->cr0 == (CR0_PE | CR0_ET));
	cpu->mode_dirty = false;
	/* long mode wants PAE and a CS that is not long */
	cpu->efer = EFER_LME;
	assert_int_equal(to_cr(f, 0, CR0_PE | CR0_PG), GP);
	assert_false(cpu->mode_dirty);
	cpu->cr4 = CR4_PAE;
	cpu->seg[SEG_CS].attr |= SEG_ATTR_L;
	assert_int_equal(to_cr(f, 0, CR0_PE | CR0_PG), GP);
	cpu->seg[SEG_CS].attr &= ~SEG_ATTR_L;
	assert_int_equal(to_cr(f, 0, CR0_PE | CR0_PG), 0);
	assert_true(cpu->mode_dirty && cpu->efer & EFER_LMA);
	/* and out again: not from 64-bit code, not with PCID */
	cpu->seg[SEG_CS].attr |= SEG_ATTR_L;
	assert_int_equal(to_cr(f, 0, CR0_PE), GP);
	cpu->seg[SEG_CS].attr &= ~SEG_ATTR_L;
	assert_int_equal(to_cr(f, 4, CR4_PAE | CR4_PCIDE), 0);
	assert_int_equal(to_cr(f, 0, CR0_PE), GP);
	assert_int_equal(to_cr(f, 4, CR4_PAE), 0);
	assert_int_equal(to_cr(f, 0, CR0_PE), 0);
	assert_true(cpu->efer == EFER_LME);
	assert_int_equal(run(f, exec_mov_from_cr, 0, 0), 0);
	assert_true(cpu->gpr[REG_RBX] == cpu->cr0);
	cpu->cpl = 3;
	assert_int_equal(to_cr(f, 0, CR0_PE), GP);
	assert_int_equal(run(f, exec_mov_from_cr, 0, 0), GP);
	teardown(f);
}

static void test_pdptrs(void **state)
{
	struct fake *f = setup32();
	struct cpu *cpu = &f->cpu;
	uint64_t *p = (uint64_t *)(f->ram + 0x5020);

	p[0] = 0x6001;
	p[1] = 0xfff0000000000000; /* not present: anything goes */
	p[3] = 0x7001;
	cpu->cr3 = 0x5020;
	cpu->cr4 = CR4_PAE;
	assert_int_equal(to_cr(f, 0, CR0_PE | CR0_PG), 0);
	assert_true(cpu->pdptr[0] == 0x6001 && cpu->pdptr[3] == 0x7001);
	p[2] = 0x8003; /* reserved bit */
	assert_int_equal(to_cr(f, 3, 0x5020), GP);
	assert_true(cpu->pdptr[2] == 0);
	p[2] = BIT64(40) | 1;
	assert_int_equal(to_cr(f, 3, 0x5020), GP);
	p[2] = 0x9001;
	assert_int_equal(to_cr(f, 3, 0x5020), 0);
	assert_true(cpu->pdptr[2] == 0x9001);
	p[2] = 0xa001; /* CR4 writes load them too */
	assert_int_equal(to_cr(f, 4, CR4_PAE | CR4_PGE), 0);
	assert_true(cpu->pdptr[2] == 0xa001);
	assert_int_equal(to_cr(f, 3, 0xfffff000), GP); /* no RAM */
	assert_true(cpu->cr3 == 0x5020);
	teardown(f);
}

static void test_cr3(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;

	assert_int_equal(to_cr(f, 3, BIT64(40)), GP);
	assert_int_equal(to_cr(f, 3, BIT64(63) | 0x1000), GP);
	assert_int_equal(to_cr(f, 3, 0x1000), 0);
	assert_int_equal(to_cr(f, 4, cpu->cr4 | CR4_PCIDE), 0);
	assert_int_equal(to_cr(f, 3, BIT64(63) | 0x1005), 0);
	assert_true(cpu->cr3 == 0x1005);
	assert_int_equal(to_cr(f, 4, cpu->cr4 & ~CR4_PCIDE), 0);
	assert_int_equal(to_cr(f, 4, cpu->cr4 | CR4_PCIDE), GP); /* PCID 5 */
	teardown(f);
}

static void test_cr4(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	uint64_t cr4 = cpu->cr4;

	assert_int_equal(to_cr(f, 4, cr4 | CR4_VMXE), GP);
	assert_int_equal(to_cr(f, 4, cr4 | BIT64(40)), GP);
	assert_int_equal(to_cr(f, 4, cr4 & ~CR4_PAE), GP);
	assert_int_equal(to_cr(f, 4, cr4 | CR4_LA57), GP);
	assert_int_equal(to_cr(f, 4, cr4 | CR4_SMEP | CR4_SMAP | CR4_UMIP), 0);
	assert_int_equal(cpuid_set_table(cpu, NULL, 0), 0);
	assert_int_equal(to_cr(f, 4, cr4 | CR4_SMEP), GP);
	assert_int_equal(to_cr(f, 4, cr4 | CR4_FSGSBASE), GP);
	assert_int_equal(to_cr(f, 4, cr4 | CR4_OSFXSR), 0);
	teardown(f);
	f = setup32();
	assert_int_equal(to_cr(f, 4, CR4_LA57), 0);
	assert_int_equal(to_cr(f, 4, CR4_PAE | CR4_PCIDE), GP);
	teardown(f);
}

static void test_efer(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	uint64_t efer = cpu->efer;

	assert_int_equal(crop_set_efer(cpu, efer | EFER_SVME, false), -EINVAL);
	assert_int_equal(crop_set_efer(cpu, efer & ~EFER_LME, false), -EINVAL);
	assert_int_equal(crop_set_efer(cpu, EFER_LME | EFER_SCE, false), 0);
	assert_true(cpu->efer == (EFER_LME | EFER_LMA | EFER_SCE));
	assert_int_equal(cpuid_set_table(cpu, NULL, 0), 0);
	assert_int_equal(crop_set_efer(cpu, cpu->efer | EFER_NXE, false),
			 -EINVAL);
	assert_int_equal(crop_set_efer(cpu, cpu->efer | EFER_NXE, true), 0);
	teardown(f);
}

static void test_sregs(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct crop_regs ok =
				 {
					 .cr0 = CR0_PE | CR0_PG | CR0_NE,
					 .cr3 = 0x3000,
					 .cr4 = CR4_PAE,
					 .efer = EFER_LME | EFER_LMA,
					 .cs_l = true,
				 },
			 r;

#define REFUSE(change)                                             \
	do {                                                       \
		r = ok;                                            \
		change;                                            \
		assert_int_equal(crop_set_regs(cpu, &r), -EINVAL); \
		assert_true(cpu->cr3 == 0x1000);                   \
	} while (0)
	REFUSE(r.cr4 = 0);
	REFUSE(r.efer = EFER_LME);
	REFUSE(r.cr3 = BIT64(45));
	REFUSE(r.cr0 = CR0_PG);
	REFUSE(r.cr0 |= CR0_NW);
	REFUSE(r.cr0 |= BIT64(33));
	REFUSE(r.cr4 |= CR4_VMXE);
	REFUSE(r.efer |= EFER_SVME);
	REFUSE(r.cr0 = CR0_PE); /* LMA without paging */
	REFUSE(r.efer = 0);     /* CS.L outside long mode */
#undef REFUSE
	assert_int_equal(crop_set_regs(cpu, &ok), 0);
	assert_true(cpu->cr3 == 0x3000 && cpu->mode_dirty);
	teardown(f);
}

static void test_dr(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;

	assert_int_equal(run(f, exec_mov_to_dr, 0, ~0ULL), 0);
	assert_true(cpu->dr[0] == ~0ULL);
	assert_int_equal(run(f, exec_mov_to_dr, 7, BIT64(32)), GP);
	assert_int_equal(run(f, exec_mov_to_dr, 6, BIT64(32)), GP);
	assert_int_equal(run(f, exec_mov_to_dr, 6, 0xffffffff), 0);
	assert_true(cpu->dr6 == 0xffffefff);
	assert_int_equal(run(f, exec_mov_to_dr, 4, 0), 0); /* alias */
	assert_true(cpu->dr6 == 0xffff0ff0);
	assert_int_equal(run(f, exec_mov_to_dr, 7, 0xffffd3ff), 0);
	assert_true(cpu->dr7 == 0xffff07ff);
	cpu->cr4 |= CR4_DE;
	assert_int_equal(run(f, exec_mov_from_dr, 5, 0), VEC_UD + 1);
	cpu->dr7 |= DR7_GD;
	assert_int_equal(run(f, exec_mov_from_dr, 0, 0), VEC_DB + 1);
	assert_true(cpu->raised.payload == DR6_BD);
	assert_int_equal(cpu->raised.kind, EVENT_FAULT);
	cpu->cpl = 3;
	assert_int_equal(run(f, exec_mov_from_dr, 0, 0), GP);
	teardown(f);
}

/* The dependency rules as a plain list, over every combination. */
static bool xcr0_legal(uint64_t v, uint64_t allowed)
{
	bool sse = v & 2, avx = v & 4;
	unsigned int z = v >> 5 & 7;

	if (!(v & 1) || (v & ~allowed))
		return false;
	if (avx && !sse)
		return false;
	return z == 0 || (z == 7 && avx);
}

static void test_xcr0(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct insn i = {0};
	volatile uint64_t v;

	assert_int_equal(FAKE_RUN(f, exec_xsetbv(cpu, &i)), VEC_UD + 1);
	cpu->cr4 |= CR4_OSXSAVE;
	for (v = 0; v < 2048; v++) {
		volatile bool legal = xcr0_legal(v, xstate_layout()->mask);

		cpu->xcr0 = 1;
		cpu->gpr[REG_RAX] = v;
		cpu->gpr[REG_RCX] = cpu->gpr[REG_RDX] = 0;
		assert_int_equal(FAKE_RUN(f, exec_xsetbv(cpu, &i)),
				 legal ? 0 : GP);
		assert_true(cpu->xcr0 == (legal ? v : 1));
	}
	cpu->gpr[REG_RAX] = 1;
	cpu->gpr[REG_RDX] = 0;
	cpu->gpr[REG_RCX] = 1;
	assert_int_equal(FAKE_RUN(f, exec_xsetbv(cpu, &i)), GP);
	cpu->gpr[REG_RCX] = 2;
	assert_int_equal(FAKE_RUN(f, exec_xgetbv(cpu, &i)), GP);
	cpu->gpr[REG_RCX] = 0;
	cpu->cpl = 3;
	assert_int_equal(FAKE_RUN(f, exec_xgetbv(cpu, &i)), 0);
	assert_int_equal(FAKE_RUN(f, exec_xsetbv(cpu, &i)), GP);
	teardown(f);
}

static void test_pkru(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct insn i = {0};

	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	assert_int_equal(FAKE_RUN(f, exec_rdpkru(cpu, &i)), VEC_UD + 1);
	cpu->cr4 |= CR4_PKE;
	cpu->cpl = 3;
	cpu->gpr[REG_RAX] = 0x55;
	assert_int_equal(FAKE_RUN(f, exec_wrpkru(cpu, &i)), 0);
	assert_int_equal(cpu->pkru, 0x55);
	cpu->gpr[REG_RDX] = 1;
	assert_int_equal(FAKE_RUN(f, exec_wrpkru(cpu, &i)), GP);
	assert_int_equal(FAKE_RUN(f, exec_rdpkru(cpu, &i)), 0);
	assert_int_equal(cpu->gpr[REG_RDX], 0);
	cpu->gpr[REG_RCX] = 1;
	assert_int_equal(FAKE_RUN(f, exec_rdpkru(cpu, &i)), GP);
	teardown(f);
}

static void test_msw(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct insn i = {
		.op[0] = {.kind = OPND_REG, .size = 2, .reg = REG_RBX}};

	cpu->gpr[REG_RBX] = 0xfff0 | CR0_TS;
	assert_int_equal(FAKE_RUN(f, exec_lmsw(cpu, &i)), 0);
	assert_true(cpu->cr0 & CR0_PE && cpu->cr0 & CR0_TS);
	assert_true(cpu->cr0 & CR0_PG);
	assert_int_equal(FAKE_RUN(f, exec_clts(cpu, &i)), 0);
	assert_false(cpu->cr0 & CR0_TS);
	i.op[0].size = 8;
	cpu->cpl = 3;
	assert_int_equal(FAKE_RUN(f, exec_smsw(cpu, &i)), 0);
	assert_true(cpu->gpr[REG_RBX] == cpu->cr0);
	cpu->cr4 |= CR4_UMIP;
	assert_int_equal(FAKE_RUN(f, exec_smsw(cpu, &i)), GP);
	assert_int_equal(FAKE_RUN(f, exec_clts(cpu, &i)), GP);
	assert_int_equal(FAKE_RUN(f, exec_wbinvd(cpu, &i)), GP);
	assert_int_equal(FAKE_RUN(f, exec_rsm(cpu, &i)), VEC_UD + 1);
	teardown(f);
}

static int invpcid(struct fake *f, uint64_t type, uint64_t pcid, uint64_t gva)
{
	struct insn i = {
		.addrsize = 8,
		.op[0] = {.kind = OPND_REG, .size = 8, .reg = REG_RBX},
		.op[1] = {.kind = OPND_MEM,
			  .seg = SEG_DS,
			  .base = OPND_NOREG,
			  .index = OPND_NOREG,
			  .disp = 0x10000},
	};
	uint64_t *desc = (uint64_t *)(f->ram + 0x8000);

	desc[0] = pcid;
	desc[1] = gva;
	f->cpu.gpr[REG_RBX] = type;
	return FAKE_RUN(f, exec_invpcid(&f->cpu, &i));
}

static void test_invpcid(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;

	assert_int_equal(invpcid(f, 2, 0, 0), VEC_PF + 1);
	fake_map(f, 0x10000, 0x8000, PTE_P | PTE_W | PTE_A | PTE_D);
	assert_int_equal(invpcid(f, 0, 0, 0x1000), 0);
	assert_int_equal(invpcid(f, 0, 1, 0x1000), GP);
	assert_int_equal(invpcid(f, 1, 1, 0), GP);
	assert_int_equal(invpcid(f, 2, 1, 0), 0);
	assert_int_equal(invpcid(f, 3, 0, 0), 0);
	assert_int_equal(invpcid(f, 4, 0, 0), GP);
	assert_int_equal(invpcid(f, BIT64(32), 0, 0), GP);
	cpu->cr4 |= CR4_PCIDE;
	assert_int_equal(invpcid(f, 0, 1, 0x1000), 0);
	assert_int_equal(invpcid(f, 1, 0xfff, 0), 0);
	assert_int_equal(invpcid(f, 1, 0x1000, 0), GP);
	assert_int_equal(invpcid(f, 0, 1, BIT64(60)), GP);
	cpu->cpl = 3;
	assert_int_equal(invpcid(f, 2, 0, 0), GP);
	teardown(f);
}

static void test_leave(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;

	cpu->exit = CPU_EXIT_NONE;
	assert_int_equal(to_cr(f, 8, 16), GP);
	assert_int_equal(to_cr(f, 8, cpu->cr8), 0);
	assert_int_equal(to_cr(f, 8, 9), -1);
	assert_true(cpu->exit == CPU_EXIT_CR8 && cpu->rip == 0x103);
	assert_int_equal(to_cr(f, 5, 0), VEC_UD + 1);
	assert_int_equal(run(f, exec_hlt, 0, 0), -1);
	assert_true(cpu->exit == CPU_EXIT_HLT && cpu->rip == 0x103);
	cpu->vendor_amd = false;
	assert_int_equal(run(f, exec_vmcall, 0, 0), -1);
	assert_true(cpu->exit == CPU_EXIT_HYPERCALL && cpu->rip == 0x103);
	cpu->disabled_quirks = CPU_QUIRK_FIX_HYPERCALL;
	assert_int_equal(run(f, exec_vmmcall, 0, 0), VEC_UD + 1);
	cpu->vendor_amd = true;
	assert_int_equal(run(f, exec_vmcall, 0, 0), VEC_UD + 1);
	assert_int_equal(run(f, exec_vmmcall, 0, 0), -1);
	assert_true(cpu->exit == CPU_EXIT_HYPERCALL && cpu->rip == 0x103);
	assert_int_equal(run(f, exec_mwait, 0, 0), 0);
	cpu->disabled_quirks = CPU_QUIRK_MWAIT_NEVER_UD;
	cpu->disabled_quirks |= CPU_QUIRK_MISC_ENABLE_NO_MWAIT;
	cpu->misc_enable |= MISC_ENABLE_MWAIT;
	assert_int_equal(run(f, exec_mwait, 0, 0), 0);
	cpu->misc_enable &= ~MISC_ENABLE_MWAIT;
	assert_int_equal(run(f, exec_mwait, 0, 0), VEC_UD + 1);
	cpu->disabled_quirks = CPU_QUIRK_MWAIT_NEVER_UD;
	memset(cpu->features, 0, sizeof(cpu->features));
	assert_int_equal(run(f, exec_mwait, 0, 0), VEC_UD + 1);
	cpu->cpl = 3;
	assert_int_equal(run(f, exec_hlt, 0, 0), GP);
	teardown(f);
}

static void test_reset(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;

	cpu->lstar = 0x1234;
	cpu->xcr0 = 7;
	cpu->cr0 |= CR0_CD;
	cpu->tsc_offset = 99;
	cpu->dr[1] = 5;
	cpu_reset(cpu, true);
	assert_true(cpu->lstar == 0x1234 && cpu->xcr0 == 7);
	assert_true(cpu->cr0 == (CR0_CD | CR0_ET));
	assert_true(cpu->dr[1] == 0 && cpu->efer == 0 && cpu->cr4 == 0);
	cpu_reset(cpu, false);
	assert_true(cpu->lstar == 0 && cpu->xcr0 == 1);
	assert_true(cpu->cr0 == 0x60000010);
	assert_true(cpu->rip == 0xfff0);
	assert_true(cpu->seg[SEG_CS].base == 0xffff0000);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0xf000);
	assert_int_equal(cpu->seg[SEG_CS].attr, 0x9b);
	assert_int_equal(cpu->seg[SEG_DS].attr, 0x93);
	assert_int_equal(cpu->seg[SEG_TR].attr, 0x8b);
	assert_int_equal(cpu->seg[SEG_LDT].attr, 0x82);
	assert_int_equal(cpu->seg[SEG_DS].limit, 0xffff);
	assert_true(cpu_rflags(cpu) == 2);
	assert_true(cpu->dr6 == 0xffff0ff0 && cpu->dr7 == 0x400);
	assert_int_equal(cpu->gpr[REG_RDX], 0x600);
	assert_true(cpu->pat == PAT_RESET && cpu->misc_enable == 0x1800);
	assert_int_equal(cpu->tsc_offset, 99);
	assert_int_equal(cpu->code_bits, 16);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cr0),     cmocka_unit_test(test_pdptrs),
		cmocka_unit_test(test_cr3),     cmocka_unit_test(test_cr4),
		cmocka_unit_test(test_efer),    cmocka_unit_test(test_sregs),
		cmocka_unit_test(test_dr),      cmocka_unit_test(test_xcr0),
		cmocka_unit_test(test_pkru),    cmocka_unit_test(test_msw),
		cmocka_unit_test(test_invpcid), cmocka_unit_test(test_leave),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
