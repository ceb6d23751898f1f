/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feature bits of a virtio device: 128 of them, one type everywhere,
 * printed and parsed by name, with the rules which bit needs which. Document:
 * Virtual I/O Device 1.4 "Feature Bits" and each device's section.
 */
#ifndef DEV_VIRTIO_FEATURES_H
#define DEV_VIRTIO_FEATURES_H

#include "lib/util.h"

#define VIRTIO_FEATURES 128

/*
 * Device types, as the drivers match them: those that have a number, so that
 * a new device is not a new row here ("Device Types", 5).
 */
enum virtio_id {
	VIRTIO_ID_NET = 1,
	VIRTIO_ID_BLK = 2,
	VIRTIO_ID_CONSOLE = 3,
	VIRTIO_ID_RNG = 4,
	VIRTIO_ID_BALLOON = 5,
	VIRTIO_ID_SCSI = 8,
	VIRTIO_ID_9P = 9,
	VIRTIO_ID_GPU = 16,
	VIRTIO_ID_INPUT = 18,
	VIRTIO_ID_VSOCK = 19,
	VIRTIO_ID_CRYPTO = 20,
	VIRTIO_ID_IOMMU = 23,
	VIRTIO_ID_MEM = 24,
	VIRTIO_ID_SOUND = 25,
	VIRTIO_ID_FS = 26,
	VIRTIO_ID_PMEM = 27,
	VIRTIO_ID_RPMB = 28,
	VIRTIO_ID_SCMI = 32,
	VIRTIO_ID_I2C = 34,
	VIRTIO_ID_CAN = 36,
	VIRTIO_ID_GPIO = 41,
};

/* Bits of every device. */
enum {
	VIRTIO_F_INDIRECT_DESC = 28,
	VIRTIO_F_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_RING_PACKED = 34,
	VIRTIO_F_IN_ORDER = 35,
	VIRTIO_F_NOTIFICATION_DATA = 38,
	VIRTIO_F_RING_RESET = 40,
};

struct virtio_features {
	uint64_t w[2]; /* bits 0-63, 64-127 */
};

static inline bool features_has(const struct virtio_features *f, unsigned bit)
{
	return f->w[bit / 64] >> (bit % 64) & 1;
}

static inline void features_put(struct virtio_features *f, unsigned bit,
				bool on)
{
	f->w[bit / 64] &= ~BIT64(bit % 64);
	f->w[bit / 64] |= (uint64_t)on << (bit % 64);
}

/* Bits @select * 32 and the 31 above; 0 beyond the last. */
uint32_t features_get_word(const struct virtio_features *f, uint32_t select);
/* The same the other way; a @select beyond the last is ignored. */
void features_set_word(struct virtio_features *f, uint32_t select,
		       uint32_t value);

/* True when @f has no bit that @of lacks. */
bool features_within(const struct virtio_features *f,
		     const struct virtio_features *of);

/* Clear, again and again, each bit that needs one which is not there. */
void features_settle(struct virtio_features *f, enum virtio_id id);

/* The first bit of @f whose needs are not met, or -1. */
int features_broken(const struct virtio_features *f, enum virtio_id id);

/* Whether a bit means the same for every device. */
bool features_is_common(unsigned bit);

/* The name of a bit as @id has it, NULL for one without a name. */
const char *features_name(enum virtio_id id, unsigned bit);

/*
 * Names with commas between them, lowest bit first; a bit without a name is
 * its number. Text that does not fit is cut. Returns @buf.
 */
char *features_print(const struct virtio_features *f, enum virtio_id id,
		     char *buf, size_t size);

/* The reverse; 0, or -EINVAL when a word is no bit of @id. */
int features_parse(struct virtio_features *f, enum virtio_id id,
		   const char *text) __must_check;

#endif
