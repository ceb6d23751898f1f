/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and strings of messages; little-endian, as the host is.
 */
#include <string.h>

#include "host/p9/priv.h"

uint64_t p9_get(struct p9_in *in, unsigned size)
{
	uint64_t val = 0;

	if (in->left < size) {
		in->bad = true;
		in->left = 0;
		return 0;
	}
	memcpy(&val, in->p, size);
	in->p += size;
	in->left -= size;
	return val;
}

void p9_get_text(struct p9_in *in, char *buf, size_t size)
{
	size_t len = p9_get(in, 2);

	buf[0] = '\0';
	if (len > in->left || len >= size || memchr(in->p, '\0', len)) {
		in->bad = true;
		in->left = 0;
		return;
	}
	memcpy(buf, in->p, len);
	buf[len] = '\0';
	in->p += len;
	in->left -= len;
}

void p9_put(struct p9_out *out, uint64_t val, unsigned size)
{
	if (out->max - out->used < size) {
		out->full = true;
		return;
	}
	memcpy(out->p + out->used, &val, size);
	out->used += size;
}

void p9_put_text(struct p9_out *out, const char *text, size_t len)
{
	if (out->max - out->used < len + 2 || len > UINT16_MAX) {
		out->full = true;
		return;
	}
	p9_put(out, len, 2);
	memcpy(out->p + out->used, text, len);
	out->used += len;
}
