/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that work on the rings themselves. For vhost-net a stand-in for the
 * kernel records the calls, new kernels' and old ones': hosts of tests rarely
 * have the real one. For vhost-user a backend of ours maps the memory it is
 * given, follows the addresses, rings and is rung; it goes away and comes back.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/evloop.h"
#include "host/net/vhost.h"
#include "host/ram.h"

#define RAM   (4UL << 20)
#define PAIRS 2

/* ---- a machine of sorts ---- */

struct board {
	struct host_ram ram;
	struct vhost_setup setup;
};

static void board_init(struct board *b)
{
	unsigned i;

	assert_int_equal(host_ram_share(&b->ram, RAM, NULL), 0);
	memset(&b->setup, 0, sizeof(b->setup));
	b->setup.features[0] = BIT64(32) | BIT64(15);
	b->setup.regions = 1;
	b->setup.region[0] = (struct vhost_region){
		0x100000, RAM - 0x1000, (uint8_t *)b->ram.base + 0x1000,
		b->ram.fd, 0x1000};
	b->setup.rings = 2 * PAIRS;
	b->setup.active = 1;
	for (i = 0; i < b->setup.rings; i++) {
		uint8_t *at = (uint8_t *)b->ram.base + 0x10000 * (i + 1);

		b->setup.ring[i] = (struct vhost_ring){true,
						       64,
						       (uint16_t)(i * 3),
						       at,
						       at + 0x1000,
						       at + 0x2000,
						       eventfd(0, 0),
						       eventfd(0, 0)};
	}
}

static void board_exit(struct board *b)
{
	unsigned i;

	for (i = 0; i < b->setup.rings; i++) {
		close(b->setup.ring[i].kick);
		close(b->setup.ring[i].call);
	}
	host_ram_unmap(&b->ram);
}

/* ---- vhost-net ---- */

struct call {
	int fd;
	unsigned long request;
	uint8_t arg[64];
};

struct kernel {
	bool wide; /* knows the arrays */
	unsigned opened, closed, calls;
	unsigned long refuse;
	struct call call[64];
};

static int fake_open(void *ctx)
{
	return 100 + (int)((struct kernel *)ctx)->opened++;
}

static void fake_close(void *ctx, int fd)
{
	((struct kernel *)ctx)->closed++;
}

static int fake_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	struct kernel *k = ctx;
	uint64_t *word = arg;
	struct call *c = &k->call[k->calls++];

	assert_true(k->calls < 64);
	c->fd = fd;
	c->request = request;
	if (arg)
		memcpy(c->arg, arg,
		       request == VHOST_SET_MEM_TABLE ? 40
						      : _IOC_SIZE(request));
	switch (request) {
	case _IOR(VHOST_VIRTIO, 0x83, uint64_t):
	case _IOW(VHOST_VIRTIO, 0x83, uint64_t):
		assert_int_equal(word[0], 2);
		memcpy(c->arg, arg, 24);
		if (!k->wide)
			return -ENOBUFS;
		if (request == _IOR(VHOST_VIRTIO, 0x83, uint64_t)) {
			word[1] = BIT64(32) | BIT64(15);
			word[2] = 0xa;
		}
		return 0;
	case VHOST_GET_FEATURES: *word = BIT64(32); return 0;
	default: return request == k->refuse ? -EFAULT : 0;
	}
}

static const struct call *find_call(const struct kernel *k, int fd,
				    unsigned long request, unsigned nth)
{
	unsigned i;

	for (i = 0; i < k->calls; i++)
		if (k->call[i].fd == fd && k->call[i].request == request &&
		    !nth--)
			return &k->call[i];
	return NULL;
}

static struct vhost_net *open_net(struct kernel *k)
{
	const struct vhost_sys sys = {fake_open, fake_ioctl, fake_close, k};

	return vhost_net_open(&sys, NULL, PAIRS, NULL);
}

/* Given ones are used as they are, and not closed for nothing. */
static void test_net_given(void **state)
{
	struct kernel k = {.wide = true};
	const struct vhost_sys sys = {fake_open, fake_ioctl, fake_close, &k};
	int fd[PAIRS] = {eventfd(0, 0), eventfd(0, 0)};
	struct vhost_net *v = vhost_net_open(&sys, fd, PAIRS, NULL);

	assert_non_null(v);
	assert_non_null(find_call(&k, fd[1], VHOST_SET_OWNER, 0));
	vhost_net_close(v);
	assert_true(!k.opened && k.closed == PAIRS);
	k.refuse = VHOST_SET_OWNER;
	assert_null(vhost_net_open(&sys, fd, PAIRS, NULL));
	close(fd[0]);
	k.refuse = 0;
	assert_null(vhost_net_open(&sys, fd, PAIRS, NULL));
	assert_int_equal(k.closed, PAIRS);
	close(fd[1]);
}

static void test_net(void **state)
{
	struct kernel k = {.wide = true};
	struct vhost_net *v = open_net(&k);
	const int tap[PAIRS] = {7, 8};
	const struct call *c;
	struct board b;
	uint64_t f[2];
	unsigned i;

	assert_non_null(v);
	assert_int_equal(k.opened, PAIRS);
	assert_non_null(find_call(&k, 100, VHOST_SET_OWNER, 0));
	assert_non_null(find_call(&k, 101, VHOST_SET_OWNER, 0));
	vhost_net_features(v, f);
	assert_true(f[0] == (BIT64(32) | BIT64(15)) && f[1] == 0xa);
	board_init(&b);
	b.setup.features[0] |= BIT64(11);
	b.setup.features[1] = 0x1e;
	assert_int_equal(vhost_net_start(v, &b.setup, tap), 0);
	for (i = 0; i < 2 * PAIRS; i++) {
		const struct vhost_ring *r = &b.setup.ring[i];
		const uint32_t *u32;
		int fd = 100 + (int)i / 2;

		/* What the kernel has no say in is not told. */
		c = find_call(&k, fd, _IOW(VHOST_VIRTIO, 0x83, uint64_t), 0);
		assert_non_null(c);
		assert_int_equal(((const uint64_t *)c->arg)[2], 0xa);
		assert_int_equal(((const uint64_t *)c->arg)[1],
				 BIT64(32) | BIT64(15));
		c = find_call(&k, fd, VHOST_SET_MEM_TABLE, 0);
		assert_non_null(c);
		assert_int_equal(*(const uint32_t *)c->arg, 1);
		assert_int_equal(((const uint64_t *)c->arg)[1], 0x100000);
		assert_int_equal(((const uint64_t *)c->arg)[3],
				 (uintptr_t)b.setup.region[0].hva);
		c = find_call(&k, fd, VHOST_SET_VRING_NUM, i % 2);
		u32 = (const uint32_t *)c->arg;
		assert_true(u32[0] == i % 2 && u32[1] == 64);
		c = find_call(&k, fd, VHOST_SET_VRING_BASE, i % 2);
		assert_int_equal(((const uint32_t *)c->arg)[1], i * 3);
		c = find_call(&k, fd, VHOST_SET_VRING_ADDR, i % 2);
		assert_int_equal(((const uint64_t *)c->arg)[1],
				 (uintptr_t)r->desc);
		assert_int_equal(((const uint64_t *)c->arg)[2],
				 (uintptr_t)r->device);
		assert_int_equal(((const uint64_t *)c->arg)[3],
				 (uintptr_t)r->driver);
		c = find_call(&k, fd, VHOST_SET_VRING_KICK, i % 2);
		assert_int_equal(((const int *)c->arg)[1], r->kick);
		c = find_call(&k, fd, VHOST_SET_VRING_CALL, i % 2);
		assert_int_equal(((const int *)c->arg)[1], r->call);
		c = find_call(&k, fd, VHOST_NET_SET_BACKEND, i % 2);
		assert_int_equal(((const int *)c->arg)[1], tap[i / 2]);
	}
	vhost_net_stop(v);
	c = find_call(&k, 101, VHOST_NET_SET_BACKEND, 3);
	assert_int_equal(((const int *)c->arg)[1], -1);
	i = k.calls;
	vhost_net_stop(v);
	assert_int_equal(k.calls, i);
	vhost_net_close(v);
	assert_int_equal(k.closed, PAIRS);
	board_exit(&b);
}

/* A kernel without the arrays: 64 bits, and nothing above them. */
static void test_net_old(void **state)
{
	struct kernel k = {.wide = false};
	struct vhost_net *v = open_net(&k);
	const int tap[PAIRS] = {7, 8};
	const struct call *c;
	struct board b;
	uint64_t f[2];

	vhost_net_features(v, f);
	assert_true(f[0] == BIT64(32) && f[1] == 0);
	board_init(&b);
	assert_int_equal(vhost_net_start(v, &b.setup, tap), 0);
	c = find_call(&k, 100, VHOST_SET_FEATURES, 0);
	assert_int_equal(((const uint64_t *)c->arg)[0], BIT64(32));
	vhost_net_close(v);
	board_exit(&b);
}

static void test_net_refused(void **state)
{
	static const unsigned long requests[] = {
		VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
		VHOST_NET_SET_BACKEND};
	const int tap[PAIRS] = {7, 8};
	struct vhost_net *v;
	struct kernel k;
	struct board b;
	size_t i;

	board_init(&b);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		k = (struct kernel){.wide = true, .refuse = requests[i]};
		v = open_net(&k);
		assert_int_equal(vhost_net_start(v, &b.setup, tap), -EFAULT);
		/* What had begun is ended. */
		assert_int_equal(k.call[k.calls - 1].request,
				 VHOST_NET_SET_BACKEND);
		vhost_net_close(v);
	}
	k = (struct kernel){.refuse = VHOST_SET_OWNER};
	assert_null(open_net(&k));
	assert_int_equal(k.opened, k.closed);
	board_exit(&b);
}

/* ---- vhost-user: a backend of ours ---- */

struct backend {
	pthread_t thread;
	int listener;
	uint64_t features, protocol, pairs;
	uint64_t refuse; /* this request is answered with an error */
	/* ---- what it was told ---- */
	uint64_t acked, acked_protocol;
	uint8_t *map;
	uint64_t map_hva, map_size, map_gpa;
	unsigned num[8], base[8], enabled[8], stopped[8], resets;
	uint64_t desc[8];
	int kick[8], call[8];
	unsigned sessions; /* atomic */
	int session;       /* atomic: the connection */
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		uint32_t u32[2];
		uint64_t w[34];
	} u;
} __attribute__((packed));

static bool get_message(int s, struct message *m, int *fd)
{
	char control[256];
	struct iovec iov = {m, 12};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;

	*fd = -1;
	if (recvmsg(s, &msg, MSG_WAITALL) != 12)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (c)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return m->size <= sizeof(m->u) &&
	       (!m->size ||
		recv(s, &m->u, m->size, MSG_WAITALL) == (ssize_t)m->size);
}

static void answer(int s, struct message *m, uint32_t size)
{
	m->flags = 5;
	m->size = size;
	if (send(s, m, 12 + size, MSG_NOSIGNAL) < 0)
		return;
}

static void map_memory(struct backend *b, const struct message *m, int fd)
{
	b->map_gpa = m->u.w[1];
	b->map_size = m->u.w[2];
	b->map_hva = m->u.w[3];
	b->map = mmap(NULL, b->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      (off_t)m->u.w[4]);
	close(fd);
}

/* One request; true when it was answered already. */
static bool serve(struct backend *b, int s, struct message *m, int fd)
{
	unsigned i = m->u.u32[0] & 7;

	switch (m->request) {
	case 1:
		m->u.u64 = __atomic_load_n(&b->features, __ATOMIC_SEQ_CST);
		answer(s, m, 8);
		return true;
	case 2: b->acked = m->u.u64; break;
	case 5: map_memory(b, m, fd); break;
	case 8: b->num[i] = m->u.u32[1]; break;
	case 9: b->desc[i] = m->u.w[1]; break;
	case 10: b->base[i] = m->u.u32[1]; break;
	case 11:
		b->stopped[i]++;
		answer(s, m, 8);
		return true;
	case 12: b->kick[i] = fd; break;
	case 13: b->call[i] = fd; break;
	case 15:
		m->u.u64 = b->protocol;
		answer(s, m, 8);
		return true;
	case 16: b->acked_protocol = m->u.u64; break;
	case 17:
		m->u.u64 = b->pairs;
		answer(s, m, 8);
		return true;
	case 18: b->enabled[i] = m->u.u32[1]; break;
	case 34: b->resets++; break;
	default: break;
	}
	return false;
}

static void *backend_main(void *arg)
{
	struct backend *b = arg;
	struct message m;
	int s = accept(b->listener, NULL, NULL), fd;

	while (s >= 0) {
		__atomic_store_n(&b->session, s, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&b->sessions, 1, __ATOMIC_SEQ_CST);
		while (get_message(s, &m, &fd)) {
			bool wants = m.flags & 8;
			uint32_t request = m.request;

			if (serve(b, s, &m, fd) || !wants)
				continue;
			m.u.u64 = request == b->refuse;
			answer(s, &m, 8);
		}
		close(s);
		s = accept(b->listener, NULL, NULL);
	}
	return NULL;
}

static struct net_addr address(void)
{
	struct net_addr a = {.kind = NET_ADDR_UNIX, .abstract = true};

	snprintf(a.path, sizeof(a.path), "lodge-vhost-%d", getpid());
	return a;
}

static void backend_start(struct backend *b)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct net_addr a = address();

	strcpy(un.sun_path + 1, a.path);
	b->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(
		bind(b->listener, (struct sockaddr *)&un,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				 strlen(a.path))),
		0);
	assert_int_equal(listen(b->listener, 4), 0);
	pthread_create(&b->thread, NULL, backend_main, b);
}

static void backend_stop(struct backend *b)
{
	shutdown(b->listener, SHUT_RDWR);
	pthread_join(b->thread, NULL);
	close(b->listener);
	if (b->map)
		munmap(b->map, b->map_size);
}

static unsigned came, went; /* of the backend, for monitors */

static void count_peer(void *opaque, const struct net_addr *peer)
{
	__atomic_add_fetch(peer ? &came : &went, 1, __ATOMIC_SEQ_CST);
}

static struct net *open_user(unsigned queues, unsigned reconnect, struct err *e)
{
	const struct vhost_user_options o = {
		.addr = address(),
		.queues = queues,
		.reconnect_ms = reconnect,
		.watcher = {count_peer, NULL},
	};

	came = went = 0;
	return net_vhost_user_open(&o, e);
}

/* ---- its card ---- */

static unsigned ups, downs;

static void count_link(void *opaque, bool up)
{
	__atomic_add_fetch(up ? &ups : &downs, 1, __ATOMIC_SEQ_CST);
}

static void wait_for(unsigned *counter, unsigned value)
{
	unsigned i;

	for (i = 0;
	     i < 5000 && __atomic_load_n(counter, __ATOMIC_SEQ_CST) < value;
	     i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(counter, __ATOMIC_SEQ_CST), value);
}

static struct evloop *attach(struct net *net)
{
	const struct net_user user = {.link = count_link};
	struct evloop *loop = evloop_create("test", NULL),
		      *loops[] = {loop, loop};

	ups = downs = 0;
	assert_int_equal(net_attach(net, loops, &user), 0);
	return loop;
}

static void detach(struct net *net, struct evloop *loop)
{
	net_detach(net);
	evloop_destroy(loop);
	net_close(net);
}

#define PROTOCOL (BIT64(30) | BIT64(32) | BIT64(15) | BIT64(0))

static void test_user(void **state)
{
	struct backend k = {
		.features = PROTOCOL, .protocol = 0xffff, .pairs = PAIRS};
	struct err e = {0};
	struct net *net;
	struct evloop *loop;
	struct board b;
	uint64_t one = 1, n;
	unsigned i;

	backend_start(&k);
	net = open_user(PAIRS, 0, &e);
	if (!net)
		fail_msg("%s", e.msg);
	assert_int_equal(net_queues(net), PAIRS);
	/* What it lacks is denied, and all above 64 bits. */
	assert_false(net->deny[0] & (BIT64(32) | BIT64(15) | BIT64(0)));
	assert_true(net->deny[0] & BIT64(11) && net->deny[0] & BIT64(34));
	assert_true(net->deny[1] == UINT64_MAX);
	loop = attach(net);
	board_init(&b);
	b.setup.features[0] |= BIT64(16) | BIT64(17); /* the card's own */
	assert_int_equal(net->ops->vhost->start(net, &b.setup), 0);
	assert_true(k.acked == (BIT64(30) | BIT64(32) | BIT64(15)));
	assert_true(k.acked_protocol == (BIT64(0) | BIT64(3) | BIT64(13)));
	assert_int_equal(k.map_gpa, 0x100000);
	for (i = 0; i < 2 * PAIRS; i++) {
		assert_int_equal(k.num[i], 64);
		assert_int_equal(k.base[i], i * 3);
		assert_int_equal(k.enabled[i], i < 2);
		/* The same bytes by its own way to them. */
		b.setup.ring[i].desc[5] = (uint8_t)(i + 77);
		assert_int_equal(k.map[k.desc[i] - k.map_hva + 5], i + 77);
		assert_int_equal(write(b.setup.ring[i].kick, &one, 8), 8);
		assert_int_equal(read(k.kick[i], &n, 8), 8);
		assert_int_equal(write(k.call[i], &one, 8), 8);
		assert_int_equal(read(b.setup.ring[i].call, &n, 8), 8);
	}
	net_set_queues(net, 2);
	assert_int_equal(k.enabled[3], 1);
	net->ops->vhost->stop(net);
	for (i = 0; i < 2 * PAIRS; i++)
		assert_int_equal(k.stopped[i], 1);
	assert_int_equal(k.resets, 0);
	/* Once for each time that it ran. */
	net->ops->vhost->reset(net);
	assert_int_equal(k.resets, 1);
	net->ops->vhost->reset(net);
	assert_int_equal(k.resets, 1);
	assert_int_equal(net->ops->vhost->start(net, &b.setup), 0);
	net->ops->vhost->stop(net);
	net->ops->vhost->reset(net);
	assert_int_equal(k.resets, 2);
	detach(net, loop);
	backend_stop(&k);
	board_exit(&b);
}

static void test_user_reconnect(void **state)
{
	struct backend k = {.features = PROTOCOL, .protocol = BIT64(3)};
	struct net *net;
	struct evloop *loop;
	struct board b;
	unsigned i;

	backend_start(&k);
	net = open_user(1, 10, NULL);
	assert_non_null(net);
	loop = attach(net);
	board_init(&b);
	b.setup.rings = 2;
	assert_int_equal(net->ops->vhost->start(net, &b.setup), 0);
	/* Who cannot be reset is not asked to, and goes on being told. */
	net->ops->vhost->reset(net);
	assert_int_equal(k.resets, 0);
	assert_int_equal(net->ops->vhost->start(net, &b.setup), 0);
	/* It crashes, and is there again: all is told once more. */
	for (i = 1; i <= 3; i++) {
		k.acked = k.num[0] = 0;
		shutdown(__atomic_load_n(&k.session, __ATOMIC_SEQ_CST),
			 SHUT_RDWR);
		wait_for(&downs, i);
		wait_for(&ups, i);
		assert_int_equal(k.sessions, i + 1);
		assert_int_equal(came, i + 1);
		assert_int_equal(went, i);
		assert_false(net_is_down(net));
		b.setup.ring[0].base = (uint16_t)(100 + i);
		assert_int_equal(net->ops->vhost->start(net, &b.setup), 0);
		assert_int_equal(k.num[0], 64);
		assert_int_equal(k.base[0], 100 + i);
	}
	/* A successor that can do less than was agreed on. */
	__atomic_and_fetch(&k.features, ~BIT64(15), __ATOMIC_SEQ_CST);
	shutdown(__atomic_load_n(&k.session, __ATOMIC_SEQ_CST), SHUT_RDWR);
	wait_for(&ups, 4);
	assert_int_equal(net->ops->vhost->start(net, &b.setup), -ENOTSUP);
	assert_true(net_is_down(net));
	detach(net, loop);
	backend_stop(&k);
	b.setup.rings = 2 * PAIRS;
	board_exit(&b);
}

static void test_user_refused(void **state)
{
	struct backend k = {
		.features = PROTOCOL, .protocol = BIT64(3), .refuse = 5};
	struct err e = {0};
	struct net *net;
	struct board b;

	assert_null(open_user(1, 0, &e));
	assert_non_null(strstr(e.msg, "no vhost-user backend"));
	backend_start(&k);
	e = (struct err){0};
	assert_null(open_user(2, 0, &e));
	assert_non_null(strstr(e.msg, "fewer than 2"));
	net = open_user(1, 0, NULL);
	assert_non_null(net);
	board_init(&b);
	b.setup.rings = 2;
	assert_int_equal(net->ops->vhost->start(net, &b.setup), -EIO);
	/* Memory that nobody else can map. */
	b.setup.region[0].fd = -1;
	assert_int_equal(net->ops->vhost->start(net, &b.setup), -ENOTSUP);
	net_close(net);
	backend_stop(&k);
	b.setup.rings = 2 * PAIRS;
	board_exit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_net),
		cmocka_unit_test(test_net_given),
		cmocka_unit_test(test_net_old),
		cmocka_unit_test(test_net_refused),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_user_reconnect),
		cmocka_unit_test(test_user_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
