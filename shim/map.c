/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap() of our descriptors. liblodge chooses the address; when the client
 * had one in mind, the pages are moved there one by one, since they need not
 * belong to one file.
 */
#include "shim/shim.h"

#include <errno.h>

#define PAGE 4096ul

static void *move(void *from, void *to, size_t len)
{
	for (size_t i = 0; i < len; i += PAGE)
		if (mremap((uint8_t *)from + i, PAGE, PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED,
			   (uint8_t *)to + i) == MAP_FAILED)
			return MAP_FAILED;
	return to;
}

/* What the client asked for. */
struct request {
	void *addr;
	size_t len;
	int prot, flags, fd;
	uint64_t off;
};

/* True when the file is ours; *@out is the result then. */
static bool serve(const struct request *r, void **out)
{
	const struct lib *lib = lib_get();
	int saved = errno, ret;
	void *p;

	if (!lib || fd_borrowed())
		return false;
	ret = lib->mmap(r->fd, r->len, r->prot, r->flags, r->off, &p);
	if (ret == -ENOTTY || ret == -EBADF) {
		fd_set_kind(r->fd, FD_FOREIGN);
		return false;
	}
	*out = MAP_FAILED;
	if (ret) {
		errno = -ret;
		return true;
	}
	*out = p;
	if (r->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		*out = move(p, r->addr, ALIGN_UP(r->len, PAGE));
	if (*out != MAP_FAILED)
		errno = saved;
	return true;
}

static bool is_ours(int flags, int fd)
{
	return unlikely(!(flags & MAP_ANONYMOUS) && fd_kind(fd) != FD_FOREIGN);
}

SHIM_API void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		    off_t off)
{
	struct request r = {addr, len, prot, flags, fd, (uint64_t)off};
	void *p;

	if (is_ours(flags, fd) && serve(&r, &p))
		return p;
	return real()->mmap(addr, len, prot, flags, fd, off);
}

SHIM_API void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		      off64_t off)
{
	struct request r = {addr, len, prot, flags, fd, (uint64_t)off};
	void *p;

	if (is_ours(flags, fd) && serve(&r, &p))
		return p;
	return real()->mmap64(addr, len, prot, flags, fd, off);
}
