/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several pairs of queues and what chooses among them: the hash against the
 * values that its inventor published, the commands, the paths of frames; the
 * link, announcements and the rest of the configuration space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dev/virtio/fakecard.h"

#define MANY CARD ",mq=on,rss=on,hash=on"
#define MQ   BIT64(22)
#define RSS  BIT64(60)
#define HASH BIT64(57)

static const uint8_t key[NETHASH_KEY] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
	0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/* ---- frames ---- */

struct packet {
	uint8_t bytes[128];
	size_t len;
};

static void add(struct packet *p, const void *bytes, size_t len)
{
	memcpy(p->bytes + p->len, bytes, len);
	p->len += len;
}

static void add16(struct packet *p, unsigned value)
{
	const uint8_t b[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	add(p, b, 2);
}

static struct packet ethernet(unsigned type)
{
	struct packet p = {.len = 0};

	add(&p, "\x52\x54\0\1\2\3\2\2\2\2\2\2", 12);
	add16(&p, type);
	return p;
}

/* 66.9.149.187:2794 to 161.142.100.80:1766 */
static struct packet ipv4(unsigned proto, unsigned fragment)
{
	struct packet p = ethernet(0x0800);

	add(&p, "\x45\0\0\x28\0\0", 6);
	add16(&p, fragment);
	add(&p, "\x40", 1);
	add(&p, &(uint8_t){(uint8_t)proto}, 1);
	add16(&p, 0);
	add(&p, "\x42\x09\x95\xbb\xa1\x8e\x64\x50", 8);
	add16(&p, 2794);
	add16(&p, 1766);
	p.len += 16;
	return p;
}

/* 3ffe:2501:200:1fff::7 port 2794 to 3ffe:2501:200:3::1 port 1766 */
static struct packet ipv6(unsigned proto, bool options)
{
	struct packet p = ethernet(0x86dd);

	add(&p, "\x60\0\0\0\0\x14", 6);
	add(&p, &(uint8_t){(uint8_t)(options ? 0 : proto)}, 1);
	add(&p, "\x40", 1);
	add(&p, "\x3f\xfe\x25\x01\x02\x00\x1f\xff\0\0\0\0\0\0\0\7", 16);
	add(&p, "\x3f\xfe\x25\x01\x02\x00\x00\x03\0\0\0\0\0\0\0\1", 16);
	if (options) {
		add(&p, &(uint8_t){(uint8_t)proto}, 1);
		add(&p, "\0\1\4\0\0\0\0", 7);
	}
	add16(&p, 2794);
	add16(&p, 1766);
	p.len += 16;
	return p;
}

static struct packet tagged(struct packet in)
{
	struct packet p = in;

	memmove(p.bytes + 16, p.bytes + 12, p.len - 12);
	memcpy(p.bytes + 12, "\x81\0\0\5", 4);
	p.len += 4;
	return p;
}

/* ---- the hash ---- */

static void check_hash(struct packet p, uint32_t types, unsigned report,
		       uint32_t want)
{
	struct nethash h = {.types = types};
	uint32_t hash;

	memcpy(h.key, key, sizeof(key));
	assert_int_equal(nethash_frame(&h, p.bytes, p.len, &hash), report);
	assert_int_equal(hash, want);
}

static void test_hash(void **state)
{
	check_hash(ipv4(6, 0), NETHASH_TYPES, 2, 0x51ccc178);
	check_hash(ipv4(17, 0), NETHASH_TYPES, 3, 0x51ccc178);
	check_hash(ipv4(6, 0), NETHASH_IPV4, 1, 0x323e8fc2);
	check_hash(ipv4(132, 0), NETHASH_TYPES, 1, 0x323e8fc2);
	check_hash(ipv4(6, 0), NETHASH_IPV6 | NETHASH_UDPV4, 0, 0);
	/* Fragments, the first and the last. */
	check_hash(ipv4(17, 0x2000), NETHASH_TYPES, 1, 0x323e8fc2);
	check_hash(ipv4(17, 0x0010), NETHASH_TYPES, 1, 0x323e8fc2);
	check_hash(ipv4(17, 0x4000), NETHASH_TYPES, 3, 0x51ccc178);
	check_hash(ipv6(6, false), NETHASH_TYPES, 5, 0x40207d3d);
	check_hash(ipv6(17, false), NETHASH_TYPES, 6, 0x40207d3d);
	check_hash(ipv6(6, true), NETHASH_TYPES, 5, 0x40207d3d);
	check_hash(ipv6(6, false), NETHASH_IPV6, 4, 0x2cc18cd5);
	check_hash(tagged(ipv4(6, 0)), NETHASH_TYPES, 2, 0x51ccc178);
	check_hash(ethernet(0x0806), NETHASH_TYPES, 0, 0);
}

/* Cut off anywhere: no byte behind the end is looked at. */
static void test_hash_short(void **state)
{
	const struct packet whole[] = {ipv4(6, 0), ipv6(6, true),
				       tagged(ipv4(17, 0))};
	struct nethash h = {.types = NETHASH_TYPES};
	uint8_t *copy;
	uint32_t hash;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(whole); i++) {
		for (len = 0; len <= whole[i].len; len++) {
			copy = malloc(len ? len : 1);
			memcpy(copy, whole[i].bytes, len);
			nethash_frame(&h, copy, len, &hash);
			free(copy);
		}
	}
}

/* ---- commands ---- */

/* An RSS command over all four pairs; what differs is done to @p after. */
static unsigned rss_command(uint8_t *p, unsigned entries)
{
	unsigned i, at = 0;

	memcpy(p, "\4\1\x3f\0\0\0", 6);
	at = 6;
	p[at++] = (uint8_t)(entries - 1);
	p[at++] = 0;
	p[at++] = 3; /* what has no hash */
	p[at++] = 0;
	for (i = 0; i < entries; i++, at += 2) {
		p[at] = (uint8_t)(i % 4);
		p[at + 1] = 0;
	}
	p[at++] = 4;
	p[at++] = 0;
	p[at++] = sizeof(key);
	memcpy(p + at, key, sizeof(key));
	return at + sizeof(key);
}

static void test_rss_commands(void **state)
{
	struct card *c = card_new(MANY, 4, CARD_LOW | MQ | RSS | HASH,
				  CARD_HIGH, true);
	uint8_t cmd[400];
	unsigned len = rss_command(cmd, 128);

	assert_int_equal(c->ctrl, 8);
	assert_int_equal(card_control(c, cmd, len), 0);
	assert_int_equal(c->rec.queues, 4);
	assert_int_equal(card_control(c, cmd, len - 1), 1);
	cmd[10] = 4; /* a pair that is not there */
	assert_int_equal(card_control(c, cmd, len), 1);
	len = rss_command(cmd, 128);
	cmd[8] = 4;
	assert_int_equal(card_control(c, cmd, len), 1);
	len = rss_command(cmd, 8);
	assert_int_equal(card_control(c, cmd, len), 0);
	cmd[6] = 6; /* no power of two */
	assert_int_equal(card_control(c, cmd, len), 1);
	len = rss_command(cmd, 8);
	cmd[3] = 1; /* a type we do not have */
	assert_int_equal(card_control(c, cmd, len), 1);
	/* The last good one stands. */
	assert_true(card_net(c)->hash.steers);
	assert_int_equal(card_net(c)->hash.mask, 7);
	/* Without a table, and pairs by number: both end the steering. */
	assert_int_equal(card_control(c, "\4\2\0\0\0\0\0\0\0\0\0\0\0\0\0", 15),
			 0);
	assert_false(card_net(c)->hash.steers);
	assert_int_equal(card_control(c, "\4\0\2\0", 4), 0);
	assert_int_equal(c->rec.queues, 2);
	assert_int_equal(card_control(c, "\4\0\0\0", 4), 1);
	assert_int_equal(card_control(c, "\4\0\5\0", 4), 1);
	assert_int_equal(card_control(c, "\4\3\0\0", 4), 1);
	virtio_set_status(c->dev, 0);
	assert_int_equal(c->rec.queues, 1);
	card_free(c);
}

/* What was not agreed on is no command. */
static void test_not_agreed(void **state)
{
	struct card *c = card_new(CARD, 1, CARD_LOW & ~BIT64(21), CARD_HIGH,
				  true);
	uint8_t cmd[400];

	assert_int_equal(c->ctrl, 2);
	assert_int_equal(card_control(c, "\4\0\1\0", 4), 1);
	assert_int_equal(card_control(c, cmd, rss_command(cmd, 1)), 1);
	assert_int_equal(card_control(c, "\3\0", 2), 1);
	assert_int_equal(c->dev->offered.w[0] & (MQ | RSS | HASH), 0);
	card_free(c);
}

/* ---- paths ---- */

static void offer_buffers(struct card *c, unsigned pair)
{
	struct iovec p = card_piece(FAKE_DATA, 2048);

	fake_add(&c->ring[2 * pair], 0, &p, 1, 0, false);
}

static bool got_frame(struct card *c, unsigned pair, struct nethdr *h)
{
	uint32_t len;
	uint16_t id;

	if (!fake_get(&c->ring[2 * pair], &id, &len))
		return false;
	memcpy(h, fake_ptr(&c->ring[2 * pair], FAKE_DATA), sizeof(*h));
	return true;
}

/* Without commands the backend's choice holds, within what is in use. */
static void test_pairs(void **state)
{
	struct card *c = card_new(MANY, 4, CARD_LOW | MQ, 0, false);
	struct packet p = ipv4(6, 0);
	struct nethdr h;
	unsigned i;

	for (i = 0; i < 4; i++) {
		offer_buffers(c, i);
		offer_buffers(c, i);
	}
	assert_true(card_receive(c, 2, p.bytes, p.len, 0));
	assert_true(got_frame(c, 0, &h));
	assert_int_equal(card_control(c, "\4\0\4\0", 4), 0);
	for (i = 0; i < 4; i++) {
		assert_true(card_receive(c, i, p.bytes, p.len, 0));
		assert_true(got_frame(c, i, &h));
		assert_true(card_send(c, i, 12, 60));
		assert_int_equal(c->rec.sent_pair, i);
	}
	card_free(c);
}

static void test_steering(void **state)
{
	struct card *c = card_new(MANY, 4, CARD_LOW | MQ | RSS | HASH, 0,
				  false);
	struct packet tcp = ipv4(6, 0), arp = ethernet(0x0806);
	unsigned len, pair = (0x51ccc178 & 127) % 4;
	uint8_t cmd[400];
	struct nethdr h;

	assert_int_equal(card_net(c)->header, 20);
	arp.len = 60;
	len = rss_command(cmd, 128);
	assert_int_equal(card_control(c, cmd, len), 0);
	/* Nowhere to go yet: whose turn it is, is told of room. */
	assert_false(card_receive(c, 1, tcp.bytes, tcp.len, 0));
	offer_buffers(c, pair);
	c->rec.roomy = 0;
	virtio_notify(c->dev, 2 * pair);
	assert_int_equal(c->rec.roomy, BIT(1));
	assert_true(card_receive(c, 1, tcp.bytes, tcp.len, 0));
	assert_true(got_frame(c, pair, &h));
	assert_int_equal(h.hash[0] | (uint32_t)h.hash[1] << 16, 0x51ccc178);
	assert_int_equal(h.hash_report, 2);
	offer_buffers(c, 3);
	assert_true(card_receive(c, 0, arp.bytes, arp.len, 0));
	assert_true(got_frame(c, 3, &h));
	assert_int_equal(h.hash_report, 0);
	card_free(c);
}

/* ---- what monitors hear ---- */

static void count_news(void *ctx)
{
	++*(unsigned *)ctx;
}

/* Of the first change since they asked; of none that was refused. */
static void test_filter_news(void **state)
{
	static const struct virtio_news news = {.filter = count_news};
	struct card *c = card_new(CARD, 1, CARD_LOW, 0, false);
	struct netfilter f;
	unsigned told = 0;

	c->dev->news = &news;
	c->dev->news_ctx = &told;
	assert_int_equal(card_control(c, "\0\6\1", 3), 1);
	assert_int_equal(card_control(c, "\1\1\2\0\0\0\0", 7), 1);
	assert_int_equal(card_control(c, "\2\0\0\x10", 4), 1);
	assert_int_equal(card_control(c, "\4\0\1\0", 4), 1);
	assert_false(virtio_net_filter_changed(c->dev));
	assert_int_equal(told, 0);
	assert_int_equal(card_control(c, "\2\0\5\0", 4), 0);
	assert_int_equal(card_control(c, "\0\0\1", 3), 0);
	assert_true(virtio_net_filter_changed(c->dev));
	assert_int_equal(told, 1);
	virtio_net_filter(c->dev, &f);
	assert_true(f.promisc && f.vlans_on && f.vlan[0] == BIT(5));
	assert_false(virtio_net_filter_changed(c->dev));
	assert_int_equal(card_control(c, "\1\1\2\0\0\0\0\7", 8), 0);
	assert_int_equal(told, 2);
	virtio_net_filter(c->dev, &f);
	assert_memory_equal(f.mac, "\2\0\0\0\0\7", 6);
	/* Nobody listens. */
	c->dev->news = NULL;
	assert_int_equal(card_control(c, "\0\0\0", 3), 0);
	assert_true(virtio_net_filter_changed(c->dev));
	card_free(c);
}

/* ---- the rest of the configuration ---- */

static unsigned status(struct card *c)
{
	return (unsigned)virtio_config_read(c->dev, 6, 2);
}

static void test_link(void **state)
{
	struct card *c = card_new(CARD, 1, CARD_LOW, 0, false);
	struct packet p = ipv4(6, 0);
	unsigned before;

	assert_int_equal(status(c), 1);
	before = c->config_changes;
	virtio_net_set_link(c->dev, false);
	virtio_net_set_link(c->dev, false);
	assert_int_equal(c->config_changes, before + 1);
	assert_int_equal(status(c), 0);
	offer_buffers(c, 0);
	assert_true(card_receive(c, 0, p.bytes, p.len, 0));
	assert_int_equal(card_counter(c, "net_rx_dropped_down"), 1);
	assert_false(card_send(c, 0, 12, 60));
	assert_int_equal(card_counter(c, "net_tx_dropped_down"), 1);
	virtio_net_set_link(c->dev, true);
	assert_int_equal(status(c), 1);
	/* The backend's end; who comes back is asked to say who he is. */
	c->rec.net.down = true;
	c->rec.user.link(c->rec.user.opaque, false);
	assert_int_equal(status(c), 0);
	c->rec.net.down = false;
	c->rec.user.link(c->rec.user.opaque, true);
	assert_int_equal(status(c), 3);
	assert_int_equal(card_control(c, "\3\0", 2), 0);
	assert_int_equal(status(c), 1);
	assert_true(virtio_net_announce(c->dev));
	assert_int_equal(status(c), 3);
	virtio_set_status(c->dev, 0);
	assert_int_equal(status(c), 1);
	assert_false(virtio_net_announce(c->dev));
	card_free(c);
}

static void test_space(void **state)
{
	struct card *c = card_new(CARD ",host_mtu=9000,speed=25000,duplex=full",
				  2, CARD_LOW, 0, false);

	assert_int_equal(virtio_config_read(c->dev, 8, 2), 2);
	assert_int_equal(virtio_config_read(c->dev, 10, 2), 9000);
	assert_int_equal(virtio_config_read(c->dev, 12, 4), 25000);
	assert_int_equal(virtio_config_read(c->dev, 16, 1), 1);
	assert_int_equal(virtio_config_read(c->dev, 17, 1), 40);
	assert_int_equal(virtio_config_read(c->dev, 18, 2), 128);
	assert_int_equal(virtio_config_read(c->dev, 20, 4), 0x3f);
	assert_true(features_has(&c->dev->offered, NET_F_MTU));
	assert_true(features_has(&c->dev->offered, NET_F_SPEED_DUPLEX));
	card_free(c);
	c = card_new(CARD, 1, CARD_LOW, 0, false);
	assert_int_equal(virtio_config_read(c->dev, 12, 4), 0xffffffff);
	assert_int_equal(virtio_config_read(c->dev, 16, 1), 0xff);
	assert_false(features_has(&c->dev->offered, NET_F_MTU));
	assert_false(features_has(&c->dev->offered, NET_F_SPEED_DUPLEX));
	card_free(c);
}

/* Rings that somebody else works on, until he goes and when he is back. */
static void test_vhost(void **state)
{
	struct card *c = card_new_vhost(MANY, 2, CARD_LOW | MQ);
	const struct virtio_class *class = c->dev->class;
	struct virtio_vhost v = {-1, -1};
	unsigned i;

	assert_int_equal(c->rec.setup.rings, 4);
	for (i = 0; i < 4; i++) {
		assert_true(class->vhost(c->dev, i, &v));
		assert_int_equal(v.kick, c->rec.setup.ring[i].kick);
		assert_int_equal(v.call, c->rec.setup.ring[i].call);
	}
	assert_false(class->vhost(c->dev, c->ctrl, &v));
	c->rec.net.down = true;
	c->rec.user.link(c->rec.user.opaque, false);
	assert_false(class->vhost(c->dev, 0, &v));
	c->rec.net.down = false;
	c->rec.user.link(c->rec.user.opaque, true);
	assert_true(class->vhost(c->dev, 0, &v));
	assert_int_equal(c->rec.resets, 0);
	i = c->rec.stops;
	virtio_set_status(c->dev, 0);
	assert_int_equal(c->rec.stops, i + 1);
	assert_int_equal(c->rec.resets, 1);
	assert_false(class->vhost(c->dev, 0, &v));
	card_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vhost),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_hash_short),
		cmocka_unit_test(test_rss_commands),
		cmocka_unit_test(test_not_agreed),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_steering),
		cmocka_unit_test(test_filter_news),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
