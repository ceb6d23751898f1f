/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as the client executes it. Some clients ask the processor itself
 * whether it has VMX or SVM; it is answered here with these bits set and as
 * the vendor the client is to see. Where the host can make CPUID fault
 * (arch_prctl(2), ARCH_SET_CPUID) it does: the setting belongs to a thread,
 * children inherit it, exec ends it. Elsewhere the instructions are replaced
 * (shim/patch.c). LODGE_CPUID=fault, patch or off is one of them only.
 */
#include "shim/shim.h"

#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "x86/persona.h"

#define TRAP_UD 6
#define TRAP_GP 13

#define LEAF_FEATURE 0x00000001u
#define LEAF_EXT     0x80000001u
#define ECX_MONITOR  BIT(3)
#define ECX_VMX      BIT(5)
#define ECX_SVM      BIT(2)

static enum { TRAPS_NONE, TRAPS_FAULT, TRAPS_PATCH } method;

static long set_faulting(bool on)
{
	return real()->syscall(SYS_arch_prctl, ARCH_SET_CPUID, !on);
}

bool cpuid_traps(void)
{
	return method != TRAPS_NONE;
}

bool cpuid_patches(void)
{
	return method == TRAPS_PATCH;
}

/* What the operator wants, or what is best. */
static bool wants(const char *way)
{
	const char *only = getenv("LODGE_CPUID");

	return !only || !*only || !strcmp(only, way);
}

void cpuid_init(void)
{
	int saved = errno;

	if (!getenv("LODGE_VENDOR")) /* not started by `lodge kvm` */
		return;
	if (wants("fault") && !set_faulting(true))
		method = TRAPS_FAULT;
	else if (wants("patch"))
		method = TRAPS_PATCH;
	if (cpuid_traps()) {
		signal_take_faults();
		/* Whoever started us may have had them blocked. */
		signal_open_faults(thread_self());
	}
	if (cpuid_patches())
		cpuid_look();
	errno = saved;
}

void cpuid_look(void)
{
	static bool told;

	if (patch_loaded() ||
	    __atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
		return;
	fprintf(stderr, "lodge: CPUID shows this host to the program: its"
			" instructions cannot be replaced\n");
}

void cpuid_open(void)
{
	if (method == TRAPS_FAULT)
		set_faulting(false);
}

void cpuid_close(void)
{
	if (method == TRAPS_FAULT)
		set_faulting(true);
}

/* What the client is told; @r is eax, ebx, ecx, edx. */
static void forge(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	const struct persona *p = param_persona();

	persona_cpuid(p, persona_silicon, leaf, subleaf, r);
	if (leaf == LEAF_FEATURE) {
		r[2] = (r[2] & ~ECX_VMX) | (p->amd ? 0 : ECX_VMX);
		r[2] |= ECX_MONITOR; /* a guest that is given it has it */
	}
	if (leaf == LEAF_EXT)
		r[2] = (r[2] & ~ECX_SVM) | (p->amd ? ECX_SVM : 0);
}

/* Whether the signal is CPUID's. A #GP or #UD comes after the fetch. */
static bool is_cpuid(int sig, const greg_t *g)
{
	static const uint8_t opcode[] = {0x0f, 0xa2};
	uintptr_t rip = (uintptr_t)g[REG_RIP];

	if (method == TRAPS_FAULT)
		return sig == SIGSEGV && g[REG_TRAPNO] == TRAP_GP &&
		       !memcmp((const void *)rip, opcode, sizeof(opcode));
	return method == TRAPS_PATCH && sig == SIGILL &&
	       g[REG_TRAPNO] == TRAP_UD && patch_is_site(rip);
}

bool cpuid_emulate(int sig, void *ucontext)
{
	ucontext_t *uc = ucontext;
	greg_t *g = uc->uc_mcontext.gregs;
	uint32_t r[4];

	if (!is_cpuid(sig, g))
		return false;
	cpuid_open();
	forge((uint32_t)g[REG_RAX], (uint32_t)g[REG_RCX], r);
	cpuid_close();
	g[REG_RAX] = r[0];
	g[REG_RBX] = r[1];
	g[REG_RCX] = r[2];
	g[REG_RDX] = r[3];
	g[REG_RIP] += 2;
	return true;
}
