/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things lie, natively and in the guest. Everything a block can name is
 * at the same linear address with the same permission on both sides; only the
 * page a block ends at differs in content. Used by C and assembly. SAVE and
 * RET have addresses that do not look like any operand, numbers included.
 */
#ifndef DIFF_LAYOUT_H
#define DIFF_LAYOUT_H

/* Native only: registers before and after, not mapped in the guest. */
#define SAVE_GVA  0x35a6d000
#define SAVE_SIZE 0x3000

/* Where blocks end: a stub natively, INT 0x80 in the guest. */
#define RET_GVA  0x36c95000
#define RET_SIZE 0x1000

#define CODE_GVA  0x10000000 /* read and execute */
#define CODE_SIZE 0x00040000

#define DATA_GVA       0x20000000 /* read and write */
#define DATA_SIZE      0x2000
#define RO_GVA         (DATA_GVA + DATA_SIZE) /* read only, then a hole */
#define RO_SIZE        0x1000
#define STACK_GVA      0x30000000 /* read and write, holes on both sides */
#define STACK_SIZE     0x1000
#define VECTOR_DONE    0x80  /* how a block ends when it does not fault */
#define VECTOR_ENDLESS 0x100 /* it ran in a circle and was stopped */

/* Selectors of 64-bit user mode under Linux; the guest's GDT has the same. */
#define USER_CS 0x33
#define USER_SS 0x2b

/* Offsets in the save area. */
#define IN_GPR    0x000
#define IN_RIP    0x080
#define IN_FLAGS  0x088
#define IN_FS     0x090
#define IN_GS     0x098
#define OUT_GPR   0x100
#define OUT_FLAGS 0x188
#define OUT_FS    0x190
#define OUT_GS    0x198
#define HOST_RSP  0x200
#define HOST_FS   0x208
#define XFEATURES 0x218
#define BASES     0x220 /* how those of fs and gs are set, a byte: */
#define OUT_XSAVE 0x1000

#define BASES_OWN 1 /* by WRFSBASE and WRGSBASE */
#define BASES_FS  2 /* by the kernel, the block uses it */
#define BASES_GS  4

#endif
