/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bits of page-table entries, the same in every paging mode where they exist.
 * SDM 3A chapter 4 "Paging", APM 2 chapter 5.
 */
#ifndef X86_PAGING_H
#define X86_PAGING_H

#define PTE_P  0x001ULL
#define PTE_W  0x002ULL
#define PTE_U  0x004ULL
#define PTE_A  0x020ULL
#define PTE_D  0x040ULL
#define PTE_PS 0x080ULL /* in a table entry: maps a large page */
#define PTE_G  0x100ULL
#define PTE_NX 0x8000000000000000ULL

#define PTE_PKEY_SHIFT 59
#define PTE_PKEY_MASK  15u

#define PG_SIZE   4096ULL
#define PG_OFFSET 4095ULL
#define PG_MASK   (~PG_OFFSET)

#define SIZE_2M 0x200000ULL
#define SIZE_4M 0x400000ULL
#define SIZE_1G 0x40000000ULL

/* CR3 with CR4.PCIDE: identifier, and "keep entries" in a write. */
#define CR3_PCID_MASK 0xfffULL
#define CR3_NOFLUSH   0x8000000000000000ULL

#endif
