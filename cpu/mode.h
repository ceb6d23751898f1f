/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mode word: everything a translation assumes about its cpu. Two cpus
 * with equal mode words may run the same translation.
 */
#ifndef CPU_MODE_H
#define CPU_MODE_H

#include "cpu/cpu.h"

#define MODE_CPL         0x00000003ULL
#define MODE_L           0x00000004ULL /* 64-bit code */
#define MODE_D           0x00000008ULL /* 32-bit code (else 16, unless L) */
#define MODE_SSB         0x00000010ULL /* 32-bit stack pointer (64-bit with L) */
#define MODE_PE          0x00000020ULL
#define MODE_VM          0x00000040ULL
#define MODE_FLAT        0x00000080ULL /* CS DS ES SS: base 0, 4 GiB, usable */
#define MODE_AC          0x00000100ULL /* view is VIEW_KERNEL_AC */
#define MODE_DF          0x00000200ULL
#define MODE_ONE         0x00000400ULL /* one instruction a block */
#define MODE_EM          0x00000800ULL
#define MODE_TS          0x00001000ULL
#define MODE_MP          0x00002000ULL
#define MODE_FXSR        0x00004000ULL /* CR4.OSFXSR */
#define MODE_AVX         0x00008000ULL /* OSXSAVE and XCR0 has YMM */
#define MODE_AVX512      0x00010000ULL /* and opmask, ZMM */
#define MODE_IOPL_OK     0x00020000ULL /* CPL <= IOPL and not v8086 */
#define MODE_LMA         0x00040000ULL
#define MODE_WATCH       0x00080000ULL /* C functions may meet breakpoints */
#define MODE_BUS_LOCK    0x00100000ULL /* locked accesses take the slow path */
#define MODE_COUNT_MEM   0x00400000ULL /* the classes of memory */
#define MODE_COUNT_SHIFT 23            /* enum count_class: classes to count */
#define MODE_COUNT(what) BIT64(MODE_COUNT_SHIFT + (what))
#define MODE_CLASSES     (COUNT_INLINE_MASK & ~COUNT_MEM_MASK)
#define MODE_CPUID(id)   ((uint64_t)(id) << 32) /* which CPUID table */

/* The classes a translation counts. */
static inline uint32_t mode_classes(uint64_t mode)
{
	return (mode >> MODE_COUNT_SHIFT & MODE_CLASSES) |
	       (mode & MODE_COUNT_MEM ? COUNT_MEM_MASK : 0);
}

static inline unsigned int mode_view(uint64_t mode)
{
	if ((mode & MODE_CPL) == 3)
		return 0;
	return mode & MODE_AC ? 2 : 1;
}

#endif
