/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as the client executes it. Some clients ask the processor itself
 * whether it has VMX or SVM. Where the host can make CPUID fault
 * (arch_prctl(2), ARCH_SET_CPUID), it is answered here with these bits set
 * and with the vendor the client is to see; elsewhere nothing can be done.
 * The setting belongs to a thread, children inherit it, exec ends it.
 */
#include "shim/shim.h"

#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define TRAP_GP 13

#define LEAF_VENDOR     0x00000000u
#define LEAF_FEATURE    0x00000001u
#define LEAF_EXT_VENDOR 0x80000000u
#define LEAF_EXT        0x80000001u
#define ECX_MONITOR     BIT(3)
#define ECX_VMX         BIT(5)
#define ECX_SVM         BIT(2)

static bool faulting;
static bool intel;
static bool forge_vendor; /* the client is to see another than the host's */

static long set_faulting(bool on)
{
	return real()->syscall(SYS_arch_prctl, ARCH_SET_CPUID, !on);
}

bool cpuid_faults(void)
{
	return faulting;
}

void cpuid_init(void)
{
	int saved = errno;

	if (!getenv("LODGE_VENDOR")) /* not started by `lodge kvm` */
		return;
	intel = param_is_intel();
	forge_vendor = param_host_is_intel() != intel;
	faulting = !set_faulting(true);
	if (faulting)
		signal_take_faults();
	errno = saved;
}

void cpuid_open(void)
{
	if (faulting)
		set_faulting(false);
}

void cpuid_close(void)
{
	if (faulting)
		set_faulting(true);
}

static void put_vendor(uint32_t r[4])
{
	const char *name = intel ? "GenuineIntel" : "AuthenticAMD";

	memcpy(&r[1], name, 4);
	memcpy(&r[3], name + 4, 4);
	memcpy(&r[2], name + 8, 4);
}

/* What differs from the host; @r is eax, ebx, ecx, edx. */
static void forge(uint32_t leaf, uint32_t r[4])
{
	if (forge_vendor && (leaf == LEAF_VENDOR || leaf == LEAF_EXT_VENDOR))
		put_vendor(r);
	if (leaf == LEAF_FEATURE) {
		r[2] = (r[2] & ~ECX_VMX) | (intel ? ECX_VMX : 0);
		r[2] |= ECX_MONITOR; /* a guest that is given it has it */
	}
	if (leaf == LEAF_EXT)
		r[2] = (r[2] & ~ECX_SVM) | (intel ? 0 : ECX_SVM);
}

bool cpuid_emulate(void *ucontext)
{
	static const uint8_t opcode[] = {0x0f, 0xa2};
	ucontext_t *uc = ucontext;
	greg_t *g = uc->uc_mcontext.gregs;
	uint32_t leaf = (uint32_t)g[REG_RAX], r[4];

	/* A #GP comes after the fetch: the bytes are readable. */
	if (!faulting || g[REG_TRAPNO] != TRAP_GP ||
	    memcmp((const void *)(uintptr_t)g[REG_RIP], opcode, 2) != 0)
		return false;
	cpuid_open();
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"((uint32_t)g[REG_RCX]));
	cpuid_close();
	forge(leaf, r);
	g[REG_RAX] = r[0];
	g[REG_RBX] = r[1];
	g[REG_RCX] = r[2];
	g[REG_RDX] = r[3];
	g[REG_RIP] += 2;
	return true;
}
