/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INT n, INT3, INTO and INT1: they become an event that is delivered at once.
 * SDM 2A "INT n/INTO/INT3/INT1", SDM 3B "Class 3 - Software Interrupt
 * Handling in Virtual-8086 Mode" (20.3.3).
 */
#include "cpu/debug.h"
#include "cpu/seg.h"

static int soft_event(struct cpu *cpu, const struct insn *i, uint8_t vector,
		      enum event_kind kind)
{
	cpu->event = (struct cpu_event){
		.valid = true,
		.vector = vector,
		.kind = kind,
		.insn_len = i->len,
	};
	cpu_event_deliver(cpu);
	/* TF is clear now, and that is what counts */
	debug_no_step(cpu);
	return EXEC_JUMP;
}

/*
 * True: the v8086 task takes INT @vector itself. The bitmap lies below the
 * I/O permission map. SDM 3B "Software Interrupt Handling" (20.3.3).
 */
static bool int_redirected(struct cpu *cpu, uint8_t vector)
{
	const struct segment *tr = &cpu->seg[SEG_TR];
	unsigned int off, bits;
	const unsigned int acc = ACC_READ | ACC_SYSTEM;

	if (!(cpu->cr4 & CR4_VME))
		return false;
	if (!(tr->attr & 8) || TSS32_IOMAP + 1 > tr->limit)
		cpu_raise_err(cpu, VEC_GP, 0);
	off = mem_read(cpu, (uint32_t)(tr->base + TSS32_IOMAP), 2, acc) - 32 +
	      vector / 8;
	if (off > tr->limit)
		cpu_raise_err(cpu, VEC_GP, 0);
	bits = mem_read(cpu, (uint32_t)(tr->base + off), 1, acc);
	return !(bits >> (vector & 7) & 1);
}

int exec_int(struct cpu *cpu, const struct insn *i)
{
	uint8_t vector = i->op[0].disp;

	if (cpu_v8086(cpu)) {
		if (int_redirected(cpu, vector)) {
			event_redirect_v8086(cpu, vector, i->next_rip);
			debug_no_step(cpu);
			return EXEC_JUMP;
		}
		if (cpu_iopl(cpu) < 3)
			cpu_raise_err(cpu, VEC_GP, 0);
	}
	return soft_event(cpu, i, vector, EVENT_SOFT_INT);
}

int exec_int3(struct cpu *cpu, const struct insn *i)
{
	if (cpu->guest_debug & DEBUG_SW_BP) {
		cpu->debug_exit = (struct cpu_debug_exit){
			.exception = VEC_BP,
			.pc = cpu->rip,
		};
		if (cpu->code_bits != 64)
			cpu->debug_exit.pc = (uint32_t)(cpu->rip +
							cpu->seg[SEG_CS].base);
		cpu_exit_to_kvm(cpu, CPU_EXIT_DEBUG);
	}
	return soft_event(cpu, i, VEC_BP, EVENT_SOFT_EXC);
}

int exec_int1(struct cpu *cpu, const struct insn *i)
{
	return soft_event(cpu, i, VEC_DB, EVENT_SOFT_EXC);
}

int exec_into(struct cpu *cpu, const struct insn *i)
{
	if (cpu->code_bits == 64)
		cpu_raise(cpu, VEC_UD);
	if (!cpu->of)
		return EXEC_NEXT;
	return soft_event(cpu, i, VEC_OF, EVENT_SOFT_EXC);
}
