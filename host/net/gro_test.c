/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams cut into segments at random, put together, and cut again as the
 * header says: byte for byte what they were. What must not be put together is
 * not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/net/gro.h"

struct seg {
	uint8_t bytes[2000];
	size_t len;
};

static uint16_t checksum(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t pseudo(const uint8_t *ip, bool v6, size_t len)
{
	return (uint16_t)~checksum(v6 ? ip + 8 : ip + 12, v6 ? 32 : 8,
				   6 + (uint32_t)len);
}

/* Lengths and checksums of a whole frame made right. */
static void finish(uint8_t *p, size_t len, bool v6)
{
	uint8_t *ip = p + 14, *tcp = ip + (v6 ? 40 : 20);
	size_t tcp_len = len - (size_t)(tcp - p);
	uint16_t sum;

	if (v6) {
		ip[4] = (uint8_t)(tcp_len >> 8);
		ip[5] = (uint8_t)tcp_len;
	} else {
		ip[2] = (uint8_t)((len - 14) >> 8);
		ip[3] = (uint8_t)(len - 14);
		ip[10] = ip[11] = 0;
		sum = checksum(ip, 20, 0);
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
	}
	tcp[16] = tcp[17] = 0;
	sum = checksum(tcp, tcp_len, pseudo(ip, v6, tcp_len));
	tcp[16] = (uint8_t)(sum >> 8);
	tcp[17] = (uint8_t)sum;
}

static struct seg segment(bool v6, uint32_t seq, size_t len, uint8_t flags)
{
	struct seg s = {.len = 14 + (v6 ? 40U : 20U) + 32 + len};
	uint8_t *ip = s.bytes + 14, *tcp = ip + (v6 ? 40 : 20);
	size_t i;

	memcpy(s.bytes, v6 ? "......,,,,,,\x86\xdd" : "......,,,,,,\x08\0", 14);
	memcpy(ip, v6 ? "\x60\0\0\0\0\0\6\x40" : "\x45\0\0\0\0\0\x40\0\x40\6",
	       v6 ? 8 : 10);
	for (i = v6 ? 8 : 12; i < (v6 ? 40 : 20); i++)
		ip[i] = (uint8_t)(i * 3);
	memcpy(tcp, "\x10\0\x20\0", 4);
	for (i = 0; i < 4; i++)
		tcp[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
	memcpy(tcp + 8, "\1\2\3\4\x80", 5);
	tcp[13] = flags;
	memcpy(tcp + 14, "\xff\0", 2);
	memcpy(tcp + 20, "\1\1\x08\x0a\0\0\0\1\0\0\0\2", 12);
	for (i = 0; i < len; i++)
		tcp[32 + i] = (uint8_t)((seq + i) * 5 + (seq + i) / 256);
	finish(s.bytes, s.len, v6);
	return s;
}

/* What @g holds, cut again, is @n segments from @s on. */
static void check_cut(struct gro *g, const struct seg *s, unsigned n, bool v6)
{
	size_t len, at, part;
	uint8_t *p = gro_finish(g, 12, &len), *frame = p + 12;
	unsigned size = p[4] | (unsigned)p[5] << 8;
	unsigned data = p[2] | (unsigned)p[3] << 8, i;
	uint8_t cut[2000], flags;
	uint32_t seq;

	len -= 12;
	if (n == 1) {
		assert_int_equal(p[1], 0);
		assert_int_equal(p[0], g->csum ? 2 : 0);
		assert_int_equal(len, s->len);
		assert_memory_equal(frame, s->bytes, len);
		return;
	}
	assert_int_equal(p[0], 1);
	assert_int_equal(p[1], v6 ? 4 : 1);
	assert_int_equal(data, 14 + (v6 ? 40 : 20) + 32);
	assert_int_equal(p[6] | p[7] << 8, data - 32);
	assert_int_equal(p[8], 16);
	/* Left open: the sum over the addresses and the length. */
	assert_int_equal(frame[data - 32 + 16] << 8 | frame[data - 32 + 17],
			 pseudo(frame + 14, v6, len - (data - 32)));
	if (!v6)
		assert_int_equal(checksum(frame + 14, 20, 0), 0);
	flags = frame[data - 32 + 13];
	seq = (uint32_t)frame[data - 28] << 24 | frame[data - 27] << 16 |
	      frame[data - 26] << 8 | frame[data - 25];
	for (i = 0, at = data; i < n; i++, at += part) {
		part = MIN((size_t)size, len - at);
		assert_true(part);
		memcpy(cut, frame, data);
		memcpy(cut + data, frame + at, part);
		cut[data - 28] = (uint8_t)(seq >> 24);
		cut[data - 27] = (uint8_t)(seq >> 16);
		cut[data - 26] = (uint8_t)(seq >> 8);
		cut[data - 25] = (uint8_t)seq;
		seq += (uint32_t)part;
		if (i + 1 < n)
			cut[data - 32 + 13] = flags & (uint8_t)~8;
		finish(cut, data + part, v6);
		assert_int_equal(data + part, s[i].len);
		assert_memory_equal(cut, s[i].bytes, s[i].len);
	}
	assert_int_equal(at, len);
}

static void test_streams(void **state)
{
	static struct gro g;
	static struct seg s[64];
	unsigned round, i, n, size;
	uint32_t seq;
	bool v6;

	srandom(5);
	for (round = 0; round < 3000; round++) {
		v6 = random() % 2;
		g.tso4 = g.tso6 = true;
		g.csum = random() % 2;
		n = 1 + (unsigned)random() % 60;
		size = 1 + (unsigned)random() % 1448;
		seq = (uint32_t)random() * 4;
		for (i = 0; i < n; i++) {
			bool end = i + 1 == n;
			size_t len = end ? 1 + (size_t)random() % size : size;

			s[i] = segment(v6, seq, len,
				       end && random() % 2 ? 0x18 : 0x10);
			seq += (uint32_t)len;
		}
		gro_start(&g, s[0].bytes, s[0].len);
		for (i = 1; i < n; i++)
			if (!gro_append(&g, s[i].bytes, s[i].len))
				break;
		/* Only what is full ends it before. */
		if (i < n)
			assert_true(g.len + s[i].len - g.data > GRO_FRAME);
		check_cut(&g, s, i, v6);
	}
}

/* One byte of the next segment's header at a time. */
static void test_different(void **state)
{
	static const unsigned spoiled[] = {0,  6,  12, 14, 15, 20, 22, 23, 26,
					   30, 34, 36, 38, 42, 46, 47, 48, 54};
	static struct gro g = {.tso4 = true, .tso6 = true};
	struct seg a = segment(false, 1000, 500, 0x10), b;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(spoiled); i++) {
		b = segment(false, 1500, 500, 0x10);
		b.bytes[spoiled[i]] ^= 1;
		gro_start(&g, a.bytes, a.len);
		if (gro_append(&g, b.bytes, b.len))
			fail_msg("byte %u", spoiled[i]);
	}
	gro_start(&g, a.bytes, a.len);
	b = segment(false, 1501, 500, 0x10);
	assert_false(gro_append(&g, b.bytes, b.len)); /* a gap */
	b = segment(false, 1500, 501, 0x10);
	assert_false(gro_append(&g, b.bytes, b.len)); /* longer */
	b = segment(true, 1500, 500, 0x10);
	assert_false(gro_append(&g, b.bytes, b.len));
	b = segment(false, 1500, 0, 0x10);
	assert_false(gro_append(&g, b.bytes, b.len)); /* no data */
	b = segment(false, 1500, 500, 0x11);
	assert_false(gro_append(&g, b.bytes, b.len)); /* the end */
	b = segment(false, 1500, 300, 0x10);
	assert_true(gro_append(&g, b.bytes, b.len));
	assert_true(g.last);
	b = segment(false, 1800, 500, 0x10);
	assert_false(gro_append(&g, b.bytes, b.len));
}

/* Frames that begin nothing. */
static void test_alone(void **state)
{
	static struct gro g = {.tso4 = true};
	struct seg s = segment(false, 1, 100, 0x18), t;
	size_t len;

	gro_start(&g, s.bytes, s.len);
	assert_true(g.last);
	t = segment(true, 1, 100, 0x10); /* TSO for IPv6 is off */
	gro_start(&g, t.bytes, t.len);
	assert_true(g.last);
	t = segment(false, 1, 0, 0x10);
	gro_start(&g, t.bytes, t.len);
	assert_true(g.last);
	for (len = 1; len < s.len; len++) {
		gro_start(&g, s.bytes, len);
		assert_true(g.last);
	}
	/* All 24 bytes of a header, and 20. */
	gro_start(&g, s.bytes, s.len);
	assert_memory_equal(gro_finish(&g, 24, &len) + 24, s.bytes, s.len);
	assert_int_equal(len, s.len + 24);
}

static void test_complete(void **state)
{
	struct seg s = segment(false, 7, 333, 0x18), want = s;
	uint8_t h[12] = {1, 1, 66, 0, 100, 0, 34, 0, 16, 0};
	uint32_t open = pseudo(s.bytes + 14, false, s.len - 34);

	s.bytes[50] = (uint8_t)(open >> 8);
	s.bytes[51] = (uint8_t)open;
	assert_true(gro_complete(h, s.bytes, s.len));
	assert_memory_equal(s.bytes, want.bytes, s.len);
	h[1] = 0;
	s.bytes[50] = (uint8_t)(open >> 8);
	s.bytes[51] = (uint8_t)open;
	assert_true(gro_complete(h, s.bytes, s.len));
	assert_memory_equal(s.bytes, want.bytes, s.len);
	h[0] = 0;
	assert_true(gro_complete(h, s.bytes, s.len));
	h[1] = 1; /* segments with their checksum done: none can be */
	assert_false(gro_complete(h, s.bytes, s.len));
	h[0] = 1;
	h[1] = 0x21;
	assert_false(gro_complete(h, s.bytes, s.len));
	h[1] = 5;
	assert_false(gro_complete(h, s.bytes, s.len));
	h[1] = 0;
	h[7] = 0xff; /* beyond the end */
	assert_false(gro_complete(h, s.bytes, s.len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_different),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
