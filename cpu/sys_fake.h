/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A processor on flat memory for the tests of cpu/seg.c and its users: linear
 * equals physical, accesses to one chosen page fault, the last access flags
 * are kept. Tables lie at fixed places; tests fill what they need.
 */
#ifndef CPU_SYS_FAKE_H
#define CPU_SYS_FAKE_H

#include "cpu/seg.h"

#define FAKE_RAM   0x40000u
#define FAKE_GDT   0x1000u
#define FAKE_LDT   0x1800u
#define FAKE_IDT   0x2000u
#define FAKE_TSS   0x4000u
#define FAKE_TSS2  0x5000u
#define FAKE_STACK 0x9000u /* top of the outer stack */
#define FAKE_RING0 0xa000u /* top of the inner stacks */
#define FAKE_RING1 0xb000u
#define FAKE_IST   0xc008u /* not aligned on purpose */

/* Selectors, RPL 0, of what fake_protected() and fake_long() put there. */
enum fake_sel {
	FK_CODE0 = 0x08, /* 32 bits, or 64 bits in long mode */
	FK_DATA0 = 0x10,
	FK_CODE3 = 0x18,
	FK_DATA3 = 0x20,
	FK_CODE1 = 0x28,
	FK_DATA1 = 0x30,
	FK_CONF0 = 0x38, /* conforming, DPL 0 */
	FK_CODE16 = 0x40,
	FK_DATA16 = 0x48,
	FK_COMPAT3 = 0x50,
	FK_TSS = 0x58, /* 16 bytes in long mode */
	FK_LDT = 0x68,
	FK_TSS2 = 0x78,
	FK_FREE = 0x88, /* for the test's own descriptor, 16 bytes */
	FK_FREE2 = 0x98,
	FK_LIMIT = 0xa8,
};

struct fake {
	struct cpu cpu;
	uint8_t ram[FAKE_RAM];
	gva_t bad_page;     /* accesses to it raise #PF; ~0: none */
	unsigned int acc;   /* of the last access */
	unsigned int slow;  /* accesses that went through mem.h */
	uint64_t cr3_loads; /* crop_load_cr3() calls */
};

extern struct fake *fake; /* made by fake_setup(), one test at a time */

int fake_setup(void **state);
int fake_teardown(void **state);

void fake_real(void);
void fake_protected(unsigned int cpl); /* 32-bit, flat */
void fake_long(unsigned int cpl);      /* 64-bit */
void fake_v8086(unsigned int iopl);

void fake_desc(uint16_t sel, uint32_t base, uint32_t limit, uint16_t attr);
void fake_raw(uint16_t sel, uint64_t lo);
uint64_t fake_raw_get(uint16_t sel);
uint64_t fake_gate_raw(uint16_t sel, uint32_t off, unsigned int type,
		       unsigned int dpl, unsigned int count);

/* Put a gate into the IDT (16 bytes in long mode); @low is IST or count. */
void fake_idt(unsigned int vec, uint16_t sel, uint64_t off, unsigned int type,
	      unsigned int dpl, unsigned int low);

uint64_t fake_peek(uint32_t addr, unsigned int size);
void fake_poke(uint32_t addr, unsigned int size, uint64_t val);

/* Let the TLB's views @view translate page @gva for reads and writes. */
void fake_tlb(unsigned int view, gva_t gva);

/* Make @i an instruction of @len bytes with the operand size of @opsize. */
void fake_insn(struct insn *i, unsigned int opsize);

/* Run; a negative result means that fake->cpu.raised has a fault. */
int fake_exec(exec_fn *fn, const struct insn *i);
int fake_deliver(const struct cpu_event *ev);

#define FAULTED (-1)

/* Assert that the last run raised @vec with error code @err. */
#define assert_fault(result, vec, err)                          \
	do {                                                    \
		assert_int_equal(result, FAULTED);              \
		assert_true(fake->cpu.raised.valid);            \
		assert_int_equal(fake->cpu.raised.vector, vec); \
		assert_int_equal(fake->cpu.raised.error, err);  \
	} while (0)

#endif
