/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are QEMU's; an underscore stands for a dash, and a few features have
 * a second name.
 */
#include "vmm/cpu/feature.h"

#include <stdio.h>
#include <string.h>

#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_CORE_CAPABILITY   0xcf
#define MSR_PERF_CAPABILITIES 0x345

const struct feature_place feature_places[CPUID_MODEL_WORDS] = {
	[W_1_ECX] = {0x1, 0, 0, CPUID_ECX, true, false},
	[W_1_EDX] = {0x1, 0, 0, CPUID_EDX, true, false},
	[W_6_EAX] = {0x6, 0, 0, CPUID_EAX, true, false},
	[W_7_EBX] = {0x7, 0, 0, CPUID_EBX, true, true},
	[W_7_ECX] = {0x7, 0, 0, CPUID_ECX, true, true},
	[W_7_EDX] = {0x7, 0, 0, CPUID_EDX, true, true},
	[W_7_1_EAX] = {0x7, 1, 0, CPUID_EAX, true, true},
	[W_7_1_ECX] = {0x7, 1, 0, CPUID_ECX, true, true},
	[W_7_1_EDX] = {0x7, 1, 0, CPUID_EDX, true, true},
	[W_7_2_EDX] = {0x7, 2, 0, CPUID_EDX, true, true},
	[W_D_1_EAX] = {0xd, 1, 0, CPUID_EAX, true, true},
	[W_12_EAX] = {0x12, 0, 0, CPUID_EAX, false, true},
	[W_12_EBX] = {0x12, 0, 0, CPUID_EBX, false, true},
	[W_12_1_EAX] = {0x12, 1, 0, CPUID_EAX, false, true},
	[W_14_ECX] = {0x14, 0, 0, CPUID_ECX, false, true},
	[W_1E_1_EAX] = {0x1e, 1, 0, CPUID_EAX, false, true},
	[W_24_EBX] = {0x24, 0, 0, CPUID_EBX, false, true},
	[W_24_1_ECX] = {0x24, 1, 0, CPUID_ECX, false, true},
	[W_29_EBX] = {0x29, 0, 0, CPUID_EBX, false, true},
	[W_KVM_EAX] = {0x40000001, 0, 0, CPUID_EAX, false, false},
	[W_KVM_EDX] = {0x40000001, 0, 0, CPUID_EDX, false, false},
	[W_8_1_ECX] = {0x80000001, 0, 0, CPUID_ECX, true, false},
	[W_8_1_EDX] = {0x80000001, 0, 0, CPUID_EDX, true, false},
	[W_8_7_EBX] = {0x80000007, 0, 0, CPUID_EBX, false, false},
	[W_8_7_EDX] = {0x80000007, 0, 0, CPUID_EDX, true, false},
	[W_8_8_EBX] = {0x80000008, 0, 0, CPUID_EBX, true, false},
	[W_8_A_EDX] = {0x8000000a, 0, 0, CPUID_EDX, true, false},
	[W_8_21_EAX] = {0x80000021, 0, 0, CPUID_EAX, true, false},
	[W_8_21_ECX] = {0x80000021, 0, 0, CPUID_ECX, false, false},
	[W_8_22_EAX] = {0x80000022, 0, 0, CPUID_EAX, false, false},
	[W_C_1_EDX] = {0xc0000001, 0, 0, CPUID_EDX, true, false},
	[W_ARCH_CAP] = {0, 0, MSR_ARCH_CAPABILITIES, 0, false, false},
	[W_ARCH_CAP_HI] = {0, 0, MSR_ARCH_CAPABILITIES, 1, false, false},
	[W_CORE_CAP] = {0, 0, MSR_CORE_CAPABILITY, 0, false, false},
	[W_PERF_CAP] = {0, 0, MSR_PERF_CAPABILITIES, 0, false, false},
};

struct row {
	const char *name;
	uint16_t feature;
	uint8_t len;
};

#define ROW(name_, feature_)              \
	{                                 \
		.name = name_,            \
		.len = sizeof(name_) - 1, \
		.feature = feature_,      \
	},

static const struct row rows[] = {
#define FEATURE(id, name_, word, bit, kind, xcr0, needs) ROW(name_, FEAT_##id)
#define FEATURE_NAME(id, name_, word, bit)               ROW(name_, FEAT_##id)
#include "x86/feature.def"
#undef FEATURE
#undef FEATURE_NAME
};

static const struct row second_names[] = {
	ROW("sse3", FEAT_SSE3) ROW("sse4-1", FEAT_SSE4_1)
		ROW("sse4-2", FEAT_SSE4_2) ROW("pclmuldq", FEAT_PCLMULQDQ)
			ROW("i64", FEAT_LM) ROW("xd", FEAT_NX)
				ROW("ffxsr", FEAT_FXSR_OPT)};

static const char *const reg_names[] = {"EAX", "EBX", "ECX", "EDX"};

const char *feature_word_name(unsigned word, char *buf, size_t size)
{
	const struct feature_place *p = &feature_places[word];

	if (p->msr)
		snprintf(buf, size, "MSR.%X%s", p->msr, p->reg ? ":high" : "");
	else if (p->subleafs)
		snprintf(buf, size, "CPUID.%X.%X:%s", p->leaf, p->subleaf,
			 reg_names[p->reg]);
	else
		snprintf(buf, size, "CPUID.%X:%s", p->leaf, reg_names[p->reg]);
	return buf;
}

static int find(const struct row *row, size_t n, const char *name, size_t len)
{
	const struct row *end = row + n;

	for (; row < end; row++)
		if (row->len == len && row->name[0] == name[0] &&
		    !memcmp(row->name, name, len))
			return row->feature;
	return -1;
}

int feature_find(const char *name, size_t len)
{
	char dashed[32];
	size_t i;
	int f = find(rows, ARRAY_SIZE(rows), name, len);

	if (f >= 0 || len >= sizeof(dashed))
		return f;
	for (i = 0; i < len; i++)
		dashed[i] = name[i] == '_' ? '-' : name[i];
	f = find(rows, ARRAY_SIZE(rows), dashed, len);
	if (f < 0)
		f = find(second_names, ARRAY_SIZE(second_names), dashed, len);
	return f;
}

const char *feature_name(unsigned feature)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].feature == feature)
			return rows[i].name;
	return NULL;
}

void feature_list(const uint32_t *words, char *buf, size_t size)
{
	size_t used = 0, i;

	buf[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!feature_test(words, rows[i].feature))
			continue;
		if (used + rows[i].len + 6 > size) {
			snprintf(buf + used, size - used, " ...");
			return;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
					 used ? " " : "", rows[i].name);
	}
}
