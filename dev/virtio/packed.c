/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packed ring: one ring of descriptors written by both sides. Two flags
 * in each, compared with wrap counters, say whose it is; two areas of four
 * bytes say which notifications are wanted.
 */
#include <errno.h>

#include "dev/virtio/queue.h"

#define DESC_FLAGS 14 /* offset of the flags in a descriptor */

#define EVENT_OFF   0 /* offset and wrap counter */
#define EVENT_FLAGS 2

enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };

#define WRAP_BIT BIT(15)

static unsigned packed_event_bytes(unsigned size)
{
	return 4;
}

static uint8_t *flags_of(struct vq *vq, unsigned i)
{
	return vq->desc + 16 * i + DESC_FLAGS;
}

static bool packed_empty(struct vq *vq)
{
	uint16_t flags = vq_load16(flags_of(vq, vq->next));

	return !!(flags & VQ_DESC_AVAIL) != vq->next_wrap ||
	       !!(flags & VQ_DESC_USED) == vq->next_wrap;
}

static void advance(const struct vq *vq, uint16_t *idx, bool *wrap, unsigned n)
{
	unsigned to = *idx + n;

	if (to >= vq->size) {
		to -= vq->size;
		*wrap = !*wrap;
	}
	*idx = (uint16_t)to;
}

static int take_indirect(struct vq *vq, const struct vq_desc *d)
{
	unsigned count, i;
	const uint8_t *table = vq_indirect(vq, d->addr, d->len, &count);
	struct vq_desc in;

	if (!table || d->b & VQ_DESC_NEXT)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		in = vq_read_desc(table, i);
		if (in.b & VQ_DESC_INDIRECT ||
		    vq_piece(vq, in.addr, in.len, in.b & VQ_DESC_WRITE))
			return -EINVAL;
	}
	return 0;
}

static int packed_take(struct vq *vq, struct vq_elem *head)
{
	unsigned i = vq->next, seen;
	struct vq_desc d;

	if (packed_empty(vq))
		return 0;
	for (seen = 1; seen <= vq->size; seen++) {
		d = vq_read_desc(vq->desc, i);
		if (d.b & VQ_DESC_INDIRECT) {
			if (seen > 1 || take_indirect(vq, &d))
				return -EINVAL;
		} else if (vq_piece(vq, d.addr, d.len, d.b & VQ_DESC_WRITE)) {
			return -EINVAL;
		}
		if (!(d.b & VQ_DESC_NEXT)) {
			head->id = d.a;
			head->slots = (uint16_t)seen;
			advance(vq, &vq->next, &vq->next_wrap, seen);
			return 1;
		}
		i = i + 1 == vq->size ? 0 : i + 1;
	}
	return -EINVAL;
}

static void packed_untake(struct vq *vq, const struct vq_elem *e)
{
	if (vq->next < e->slots)
		vq->next_wrap = !vq->next_wrap;
	vq->next = (uint16_t)(vq->next < e->slots
				      ? vq->next + vq->size - e->slots
				      : vq->next - e->slots);
}

static void write_used(struct vq *vq, unsigned i, bool wrap,
		       const struct vq_done *d)
{
	volatile struct vq_desc *out = (volatile void *)(vq->desc + 16 * i);
	uint16_t flags = wrap ? VQ_DESC_AVAIL | VQ_DESC_USED : 0;

	if (d->len)
		flags |= VQ_DESC_WRITE;
	out->a = d->id;
	out->len = d->len;
	vq_store16(flags_of(vq, i), flags);
}

/* The first entry goes last: it is the one the driver looks at. */
static void packed_give(struct vq *vq, const struct vq_done *d, unsigned n)
{
	uint16_t first = vq->used;
	bool first_wrap = vq->used_wrap, wrap = first_wrap;
	unsigned i;

	advance(vq, &vq->used, &vq->used_wrap, d[0].slots);
	for (i = 1; i < n; i++) {
		write_used(vq, vq->used, vq->used_wrap, &d[i]);
		advance(vq, &vq->used, &vq->used_wrap, d[i].slots);
	}
	write_used(vq, first, first_wrap, &d[0]);
	/* Indices before and after a wrap cannot be compared. */
	if (vq->used_wrap != wrap)
		vq->told_valid = false;
}

static bool packed_wants_interrupt(struct vq *vq)
{
	uint16_t flags = vq_load16(vq->driver + EVENT_FLAGS) & 3;
	uint16_t event, off, old = vq->told;
	bool first = !vq->told_valid;

	vq->told = vq->used;
	vq->told_valid = true;
	if (flags == EVENT_DISABLE)
		return false;
	if (flags != EVENT_DESC || !vq->event_idx || first)
		return true;
	event = vq_load16(vq->driver + EVENT_OFF);
	off = event & (WRAP_BIT - 1);
	if (!!(event & WRAP_BIT) != vq->used_wrap)
		off = (uint16_t)(off - vq->size);
	return vq_event_passed(off, vq->used, old);
}

static bool packed_want_kick(struct vq *vq)
{
	uint16_t flags = EVENT_ENABLE;

	if (vq->quiet) {
		flags = EVENT_DISABLE;
	} else if (vq->event_idx) {
		vq_store16(
			vq->device + EVENT_OFF,
			(uint16_t)(vq->next | (vq->next_wrap ? WRAP_BIT : 0)));
		flags = EVENT_DESC;
	}
	vq_store16(vq->device + EVENT_FLAGS, flags);
	return true;
}

/* Where the driver's last one ends is not known: any will do. */
static void packed_want_more(struct vq *vq)
{
	vq_store16(vq->device + EVENT_FLAGS, EVENT_ENABLE);
}

const struct vq_format vq_packed = {
	.driver_bytes = packed_event_bytes,
	.device_bytes = packed_event_bytes,
	.driver_align = 4,
	.device_align = 4,
	.empty = packed_empty,
	.take = packed_take,
	.untake = packed_untake,
	.give = packed_give,
	.wants_interrupt = packed_wants_interrupt,
	.want_kick = packed_want_kick,
	.want_more = packed_want_more,
};
