/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A window of bytes over an array of pieces: requests are cut at clusters by
 * moving the window, never by copying the array.
 */
#ifndef HOST_BLOCK_VEC_H
#define HOST_BLOCK_VEC_H

#include <sys/uio.h>

#include "lib/util.h"

#define VEC_PIECES 256 /* most that vec_pieces() makes at once */

struct vec {
	const struct iovec *iov; /* the pieces */
	size_t skip;             /* bytes before the window */
	size_t len;              /* bytes of it */
};

/* One piece; @iov must live as long as the window. */
struct vec vec_one(struct iovec *iov, void *p, size_t len);

/* @len bytes from @at on. */
struct vec vec_slice(const struct vec *v, size_t at, size_t len);

/*
 * Write the window's pieces to @out, at most VEC_PIECES; returns how many,
 * and in *@len how many bytes they are.
 */
unsigned vec_pieces(const struct vec *v, struct iovec *out, size_t *len);

void vec_to(const struct vec *v, const void *p);     /* fill it from @p */
void vec_from(const struct vec *v, void *p);         /* copy it to @p */
void vec_zero(const struct vec *v);                  /* clear it */
bool vec_is_zero(const struct vec *v);               /* all bytes 0 */
bool vec_aligned(const struct vec *v, size_t align); /* each piece is */

#endif
