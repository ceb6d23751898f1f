/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power-on and INIT. SDM 3A "Processor State After Reset" (9.1.1), values of
 * KVM where processors differ. The time stamp counter is left alone: the
 * machine keeps the counters of its processors together, not the processor.
 */
#include "cpu/reset.h"

#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/pmu/pmu.h"
#include "cpu/tlb.h"
#include "cpu/xstate.h"
#include "x86/regs.h"

#define SIGNATURE_DEFAULT 0x600

static void reset_segment(struct cpu *cpu, enum cpu_seg seg, uint16_t attr)
{
	struct segment *s = &cpu->seg[seg];

	memset(s, 0, sizeof(*s));
	s->limit = 0xffff;
	s->attr = attr;
}

static void reset_segments(struct cpu *cpu)
{
	unsigned int i;

	for (i = SEG_ES; i <= SEG_GS; i++)
		reset_segment(cpu, i, SEG_ATTR_P | SEG_ATTR_S | 3);
	reset_segment(cpu, SEG_CS, SEG_ATTR_P | SEG_ATTR_S | 0xb);
	cpu->seg[SEG_CS].sel = 0xf000;
	cpu->seg[SEG_CS].base = 0xffff0000;
	reset_segment(cpu, SEG_LDT, SEG_ATTR_P | 2);
	reset_segment(cpu, SEG_TR, SEG_ATTR_P | 0xb);
	cpu->gdt = cpu->idt = (struct dtable){.limit = 0xffff};
}

static uint32_t signature(const struct cpu *cpu)
{
	const struct cpuid_entry *e = cpuid_lookup(cpu, CPUID_SIGNATURE, 0);

	return e ? e->eax : SIGNATURE_DEFAULT;
}

/* What INIT resets too. */
static void reset_registers(struct cpu *cpu)
{
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[REG_RDX] = signature(cpu);
	cpu->rip = 0xfff0;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->cr8 = 0;
	cpu->efer = 0;
	memset(cpu->dr, 0, sizeof(cpu->dr));
	memset(cpu->pdptr, 0, sizeof(cpu->pdptr));
	cpu->dr6 = DR6_FIXED;
	cpu->dr7 = DR7_FIXED;
	cpu->spec_ctrl = 0;
	cpu->kernel_gs_base = 0;
	cpu->debugctl = 0;
	memset(&cpu->event, 0, sizeof(cpu->event));
	cpu->nmi_blocked = 0;
	cpu->nmi_pending = false;
	cpu->shadow = 0;
	cpu->smm = false;
}

static void reset_power_on(struct cpu *cpu)
{
	cpu->xcr0 = XCR0_X87;
	cpu->xss = 0;
	cpu->star = cpu->lstar = cpu->cstar = cpu->sfmask = 0;
	cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
	cpu->pat = PAT_RESET;
	cpu->misc_enable = MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL;
	cpu->tsc_aux = 0;
	cpu->perf_cap = cpuid_host()->amd ? 0 : PMU_FW_WRITE;
	msr_reset(cpu);
	pmu_reset(cpu);
	xstate_reset(cpu);
}

void cpu_reset(struct cpu *cpu, bool init)
{
	uint64_t cr0 = CR0_ET | CR0_CD | CR0_NW;

	if (init)
		cr0 = (cpu->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
	reset_registers(cpu);
	reset_segments(cpu);
	cpu->cr0 = cr0;
	if (!init)
		reset_power_on(cpu);
	cpu_set_rflags(cpu, 2);
	cpu_segment_derive(cpu, SEG_ES);
	for (unsigned int i = SEG_CS; i < SEG_COUNT; i++)
		cpu_segment_derive(cpu, i);
	cpu_update_mode(cpu);
	tlb_flush_all(cpu);
}

int cpu_state_create(struct cpu *cpu)
{
	int ret = cpuid_init(cpu);

	if (ret)
		return ret;
	ret = msr_init(cpu);
	if (ret)
		goto fini_cpuid;
	ret = pmu_init(cpu);
	if (ret)
		goto fini_msr;
	ret = xstate_init(cpu);
	if (ret)
		goto fini_pmu;
	return 0;

fini_pmu:
	pmu_fini(cpu);
fini_msr:
	msr_fini(cpu);
fini_cpuid:
	cpuid_fini(cpu);
	return ret;
}

void cpu_state_destroy(struct cpu *cpu)
{
	xstate_fini(cpu);
	pmu_fini(cpu);
	msr_fini(cpu);
	cpuid_fini(cpu);
}
