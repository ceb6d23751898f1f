/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware breakpoints. SDM 3B "Debug Registers" (17.2), "Breakpoint
 * Exceptions" (17.2.5 gives the ranges), APM 2 "Breakpoints" (13.1.1).
 *
 * Pages with data breakpoints get no entry in the TLB, so that every access
 * to them, of translated code and of C functions, comes by tlb_fill(). Left
 * out: accesses of the processor for itself (tables, TSS, frames of
 * interrupts to an inner ring) match nothing.
 */
#include "cpu/debug.h"

#include "cpu/mem.h"
#include "cpu/tlb.h"
#include "x86/paging.h"
#include "x86/regs.h"

enum break_kind { BREAK_EXEC, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

static const uint64_t *registers(const struct cpu *cpu)
{
	return cpu->guest_debug & DEBUG_HW_BP ? cpu->guest_debug_dr : cpu->dr;
}

uint64_t debug_dr7(const struct cpu *cpu)
{
	return cpu->guest_debug & DEBUG_HW_BP ? cpu->guest_debug_dr[7]
					      : cpu->dr7;
}

/* Breakpoint @n of DR7. */
static void add_break(struct cpu *cpu, struct cpu_breaks *b, unsigned int n,
		      uint64_t dr7)
{
	static const uint8_t lens[] = {1, 2, 8, 4};
	unsigned int field = dr7 >> (16 + n * 4), bit = BIT(n);

	if (!(dr7 >> n * 2 & 3))
		return;
	b->len[n] = lens[field >> 2 & 3];
	b->at[n] = registers(cpu)[n];
	switch (field & 3) {
	case BREAK_EXEC: b->exec |= bit; return;
	case BREAK_IO:
		if (cpu->cr4 & CR4_DE)
			b->io |= bit;
		break;
	case BREAK_ACCESS:
		b->read |= bit;
		b->data |= bit;
		break;
	default: b->data |= bit; break;
	}
	b->at[n] &= ~(uint64_t)(b->len[n] - 1);
}

void debug_derive(struct cpu *cpu)
{
	uint64_t dr7 = debug_dr7(cpu);
	struct cpu_breaks b;
	bool moved = false;

	__builtin_memset(&b, 0, sizeof(b));
	for (unsigned int n = 0; n < 4; n++) {
		add_break(cpu, &b, n, dr7);
		if (b.data >> n & 1)
			moved |= !(cpu->breaks.data >> n & 1) ||
				 cpu->breaks.at[n] != b.at[n];
	}
	cpu->breaks = b;
	if (moved)
		tlb_flush_rights(cpu);
}

uint64_t debug_exec(const struct cpu *cpu, gva_t gva)
{
	const struct cpu_breaks *b = &cpu->breaks;
	uint64_t hit = 0;

	for (unsigned int n = 0; n < 4; n++)
		if (b->exec >> n & 1 && b->at[n] == gva)
			hit |= BIT(n);
	return hit;
}

static bool overlap(const struct cpu_breaks *b, unsigned int n, uint64_t at,
		    unsigned int size)
{
	return at - b->at[n] < b->len[n] || b->at[n] - at < size;
}

void debug_data(struct cpu *cpu, gva_t gva, unsigned int size, unsigned int acc)
{
	const struct cpu_breaks *b = &cpu->breaks;
	unsigned int mask = b->data;

	if ((acc & ACC_KIND) == ACC_READ)
		mask &= b->read;
	if (acc & ACC_SYSTEM)
		mask = 0;
	for (unsigned int n = 0; n < 4; n++)
		if (mask >> n & 1 && overlap(b, n, gva, size))
			cpu->db_pending |= BIT(n);
}

bool debug_page(const struct cpu *cpu, gva_t gva)
{
	const struct cpu_breaks *b = &cpu->breaks;

	for (unsigned int n = 0; n < 4; n++)
		if (b->data >> n & 1 && !((b->at[n] ^ gva) & PG_MASK))
			return true;
	return false;
}

void debug_port(struct cpu *cpu, uint16_t port, unsigned int size)
{
	const struct cpu_breaks *b = &cpu->breaks;

	for (unsigned int n = 0; n < 4; n++)
		if (b->io >> n & 1 && overlap(b, n, port, size))
			cpu->db_pending |= BIT(n);
}
