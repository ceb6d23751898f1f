/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFLAGS as one value, the ways out of a C function (fault, exit) and
 * requests from other threads. SDM 1 "EFLAGS Register" (3.4.3), SDM 3A
 * chapter 6 for error codes. Delivery of what is raised here is cpu/event.c.
 */
#include "cpu/cpu.h"
#include "x86/regs.h"

/* The arithmetic flags that LAHF puts into AH. */
#define AH_FLAGS (RFLAGS_ARITH & ~RFLAGS_OF)
#define AH_FIXED 0x2u

uint64_t cpu_rflags(const struct cpu *cpu)
{
	uint64_t v = cpu->rflags_sys | AH_FIXED | (cpu->ah & AH_FLAGS);

	if (cpu->of)
		v |= RFLAGS_OF;
	if (cpu->iflag)
		v |= RFLAGS_IF;
	if (cpu->dflag)
		v |= RFLAGS_DF;
	if (cpu->acflag)
		v |= RFLAGS_AC;
	return v;
}

void cpu_set_arith(struct cpu *cpu, uint64_t rflags)
{
	cpu->ah = (rflags & AH_FLAGS) | AH_FIXED;
	cpu->of = !!(rflags & RFLAGS_OF);
}

void cpu_set_rflags(struct cpu *cpu, uint64_t rflags)
{
	cpu_set_arith(cpu, rflags);
	cpu->iflag = !!(rflags & RFLAGS_IF);
	cpu->dflag = !!(rflags & RFLAGS_DF);
	cpu->acflag = !!(rflags & RFLAGS_AC);
	cpu->rflags_sys = rflags & RFLAGS_SYS;
	cpu->mode_dirty = true;
}

static void __noreturn raise_event(struct cpu *cpu, const struct cpu_event *ev)
{
	cpu->raised = *ev;
	__builtin_longjmp(cpu->jmpbuf, 1);
}

void cpu_raise(struct cpu *cpu, uint8_t vector)
{
	const struct cpu_event ev = {
		.valid = true,
		.vector = vector,
		.kind = EVENT_FAULT,
	};

	raise_event(cpu, &ev);
}

void cpu_raise_err(struct cpu *cpu, uint8_t vector, uint32_t error)
{
	const struct cpu_event ev = {
		.valid = true,
		.vector = vector,
		.kind = EVENT_FAULT,
		.has_error = true,
		.error = error,
	};

	raise_event(cpu, &ev);
}

void cpu_raise_pf(struct cpu *cpu, gva_t gva, uint32_t error)
{
	const struct cpu_event ev = {
		.valid = true,
		.vector = VEC_PF,
		.kind = EVENT_FAULT,
		.has_error = true,
		.error = error,
		.payload = gva,
		.has_payload = true,
	};

	raise_event(cpu, &ev);
}

void cpu_raise_db(struct cpu *cpu, uint64_t dr6_bits, bool trap)
{
	const struct cpu_event ev = {
		.valid = true,
		.vector = VEC_DB,
		.kind = trap ? EVENT_TRAP : EVENT_FAULT,
		.payload = dr6_bits,
		.has_payload = true,
	};

	raise_event(cpu, &ev);
}

void cpu_exit_to_kvm(struct cpu *cpu, enum cpu_exit_kind kind)
{
	cpu->exit = kind;
	cpu->raised.valid = false;
	__builtin_longjmp(cpu->jmpbuf, 1);
}

void cpu_internal_error(struct cpu *cpu, uint32_t suberror, uint64_t data)
{
	cpu->internal.suberror = suberror;
	cpu->internal.ndata = 1;
	cpu->internal.data[0] = data;
	cpu_exit_to_kvm(cpu, CPU_EXIT_INTERNAL);
}

void cpu_request(struct cpu *cpu, uint32_t req)
{
	__atomic_fetch_or(&cpu->requests, req, __ATOMIC_SEQ_CST);
	__atomic_store_n(cpu->doorbell, 1, __ATOMIC_RELEASE);
}
