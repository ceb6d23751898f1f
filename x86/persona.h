/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor one host can pass for: its own, or one of the other vendor
 * that has what both have. Everything that asks CPUID on behalf of a guest or
 * of a client of `lodge kvm` asks through this, so that all see the same.
 */
#ifndef X86_PERSONA_H
#define X86_PERSONA_H

#include <stdbool.h>
#include <stdint.h>

struct persona {
	const char *name; /* "intel", "amd" */
	char vendor[13];  /* as leaf 0 spells it */
	bool amd;
	uint8_t family, model, stepping;
	char brand[48];
	/* What is peculiar to the other vendor in flags of /proc/cpuinfo. */
	const char *hides;
};

extern const struct persona persona_intel, persona_amd;

/* By name, or NULL. */
const struct persona *persona_find(const char *name);

/* EBX of leaf 0: AMD's and those who follow it. */
bool persona_vendor_is_amd(uint32_t ebx);

/* Family, model and stepping as leaf 1 has them. */
uint32_t persona_signature(const struct persona *p);

/* CPUID of a processor; @r: EAX EBX ECX EDX. */
typedef void persona_cpuid_fn(uint32_t leaf, uint32_t subleaf, uint32_t r[4]);

/* The instruction itself. */
void persona_silicon(uint32_t leaf, uint32_t subleaf, uint32_t r[4]);

/*
 * What @p, made of @silicon, answers. NULL and the silicon's own vendor: the
 * silicon's answer. Otherwise a leaf beyond @silicon's limits is zeros.
 */
void persona_cpuid(const struct persona *p, persona_cpuid_fn *silicon,
		   uint32_t leaf, uint32_t subleaf, uint32_t r[4]);

#endif
