/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces are given as guest addresses in iov_base. A split ring takes
 * descriptors from id * 8 on, so ids stay below an eighth of the size.
 */
#include "dev/virtio/fakering.h"

#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "lib/keyval.h"

void *fake_ptr(struct fakering *r, uint64_t gpa)
{
	return r->mem + (gpa - FAKE_BASE);
}

void fake_init(struct fakering *r, unsigned size, uint64_t features)
{
	*r = (struct fakering){
		.mem = calloc(1, FAKE_SIZE),
		.size = size,
		.f.w[0] = features,
		.packed = features >> VIRTIO_F_RING_PACKED & 1,
		.avail_wrap = true,
		.used_wrap = true,
	};
	r->dma.count = 1;
	r->dma.region[0] = (struct dma_region){FAKE_BASE, FAKE_SIZE, r->mem};
	r->vq.max = 1024;
	r->vq.size = (uint16_t)size;
	r->vq.desc_gpa = FAKE_DESC;
	r->vq.driver_gpa = FAKE_DRIVER;
	r->vq.device_gpa = FAKE_DEVICE;
	ASSERT(!vq_start(&r->vq, &r->dma, &r->f));
}

void fake_exit(struct fakering *r)
{
	vq_reset(&r->vq);
	free(r->mem);
}

/* Fill @d with the pieces; @first is what NEXT counts from (split). */
static void fill(const struct fakering *r, struct fake_desc *d, unsigned first,
		 const struct iovec *piece, unsigned n, unsigned out)
{
	unsigned i, flags;

	for (i = 0; i < n; i++) {
		flags = (i >= out ? 2U : 0U);
		if (!r->packed && i + 1 < n)
			flags |= 1;
		d[i].addr = (uintptr_t)piece[i].iov_base;
		d[i].len = (uint32_t)piece[i].iov_len;
		if (r->packed) {
			d[i].a = 0;
			d[i].b = (uint16_t)flags;
		} else {
			d[i].a = (uint16_t)flags;
			d[i].b = (uint16_t)(first + i + 1);
		}
	}
}

static void add_split(struct fakering *r, uint16_t id,
		      const struct iovec *piece, unsigned n, unsigned out,
		      bool indirect)
{
	struct fake_desc *desc = fake_ptr(r, FAKE_DESC);
	uint64_t table = FAKE_TABLE + id * 0x200ULL;
	uint16_t *ring = fake_ptr(r, FAKE_DRIVER);
	unsigned head = id * 8U;

	if (indirect) {
		fill(r, fake_ptr(r, table), 0, piece, n, out);
		desc[head] = (struct fake_desc){table, n * 16, 4, 0};
	} else {
		fill(r, desc + head, head, piece, n, out);
	}
	ring[2 + r->avail % r->size] = (uint16_t)head;
	r->avail++;
	__atomic_store_n(&ring[1], r->avail, __ATOMIC_RELEASE);
}

static void step(const struct fakering *r, uint16_t *at, bool *wrap)
{
	if (++*at == r->size) {
		*at = 0;
		*wrap = !*wrap;
	}
}

static void put_packed(struct fakering *r, struct fake_desc d, bool more)
{
	struct fake_desc *ring = fake_ptr(r, FAKE_DESC);

	d.b |= more ? 1U : 0U;
	d.b |= r->avail_wrap ? 1U << 7 : 1U << 15;
	ring[r->avail] = d;
	step(r, &r->avail, &r->avail_wrap);
}

static void add_packed(struct fakering *r, uint16_t id,
		       const struct iovec *piece, unsigned n, unsigned out,
		       bool indirect)
{
	uint64_t table = FAKE_TABLE + id * 0x200ULL;
	struct fake_desc d[64];
	unsigned i;

	fill(r, d, 0, piece, n, out);
	r->slots[id] = (uint16_t)(indirect ? 1 : n);
	if (indirect) {
		memcpy(fake_ptr(r, table), d, n * sizeof(d[0]));
		put_packed(r, (struct fake_desc){table, n * 16, id, 4}, false);
		return;
	}
	for (i = 0; i < n; i++) {
		d[i].a = id;
		put_packed(r, d[i], i + 1 < n);
	}
}

void fake_add(struct fakering *r, uint16_t id, const struct iovec *piece,
	      unsigned n, unsigned out, bool indirect)
{
	if (r->packed)
		add_packed(r, id, piece, n, out, indirect);
	else
		add_split(r, id, piece, n, out, indirect);
}

static bool get_split(struct fakering *r, uint16_t *id, uint32_t *len)
{
	uint8_t *used = fake_ptr(r, FAKE_DEVICE);
	uint32_t entry[2];

	if (vq_load16(used + 2) == r->used)
		return false;
	memcpy(entry, used + 4 + 8 * (r->used % r->size), 8);
	r->used++;
	*id = (uint16_t)(entry[0] / 8);
	*len = entry[1];
	return true;
}

static bool get_packed(struct fakering *r, uint16_t *id, uint32_t *len)
{
	struct fake_desc *d = fake_ptr(r, FAKE_DESC);
	unsigned i, flags;

	d += r->used;
	flags = vq_load16((const uint8_t *)&d->b);
	if (!!(flags & 1U << 7) != r->used_wrap ||
	    !!(flags & 1U << 15) != r->used_wrap)
		return false;
	*id = d->a;
	*len = d->len;
	for (i = 0; i < r->slots[*id]; i++)
		step(r, &r->used, &r->used_wrap);
	return true;
}

bool fake_get(struct fakering *r, uint16_t *id, uint32_t *len)
{
	return r->packed ? get_packed(r, id, len) : get_split(r, id, len);
}

static void no_interrupt(void *ctx, unsigned q)
{
}

static void no_config_interrupt(void *ctx)
{
}

static const struct virtio_transport_ops no_transport = {
	no_interrupt,
	no_config_interrupt,
};

struct virtio_device *fake_device(const char *arg, const struct dma *dma,
				  void *object)
{
	const struct virtio_env env = {.version = 9999, .pci = true};
	struct virtio_device *dev;
	struct virtio_conf *c;
	const struct prop *p = NULL;
	struct prop_link *link;
	enum virtio_bus bus;
	struct keyval kv;
	struct err e = {0};

	ASSERT(keyval_next(&arg, &kv, &e) == 1);
	c = virtio_conf_new(virtio_type_find(kv.value, &bus));
	while (keyval_next(&arg, &kv, &e) > 0)
		ASSERT(!virtio_conf_set(c, kv.key, kv.value, &e));
	while ((link = virtio_conf_link(c, &p)))
		link->object = object;
	ASSERT(!c->type->check || !c->type->check(c, &env, &e));
	dev = c->type->create(c, dma, &e);
	ASSERT(dev);
	dev->transport = &no_transport;
	free(c);
	return dev;
}
