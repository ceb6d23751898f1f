/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading liblodge when the first client opens /dev/kvm. RTLD_DEEPBIND makes
 * its calls of close(), mmap() and sigaction() libc's own.
 */
#include "shim/shim.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "liblodge.so.0"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct lib lib;
static bool loaded;

/* Beside the shim when installed, in the next folder after a build. */
static void *open_library(void)
{
	static const char *const places[] = {"", "../kvm/"};
	const char *self = shim_path();
	const char *slash = strrchr(self, '/');
	int len = slash ? (int)(slash - self) + 1 : 0;
	char path[PATH_MAX];
	void *so = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !so; i++) {
		snprintf(path, sizeof(path), "%.*s%s" LIBRARY, len, self,
			 places[i]);
		if (real()->access(path, R_OK))
			continue;
		so = real()->dlopen(path,
				    RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
		if (!so)
			fprintf(stderr, "lodge: %s\n", dlerror());
	}
	if (!so)
		fprintf(stderr, "lodge: %s is not beside %s\n", LIBRARY, self);
	return so;
}

static void load(void)
{
	void *so = open_library();

	if (!so)
		return;
	lib.open = (__typeof__(lib.open))dlsym(so, "lodge_open");
	lib.ioctl = (__typeof__(lib.ioctl))dlsym(so, "lodge_ioctl");
	lib.run = (__typeof__(lib.run))dlsym(so, "lodge_run");
	lib.kick = (__typeof__(lib.kick))dlsym(so, "lodge_kick");
	lib.mmap = (__typeof__(lib.mmap))dlsym(so, "lodge_mmap");
	lib.close = (__typeof__(lib.close))dlsym(so, "lodge_close");
	lib.insn_length = (__typeof__(lib.insn_length))dlsym(
		so, "lodge_insn_length");
	if (!lib.open || !lib.ioctl || !lib.run || !lib.kick || !lib.mmap ||
	    !lib.close || !lib.insn_length) {
		fprintf(stderr, "lodge: %s is of another version\n", LIBRARY);
		return;
	}
	signal_take_faults();
	signal_take_wake();
	trace_init();
	__atomic_store_n(&loaded, true, __ATOMIC_RELEASE);
}

const struct lib *lib_get(void)
{
	return __atomic_load_n(&loaded, __ATOMIC_ACQUIRE) ? &lib : NULL;
}

const struct lib *lib_load(void)
{
	pthread_once(&once, load);
	return lib_get();
}
