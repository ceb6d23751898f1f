/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a round trip through a network card and the user network costs: system
 * calls. The driver's half of the rings is fakering.h's; a DHCP server of
 * the network answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "dev/virtio/fakering.h"
#include "dev/virtio/netdev.h"
#include "lib/check.h"
#include "test/abi/tracer.h"

#define HEADER  12u
#define ROUNDS  200u
#define REQUEST 286u /* bytes */

/* A DHCP request by broadcast; the rest of the frame is zero. */
static void make_request(uint8_t *p)
{
	static const uint8_t head[] =
		"\xff\xff\xff\xff\xff\xff\x52\x54\0\1\2\3\x08\0"
		"\x45\0\x01\x10\0\0\0\0\x40\x11\0\0\0\0\0\0\xff\xff\xff\xff"
		"\0\x44\0\x43\0\xfc\0\0"
		"\1\1\6\0\x12\x34\x56\x78";
	uint32_t sum = 0;
	unsigned i;

	memset(p, 0, REQUEST);
	memcpy(p, head, sizeof(head) - 1);
	for (i = 14; i < 34; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	p[24] = (uint8_t)(~sum >> 8);
	p[25] = (uint8_t)~sum;
	memcpy(p + 42 + 28, "\x52\x54\0\1\2\3", 6);
	memcpy(p + 42 + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
}

static void no_interrupt(void *ctx, unsigned q)
{
}

static void no_change(void *ctx)
{
}

static const struct virtio_transport_ops transport = {no_interrupt, no_change};

static struct virtio_device *open_card(struct fakering *ring, struct net *net)
{
	struct virtio_device *dev;
	unsigned q;

	for (q = 0; q < 2; q++)
		fake_init(&ring[q], 64, BIT64(32));
	dev = fake_device("virtio-net,mac=52:54:00:01:02:03", &ring[0].dma,
			  net);
	dev->transport = &transport;
	dev->driver.w[0] = BIT64(32);
	virtio_set_status(dev, 0xb);
	ASSERT(virtio_get_status(dev) == 0xb);
	for (q = 0; q < 2; q++) {
		dev->vq[q].size = 64;
		dev->vq[q].desc_gpa = FAKE_DESC;
		dev->vq[q].driver_gpa = FAKE_DRIVER;
		dev->vq[q].device_gpa = FAKE_DEVICE;
		dev->dma = &ring[q].dma;
		virtio_queue_enable(dev, q);
		ASSERT(dev->vq[q].ready);
	}
	virtio_set_status(dev, 0xf);
	return dev;
}

static void wait_used(struct fakering *r)
{
	uint32_t len;
	uint16_t id;

	while (!fake_get(r, &id, &len))
		__builtin_ia32_pause();
}

static void round_trips(void)
{
	static const struct net_user_options o;
	struct fakering ring[2];
	struct net *net = net_user_open(&o, NULL);
	struct virtio_device *dev = open_card(ring, net);
	struct iovec in = {(void *)(uintptr_t)FAKE_DATA, 2048};
	struct iovec out = {(void *)(uintptr_t)FAKE_DATA, HEADER + REQUEST};
	int kick = ((struct netdev *)dev)->pair[0].kick;
	const uint64_t one = 1;
	unsigned i;

	memset(fake_ptr(&ring[NET_TX], FAKE_DATA), 0, HEADER);
	make_request((uint8_t *)fake_ptr(&ring[NET_TX], FAKE_DATA) + HEADER);
	for (i = 0; i <= ROUNDS; i++) {
		if (i == 1)
			tracer_mark(true);
		fake_add(&ring[NET_RX], 0, &in, 1, 0, false);
		fake_add(&ring[NET_TX], 0, &out, 1, 1, false);
		ASSERT(write(kick, &one, sizeof(one)) == sizeof(one));
		wait_used(&ring[NET_RX]);
		wait_used(&ring[NET_TX]);
	}
	tracer_mark(false);
	virtio_exit(dev);
	net_close(net);
}

/* The kick, the poll that hears of it, and the read that takes it. */
static void test_round_trip(void **state)
{
	struct cost c;

	tracer_count(&c, round_trips);
	assert_in_range(c.all, ROUNDS, 5 * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
