/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up: find what the next library calls by our names. No thread, no
 * file, no memory beyond what dlsym() needs.
 */
#include "shim/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static struct real next_;
static char own_path[PATH_MAX];
static int state; /* 0 nothing yet, 1 under way, 2 done */

static void find_next(void)
{
#define REAL(name) next_.name = (__typeof__(next_.name))dlsym(RTLD_NEXT, #name);
#include "shim/real.def"
#undef REAL
}

static void find_self(void)
{
	Dl_info info;

	if (dladdr((void *)(uintptr_t)shim_init, &info) && info.dli_fname &&
	    strlen(info.dli_fname) < sizeof(own_path))
		strcpy(own_path, info.dli_fname);
}

void shim_init(void)
{
	int none = 0;

	if (likely(__atomic_load_n(&state, __ATOMIC_ACQUIRE) == 2))
		return;
	if (!__atomic_compare_exchange_n(&state, &none, 1, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return; /* within find_next(), or a thread beside it */
	find_next();
	find_self();
	__atomic_store_n(&state, 2, __ATOMIC_RELEASE);
}

const struct real *real(void)
{
	shim_init();
	return &next_;
}

const char *shim_path(void)
{
	return own_path;
}

long shim_return(long ret)
{
	if (ret >= 0)
		return ret;
	errno = (int)-ret;
	return -1;
}

static void __attribute__((constructor(101))) start(void)
{
	shim_init();
	fd_init();
	cpuid_init();
}
