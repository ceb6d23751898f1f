/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymous memory without a commit charge. Huge pages are asked for: a
 * translated access costs the host a page walk too. The start is aligned to
 * 2 MiB for that.
 */
#include "host/ram.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define HUGE_SIZE (2UL << 20)

static uint64_t host_total(void)
{
	struct sysinfo si;

	if (sysinfo(&si))
		return UINT64_MAX;
	return ((uint64_t)si.totalram + si.totalswap) * si.mem_unit;
}

/* Cut what the alignment left over at both ends. */
static void *trim(char *p, size_t mapped, size_t size)
{
	char *start = (char *)ALIGN_UP((uintptr_t)p, HUGE_SIZE);
	size_t head = (size_t)(start - p);

	if (head)
		munmap(p, head);
	if (mapped - head > size)
		munmap(start + size, mapped - head - size);
	return start;
}

int host_ram_map(struct host_ram *ram, size_t size, struct err *e)
{
	uint64_t total = host_total();
	size_t mapped = size + HUGE_SIZE;
	void *p;

	ram->base = NULL;
	if (size > total)
		return err_set(
			e, -ENOMEM,
			"this host cannot give %zu MiB of memory (it has "
			"%llu MiB with swap)",
			size >> 20, (unsigned long long)total >> 20);
	p = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		int code = -errno;

		return err_set(e, code,
			       "this host cannot give %zu MiB of memory: %s",
			       size >> 20, strerror(-code));
	}
	ram->base = trim(p, mapped, size);
	ram->size = size;
	/* Best effort: a host without huge pages serves small ones. */
	madvise(ram->base, size, MADV_HUGEPAGE);
	return 0;
}

void host_ram_unmap(struct host_ram *ram)
{
	if (ram->base)
		munmap(ram->base, ram->size);
	ram->base = NULL;
}
