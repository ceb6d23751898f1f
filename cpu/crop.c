/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control and debug registers, TLB control, XCR0, PKRU, and the system
 * instructions that only check privilege or leave. SDM 3A "Control Registers"
 * (2.5), "Debug Registers" (17.2), SDM 2 for each instruction. Caches are
 * coherent with everything here, so WBINVD and INVD have nothing to do.
 */
#include "cpu/crop.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/insn.h"
#include "cpu/mem.h"
#include "cpu/tlb.h"
#include "cpu/xstate.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define CR0_KNOWN                                                       \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | \
	 CR0_AM | CR0_NW | CR0_CD | CR0_PG)
/* CR4 bits that decide how addresses are translated, or what is global. */
#define CR4_TRANSLATION (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE)
#define CR4_RIGHTS      (CR4_SMEP | CR4_SMAP | CR4_PKE)
#define CR4_PDPTR_LOADS (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP)

#define CR3_NOFLUSH BIT64(63)

#define DR6_WRITABLE 0xe00fULL
#define DR7_WRITABLE 0xffff2bffULL

static void need_ring0(struct cpu *cpu)
{
	if (cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, 0);
}

static void need(struct cpu *cpu, bool ok)
{
	if (!ok)
		cpu_raise_err(cpu, VEC_GP, 0);
}

static uint32_t low(const struct cpu *cpu, unsigned int reg)
{
	return (uint32_t)cpu->gpr[reg];
}

static bool pae_paging(const struct cpu *cpu)
{
	return cpu_paging(cpu) && cpu->cr4 & CR4_PAE && !cpu_long_mode(cpu);
}

/* ---- CR0, CR3, CR4, EFER ---- */

static bool cr0_valid(uint64_t val)
{
	if (val >> 32)
		return false;
	if (val & CR0_PG && !(val & CR0_PE))
		return false;
	return !(val & CR0_NW) || val & CR0_CD;
}

static bool cr3_valid(const struct cpu *cpu, uint64_t val)
{
	return !(val >> cpu->maxphyaddr);
}

static bool pdpte_valid(const struct cpu *cpu, uint64_t pdpte)
{
	uint64_t reserved = 0x1e6 | ~0ULL << cpu->maxphyaddr;

	return !(pdpte & 1) || !(pdpte & reserved);
}

int crop_load_pdptrs(struct cpu *cpu, uint64_t cr3)
{
	uint64_t pdptr[4];
	unsigned int i;

	if (phys_read(cpu, cr3 & 0xffffffe0, pdptr, sizeof(pdptr)))
		return -EINVAL;
	for (i = 0; i < 4; i++)
		if (!pdpte_valid(cpu, pdptr[i]))
			return -EINVAL;
	for (i = 0; i < 4; i++)
		cpu->pdptr[i] = pdptr[i];
	return 0;
}

/* CR0.PG rises: long mode begins, or PDPTEs are loaded. */
static int paging_on(struct cpu *cpu)
{
	if (cpu->efer & EFER_LME) {
		if (!(cpu->cr4 & CR4_PAE) || cpu->seg[SEG_CS].attr & SEG_ATTR_L)
			return -EINVAL;
		cpu->efer |= EFER_LMA;
		return 0;
	}
	if (cpu->cr4 & CR4_PAE)
		return crop_load_pdptrs(cpu, cpu->cr3);
	return 0;
}

static int paging_off(struct cpu *cpu)
{
	if (cpu->cr4 & CR4_PCIDE)
		return -EINVAL;
	if (cpu_long_mode(cpu)) {
		if (cpu->seg[SEG_CS].attr & SEG_ATTR_L)
			return -EINVAL;
		cpu->efer &= ~EFER_LMA;
	}
	return 0;
}

int crop_set_cr0(struct cpu *cpu, uint64_t val)
{
	uint64_t changed;
	int ret = 0;

	if (!cr0_valid(val))
		return -EINVAL;
	val = (val & CR0_KNOWN) | CR0_ET;
	changed = val ^ cpu->cr0;
	if (changed & CR0_PG)
		ret = val & CR0_PG ? paging_on(cpu) : paging_off(cpu);
	else if (changed & (CR0_CD | CR0_NW) && pae_paging(cpu))
		ret = crop_load_pdptrs(cpu, cpu->cr3);
	if (ret)
		return ret;
	cpu->cr0 = val;
	cpu->mode_dirty = true;
	if (changed & (CR0_PG | CR0_PE))
		tlb_flush_all(cpu);
	else if (changed & CR0_WP)
		tlb_flush_rights(cpu);
	return 0;
}

static bool cr4_valid(const struct cpu *cpu, uint64_t val)
{
	return !(val & ~cpu->cr4_allowed);
}

static int cr4_transition(struct cpu *cpu, uint64_t val)
{
	uint64_t changed = val ^ cpu->cr4;

	if (cpu_long_mode(cpu)) {
		if (!(val & CR4_PAE) || changed & CR4_LA57)
			return -EINVAL;
	} else if (val & changed & CR4_PCIDE) {
		return -EINVAL;
	} else if (cpu_paging(cpu) && val & CR4_PAE &&
		   changed & CR4_PDPTR_LOADS) {
		return crop_load_pdptrs(cpu, cpu->cr3);
	}
	if (val & changed & CR4_PCIDE && cpu->cr3 & 0xfff)
		return -EINVAL;
	return 0;
}

int crop_set_cr4(struct cpu *cpu, uint64_t val)
{
	uint64_t changed = val ^ cpu->cr4;

	if (!cr4_valid(cpu, val) || cr4_transition(cpu, val))
		return -EINVAL;
	cpu->cr4 = val;
	cpu->mode_dirty = true;
	if (changed & CR4_TRANSLATION)
		tlb_flush_all(cpu);
	else if (changed & CR4_RIGHTS)
		tlb_flush_rights(cpu);
	return 0;
}

static uint64_t efer_known(void)
{
	return EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR |
	       EFER_AUTOIBRS;
}

static bool efer_valid(const struct cpu *cpu, uint64_t val)
{
	if (val & EFER_AUTOIBRS && !cpu_has(cpu, FEAT_AUTO_IBRS))
		return false;
	if (val & EFER_FFXSR && !cpu_has(cpu, FEAT_FXSR_OPT))
		return false;
	if (val & (EFER_LME | EFER_LMA) && !cpu_has(cpu, FEAT_LM))
		return false;
	return !(val & EFER_NXE) || cpu_has(cpu, FEAT_NX);
}

int crop_set_efer(struct cpu *cpu, uint64_t val, bool host)
{
	uint64_t changed;

	if (val & ~efer_known())
		return -EINVAL;
	if (!host && !efer_valid(cpu, val))
		return -EINVAL;
	val = (val & ~EFER_LMA) | (cpu->efer & EFER_LMA);
	changed = val ^ cpu->efer;
	if (!host && changed & EFER_LME && cpu_paging(cpu))
		return -EINVAL;
	cpu->efer = val;
	cpu->mode_dirty = true;
	if (changed & EFER_NXE)
		tlb_flush_all(cpu);
	return 0;
}

void crop_load_cr3(struct cpu *cpu, uint64_t val)
{
	uint64_t old = cpu->cr3;
	bool noflush = false;

	if (cpu->cr4 & CR4_PCIDE) {
		noflush = val & CR3_NOFLUSH;
		val &= ~CR3_NOFLUSH;
	}
	if (cpu_long_mode(cpu))
		need(cpu, cr3_valid(cpu, val));
	else
		val = (uint32_t)val;
	if (pae_paging(cpu))
		need(cpu, !crop_load_pdptrs(cpu, val));
	cpu->cr3 = val;
	tlb_switch_cr3(cpu, old, val, noflush);
}

static bool regs_valid(const struct cpu *cpu, const struct crop_regs *r)
{
	if (r->efer & EFER_LME && r->cr0 & CR0_PG) {
		if (!(r->cr4 & CR4_PAE) || !(r->efer & EFER_LMA))
			return false;
		if (!cr3_valid(cpu, r->cr3))
			return false;
	} else if (r->efer & EFER_LMA || r->cs_l) {
		return false;
	}
	return cr4_valid(cpu, r->cr4) && cr0_valid(r->cr0) &&
	       !(r->efer & ~efer_known());
}

int crop_set_regs(struct cpu *cpu, const struct crop_regs *r)
{
	unsigned int i;

	if (!regs_valid(cpu, r))
		return -EINVAL;
	cpu->cr0 = (r->cr0 & CR0_KNOWN) | CR0_ET;
	cpu->cr3 = r->cr3;
	cpu->cr4 = r->cr4;
	cpu->efer = r->efer;
	for (i = 0; r->pdptr && i < 4; i++)
		cpu->pdptr[i] = r->pdptr[i];
	/* as KVM: PDPTEs that cannot be loaded leave the old ones */
	if (!r->pdptr && pae_paging(cpu))
		(void)!crop_load_pdptrs(cpu, r->cr3);
	cpu->mode_dirty = true;
	tlb_flush_all(cpu);
	return 0;
}

static void write_cr8(struct cpu *cpu, const struct insn *i, uint64_t val)
{
	need(cpu, val <= 15);
	if (cpu->cr8 == val)
		return;
	cpu->cr8 = val;
	cpu->rip = i->next_rip;
	cpu_exit_to_kvm(cpu, CPU_EXIT_CR8);
}

int exec_mov_to_cr(struct cpu *cpu, const struct insn *i)
{
	uint64_t val = insn_read(cpu, i, 1);

	need_ring0(cpu);
	switch (i->op[0].reg) {
	case 0: need(cpu, !crop_set_cr0(cpu, val)); break;
	case 2: cpu->cr2 = val; break;
	case 3: crop_load_cr3(cpu, val); break;
	case 4: need(cpu, !crop_set_cr4(cpu, val)); break;
	case 8: write_cr8(cpu, i, val); break;
	default: cpu_raise(cpu, VEC_UD);
	}
	return EXEC_NEXT;
}

int exec_mov_from_cr(struct cpu *cpu, const struct insn *i)
{
	uint64_t val = 0;

	need_ring0(cpu);
	switch (i->op[1].reg) {
	case 0: val = cpu->cr0; break;
	case 2: val = cpu->cr2; break;
	case 3: val = cpu->cr3; break;
	case 4: val = cpu->cr4; break;
	case 8: val = cpu->cr8; break;
	default: cpu_raise(cpu, VEC_UD);
	}
	insn_write(cpu, i, 0, val);
	return EXEC_NEXT;
}

/* ---- debug registers ---- */

/* The register meant, after the checks common to both directions. */
static unsigned int debug_reg(struct cpu *cpu, unsigned int n)
{
	if (n > 7)
		cpu_raise(cpu, VEC_UD);
	need_ring0(cpu);
	if (n == 4 || n == 5) {
		if (cpu->cr4 & CR4_DE)
			cpu_raise(cpu, VEC_UD);
		n += 2;
	}
	if (debug_dr7(cpu) & DR7_GD)
		cpu_raise_db(cpu, DR6_BD, false);
	return n;
}

int exec_mov_to_dr(struct cpu *cpu, const struct insn *i)
{
	unsigned int n = debug_reg(cpu, i->op[0].reg);
	uint64_t val = insn_read(cpu, i, 1);

	if (n < 4) {
		cpu->dr[n] = val;
	} else {
		need(cpu, !(val >> 32));
		if (n == 6)
			cpu->dr6 = (val & DR6_WRITABLE) | DR6_FIXED;
		else
			cpu->dr7 = (val & DR7_WRITABLE) | DR7_FIXED;
	}
	cpu->mode_dirty = true;
	return EXEC_NEXT;
}

int exec_mov_from_dr(struct cpu *cpu, const struct insn *i)
{
	unsigned int n = debug_reg(cpu, i->op[1].reg);
	uint64_t val = n < 4 ? cpu->dr[n] : n == 6 ? cpu->dr6 : cpu->dr7;

	insn_write(cpu, i, 0, val);
	return EXEC_NEXT;
}

/* ---- CLTS, LMSW, SMSW ---- */

int exec_clts(struct cpu *cpu, const struct insn *i)
{
	need_ring0(cpu);
	cpu->cr0 &= ~CR0_TS;
	cpu->mode_dirty = true;
	return EXEC_NEXT;
}

int exec_lmsw(struct cpu *cpu, const struct insn *i)
{
	uint64_t msw;

	need_ring0(cpu);
	msw = insn_read(cpu, i, 0) & (CR0_PE | CR0_MP | CR0_EM | CR0_TS);
	msw |= cpu->cr0 & CR0_PE; /* LMSW does not leave protected mode */
	need(cpu, !crop_set_cr0(cpu, (cpu->cr0 & ~0xfULL) | msw));
	return EXEC_NEXT;
}

int exec_smsw(struct cpu *cpu, const struct insn *i)
{
	if (cpu->cr4 & CR4_UMIP)
		need_ring0(cpu);
	insn_write(cpu, i, 0, cpu->cr0);
	return EXEC_NEXT;
}

/* ---- TLB and caches ---- */

int exec_invlpg(struct cpu *cpu, const struct insn *i)
{
	gva_t gva = insn_ea(cpu, i, 0);
	unsigned int seg = i->op[0].seg;

	need_ring0(cpu);
	if (cpu->code_bits != 64)
		gva = (uint32_t)(gva + cpu->seg[seg].base);
	else if (seg == SEG_FS || seg == SEG_GS)
		gva += cpu->seg[seg].base;
	if (mmu_canonical(cpu, gva)) /* else it does nothing */
		tlb_flush_page(cpu, gva);
	return EXEC_NEXT;
}

enum { INVPCID_ADDR, INVPCID_ONE, INVPCID_ALL, INVPCID_ALL_NONGLOBAL };

int exec_invpcid(struct cpu *cpu, const struct insn *i)
{
	struct {
		uint64_t pcid, gva;
	} desc;
	uint64_t type;
	gva_t at;

	if (!cpu_has(cpu, FEAT_INVPCID))
		cpu_raise(cpu, VEC_UD);
	need_ring0(cpu);
	type = reg_read(cpu, i->op[0].reg, cpu->code_bits == 64 ? 8 : 4);
	need(cpu, type <= INVPCID_ALL_NONGLOBAL);
	at = insn_linear(cpu, i, 1, 16, ACC_READ);
	mem_read_buf(cpu, at, &desc, 16, mem_acc(cpu, ACC_READ));
	need(cpu, !(desc.pcid >> 12));
	if (type <= INVPCID_ONE && !(cpu->cr4 & CR4_PCIDE))
		need(cpu, !desc.pcid);
	switch (type) {
	case INVPCID_ADDR:
		need(cpu, mmu_canonical(cpu, desc.gva));
		tlb_flush_pcid_page(cpu, desc.pcid, desc.gva);
		break;
	case INVPCID_ONE: tlb_flush_pcid(cpu, desc.pcid); break;
	default: tlb_flush_all(cpu); break;
	}
	return EXEC_NEXT;
}

int exec_invd(struct cpu *cpu, const struct insn *i)
{
	need_ring0(cpu);
	return EXEC_NEXT;
}

int exec_wbinvd(struct cpu *cpu, const struct insn *i)
{
	need_ring0(cpu);
	return EXEC_NEXT;
}

int exec_invlpga_ud(struct cpu *cpu, const struct insn *i)
{
	cpu_raise(cpu, VEC_UD);
}

/* ---- XCR0 and PKRU ---- */

int crop_set_xcr0(struct cpu *cpu, uint64_t val)
{
	uint64_t avx512 = val & XCR0_AVX512;

	if (!(val & XCR0_X87) || val & ~(cpu->xcr0_allowed | XCR0_X87))
		return -EINVAL;
	if (val & XCR0_AVX && !(val & XCR0_SSE))
		return -EINVAL;
	if (avx512 && (avx512 != XCR0_AVX512 || !(val & XCR0_AVX)))
		return -EINVAL;
	cpu->xcr0 = val;
	cpu->mode_dirty = true;
	return 0;
}

static void need_osxsave(struct cpu *cpu)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		cpu_raise(cpu, VEC_UD);
}

int exec_xgetbv(struct cpu *cpu, const struct insn *i)
{
	uint64_t val;

	need_osxsave(cpu);
	if (low(cpu, REG_RCX) == 0) {
		val = cpu->xcr0;
	} else {
		need(cpu, low(cpu, REG_RCX) == 1 && cpu_has(cpu, FEAT_XGETBV1));
		val = xstate_inuse(cpu);
	}
	cpu->gpr[REG_RAX] = (uint32_t)val;
	cpu->gpr[REG_RDX] = val >> 32;
	return EXEC_NEXT;
}

int exec_xsetbv(struct cpu *cpu, const struct insn *i)
{
	uint64_t val;

	need_osxsave(cpu);
	need_ring0(cpu);
	need(cpu, low(cpu, REG_RCX) == 0);
	val = low(cpu, REG_RAX) | (uint64_t)low(cpu, REG_RDX) << 32;
	need(cpu, !crop_set_xcr0(cpu, val));
	return EXEC_NEXT;
}

static void need_pke(struct cpu *cpu)
{
	if (!(cpu->cr4 & CR4_PKE))
		cpu_raise(cpu, VEC_UD);
	need(cpu, !low(cpu, REG_RCX));
}

int exec_rdpkru(struct cpu *cpu, const struct insn *i)
{
	need_pke(cpu);
	cpu->gpr[REG_RAX] = cpu->pkru;
	cpu->gpr[REG_RDX] = 0;
	return EXEC_NEXT;
}

int exec_wrpkru(struct cpu *cpu, const struct insn *i)
{
	need_pke(cpu);
	need(cpu, !low(cpu, REG_RDX));
	xstate_set_pkru(cpu, low(cpu, REG_RAX));
	return EXEC_NEXT;
}

/* ---- waiting and leaving ---- */

int exec_hlt(struct cpu *cpu, const struct insn *i)
{
	need_ring0(cpu);
	cpu->rip = i->next_rip;
	cpu_exit_to_kvm(cpu, CPU_EXIT_HLT);
}

/* As CPUID has it: where the quirk is off, MISC_ENABLE decides. */
static bool has_monitor(const struct cpu *cpu)
{
	if (cpu->disabled_quirks & CPU_QUIRK_MISC_ENABLE_NO_MWAIT)
		return cpu->misc_enable & MISC_ENABLE_MWAIT;
	return cpu_has(cpu, FEAT_MONITOR);
}

/* MONITOR and MWAIT wait for nothing; KVM's quirk keeps them from #UD. */
static int wait_nop(struct cpu *cpu)
{
	bool quirk = !(cpu->disabled_quirks & CPU_QUIRK_MWAIT_NEVER_UD);

	if (cpu->cpl || (!quirk && !has_monitor(cpu)))
		cpu_raise(cpu, VEC_UD);
	return EXEC_NEXT;
}

int exec_monitor(struct cpu *cpu, const struct insn *i)
{
	return wait_nop(cpu);
}

int exec_mwait(struct cpu *cpu, const struct insn *i)
{
	return wait_nop(cpu);
}

/* System management mode is not entered by anything yet. */
int exec_rsm(struct cpu *cpu, const struct insn *i)
{
	cpu_raise(cpu, VEC_UD);
}

#define HYPERCALL_SIZE 3 /* without prefixes */

/*
 * The other vendor's instruction. KVM writes the right one over it, which
 * guests have come to rely on; with that quirk off it is just undefined.
 */
static void fix_hypercall(struct cpu *cpu, const struct insn *i)
{
	static const uint8_t vmcall[] = {0x0f, 0x01, 0xc1};
	static const uint8_t vmmcall[] = {0x0f, 0x01, 0xd9};
	gva_t gva = i->next_rip - HYPERCALL_SIZE;

	if (cpu->disabled_quirks & CPU_QUIRK_FIX_HYPERCALL)
		cpu_raise(cpu, VEC_UD);
	if (cpu->code_bits != 64)
		gva = (uint32_t)(gva + cpu->seg[SEG_CS].base);
	mem_write_buf(cpu, gva, cpu->vendor_amd ? vmmcall : vmcall,
		      HYPERCALL_SIZE, mem_acc(cpu, ACC_WRITE));
}

static int hypercall(struct cpu *cpu, const struct insn *i)
{
	cpu->rip = i->next_rip;
	cpu_exit_to_kvm(cpu, CPU_EXIT_HYPERCALL);
}

int exec_vmcall(struct cpu *cpu, const struct insn *i)
{
	if (cpu->vendor_amd)
		fix_hypercall(cpu, i);
	return hypercall(cpu, i);
}

int exec_vmmcall(struct cpu *cpu, const struct insn *i)
{
	if (!cpu->vendor_amd)
		fix_hypercall(cpu, i);
	return hypercall(cpu, i);
}
