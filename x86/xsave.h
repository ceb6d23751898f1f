/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout of FXSAVE and XSAVE areas. SDM 1 "Managing State Using the XSAVE
 * Feature Set" (13.4), APM 2 "XSAVE/XRSTOR area" (11.5).
 */
#ifndef X86_XSAVE_H
#define X86_XSAVE_H

#include "lib/util.h"

/* State components. */
enum xfeature {
	XF_X87,
	XF_SSE,
	XF_AVX,
	XF_OPMASK = 5,
	XF_ZMM_HI256,
	XF_HI16_ZMM,
	XF_PKRU = 9,
	XF_COUNT
};

#define XCR0_X87     0x001ULL
#define XCR0_SSE     0x002ULL
#define XCR0_AVX     0x004ULL
#define XCR0_AVX512  0x0e0ULL
#define XCR0_PKRU    0x200ULL
#define XCR0_DYNAMIC 0x40000ULL /* needs permission: AMX tile data */

#define XSAVE_COMPACT BIT64(63) /* in XCOMP_BV */

struct fxsave_area {
	uint16_t fcw, fsw;
	uint8_t ftw, pad0;
	uint16_t fop;
	uint64_t fip, fdp; /* 64-bit form; else selectors in bits 32-47 */
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];
	uint8_t xmm[16][16];
	uint8_t reserved[48];
	uint8_t software[48];
};

struct xsave_header {
	uint64_t xstate_bv, xcomp_bv;
	uint64_t reserved[6];
};

struct xsave_area {
	struct fxsave_area fx;
	struct xsave_header hdr;
	uint8_t ext[];
};

_Static_assert(sizeof(struct fxsave_area) == 512, "FXSAVE area");
_Static_assert(sizeof(struct xsave_area) == 576, "XSAVE header");

#define FCW_RESET   0x37f
#define MXCSR_RESET 0x1f80u

/* The x87/SSE image of the KVM ABI (KVM_GET_FPU). */
struct fpu_image {
	uint8_t st[8][16];
	uint16_t fcw, fsw;
	uint8_t ftw; /* abridged, as FXSAVE */
	uint8_t pad0;
	uint16_t fop;
	uint64_t fip, fdp;
	uint8_t xmm[16][16];
	uint32_t mxcsr, pad1;
};

_Static_assert(sizeof(struct fpu_image) == 416, "FPU image");

#endif
