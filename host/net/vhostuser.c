/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's side of vhost-user: requests on a UNIX socket, answered in
 * order, with descriptors of guest memory and of eventfds beside them.
 * Document: QEMU's "Vhost-user Protocol". A backend that goes away takes the
 * link down; when it or its successor comes back, the rings go on where the
 * used index says. Left out: requests of the backend's, logging for migration,
 * postcopy, configuration spaces, more than 64 feature bits, which the
 * protocol has no words for.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/evloop.h"
#include "host/net/sockaddr.h"
#include "host/net/vhost.h"

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	RESET_DEVICE = 34,
};

#define FLAG_VERSION    1U
#define FLAG_REPLY      BIT(2)
#define FLAG_NEED_REPLY BIT(3)

#define F_PROTOCOL BIT64(30)

#define PROTOCOL_MQ           BIT64(0)
#define PROTOCOL_REPLY_ACK    BIT64(3)
#define PROTOCOL_RESET_DEVICE BIT64(13)
#define PROTOCOL_OURS         (PROTOCOL_MQ | PROTOCOL_REPLY_ACK | PROTOCOL_RESET_DEVICE)

/* Feature bits that are the backend's to offer: the rings', the offloads'. */
#define BACKEND_BITS                                                        \
	(BIT64(0) | BIT64(1) | BIT64(7) | BIT64(8) | BIT64(9) | BIT64(10) | \
	 BIT64(11) | BIT64(12) | BIT64(13) | BIT64(14) | BIT64(15) |        \
	 BIT64(28) | BIT64(29) | BIT64(32) | BIT64(35) | BIT64(54) |        \
	 BIT64(55) | BIT64(56))
/*
 * Bits that cannot be with a backend like this: offloads at run time, a
 * packed ring (whose place is not to be found after a reconnection), reset of
 * one ring, data in notifications, hashes.
 */
#define NEVER_BITS \
	(BIT64(2) | BIT64(34) | BIT64(38) | BIT64(40) | BIT64(57) | BIT64(60))

#define ANSWER_MS 10000 /* a backend that needs longer is gone */

struct message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t count, padding;
			struct {
				uint64_t gpa, size, hva, offset;
			} region[VHOST_REGIONS];
		} memory;
	} u;
} __packed;

#define HEADER offsetof(struct message, u)

struct vhost_user {
	struct net net;
	struct vhost_user_options o;
	int listener, timer;
	struct evloop *loop;
	struct net_user user;
	struct evloop_watch *listen_watch, *timer_watch, *watch;
	pthread_mutex_t lock; /* everything below */
	int fd;
	uint64_t features, protocol;
	bool running;
	bool used; /* it was started since the last reset */
	unsigned rings, enabled;
};

/* ---- messages; lock held ---- */

static int send_message(struct vhost_user *v, struct message *m, const int *fds,
			unsigned n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(VHOST_REGIONS * sizeof(int))];
	} control;
	struct iovec iov = {m, HEADER + m->size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	ssize_t ret;

	m->flags |= FLAG_VERSION;
	if (n) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do {
		ret = sendmsg(v->fd, &msg, MSG_NOSIGNAL);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	return (size_t)ret == HEADER + m->size ? 0 : -EPIPE;
}

static int read_all(struct vhost_user *v, void *p, size_t len)
{
	struct pollfd poll_fd = {v->fd, POLLIN, 0};
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		if (poll(&poll_fd, 1, ANSWER_MS) <= 0)
			return -ETIMEDOUT;
		n = recv(v->fd, (char *)p + done, len - done, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -EPIPE;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* The answer to @request, whose payload has @size bytes. */
static int read_answer(struct vhost_user *v, struct message *m,
		       uint32_t request, uint32_t size)
{
	int ret = read_all(v, m, HEADER);

	if (ret)
		return ret;
	if (m->request != request || !(m->flags & FLAG_REPLY) ||
	    m->size != size)
		return -EPROTO;
	return read_all(v, &m->u, size);
}

/* Say it, and hear that it was done if the backend can tell. */
static int tell(struct vhost_user *v, struct message *m, const int *fds,
		unsigned n)
{
	uint32_t request = m->request;
	int ret;

	if (v->protocol & PROTOCOL_REPLY_ACK)
		m->flags |= FLAG_NEED_REPLY;
	ret = send_message(v, m, fds, n);
	if (ret || !(v->protocol & PROTOCOL_REPLY_ACK))
		return ret;
	ret = read_answer(v, m, request, sizeof(m->u.u64));
	if (!ret && m->u.u64)
		ret = -EIO;
	return ret;
}

static int tell_u64(struct vhost_user *v, enum request request, uint64_t value)
{
	struct message m = {.request = request, .size = 8, .u.u64 = value};

	return tell(v, &m, NULL, 0);
}

static int tell_state(struct vhost_user *v, enum request request,
		      unsigned index, unsigned num)
{
	struct message m = {
		.request = request,
		.size = sizeof(m.u.state),
		.u.state = {index, num},
	};

	return tell(v, &m, NULL, 0);
}

static int ask_u64(struct vhost_user *v, enum request request, uint64_t *value)
{
	struct message m = {.request = request};
	int ret = send_message(v, &m, NULL, 0);

	if (!ret)
		ret = read_answer(v, &m, request, sizeof(m.u.u64));
	if (!ret)
		*value = m.u.u64;
	return ret;
}

/* ---- the backend comes ---- */

static int ask_protocol(struct vhost_user *v, uint64_t *pairs)
{
	uint64_t offered = 0;
	int ret;

	if (!(v->features & F_PROTOCOL))
		return 0;
	ret = ask_u64(v, GET_PROTOCOL_FEATURES, &offered);
	if (ret)
		return ret;
	ret = tell_u64(v, SET_PROTOCOL_FEATURES, offered & PROTOCOL_OURS);
	v->protocol = offered & PROTOCOL_OURS;
	if (!ret && v->protocol & PROTOCOL_MQ)
		ret = ask_u64(v, GET_QUEUE_NUM, pairs);
	return ret;
}

/* Learn what the backend at v->fd has; lock held. */
static int handshake(struct vhost_user *v)
{
	struct message owner = {.request = SET_OWNER};
	uint64_t pairs = 1;
	int ret;

	v->protocol = 0;
	ret = ask_u64(v, GET_FEATURES, &v->features);
	if (!ret)
		ret = ask_protocol(v, &pairs);
	if (!ret)
		ret = tell(v, &owner, NULL, 0);
	/* A queue is what we call a pair. */
	if (!ret && pairs < v->o.queues)
		ret = -E2BIG;
	return ret;
}

static int start_ring(struct vhost_user *v, unsigned i,
		      const struct vhost_ring *r)
{
	struct message addr = {
		.request = SET_VRING_ADDR,
		.size = sizeof(addr.u.addr),
		.u.addr =
			{
				.index = i,
				.desc = (uintptr_t)r->desc,
				.used = (uintptr_t)r->device,
				.avail = (uintptr_t)r->driver,
			},
	};
	struct message kick = {
		.request = SET_VRING_KICK, .size = 8, .u.u64 = i};
	struct message bell = {
		.request = SET_VRING_CALL, .size = 8, .u.u64 = i};
	int ret = tell_state(v, SET_VRING_NUM, i, r->size);

	if (!ret)
		ret = tell_state(v, SET_VRING_BASE, i, r->base);
	if (!ret)
		ret = tell(v, &addr, NULL, 0);
	if (!ret)
		ret = tell(v, &bell, &r->call, 1);
	if (!ret)
		ret = tell(v, &kick, &r->kick, 1);
	return ret;
}

static int set_memory(struct vhost_user *v, const struct vhost_setup *s)
{
	struct message m = {
		.request = SET_MEM_TABLE,
		.size = 8 + s->regions * (uint32_t)sizeof(m.u.memory.region[0]),
		.u.memory.count = s->regions,
	};
	int fds[VHOST_REGIONS];
	unsigned i;

	for (i = 0; i < s->regions; i++) {
		if (s->region[i].fd < 0)
			return -ENOTSUP;
		fds[i] = s->region[i].fd;
		m.u.memory.region[i].gpa = s->region[i].gpa;
		m.u.memory.region[i].size = s->region[i].size;
		m.u.memory.region[i].hva = (uintptr_t)s->region[i].hva;
		m.u.memory.region[i].offset = s->region[i].offset;
	}
	return tell(v, &m, fds, s->regions);
}

/* Rings of the first @pairs on, others off; without words for it, all on. */
static int enable(struct vhost_user *v, unsigned pairs)
{
	unsigned i;
	int ret = 0;

	v->enabled = pairs;
	if (!(v->features & F_PROTOCOL))
		return 0;
	for (i = 0; !ret && i < v->rings; i++)
		ret = tell_state(v, SET_VRING_ENABLE, i, i / 2 < pairs);
	return ret;
}

static int start(struct vhost_user *v, const struct vhost_setup *s)
{
	uint64_t features = (s->features[0] & BACKEND_BITS) |
			    (v->features & F_PROTOCOL);
	unsigned i;
	int ret = v->fd < 0 ? -ENOTCONN : 0;

	/* A successor may be able to do less. */
	if (!ret && features & ~v->features)
		ret = -ENOTSUP;
	v->used = !ret;
	if (!ret)
		ret = tell_u64(v, SET_FEATURES, features);
	if (!ret)
		ret = set_memory(v, s);
	v->rings = 0;
	for (i = 0; !ret && i < s->rings && s->ring[i].ready; i++) {
		ret = start_ring(v, i, &s->ring[i]);
		v->rings = i + 1;
	}
	if (!ret)
		ret = enable(v, s->active);
	v->running = !ret;
	return ret;
}

/* ---- as the card calls it ---- */

static int vhost_user_start(struct net *net, const struct vhost_setup *s)
{
	struct vhost_user *v = (struct vhost_user *)net;
	int ret;

	pthread_mutex_lock(&v->lock);
	ret = start(v, s);
	pthread_mutex_unlock(&v->lock);
	if (ret)
		__atomic_store_n(&net->down, true, __ATOMIC_SEQ_CST);
	return ret;
}

/* A ring is stopped by asking where it is. */
static void vhost_user_stop(struct net *net)
{
	struct vhost_user *v = (struct vhost_user *)net;
	struct message m;
	unsigned i;
	int ret = 0;

	pthread_mutex_lock(&v->lock);
	for (i = 0; v->running && v->fd >= 0 && !ret && i < v->rings; i++) {
		m = (struct message){
			.request = GET_VRING_BASE,
			.size = sizeof(m.u.state),
			.u.state.index = i,
		};
		ret = send_message(v, &m, NULL, 0);
		if (!ret)
			ret = read_answer(v, &m, GET_VRING_BASE,
					  sizeof(m.u.state));
	}
	v->running = false;
	pthread_mutex_unlock(&v->lock);
}

/* What it agreed on stays; rings and memory are told anew by start(). */
static void vhost_user_reset(struct net *net)
{
	struct vhost_user *v = (struct vhost_user *)net;
	struct message m = {.request = RESET_DEVICE};

	pthread_mutex_lock(&v->lock);
	if (v->used && v->fd >= 0 && v->protocol & PROTOCOL_RESET_DEVICE &&
	    tell(v, &m, NULL, 0))
		shutdown(v->fd, SHUT_RDWR);
	v->used = false;
	pthread_mutex_unlock(&v->lock);
}

static void vhost_user_set_queues(struct net *net, unsigned n)
{
	struct vhost_user *v = (struct vhost_user *)net;

	pthread_mutex_lock(&v->lock);
	if (v->running && v->fd >= 0)
		enable(v, n);
	pthread_mutex_unlock(&v->lock);
}

static void say_peer(struct vhost_user *v, bool here)
{
	net_tell_peer(&v->o.watcher, here ? &v->o.addr : NULL);
}

static void say_link(struct vhost_user *v, bool up)
{
	say_peer(v, up);
	__atomic_store_n(&v->net.down, !up, __ATOMIC_SEQ_CST);
	if (v->user.link)
		v->user.link(v->user.opaque, up);
}

/* ---- the loop's thread ---- */

static void retry_later(struct vhost_user *v)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = v->o.reconnect_ms / 1000,
			     .tv_nsec = v->o.reconnect_ms % 1000 * 1000000L},
	};

	if (v->listener < 0 && v->o.reconnect_ms)
		timerfd_settime(v->timer, 0, &when, NULL);
}

static void backend_gone(void *opaque, int revents)
{
	struct vhost_user *v = opaque;
	struct evloop_watch *watch;

	pthread_mutex_lock(&v->lock);
	watch = v->watch;
	v->watch = NULL;
	close(v->fd);
	v->fd = -1;
	v->running = v->used = false;
	pthread_mutex_unlock(&v->lock);
	evloop_remove(watch);
	say_link(v, false);
	if (v->listen_watch)
		evloop_set(v->listen_watch, POLLIN);
	retry_later(v);
}

/* Only its end is watched for: what it says are answers. */
static bool watch_backend(struct vhost_user *v)
{
	struct evloop_watch *watch;

	if (v->listen_watch)
		evloop_set(v->listen_watch, 0);
	/* it may have gone already: the loop waits until we know our watch */
	pthread_mutex_lock(&v->lock);
	watch = evloop_add(v->loop, v->fd, POLLRDHUP, backend_gone, v);
	v->watch = watch;
	pthread_mutex_unlock(&v->lock);
	return watch;
}

static void backend_came(struct vhost_user *v, int fd)
{
	int ret;

	pthread_mutex_lock(&v->lock);
	v->fd = fd;
	ret = handshake(v);
	if (ret) {
		close(fd);
		v->fd = -1;
	}
	pthread_mutex_unlock(&v->lock);
	if (!ret && watch_backend(v))
		say_link(v, true);
	else
		retry_later(v);
}

static int try_connect(const struct vhost_user *v)
{
	struct net_sockaddr to;
	int fd;

	if (sockaddr_find(&to, &v->o.addr, SOCK_STREAM, NULL))
		return -1;
	fd = socket(to.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to.ss, to.len)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void on_timer(void *opaque, int revents)
{
	struct vhost_user *v = opaque;
	uint64_t n;
	int fd;

	if (read(v->timer, &n, sizeof(n)) != sizeof(n) || v->fd >= 0)
		return;
	fd = try_connect(v);
	if (fd >= 0)
		backend_came(v, fd);
	else
		retry_later(v);
}

static void on_accept(void *opaque, int revents)
{
	struct vhost_user *v = opaque;
	int fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0 && v->fd < 0)
		backend_came(v, fd);
	else if (fd >= 0)
		close(fd);
}

static int vhost_user_attach(struct net *net, struct evloop *const *loop,
			     const struct net_user *user)
{
	struct vhost_user *v = (struct vhost_user *)net;

	v->loop = loop[0];
	v->user = *user;
	v->timer_watch = evloop_add(v->loop, v->timer, POLLIN, on_timer, v);
	if (v->listener >= 0)
		v->listen_watch = evloop_add(v->loop, v->listener, 0, on_accept,
					     v);
	if (!v->timer_watch || (v->listener >= 0 && !v->listen_watch))
		return -ENOMEM;
	if (v->fd < 0 && v->listen_watch)
		evloop_set(v->listen_watch, POLLIN);
	else if (v->fd < 0)
		retry_later(v);
	else if (!watch_backend(v))
		return -ENOMEM;
	return 0;
}

static void vhost_user_detach(struct net *net)
{
	struct vhost_user *v = (struct vhost_user *)net;

	evloop_remove(v->timer_watch);
	evloop_remove(v->listen_watch);
	evloop_remove(v->watch);
	v->timer_watch = v->listen_watch = v->watch = NULL;
}

/* The card never sends or receives a frame itself. */
static int vhost_user_send(struct net *net, unsigned q, const struct iovec *iov,
			   unsigned n)
{
	return -EINVAL;
}

static void vhost_user_room(struct net *net, unsigned q)
{
}

static void vhost_user_close(struct net *net)
{
	struct vhost_user *v = (struct vhost_user *)net;

	if (v->fd >= 0)
		close(v->fd);
	if (v->listener >= 0) {
		close(v->listener);
		if (!v->o.addr.abstract)
			unlink(v->o.addr.path);
	}
	if (v->timer >= 0)
		close(v->timer);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static const struct vhost_ops vhost_user_vhost = {
	vhost_user_start,
	vhost_user_stop,
	vhost_user_reset,
};

static const struct net_ops vhost_user_ops = {
	.attach = vhost_user_attach,
	.detach = vhost_user_detach,
	.send = vhost_user_send,
	.room = vhost_user_room,
	.set_queues = vhost_user_set_queues,
	.vhost = &vhost_user_vhost,
	.close = vhost_user_close,
};

/* The card's features depend on the backend: there must be one. */
static int first_backend(struct vhost_user *v, struct err *e)
{
	struct pollfd poll_fd;
	unsigned waited;
	char name[128];
	int ret;

	if (v->o.server) {
		v->listener = sockaddr_listen(&v->o.addr, e);
		if (v->listener < 0)
			return v->listener;
		poll_fd = (struct pollfd){v->listener, POLLIN, 0};
		if (poll(&poll_fd, 1, (int)v->o.wait_ms) > 0)
			v->fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC);
	} else {
		for (waited = 0;
		     (v->fd = try_connect(v)) < 0 && waited < v->o.wait_ms;
		     waited += 50)
			usleep(50000);
	}
	sockaddr_print(&v->o.addr, name, sizeof(name));
	if (v->fd < 0)
		return err_set(e, -ENOTCONN, "no vhost-user backend at '%s'",
			       name);
	ret = handshake(v);
	if (ret == -E2BIG)
		return err_set(e, ret,
			       "the vhost-user backend has fewer than %u "
			       "queues",
			       v->o.queues);
	return ret ? err_set(e, ret,
			     "what is at '%s' does not speak vhost-user: %s",
			     name, strerror(-ret))
		   : 0;
}

struct net *net_vhost_user_open(const struct vhost_user_options *o,
				struct err *e)
{
	struct vhost_user *v = calloc(1, sizeof(*v));

	if (!v) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	v->net = (struct net){
		.ops = &vhost_user_ops,
		.queues = MAX(o->queues, 1U),
		.can = {true, true, true, true, true, true, true},
	};
	v->o = *o;
	v->o.queues = v->net.queues;
	v->fd = v->listener = -1;
	pthread_mutex_init(&v->lock, NULL);
	v->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (v->timer >= 0 && !first_backend(v, e)) {
		v->net.deny[0] = (BACKEND_BITS & ~v->features) | NEVER_BITS;
		v->net.deny[1] = UINT64_MAX;
		say_peer(v, true);
		return &v->net;
	}
	if (v->timer < 0)
		err_set(e, -EMFILE, "cannot create a timer");
	vhost_user_close(&v->net);
	return NULL;
}
