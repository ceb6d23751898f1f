/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's header: what it says of itself is checked before it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/block/qcow2.h"
#include "lib/log.h"

#define BITS_MIN     9
#define BITS_MAX     21
#define REF_MAX      (8U << 20)
#define NAME_MAX_LEN 1023
#define L2_CACHE     (32ULL << 20) /* bytes */
#define BLOCK_CACHE  (8ULL << 20)

#define EXT_END     0
#define EXT_FORMAT  0xe2792aca
#define EXT_NAMES   0x6803f857
#define EXT_BITMAPS 0x23852875
#define EXT_CRYPTO  0x0537be77
#define EXT_DATA    0x44415441

#define AUTOCLEAR_BITMAPS BIT64(0)
#define AUTOCLEAR_RAW     BIT64(1)

int q_corrupt(struct qcow2 *q, const char *fmt, ...)
{
	uint64_t be = __builtin_bswap64(q->incompat | Q_INCOMPAT_CORRUPT);
	char why[160];
	va_list ap;

	if (q->corrupt)
		return -EIO;
	q->corrupt = true;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_error("block", "%s is corrupt: %s; no more of it is used",
		  q->file->path ? q->file->path : "a qcow2 image", why);
	if (q->version >= 3 && !q->file->read_only &&
	    !node_pwrite(q->file, Q_H_INCOMPAT, &be, 8))
		(void)!node_flush(q->file);
	return -EIO;
}

/* ---- the header ---- */

static int refuse_features(const struct qcow2 *q, struct err *e)
{
	static const char *const names[] = {
		[2] = "an external data file",
		[4] = "extended L2 entries",
	};
	unsigned i;

	for (i = 0; i < 64; i++) {
		if (!(q->incompat & BIT64(i)) || i == 0 || i == 1 || i == 3)
			continue;
		return i < ARRAY_SIZE(names) && names[i]
			       ? err_set(e, -ENOTSUP,
					 "qcow2: %s is not offered", names[i])
			       : err_set(e, -ENOTSUP,
					 "qcow2: unknown incompatible feature "
					 "bit %u",
					 i);
	}
	return 0;
}

static int parse_v3(struct qcow2 *q, const uint8_t *h, struct err *e)
{
	q->incompat = q_get64(h + Q_H_INCOMPAT);
	q->autoclear = q_get64(h + Q_H_AUTOCLEAR);
	q->ref_order = q_get32(h + 96);
	q->header_size = q_get32(h + 100);
	if (q->header_size < Q_V3_HEADER || q->header_size % 8 ||
	    q->header_size > q->cluster)
		return err_set(e, -EINVAL, "qcow2: a header of %u bytes",
			       q->header_size);
	if (q->ref_order > 6)
		return err_set(e, -EINVAL, "qcow2: refcounts of 2^%u bits",
			       q->ref_order);
	if (q->header_size > Q_V3_HEADER && h[104] > 1)
		return err_set(e, -ENOTSUP, "qcow2: unknown compression %u",
			       h[104]);
	q->zstd = q->header_size > Q_V3_HEADER && h[104] == 1;
	if (q->zstd != !!(q->incompat & Q_INCOMPAT_COMPRESS))
		return err_set(e, -EINVAL,
			       "qcow2: compression type and feature bit do "
			       "not agree");
	return refuse_features(q, e);
}

static int parse_head(struct qcow2 *q, const uint8_t *h, struct err *e)
{
	if (q_get32(h) != Q_MAGIC)
		return err_set(e, -EINVAL, "not a qcow2 image");
	q->version = q_get32(h + 4);
	if (q->version != 2 && q->version != 3)
		return err_set(e, -ENOTSUP, "qcow2: version %u is not offered",
			       q->version);
	q->bits = q_get32(h + 20);
	if (q->bits < BITS_MIN || q->bits > BITS_MAX)
		return err_set(e, -EINVAL, "qcow2: clusters of 2^%u bytes",
			       q->bits);
	if (q_get32(h + 32))
		return err_set(e, -ENOTSUP, "qcow2: encryption is not offered");
	q->cluster = BIT64(q->bits);
	q->l2_bits = q->bits - 3;
	q->ref_order = 4;
	q->header_size = Q_V2_HEADER;
	q->node->size = q_get64(h + 24);
	q->l1_size = q_get32(h + Q_H_L1);
	q->l1_at = q_get64(h + 40);
	q->ref_at = q_get64(h + Q_H_REFTABLE);
	q->ref_size = (uint64_t)q_get32(h + 56) << q->l2_bits;
	q->snapshots = q_get32(h + 60);
	q->backing_at = q_get64(h + 8);
	q->backing_len = q_get32(h + 16);
	return q->version == 3 ? parse_v3(q, h, e) : 0;
}

static bool bad_place(const struct qcow2 *q, uint64_t at)
{
	return !at || at & (q->cluster - 1) || at >> 56;
}

static int check_head(const struct qcow2 *q, struct err *e)
{
	uint64_t per_l1 = BIT64(q->bits + q->l2_bits), size = q->node->size;

	if (q->l1_size > Q_L1_MAX / 8)
		return err_set(e, -EFBIG, "qcow2: an L1 table of %u entries",
			       q->l1_size);
	if (size / per_l1 + !!(size % per_l1) > q->l1_size)
		return err_set(e, -EINVAL,
			       "qcow2: its L1 table is too small for its size");
	if (q->l1_size && bad_place(q, q->l1_at))
		return err_set(e, -EINVAL, "qcow2: L1 table at %#" PRIx64,
			       q->l1_at);
	if (bad_place(q, q->ref_at) || !q->ref_size ||
	    q->ref_size > REF_MAX / 8)
		return err_set(e, -EINVAL,
			       "qcow2: refcount table of %" PRIu64
			       " entries at %#" PRIx64,
			       q->ref_size, q->ref_at);
	if (size % BLOCK_SECTOR)
		return err_set(e, -EINVAL,
			       "qcow2: its size is not a multiple of %d bytes",
			       BLOCK_SECTOR);
	if (q->backing_at &&
	    (q->backing_len > NAME_MAX_LEN || !q->backing_len ||
	     q->backing_at > q->cluster - q->backing_len))
		return err_set(e, -EINVAL,
			       "qcow2: a backing file's name of %u bytes",
			       q->backing_len);
	return 0;
}

/* ---- header extensions ---- */

static int take_extension(struct qcow2 *q, uint32_t type, const uint8_t *p,
			  uint32_t len, struct err *e)
{
	switch (type) {
	case EXT_FORMAT:
		if (len >= sizeof(q->backing_format))
			return err_set(e, -EINVAL,
				       "qcow2: a backing format's name of %u "
				       "bytes",
				       len);
		memcpy(q->backing_format, p, len);
		break;
	case EXT_BITMAPS: q->bitmaps = len; break;
	case EXT_CRYPTO:
		return err_set(e, -ENOTSUP, "qcow2: encryption is not offered");
	default: break; /* names of features, and what may be ignored */
	}
	return 0;
}

static int parse_extensions(struct qcow2 *q, const uint8_t *h, struct err *e)
{
	uint64_t at = q->header_size;
	uint64_t end = q->backing_at ? q->backing_at : q->cluster;
	uint32_t type, len;
	int ret;

	while (at + 8 <= end) {
		type = q_get32(h + at);
		len = q_get32(h + at + 4);
		at += 8;
		if (type == EXT_END)
			return 0;
		if (len > end - at)
			return err_set(e, -EINVAL,
				       "qcow2: a header extension of %u bytes",
				       len);
		ret = take_extension(q, type, h + at, len, e);
		if (ret)
			return ret;
		at = ALIGN_UP(at + len, (uint64_t)8);
	}
	return 0;
}

static int read_head(struct qcow2 *q, char *backing, struct err *e)
{
	uint8_t first[112] = {0};
	uint8_t *h = NULL;
	int ret = node_pread(q->file, 0, first, sizeof(first));

	if (ret)
		return err_set(e, ret, "qcow2: cannot read its header: %s",
			       strerror(-ret));
	ret = parse_head(q, first, e);
	if (!ret)
		ret = check_head(q, e);
	if (ret)
		return ret;
	h = malloc(q->cluster);
	if (!h)
		return err_set(e, -ENOMEM, "out of memory");
	ret = node_pread(q->file, 0, h, q->cluster);
	if (ret)
		err_set(e, ret, "qcow2: cannot read its header: %s",
			strerror(-ret));
	if (!ret)
		ret = parse_extensions(q, h, e);
	if (!ret && q->backing_at) {
		memcpy(backing, h + q->backing_at, q->backing_len);
		backing[q->backing_len] = '\0';
	}
	free(h);
	return ret;
}

/* ---- tables ---- */

static int read_table(struct qcow2 *q, uint64_t at, uint64_t entries,
		      uint64_t **out, struct err *e)
{
	uint64_t *t = calloc(entries + 1, 8), i;
	int ret;

	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	ret = entries ? node_pread(q->file, at, t, entries * 8) : 0;
	if (ret) {
		free(t);
		return err_set(e, ret, "qcow2: cannot read its tables: %s",
			       strerror(-ret));
	}
	for (i = 0; i < entries; i++)
		t[i] = __builtin_bswap64(t[i]);
	*out = t;
	return 0;
}

static int write_blocks(struct qcow2 *q)
{
	return qcache_write(&q->blocks);
}

static int init_caches(struct qcow2 *q, struct dict *d, struct err *e)
{
	uint64_t l2 = L2_CACHE, blocks = BLOCK_CACHE;
	uint64_t need = MAX((uint64_t)q->l1_size, (uint64_t)1) << q->bits;
	int ret = dict_take_size(d, "l2-cache-size", &l2, e);

	if (!ret)
		ret = dict_take_size(d, "refcount-cache-size", &blocks, e);
	if (ret)
		return ret;
	q->l2_room = MIN(l2, 1ULL << 30);
	l2 = MIN(q->l2_room, need);
	blocks = MIN(blocks, 1ULL << 30);
	if (qcache_init(&q->l2, q, l2, q_sync) ||
	    qcache_init(&q->blocks, q, blocks, write_blocks))
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* ---- opening to write ---- */

static int put_features(struct qcow2 *q, struct err *e)
{
	uint8_t be[24];
	int ret = node_pread(q->file, Q_H_INCOMPAT, be, sizeof(be));

	q_put64(be, q->incompat);
	q_put64(be + 16, q->autoclear);
	if (!ret)
		ret = node_pwrite(q->file, Q_H_INCOMPAT, be, sizeof(be));
	if (!ret)
		ret = node_flush(q->file);
	return ret ? err_set(e, ret, "qcow2: cannot write its header: %s",
			     strerror(-ret))
		   : 0;
}

static int prepare_write(struct qcow2 *q, struct err *e)
{
	int ret;

	if (q->incompat & Q_INCOMPAT_CORRUPT)
		return err_set(e, -EACCES,
			       "qcow2: the image is marked corrupt: repair it "
			       "by qemu-img check -r all, or open it "
			       "read-only");
	if (q->bitmaps)
		return err_set(e, -ENOTSUP,
			       "qcow2: writing to an image with bitmaps is not "
			       "offered: it would make them wrong; remove them "
			       "by qemu-img bitmap --remove");
	if (q->incompat & Q_INCOMPAT_DIRTY) {
		ret = q_repair(q);
		if (ret)
			return err_set(e, ret,
				       "qcow2: the image was not closed, and "
				       "its refcounts cannot be repaired: %s",
				       strerror(-ret));
		q->incompat &= ~Q_INCOMPAT_DIRTY;
		ret = put_features(q, e);
		if (ret)
			return ret;
	}
	if (q->version < 3 || !q->autoclear)
		return 0;
	q->autoclear = 0; /* nothing of it is known here */
	return put_features(q, e);
}

/* ---- the backing file ---- */

/* A relative name is relative to the image's folder. */
static int resolve(const char *image, const char *name, char *out, size_t size,
		   struct err *e)
{
	const char *slash = image ? strrchr(image, '/') : NULL;
	const char *colon = strchr(name, ':'), *sep = strchr(name, '/');
	bool plain = name[0] != '/' && (!colon || (sep && sep < colon));
	int n;

	if (!strncmp(name, "file:", 5) && name[5] != '/') {
		name += 5;
		plain = true;
	}
	n = plain && slash ? snprintf(out, size, "%.*s/%s",
				      (int)(slash - image), image, name)
			   : snprintf(out, size, "%s", name);
	return n < (int)size ? 0
			     : err_set(e, -ENAMETOOLONG,
				       "qcow2: the backing file's name is too "
				       "long");
}

static int put_json(struct dict *d, const char *text, struct err *e)
{
	struct dict inner = {0};
	char key[160];
	unsigned i;
	int ret = dict_put_json(&inner, text, e);

	for (i = 0; !ret && i < inner.count; i++) {
		snprintf(key, sizeof(key), "backing.%s", inner.entry[i].key);
		ret = dict_put(d, key, inner.entry[i].value, e);
	}
	dict_clear(&inner);
	return ret;
}

static int name_backing(struct qcow2 *q, struct dict *d, const char *name,
			struct err *e)
{
	char path[2 * NAME_MAX_LEN + 4096];
	int ret;

	if (!q->backing_at || dict_get(d, "backing") ||
	    dict_get(d, "backing.file.filename") ||
	    dict_get(d, "backing.filename") || dict_get(d, "backing.file"))
		return 0;
	if (!strncmp(name, "json:", 5))
		return put_json(d, name + 5, e);
	ret = resolve(q->file->path, name, path, sizeof(path), e);
	if (!ret)
		ret = dict_put(d, "backing.file.filename", path, e);
	if (!ret && q->backing_format[0] && !dict_get(d, "backing.driver"))
		ret = dict_put(d, "backing.driver", q->backing_format, e);
	return ret;
}

static int open_backing(struct qcow2 *q, struct node_open *o, const char *name,
			struct err *e)
{
	struct node_open b = *o;
	int ret = name_backing(q, o->dict, name, e);

	if (ret)
		return ret;
	b.read_only = true;
	b.unmap = b.format_below = b.zeroes = false;
	q->node->backing = node_open_child(&b, "backing", e);
	return e->code ? err_wrap(e, "backing file") : 0;
}

/* ---- opening ---- */

static struct qcow2 *new_state(struct node *n)
{
	struct qcow2 *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->node = n;
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->zip_lock, NULL);
	pthread_cond_init(&q->landed, NULL);
	n->state = q;
	return q;
}

static int open_file(struct qcow2 *q, struct node_open *o, struct err *e)
{
	struct node_open f = *o;

	f.format_below = true;
	q->node->file = q->file = node_open_child(&f, "file", e);
	o->file = NULL;
	if (!q->file)
		return err_set(e, -EINVAL, "qcow2: file= is missing");
	o->read_only |= f.read_only;
	q->node->read_only = o->read_only;
	return 0;
}

static int open_tables(struct qcow2 *q, struct dict *d, struct err *e)
{
	int ret = read_table(q, q->l1_at, q->l1_size, &q->l1, e);

	if (!ret)
		ret = read_table(q, q->ref_at, q->ref_size, &q->ref, e);
	if (!ret)
		ret = init_caches(q, d, e);
	if (ret)
		return ret;
	q->l1_dirty = calloc(q->l1_size + 1, 1);
	if (!q->l1_dirty)
		return err_set(e, -ENOMEM, "out of memory");
	q->fresh = q->file->fixed ? UINT64_MAX
				  : (q->file->size + q->cluster - 1) >> q->bits;
	return 0;
}

int q_open(struct node *n, struct node_open *o, struct err *e)
{
	struct qcow2 *q = new_state(n);
	char backing[NAME_MAX_LEN + 1] = "";
	int ret;

	if (!q)
		return err_set(e, -ENOMEM, "out of memory");
	ret = open_file(q, o, e);
	if (!ret)
		ret = read_head(q, backing, e);
	if (!ret)
		ret = open_tables(q, o->dict, e);
	if (!ret && !o->read_only)
		ret = prepare_write(q, e);
	return ret ? ret : open_backing(q, o, backing, e);
}
