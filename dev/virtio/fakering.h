/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's half of both ring formats, for tests: independent of the
 * device's half, and with memory of its own.
 */
#ifndef DEV_VIRTIO_FAKERING_H
#define DEV_VIRTIO_FAKERING_H

#include "dev/dma.h"
#include "dev/virtio/type.h"

#define FAKE_BASE   0x100000ULL
#define FAKE_SIZE   (1U << 20)
#define FAKE_DESC   (FAKE_BASE + 0x0000)
#define FAKE_DRIVER (FAKE_BASE + 0x8000)
#define FAKE_DEVICE (FAKE_BASE + 0xa000)
#define FAKE_TABLE  (FAKE_BASE + 0x10000) /* indirect tables */
#define FAKE_DATA   (FAKE_BASE + 0x40000)

struct fake_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t a, b;
};

struct fakering {
	uint8_t *mem;
	struct dma dma;
	struct vq vq;
	struct virtio_features f;
	unsigned size;
	bool packed;
	uint16_t avail; /* next entry the driver fills */
	uint16_t used;  /* next it looks at */
	bool avail_wrap, used_wrap;
	uint16_t slots[1024]; /* packed: of each id */
};

void *fake_ptr(struct fakering *r, uint64_t gpa);
void fake_init(struct fakering *r, unsigned size, uint64_t features);
void fake_exit(struct fakering *r);

/*
 * Make a buffer available under @id: @n pieces, of which the first @out are
 * for the device to read. Pieces are descriptors @id * 8 and on in a split
 * ring; with @indirect they are in a table.
 */
void fake_add(struct fakering *r, uint16_t id, const struct iovec *piece,
	      unsigned n, unsigned out, bool indirect);

/*
 * A device as `-device @arg` makes it, each of its links leading to @object,
 * on a transport that loses its interrupts. It must not fail.
 */
struct virtio_device *fake_device(const char *arg, const struct dma *dma,
				  void *object);

/* The next used buffer: true with its id and length. */
bool fake_get(struct fakering *r, uint16_t *id, uint32_t *len);

#endif
