/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ring formats share: checks, pieces of buffers, the order in which
 * buffers are given back.
 */
#include "dev/virtio/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/dma.h"
#include "lib/check.h"

#define DESC_SIZE 16

static const struct vq_format *format(const struct vq *vq)
{
	return vq->packed ? &vq_packed : &vq_split;
}

/* @len bytes at @gpa, aligned as the format wants it. */
static uint8_t *area(struct vq *vq, uint64_t gpa, uint64_t len, unsigned align)
{
	return gpa % align ? NULL : dma_ptr(vq->dma, gpa, len);
}

static int find_areas(struct vq *vq)
{
	const struct vq_format *f = format(vq);

	if (!vq->size || vq->size > vq->max ||
	    (!vq->packed && vq->size & (vq->size - 1)))
		return -EINVAL;
	vq->desc = area(vq, vq->desc_gpa, vq->size * DESC_SIZE, DESC_SIZE);
	vq->driver = area(vq, vq->driver_gpa, f->driver_bytes(vq->size),
			  f->driver_align);
	vq->device = area(vq, vq->device_gpa, f->device_bytes(vq->size),
			  f->device_align);
	return vq->desc && vq->driver && vq->device ? 0 : -EINVAL;
}

int vq_start(struct vq *vq, const struct dma *dma,
	     const struct virtio_features *f)
{
	int ret;

	vq->dma = dma;
	vq->packed = features_has(f, VIRTIO_F_RING_PACKED);
	vq->indirect = features_has(f, VIRTIO_F_INDIRECT_DESC);
	vq->event_idx = features_has(f, VIRTIO_F_EVENT_IDX);
	vq->in_order = features_has(f, VIRTIO_F_IN_ORDER);
	vq->next_wrap = vq->used_wrap = true;
	ret = find_areas(vq);
	if (ret) {
		vq->broken = true;
		return ret;
	}
	vq->scratch = malloc(VQ_MAX_IOV * sizeof(*vq->scratch));
	vq->order = calloc(VQ_MAX_SIZE, sizeof(*vq->order));
	if (!vq->scratch || !vq->order) {
		vq_reset(vq);
		return -ENOMEM;
	}
	vq->ready = true;
	return 0;
}

void vq_reset(struct vq *vq)
{
	free(vq->scratch);
	free(vq->order);
	*vq = (struct vq){.max = vq->max, .size = vq->max};
}

int vq_piece(struct vq *vq, uint64_t gpa, uint32_t len, bool write)
{
	unsigned n = vq->out_n + vq->in_n;
	void *p;

	/* What the device reads comes first; no piece is empty. */
	if (n == VQ_MAX_IOV || !len || (!write && vq->in_n))
		return -EINVAL;
	p = dma_ptr(vq->dma, gpa, len);
	if (!p)
		return -EINVAL;
	vq->scratch[n] = (struct iovec){p, len};
	if (write) {
		vq->in_n++;
		vq->in_len += len;
	} else {
		vq->out_n++;
		vq->out_len += len;
	}
	return 0;
}

struct vq_desc vq_read_desc(const uint8_t *table, unsigned i)
{
	struct vq_desc d;

	memcpy(&d, table + i * DESC_SIZE, sizeof(d));
	/* What was checked is what is used: no second look. */
	__asm__ volatile("" : "+m"(d) : : "memory");
	return d;
}

const uint8_t *vq_indirect(struct vq *vq, uint64_t gpa, uint32_t len,
			   unsigned *count)
{
	if (!vq->indirect || !len || len % DESC_SIZE)
		return NULL;
	*count = len / DESC_SIZE;
	if (*count > VQ_MAX_IOV)
		return NULL;
	return dma_ptr(vq->dma, gpa, len);
}

static struct vq_elem *new_elem(struct vq *vq, const struct vq_elem *head)
{
	unsigned n = vq->out_n + vq->in_n;
	struct vq_elem *e = malloc(sizeof(*e) + n * sizeof(e->iov[0]));

	if (!e)
		return NULL;
	*e = *head;
	e->seq = vq->taken++;
	e->out_n = vq->out_n;
	e->in_n = vq->in_n;
	e->out_len = vq->out_len;
	e->in_len = vq->in_len;
	memcpy(e->iov, vq->scratch, n * sizeof(e->iov[0]));
	return e;
}

struct vq_elem *vq_pop(struct vq *vq)
{
	struct vq_elem head = {0}, *e;
	int ret;

	if (!vq->ready || vq->broken)
		return NULL;
	vq->out_n = vq->in_n = 0;
	vq->out_len = vq->in_len = 0;
	ret = format(vq)->take(vq, &head);
	/* More in flight than the ring holds: the driver lies. */
	if (ret > 0 && vq->flying == vq->size)
		ret = -EINVAL;
	if (ret < 0)
		vq->broken = true;
	if (ret <= 0)
		return NULL;
	e = new_elem(vq, &head);
	if (!e)
		vq->broken = true;
	else
		vq->flying++;
	return e;
}

void vq_unpop(struct vq *vq, struct vq_elem *e)
{
	ASSERT(e->seq + 1 == vq->taken);
	vq->taken = e->seq;
	vq->flying--;
	format(vq)->untake(vq, e);
	free(e);
}

/*
 * What the device stored: the pieces of buffers, in as few calls as they fit
 * in (scratch is free between two takes), and the areas of the ring.
 */
static void tell_buffers(struct vq *vq, struct vq_elem *const *e, unsigned n)
{
	unsigned i, count = 0;

	for (i = 0; i < n; i++) {
		if (count + e[i]->in_n > VQ_MAX_IOV) {
			dma_wrote_pieces(vq->dma, vq->scratch, count);
			count = 0;
		}
		memcpy(vq->scratch + count, e[i]->iov + e[i]->out_n,
		       e[i]->in_n * sizeof(*vq->scratch));
		count += e[i]->in_n;
	}
	dma_wrote_pieces(vq->dma, vq->scratch, count);
}

static void tell_ring(struct vq *vq)
{
	const struct vq_format *f = format(vq);

	if (vq->packed)
		dma_wrote(vq->dma, vq->desc, vq->size * DESC_SIZE);
	dma_wrote(vq->dma, vq->device, f->device_bytes(vq->size));
}

static struct vq_done mark_done(struct vq *vq, const struct vq_elem *e,
				uint32_t len)
{
	struct vq_done *d = &vq->order[e->seq % VQ_MAX_SIZE];

	*d = (struct vq_done){
		.len = len,
		.id = e->id,
		.slots = e->slots,
		.done = vq->in_order,
	};
	vq->flying--;
	return *d;
}

/* Give back what is done and has no unfinished one before it. */
static void give_in_order(struct vq *vq)
{
	struct vq_done *d;

	for (;;) {
		d = &vq->order[vq->given % VQ_MAX_SIZE];
		if (vq->given == vq->taken || !d->done)
			return;
		format(vq)->give(vq, d, 1);
		*d = (struct vq_done){0};
		vq->given++;
	}
}

void vq_push_many(struct vq *vq, struct vq_elem *const *e, const uint32_t *len,
		  unsigned n)
{
	struct vq_done done[VQ_MAX_PUSH];
	unsigned i;

	ASSERT(n <= ARRAY_SIZE(done));
	if (!vq->ready || vq->broken || !n)
		return;
	tell_buffers(vq, e, n);
	for (i = 0; i < n; i++)
		done[i] = mark_done(vq, e[i], len[i]);
	if (vq->in_order)
		give_in_order(vq);
	else
		format(vq)->give(vq, done, n);
	tell_ring(vq);
}

void vq_push(struct vq *vq, const struct vq_elem *e, uint32_t len)
{
	struct vq_elem *one = (struct vq_elem *)(uintptr_t)e;

	vq_push_many(vq, &one, &len, 1);
}

bool vq_wants_interrupt(struct vq *vq)
{
	if (!vq->ready || vq->broken)
		return false;
	/* The used entries must be visible before the wish is read. */
	vq_fence();
	return format(vq)->wants_interrupt(vq);
}

void vq_want_kick(struct vq *vq, bool on)
{
	if (!vq->ready || vq->broken)
		return;
	vq->quiet = !on;
	if (!format(vq)->want_kick(vq))
		return;
	tell_ring(vq);
	/* The wish must be visible before the ring is looked at again. */
	vq_fence();
}

void vq_want_more(struct vq *vq)
{
	if (!vq->ready || vq->broken)
		return;
	vq->quiet = true;
	format(vq)->want_more(vq);
	tell_ring(vq);
	vq_fence();
}

bool vq_empty(struct vq *vq)
{
	return !vq->ready || vq->broken || format(vq)->empty(vq);
}

size_t iov_read(const struct iovec *iov, unsigned n, size_t skip, void *p,
		size_t len)
{
	size_t done = 0, part;

	for (; n && done < len; n--, iov++) {
		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		part = MIN(iov->iov_len - skip, len - done);
		memcpy((char *)p + done, (char *)iov->iov_base + skip, part);
		done += part;
		skip = 0;
	}
	return done;
}

size_t iov_write(const struct iovec *iov, unsigned n, size_t skip,
		 const void *p, size_t len)
{
	size_t done = 0, part;

	for (; n && done < len; n--, iov++) {
		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		part = MIN(iov->iov_len - skip, len - done);
		memcpy((char *)iov->iov_base + skip, (const char *)p + done,
		       part);
		done += part;
		skip = 0;
	}
	return done;
}
