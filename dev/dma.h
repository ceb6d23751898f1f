/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's memory as devices and loaders see it: guest physical
 * addresses, checked against what is really there.
 */
#ifndef DEV_DMA_H
#define DEV_DMA_H

#include <sys/uio.h>

#include "lib/util.h"

#define DMA_MAX    8
#define DMA_PIECES 1024

struct dma_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	bool shared; /* others can map it, from fd at offset */
	int fd;
	uint64_t offset;
};

/*
 * A KVM may keep what it made of the guest's code and rely on being told when
 * a device writes to memory: wrote(), from any thread, may be NULL.
 */
struct dma {
	unsigned count;
	struct dma_region region[DMA_MAX];
	void (*wrote)(void *ctx, const struct iovec *iov, unsigned n);
	void *ctx;
};

/*
 * The bytes [@gpa, @gpa + @len), or NULL unless all of them are in one
 * region. @len 0 still needs @gpa to be in a region. Whoever writes to them
 * while the guest may run says so with dma_wrote(), before the guest can know
 * that it was done.
 */
void *dma_ptr(const struct dma *dma, uint64_t gpa, uint64_t len);

static inline void dma_wrote(const struct dma *dma, const void *p, uint64_t len)
{
	const struct iovec iov = {(void *)(uintptr_t)p, len};

	if (dma->wrote && len)
		dma->wrote(dma->ctx, &iov, 1);
}

/* The same of @n pieces, DMA_PIECES at most. */
static inline void dma_wrote_pieces(const struct dma *dma,
				    const struct iovec *iov, unsigned n)
{
	if (dma->wrote && n)
		dma->wrote(dma->ctx, iov, n);
}

/* Copy in or out; -EFAULT, with nothing copied, when dma_ptr() says NULL. */
int dma_write(const struct dma *dma, uint64_t gpa, const void *src,
	      uint64_t len) __must_check;
int dma_read(const struct dma *dma, uint64_t gpa, void *dst,
	     uint64_t len) __must_check;

#endif
