/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Module parameters, as a host has them that runs this KVM: values that
 * clients and the upstream tests look at to learn what to expect. Guests'
 * page tables are walked by software, so there is no page splitting and no
 * two-dimensional paging to say yes for; what a guest is offered otherwise is
 * KVM_CHECK_EXTENSION's to say.
 */
#include "shim/shim.h"

#include <string.h>

#include "x86/persona.h"

#define ROOT "/sys/module/"

/*
 * A KVM has a stable clock when its kernel's is the TSC; ours is made of
 * nothing else (kvm/clock.c), whatever the host's kernel prefers.
 */
#define CLOCKSOURCE \
	"/sys/devices/system/clocksource/clocksource0/current_clocksource"

enum module { MODULE_KVM, MODULE_INTEL, MODULE_AMD };

static const char *const modules[] = {
	[MODULE_KVM] = "kvm",
	[MODULE_INTEL] = "kvm_intel",
	[MODULE_AMD] = "kvm_amd",
};

static const struct {
	enum module module;
	const char *name;
	const char *text;
} params[] = {
	{MODULE_KVM, "eager_page_split", "N\n"},
	{MODULE_KVM, "enable_pmu", "Y\n"},
	{MODULE_KVM, "enable_vmware_backdoor", "N\n"},
	{MODULE_KVM, "force_emulation_prefix", "0\n"},
	{MODULE_KVM, "halt_poll_ns", "20000\n"},
	{MODULE_KVM, "ignore_msrs", "N\n"},
	{MODULE_KVM, "kvmclock_periodic_sync", "Y\n"},
	{MODULE_KVM, "mmio_caching", "N\n"},
	{MODULE_KVM, "nx_huge_pages", "N\n"},
	{MODULE_KVM, "nx_huge_pages_recovery_period_ms", "0\n"},
	{MODULE_KVM, "nx_huge_pages_recovery_ratio", "0\n"},
	{MODULE_KVM, "report_ignored_msrs", "Y\n"},
	{MODULE_KVM, "tdp_mmu", "N\n"},
	{MODULE_KVM, "vector_hashing", "N\n"},
	{MODULE_INTEL, "enable_apicv", "N\n"},
	{MODULE_INTEL, "ept", "N\n"},
	{MODULE_INTEL, "nested", "N\n"},
	{MODULE_INTEL, "unrestricted_guest", "Y\n"},
	{MODULE_INTEL, "vpid", "Y\n"},
	{MODULE_AMD, "avic", "N\n"},
	{MODULE_AMD, "lbrv", "0\n"},
	{MODULE_AMD, "nested", "0\n"},
	{MODULE_AMD, "npt", "N\n"},
	{MODULE_AMD, "nrips", "1\n"},
	{MODULE_AMD, "sev", "N\n"},
	{MODULE_AMD, "sev_es", "N\n"},
	{MODULE_AMD, "sev_snp", "N\n"},
	{MODULE_AMD, "vgif", "0\n"},
	{MODULE_AMD, "vls", "0\n"},
};

static const struct persona *persona;

const struct persona *param_persona(void)
{
	const char *want = getenv("LODGE_VENDOR");
	uint32_t r[4];

	if (likely(persona))
		return persona;
	if (want)
		persona = persona_find(want);
	if (!persona) {
		persona_silicon(0, 0, r);
		persona = persona_vendor_is_amd(r[1]) ? &persona_amd
						      : &persona_intel;
	}
	return persona;
}

static bool is_hidden(enum module m)
{
	if (m == MODULE_KVM)
		return false;
	return param_persona()->amd != (m == MODULE_AMD);
}

/* What follows the name of a module. */
static enum path_kind find_below(enum module m, const char *rest,
				 const char **text)
{
	if (is_hidden(m))
		return PATH_NONE;
	if (!*rest || !strcmp(rest, "/parameters"))
		return PATH_DIR;
	if (strncmp(rest, "/parameters/", 12))
		return PATH_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		if (params[i].module != m || strcmp(params[i].name, rest + 12))
			continue;
		*text = params[i].text;
		return PATH_PARAM;
	}
	return PATH_NONE;
}

enum path_kind param_find(const char *path, const char **text)
{
	size_t n;

	if (!strcmp(path, CLOCKSOURCE)) {
		*text = "tsc\n";
		return PATH_PARAM;
	}
	if (strncmp(path, ROOT, sizeof(ROOT) - 1))
		return PATH_OTHER;
	path += sizeof(ROOT) - 1;
	n = strcspn(path, "/");
	for (size_t m = 0; m < ARRAY_SIZE(modules); m++)
		if (strlen(modules[m]) == n && !memcmp(modules[m], path, n))
			return find_below((enum module)m, path + n, text);
	return PATH_OTHER;
}
