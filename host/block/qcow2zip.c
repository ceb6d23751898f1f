/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed clusters, read only: a write gives the cluster a place of its
 * own. The one unpacked last is kept, since guests read in smaller steps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "host/block/qcow2.h"

#define WINDOW_BITS (-12) /* deflate without a header */

void q_zip_place(const struct qcow2 *q, uint64_t entry, uint64_t *at,
		 uint64_t *len)
{
	unsigned shift = 62 - (q->bits - 8);
	uint64_t sectors = entry >> shift & (BIT64(q->bits - 8) - 1);

	*at = entry & (BIT64(shift) - 1);
	*len = (sectors + 1) * BLOCK_SECTOR - (*at & (BLOCK_SECTOR - 1));
}

static int inflate_one(const struct qcow2 *q, const void *in, size_t len,
		       void *out)
{
	z_stream z = {
		.next_in = (Bytef *)(uintptr_t)in,
		.avail_in = (uInt)len,
		.next_out = out,
		.avail_out = (uInt)q->cluster,
	};
	int ret;

	if (inflateInit2(&z, WINDOW_BITS) != Z_OK)
		return -ENOMEM;
	ret = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* Behind the data is whatever fills its last sector. */
	return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !z.avail_out
		       ? 0
		       : -EIO;
}

static int unzstd_one(const struct qcow2 *q, const void *in, size_t len,
		      void *out)
{
	ZSTD_inBuffer from = {in, len, 0};
	ZSTD_outBuffer to = {out, q->cluster, 0};
	ZSTD_DCtx *d = ZSTD_createDCtx();
	size_t before, ret = 0;

	if (!d)
		return -ENOMEM;
	while (to.pos < to.size) {
		before = to.pos + from.pos;
		ret = ZSTD_decompressStream(d, &to, &from);
		if (ZSTD_isError(ret) || to.pos + from.pos == before)
			break;
	}
	ZSTD_freeDCtx(d);
	return to.pos == to.size ? 0 : -EIO;
}

static int unpack(struct qcow2 *q, uint64_t entry)
{
	uint64_t at, len;
	void *in;
	int ret;

	q_zip_place(q, entry, &at, &len);
	in = malloc(len);
	if (!q->zip)
		q->zip = malloc(q->cluster);
	if (!in || !q->zip) {
		free(in);
		return -ENOMEM;
	}
	q->zip_entry = 0;
	ret = node_pread(q->file, at, in, len);
	if (!ret)
		ret = q->zstd ? unzstd_one(q, in, len, q->zip)
			      : inflate_one(q, in, len, q->zip);
	free(in);
	if (!ret)
		q->zip_entry = entry;
	return ret;
}

int q_unzip(struct qcow2 *q, const struct qmap *m, uint64_t at,
	    const struct vec *v)
{
	int ret = 0;

	pthread_mutex_lock(&q->zip_lock);
	if (q->zip_entry != m->entry)
		ret = unpack(q, m->entry);
	if (!ret)
		vec_to(v, q->zip + (at & (q->cluster - 1)));
	pthread_mutex_unlock(&q->zip_lock);
	return ret;
}
