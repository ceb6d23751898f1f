/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split ring: a table of descriptors, a ring of heads that are available
 * (written by the driver), a ring of heads that are used (by the device).
 */
#include <errno.h>

#include "dev/virtio/queue.h"

#define AVAIL_FLAGS 0
#define AVAIL_IDX   2
#define AVAIL_RING  4
#define USED_FLAGS  0
#define USED_IDX    2
#define USED_RING   4

#define AVAIL_NO_INTERRUPT BIT(0)
#define USED_NO_NOTIFY     BIT(0)

/* The event words end both rings, whether they are used or not. */
static unsigned split_driver_bytes(unsigned size)
{
	return AVAIL_RING + 2 * size + 2;
}

static unsigned split_device_bytes(unsigned size)
{
	return USED_RING + 8 * size + 2;
}

static bool split_empty(struct vq *vq)
{
	return vq_load16(vq->driver + AVAIL_IDX) == vq->next;
}

static int take_indirect(struct vq *vq, const struct vq_desc *d)
{
	unsigned count, i = 0, seen;
	const uint8_t *table = vq_indirect(vq, d->addr, d->len, &count);
	struct vq_desc in;

	if (!table || d->a & VQ_DESC_NEXT)
		return -EINVAL;
	for (seen = 0; seen < count; seen++) {
		in = vq_read_desc(table, i);
		if (in.a & VQ_DESC_INDIRECT ||
		    vq_piece(vq, in.addr, in.len, in.a & VQ_DESC_WRITE))
			return -EINVAL;
		if (!(in.a & VQ_DESC_NEXT))
			return 1;
		i = in.b;
		if (i >= count)
			return -EINVAL;
	}
	return -EINVAL; /* a loop */
}

static int take_chain(struct vq *vq, unsigned i)
{
	struct vq_desc d;
	unsigned seen;

	for (seen = 0; seen < vq->size; seen++) {
		if (i >= vq->size)
			return -EINVAL;
		d = vq_read_desc(vq->desc, i);
		if (d.a & VQ_DESC_INDIRECT)
			return take_indirect(vq, &d);
		if (vq_piece(vq, d.addr, d.len, d.a & VQ_DESC_WRITE))
			return -EINVAL;
		if (!(d.a & VQ_DESC_NEXT))
			return 1;
		i = d.b;
	}
	return -EINVAL;
}

static uint8_t *avail_entry(struct vq *vq, uint16_t idx)
{
	return vq->driver + AVAIL_RING + 2 * (idx % vq->size);
}

static uint8_t *used_event(struct vq *vq)
{
	return vq->driver + AVAIL_RING + 2 * vq->size;
}

static uint8_t *avail_event(struct vq *vq)
{
	return vq->device + USED_RING + 8 * vq->size;
}

static int split_take(struct vq *vq, struct vq_elem *head)
{
	uint16_t pending = (uint16_t)(vq_load16(vq->driver + AVAIL_IDX) -
				      vq->next);
	int ret;

	if (!pending)
		return 0;
	if (pending > vq->size)
		return -EINVAL;
	head->id = vq_load16(avail_entry(vq, vq->next));
	head->slots = 1;
	ret = take_chain(vq, head->id);
	if (ret < 0)
		return ret;
	vq->next++;
	if (vq->event_idx && !vq->quiet)
		vq_store16(avail_event(vq), vq->next);
	return ret;
}

static void split_untake(struct vq *vq, const struct vq_elem *e)
{
	vq->next--;
}

static void split_give(struct vq *vq, const struct vq_done *d, unsigned n)
{
	volatile uint32_t *entry;
	unsigned i;

	for (i = 0; i < n; i++) {
		entry = (volatile void *)(vq->device + USED_RING +
					  8 * ((uint16_t)(vq->used + i) %
					       vq->size));
		entry[0] = d[i].id;
		entry[1] = d[i].len;
	}
	vq->used = (uint16_t)(vq->used + n);
	vq_store16(vq->device + USED_IDX, vq->used);
}

static bool split_wants_interrupt(struct vq *vq)
{
	uint16_t old = vq->told;
	bool first = !vq->told_valid;

	if (!vq->event_idx)
		return !(vq_load16(vq->driver + AVAIL_FLAGS) &
			 AVAIL_NO_INTERRUPT);
	vq->told = vq->used;
	vq->told_valid = true;
	return first ||
	       vq_event_passed(vq_load16(used_event(vq)), vq->used, old);
}

static bool split_want_kick(struct vq *vq)
{
	/* Quiet leaves the old event behind, which is far away. */
	if (vq->event_idx && vq->quiet)
		return false;
	if (vq->event_idx)
		vq_store16(avail_event(vq), vq->next);
	else
		vq_store16(vq->device + USED_FLAGS,
			   vq->quiet ? USED_NO_NOTIFY : 0);
	return true;
}

static void split_want_more(struct vq *vq)
{
	if (vq->event_idx)
		vq_store16(avail_event(vq), vq_load16(vq->driver + AVAIL_IDX));
	else
		vq_store16(vq->device + USED_FLAGS, 0);
}

const struct vq_format vq_split = {
	.driver_bytes = split_driver_bytes,
	.device_bytes = split_device_bytes,
	.driver_align = 2,
	.device_align = 4,
	.empty = split_empty,
	.take = split_take,
	.untake = split_untake,
	.give = split_give,
	.wants_interrupt = split_wants_interrupt,
	.want_kick = split_want_kick,
	.want_more = split_want_more,
};
