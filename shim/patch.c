/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID where the host cannot make it fault: the instructions are looked for
 * in the code of the program and its libraries, and each becomes UD2, whose
 * signal is answered as a faulting CPUID would be.
 *
 * 0f a2 in the middle of something else must stay. A place is only taken
 * when decoding from the start of its function, which the unwind table knows,
 * comes to it. Only its second byte changes, so that a thread that is there
 * meets the one instruction or the other; UD2 rather than INT3, which
 * debuggers take for theirs, and which would leave a byte behind. The kernel
 * writes for us (/proc/self/mem), which makes the page ours without ever
 * making code writable.
 *
 * Not changed: the loader and libc, which ask before anything can be done and
 * use the answers for their own string functions; our own libraries, which
 * need the processor's answers; code without unwind tables; code that is made
 * at run time.
 */
#include "shim/shim.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#define SITES 1024u

#define OPCODE_ESCAPE 0x0f
#define OPCODE_CPUID  0xa2
#define OPCODE_UD2    0x0b

/* Places where CPUID was. Written under the loader's lock; 0: unused. */
static uintptr_t sites[SITES];
static uint32_t used; /* those before it may be */

/* What is loaded, as it was at the last look. */
static unsigned long long seen_subs;
static size_t seen;

/* One look at everything that is loaded. */
struct pass {
	int fd;        /* of our memory */
	size_t object; /* which one it is at */
	size_t skip;   /* those before it are known */
	bool dry, any; /* only whether there is anything to do; there is */
};

struct object {
	const void *unwind;
	unsigned int replaced, left;
};

bool patch_is_site(uintptr_t rip)
{
	uint32_t n = __atomic_load_n(&used, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n; i++)
		if (__atomic_load_n(&sites[i], __ATOMIC_RELAXED) == rip)
			return true;
	return false;
}

static bool take_site(uintptr_t rip)
{
	uint32_t i = 0;

	while (i < used && sites[i])
		i++;
	if (i == SITES)
		return false;
	__atomic_store_n(&sites[i], rip, __ATOMIC_RELAXED);
	if (i == used)
		__atomic_store_n(&used, used + 1, __ATOMIC_RELEASE);
	return true;
}

static void drop_site(uintptr_t rip)
{
	for (uint32_t i = 0; i < used; i++)
		if (sites[i] == rip)
			__atomic_store_n(&sites[i], 0, __ATOMIC_RELAXED);
}

/* ---- which objects ---- */

static bool contains(const struct dl_phdr_info *info, const void *p)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t at = (uintptr_t)p - info->dlpi_addr - ph->p_vaddr;

		if (ph->p_type == PT_LOAD && at < ph->p_memsz)
			return true;
	}
	return false;
}

static bool is_left_alone(const struct dl_phdr_info *info)
{
	const struct lib *lib = lib_get();
	uintptr_t loader = getauxval(AT_BASE),
		  vdso = getauxval(AT_SYSINFO_EHDR);

	return (loader && contains(info, (const void *)loader)) ||
	       (vdso && contains(info, (const void *)vdso)) ||
	       contains(info, (const void *)(uintptr_t)dl_iterate_phdr) ||
	       contains(info, sites) ||
	       (lib && contains(info, (const void *)(uintptr_t)lib->ioctl));
}

static const void *unwind_table(const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			return (const void *)(info->dlpi_addr +
					      info->dlpi_phdr[i].p_vaddr);
	return NULL;
}

/* ---- one place ---- */

/* Whether it is an instruction: decoding its function comes to it. */
static bool is_reached(const struct object *o, const uint8_t *at)
{
	struct code_range r;
	uintptr_t p;
	int n;

	if (!o->unwind || !unwind_find(o->unwind, (uintptr_t)at, &r))
		return false;
	for (p = r.start; p < (uintptr_t)at; p += (uintptr_t)n) {
		n = lib_get()->insn_length((const void *)p, r.end - p);
		if (n <= 0)
			return false;
	}
	return p == (uintptr_t)at;
}

static bool replace(struct pass *pass, const uint8_t *at)
{
	const uint8_t byte = OPCODE_UD2;

	if (!take_site((uintptr_t)at))
		return false;
	if (real()->pwrite(pass->fd, &byte, 1, (off_t)(uintptr_t)(at + 1)) == 1)
		return true;
	drop_site((uintptr_t)at);
	return false;
}

/* ---- everything ---- */

static void scan(struct pass *pass, struct object *o, const uint8_t *p,
		 const uint8_t *end)
{
	const uint8_t *from = p;

	while (p < end) {
		p = memchr(p, OPCODE_CPUID, (size_t)(end - p));
		if (!p)
			return;
		if (p++ == from || p[-2] != OPCODE_ESCAPE)
			continue;
		pass->any = true;
		if (pass->dry)
			return;
		if (is_reached(o, p - 2) && replace(pass, p - 2))
			o->replaced++;
		else
			o->left++;
	}
}

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct pass *pass = arg;
	struct object o = {.unwind = unwind_table(info)};

	if (pass->object++ < pass->skip || is_left_alone(info))
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const uint8_t *at;

		/* Not what can be read by nobody, or written while we look. */
		if (ph->p_type != PT_LOAD ||
		    (ph->p_flags & (PF_R | PF_W | PF_X)) != (PF_R | PF_X))
			continue;
		at = (const uint8_t *)(info->dlpi_addr + ph->p_vaddr);
		scan(pass, &o, at, at + ph->p_memsz);
	}
	if (o.replaced || o.left)
		trace_patch(*info->dlpi_name ? info->dlpi_name : "the program",
			    o.replaced, o.left);
	return pass->dry && pass->any;
}

/* Places in what has been unloaded mean nothing any more. */
static int forget(struct dl_phdr_info *info, size_t size, void *arg)
{
	bool *there = arg;

	for (uint32_t i = 0; i < used; i++)
		if (sites[i] && contains(info, (const void *)sites[i]) &&
		    ((const uint8_t *)sites[i])[1] == OPCODE_UD2)
			there[i] = true;
	return 0;
}

/* Where to begin: new objects come last, unless some have gone since. */
static void begin(struct pass *pass, const struct dl_phdr_info *info)
{
	bool there[SITES] = {false};

	pass->object = pass->skip = 0;
	if (info->dlpi_subs == seen_subs) {
		pass->skip = seen;
		return;
	}
	seen_subs = info->dlpi_subs;
	dl_iterate_phdr(forget, there);
	for (uint32_t i = 0; i < used; i++)
		if (!there[i])
			__atomic_store_n(&sites[i], 0, __ATOMIC_RELAXED);
}

/* Called for the first object only: the loader's lock is ours meanwhile. */
static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct pass *pass = arg;

	begin(pass, info);
	dl_iterate_phdr(visit, pass);
	if (!pass->dry || !pass->any)
		seen = pass->object;
	return 1;
}

bool patch_loaded(void)
{
	struct pass pass = {.fd = -1, .dry = true};
	int saved = errno;

	dl_iterate_phdr(look, &pass);
	if (!pass.any) {
		errno = saved;
		return true;
	}
	/* The decoder comes with liblodge. */
	if (!lib_load())
		return false;
	pass = (struct pass){.dry = false};
	pass.fd = real()->open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	dl_iterate_phdr(look, &pass);
	if (pass.fd >= 0)
		real()->close(pass.fd);
	errno = saved;
	return pass.fd >= 0;
}
