/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware breakpoints: what DR0-DR3 and DR7, or the client's in their place,
 * ask for. Matches of an instruction gather in cpu->db_pending and become a
 * trap when it is complete.
 */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H

#include "cpu/cpu.h"

/* KVM_GUESTDBG_* */
#define DEBUG_ENABLE   0x1u
#define DEBUG_STEP     0x2u
#define DEBUG_SW_BP    0x10000u
#define DEBUG_HW_BP    0x20000u
#define DEBUG_BLOCKIRQ 0x100000u

/* DR7 in force, of the guest or of the client. */
uint64_t debug_dr7(const struct cpu *cpu);

/* True: #DB of the guest goes to the client. */
static inline bool debug_owned(const struct cpu *cpu)
{
	return unlikely(cpu->guest_debug & (DEBUG_STEP | DEBUG_HW_BP));
}

/* An instruction that ends with TF clear for reasons of its own: no trap. */
static inline void debug_no_step(struct cpu *cpu)
{
	if (!(cpu->guest_debug & DEBUG_STEP))
		cpu->db_pending &= ~0x4000ULL; /* DR6.BS */
}

/* Work out cpu->breaks anew; what the TLB must not hold is dropped. */
void debug_derive(struct cpu *cpu);

/* DR6 bits of instruction breakpoints at linear address @gva. */
uint64_t debug_exec(const struct cpu *cpu, gva_t gva);

/* Note the data breakpoints that [gva, gva + size) touches. */
void debug_data(struct cpu *cpu, gva_t gva, unsigned int size,
		unsigned int acc);

/* A data breakpoint lies in the page of @gva: accesses must be looked at. */
bool debug_page(const struct cpu *cpu, gva_t gva);

/* Note the I/O breakpoints of an access. */
void debug_port(struct cpu *cpu, uint16_t port, unsigned int size);

#endif
