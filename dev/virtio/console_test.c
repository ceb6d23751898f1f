/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A console against a driver of many ports, one memory for each of its queues:
 * what is said about ports and when, and which bytes pass.
 */
#include "dev/virtio/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/virtio/fakering.h"

#define PORTS   3
#define QUEUES  (2 * PORTS + 2)
#define BUFFERS 8
#define LENGTH  256 /* of a buffer */

struct board {
	struct port_end end;
	struct port_user user; /* as the port attached it last */
	unsigned rooms;
	pthread_mutex_t lock;
	char written[64]; /* by the guest; under the lock */
	size_t written_len;
	struct fakering ring[QUEUES];
	struct virtio_device *dev;
	struct virtio_conf *conf[2];
	unsigned config_changes;
	char said[256]; /* what the driver heard since it looked */
};

static void end_attach(struct port_end *end, const struct port_user *user)
{
	struct board *b = container_of(end, struct board, end);

	b->user = user ? *user : (struct port_user){0};
	if (user)
		user->connected(user->opaque, true);
}

static void end_room(struct port_end *end)
{
	container_of(end, struct board, end)->rooms++;
}

static void end_write(struct port_end *end, const uint8_t *buf, size_t n)
{
	struct board *b = container_of(end, struct board, end);

	pthread_mutex_lock(&b->lock);
	assert_true(b->written_len + n < sizeof(b->written));
	memcpy(b->written + b->written_len, buf, n);
	b->written_len += n;
	pthread_mutex_unlock(&b->lock);
}

static void end_hangup(struct port_end *end, bool on)
{
}

static const struct port_end_ops end_ops = {end_attach, end_room, end_write,
					    end_hangup};

static void no_interrupt(void *ctx, unsigned q)
{
}

static void count_config(void *ctx)
{
	((struct board *)ctx)->config_changes++;
}

static const struct virtio_transport_ops transport = {
	no_interrupt,
	count_config,
};

/* ---- the driver ---- */

static void give_buffer(struct board *b, unsigned q, uint16_t id)
{
	struct iovec p = {(void *)(uintptr_t)(FAKE_DATA + id * LENGTH), LENGTH};

	fake_add(&b->ring[q], id, &p, 1, 0, false);
	virtio_notify(b->dev, q);
}

static void start(struct board *b, uint64_t features)
{
	unsigned q, i;

	virtio_set_status(b->dev, 0);
	b->dev->driver.w[0] = BIT64(32) | features;
	virtio_set_status(b->dev, 0xb);
	assert_int_equal(virtio_get_status(b->dev), 0xb);
	for (q = 0; q < QUEUES; q++) {
		struct vq *vq = &b->dev->vq[q];

		fake_exit(&b->ring[q]);
		fake_init(&b->ring[q], 64, BIT64(32));
		vq->size = 64;
		vq->desc_gpa = FAKE_DESC;
		vq->driver_gpa = FAKE_DRIVER;
		vq->device_gpa = FAKE_DEVICE;
		b->dev->dma = &b->ring[q].dma;
		virtio_queue_enable(b->dev, q);
	}
	virtio_set_status(b->dev, 0xf);
	for (i = 0; i < BUFFERS && features & BIT64(CON_F_MULTIPORT); i++)
		give_buffer(b, CON_CTRL_RX, (uint16_t)i);
}

static void new_board(struct board *b)
{
	unsigned q;

	*b = (struct board){.end = {&end_ops}};
	pthread_mutex_init(&b->lock, NULL);
	for (q = 0; q < QUEUES; q++)
		fake_init(&b->ring[q], 64, BIT64(32));
	b->dev = fake_device("virtio-serial,max_ports=3", &b->ring[0].dma, b);
	b->dev->transport = &transport;
	b->dev->transport_ctx = b;
}

static const struct virtio_type *type_of(const char *name)
{
	enum virtio_bus bus;

	return virtio_type_find(name, &bus);
}

static void plug(struct board *b, unsigned i, const char *type,
		 const char *name, const char *nr)
{
	const struct virtio_type *t = type_of(type);
	const struct prop *p = NULL;
	struct err e = {0};

	b->conf[i] = virtio_conf_new(t);
	assert_int_equal(virtio_conf_set(b->conf[i], "name", name, &e), 0);
	assert_int_equal(virtio_conf_set(b->conf[i], "nr", nr, &e), 0);
	virtio_conf_link(b->conf[i], &p)->object = &b->end;
	assert_int_equal(t->add(b->dev, b->conf[i], &e), 0);
}

static void unplug(struct board *b, unsigned i)
{
	b->conf[i]->type->remove(b->dev, b->conf[i]);
	free(b->conf[i]);
	b->conf[i] = NULL;
}

static void free_board(struct board *b)
{
	unsigned i, q;

	for (i = 0; i < 2; i++)
		if (b->conf[i])
			unplug(b, i);
	virtio_exit(b->dev);
	for (q = 0; q < QUEUES; q++)
		fake_exit(&b->ring[q]);
	pthread_mutex_destroy(&b->lock);
}

/* Everything that was said, as "PORT:EVENT=VALUE(more) ". */
static const char *heard(struct board *b)
{
	struct fakering *r = &b->ring[CON_CTRL_RX];
	size_t at = 0;
	uint32_t port, len;
	uint16_t word[2], id, size[2];

	b->said[0] = '\0';
	while (fake_get(r, &id, &len)) {
		const uint8_t *p = fake_ptr(r, FAKE_DATA + id * LENGTH);

		memcpy(&port, p, 4);
		memcpy(word, p + 4, 4);
		memcpy(size, p + 8, 4);
		at += (size_t)sprintf(b->said + at, "%u:%u=%u", port, word[0],
				      word[1]);
		if (word[0] == 5)
			at += (size_t)sprintf(b->said + at, "(%ux%u)", size[0],
					      size[1]);
		else if (len > 8)
			at += (size_t)sprintf(b->said + at, "(%.*s)",
					      (int)len - 8, p + 8);
		at += (size_t)sprintf(b->said + at, " ");
		give_buffer(b, CON_CTRL_RX, id);
	}
	return b->said;
}

static void say(struct board *b, uint32_t port, uint16_t event, uint16_t value)
{
	struct fakering *r = &b->ring[CON_CTRL_TX];
	struct iovec p = {(void *)(uintptr_t)FAKE_DATA, 8};
	uint8_t *m = fake_ptr(r, FAKE_DATA);
	uint16_t id;
	uint32_t len;

	memcpy(m, &port, 4);
	memcpy(m + 4, &event, 2);
	memcpy(m + 6, &value, 2);
	fake_add(r, 0, &p, 1, 1, false);
	virtio_notify(b->dev, CON_CTRL_TX);
	assert_true(fake_get(r, &id, &len));
}

static size_t offer(struct board *b, const char *text)
{
	return b->user.receive(b->user.opaque, (const uint8_t *)text,
			       strlen(text));
}

/* ---- tests ---- */

#define ALL (BIT64(CON_F_SIZE) | BIT64(CON_F_MULTIPORT))

static void test_ports(void **state)
{
	struct board b;

	new_board(&b);
	plug(&b, 0, "virtconsole", "tty", "0");
	b.user.resized(b.user.opaque, 132, 50);
	start(&b, ALL);
	assert_string_equal(heard(&b), "");
	say(&b, UINT32_MAX, 0, 1);
	assert_string_equal(heard(&b), "0:1=1 ");
	say(&b, 0, 3, 1);
	assert_string_equal(heard(&b), "0:4=1 0:5=1(132x50) 0:7=1(tty) 0:6=1 ");
	/* Nobody listens to what nobody has opened. */
	assert_int_equal(offer(&b, "early"), 0);
	say(&b, 0, 6, 1);
	assert_int_equal(offer(&b, "no room"), 0);
	give_buffer(&b, con_rx(0), 0);
	assert_int_equal(offer(&b, "hello"), 5);
	assert_memory_equal(fake_ptr(&b.ring[con_rx(0)], FAKE_DATA), "hello",
			    5);
	/* The size is told of again, the end that left too. */
	b.user.resized(b.user.opaque, 80, 24);
	b.user.connected(b.user.opaque, false);
	assert_string_equal(heard(&b), "0:5=1(80x24) 0:6=0 ");
	assert_int_equal(b.config_changes, 0);
	/* Messages about ports that are not, or about nothing. */
	say(&b, 2, 3, 1);
	say(&b, 77, 6, 1);
	say(&b, 0, 99, 1);
	assert_string_equal(heard(&b), "");
	free_board(&b);
}

static void test_hotplug(void **state)
{
	struct board b;

	new_board(&b);
	start(&b, ALL);
	say(&b, UINT32_MAX, 0, 1);
	assert_string_equal(heard(&b), "");
	plug(&b, 0, "virtserialport", "org.example", "2");
	assert_string_equal(heard(&b), "2:1=1 ");
	say(&b, 2, 3, 1);
	assert_string_equal(heard(&b), "2:7=1(org.example) 2:6=1 ");
	/* No console: its size is nobody's business. */
	b.user.resized(b.user.opaque, 80, 24);
	assert_string_equal(heard(&b), "");
	unplug(&b, 0);
	assert_string_equal(heard(&b), "2:2=1 ");
	/* Its place is taken before the driver looked. */
	plug(&b, 0, "virtserialport", "a", "1");
	unplug(&b, 0);
	plug(&b, 0, "virtserialport", "b", "1");
	assert_string_equal(heard(&b), "1:1=1 1:2=1 1:1=1 ");
	free_board(&b);
}

static bool written(struct board *b, const char *text)
{
	bool same = false;
	int i;

	for (i = 0; i < 5000 && !same; i++) {
		pthread_mutex_lock(&b->lock);
		same = b->written_len == strlen(text) &&
		       !memcmp(b->written, text, strlen(text));
		pthread_mutex_unlock(&b->lock);
		usleep(same ? 0 : 1000);
	}
	return same;
}

static bool given_back(struct fakering *r)
{
	uint32_t len;
	uint16_t id;
	int i;

	for (i = 0; i < 5000; i++) {
		if (fake_get(r, &id, &len))
			return len == 0;
		usleep(1000);
	}
	return false;
}

static void transmit(struct board *b, unsigned nr, const char *text)
{
	struct fakering *r = &b->ring[con_tx(nr)];
	struct iovec p = {(void *)(uintptr_t)FAKE_DATA, strlen(text)};

	memcpy(fake_ptr(r, FAKE_DATA), text, strlen(text));
	fake_add(r, 0, &p, 1, 1, false);
	virtio_notify(b->dev, con_tx(nr));
	assert_true(given_back(r));
}

/* A driver of one port only: no words about it, its size is configuration. */
static void test_single(void **state)
{
	struct board b;

	new_board(&b);
	plug(&b, 0, "virtconsole", "", "0");
	start(&b, BIT64(CON_F_SIZE));
	b.user.resized(b.user.opaque, 132, 50);
	assert_int_equal(b.config_changes, 1);
	assert_int_equal(virtio_config_read(b.dev, 0, 2), 132);
	assert_int_equal(virtio_config_read(b.dev, 2, 2), 50);
	assert_int_equal(virtio_config_read(b.dev, 4, 4), PORTS);
	transmit(&b, 0, "out");
	assert_true(written(&b, "out"));
	/* A port that is not there swallows what comes. */
	transmit(&b, 1, "lost");
	assert_true(written(&b, "out"));
	give_buffer(&b, con_rx(0), 0);
	assert_int_equal(offer(&b, "in"), 2);
	/* For want of anything better, and not to wait for the reader. */
	pthread_mutex_lock(&b.lock);
	virtio_config_write(b.dev, 8, 4, '!');
	virtio_config_write(b.dev, 8, 1, '?');
	pthread_mutex_unlock(&b.lock);
	assert_true(written(&b, "out!?"));
	virtio_config_write(b.dev, 8, 4, '.');
	unplug(&b, 0);
	assert_true(written(&b, "out!?."));
	free_board(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_hotplug),
		cmocka_unit_test(test_single),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
