/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlopen(): what is loaded late is looked at as well. The real function asks
 * who calls it, to search the caller's run path. Where that can make a
 * difference it is jumped to as if we were not here, and the object is looked
 * at with the next one; otherwise we are as good a caller as any.
 */
#include "shim/shim.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

static void *open_and_look(const char *file, int mode)
{
	void *so = real()->dlopen(file, mode);

	if (so && !(mode & RTLD_NOLOAD))
		cpuid_look();
	return so;
}

static bool has_run_path(const struct link_map *map)
{
	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_RPATH || d->d_tag == DT_RUNPATH)
			return true;
	return false;
}

/* The program's own counts for all that it loads. */
static bool caller_matters(const char *file, const void *caller)
{
	struct link_map *map;
	Dl_info info;

	if (!file)
		return false;
	if (strchr(file, '/'))
		return strchr(file, '$') != NULL;
	if (has_run_path(_r_debug.r_map))
		return true;
	return !dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP) ||
	       has_run_path(map);
}

typedef void *dlopen_fn(const char *file, int mode);

/* What dlopen() below goes on with. */
dlopen_fn *dl_choose(const char *file, int mode, const void *caller)
	__attribute__((used));
dlopen_fn *dl_choose(const char *file, int mode, const void *caller)
{
	if (!cpuid_patches() || caller_matters(file, caller))
		return real()->dlopen;
	return open_and_look;
}

/* A jump, which leaves the return address as the caller put it. */
__asm__(".text\n"
	".globl dlopen\n"
	".type dlopen, @function\n"
	"dlopen:\n"
	"	.cfi_startproc\n"
	"	endbr64\n"
	"	pushq %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq %rsi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	movq 24(%rsp), %rdx\n"
	"	call dl_choose\n"
	"	addq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %rsi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %rdi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	jmp *%rax\n"
	"	.cfi_endproc\n"
	"	.size dlopen, . - dlopen\n");

SHIM_API int dlclose(void *handle)
{
	int ret = real()->dlclose(handle);

	if (cpuid_patches())
		cpuid_look();
	return ret;
}
