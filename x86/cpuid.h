/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: leaf numbers, the words that hold feature bits, and one name per
 * bit made from x86/feature.def. SDM 2A "CPUID", APM 3 appendix E.
 */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include "lib/util.h"

enum cpuid_leaf {
	CPUID_VENDOR = 0x0,
	CPUID_SIGNATURE = 0x1,
	CPUID_CACHE_DESC = 0x2,
	CPUID_CACHE = 0x4,
	CPUID_POWER = 0x6,
	CPUID_FEATURES = 0x7,
	CPUID_PMU = 0xa,
	CPUID_TOPOLOGY = 0xb,
	CPUID_XSTATE = 0xd,
	CPUID_TSC = 0x15,
	CPUID_MHZ = 0x16,
	CPUID_TOPOLOGY2 = 0x1f,
	CPUID_KVM = 0x40000000,
	CPUID_KVM_FEATURES = 0x40000001,
	CPUID_EXT = 0x80000000,
	CPUID_EXT_SIGNATURE = 0x80000001,
	CPUID_EXT_BRAND = 0x80000002,
	CPUID_EXT_L1 = 0x80000005,
	CPUID_EXT_L2 = 0x80000006,
	CPUID_EXT_POWER = 0x80000007,
	CPUID_EXT_ADDRESS = 0x80000008,
	CPUID_EXT_TLB1G = 0x80000019,
	CPUID_EXT_OPTIMIZE = 0x8000001a,
	CPUID_EXT_CACHE = 0x8000001d,
	CPUID_EXT_TOPOLOGY = 0x8000001e,
	CPUID_EXT_FEATURES2 = 0x80000021,
	CPUID_EXT_PMU = 0x80000022,
};

enum cpuid_out { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* Words of feature bits; the order is private, the names are leaf_register. */
enum cpuid_word {
	W_1_ECX,
	W_1_EDX,
	W_6_EAX,
	W_7_EBX,
	W_7_ECX,
	W_7_EDX,
	W_7_1_EAX,
	W_7_1_EDX,
	W_7_2_EDX,
	W_D_1_EAX,
	W_KVM_EAX,
	W_8_1_ECX,
	W_8_1_EDX,
	W_8_7_EDX,
	W_8_8_EBX,
	W_8_21_EAX,
	W_8_21_ECX,
	CPUID_WORDS
};

/* Words that only CPU models use; MSRs that list features are among them. */
enum cpuid_model_word {
	W_7_1_ECX = CPUID_WORDS,
	W_12_EAX,
	W_12_EBX,
	W_12_1_EAX,
	W_14_ECX,
	W_1E_1_EAX,
	W_24_EBX,
	W_24_1_ECX,
	W_29_EBX,
	W_KVM_EDX,
	W_8_7_EBX,
	W_8_A_EDX,
	W_8_22_EAX,
	W_C_1_EDX,
	W_ARCH_CAP,
	W_ARCH_CAP_HI,
	W_CORE_CAP,
	W_PERF_CAP,
	CPUID_MODEL_WORDS
};

#define FEAT_BIT(word, bit) ((word)*32 + (bit))

/* FEAT_NONE stands where no feature is needed. */
enum feature {
	FEAT_NONE = 0xffff,
#define FEATURE(id, name, word, bit, kind, xcr0, needs) \
	FEAT_##id = FEAT_BIT(W_##word, bit),
#define FEATURE_NAME(id, name, word, bit) FEAT_##id = FEAT_BIT(W_##word, bit),
#include "x86/feature.def"
#undef FEATURE
#undef FEATURE_NAME
};

#endif
