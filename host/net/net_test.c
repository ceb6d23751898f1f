/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends with a card of ours on one end and sockets of ours on the other:
 * frames pass whole and in order, cut as the wire likes; peers come and go;
 * what has no room waits. Of the user network: its rules and what DHCP says.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/evloop.h"
#include "host/net/net.h"
#include "host/net/userconf.h"

#define FRAMES 64

/* ---- a card that keeps what it gets ---- */

struct card {
	struct net *net;
	struct evloop *loop;
	pthread_mutex_t lock;
	bool full; /* takes nothing */
	bool up;
	unsigned count, flushes, links;
	int kick, refused; /* of send_here() */
	unsigned answered;
	size_t len[FRAMES];
	uint8_t frame[FRAMES][70000];
};

static bool card_receive(void *opaque, unsigned q, const uint8_t *frame,
			 size_t len, unsigned header)
{
	struct card *c = opaque;
	bool room;

	pthread_mutex_lock(&c->lock);
	room = !c->full && c->count < FRAMES;
	if (room) {
		c->len[c->count] = len;
		memcpy(c->frame[c->count++], frame, len);
	}
	pthread_mutex_unlock(&c->lock);
	return room;
}

static void card_flush(void *opaque, unsigned q)
{
	struct card *c = opaque;

	pthread_mutex_lock(&c->lock);
	c->flushes++;
	pthread_mutex_unlock(&c->lock);
}

static void card_link(void *opaque, bool up)
{
	struct card *c = opaque;

	pthread_mutex_lock(&c->lock);
	c->up = up;
	c->links++;
	pthread_mutex_unlock(&c->lock);
}

static struct card *plug(struct net *net)
{
	struct card *c = calloc(1, sizeof(*c));
	struct net_user user = {card_receive, card_flush, card_link, c};
	struct evloop *loops[NET_QUEUES];
	unsigned i;

	assert_non_null(net);
	assert_non_null(c);
	c->net = net;
	pthread_mutex_init(&c->lock, NULL);
	c->loop = evloop_create("test", NULL);
	for (i = 0; i < NET_QUEUES; i++)
		loops[i] = c->loop;
	assert_int_equal(net_attach(net, loops, &user), 0);
	return c;
}

static void unplug(struct card *c)
{
	net_detach(c->net);
	evloop_destroy(c->loop);
	net_close(c->net);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static unsigned frames(struct card *c)
{
	unsigned n;

	pthread_mutex_lock(&c->lock);
	n = c->count;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void wait_frames(struct card *c, unsigned n)
{
	unsigned i;

	for (i = 0; i < 5000 && frames(c) < n; i++)
		usleep(1000);
	assert_int_equal(frames(c), n);
}

static void wait_link(struct card *c, bool up)
{
	bool is = !up;
	unsigned i;

	for (i = 0; i < 5000 && is != up; i++) {
		usleep(1000);
		pthread_mutex_lock(&c->lock);
		is = c->links ? c->up : !net_is_down(c->net);
		pthread_mutex_unlock(&c->lock);
	}
	assert_int_equal(is, up);
	assert_int_equal(net_is_down(c->net), !up);
}

/* A frame of @len bytes that tells itself from others by @seed. */
static void make_frame(uint8_t *p, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + seed + i / 251);
}

static void send_frame(struct card *c, size_t len, unsigned seed)
{
	static uint8_t p[70000];
	size_t half = (len - 14) / 2;
	struct iovec iov[3] = {
		{p, 14}, {p + 14, half}, {p + 14 + half, len - 14 - half}};

	make_frame(p, len, seed);
	assert_int_equal(net_send(c->net, 0, iov, 3), 0);
}

static void check_frame(struct card *c, unsigned n, size_t len, unsigned seed)
{
	static uint8_t p[70000];

	make_frame(p, len, seed);
	pthread_mutex_lock(&c->lock);
	assert_int_equal(c->len[n], len);
	assert_memory_equal(c->frame[n], p, len);
	pthread_mutex_unlock(&c->lock);
}

/* ---- streams ---- */

/* What monitors are told of. */
static struct peers {
	unsigned came, went;
	struct net_addr from;
} peers;
static pthread_mutex_t peers_lock = PTHREAD_MUTEX_INITIALIZER;

static void count_peer(void *opaque, const struct net_addr *peer)
{
	pthread_mutex_lock(&peers_lock);
	if (peer)
		peers.from = *peer;
	(*(peer ? &peers.came : &peers.went))++;
	pthread_mutex_unlock(&peers_lock);
}

static struct peers peers_now(void)
{
	struct peers now;

	pthread_mutex_lock(&peers_lock);
	now = peers;
	pthread_mutex_unlock(&peers_lock);
	return now;
}

/* The last one's address. */
static struct net_addr check_peers(unsigned came, unsigned went)
{
	struct peers now = peers_now();
	unsigned i;

	for (i = 0; i < 5000 && (now.came < came || now.went < went); i++) {
		usleep(1000);
		now = peers_now();
	}
	assert_int_equal(now.came, came);
	assert_int_equal(now.went, went);
	return now.from;
}

static struct sockaddr_in own_address(int s)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	assert_int_equal(getsockname(s, (struct sockaddr *)&in, &len), 0);
	return in;
}

/* A port that no one listens at. */
static struct sockaddr_in free_address(void)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int s = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(s, (struct sockaddr *)&in, sizeof(in)), 0);
	in = own_address(s);
	close(s);
	return in;
}

/* A card is pulled and another one has the cable: nobody came or went. */
static void test_stream_peers(void **state)
{
	struct net_stream_options o = {
		.addr = {.kind = NET_ADDR_INET, .host = "127.0.0.1"},
		.server = true,
		.watcher = {count_peer, NULL},
	};
	struct sockaddr_in in = free_address();
	struct net_user user = {card_receive, card_flush, NULL, NULL};
	struct evloop *loop = evloop_create("test", NULL);
	struct net_addr from;
	struct net *net;
	char port[16];
	int turn, s;

	snprintf(o.addr.port, sizeof(o.addr.port), "%u", ntohs(in.sin_port));
	net = net_stream_open(&o, NULL);
	assert_non_null(net);
	memset(&peers, 0, sizeof(peers));
	assert_int_equal(net_attach(net, &loop, &user), 0);
	for (turn = 1; turn <= 2; turn++) {
		s = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(s, (struct sockaddr *)&in, sizeof(in)),
				 0);
		from = check_peers((unsigned)turn, (unsigned)turn - 1);
		assert_int_equal(from.kind, NET_ADDR_INET);
		assert_string_equal(from.host, "127.0.0.1");
		snprintf(port, sizeof(port), "%u",
			 ntohs(own_address(s).sin_port));
		assert_string_equal(from.port, port);
		assert_true(from.only4 && !from.only6);
		net_detach(net);
		assert_int_equal(net_attach(net, &loop, &user), 0);
		usleep(10000);
		check_peers((unsigned)turn, (unsigned)turn - 1);
		close(s);
		check_peers((unsigned)turn, (unsigned)turn);
	}
	net_detach(net);
	net_close(net);
	evloop_destroy(loop);
}

static struct net *stream(const char *path, bool server, unsigned reconnect)
{
	struct net_stream_options o = {
		.addr = {.kind = NET_ADDR_UNIX, .abstract = true},
		.server = server,
		.reconnect_ms = reconnect,
		.watcher = {server ? NULL : count_peer, NULL},
	};
	struct err e = {0};
	struct net *net;

	snprintf(o.addr.path, sizeof(o.addr.path), "lodge-%d-%s", getpid(),
		 path);
	net = net_stream_open(&o, &e);
	if (!net && !e.msg[0])
		fail_msg("no sentence");
	return net;
}

static void test_stream(void **state)
{
	static const size_t lens[] = {60, 1514, 14, 65549, 60};
	struct card *a = plug(stream("pair", true, 0)), *b;
	unsigned i;

	assert_true(net_is_down(a->net));
	send_frame(a, 60, 0); /* to nobody */
	b = plug(stream("pair", false, 0));
	wait_link(a, true);
	wait_link(b, true);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		send_frame(a, lens[i], i);
		send_frame(b, lens[i], i + 100);
	}
	wait_frames(a, 5);
	wait_frames(b, 5);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		check_frame(b, i, lens[i], i);
		check_frame(a, i, lens[i], i + 100);
	}
	assert_true(a->flushes && b->flushes);
	/* Too long for the wire. */
	assert_int_equal(
		net_send(a->net, 0, &(struct iovec){a->frame, 70000}, 1),
		-EINVAL);
	unplug(b);
	wait_link(a, false);
	unplug(a);
	/* Nobody there, and no second try. */
	assert_null(stream("pair", false, 0));
}

static void test_stream_reconnect(void **state)
{
	struct card *a, *b;
	struct net_addr from;
	unsigned i;

	memset(&peers, 0, sizeof(peers));
	a = plug(stream("again", false, 10));
	usleep(30000);
	/* Nobody was there to go. */
	check_peers(0, 0);
	for (i = 0; i < 3; i++) {
		b = plug(stream("again", true, 0));
		wait_link(b, true);
		wait_link(a, true);
		send_frame(b, 100, i);
		wait_frames(a, i + 1);
		from = check_peers(i + 1, i);
		assert_int_equal(from.kind, NET_ADDR_UNIX);
		assert_true(from.abstract);
		unplug(b);
		wait_link(a, false);
		check_peers(i + 1, i + 1);
	}
	unplug(a);
}

/* The wire cuts where it likes, and a full card stops it. */
static void test_stream_pieces(void **state)
{
	struct net_stream_options o = {.addr = {.kind = NET_ADDR_FD}};
	uint8_t wire[2000];
	uint32_t len = htonl(100);
	size_t at, n = 0;
	struct card *c;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	o.addr.fd = fd[0];
	c = plug(net_stream_open(&o, NULL));
	wait_link(c, true);
	for (at = 0; at < 8; at++) {
		memcpy(wire + n, &len, 4);
		make_frame(wire + n + 4, 100, (unsigned)at);
		n += 104;
	}
	for (at = 0; at < n; at += 13) {
		assert_true(send(fd[1], wire + at, MIN((size_t)13, n - at), 0) >
			    0);
		if (at % 3 == 0)
			usleep(500);
	}
	wait_frames(c, 8);
	for (at = 0; at < 8; at++)
		check_frame(c, (unsigned)at, 100, (unsigned)at);
	pthread_mutex_lock(&c->lock);
	c->full = true;
	pthread_mutex_unlock(&c->lock);
	assert_int_equal(send(fd[1], wire, n, 0), n);
	usleep(20000);
	assert_int_equal(frames(c), 8);
	pthread_mutex_lock(&c->lock);
	c->full = false;
	pthread_mutex_unlock(&c->lock);
	net_room(c->net, 0);
	wait_frames(c, 16);
	/* A length no frame has: the peer is dropped. */
	len = htonl(1 << 20);
	assert_int_equal(send(fd[1], &len, 4, 0), 4);
	wait_link(c, false);
	assert_int_equal(recv(fd[1], wire, 1, 0), 0);
	close(fd[1]);
	unplug(c);
}

/* A peer that does not read does not stop the card, and comes back whole. */
static void test_stream_slow(void **state)
{
	struct net_stream_options o = {.addr = {.kind = NET_ADDR_FD}};
	static uint8_t p[70000], want[70000];
	const struct timeval idle = {.tv_sec = 1};
	unsigned i, got = 0;
	uint32_t len;
	struct card *c;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	o.addr.fd = fd[0];
	c = plug(net_stream_open(&o, NULL));
	wait_link(c, true);
	for (i = 0; i < 100; i++)
		send_frame(c, 30000, 5);
	make_frame(want, 30000, 5);
	/* The rest comes when the loop's thread gets round to it. */
	setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	while (recv(fd[1], &len, 4, MSG_WAITALL) == 4) {
		assert_int_equal(ntohl(len), 30000);
		assert_int_equal(recv(fd[1], p, 30000, MSG_WAITALL), 30000);
		assert_memory_equal(p, want, 30000);
		got++;
	}
	assert_true(got > 10 && got < 100);
	close(fd[1]);
	unplug(c);
}

/* ---- datagrams ---- */

static struct net *dgram(const char *local, const char *remote)
{
	struct net_dgram_options o = {
		.local = {.kind = NET_ADDR_UNIX, .abstract = true},
		.remote = {.kind = NET_ADDR_UNIX, .abstract = true},
	};

	snprintf(o.local.path, sizeof(o.local.path), "lodge-%d-%s", getpid(),
		 local);
	snprintf(o.remote.path, sizeof(o.remote.path), "lodge-%d-%s", getpid(),
		 remote);
	return net_dgram_open(&o, NULL);
}

static void test_dgram(void **state)
{
	struct card *a = plug(dgram("a", "b")), *b;

	send_frame(a, 60, 0); /* to nobody */
	b = plug(dgram("b", "a"));
	send_frame(a, 1514, 1);
	send_frame(b, 60, 2);
	wait_frames(a, 1);
	wait_frames(b, 1);
	check_frame(b, 0, 1514, 1);
	check_frame(a, 0, 60, 2);
	pthread_mutex_lock(&b->lock);
	b->full = true;
	pthread_mutex_unlock(&b->lock);
	send_frame(a, 61, 3);
	send_frame(a, 62, 4);
	usleep(20000);
	pthread_mutex_lock(&b->lock);
	b->full = false;
	pthread_mutex_unlock(&b->lock);
	net_room(b->net, 0);
	wait_frames(b, 3);
	check_frame(b, 1, 61, 3);
	check_frame(b, 2, 62, 4);
	unplug(a);
	unplug(b);
}

static struct net *group(struct err *e)
{
	struct net_dgram_options o = {
		.local = {NET_ADDR_INET, "127.0.0.1", "0"},
		.remote = {NET_ADDR_INET, "239.255.76.67", ""},
	};

	snprintf(o.remote.port, sizeof(o.remote.port), "%d",
		 20000 + getpid() % 20000);
	return net_dgram_open(&o, e);
}

/* All members but the sender get it. */
static void test_multicast(void **state)
{
	struct err e = {0};
	struct net *first = group(&e);
	struct card *c[3];

	if (!first) {
		print_message("skipped: %s\n", e.msg);
		skip();
	}
	c[0] = plug(first);
	c[1] = plug(group(NULL));
	c[2] = plug(group(NULL));
	send_frame(c[0], 200, 1);
	wait_frames(c[1], 1);
	wait_frames(c[2], 1);
	check_frame(c[1], 0, 200, 1);
	send_frame(c[2], 201, 2);
	wait_frames(c[0], 1);
	wait_frames(c[1], 2);
	check_frame(c[0], 0, 201, 2);
	assert_int_equal(frames(c[2]), 1);
	unplug(c[0]);
	unplug(c[1]);
	unplug(c[2]);
}

static void test_refused(void **state)
{
	struct net_stream_options s = {
		.addr = {NET_ADDR_INET, "127.0.0.1", "no-such-service"}};
	struct net_dgram_options d = {
		.remote = {NET_ADDR_INET, "127.0.0.1", "9"}};
	struct net_tap_options t = {.fds = 1, .fd = {999}};
	struct err e = {0};

	assert_null(net_stream_open(&s, &e));
	assert_non_null(strstr(e.msg, "no-such-service"));
	e = (struct err){0};
	assert_null(net_dgram_open(&d, &e));
	assert_non_null(strstr(e.msg, "local"));
	e = (struct err){0};
	assert_null(net_tap_open(&t, &e));
	assert_non_null(strstr(e.msg, "999"));
	/* An interface that is no tap, or a host without taps. */
	t = (struct net_tap_options){.ifname = "lo"};
	e = (struct err){0};
	assert_null(net_tap_open(&t, &e));
	assert_true(strstr(e.msg, "interface lo: it has") ||
		    strstr(e.msg, "/dev/net/tun: "));
	s.addr = (struct net_addr){.kind = NET_ADDR_FD, .fd = 999};
	e = (struct err){0};
	assert_null(net_stream_open(&s, &e));
	assert_non_null(strstr(e.msg, "999"));
}

/* ---- tap ---- */

/* As many queues as asked for; frames between two interfaces' ends. */
static void test_tap_queues(void **state)
{
	struct net_tap_options o = {.ifname = "lodge%d", .queues = 3};
	const struct net_offloads none = {0};
	struct err e = {0};
	struct net *net = net_tap_open(&o, &e);
	struct card *c;

	if (!net) {
		print_message("skipped: %s\n", e.msg);
		skip();
	}
	assert_int_equal(net_queues(net), 3);
	assert_true(net->has_header);
	c = plug(net);
	net_set_up(net, 12, &none);
	net_set_queues(net, 1);
	net_set_queues(net, 3);
	net_set_queues(net, 2);
	unplug(c);
}

/* ---- the user network ---- */

static void check_net(struct net_user_options o, const char *sentence)
{
	struct err e = {0};
	struct net *net = net_user_open(&o, &e);

	if (!sentence) {
		if (!net)
			fail_msg("%s", e.msg);
		net_close(net);
		return;
	}
	assert_null(net);
	if (!strstr(e.msg, sentence))
		fail_msg("'%s' does not say '%s'", e.msg, sentence);
}

#define RULE(list, text) .list##s = 1, .list = {text}

static void test_user_rules(void **state)
{
	static const struct {
		struct net_user_options o;
		const char *sentence;
	} rows[] = {
		{{.net = "192.168.7.0/24", .host = "192.168.7.9"}, NULL},
		{{.net = "192.168.0.0/255.255.0.0"}, NULL},
		{{.net = "192.168.7.0/24", .host = "10.0.2.2"}, "network"},
		{{.net = "10.0.2.0/27", .dhcp = "10.0.2.2"}, "three"},
		{{.net = "10.0.2.0/255.0.255.0"}, "mask"},
		{{.net = "10.0.2.0/33"}, "mask"},
		{{.dns = "10.0.2"}, "10.0.2"},
		{{.net6 = "fd00:1::/64", .host6 = "fd00:1::9"}, NULL},
		{{.net6 = "fd00:1::/64", .dns6 = "fd00:2::9"}, "network"},
		{{.net6 = "fd00:1::/65"}, "8 to 64"},
		{{.no_ipv4 = true}, NULL},
		{{.no_ipv4 = true, .no_ipv6 = true}, "both off"},
		{{RULE(forward, "tcp:127.0.0.1:0-:22")}, NULL},
		{{RULE(forward, "udp::0-10.0.2.15:53")}, NULL},
		{{RULE(forward, ":127.0.0.1:0-:22")}, NULL},
		{{RULE(forward, "tcp:[::1]:0-[fec0::15]:22")}, NULL},
		{{RULE(forward, "tcp:[::1]:0-:22")}, "hostfwd="},
		{{RULE(forward, "tcp:22")}, "hostfwd="},
		{{RULE(forward, "tcp::22-:0")}, "hostfwd="},
		{{RULE(forward, "tcp::70000-:1")}, "hostfwd="},
		{{RULE(forward, "unix:-:1")}, "hostfwd="},
		{{RULE(forward, "tcp:192.0.2.1:1-:1")}, "cannot listen"},
		{{RULE(guestfwd, "tcp:10.0.2.100:7-cmd:cat")}, NULL},
		{{RULE(guestfwd, "10.0.2.100:7-unix:/tmp/x")}, NULL},
		{{RULE(guestfwd, "tcp:10.0.3.1:7-cmd:cat")}, "network"},
		{{RULE(guestfwd, "tcp:10.0.2.2:7-cmd:cat")}, "own"},
		{{RULE(guestfwd, "tcp:10.0.2.100:7-cmd:")}, "guestfwd="},
		{{RULE(guestfwd, "tcp:10.0.2.100:7-warp:x")}, "guestfwd="},
		{{RULE(guestfwd, "tcp:10.0.2.100:7")}, "guestfwd="},
		{{RULE(guestfwd, "tcp:10.0.2.100:7-tcp:127.0.0.1:1")},
		 "cannot connect"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_net(rows[i].o, rows[i].sentence);
}

static void test_user_path(void **state)
{
	struct net_user_options o = {.forwards = 1};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct net *net;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/lodge-%d-fwd",
		 getpid());
	snprintf(o.forward[0], sizeof(o.forward[0]), "unix:%s-:22",
		 un.sun_path);
	net = net_user_open(&o, NULL);
	assert_non_null(net);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	net_close(net);
	unlink(un.sun_path);
}

static bool connects(const struct sockaddr_in *in)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = !connect(fd, (const struct sockaddr *)in, sizeof(*in));

	close(fd);
	return ok;
}

/* Rules come and go while a card is there, which hears of connections. */
static void test_user_rules_later(void **state)
{
	static const char *const bad[] = {"tcp:1", "udp:::2", "unix:", "x:y:1"};
	struct sockaddr_in in = free_address();
	struct net_user_options o = {.forwards = 0};
	struct card *c = plug(net_user_open(&o, NULL));
	char rule[64], host[48], *text;
	struct err e = {0};
	unsigned i;
	int fd;

	snprintf(host, sizeof(host), "tcp:127.0.0.1:%u", ntohs(in.sin_port));
	snprintf(rule, sizeof(rule), "%s-:22", host);
	assert_int_equal(net_user_unforward(c->net, host, NULL), -ENOENT);
	assert_int_equal(net_user_forward(c->net, &o, rule, NULL), 0);
	assert_int_not_equal(net_user_forward(c->net, &o, rule, &e), 0);
	assert_non_null(strstr(e.msg, "cannot listen"));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	/* It asks for the guest's address first. */
	wait_frames(c, 1);
	text = net_user_connections(c->net);
	assert_non_null(strstr(text, "HOST_FORWARD"));
	free(text);
	close(fd);
	assert_int_equal(net_user_unforward(c->net, host, NULL), 0);
	/* The kernel has the socket until the loop waits for others. */
	for (i = 0; i < 5000 && connects(&in); i++)
		usleep(1000);
	assert_false(connects(&in));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(net_user_unforward(c->net, bad[i], NULL),
				 -EINVAL);
	unplug(c);
}

/* A DHCP request by broadcast; the rest of the frame is zero. */
static size_t make_discover(uint8_t *p)
{
	static const uint8_t head[] =
		"\xff\xff\xff\xff\xff\xff\x52\x54\0\1\2\3\x08\0"
		"\x45\0\x01\x10\0\0\0\0\x40\x11\0\0\0\0\0\0\xff\xff\xff\xff"
		"\0\x44\0\x43\0\xfc\0\0"
		"\1\1\6\0\x12\x34\x56\x78";
	uint32_t sum = 0;
	unsigned i;

	memset(p, 0, 286);
	memcpy(p, head, sizeof(head) - 1);
	for (i = 14; i < 34; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	p[24] = (uint8_t)(~sum >> 8);
	p[25] = (uint8_t)~sum;
	memcpy(p + 42 + 28, "\x52\x54\0\1\2\3", 6);
	memcpy(p + 42 + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
	return 286;
}

static bool find_bytes(const uint8_t *p, size_t len, const char *text, size_t n)
{
	size_t i;

	for (i = 0; i + n <= len; i++)
		if (!memcmp(p + i, text, n))
			return true;
	return false;
}

static void test_user_dhcp(void **state)
{
	struct net_user_options o = {
		.net = "10.9.8.0/24",
		.dhcp = "10.9.8.77",
		.dns = "10.9.8.5",
		.hostname = "guesty",
		.domain = "lodge.test",
		.bootfile = "pxe.0",
		.searches = 2,
		.search = {"one.test", "two.test"},
	};
	struct card *c = plug(net_user_open(&o, NULL));
	uint8_t p[312] = {0};
	struct iovec iov = {p, 12 + make_discover(p + 12)};

	assert_int_equal(net_send(c->net, 0, &iov, 1), 0);
	wait_frames(c, 1);
	assert_memory_equal(c->frame[0] + 12 + 14 + 20 + 8 + 16,
			    "\x0a\x09\x08\x4d", 4);
	assert_true(
		find_bytes(c->frame[0], c->len[0], "\6\4\x0a\x09\x08\5", 6));
	assert_true(find_bytes(c->frame[0], c->len[0], "guesty", 6));
	assert_true(find_bytes(c->frame[0], c->len[0], "lodge.test", 10));
	assert_true(find_bytes(c->frame[0], c->len[0], "pxe.0", 5));
	assert_true(find_bytes(c->frame[0], c->len[0], "\3one", 4));
	assert_true(find_bytes(c->frame[0], c->len[0], "\3two", 4));
	unplug(c);
}

static void send_here(void *opaque, int revents)
{
	struct card *c = opaque;
	uint8_t p[312] = {0};
	struct iovec iov = {p, 12 + make_discover(p + 12)};
	uint64_t n;

	assert_int_equal(read(c->kick, &n, 8), 8);
	c->refused = net_send(c->net, 0, &iov, 1);
	c->answered = frames(c);
}

/* A frame sent on the card's thread is served there and then. */
static void test_user_here(void **state)
{
	struct net_user_options o = {.dhcp = "10.0.2.77"};
	struct card *c = plug(net_user_open(&o, NULL));
	const uint64_t one = 1;
	struct evloop_watch *w;

	c->kick = eventfd(0, 0);
	w = evloop_add(c->loop, c->kick, POLLIN, send_here, c);
	assert_non_null(w);
	assert_int_equal(write(c->kick, &one, 8), 8);
	wait_frames(c, 1);
	evloop_remove(w);
	assert_int_equal(c->refused, 0);
	assert_int_equal(c->answered, 1);
	assert_memory_equal(c->frame[0] + 12 + 14 + 20 + 8 + 16, "\x0a\0\2\x4d",
			    4);
	close(c->kick);
	unplug(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_peers),
		cmocka_unit_test(test_stream_reconnect),
		cmocka_unit_test(test_stream_pieces),
		cmocka_unit_test(test_stream_slow),
		cmocka_unit_test(test_dgram),
		cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_tap_queues),
		cmocka_unit_test(test_user_rules),
		cmocka_unit_test(test_user_path),
		cmocka_unit_test(test_user_rules_later),
		cmocka_unit_test(test_user_dhcp),
		cmocka_unit_test(test_user_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
