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
#include <unistd.h>

#define HUGE_SIZE     (2UL << 20)
#define POPULATE_STEP (64UL << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

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

/* Of @ram->fd when it is shared. */
static int map(struct host_ram *ram, size_t size, struct err *e)
{
	uint64_t total = host_total();
	size_t mapped = size + HUGE_SIZE;
	int flags = MAP_NORESERVE;
	void *p;

	ram->base = NULL;
	if (size > total)
		return err_set(
			e, -ENOMEM,
			"this host cannot give %zu MiB of memory (it has "
			"%llu MiB with swap)",
			size >> 20, (unsigned long long)total >> 20);
	flags |= ram->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, flags,
		 ram->shared ? ram->fd : -1, 0);
	if (p == MAP_FAILED) {
		int code = -errno;

		return err_set(e, code,
			       "this host cannot give %zu MiB of memory: %s",
			       size >> 20, strerror(-code));
	}
	p = trim(p, mapped, size);
	/* Trimming has moved the start of the file along. */
	if (ram->shared)
		p = mmap(p, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
			 ram->fd, 0);
	ram->base = p;
	ram->size = size;
	/* Best effort: a host without huge pages serves small ones. */
	madvise(ram->base, size, MADV_HUGEPAGE);
	return 0;
}

int host_ram_map(struct host_ram *ram, size_t size, struct err *e)
{
	ram->shared = false;
	return map(ram, size, e);
}

int host_ram_share(struct host_ram *ram, size_t size, struct err *e)
{
	int ret, code;

	ram->base = NULL;
	ram->fd = memfd_create("guest", MFD_CLOEXEC);
	ram->shared = ram->fd >= 0;
	if (!ram->shared || ftruncate(ram->fd, (off_t)size)) {
		code = -errno;
		host_ram_unmap(ram);
		return err_set(e, code,
			       "this host cannot give %zu MiB of memory to be "
			       "shared: %s",
			       size >> 20, strerror(-code));
	}
	ret = map(ram, size, e);
	if (ret)
		host_ram_unmap(ram);
	return ret;
}

/* Kernels before 5.14 do not know how: write to each page. */
static int populate(char *p, size_t len)
{
	if (!madvise(p, len, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	for (size_t i = 0; i < len; i += 4096)
		((volatile char *)p)[i] = 0;
	return 0;
}

int host_ram_populate(const struct host_ram *ram, const struct progress *p,
		      struct err *e)
{
	size_t done, len;
	int ret;

	for (done = 0; done < ram->size; done += len) {
		len = MIN(ram->size - done, POPULATE_STEP);
		ret = populate((char *)ram->base + done, len);
		if (ret)
			return err_set(e, ret,
				       "this host gave %zu of %zu MiB of "
				       "memory: %s",
				       done >> 20, ram->size >> 20,
				       strerror(-ret));
		progress_step(p, done + len, ram->size);
	}
	return 0;
}

void host_ram_unmap(struct host_ram *ram)
{
	if (ram->base)
		munmap(ram->base, ram->size);
	ram->base = NULL;
	if (ram->shared)
		close(ram->fd);
	ram->shared = false;
}
