/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket device between programs of this host and a driver made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/virtio/fakering.h"

enum { RX, TX, EVENT, QUEUES };
enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT, ASK_CREDIT };

#define GUEST 7
#define ALLOC 100000

struct header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

struct board {
	char folder[32];
	char path[64];
	struct fakering ring[QUEUES];
	struct virtio_device *dev;
	struct header got;
	uint16_t type; /* that packets for the driver must have */
	uint8_t data[8192];
};

static void give_buffer(struct board *b)
{
	const struct iovec piece = {(void *)FAKE_DATA, 4096};

	fake_add(&b->ring[RX], 0, &piece, 1, 0, false);
	virtio_notify(b->dev, RX);
}

static struct board *start_with(bool seqpacket)
{
	struct board *b = calloc(1, sizeof(*b));
	char arg[192];
	unsigned q;

	assert_non_null(b);
	b->type = 1;
	strcpy(b->folder, "/tmp/vsock_test.XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->path, sizeof(b->path), "%s/v", b->folder);
	snprintf(arg, sizeof(arg),
		 "virtio-vsock,guest-cid=%u,uds_path=%s,"
		 "uds_seqpacket_path=%s.seq",
		 GUEST, b->path, b->path);
	for (q = 0; q < QUEUES; q++)
		fake_init(&b->ring[q], 64, BIT64(32));
	b->dev = fake_device(arg, &b->ring[0].dma, NULL);
	b->dev->driver.w[0] = BIT64(32) | (seqpacket ? 3 : 1);
	virtio_set_status(b->dev, 0xb);
	assert_int_equal(virtio_get_status(b->dev), 0xb);
	for (q = 0; q < QUEUES; q++) {
		struct vq *vq = &b->dev->vq[q];

		vq->size = 64;
		vq->desc_gpa = FAKE_DESC;
		vq->driver_gpa = FAKE_DRIVER;
		vq->device_gpa = FAKE_DEVICE;
		b->dev->dma = &b->ring[q].dma;
		virtio_queue_enable(b->dev, q);
	}
	virtio_set_status(b->dev, 0xf);
	give_buffer(b);
	return b;
}

static struct board *start(void)
{
	return start_with(false);
}

static void stop(struct board *b)
{
	char command[64];
	unsigned q;

	virtio_exit(b->dev);
	assert_int_not_equal(access(b->path, F_OK), 0);
	for (q = 0; q < QUEUES; q++)
		fake_exit(&b->ring[q]);
	snprintf(command, sizeof(command), "rm -rf %s", b->folder);
	assert_int_equal(system(command), 0);
	free(b);
}

/* The next packet for the guest must be @op. */
static void expect(struct board *b, unsigned op)
{
	uint32_t len;
	uint16_t id;
	unsigned i;

	for (i = 0; !fake_get(&b->ring[RX], &id, &len); i++) {
		assert_in_range(i, 0, 100000);
		usleep(100);
	}
	assert_in_range(len, sizeof(b->got), 4096);
	memcpy(&b->got, fake_ptr(&b->ring[RX], FAKE_DATA), sizeof(b->got));
	memcpy(b->data, fake_ptr(&b->ring[RX], FAKE_DATA + 44), 4096 - 44);
	assert_int_equal(b->got.op, op);
	assert_int_equal(b->got.len, len - 44);
	assert_int_equal(b->got.type, b->type);
	assert_int_equal(b->got.src_cid, 2);
	assert_int_equal(b->got.dst_cid, GUEST);
	give_buffer(b);
}

static void send_op(struct board *b, uint32_t host, uint32_t guest, unsigned op,
		    const char *data, struct header more)
{
	const struct iovec piece = {(void *)FAKE_DATA,
				    sizeof(more) + strlen(data)};
	uint32_t len;
	uint16_t id;
	unsigned i;

	more.src_cid = more.src_cid ? more.src_cid : GUEST;
	more.dst_cid = 2;
	more.src_port = guest;
	more.dst_port = host;
	more.len = (uint32_t)strlen(data);
	more.type = more.type ? more.type : 1;
	more.op = (uint16_t)op;
	more.buf_alloc = more.buf_alloc ? more.buf_alloc : ALLOC;
	memcpy(fake_ptr(&b->ring[TX], FAKE_DATA), &more, sizeof(more));
	memcpy(fake_ptr(&b->ring[TX], FAKE_DATA + 44), data, strlen(data));
	fake_add(&b->ring[TX], 0, &piece, 1, 1, false);
	virtio_notify(b->dev, TX);
	for (i = 0; !fake_get(&b->ring[TX], &id, &len); i++) {
		assert_in_range(i, 0, 100000);
		usleep(100);
	}
}

static const struct header none;

static int socket_of(int type, const char *path, bool listens)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);

	assert_true(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (listens) {
		assert_int_equal(bind(fd, (void *)&sun, sizeof(sun)), 0);
		assert_int_equal(listen(fd, 5), 0);
	} else {
		assert_int_equal(connect(fd, (void *)&sun, sizeof(sun)), 0);
	}
	return fd;
}

static int socket_at(const char *path, bool listens)
{
	return socket_of(SOCK_STREAM, path, listens);
}

static void put(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void get(int fd, const char *text)
{
	char buf[64] = "";
	size_t at = 0;
	ssize_t n;

	while (at < strlen(text)) {
		n = read(fd, buf + at, strlen(text) - at);
		assert_true(n > 0);
		at += (size_t)n;
	}
	assert_string_equal(buf, text);
}

static void test_from_host(void **state)
{
	struct board *b = start();
	int fd = socket_at(b->path, false);
	char ok[32], byte;
	uint32_t port;

	put(fd, "CONNECT 1234\nearly");
	expect(b, REQUEST);
	assert_int_equal(b->got.dst_port, 1234);
	port = b->got.src_port;
	send_op(b, port, 1234, RESPONSE, "", none);
	snprintf(ok, sizeof(ok), "OK %u\n", port);
	get(fd, ok);
	expect(b, RW);
	assert_memory_equal(b->data, "early", 5);
	send_op(b, port, 1234, RW, "answer", none);
	get(fd, "answer");
	send_op(b, port, 1234, ASK_CREDIT, "", none);
	expect(b, CREDIT);
	assert_int_equal(b->got.fwd_cnt, 6);
	/* Half closed, the other half goes on. */
	shutdown(fd, SHUT_WR);
	expect(b, SHUTDOWN);
	assert_int_equal(b->got.flags, 2);
	send_op(b, port, 1234, RW, "more", none);
	get(fd, "more");
	send_op(b, port, 1234, SHUTDOWN, "", (struct header){.flags = 3});
	expect(b, RST);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	stop(b);
}

static void test_from_guest(void **state)
{
	struct board *b = start();
	char path[80], byte;
	int listener, fd;

	snprintf(path, sizeof(path), "%s_99", b->path);
	listener = socket_at(path, true);
	send_op(b, 98, 5, REQUEST, "", none);
	expect(b, RST);
	assert_int_equal(b->got.src_port, 98);
	send_op(b, 99, 5, REQUEST, "", (struct header){.buf_alloc = 10});
	expect(b, RESPONSE);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	/* No more than the guest has room for. */
	put(fd, "0123456789abcdef");
	expect(b, RW);
	assert_int_equal(b->got.len, 10);
	send_op(b, 99, 5, CREDIT, "",
		(struct header){.buf_alloc = 10, .fwd_cnt = 10});
	expect(b, RW);
	assert_int_equal(b->got.len, 6);
	assert_memory_equal(b->data, "abcdef", 6);
	send_op(b, 99, 5, SHUTDOWN, "", (struct header){.flags = 2});
	assert_int_equal(read(fd, &byte, 1), 0);
	send_op(b, 99, 5, RST, "", none);
	close(fd);
	close(listener);
	stop(b);
}

/* What nobody asked for is reset; what is not ours is not heard. */
static void test_strays(void **state)
{
	struct board *b = start();
	int fd = socket_at(b->path, false);
	char byte;

	send_op(b, 1, 2, RW, "x", none);
	expect(b, RST);
	send_op(b, 1, 2, 77, "", none);
	expect(b, RST);
	send_op(b, 1, 2, RST, "", none);
	send_op(b, 1, 2, REQUEST, "", (struct header){.src_cid = 9});
	send_op(b, 3, 4, RW, "", none);
	expect(b, RST);
	assert_int_equal(b->got.dst_port, 4);
	/* Packets with boundaries, which the driver did not ask for. */
	b->type = 2;
	send_op(b, 5, 6, REQUEST, "", (struct header){.type = 2});
	expect(b, RST);
	assert_int_equal(b->got.dst_port, 6);
	b->type = 1;
	put(fd, "HELLO 1\n");
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	/* A reset of the device ends all there are. */
	fd = socket_at(b->path, false);
	put(fd, "CONNECT 1\n");
	expect(b, REQUEST);
	virtio_set_status(b->dev, 0);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	stop(b);
}

/* One message and no more. */
static void get_message(int fd, const char *text)
{
	char buf[64] = "";

	assert_int_equal(recv(fd, buf, sizeof(buf), 0), strlen(text));
	assert_string_equal(buf, text);
}

static const struct header part = {.type = 2};
static const struct header whole = {.type = 2, .flags = 1};

static void expect_part(struct board *b, const char *text, unsigned flags)
{
	expect(b, RW);
	assert_int_equal(b->got.len, strlen(text));
	assert_memory_equal(b->data, text, strlen(text));
	assert_int_equal(b->got.flags, flags);
}

static void test_messages(void **state)
{
	struct board *b = start_with(true);
	int listener, stream, fd;
	char path[80];

	b->type = 2;
	snprintf(path, sizeof(path), "%s_98", b->path);
	stream = socket_at(path, true);
	send_op(b, 98, 5, REQUEST, "", part); /* of the other kind */
	expect(b, RST);
	snprintf(path, sizeof(path), "%s_99", b->path);
	listener = socket_of(SOCK_SEQPACKET, path, true);
	send_op(b, 99, 5, REQUEST, "",
		(struct header){.type = 2, .buf_alloc = 10});
	expect(b, RESPONSE);
	assert_in_range(b->got.buf_alloc, 900, 256 << 10);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	send_op(b, 99, 5, RW, "ab", part);
	assert_int_equal(recv(fd, path, 1, MSG_DONTWAIT), -1);
	send_op(b, 99, 5, RW, "cd", whole);
	send_op(b, 99, 5, RW, "", whole);
	send_op(b, 99, 5, RW, "x", whole);
	send_op(b, 99, 5, RW, "yz",
		(struct header){.type = 2, .flags = 3, .buf_alloc = 10});
	get_message(fd, "abcd");
	get_message(fd, "");
	get_message(fd, "x");
	get_message(fd, "yz");
	/* In pieces as the guest has room, told apart by their ends. */
	put(fd, "01234567");
	expect_part(b, "01234567", 1);
	assert_int_equal(send(fd, "", 0, 0), 0);
	expect_part(b, "", 1);
	put(fd, "abcdef");
	expect_part(b, "ab", 0);
	send_op(b, 99, 5, CREDIT, "",
		(struct header){.type = 2, .buf_alloc = 10, .fwd_cnt = 10});
	expect_part(b, "cdef", 1);
	/* A stream in its place is none of it. */
	b->type = 1;
	send_op(b, 99, 5, RW, "no", none);
	expect(b, RST);
	b->type = 2;
	put(fd, "longer than it may be");
	expect(b, RST);
	assert_true(recv(fd, path, 1, 0) <= 0);
	close(fd);
	close(stream);
	close(listener);
	stop(b);
}

static void test_messages_from_host(void **state)
{
	struct board *b = start_with(true);
	char path[80], ok[32];
	uint32_t port;
	int fd;

	b->type = 2;
	snprintf(path, sizeof(path), "%s.seq", b->path);
	fd = socket_of(SOCK_SEQPACKET, path, false);
	put(fd, "HELLO");
	assert_int_equal(recv(fd, ok, 1, 0), 0);
	close(fd);
	fd = socket_of(SOCK_SEQPACKET, path, false);
	put(fd, "CONNECT 77");
	put(fd, "early");
	expect(b, REQUEST);
	assert_int_equal(b->got.dst_port, 77);
	port = b->got.src_port;
	send_op(b, port, 77, RESPONSE, "", part);
	snprintf(ok, sizeof(ok), "OK %u\n", port);
	get_message(fd, ok);
	expect_part(b, "early", 1);
	shutdown(fd, SHUT_WR);
	expect(b, SHUTDOWN);
	assert_int_equal(b->got.flags, 2);
	send_op(b, port, 77, RW, "late", whole);
	get_message(fd, "late");
	send_op(b, port, 77, SHUTDOWN, "",
		(struct header){.type = 2, .flags = 3});
	expect(b, RST);
	close(fd);
	stop(b);
	assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_host),
		cmocka_unit_test(test_from_guest),
		cmocka_unit_test(test_strays),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_messages_from_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
