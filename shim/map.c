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

/* True when @fd is ours; *@out is the result then. */
static bool serve(void *addr, size_t len, int prot, int flags, int fd,
		  uint64_t off, void **out)
{
	const struct lib *lib = lib_get();
	int saved = errno, ret;
	void *p;

	if (!lib || fd_borrowed())
		return false;
	ret = lib->mmap(fd, len, prot, flags, off, &p);
	if (ret == -ENOTTY || ret == -EBADF) {
		fd_set_kind(fd, FD_FOREIGN);
		return false;
	}
	*out = MAP_FAILED;
	if (ret) {
		errno = -ret;
		return true;
	}
	*out = p;
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		*out = move(p, addr, ALIGN_UP(len, PAGE));
	if (*out != MAP_FAILED)
		errno = saved;
	return true;
}

SHIM_API void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		    off_t off)
{
	void *p;

	if (unlikely(!(flags & MAP_ANONYMOUS) && fd_kind(fd) != FD_FOREIGN) &&
	    serve(addr, len, prot, flags, fd, (uint64_t)off, &p))
		return p;
	return real()->mmap(addr, len, prot, flags, fd, off);
}

SHIM_API void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		      off64_t off)
{
	void *p;

	if (unlikely(!(flags & MAP_ANONYMOUS) && fd_kind(fd) != FD_FOREIGN) &&
	    serve(addr, len, prot, flags, fd, (uint64_t)off, &p))
		return p;
	return real()->mmap64(addr, len, prot, flags, fd, off);
}
