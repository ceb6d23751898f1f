/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cable over a stream socket, as QEMU's stream and socket backends have it:
 * each frame behind its length, 4 bytes, the highest first. One peer at a
 * time. While there is none the link is down; a server waits for the next, a
 * client tries again when it is told to. What the peer does not take in time
 * is dropped once a buffer is full
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/evloop.h"
#include "host/net/sockaddr.h"

#define FRAME_MAX (68 << 10)
#define OUT_MAX   (512 << 10)
#define IN_MAX    (FRAME_MAX + 4)
#define BURST     64

struct stream {
	struct net net;
	struct net_stream_options o;
	int listener; /* -1: a client */
	int timer;    /* timerfd of the next attempt */
	struct evloop *loop;
	struct evloop_watch *listen_watch;
	struct evloop_watch *timer_watch;
	struct net_user user; /* of the loop's thread while attached */
	bool told;            /* of the peer there is */
	size_t in_len;
	uint8_t in[IN_MAX];
	pthread_mutex_t lock; /* everything below */
	int fd;               /* the peer, -1: none */
	struct evloop_watch *watch;
	bool connecting;
	bool stalled; /* frames in in[] wait for room */
	size_t out_at, out_len;
	uint8_t out[OUT_MAX];
};

static void stream_event(void *opaque, int revents);

/* Who comes is told of once, however many cards find him here. */
static void say_peer(struct stream *s, bool here)
{
	struct net_addr peer;

	if (here == s->told)
		return;
	s->told = here;
	if (here)
		sockaddr_peer(s->fd, &peer);
	net_tell_peer(&s->o.watcher, here ? &peer : NULL);
}

static void say_link(struct stream *s, bool up)
{
	say_peer(s, up);
	__atomic_store_n(&s->net.down, !up, __ATOMIC_SEQ_CST);
	if (s->user.link)
		s->user.link(s->user.opaque, up);
}

/* ---- the peer comes and goes ---- */

static void retry_later(struct stream *s)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = s->o.reconnect_ms / 1000,
			     .tv_nsec = s->o.reconnect_ms % 1000 * 1000000L},
	};

	if (s->listener < 0 && s->o.reconnect_ms)
		timerfd_settime(s->timer, 0, &when, NULL);
}

static void drop_peer(struct stream *s)
{
	struct evloop_watch *watch;

	pthread_mutex_lock(&s->lock);
	watch = s->watch;
	s->watch = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->connecting = s->stalled = false;
	s->out_at = s->out_len = 0;
	pthread_mutex_unlock(&s->lock);
	evloop_remove(watch);
	s->in_len = 0;
	say_link(s, false);
	if (s->listen_watch)
		evloop_set(s->listen_watch, POLLIN);
	retry_later(s);
}

/* What is waited for when nothing is to be written; @s->lock held. */
static int in_events(const struct stream *s)
{
	return s->user.receive ? POLLIN : POLLRDHUP;
}

/* @fd is the peer, or will be. */
static void take_peer(struct stream *s, int fd, bool connecting)
{
	int events, one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s->listen_watch)
		evloop_set(s->listen_watch, 0);
	pthread_mutex_lock(&s->lock);
	s->fd = fd;
	s->connecting = connecting;
	events = connecting ? POLLOUT
			    : in_events(s) | (s->out_len ? POLLOUT : 0);
	s->watch = evloop_add(s->loop, fd, events, stream_event, s);
	pthread_mutex_unlock(&s->lock);
	if (!s->watch)
		drop_peer(s);
	else if (!connecting)
		say_link(s, true);
}

static void start_connect(struct stream *s)
{
	struct net_sockaddr to;
	int fd = -1;

	if (!sockaddr_find(&to, &s->o.addr, SOCK_STREAM, NULL))
		fd = socket(to.ss.ss_family,
			    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		retry_later(s);
	} else if (!connect(fd, (struct sockaddr *)&to.ss, to.len)) {
		take_peer(s, fd, false);
	} else if (errno == EINPROGRESS) {
		take_peer(s, fd, true);
	} else {
		close(fd);
		retry_later(s);
	}
}

/* Peers come and go in the loop's thread only: one after the other. */
static void stream_timer(void *opaque, int revents)
{
	struct stream *s = opaque;
	uint64_t n;

	if (read(s->timer, &n, sizeof(n)) != sizeof(n) || s->watch)
		return;
	if (s->fd >= 0)
		take_peer(s, s->fd, s->connecting);
	else if (s->listener < 0)
		start_connect(s);
}

static void stream_accept(void *opaque, int revents)
{
	struct stream *s = opaque;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (s->watch)
		close(fd);
	else
		take_peer(s, fd, false);
}

static void finish_connect(struct stream *s)
{
	int why = 0;
	socklen_t len = sizeof(why);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &len) || why) {
		drop_peer(s);
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->connecting = false;
	evloop_set(s->watch, in_events(s));
	pthread_mutex_unlock(&s->lock);
	say_link(s, true);
}

/* ---- to the guest ---- */

/*
 * Give whole frames to the card. 0; 1: no room, the rest is kept; -EPROTO: the
 * peer does not speak this.
 */
static int give_frames(struct stream *s)
{
	size_t at = 0;
	uint32_t len;
	int ret = 0;

	while (s->in_len - at >= 4) {
		memcpy(&len, s->in + at, 4);
		len = ntohl(len);
		if (len > FRAME_MAX)
			return -EPROTO;
		if (s->in_len - at - 4 < len)
			break;
		if (!s->user.receive(s->user.opaque, 0, s->in + at + 4, len,
				     0)) {
			ret = 1;
			break;
		}
		at += 4 + len;
	}
	if (at)
		s->user.flush(s->user.opaque, 0);
	memmove(s->in, s->in + at, s->in_len - at);
	s->in_len -= at;
	return ret;
}

/* Frames that wait here make no event of their own: writing does. */
static void stream_room(struct net *net, unsigned q)
{
	struct stream *s = (struct stream *)net;

	pthread_mutex_lock(&s->lock);
	if (s->watch && s->stalled)
		evloop_set(s->watch, POLLIN | POLLOUT);
	pthread_mutex_unlock(&s->lock);
}

static void read_peer(struct stream *s)
{
	unsigned i;
	ssize_t n;
	int ret = give_frames(s);

	for (i = 0; !ret && i < BURST; i++) {
		n = recv(s->fd, s->in + s->in_len, sizeof(s->in) - s->in_len,
			 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			ret = -EPIPE;
		else
			s->in_len += (size_t)n;
		if (!ret)
			ret = give_frames(s);
	}
	if (ret < 0) {
		drop_peer(s);
	} else if (ret) {
		pthread_mutex_lock(&s->lock);
		s->stalled = true;
		evloop_set(s->watch, s->out_len ? POLLOUT : 0);
		pthread_mutex_unlock(&s->lock);
		/* Room that came before that would be missed. */
		if (give_frames(s) != 1)
			stream_room(&s->net, 0);
	}
}

/* ---- from the guest ---- */

/* Lock held; false: the peer is gone. */
static bool flush_out(struct stream *s)
{
	ssize_t n;

	while (s->out_len) {
		n = send(s->fd, s->out + s->out_at, s->out_len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		s->out_at += (size_t)n;
		s->out_len -= (size_t)n;
	}
	s->out_at = 0;
	return true;
}

static void stream_event(void *opaque, int revents)
{
	struct stream *s = opaque;
	bool alive = true, stalled;

	if (s->connecting) {
		finish_connect(s);
		return;
	}
	pthread_mutex_lock(&s->lock);
	stalled = s->stalled;
	s->stalled = false;
	if (revents & POLLOUT) {
		alive = flush_out(s);
		evloop_set(s->watch, in_events(s) | (s->out_len ? POLLOUT : 0));
	}
	pthread_mutex_unlock(&s->lock);
	if (!alive || (!s->user.receive && revents & ~POLLOUT))
		drop_peer(s);
	else if (s->user.receive && (stalled || revents & ~POLLOUT))
		read_peer(s);
}

/* Keep what did not go out from byte @skip of the frame on; lock held. */
static void keep(struct stream *s, const struct iovec *iov, unsigned n,
		 size_t skip)
{
	unsigned i;
	size_t part;

	memmove(s->out, s->out + s->out_at, s->out_len);
	s->out_at = 0;
	for (i = 0; i < n; i++) {
		part = MIN(skip, iov[i].iov_len);
		skip -= part;
		memcpy(s->out + s->out_len, (uint8_t *)iov[i].iov_base + part,
		       iov[i].iov_len - part);
		s->out_len += iov[i].iov_len - part;
	}
	/* None yet: take_peer() looks at what there is. */
	if (s->watch)
		evloop_set(s->watch, s->stalled ? POLLOUT : POLLIN | POLLOUT);
}

static int stream_send(struct net *net, unsigned q, const struct iovec *iov,
		       unsigned n)
{
	struct stream *s = (struct stream *)net;
	struct iovec all[NET_IOV_MAX + 1];
	size_t len = iov_length(iov, n);
	uint32_t head = htonl((uint32_t)len);
	struct msghdr msg = {.msg_iov = all, .msg_iovlen = n + 1};
	ssize_t done = 0;

	if (len > FRAME_MAX || n > NET_IOV_MAX)
		return -EINVAL;
	all[0] = (struct iovec){&head, 4};
	memcpy(all + 1, iov, n * sizeof(*iov));
	pthread_mutex_lock(&s->lock);
	if (s->fd >= 0 && !s->connecting) {
		if (!s->out_len)
			done = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
		done = MAX(done, (ssize_t)0);
		if ((size_t)done < len + 4 &&
		    s->out_len + len + 4 <= sizeof(s->out))
			keep(s, all, n + 1, (size_t)done);
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* ---- the backend ---- */

static void forget_loop(struct stream *s)
{
	evloop_remove(s->timer_watch);
	evloop_remove(s->listen_watch);
	evloop_remove(s->watch);
	s->timer_watch = s->listen_watch = s->watch = NULL;
}

static int join_loop(struct stream *s, struct evloop *loop,
		     const struct net_user *user)
{
	const struct itimerspec now = {.it_value.tv_nsec = 1};

	s->loop = loop;
	s->stalled = s->in_len;
	s->user = *user;
	s->timer_watch = evloop_add(s->loop, s->timer, 0, stream_timer, s);
	if (s->listener >= 0)
		s->listen_watch = evloop_add(s->loop, s->listener, 0,
					     stream_accept, s);
	if (!s->timer_watch || (s->listener >= 0 && !s->listen_watch))
		return -ENOMEM;
	if (s->fd >= 0 || s->listener < 0)
		timerfd_settime(s->timer, 0, &now, NULL);
	else
		evloop_set(s->listen_watch, POLLIN);
	evloop_set(s->timer_watch, POLLIN);
	return 0;
}

static int stream_attach(struct net *net, struct evloop *const *loop,
			 const struct net_user *user)
{
	struct stream *s = (struct stream *)net;

	forget_loop(s);
	return join_loop(s, loop[0], user);
}

/* A peer can come while there is no card, and go; what he says waits. */
static int idle(struct stream *s)
{
	static const struct net_user nobody;

	return s->o.loop ? join_loop(s, s->o.loop, &nobody) : 0;
}

/* The peer stays: the next machine goes on with it. */
static void stream_detach(struct net *net)
{
	struct stream *s = (struct stream *)net;

	forget_loop(s);
	/* Without memory for it, peers wait for the next card. */
	if (idle(s))
		forget_loop(s);
}

static void stream_close(struct net *net)
{
	struct stream *s = (struct stream *)net;

	forget_loop(s);
	if (s->fd >= 0)
		close(s->fd);
	if (s->listener >= 0) {
		close(s->listener);
		if (s->o.addr.kind == NET_ADDR_UNIX && !s->o.addr.abstract)
			unlink(s->o.addr.path);
	}
	if (s->timer >= 0)
		close(s->timer);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct net_ops stream_ops = {
	.attach = stream_attach,
	.detach = stream_detach,
	.send = stream_send,
	.room = stream_room,
	.close = stream_close,
};

/* A client that will not try again must find its peer now. */
static int connect_now(struct stream *s, struct err *e)
{
	struct net_sockaddr to;
	char name[128];
	int code, ret = sockaddr_find(&to, &s->o.addr, SOCK_STREAM, e);

	if (ret)
		return ret;
	s->fd = socket(to.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd >= 0 && !connect(s->fd, (struct sockaddr *)&to.ss, to.len) &&
	    !sockaddr_adopt(s->fd))
		return 0;
	code = -errno;
	return err_set(e, code, "cannot connect to '%s': %s",
		       sockaddr_print(&s->o.addr, name, sizeof(name)),
		       strerror(-code));
}

static int open_socket(struct stream *s, struct err *e)
{
	if (s->o.addr.kind == NET_ADDR_FD) {
		if (sockaddr_adopt(s->o.addr.fd))
			return err_set(e, -EBADF, "fd %d is not open",
				       s->o.addr.fd);
		s->fd = s->o.addr.fd;
		return 0;
	}
	if (s->o.server) {
		s->listener = sockaddr_listen(&s->o.addr, e);
		return MIN(s->listener, 0);
	}
	return s->o.reconnect_ms ? 0 : connect_now(s, e);
}

struct net *net_stream_open(const struct net_stream_options *o, struct err *e)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	s->net.ops = &stream_ops;
	s->net.down = true;
	s->o = *o;
	s->fd = s->listener = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->timer < 0) {
		err_set(e, -errno, "cannot create a timer");
	} else if (!open_socket(s, e)) {
		s->net.down = s->fd < 0;
		say_peer(s, s->fd >= 0);
		if (!idle(s))
			return &s->net;
		err_set(e, -ENOMEM, "out of memory");
		if (o->addr.kind == NET_ADDR_FD)
			s->fd = -1;
	}
	stream_close(&s->net);
	return NULL;
}
