/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector and mask registers by number. Registers up to 15 and 32 bytes are
 * reached with VEX forms, so that hosts without AVX-512 will do and upper
 * halves do not come into use. SDM 1 "Programming with AVX" (14.1).
 */
#include "engine/vecreg.h"

#include "cpu/cpuid.h"

#include <string.h>

#define EACH_16(op)                                                        \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) \
		op(11) op(12) op(13) op(14) op(15)
#define EACH_32(op)                                                           \
	EACH_16(op)                                                           \
	op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) \
		op(26) op(27) op(28) op(29) op(30) op(31)
#define EACH_8(op) op(1) op(2) op(3) op(4) op(5) op(6) op(7)

#define ASM_CASE(n, insn, p) \
	case n: __asm__ volatile(insn ::"r"(p) : "memory"); break;

static void read_ymm(unsigned int n, uint8_t *p)
{
#define ONE(n) ASM_CASE(n, "vmovdqu %%ymm" #n ", (%0)", p)
	switch (n) {
		EACH_16(ONE)
	}
#undef ONE
}

static void read_zmm(unsigned int n, uint8_t *p)
{
#define ONE(n) ASM_CASE(n, "vmovdqu64 %%zmm" #n ", (%0)", p)
	switch (n) {
		EACH_32(ONE)
	}
#undef ONE
}

static void write_ymm(unsigned int n, const uint8_t *p)
{
#define ONE(n) ASM_CASE(n, "vmovdqu (%0), %%ymm" #n, p)
	switch (n) {
		EACH_16(ONE)
	}
#undef ONE
}

static void write_zmm(unsigned int n, const uint8_t *p)
{
#define ONE(n) ASM_CASE(n, "vmovdqu64 (%0), %%zmm" #n, p)
	switch (n) {
		EACH_32(ONE)
	}
#undef ONE
}

void vec_read(unsigned int n, uint8_t buf[64])
{
	if (cpuid_host_has(FEAT_AVX512F)) {
		read_zmm(n, buf);
		return;
	}
	memset(buf + 32, 0, 32);
	read_ymm(n, buf);
}

void vec_write(unsigned int n, const uint8_t buf[64], unsigned int size)
{
	uint8_t full[64];

	memset(full, 0, sizeof(full));
	memcpy(full, buf, size);
	if (n < 16 && (size <= 32 || !cpuid_host_has(FEAT_AVX512F)))
		write_ymm(n, full);
	else
		write_zmm(n, full);
}

uint64_t kreg_read(unsigned int n)
{
	uint64_t val = 0;

#define WIDE(n)                                                      \
	case n:                                                      \
		__asm__ volatile("kmovq %%k" #n ", %0" : "=r"(val)); \
		break;
#define NARROW(n) \
	case n: __asm__ volatile("kmovw %%k" #n ", %k0" : "=r"(val)); break;
	if (cpuid_host_has(FEAT_AVX512BW))
		switch (n) {
			WIDE(0)
			EACH_8(WIDE)
		}
	else
		switch (n) {
			NARROW(0)
			EACH_8(NARROW)
		}
#undef WIDE
#undef NARROW
	return val;
}

void kreg_write(unsigned int n, uint64_t val)
{
#define WIDE(n)                                                  \
	case n:                                                  \
		__asm__ volatile("kmovq %0, %%k" #n ::"r"(val)); \
		break;
#define NARROW(n) \
	case n: __asm__ volatile("kmovw %k0, %%k" #n ::"r"(val)); break;
	if (cpuid_host_has(FEAT_AVX512BW))
		switch (n) {
			WIDE(0)
			EACH_8(WIDE)
		}
	else
		switch (n) {
			NARROW(0)
			EACH_8(NARROW)
		}
#undef WIDE
#undef NARROW
}
