/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AML encoding. Package lengths always take four bytes, so that a body can
 * be written before its length is known.
 */
#include "vmm/aml.h"

#include <string.h>

#include "lib/check.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXT = 0x5b,
	OP_LOCAL0 = 0x60,
	OP_STORE = 0x70,
	OP_AND = 0x7b,
	OP_NOTIFY = 0x86,
	OP_IF = 0xa0,
	OP_EXT_REGION = 0x80,
	OP_EXT_FIELD = 0x81,
	OP_EXT_DEVICE = 0x82,
};

#define LENGTH_BYTES 4
#define END_TAG      0x79
/* After PkgLength, a resource buffer has a DWord constant: its size. */
#define BUFFER_HEAD  (LENGTH_BYTES + 5)

void aml_init(struct aml *a, void *buf, size_t size)
{
	*a = (struct aml){.buf = buf, .size = size};
}

void aml_bytes(struct aml *a, const void *p, size_t n)
{
	if (n > a->size - a->used) {
		a->overflow = true;
		return;
	}
	memcpy(a->buf + a->used, p, n);
	a->used += n;
}

void aml_u8(struct aml *a, uint8_t v)
{
	aml_bytes(a, &v, 1);
}

void aml_u16(struct aml *a, uint16_t v)
{
	aml_bytes(a, &v, 2);
}

void aml_u32(struct aml *a, uint32_t v)
{
	aml_bytes(a, &v, 4);
}

void aml_u64(struct aml *a, uint64_t v)
{
	aml_bytes(a, &v, 8);
}

static void begin(struct aml *a, bool resource)
{
	ASSERT(a->depth < AML_NESTING);
	a->start[a->depth] = a->used;
	a->resource[a->depth++] = resource;
	aml_u32(a, 0);
}

void aml_end(struct aml *a)
{
	size_t start, len;
	uint8_t *p;
	bool resource;

	ASSERT(a->depth);
	start = a->start[--a->depth];
	resource = a->resource[a->depth];
	if (resource) {
		aml_u8(a, END_TAG);
		aml_u8(a, 0);
	}
	if (a->overflow)
		return;
	len = a->used - start;
	ASSERT(len < BIT(28));
	p = a->buf + start;
	p[0] = (uint8_t)((LENGTH_BYTES - 1) << 6 | (len & 0xf));
	p[1] = (uint8_t)(len >> 4);
	p[2] = (uint8_t)(len >> 12);
	p[3] = (uint8_t)(len >> 20);
	if (resource) {
		uint32_t body = (uint32_t)(len - BUFFER_HEAD);

		memcpy(p + LENGTH_BYTES + 1, &body, sizeof(body));
	}
}

/* One segment, padded with underscores; returns what follows it. */
static const char *segment(struct aml *a, const char *path)
{
	uint8_t seg[4] = {'_', '_', '_', '_'};
	unsigned n = 0;

	while (*path && *path != '.') {
		ASSERT(n < 4);
		seg[n++] = (uint8_t)*path++;
	}
	ASSERT(n);
	aml_bytes(a, seg, 4);
	return path;
}

void aml_path(struct aml *a, const char *path)
{
	unsigned segments = 1;
	const char *p;

	if (*path == '\\')
		aml_u8(a, (uint8_t)*path++);
	for (p = path; *p; p++)
		segments += *p == '.';
	if (segments == 2) {
		aml_u8(a, OP_DUAL_NAME);
	} else if (segments > 2) {
		aml_u8(a, OP_MULTI_NAME);
		aml_u8(a, (uint8_t)segments);
	}
	for (path = segment(a, path); *path; path = segment(a, path + 1))
		;
}

void aml_scope(struct aml *a, const char *path)
{
	aml_u8(a, OP_SCOPE);
	begin(a, false);
	aml_path(a, path);
}

void aml_device(struct aml *a, const char *path)
{
	aml_u8(a, OP_EXT);
	aml_u8(a, OP_EXT_DEVICE);
	begin(a, false);
	aml_path(a, path);
}

void aml_method(struct aml *a, const char *path, unsigned args)
{
	aml_u8(a, OP_METHOD);
	begin(a, false);
	aml_path(a, path);
	aml_u8(a, (uint8_t)args);
}

void aml_package(struct aml *a, const char *name, unsigned elements)
{
	if (name) {
		aml_u8(a, OP_NAME);
		aml_path(a, name);
	}
	aml_u8(a, OP_PACKAGE);
	begin(a, false);
	ASSERT(elements < 256);
	aml_u8(a, (uint8_t)elements);
}

void aml_field(struct aml *a, const char *region, unsigned flags)
{
	aml_u8(a, OP_EXT);
	aml_u8(a, OP_EXT_FIELD);
	begin(a, false);
	aml_path(a, region);
	aml_u8(a, (uint8_t)flags);
}

void aml_resources(struct aml *a)
{
	aml_u8(a, OP_NAME);
	aml_path(a, "_CRS");
	aml_u8(a, OP_BUFFER);
	begin(a, true);
	aml_u8(a, OP_DWORD);
	aml_u32(a, 0);
}

void aml_integer(struct aml *a, uint64_t v)
{
	if (v <= 1) {
		aml_u8(a, v ? OP_ONE : OP_ZERO);
	} else if (v <= UINT8_MAX) {
		aml_u8(a, OP_BYTE);
		aml_u8(a, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		aml_u8(a, OP_WORD);
		aml_u16(a, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		aml_u8(a, OP_DWORD);
		aml_u32(a, (uint32_t)v);
	} else {
		aml_u8(a, OP_QWORD);
		aml_u64(a, v);
	}
}

void aml_if_bit(struct aml *a, unsigned n, uint64_t mask)
{
	aml_u8(a, OP_IF);
	begin(a, false);
	aml_u8(a, OP_AND);
	aml_u8(a, (uint8_t)(OP_LOCAL0 + n));
	aml_integer(a, mask);
	aml_u8(a, OP_ZERO); /* the result goes nowhere else */
}

void aml_notify(struct aml *a, const char *path, uint64_t what)
{
	aml_u8(a, OP_NOTIFY);
	aml_path(a, path);
	aml_integer(a, what);
}

void aml_load(struct aml *a, const char *from, unsigned n)
{
	aml_u8(a, OP_STORE);
	aml_path(a, from);
	aml_u8(a, (uint8_t)(OP_LOCAL0 + n));
}

void aml_store_integer(struct aml *a, uint64_t v, const char *to)
{
	aml_u8(a, OP_STORE);
	aml_integer(a, v);
	aml_path(a, to);
}

void aml_string(struct aml *a, const char *s)
{
	aml_u8(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

void aml_name_integer(struct aml *a, const char *path, uint64_t v)
{
	aml_u8(a, OP_NAME);
	aml_path(a, path);
	aml_integer(a, v);
}

void aml_name_string(struct aml *a, const char *path, const char *s)
{
	aml_u8(a, OP_NAME);
	aml_path(a, path);
	aml_string(a, s);
}

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A') + 10;
}

void aml_name_eisaid(struct aml *a, const char *path, const char *id)
{
	uint32_t v = 0;
	unsigned i;

	ASSERT(strlen(id) == 7);
	for (i = 0; i < 3; i++)
		v = v << 5 | (uint32_t)(id[i] - 0x40);
	for (; i < 7; i++)
		v = v << 4 | hex_digit(id[i]);
	aml_u8(a, OP_NAME);
	aml_path(a, path);
	aml_u8(a, OP_DWORD);
	aml_u32(a, __builtin_bswap32(v));
}

void aml_io(struct aml *a, uint16_t port, uint8_t len)
{
	aml_u8(a, 0x47); /* I/O port descriptor */
	aml_u8(a, 1);    /* decodes 16 bits */
	aml_u16(a, port);
	aml_u16(a, port);
	aml_u8(a, 1); /* alignment */
	aml_u8(a, len);
}

void aml_irq(struct aml *a, unsigned irq)
{
	aml_u8(a, 0x22); /* IRQ descriptor: edge, active high, exclusive */
	aml_u16(a, (uint16_t)BIT(irq));
}

void aml_interrupt(struct aml *a, unsigned gsi)
{
	aml_u8(a, 0x89); /* extended interrupt descriptor */
	aml_u16(a, 6);
	aml_u8(a, 1); /* consumer, level, active high, exclusive */
	aml_u8(a, 1);
	aml_u32(a, gsi);
}

/* Address space descriptors: fixed minimum and maximum, whole length. */
static void space_head(struct aml *a, uint8_t tag, uint16_t len, uint8_t type,
		       uint8_t flags)
{
	aml_u8(a, tag);
	aml_u16(a, len);
	aml_u8(a, type);
	aml_u8(a, 0x0c); /* producer, positive decode, both ends fixed */
	aml_u8(a, flags);
}

static void word_space(struct aml *a, uint8_t type, uint8_t flags, uint16_t min,
		       uint16_t max)
{
	space_head(a, 0x88, 13, type, flags);
	aml_u16(a, 0); /* granularity */
	aml_u16(a, min);
	aml_u16(a, max);
	aml_u16(a, 0); /* translation */
	aml_u16(a, (uint16_t)(max - min + 1));
}

void aml_word_bus(struct aml *a, uint16_t min, uint16_t max)
{
	word_space(a, 2, 0, min, max);
}

void aml_word_io(struct aml *a, uint16_t min, uint16_t max)
{
	word_space(a, 1, 3, min, max); /* 3: ISA and non-ISA ranges */
}

void aml_dword_memory(struct aml *a, uint32_t min, uint32_t max)
{
	space_head(a, 0x87, 23, 0, 1); /* read-write, not cacheable */
	aml_u32(a, 0);
	aml_u32(a, min);
	aml_u32(a, max);
	aml_u32(a, 0);
	aml_u32(a, max - min + 1);
}

void aml_memory32(struct aml *a, uint32_t base, uint32_t len)
{
	aml_u8(a, 0x86); /* 32-bit fixed memory range */
	aml_u16(a, 9);
	aml_u8(a, 1); /* writable */
	aml_u32(a, base);
	aml_u32(a, len);
}

void aml_region_io(struct aml *a, const char *name, uint16_t port, uint8_t len)
{
	aml_u8(a, OP_EXT);
	aml_u8(a, OP_EXT_REGION);
	aml_path(a, name);
	aml_u8(a, 1); /* SystemIO */
	aml_integer(a, port);
	aml_integer(a, len);
}

void aml_field_unit(struct aml *a, const char *name, unsigned bits)
{
	ASSERT(bits < 64);
	aml_path(a, name);
	aml_u8(a, (uint8_t)bits); /* a one-byte package length */
}
