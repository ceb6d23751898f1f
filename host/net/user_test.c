/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user network with a guest of ours that speaks just enough TCP: a
 * connection to a server of the host, with segments sent on the loop's thread
 * and beside it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/evloop.h"
#include "host/net/net.h"

#define HEADER 12
#define ETH    14
#define IP     20
#define TCP    20
#define ROUNDS 1000

#define FIN 0x01
#define SYN 0x02
#define PSH 0x08
#define ACK 0x10

static const uint8_t guest_mac[] = {0x52, 0x54, 0, 1, 2, 3};
static const uint8_t guest_ip[] = {10, 0, 2, 15}, host_ip[] = {10, 0, 2, 2};

struct guest {
	struct net *net;
	struct evloop *loop;
	int listener, peer; /* the host's ends */
	int kick;           /* of send_on_loop() */
	sem_t busy, sent;
	uint16_t port;
	uint32_t seq;
	pthread_mutex_t lock;
	bool full;     /* takes nothing */
	uint32_t ack;  /* what comes next */
	unsigned acks; /* frames of the connection */
	size_t got;    /* bytes of data */
	uint8_t last;
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static bool receive(void *opaque, unsigned q, const uint8_t *frame, size_t len,
		    unsigned header)
{
	struct guest *g = opaque;
	const uint8_t *p = frame + header, *tcp = p + ETH + IP;
	size_t data;
	bool taken;

	assert_int_equal(header, HEADER);
	if (be16(p + 12) != 0x0800 || p[ETH + 9] != IPPROTO_TCP)
		return true;
	data = be16(p + ETH + 2) - IP - (tcp[12] >> 4) * 4U;
	pthread_mutex_lock(&g->lock);
	taken = !g->full;
	if (taken) {
		g->ack = ((uint32_t)be16(tcp + 4) << 16 | be16(tcp + 6)) +
			 (uint32_t)data + !!(tcp[13] & (SYN | FIN));
		g->acks++;
		g->got += data;
		if (data)
			g->last = p[ETH + be16(p + ETH + 2) - 1];
	}
	pthread_mutex_unlock(&g->lock);
	return taken;
}

static void flush(void *opaque, unsigned q)
{
}

static uint16_t checksum(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* One segment, from the calling thread. */
static void send_segment(struct guest *g, unsigned flags, const void *data,
			 size_t len)
{
	uint8_t p[HEADER + 1600] = {0}, *ip = p + HEADER + ETH, *tcp = ip + IP;
	struct iovec iov = {p, HEADER + ETH + IP + TCP + len};
	uint32_t pseudo = IPPROTO_TCP + TCP + (uint32_t)len;

	memcpy(p + HEADER, "\x52\x55\x0a\0\2\2", 6);
	memcpy(p + HEADER + 6, guest_mac, 6);
	put16(p + HEADER + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(IP + TCP + len));
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, guest_ip, 4);
	memcpy(ip + 16, host_ip, 4);
	put16(ip + 10, checksum(ip, IP, 0));
	put16(tcp, 4000);
	put16(tcp + 2, g->port);
	put32(tcp + 4, g->seq);
	pthread_mutex_lock(&g->lock);
	put32(tcp + 8, flags & ACK ? g->ack : 0);
	pthread_mutex_unlock(&g->lock);
	tcp[12] = TCP / 4 << 4;
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, 60000);
	if (len)
		memcpy(tcp + TCP, data, len);
	pseudo += be16(ip + 12) + be16(ip + 14) + be16(ip + 16) + be16(ip + 18);
	put16(tcp + 16, checksum(tcp, TCP + len, pseudo));
	assert_int_equal(net_send(g->net, 0, &iov, 1), 0);
	g->seq += (uint32_t)len + !!(flags & (SYN | FIN));
}

/* Tell who has the guest's address. */
static void send_arp(struct guest *g)
{
	uint8_t p[HEADER + 60] = {0}, *a = p + HEADER;
	struct iovec iov = {p, sizeof(p)};

	memset(a, 0xff, 6);
	memcpy(a + 6, guest_mac, 6);
	memcpy(a + 12, "\x08\6\0\1\x08\0\6\4\0\1", 10);
	memcpy(a + 22, guest_mac, 6);
	memcpy(a + 28, guest_ip, 4);
	memcpy(a + 38, host_ip, 4);
	assert_int_equal(net_send(g->net, 0, &iov, 1), 0);
}

static unsigned answers(struct guest *g)
{
	unsigned n;

	pthread_mutex_lock(&g->lock);
	n = g->acks;
	pthread_mutex_unlock(&g->lock);
	return n;
}

static size_t received(struct guest *g)
{
	size_t n;

	pthread_mutex_lock(&g->lock);
	n = g->got;
	pthread_mutex_unlock(&g->lock);
	return n;
}

static void wait_received(struct guest *g, size_t n)
{
	unsigned i;

	for (i = 0; i < 200000 && received(g) < n; i++)
		usleep(50);
	assert_int_equal(received(g), n);
}

/* A guest with one connection. */
static struct guest *guest_new(void)
{
	static const struct net_user_options o;
	struct guest *g = calloc(1, sizeof(*g));
	struct net_user user = {receive, flush, NULL, g};
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(in);
	unsigned i;

	assert_non_null(g);
	pthread_mutex_init(&g->lock, NULL);
	g->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(g->listener, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(g->listener, 1), 0);
	getsockname(g->listener, (struct sockaddr *)&in, &len);
	g->port = ntohs(in.sin_port);
	g->net = net_user_open(&o, NULL);
	assert_non_null(g->net);
	g->loop = evloop_create("test", NULL);
	assert_int_equal(net_attach(g->net, &g->loop, &user), 0);
	send_arp(g);
	send_segment(g, SYN, NULL, 0);
	for (i = 0; i < 5000 && !answers(g); i++)
		usleep(1000);
	assert_int_not_equal(answers(g), 0);
	send_segment(g, ACK, NULL, 0);
	g->peer = accept(g->listener, NULL, NULL);
	assert_true(g->peer >= 0);
	return g;
}

static void guest_free(struct guest *g)
{
	net_detach(g->net);
	evloop_destroy(g->loop);
	net_close(g->net);
	close(g->peer);
	close(g->listener);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* A segment is with its server when net_send() returns, most often. */
static void test_beside(void **state)
{
	struct guest *g = guest_new();
	unsigned i, here = 0;
	uint8_t byte;
	ssize_t n;

	for (i = 0; i < 20; i++) {
		usleep(5000); /* the loop's thread sleeps again */
		send_segment(g, ACK | PSH, &(uint8_t){(uint8_t)i}, 1);
		n = recv(g->peer, &byte, 1, MSG_DONTWAIT);
		here += n == 1;
		if (n != 1)
			assert_int_equal(recv(g->peer, &byte, 1, 0), 1);
		assert_int_equal(byte, i);
	}
	assert_in_range(here, 5, 20);
	guest_free(g);
}

static void *echo(void *opaque)
{
	struct guest *g = opaque;
	uint8_t byte;

	while (recv(g->peer, &byte, 1, 0) == 1)
		if (send(g->peer, &byte, 1, MSG_NOSIGNAL) != 1)
			break;
	return NULL;
}

/* Many rounds, each answer on the loop's thread. */
static void test_echo(void **state)
{
	struct guest *g = guest_new();
	pthread_t server;
	unsigned i;

	assert_int_equal(pthread_create(&server, NULL, echo, g), 0);
	for (i = 1; i <= ROUNDS; i++) {
		send_segment(g, ACK | PSH, &(uint8_t){(uint8_t)i}, 1);
		wait_received(g, i);
		assert_int_equal(g->last, (uint8_t)i);
	}
	shutdown(g->peer, SHUT_RDWR);
	pthread_join(server, NULL);
	guest_free(g);
}

/*
 * What a segment changes of the wait is seen: the loop did not wait for the
 * server while the guest's window was closed by what it had not acknowledged.
 */
static void test_window(void **state)
{
	enum { ALL = 1 << 20 };
	struct guest *g = guest_new();
	static uint8_t data[ALL];
	size_t sent = 0, seen;
	unsigned i;
	ssize_t n;

	for (i = 0; i < 60000 && received(g) < ALL; i++) {
		n = sent < ALL ? send(g->peer, data + sent, ALL - sent,
				      MSG_DONTWAIT | MSG_NOSIGNAL)
			       : 0;
		sent += n > 0 ? (size_t)n : 0;
		seen = received(g);
		usleep(500);
		if (seen == received(g)) /* it waits for this */
			send_segment(g, ACK, NULL, 0);
	}
	assert_int_equal(received(g), ALL);
	guest_free(g);
}

static void send_on_loop(void *opaque, int revents)
{
	struct guest *g = opaque;
	uint64_t n;

	assert_int_equal(read(g->kick, &n, 8), 8);
	sem_post(&g->busy);
	sem_wait(&g->sent);
	g->seq--; /* the first for a place in the stream has it */
	send_segment(g, ACK | PSH, "2", 1);
}

/* What was left to the loop's thread goes before what that sends itself. */
static void test_order(void **state)
{
	struct guest *g = guest_new();
	const uint64_t one = 1;
	struct evloop_watch *w;
	char byte;

	g->kick = eventfd(0, 0);
	sem_init(&g->busy, 0, 0);
	sem_init(&g->sent, 0, 0);
	w = evloop_add(g->loop, g->kick, POLLIN, send_on_loop, g);
	assert_non_null(w);
	pthread_mutex_lock(&g->lock);
	g->full = true;
	pthread_mutex_unlock(&g->lock);
	assert_int_equal(send(g->peer, "a", 1, 0), 1);
	usleep(20000); /* the guest takes nothing: all is the loop's */
	assert_int_equal(write(g->kick, &one, 8), 8);
	sem_wait(&g->busy);
	send_segment(g, ACK | PSH, "1", 1);
	sem_post(&g->sent);
	assert_int_equal(recv(g->peer, &byte, 1, 0), 1);
	assert_int_equal(byte, '1');
	evloop_remove(w);
	close(g->kick);
	guest_free(g);
}

/* While the guest takes nothing, its segments still go out. */
static void test_full(void **state)
{
	struct guest *g = guest_new();
	uint8_t byte;

	pthread_mutex_lock(&g->lock);
	g->full = true;
	pthread_mutex_unlock(&g->lock);
	assert_int_equal(send(g->peer, "a", 1, 0), 1);
	usleep(20000);
	send_segment(g, ACK | PSH, "b", 1);
	assert_int_equal(recv(g->peer, &byte, 1, 0), 1);
	assert_int_equal(byte, 'b');
	assert_int_equal(received(g), 0);
	pthread_mutex_lock(&g->lock);
	g->full = false;
	pthread_mutex_unlock(&g->lock);
	net_room(g->net, 0);
	wait_received(g, 1);
	assert_int_equal(g->last, 'a');
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside), cmocka_unit_test(test_echo),
		cmocka_unit_test(test_window), cmocka_unit_test(test_order),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
