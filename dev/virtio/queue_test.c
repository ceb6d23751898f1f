/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ring formats against the driver of fakering.c: order, wrapping,
 * notifications, what is malformed, and random rings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dev/virtio/fakering.h"

#define V1     BIT64(VIRTIO_F_VERSION_1)
#define PACKED BIT64(VIRTIO_F_RING_PACKED)
#define IND    BIT64(VIRTIO_F_INDIRECT_DESC)
#define EVENT  BIT64(VIRTIO_F_EVENT_IDX)
#define ORDER  BIT64(VIRTIO_F_IN_ORDER)

static const uint64_t formats[] = {V1, V1 | PACKED};

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)(seed >> 8) * below) >> 24);
}

static struct iovec at(uint64_t gpa, size_t len)
{
	return (struct iovec){(void *)(uintptr_t)gpa, len};
}

static void check_pieces(struct fakering *r, const struct vq_elem *e,
			 const struct iovec *want, unsigned n)
{
	unsigned i;

	assert_int_equal(e->out_n + e->in_n, n);
	for (i = 0; i < n; i++) {
		assert_ptr_equal(e->iov[i].iov_base,
				 fake_ptr(r, (uintptr_t)want[i].iov_base));
		assert_int_equal(e->iov[i].iov_len, want[i].iov_len);
	}
}

/* Many buffers of one to four pieces, the ring wraps many times. */
static void round_trip(uint64_t features)
{
	struct fakering r;
	struct iovec piece[4];
	struct vq_elem *e;
	unsigned i, j, n, out;
	uint16_t id;
	uint32_t len;

	fake_init(&r, features & PACKED ? 7 : 64, features);
	assert_null(vq_pop(&r.vq));
	for (i = 0; i < 70000; i++) {
		n = 1 + rnd(4);
		out = rnd(n + 1);
		for (j = 0; j < n; j++)
			piece[j] = at(FAKE_DATA + rnd(4096), 1 + rnd(4096));
		fake_add(&r, (uint16_t)(i % 7), piece, n, out,
			 features & IND && rnd(2));
		e = vq_pop(&r.vq);
		assert_non_null(e);
		assert_int_equal(e->out_n, out);
		check_pieces(&r, e, piece, n);
		assert_true(vq_empty(&r.vq));
		assert_false(fake_get(&r, &id, &len));
		vq_push(&r.vq, e, i);
		free(e);
		assert_true(fake_get(&r, &id, &len));
		assert_int_equal(id, i % 7);
		assert_int_equal(len, i);
	}
	assert_false(r.vq.broken);
	fake_exit(&r);
}

/* A second memory, brought up to date by what is told. */
struct copy {
	struct fakering *r;
	uint8_t *mem;
};

static void update(void *ctx, const struct iovec *iov, unsigned n)
{
	struct copy *c = ctx;
	size_t off;

	for (; n--; iov++) {
		off = (size_t)((uint8_t *)iov->iov_base - c->r->mem);
		assert_true(off < FAKE_SIZE && iov->iov_len <= FAKE_SIZE - off);
		memcpy(c->mem + off, iov->iov_base, iov->iov_len);
	}
}

/* Nothing the device does to memory is kept from the KVM. */
static void check_told(uint64_t features)
{
	struct fakering r;
	struct copy c = {&r, malloc(FAKE_SIZE)};
	struct iovec piece[3];
	struct vq_elem *e;
	uint16_t id;
	uint32_t len;

	assert_non_null(c.mem);
	fake_init(&r, features & PACKED ? 7 : 64, features);
	r.dma.wrote = update;
	r.dma.ctx = &c;
	for (unsigned i = 0; i < 100; i++) {
		piece[0] = at(FAKE_DATA, 16);
		piece[1] = at(FAKE_DATA + 0x1000 + rnd(4096), 1 + rnd(9000));
		piece[2] = at(FAKE_DATA + 0x8000 + rnd(4096), 1 + rnd(100));
		fake_add(&r, (uint16_t)(i % 7), piece, 3, 1, false);
		memcpy(c.mem, r.mem, FAKE_SIZE);
		e = vq_pop(&r.vq);
		assert_non_null(e);
		for (unsigned n = e->out_n; n < e->out_n + e->in_n; n++)
			memset(e->iov[n].iov_base, (int)i, e->iov[n].iov_len);
		vq_push(&r.vq, e, (uint32_t)e->in_len);
		free(e);
		vq_want_kick(&r.vq, i & 1);
		if (i & 2)
			vq_want_more(&r.vq);
		assert_memory_equal(c.mem, r.mem, FAKE_SIZE);
		assert_true(fake_get(&r, &id, &len));
	}
	fake_exit(&r);
	free(c.mem);
}

static void test_tells(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		check_told(formats[i]);
		check_told(formats[i] | EVENT);
		check_told(formats[i] | ORDER);
	}
}

static void test_round_trip(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		round_trip(formats[i]);
		round_trip(formats[i] | IND);
		round_trip(formats[i] | ORDER);
	}
}

/* Done backwards: given back backwards, or held until the first is done. */
static void backwards(uint64_t features)
{
	struct fakering r;
	struct iovec piece = at(FAKE_DATA, 64);
	struct vq_elem *e[3];
	uint16_t id;
	uint32_t len;
	int i;

	fake_init(&r, 64, features);
	for (i = 0; i < 3; i++)
		fake_add(&r, (uint16_t)i, &piece, 1, 0, false);
	for (i = 0; i < 3; i++)
		e[i] = vq_pop(&r.vq);
	for (i = 2; i >= 0; i--) {
		vq_push(&r.vq, e[i], 10 + (uint32_t)i);
		if (features & ORDER)
			assert_int_equal(fake_get(&r, &id, &len), i == 0);
		else
			assert_true(fake_get(&r, &id, &len));
		assert_int_equal(features & ORDER ? 0 : id,
				 features & ORDER ? 0 : i);
	}
	for (i = 1; features & ORDER && i < 3; i++) {
		assert_true(fake_get(&r, &id, &len));
		assert_int_equal(id, i);
		assert_int_equal(len, 10 + i);
	}
	for (i = 0; i < 3; i++)
		free(e[i]);
	fake_exit(&r);
}

static void test_backwards(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		backwards(formats[i]);
		backwards(formats[i] | ORDER);
	}
}

static void test_unpop(void **state)
{
	struct iovec piece[2] = {at(FAKE_DATA, 64), at(FAKE_DATA, 32)};
	struct fakering r;
	struct vq_elem *e;
	size_t i;
	int k;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		fake_init(&r, 64, formats[i]);
		/* The second buffer runs over the end of a ring of 64. */
		for (k = 0; k < 63; k++) {
			uint16_t id;
			uint32_t len;

			fake_add(&r, 1, piece, 1, 1, false);
			e = vq_pop(&r.vq);
			vq_push(&r.vq, e, 0);
			free(e);
			assert_true(fake_get(&r, &id, &len));
		}
		fake_add(&r, 2, piece, 2, 1, false);
		for (k = 0; k < 3; k++) {
			e = vq_pop(&r.vq);
			assert_non_null(e);
			check_pieces(&r, e, piece, 2);
			vq_unpop(&r.vq, e);
		}
		fake_exit(&r);
	}
}

/* Several given back at once are seen together. */
static void test_push_many(void **state)
{
	struct iovec piece = at(FAKE_DATA, 64);
	struct vq_elem *e[3];
	uint32_t len[3] = {5, 6, 7}, got;
	struct fakering r;
	uint16_t id;
	size_t i;
	int k;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		fake_init(&r, 64, formats[i]);
		for (k = 0; k < 3; k++)
			fake_add(&r, (uint16_t)k, &piece, 1, 0, false);
		for (k = 0; k < 3; k++)
			e[k] = vq_pop(&r.vq);
		vq_push_many(&r.vq, e, len, 3);
		for (k = 0; k < 3; k++) {
			assert_true(fake_get(&r, &id, &got));
			assert_int_equal(id, k);
			assert_int_equal(got, 5 + k);
			free(e[k]);
		}
		fake_exit(&r);
	}
}

static void one(struct fakering *r)
{
	struct iovec piece = at(FAKE_DATA, 64);
	struct vq_elem *e;
	uint16_t id;
	uint32_t len;

	fake_add(r, 0, &piece, 1, 0, false);
	e = vq_pop(&r->vq);
	assert_non_null(e);
	vq_push(&r->vq, e, 1);
	free(e);
	assert_true(fake_get(r, &id, &len));
}

static void poke16(struct fakering *r, uint64_t gpa, unsigned val)
{
	uint16_t v = (uint16_t)val;

	memcpy(fake_ptr(r, gpa), &v, 2);
}

static unsigned peek16(struct fakering *r, uint64_t gpa)
{
	uint16_t v;

	memcpy(&v, fake_ptr(r, gpa), 2);
	return v;
}

static void test_interrupt_flags(void **state)
{
	struct fakering r;

	fake_init(&r, 64, V1);
	one(&r);
	assert_true(vq_wants_interrupt(&r.vq));
	poke16(&r, FAKE_DRIVER, 1);
	one(&r);
	assert_false(vq_wants_interrupt(&r.vq));
	vq_want_kick(&r.vq, false);
	assert_int_equal(peek16(&r, FAKE_DEVICE), 1);
	vq_want_kick(&r.vq, true);
	assert_int_equal(peek16(&r, FAKE_DEVICE), 0);
	fake_exit(&r);

	fake_init(&r, 64, V1 | PACKED);
	one(&r);
	assert_true(vq_wants_interrupt(&r.vq));
	poke16(&r, FAKE_DRIVER + 2, 1);
	one(&r);
	assert_false(vq_wants_interrupt(&r.vq));
	vq_want_kick(&r.vq, false);
	assert_int_equal(peek16(&r, FAKE_DEVICE + 2), 1);
	fake_exit(&r);
}

/* An interrupt exactly when the used index passes the event. */
static void test_event_split(void **state)
{
	struct fakering r;
	unsigned i;

	fake_init(&r, 64, V1 | EVENT);
	for (i = 0; i < 140000; i++) {
		poke16(&r, FAKE_DRIVER + 4 + 2 * 64, i / 10 * 10 + 4);
		one(&r);
		if (i > 0)
			assert_int_equal(vq_wants_interrupt(&r.vq),
					 i % 10 == 4);
		else
			assert_true(vq_wants_interrupt(&r.vq));
		vq_want_kick(&r.vq, true);
		assert_int_equal(peek16(&r, FAKE_DEVICE + 4 + 8 * 64),
				 (i + 1) % 65536);
	}
	fake_exit(&r);
}

static void test_event_packed(void **state)
{
	struct fakering r;
	unsigned i, pos;

	fake_init(&r, 10, V1 | PACKED | EVENT);
	poke16(&r, FAKE_DRIVER + 2, 2); /* by descriptor */
	for (i = 0; i < 1000; i++) {
		pos = i % 10;
		/* Slot 4 of this lap. */
		poke16(&r, FAKE_DRIVER, 4 | (i / 10 % 2 ? 0 : 1 << 15));
		one(&r);
		/* After a wrap the device may say so once more. */
		if (pos == 9 || i == 0)
			(void)vq_wants_interrupt(&r.vq);
		else
			assert_int_equal(vq_wants_interrupt(&r.vq), pos == 4);
		vq_want_kick(&r.vq, true);
		assert_int_equal(peek16(&r, FAKE_DEVICE + 2), 2);
		assert_int_equal(peek16(&r, FAKE_DEVICE),
				 (i + 1) % 10 |
					 ((i + 1) / 10 % 2 ? 0 : 1 << 15));
	}
	fake_exit(&r);
}

/* ---- what is malformed ---- */

static void expect_broken(struct fakering *r)
{
	assert_null(vq_pop(&r->vq));
	assert_true(r->vq.broken);
	assert_null(vq_pop(&r->vq));
	assert_true(vq_empty(&r->vq));
	assert_false(vq_wants_interrupt(&r->vq));
	fake_exit(r);
}

static void test_bad_pieces(void **state)
{
	const struct iovec bad[] = {
		at(FAKE_BASE + FAKE_SIZE - 8, 9),
		at(FAKE_BASE - 1, 4),
		at(FAKE_DATA, 0),
		at(UINT64_MAX - 3, 16),
		at(0, 8),
		at(FAKE_DATA, UINT32_MAX),
	};
	struct iovec piece[2];
	struct fakering r;
	size_t i, k, b;

	for (k = 0; k < 2 * ARRAY_SIZE(formats); k++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			fake_init(&r, 64, formats[k / 2] | IND);
			piece[0] = at(FAKE_DATA, 8);
			piece[1] = bad[i];
			fake_add(&r, 0, piece, 2, 1, k & 1);
			expect_broken(&r);
		}
		/* Something to read after something to write. */
		fake_init(&r, 64, formats[k / 2] | IND);
		piece[1] = piece[0];
		fake_add(&r, 1, piece, 2, 0, k & 1);
		b = k / 2 ? 14 : 12;
		if (k & 1)
			poke16(&r, FAKE_TABLE + 0x200 + 16 + b, 0);
		else
			poke16(&r, FAKE_DESC + (k / 2 ? 16 : 9 * 16) + b,
			       k / 2 ? 1 << 7 : 0);
		expect_broken(&r);
	}
}

static struct fake_desc *desc(struct fakering *r, unsigned i)
{
	return (struct fake_desc *)fake_ptr(r, FAKE_DESC) + i;
}

static void start_one(struct fakering *r, uint64_t features)
{
	struct iovec piece = at(FAKE_DATA, 64);

	fake_init(r, 64, features);
	fake_add(r, 0, &piece, 1, 1, false);
}

static void test_bad_split(void **state)
{
	struct fakering r;

	start_one(&r, V1); /* a chain that bites its tail */
	desc(&r, 0)->a = 1;
	desc(&r, 0)->b = 0;
	expect_broken(&r);
	start_one(&r, V1); /* that leaves the table */
	desc(&r, 0)->a = 1;
	desc(&r, 0)->b = 64;
	expect_broken(&r);
	start_one(&r, V1); /* a head outside */
	poke16(&r, FAKE_DRIVER + 4, 64);
	expect_broken(&r);
	start_one(&r, V1); /* an index too far ahead */
	poke16(&r, FAKE_DRIVER + 2, 65);
	expect_broken(&r);
	start_one(&r, V1); /* indirect, not agreed on */
	*desc(&r, 0) = (struct fake_desc){FAKE_TABLE, 16, 4, 0};
	expect_broken(&r);
	start_one(&r, V1 | IND); /* a table of odd size */
	*desc(&r, 0) = (struct fake_desc){FAKE_TABLE, 24, 4, 0};
	expect_broken(&r);
	start_one(&r, V1 | IND); /* a table outside memory */
	*desc(&r, 0) = (struct fake_desc){0, 16, 4, 0};
	expect_broken(&r);
	start_one(&r, V1 | IND); /* a table in a table */
	*desc(&r, 0) = (struct fake_desc){FAKE_TABLE, 16, 4, 0};
	*(struct fake_desc *)fake_ptr(&r, FAKE_TABLE) = (struct fake_desc){
		FAKE_TABLE, 16, 4, 0};
	expect_broken(&r);
}

static void test_bad_packed(void **state)
{
	struct fakering r;
	unsigned i;

	start_one(&r, V1 | PACKED); /* a chain without end */
	for (i = 0; i < 64; i++)
		*desc(&r, i) = (struct fake_desc){FAKE_DATA, 8, 0, 0x81};
	expect_broken(&r);
	start_one(&r, V1 | PACKED | IND); /* a table inside a chain */
	desc(&r, 0)->b |= 1;
	*desc(&r, 1) = (struct fake_desc){FAKE_TABLE, 16, 0, 0x84};
	expect_broken(&r);
	start_one(&r, V1 | PACKED | IND); /* a table with more after it */
	*desc(&r, 0) = (struct fake_desc){FAKE_TABLE, 16, 0, 0x85};
	expect_broken(&r);
}

/* Making a buffer available again while the device has it. */
static void test_too_many(void **state)
{
	struct fakering r;
	struct vq_elem *e;
	unsigned i;

	start_one(&r, V1);
	for (i = 0; i < 64; i++) {
		poke16(&r, FAKE_DRIVER + 2, i + 1);
		e = vq_pop(&r.vq);
		assert_non_null(e);
		free(e);
	}
	poke16(&r, FAKE_DRIVER + 2, 65);
	expect_broken(&r);
}

static void test_bad_start(void **state)
{
	static const struct {
		uint64_t desc, driver, device;
		unsigned size;
		uint64_t features;
		int ret;
	} rows[] = {
		{FAKE_DESC, FAKE_DRIVER, FAKE_DEVICE, 64, V1, 0},
		{FAKE_DESC, FAKE_DRIVER, FAKE_DEVICE, 60, V1, -22},
		{FAKE_DESC, FAKE_DRIVER, FAKE_DEVICE, 60, V1 | PACKED, 0},
		{FAKE_DESC, FAKE_DRIVER, FAKE_DEVICE, 0, V1, -22},
		{FAKE_DESC, FAKE_DRIVER, FAKE_DEVICE, 2048, V1, -22},
		{FAKE_DESC + 8, FAKE_DRIVER, FAKE_DEVICE, 64, V1, -22},
		{FAKE_DESC, FAKE_DRIVER + 1, FAKE_DEVICE, 64, V1, -22},
		{FAKE_DESC, FAKE_DRIVER, FAKE_DEVICE + 2, 64, V1, -22},
		{FAKE_DESC, FAKE_DRIVER + 2, FAKE_DEVICE, 64, V1 | PACKED, -22},
		{0, FAKE_DRIVER, FAKE_DEVICE, 64, V1, -22},
		{FAKE_BASE + FAKE_SIZE - 16, FAKE_DRIVER, FAKE_DEVICE, 64, V1,
		 -22},
	};
	struct fakering r;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_init(&r, 64, V1);
		vq_reset(&r.vq);
		r.vq.size = (uint16_t)rows[i].size;
		r.vq.desc_gpa = rows[i].desc;
		r.vq.driver_gpa = rows[i].driver;
		r.vq.device_gpa = rows[i].device;
		r.f.w[0] = rows[i].features;
		assert_int_equal(vq_start(&r.vq, &r.dma, &r.f), rows[i].ret);
		assert_int_equal(r.vq.broken, rows[i].ret != 0);
		fake_exit(&r);
	}
}

/* ---- random rings ---- */

static uint64_t random_gpa(void)
{
	switch (rnd(24)) {
	case 0: return (uint64_t)rnd(1 << 24) << rnd(40);
	case 1: return FAKE_BASE + FAKE_SIZE - rnd(64);
	case 2: return FAKE_TABLE + 16 * rnd(32);
	default: return FAKE_DATA + rnd(0x1000);
	}
}

static void scribble(struct fakering *r, unsigned entries)
{
	struct fake_desc *d = fake_ptr(r, FAKE_DESC);
	struct fake_desc *t = fake_ptr(r, FAKE_TABLE);
	unsigned i;

	for (i = 0; i < entries; i++) {
		struct fake_desc v = {
			random_gpa(), rnd(4) ? 16 * rnd(40) : 64,
			(uint16_t)(r->packed ? rnd(65536)
				   : rnd(4)  ? rnd(4)
					     : rnd(8)),
			(uint16_t)(r->packed ? rnd(4) ? rnd(4) & 2 : rnd(8)
					     : rnd(66))};

		if (r->packed)
			v.b |= (uint16_t)(rnd(8) ? 0x80 : rnd(65536));
		*(rnd(2) ? &d[rnd(64)] : &t[rnd(64)]) = v;
	}
	if (!r->packed) {
		for (i = 0; i < 64; i++)
			poke16(r, FAKE_DRIVER + 4 + 2 * i,
			       rnd(20) ? rnd(64) : 66);
		poke16(r, FAKE_DRIVER + 2, rnd(68));
	}
}

/* Every piece lies in memory, whatever the rings hold. */
static bool pieces_inside(const struct fakering *r, const struct vq_elem *e)
{
	size_t sum = 0;
	unsigned i;

	for (i = 0; i < e->out_n + e->in_n; i++) {
		const uint8_t *p = e->iov[i].iov_base;

		if (p < r->mem || e->iov[i].iov_len > FAKE_SIZE ||
		    p + e->iov[i].iov_len > r->mem + FAKE_SIZE)
			return false;
		sum += e->iov[i].iov_len;
	}
	return sum == e->out_len + e->in_len;
}

static unsigned fuzz(uint64_t features)
{
	struct vq_elem *held[64] = {0}, *e;
	struct fakering r;
	unsigned taken = 0, k;

	fake_init(&r, 64, features);
	scribble(&r, 1 + rnd(300));
	for (k = 0; k < 40; k++) {
		e = vq_pop(&r.vq);
		if (e) {
			assert_true(pieces_inside(&r, e));
			taken++;
			free(held[k]);
			held[k] = e;
		}
		if (!rnd(3)) {
			unsigned i = rnd(64);

			if (held[i]) {
				vq_push(&r.vq, held[i], rnd(65536));
				free(held[i]);
				held[i] = NULL;
			}
			(void)vq_wants_interrupt(&r.vq);
			vq_want_kick(&r.vq, rnd(2));
		}
		if (!rnd(8))
			scribble(&r, rnd(8));
	}
	for (k = 0; k < 64; k++)
		free(held[k]);
	fake_exit(&r);
	return taken;
}

static void test_fuzz(void **state)
{
	const char *times = getenv("VIRTIO_FUZZ");
	unsigned n = times ? (unsigned)strtoul(times, NULL, 0) : 2000, i;
	unsigned taken[2] = {0};

	for (i = 0; i < n; i++) {
		uint64_t extra = (rnd(2) ? IND : 0) | (rnd(2) ? EVENT : 0) |
				 (rnd(2) ? ORDER : 0);

		taken[i & 1] += fuzz(formats[i & 1] | extra);
	}
	print_message("%u rings, %u split and %u packed buffers\n", n, taken[0],
		      taken[1]);
	/* Not every ring is nonsense. */
	assert_true(taken[0] > n / 8 && taken[1] > n / 8);
}

static void test_iov(void **state)
{
	char a[3] = "abc", b[4] = "defg", out[8] = "";
	struct iovec iov[2] = {{a, 3}, {b, 4}};

	assert_int_equal(iov_read(iov, 2, 2, out, 3), 3);
	assert_memory_equal(out, "cde", 3);
	assert_int_equal(iov_read(iov, 2, 5, out, 8), 2);
	assert_memory_equal(out, "fg", 2);
	assert_int_equal(iov_read(iov, 2, 7, out, 1), 0);
	assert_int_equal(iov_write(iov, 2, 1, "12345", 5), 5);
	assert_memory_equal(a, "a12", 3);
	assert_memory_equal(b, "345g", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_tells),
		cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_unpop),
		cmocka_unit_test(test_push_many),
		cmocka_unit_test(test_interrupt_flags),
		cmocka_unit_test(test_event_split),
		cmocka_unit_test(test_event_packed),
		cmocka_unit_test(test_bad_pieces),
		cmocka_unit_test(test_bad_split),
		cmocka_unit_test(test_bad_packed),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_bad_start),
		cmocka_unit_test(test_iov),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
