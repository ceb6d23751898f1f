/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network card: which headers it takes from a driver, against a second
 * opinion written from the specification's list; address filters; both data
 * paths and the control queue over a backend that records.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/virtio/fakecard.h"

#define ALL_LOW  CARD_LOW
#define ALL_HIGH CARD_HIGH

/* ---- headers ---- */

static struct nethdr vxlan(void)
{
	return (struct nethdr){
		.flags = 1,
		.gso_type = 0x21,
		.hdr_len = 104,
		.gso_size = 1398,
		.csum_start = 84,
		.csum_offset = 16,
		.outer_th_offset = 34,
		.inner_nh_offset = 64,
	};
}

static bool valid(struct nethdr h, size_t len)
{
	const struct virtio_features f = {{ALL_LOW, ALL_HIGH}};

	return !nethdr_check(&h, &f, len);
}

/* One field of a good frame at a time. */
static void test_header_table(void **state)
{
	static const struct {
		size_t offset;
		unsigned size, value;
		bool good;
	} rows[] = {
		{0, 1, 0x01, true},  {0, 1, 0x09, true},  {0, 1, 0x00, false},
		{0, 1, 0x02, false}, {0, 1, 0x03, false}, {0, 1, 0x0b, false},
		{0, 1, 0x81, true},  {1, 1, 0xa1, true},  {1, 1, 0x61, false},
		{1, 1, 0x20, false}, {1, 1, 0x23, false}, {1, 1, 0x31, false},
		{1, 1, 0x22, false}, {1, 1, 0x25, false}, {1, 1, 0x41, false},
		{1, 1, 0x24, false}, {4, 2, 0, false},    {4, 2, 7, true},
		{20, 2, 33, false},  {20, 2, 0, false},   {22, 2, 41, false},
		{22, 2, 42, true},   {22, 2, 65, false},  {6, 2, 83, false},
		{6, 2, 5000, false}, {8, 2, 6, false},    {2, 2, 0, true},
		{2, 2, 5000, false}, {10, 2, 9, true},    {12, 4, 77, true},
	};
	struct nethdr h;
	size_t i;

	assert_true(valid(vxlan(), 4000));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		h = vxlan();
		memcpy((uint8_t *)&h + rows[i].offset, &rows[i].value,
		       rows[i].size);
		if (valid(h, 4000) != rows[i].good)
			fail_msg("row %zu", i);
	}
	/* IPv6 outside, IPv6 and UDP inside. */
	h = vxlan();
	h.gso_type = 0x41;
	h.outer_th_offset = 54;
	h.inner_nh_offset = 84;
	h.csum_start = 104;
	assert_true(valid(h, 4000));
	h.outer_th_offset = 53;
	assert_false(valid(h, 4000));
	h = vxlan();
	h.gso_type = 0x24;
	assert_false(valid(h, 4000));
	h.csum_start = 104;
	assert_true(valid(h, 4000));
	h = vxlan();
	h.gso_type = 0x25;
	h.csum_offset = 6;
	assert_true(valid(h, 4000));
	/* The checksum flag of a tunnel where there is none. */
	h = (struct nethdr){.flags = 8};
	assert_false(valid(h, 100));
	h.flags = 0;
	assert_true(valid(h, 100));
	assert_false(valid(h, 13));
}

/* The specification's list once more, as one sentence for each rule. */
static bool second_opinion(const struct nethdr *h,
			   const struct virtio_features *f, size_t len)
{
	static const int8_t needs[32] = {
		[1] = 11,
		[3] = 14,
		[4] = 12,
		[5] = 56,
	};
	bool needs_csum = h->flags & 1, data_valid = h->flags & 2;
	bool sum_flag = h->flags & 8, v4 = h->gso_type & 0x20;
	bool v6 = h->gso_type & 0x40, ecn = h->gso_type & 0x80;
	unsigned type = h->gso_type & 0x1f;
	bool tcp = type == 1 || type == 4;

	if (len < 14)
		return false;
	if (needs_csum && !(f->w[0] & 1))
		return false;
	if (needs_csum && (unsigned)h->csum_start + h->csum_offset + 2 > len)
		return false;
	if (sum_flag && !v4 && !v6)
		return false;
	if (!type)
		return !v4 && !v6 && !ecn;
	if (!needs[type] || !(f->w[0] >> needs[type] & 1))
		return false;
	if (ecn && !(f->w[0] >> 13 & 1))
		return false;
	if (!needs_csum || !h->gso_size || h->hdr_len > len)
		return false;
	if (h->csum_offset != (tcp ? 16 : 6))
		return false;
	if (!v4 && !v6)
		return true;
	if ((v4 && v6) || data_valid || type == 3)
		return false;
	if (!(f->w[1] & 8) || (sum_flag && !(f->w[1] & 16)))
		return false;
	return h->outer_th_offset >= (v4 ? 34 : 54) &&
	       h->inner_nh_offset >= h->outer_th_offset + 8 &&
	       h->csum_start >= h->inner_nh_offset + (type == 4 ? 40 : 20);
}

static unsigned pick(const uint16_t *from, unsigned n)
{
	return from[(unsigned)random() % n];
}

#define PICK(a) ((uint16_t)pick(a, ARRAY_SIZE(a)))

static void test_header_fuzz(void **state)
{
	static const uint16_t offsets[] = {0,  14, 33, 34, 42,  53,   54,
					   62, 64, 84, 94, 104, 2000, 65535};
	static const uint16_t sums[] = {6, 16, 16, 0};
	static const uint16_t lens[] = {13, 14, 60, 1514, 4000, 65000};
	static const uint64_t low[] = {ALL_LOW, 0, ALL_LOW & ~1ULL,
				       ALL_LOW & ~BIT64(11),
				       ALL_LOW & ~BIT64(13)};
	static const uint64_t high[] = {ALL_HIGH, 0, 0x0e};
	unsigned flags, type, i, good = 0;
	struct virtio_features f;
	struct nethdr h;
	size_t len;

	srandom(3);
	for (flags = 0; flags < 16; flags++) {
		for (type = 0; type < 256; type++) {
			for (i = 0; i < 300; i++) {
				f.w[0] = low[(unsigned)random() % 5];
				f.w[1] = high[(unsigned)random() % 3];
				h = (struct nethdr){
					.flags = (uint8_t)flags,
					.gso_type = (uint8_t)type,
					.hdr_len = PICK(offsets),
					.gso_size = (uint16_t)(random() % 3),
					.csum_start = PICK(offsets),
					.csum_offset = PICK(sums),
					.outer_th_offset = PICK(offsets),
					.inner_nh_offset = PICK(offsets),
				};
				len = PICK(lens);
				if (!nethdr_check(&h, &f, len) !=
				    second_opinion(&h, &f, len))
					fail_msg("flags %#x type %#x", flags,
						 type);
				good += !nethdr_check(&h, &f, len);
			}
		}
	}
	assert_true(good > 1000);
}

static void test_header_size(void **state)
{
	struct virtio_features f = {{ALL_LOW, 0}};

	assert_int_equal(nethdr_size(&f), 12);
	f.w[1] = 2;
	assert_int_equal(nethdr_size(&f), 24);
	f.w[1] = 8;
	assert_int_equal(nethdr_size(&f), 24);
}

/* ---- filters ---- */

static const uint8_t own[6] = {0x52, 0x54, 0, 1, 2, 3};

static bool takes(const struct netfilter *f, const char *frame)
{
	uint8_t p[60] = {0};

	memcpy(p, frame, 16);
	return netfilter_takes(f, p, sizeof(p));
}

#define TO_OWN   "\x52\x54\0\1\2\3......\x08\0\0\0"
#define TO_OTHER "\x52\x54\0\1\2\4......\x08\0\0\0"
#define TO_ALL   "\xff\xff\xff\xff\xff\xff......\x08\0\0\0"
#define TO_MULTI "\x01\x00\x5e\0\0\x01......\x08\0\0\0"
#define TO_VLAN5 "\x52\x54\0\1\2\3......\x81\0\0\5"

static void test_filter(void **state)
{
	static const uint8_t lists[] = "\1\0\0\0\x52\x54\0\1\2\4"
				       "\1\0\0\0\x01\0\x5e\0\0\1";
	struct netfilter f;

	netfilter_reset(&f, own, false, false);
	assert_true(takes(&f, TO_OTHER));
	netfilter_reset(&f, own, true, true);
	assert_true(takes(&f, TO_OWN));
	assert_true(takes(&f, TO_ALL));
	assert_false(takes(&f, TO_OTHER));
	assert_false(takes(&f, TO_MULTI));
	assert_false(takes(&f, TO_VLAN5));
	netfilter_vlan(&f, 5, true);
	assert_true(takes(&f, TO_VLAN5));
	netfilter_vlan(&f, 5, false);
	assert_false(takes(&f, TO_VLAN5));
	assert_true(netfilter_table(&f, lists, sizeof(lists) - 1));
	assert_true(takes(&f, TO_OTHER));
	assert_true(takes(&f, TO_MULTI));
	assert_false(netfilter_table(&f, lists, sizeof(lists) - 2));
	assert_false(netfilter_table(&f, lists, 3));
	assert_false(
		netfilter_table(&f, (const uint8_t *)"\xff\xff\xff\xff", 4));
	assert_true(netfilter_mode(&f, 3, true));
	assert_false(takes(&f, TO_MULTI));
	assert_true(netfilter_mode(&f, 5, true));
	assert_false(takes(&f, TO_ALL));
	assert_true(netfilter_mode(&f, 0, true));
	assert_true(takes(&f, TO_ALL));
	assert_false(netfilter_mode(&f, 6, true));
}

/* ---- the card ---- */

static struct card *new_card(uint64_t low, uint64_t high, bool has_header)
{
	return card_new(CARD, 1, low, high, has_header);
}

static bool transmit(struct card *c, unsigned header, unsigned len)
{
	return card_send(c, 0, header, len);
}

static bool receive(struct card *c, const void *frame, size_t len,
		    unsigned header)
{
	return card_receive(c, 0, frame, len, header);
}

static void test_transmit(void **state)
{
	struct card *c = new_card(ALL_LOW, ALL_HIGH, true);
	uint8_t *data = fake_ptr(&c->ring[NET_TX], FAKE_DATA);
	struct nethdr h = vxlan();
	unsigned i;

	assert_int_equal(c->rec.header, 24);
	assert_true(c->rec.guest.tnl && c->rec.guest.tnl_csum);
	for (i = 0; i < 4000; i++)
		data[24 + i] = (uint8_t)i;
	memcpy(data, &h, 24);
	assert_true(transmit(c, 24, 4000));
	assert_int_equal(c->rec.sent_len, 4024);
	assert_memory_equal(c->rec.sent, data, 4024);
	/* The two that a tap would let pass are dropped, and answered. */
	h.flags = 3;
	memcpy(data, &h, 24);
	assert_false(transmit(c, 24, 4000));
	h = (struct nethdr){.flags = 8};
	memcpy(data, &h, 24);
	assert_false(transmit(c, 24, 4000));
	assert_int_equal(card_counter(c, "net_tx_dropped_tunnel_data_valid"),
			 1);
	assert_int_equal(card_counter(c, "net_tx_dropped_stray_tunnel_csum"),
			 1);
	assert_int_equal(card_counter(c, "net_tx_frames"), 1);
	assert_int_equal(card_counter(c, "net_tx_tunnel_frames"), 1);
	assert_int_equal(card_counter(c, "net_tx_bytes"), 4000);
	/* Leftovers beyond a plain header do not go out. */
	memset(data, 0xee, 24);
	memset(data, 0, 10);
	assert_true(transmit(c, 24, 100));
	for (i = 10; i < 24; i++)
		assert_int_equal(c->rec.sent[i], 0);
	/* Too short for its header. */
	assert_false(transmit(c, 8, 8));
	card_free(c);
}

/* As many frames as one burst takes: kicks are wanted after it. */
static void test_transmit_burst(void **state)
{
	struct card *c = new_card(BIT64(32), 0, false);
	struct fakering *r = &c->ring[NET_TX];
	struct iovec p = card_piece(FAKE_DATA, 72);
	unsigned round, i, got;
	uint16_t id;
	uint32_t len;

	for (round = 0; round < 3; round++) {
		/* The last of them in the only place there is. */
		for (i = 0; i < 64; i++)
			fake_add(r, (uint16_t)(i % 8), &p, 1, 1, false);
		virtio_notify(c->dev, NET_TX);
		for (got = i = 0; got < 64 && i < 5000; i++) {
			got += fake_get(r, &id, &len);
			usleep(got < 64 ? 100 : 0);
		}
		assert_int_equal(got, 64);
		usleep(20000);
		pthread_mutex_lock(&c->dev->lock);
		assert_false(c->dev->vq[NET_TX].quiet);
		pthread_mutex_unlock(&c->dev->lock);
	}
	card_free(c);
}

static bool sent_here(struct card *c, unsigned len)
{
	if (!card_send(c, 0, 12, len))
		fail_msg("not sent");
	return pthread_equal(c->rec.sent_by, pthread_self());
}

static void receive_some(struct card *c, size_t len)
{
	static uint8_t frame[2000];
	struct iovec p = card_piece(FAKE_DATA, 2048);

	fake_add(&c->ring[NET_RX], 0, &p, 1, 0, false);
	assert_true(card_receive(c, 0, frame, len, 0));
}

/* A lone frame goes out in the thread that kicks; others in the pair's. */
static void test_transmit_lone(void **state)
{
	struct card *c = new_card(BIT64(32), 0, false);
	unsigned i;

	memset(fake_ptr(&c->ring[NET_TX], FAKE_DATA), 0, 64);
	assert_true(sent_here(c, 60));
	usleep(2000);
	assert_true(sent_here(c, 1514));
	/* An answer. */
	receive_some(c, 60);
	usleep(100);
	assert_true(sent_here(c, 60));
	/* A stream's segment, and answers to one. */
	usleep(2000);
	assert_false(sent_here(c, 3000));
	for (i = 0; i < 3; i++)
		receive_some(c, 1500);
	usleep(2000);
	assert_false(sent_here(c, 60));
	usleep(2000);
	assert_true(sent_here(c, 60));
	/* One behind the other. */
	for (i = 0; i < 100; i++)
		if (!sent_here(c, 60))
			break;
	assert_int_not_equal(i, 100);
	card_free(c);
}

/* A processor does not wait for whoever is busy with the card. */
static void test_transmit_busy(void **state)
{
	struct card *c = new_card(BIT64(32), 0, false);
	struct fakering *r = &c->ring[NET_TX];
	struct iovec p = card_piece(FAKE_DATA, 72);
	unsigned i;
	uint16_t id;
	uint32_t len;

	memset(fake_ptr(r, FAKE_DATA), 0, 64);
	fake_add(r, 0, &p, 1, 1, false);
	pthread_mutex_lock(&c->dev->lock);
	virtio_notify(c->dev, NET_TX);
	assert_int_equal(c->rec.sends, 0);
	pthread_mutex_unlock(&c->dev->lock);
	for (i = 0; i < 5000 && !fake_get(r, &id, &len); i++)
		usleep(1000);
	assert_int_equal(c->rec.sends, 1);
	assert_false(pthread_equal(c->rec.sent_by, pthread_self()));
	card_free(c);
}

static void test_transmit_plain(void **state)
{
	struct card *c = new_card(BIT64(32), 0, false);
	uint8_t *data = fake_ptr(&c->ring[NET_TX], FAKE_DATA);

	assert_int_equal(c->rec.header, 12);
	assert_false(c->rec.guest.csum);
	memset(data + 12, 7, 60);
	assert_true(transmit(c, 12, 60));
	assert_int_equal(c->rec.sent_len, 60);
	data[0] = 1; /* a checksum that was not agreed on */
	assert_false(transmit(c, 12, 60));
	card_free(c);
}

static void test_receive(void **state)
{
	struct card *c = new_card(ALL_LOW, ALL_HIGH, true);
	struct fakering *r = &c->ring[NET_RX];
	static uint8_t frame[9024];
	struct nethdr h = vxlan();
	struct iovec p;
	uint16_t id;
	uint32_t len;
	unsigned i;

	memcpy(frame, &h, 24);
	memcpy(frame + 24, TO_OWN, 14);
	for (i = 14; i < 9000; i++)
		frame[24 + i] = (uint8_t)(i * 7);
	/* No buffers: kept, and room is told of once there are some. */
	assert_false(receive(c, frame, sizeof(frame), 24));
	for (i = 0; i < 6; i++) {
		p = card_piece(FAKE_DATA + i * 2048, 2048);
		fake_add(r, (uint16_t)i, &p, 1, 0, false);
	}
	i = c->rec.rooms;
	virtio_notify(c->dev, NET_RX);
	assert_int_equal(c->rec.rooms, i + 1);
	assert_true(receive(c, frame, sizeof(frame), 24));
	for (i = 0; i < 5; i++) {
		assert_true(fake_get(r, &id, &len));
		assert_int_equal(id, i);
		assert_int_equal(len, i < 4 ? 2048 : 9024 - 4 * 2048);
	}
	assert_false(fake_get(r, &id, &len));
	h.num_buffers = 5;
	memcpy(frame, &h, 24);
	assert_memory_equal(fake_ptr(r, FAKE_DATA), frame, 9024);
	/* A plain frame leaves nothing of the kernel's in its header. */
	memset(frame, 0xee, 24);
	memset(frame, 0, 10);
	assert_true(receive(c, frame, 24 + 60, 24));
	assert_true(fake_get(r, &id, &len));
	assert_int_equal(len, 84);
	memset(frame + 10, 0, 14);
	frame[10] = 1;
	assert_memory_equal(fake_ptr(r, FAKE_DATA + 5 * 2048), frame, 84);
	/* For another card, and of another header: gone. */
	memcpy(frame + 24, TO_OTHER, 14);
	assert_true(receive(c, frame, 84, 24));
	memcpy(frame + 24, TO_OWN, 14);
	assert_true(receive(c, frame, 84, 12));
	card_free(c);
}

/*
 * Too few buffers: whichever the format, the driver is asked for a kick with
 * the next one, and not with none.
 */
static void test_want_more(void **state)
{
	static const uint64_t formats[] = {BIT64(32), BIT64(32) | BIT64(29),
					   BIT64(32) | BIT64(34),
					   BIT64(32) | BIT64(34) | BIT64(29)};
	struct iovec p = card_piece(FAKE_DATA, 64);
	struct vq_elem *e[2];
	struct fakering r;
	uint16_t *event;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		fake_init(&r, 64, formats[i]);
		vq_want_kick(&r.vq, false);
		fake_add(&r, 0, &p, 1, 0, false);
		fake_add(&r, 1, &p, 1, 0, false);
		fake_add(&r, 2, &p, 1, 0, false);
		vq_want_more(&r.vq);
		e[0] = vq_pop(&r.vq);
		e[1] = vq_pop(&r.vq);
		vq_unpop(&r.vq, e[1]);
		vq_unpop(&r.vq, e[0]);
		event = fake_ptr(&r, FAKE_DEVICE);
		if (r.packed)
			assert_int_equal(event[1], 0);
		else
			assert_int_equal(event[0], 0);
		if (!r.packed && formats[i] & BIT64(29))
			assert_int_equal(event[2 + 4 * 64], 3);
		fake_exit(&r);
	}
}

/* Without mergeable buffers what does not fit in one is dropped. */
static void test_receive_single(void **state)
{
	struct card *c = new_card(BIT64(32), 0, false);
	struct fakering *r = &c->ring[NET_RX];
	uint8_t frame[3000] = TO_OWN;
	struct iovec p = card_piece(FAKE_DATA, 1526);
	uint16_t id;
	uint32_t len;

	fake_add(r, 0, &p, 1, 0, false);
	assert_true(receive(c, frame, sizeof(frame), 0));
	assert_false(fake_get(r, &id, &len));
	assert_true(receive(c, frame, 1514, 0));
	assert_true(fake_get(r, &id, &len));
	assert_int_equal(len, 1526);
	card_free(c);
}

static int offloads(struct card *c, uint64_t bits)
{
	uint8_t cmd[10] = {5, 0};

	memcpy(cmd + 2, &bits, 8);
	return card_control(c, cmd, sizeof(cmd));
}

static void test_control(void **state)
{
	struct card *c = new_card(ALL_LOW, ALL_HIGH & ~4ULL & ~16ULL, true);
	uint8_t mac[6] = {2, 3, 4, 5, 6, 7}, seen[12];
	unsigned i;

	assert_int_equal(offloads(c, BIT64(1) | BIT64(7)), 0);
	assert_true(c->rec.guest.csum && c->rec.guest.tso4);
	assert_false(c->rec.guest.tso6 || c->rec.guest.tnl);
	assert_int_equal(offloads(c, BIT64(1) | BIT64(46)), 0);
	assert_true(c->rec.guest.tnl);
	assert_int_equal(c->rec.header, 24);
	/* Not agreed on; a feature number is no offload number. */
	assert_int_equal(offloads(c, BIT64(47)), 1);
	assert_int_equal(offloads(c, BIT64(0)), 1);
	assert_int_equal(card_control(c, "\1\1\2\3\4\5\6\7", 8), 0);
	for (i = 0; i < 6; i++)
		seen[i] = (uint8_t)virtio_config_read(c->dev, i, 1);
	assert_memory_equal(seen, mac, 6);
	assert_int_equal(card_control(c, "\0\0\1", 3), 0);
	assert_int_equal(card_control(c, "\0\7\1", 3), 1);
	assert_int_equal(card_control(c, "\2\0\5\0", 4), 0);
	assert_int_equal(card_control(c, "\2\0\5\x70", 4), 1);
	assert_int_equal(card_control(c, "\x63\0", 2), 1);
	assert_int_equal(card_control(c, "\0", 1), 1);
	card_free(c);
}

/* More addresses than a table has, of however many the driver tells. */
static void test_many_addresses(void **state)
{
	struct card *c = new_card(ALL_LOW, ALL_HIGH, true);
	const uint32_t uni = 0, multi = 1000;
	static uint8_t cmd[2 + 8 + 6 * 1000] = {1, 0};

	memcpy(cmd + 2, &uni, 4);
	memcpy(cmd + 6, &multi, 4);
	assert_int_equal(card_control(c, cmd, sizeof(cmd)), 0);
	assert_true(takes(&card_net(c)->filter, TO_MULTI));
	assert_false(takes(&card_net(c)->filter, TO_OTHER));
	assert_int_equal(card_control(c, cmd, sizeof(cmd) - 1), 1);
	card_free(c);
}

/* Whoever did not ask for sums, or no longer does, has zeroes for flags. */
static void test_receive_flags(void **state)
{
	struct card *c = new_card(ALL_LOW & ~BIT64(20), 0, true);
	struct fakering *r = &c->ring[NET_RX];
	const uint8_t *got = fake_ptr(r, FAKE_DATA);
	struct iovec p = card_piece(FAKE_DATA, 2048);
	uint8_t frame[12 + 60] = {2 /* DATA_VALID */};
	uint16_t id;
	uint32_t len;
	unsigned i;

	memcpy(frame + 12, TO_OWN, 14);
	for (i = 0; i < 3; i++) {
		if (i == 1)
			assert_int_equal(offloads(c, 0), 0);
		if (i == 2)
			assert_int_equal(offloads(c, BIT64(1)), 0);
		fake_add(r, 0, &p, 1, 0, false);
		assert_true(receive(c, frame, sizeof(frame), 12));
		assert_true(fake_get(r, &id, &len));
		assert_int_equal(got[0], i == 1 ? 0 : 2);
	}
	card_free(c);
}

/* A backend that can less makes a card that offers less. */
static void test_offer(void **state)
{
	struct recorder rec = {.net = {.ops = &recorder_ops}};
	struct fakering r;
	struct virtio_device *dev;

	fake_init(&r, 8, BIT64(32));
	dev = fake_device(CARD, &r.dma, &rec.net);
	assert_true(dev->offered.w[1] == 0);
	assert_true(!(dev->offered.w[0] & (BIT64(0) | BIT64(1) | BIT64(7) |
					   BIT64(56) | BIT64(10))));
	virtio_exit(dev);
	rec.net.can = (struct net_offloads){true, true, true, true,
					    true, true, true, true};
	dev = fake_device(CARD, &r.dma, &rec.net);
	assert_true(dev->offered.w[1] == 0x0a);
	virtio_exit(dev);
	rec.net.can.uso4 = false;
	dev = fake_device(CARD, &r.dma, &rec.net);
	assert_true(dev->offered.w[1] == 0);
	virtio_exit(dev);
	fake_exit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_table),
		cmocka_unit_test(test_header_fuzz),
		cmocka_unit_test(test_header_size),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_transmit),
		cmocka_unit_test(test_transmit_burst),
		cmocka_unit_test(test_transmit_lone),
		cmocka_unit_test(test_transmit_busy),
		cmocka_unit_test(test_transmit_plain),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_single),
		cmocka_unit_test(test_want_more),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_receive_flags),
		cmocka_unit_test(test_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
