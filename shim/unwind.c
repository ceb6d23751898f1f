/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where functions begin and end, from the table that exceptions are unwound
 * with. Compilers write it for all of their code, and linkers sort it. LSB
 * Core, "Exception Frames"; only the encodings that linkers of x86-64 choose
 * are read.
 */
#include "shim/shim.h"

#include <string.h>

#define ENC_UDATA4        0x03 /* 4 bytes */
#define ENC_SDATA4_PCREL  0x1b /* 4 bytes, from where they are */
#define ENC_SDATA4_HDRREL 0x3b /* 4 bytes, from the table's head */
#define ENC_FORMAT        0x0f

struct head {
	uint8_t version, frame_enc, count_enc, table_enc;
	int32_t frame;
	uint32_t count;
	struct row {
		int32_t start, fde; /* both from the head */
	} row[];
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Bytes of an encoded address; 0 for what is not known. */
static size_t width(uint8_t enc)
{
	static const uint8_t bytes[16] = {
		[0x0] = 8, [0x2] = 2, [0x3] = 4, [0x4] = 8,
		[0xa] = 2, [0xb] = 4, [0xc] = 8,
	};

	return bytes[enc & ENC_FORMAT];
}

static const uint8_t *skip_leb(const uint8_t *p)
{
	while (*p & 0x80)
		p++;
	return p + 1;
}

/* How addresses of functions are written under this CIE; 0: unknown. */
static size_t address_width(const uint8_t *cie)
{
	const uint8_t *p = cie + 8; /* length, id */
	uint8_t version = *p++;
	const char *names = (const char *)p;

	p += strlen(names) + 1;
	if (names[0] != 'z')
		return names[0] ? 0 : 8;
	p = skip_leb(skip_leb(p)); /* alignment of code and data */
	p = version == 1 ? p + 1 : skip_leb(p);
	p = skip_leb(p);
	for (names++; *names; names++) {
		switch (*names) {
		case 'R': return width(*p);
		case 'P': p += 1 + width(*p); break;
		case 'L': p++; break;
		case 'S':
		case 'B': break;
		default: return 0;
		}
	}
	return 8;
}

/* Bytes of the function that an FDE is about; 0: unknown. */
static uint64_t fde_size(const uint8_t *fde)
{
	uint32_t length = get32(fde), back = get32(fde + 4);
	uint64_t size = 0;
	size_t n;

	if (!length || length == UINT32_MAX || !back)
		return 0;
	n = address_width(fde + 4 - back);
	if (!n)
		return 0;
	memcpy(&size, fde + 8 + n, n);
	return size;
}

bool unwind_find(const void *table, uintptr_t pc, struct code_range *out)
{
	const struct head *h = table;
	uintptr_t base = (uintptr_t)table;
	size_t low = 0, high;
	uint64_t size;

	if (h->version != 1 || h->frame_enc != ENC_SDATA4_PCREL ||
	    h->count_enc != ENC_UDATA4 || h->table_enc != ENC_SDATA4_HDRREL)
		return false;
	for (high = h->count; low < high;) {
		size_t mid = (low + high) / 2;

		if (base + (uintptr_t)(intptr_t)h->row[mid].start <= pc)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return false;
	out->start = base + (uintptr_t)(intptr_t)h->row[low - 1].start;
	size = fde_size((const uint8_t *)table + h->row[low - 1].fde);
	out->end = out->start + size;
	return pc < out->end;
}
