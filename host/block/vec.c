/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every function walks from the first piece: a window begins few pieces in.
 */
#include "host/block/vec.h"

#include <string.h>

/* The next piece of @v, which moves behind it; false at the end. */
static bool next(struct vec *v, struct iovec *piece)
{
	if (!v->len)
		return false;
	while (v->skip >= v->iov->iov_len) {
		v->skip -= v->iov->iov_len;
		v->iov++;
	}
	piece->iov_base = (char *)v->iov->iov_base + v->skip;
	piece->iov_len = MIN(v->iov->iov_len - v->skip, v->len);
	v->skip += piece->iov_len;
	v->len -= piece->iov_len;
	return true;
}

struct vec vec_one(struct iovec *iov, void *p, size_t len)
{
	*iov = (struct iovec){p, len};
	return (struct vec){iov, 0, len};
}

struct vec vec_slice(const struct vec *v, size_t at, size_t len)
{
	struct vec out = {v->iov, v->skip + at, len};

	while (len && out.skip >= out.iov->iov_len) {
		out.skip -= out.iov->iov_len;
		out.iov++;
	}
	return out;
}

unsigned vec_pieces(const struct vec *v, struct iovec *out, size_t *len)
{
	struct vec rest = *v;
	unsigned n = 0;

	while (n < VEC_PIECES && next(&rest, &out[n]))
		n++;
	*len = v->len - rest.len;
	return n;
}

void vec_to(const struct vec *v, const void *p)
{
	struct vec rest = *v;
	struct iovec piece;

	while (next(&rest, &piece)) {
		memcpy(piece.iov_base, p, piece.iov_len);
		p = (const char *)p + piece.iov_len;
	}
}

void vec_from(const struct vec *v, void *p)
{
	struct vec rest = *v;
	struct iovec piece;

	while (next(&rest, &piece)) {
		memcpy(p, piece.iov_base, piece.iov_len);
		p = (char *)p + piece.iov_len;
	}
}

void vec_zero(const struct vec *v)
{
	struct vec rest = *v;
	struct iovec piece;

	while (next(&rest, &piece))
		memset(piece.iov_base, 0, piece.iov_len);
}

bool vec_is_zero(const struct vec *v)
{
	struct vec rest = *v;
	struct iovec piece;
	const char *p;

	while (next(&rest, &piece)) {
		p = piece.iov_base;
		if (*p || memcmp(p, p + 1, piece.iov_len - 1))
			return false;
	}
	return true;
}

bool vec_aligned(const struct vec *v, size_t align)
{
	struct vec rest = *v;
	struct iovec piece;

	while (next(&rest, &piece))
		if (((uintptr_t)piece.iov_base | piece.iov_len) & (align - 1))
			return false;
	return true;
}
