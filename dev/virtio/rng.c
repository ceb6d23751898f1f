/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entropy device fed by the host's getrandom(). Document: Virtual I/O
 * Device 1.4 "Entropy Device" (5.4). One call gives at most RNG_MAX bytes,
 * so that no buffer keeps the host busy for long; the driver asks again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "dev/virtio/type.h"

#define RNG_MAX        4096
#define RNG_QUEUE_SIZE 8

struct rng {
	struct virtio_device dev;
};

static size_t fill(const struct vq_elem *e)
{
	uint8_t buf[RNG_MAX];
	size_t want = MIN(e->in_len, sizeof(buf));
	ssize_t n = getrandom(buf, want, 0);

	return n <= 0 ? 0
		      : iov_write(e->iov + e->out_n, e->in_n, 0, buf,
				  (size_t)n);
}

static void rng_notify(struct virtio_device *dev, unsigned q)
{
	struct vq *vq = &dev->vq[q];
	struct vq_elem *e;

	do {
		while ((e = vq_pop(vq))) {
			vq_push(vq, e, (uint32_t)fill(e));
			free(e);
		}
		vq_want_kick(vq, true);
	} while (!vq_empty(vq));
	virtio_flush(dev, q);
}

static const struct virtio_class rng_class = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.notify = rng_notify,
};

static struct virtio_device *rng_create(const struct virtio_conf *c,
					const struct dma *dma, struct err *e)
{
	struct rng *r = calloc(1, sizeof(*r));

	if (!r || virtio_init(&r->dev, &rng_class, dma, 1, RNG_QUEUE_SIZE)) {
		free(r);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	r->dev.offered.w[0] = c->want.w[0] &
			      (VIRTIO_COMMON_FEATURES | VIRTIO_EXTRA_FEATURES);
	virtio_settle(&r->dev);
	return &r->dev;
}

const struct virtio_type virtio_rng_types[] = {
	{
		.name = "virtio-rng",
		.conf_size = sizeof(struct virtio_conf),
		.create = rng_create,
	},
	{0},
};
