/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bits of control registers, EFER, DR6/DR7 and exception vectors.
 * SDM 3A "Control Registers" (2.5), APM 2 "System-Control Registers".
 */
#ifndef X86_REGS_H
#define X86_REGS_H

#define CR0_PE 0x00000001ULL
#define CR0_MP 0x00000002ULL
#define CR0_EM 0x00000004ULL
#define CR0_TS 0x00000008ULL
#define CR0_ET 0x00000010ULL
#define CR0_NE 0x00000020ULL
#define CR0_WP 0x00010000ULL
#define CR0_AM 0x00040000ULL
#define CR0_NW 0x20000000ULL
#define CR0_CD 0x40000000ULL
#define CR0_PG 0x80000000ULL

#define CR4_VME        0x00000001ULL
#define CR4_PVI        0x00000002ULL
#define CR4_TSD        0x00000004ULL
#define CR4_DE         0x00000008ULL
#define CR4_PSE        0x00000010ULL
#define CR4_PAE        0x00000020ULL
#define CR4_MCE        0x00000040ULL
#define CR4_PGE        0x00000080ULL
#define CR4_PCE        0x00000100ULL
#define CR4_OSFXSR     0x00000200ULL
#define CR4_OSXMMEXCPT 0x00000400ULL
#define CR4_UMIP       0x00000800ULL
#define CR4_LA57       0x00001000ULL
#define CR4_VMXE       0x00002000ULL
#define CR4_FSGSBASE   0x00010000ULL
#define CR4_PCIDE      0x00020000ULL
#define CR4_OSXSAVE    0x00040000ULL
#define CR4_SMEP       0x00100000ULL
#define CR4_SMAP       0x00200000ULL
#define CR4_PKE        0x00400000ULL

#define EFER_SCE      0x001ULL
#define EFER_LME      0x100ULL
#define EFER_LMA      0x400ULL
#define EFER_NXE      0x800ULL
#define EFER_SVME     0x1000ULL
#define EFER_FFXSR    0x4000ULL
#define EFER_AUTOIBRS 0x200000ULL

#define DR6_FIXED  0xffff0ff0ULL /* bits that read as one (no RTM) */
#define DR6_BREAKS 0x000fULL     /* B0 to B3 */
#define DR6_BD     0x2000ULL
#define DR6_BS     0x4000ULL
#define DR6_BT     0x8000ULL
#define DR7_FIXED  0x400ULL
#define DR7_GD     0x2000ULL

enum vector {
	VEC_DE,
	VEC_DB,
	VEC_NMI,
	VEC_BP,
	VEC_OF,
	VEC_BR,
	VEC_UD,
	VEC_NM,
	VEC_DF,
	VEC_COPRO,
	VEC_TS,
	VEC_NP,
	VEC_SS,
	VEC_GP,
	VEC_PF,
	VEC_MF = 16,
	VEC_AC,
	VEC_MC,
	VEC_XM,
};

#define PF_P    0x01u
#define PF_W    0x02u
#define PF_U    0x04u
#define PF_RSVD 0x08u
#define PF_I    0x10u
#define PF_PK   0x20u

#endif
