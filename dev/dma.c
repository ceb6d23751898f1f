/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handful of regions, searched in order.
 */
#include "dev/dma.h"

#include <errno.h>
#include <string.h>

void *dma_ptr(const struct dma *dma, uint64_t gpa, uint64_t len)
{
	const struct dma_region *r;
	unsigned i;

	for (i = 0; i < dma->count; i++) {
		r = &dma->region[i];
		if (gpa < r->gpa || gpa - r->gpa >= r->size)
			continue;
		return len <= r->size - (gpa - r->gpa) ? r->hva + (gpa - r->gpa)
						       : NULL;
	}
	return NULL;
}

int dma_write(const struct dma *dma, uint64_t gpa, const void *src,
	      uint64_t len)
{
	void *p = dma_ptr(dma, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, src, len);
	dma_wrote(dma, p, len);
	return 0;
}

int dma_read(const struct dma *dma, uint64_t gpa, void *dst, uint64_t len)
{
	const void *p = dma_ptr(dma, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(dst, p, len);
	return 0;
}
