/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RDMSR, WRMSR, the time stamp and processor id instructions, RDPMC, CPUID.
 * The registers a kernel writes on every context switch are handled before
 * the table of cpu/msr.c.
 */
#include "cpu/msr.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "cpu/insn.h"
#include "cpu/pmu/pmu.h"
#include "x86/regs.h"

static uint32_t low(const struct cpu *cpu, unsigned int reg)
{
	return (uint32_t)cpu->gpr[reg];
}

static void set_edx_eax(struct cpu *cpu, uint64_t val)
{
	cpu->gpr[REG_RAX] = (uint32_t)val;
	cpu->gpr[REG_RDX] = val >> 32;
}

static uint64_t edx_eax(const struct cpu *cpu)
{
	return low(cpu, REG_RAX) | (uint64_t)low(cpu, REG_RDX) << 32;
}

static void need_ring0(struct cpu *cpu)
{
	if (cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, 0);
}

/* Leave with the access; msr_complete() goes on from there. */
static void __noreturn leave(struct cpu *cpu, const struct insn *i, bool write,
			     uint8_t reason)
{
	cpu->msr.index = low(cpu, REG_RCX);
	cpu->msr.write = write;
	cpu->msr.failed = false;
	cpu->msr.reason = reason;
	cpu->msr.data = write ? edx_eax(cpu) : 0;
	cpu->msr_next_rip = i->next_rip;
	cpu_exit_to_kvm(cpu, CPU_EXIT_MSR);
}

/* The table refused, or the register is not ours. Returns when it is done. */
static void refused(struct cpu *cpu, const struct insn *i, bool write, int err,
		    uint64_t *val)
{
	uint8_t reason = err == -ENXIO ? CPU_MSR_UNKNOWN : CPU_MSR_INVALID;

	if (err == -ENOENT) {
		err = -EAGAIN;
		if (cpu->ops && cpu->ops->msr_access)
			err = cpu->ops->msr_access(cpu, low(cpu, REG_RCX),
						   write, val);
		if (!err)
			return;
		if (err == -EAGAIN)
			leave(cpu, i, write, CPU_MSR_OWNED);
		reason = CPU_MSR_INVALID;
	}
	if (cpu->msr_exits & reason)
		leave(cpu, i, write, reason);
	cpu_raise_err(cpu, VEC_GP, 0);
}

static void ask_filter(struct cpu *cpu, const struct insn *i, bool write)
{
	if (unlikely(cpu->msr_filter) &&
	    cpu->ops->msr_denied(cpu, low(cpu, REG_RCX), write)) {
		if (cpu->msr_exits & CPU_MSR_DENIED)
			leave(cpu, i, write, CPU_MSR_DENIED);
		cpu_raise_err(cpu, VEC_GP, 0);
	}
}

int exec_rdmsr(struct cpu *cpu, const struct insn *i)
{
	uint64_t val = 0;
	int ret;

	need_ring0(cpu);
	ask_filter(cpu, i, false);
	ret = msr_get(cpu, low(cpu, REG_RCX), &val, false);
	if (unlikely(ret))
		refused(cpu, i, false, ret, &val);
	set_edx_eax(cpu, val);
	return EXEC_NEXT;
}

static bool canonical(const struct cpu *cpu, uint64_t val)
{
	unsigned int drop = 64 - cpu->linear_bits;

	return (uint64_t)((int64_t)(val << drop) >> drop) == val;
}

/* True when the register is one of the frequent ones and was written. */
static bool write_hot(struct cpu *cpu, uint32_t index, uint64_t val)
{
	uint64_t *at;

	switch (index) {
	case MSR_FS_BASE: at = &cpu->seg[SEG_FS].base; break;
	case MSR_GS_BASE: at = &cpu->seg[SEG_GS].base; break;
	case MSR_KERNEL_GS_BASE: at = &cpu->kernel_gs_base; break;
	default: return false;
	}
	if (!cpu_has(cpu, FEAT_LM) || !canonical(cpu, val))
		return false;
	*at = val;
	return true;
}

int exec_wrmsr(struct cpu *cpu, const struct insn *i)
{
	uint32_t index = low(cpu, REG_RCX);
	uint64_t val = edx_eax(cpu);
	int ret;

	need_ring0(cpu);
	ask_filter(cpu, i, true);
	if (write_hot(cpu, index, val))
		return EXEC_NEXT;
	ret = index == MSR_TSC_DEADLINE ? -ENOENT
					: msr_set(cpu, index, val, false);
	if (unlikely(ret))
		refused(cpu, i, true, ret, &val);
	return EXEC_NEXT;
}

void msr_complete(struct cpu *cpu)
{
	if (cpu->msr.failed)
		cpu_raise_err(cpu, VEC_GP, 0);
	if (!cpu->msr.write)
		set_edx_eax(cpu, cpu->msr.data);
	cpu->rip = cpu->msr_next_rip;
}

static void need_tsc(struct cpu *cpu)
{
	if (cpu->cr4 & CR4_TSD && cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, 0);
}

int exec_rdtsc(struct cpu *cpu, const struct insn *i)
{
	need_tsc(cpu);
	set_edx_eax(cpu, tsc_read(cpu));
	return EXEC_NEXT;
}

int exec_rdtscp(struct cpu *cpu, const struct insn *i)
{
	if (!cpu_has(cpu, FEAT_RDTSCP))
		cpu_raise(cpu, VEC_UD);
	need_tsc(cpu);
	/* RDTSC may run ahead of loads, RDTSCP does not */
	__asm__ volatile("lfence" ::: "memory");
	set_edx_eax(cpu, tsc_read(cpu));
	cpu->gpr[REG_RCX] = (uint32_t)cpu->tsc_aux;
	return EXEC_NEXT;
}

int exec_rdpid(struct cpu *cpu, const struct insn *i)
{
	if (!cpu_has(cpu, FEAT_RDPID))
		cpu_raise(cpu, VEC_UD);
	/* the operand is 64 bits wide in 64-bit mode without REX.W */
	reg_write(cpu, i->op[0].reg, 8, (uint32_t)cpu->tsc_aux);
	return EXEC_NEXT;
}

int exec_rdpmc(struct cpu *cpu, const struct insn *i)
{
	uint64_t val;

	if ((cpu->cpl && !(cpu->cr4 & CR4_PCE)) ||
	    pmu_rdpmc(cpu, low(cpu, REG_RCX), &val))
		cpu_raise_err(cpu, VEC_GP, 0);
	set_edx_eax(cpu, val);
	return EXEC_NEXT;
}

int exec_cpuid(struct cpu *cpu, const struct insn *i)
{
	uint32_t r[4];

	if (cpu->cpuid_faulting && cpu->cpl)
		cpu_raise_err(cpu, VEC_GP, 0);
	/* guests serialize with it */
	__asm__ volatile("mfence; lfence" ::: "memory");
	cpuid_query(cpu, low(cpu, REG_RAX), low(cpu, REG_RCX), r);
	cpu->gpr[REG_RAX] = r[CPUID_EAX];
	cpu->gpr[REG_RBX] = r[CPUID_EBX];
	cpu->gpr[REG_RCX] = r[CPUID_ECX];
	cpu->gpr[REG_RDX] = r[CPUID_EDX];
	return EXEC_NEXT;
}
