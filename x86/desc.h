/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment, system and gate descriptors, TSS offsets, selector error codes.
 * SDM 3A "Segment Descriptors" (3.4.5), "System Descriptor Types" (3.5),
 * "IDT Descriptors" (6.11), "Task-State Segment" (7.2.1, 7.7).
 *
 * An attribute word ("attr") is a descriptor's bits 40-47 in its low byte and
 * bits 52-55 above them.
 */
#ifndef X86_DESC_H
#define X86_DESC_H

#include "lib/util.h"

#define DESC_ACCESSED (1ULL << 40)
#define DESC_BUSY     (1ULL << 41)
#define DESC_L        (1ULL << 53)

/* Types of system descriptors. */
enum desc_type {
	DESC_TSS16 = 1,
	DESC_LDT = 2,
	DESC_TSS16_BUSY = 3,
	DESC_CALL16 = 4,
	DESC_TASK_GATE = 5,
	DESC_INT16 = 6,
	DESC_TRAP16 = 7,
	DESC_TSS32 = 9, /* 64-bit TSS in long mode */
	DESC_TSS32_BUSY = 11,
	DESC_CALL32 = 12, /* 64-bit call gate in long mode */
	DESC_INT32 = 14,
	DESC_TRAP32 = 15,
};

/* Selector fields and error codes. */
#define SEL_RPL         0x0003u
#define SEL_TI          0x0004u
#define ERR_EXT         1u /* the event came from outside of the program */
#define ERR_IDT         2u
#define ERR_VECTOR(vec) ((uint32_t)(vec)*8 | ERR_IDT)

static inline uint32_t sel_err(uint16_t sel)
{
	return sel & 0xfffcu;
}

static inline bool sel_null(uint16_t sel)
{
	return !(sel & 0xfffc);
}

static inline unsigned int sel_rpl(uint16_t sel)
{
	return sel & SEL_RPL;
}

static inline uint64_t desc_base(uint64_t lo)
{
	return (lo >> 16 & 0xffffff) | (lo >> 32 & 0xff000000);
}

/* In bytes, granularity applied. */
static inline uint32_t desc_limit(uint64_t lo)
{
	uint32_t limit = (lo & 0xffff) | (lo >> 32 & 0xf0000);

	return lo >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

static inline uint16_t desc_attr(uint64_t lo)
{
	return (lo >> 40 & 0xff) | (lo >> 44 & 0xf00);
}

static inline unsigned int desc_type(uint64_t lo)
{
	return lo >> 40 & 0xf;
}

static inline unsigned int desc_dpl(uint64_t lo)
{
	return lo >> 45 & 3;
}

static inline bool desc_present(uint64_t lo)
{
	return lo >> 47 & 1;
}

static inline bool desc_system(uint64_t lo)
{
	return !(lo >> 44 & 1);
}

static inline bool desc_code(uint64_t lo)
{
	return (lo >> 40 & 0x18) == 0x18;
}

static inline bool desc_conforming(uint64_t lo)
{
	return (lo >> 40 & 0x1c) == 0x1c;
}

static inline bool desc_writable(uint64_t lo)
{
	return (lo >> 40 & 0x1a) == 0x12;
}

/* Data, or code that may be read. */
static inline bool desc_readable(uint64_t lo)
{
	unsigned int t = lo >> 40 & 0x1f;

	return t & 0x10 && (t & 0xa) != 8;
}

/* Long mode wants code segments with L to have D clear. */
static inline bool desc_bad_ld(uint64_t lo)
{
	return (lo >> 53 & 3) == 3;
}

static inline uint16_t gate_sel(uint64_t lo)
{
	return lo >> 16;
}

static inline uint32_t gate_offset(uint64_t lo)
{
	return (lo & 0xffff) | (lo >> 32 & 0xffff0000);
}

/* Offsets in a 32-bit TSS. */
enum tss32_field {
	TSS32_LINK = 0,
	TSS32_ESP0 = 4,
	TSS32_CR3 = 28,
	TSS32_EIP = 32,
	TSS32_EFLAGS = 36,
	TSS32_GPR = 40,
	TSS32_SEG = 72,
	TSS32_LDT = 96,
	TSS32_TRAP = 100,
	TSS32_IOMAP = 102,
	TSS32_SIZE = 104,
};

/* Offsets in a 16-bit TSS. */
enum tss16_field {
	TSS16_LINK = 0,
	TSS16_SP0 = 2,
	TSS16_IP = 14,
	TSS16_FLAGS = 16,
	TSS16_GPR = 18,
	TSS16_SEG = 34,
	TSS16_LDT = 42,
	TSS16_SIZE = 44,
};

/* Offsets in a 64-bit TSS. */
enum tss64_field {
	TSS64_RSP0 = 4,
	TSS64_IST0 = 28, /* IST1 is at 36 */
};

#endif
