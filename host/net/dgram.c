/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cable over datagrams, one frame in each: UDP between two, UDP multicast
 * among many (frames of our own come back, and are dropped), UNIX datagrams.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/evloop.h"
#include "host/net/sockaddr.h"

#define FRAME_MAX 65536
#define BURST     64

struct dgram {
	struct net net;
	struct net_dgram_options o;
	int fd;
	int out; /* multicast: sends, so that our own are told by its port */
	struct net_sockaddr remote, own;
	bool multicast;
	struct net_user user;
	struct evloop_watch *watch;
	size_t held; /* bytes of frame[] that wait for room */
	uint8_t frame[FRAME_MAX];
};

static bool from_ourselves(const struct dgram *d, const struct sockaddr_in *a)
{
	const struct sockaddr_in *own = (const struct sockaddr_in *)&d->own.ss;

	return d->multicast && a->sin_port == own->sin_port &&
	       a->sin_addr.s_addr == own->sin_addr.s_addr;
}

/* The next frame into d->frame; false when there is none. */
static bool read_frame(struct dgram *d)
{
	struct sockaddr_storage from;
	socklen_t len;
	ssize_t n;

	do {
		len = sizeof(from);
		n = recvfrom(d->fd, d->frame, sizeof(d->frame), 0,
			     (struct sockaddr *)&from, &len);
	} while (n == 0 ||
		 (n > 0 &&
		  from_ourselves(d, (const struct sockaddr_in *)&from)));
	d->held = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static bool give_frame(struct dgram *d)
{
	if (!d->user.receive(d->user.opaque, 0, d->frame, d->held, 0))
		return false;
	d->held = 0;
	return true;
}

static void dgram_readable(void *opaque, int revents)
{
	struct dgram *d = opaque;
	unsigned i;

	for (i = 0; i < BURST; i++) {
		if (!d->held && !read_frame(d))
			break;
		if (!give_frame(d)) {
			evloop_set(d->watch, 0);
			/* Room that came before that would be missed. */
			if (!give_frame(d))
				break;
			evloop_set(d->watch, POLLIN);
		}
	}
	d->user.flush(d->user.opaque, 0);
}

static int dgram_send(struct net *net, unsigned q, const struct iovec *iov,
		      unsigned n)
{
	struct dgram *d = (struct dgram *)net;
	struct msghdr msg = {
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = n,
	};

	if (d->remote.len) {
		msg.msg_name = &d->remote.ss;
		msg.msg_namelen = d->remote.len;
	}
	/* Nobody there, no room: as with a wire, the frame is gone. */
	if (sendmsg(d->out >= 0 ? d->out : d->fd, &msg, MSG_NOSIGNAL) < 0 &&
	    errno == EMSGSIZE)
		return -EINVAL;
	return 0;
}

static int dgram_attach(struct net *net, struct evloop *const *loop,
			const struct net_user *user)
{
	struct dgram *d = (struct dgram *)net;

	d->user = *user;
	d->held = 0;
	d->watch = evloop_add(loop[0], d->fd, POLLIN, dgram_readable, d);
	return d->watch ? 0 : -ENOMEM;
}

static void dgram_detach(struct net *net)
{
	struct dgram *d = (struct dgram *)net;

	evloop_remove(d->watch);
	d->watch = NULL;
}

static void dgram_room(struct net *net, unsigned q)
{
	struct dgram *d = (struct dgram *)net;

	if (d->watch)
		evloop_set(d->watch, POLLIN);
}

static void dgram_close(struct net *net)
{
	struct dgram *d = (struct dgram *)net;

	if (d->fd >= 0)
		close(d->fd);
	if (d->out >= 0)
		close(d->out);
	if (d->o.local.kind == NET_ADDR_UNIX && !d->o.local.abstract)
		unlink(d->o.local.path);
	free(d);
}

static const struct net_ops dgram_ops = {
	.attach = dgram_attach,
	.detach = dgram_detach,
	.send = dgram_send,
	.room = dgram_room,
	.close = dgram_close,
};

static int new_socket(int family)
{
	return socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int failed(struct err *e, const struct net_addr *a, const char *what)
{
	char name[128];
	int code = -errno;

	return err_set(e, code, "cannot %s '%s': %s", what,
		       sockaddr_print(a, name, sizeof(name)), strerror(-code));
}

/* Address and port that others see our frames come from. */
static int learn_own(struct dgram *d, struct in_addr via, struct err *e)
{
	struct sockaddr_in *own = (struct sockaddr_in *)&d->own.ss;
	struct sockaddr_in to = *(struct sockaddr_in *)&d->remote.ss;
	int probe = new_socket(AF_INET), ret = 0;
	socklen_t len = sizeof(*own);

	/* Which address it is shows where a connected socket sends from. */
	if (via.s_addr)
		setsockopt(probe, IPPROTO_IP, IP_MULTICAST_IF, &via,
			   sizeof(via));
	if (probe < 0 || connect(probe, (struct sockaddr *)&to, sizeof(to)) ||
	    getsockname(probe, (struct sockaddr *)own, &len))
		ret = failed(e, &d->o.remote, "send to");
	if (probe >= 0)
		close(probe);
	if (ret)
		return ret;
	own->sin_port = 0;
	if (bind(d->out, (struct sockaddr *)own, sizeof(*own)) ||
	    getsockname(d->out, (struct sockaddr *)own, &len))
		return failed(e, &d->o.remote, "send to");
	return 0;
}

static int open_multicast(struct dgram *d, struct in_addr via, struct err *e)
{
	struct sockaddr_in *group = (struct sockaddr_in *)&d->remote.ss;
	struct ip_mreq join = {group->sin_addr, via};
	int one = 1;

	d->multicast = true;
	d->fd = new_socket(AF_INET);
	d->out = new_socket(AF_INET);
	if (d->fd < 0 || d->out < 0 ||
	    setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(d->fd, (struct sockaddr *)group, sizeof(*group)) ||
	    setsockopt(d->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join,
		       sizeof(join)) ||
	    setsockopt(d->out, IPPROTO_IP, IP_MULTICAST_LOOP, &one,
		       sizeof(one)) ||
	    (via.s_addr && setsockopt(d->out, IPPROTO_IP, IP_MULTICAST_IF, &via,
				      sizeof(via))))
		return failed(e, &d->o.remote, "join");
	return learn_own(d, via, e);
}

static bool is_multicast(const struct net_sockaddr *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->ss;

	return in->sin_family == AF_INET &&
	       IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

static int open_pair(struct dgram *d, struct err *e)
{
	struct net_sockaddr local;
	int ret;

	if (d->o.local.kind == NET_ADDR_NONE)
		return err_set(e, -EINVAL, "the local address is missing");
	ret = sockaddr_find(&local, &d->o.local, SOCK_DGRAM, e);
	if (ret)
		return ret;
	d->fd = new_socket(local.ss.ss_family);
	if (d->fd < 0)
		return failed(e, &d->o.local, "open a socket for");
	if (d->o.local.kind == NET_ADDR_UNIX && !d->o.local.abstract)
		unlink(d->o.local.path);
	if (bind(d->fd, (struct sockaddr *)&local.ss, local.len))
		return failed(e, &d->o.local, "bind to");
	return 0;
}

static int open_socket(struct dgram *d, struct err *e)
{
	struct in_addr via = {0};
	struct net_sockaddr local;
	int ret;

	if (d->o.local.kind == NET_ADDR_FD) {
		if (!sockaddr_adopt(d->o.local.fd))
			d->fd = d->o.local.fd;
		return d->fd < 0 ? err_set(e, -EBADF, "fd %d is not open",
					   d->o.local.fd)
				 : 0;
	}
	if (d->o.remote.kind == NET_ADDR_NONE)
		return err_set(e, -EINVAL, "the remote address is missing");
	ret = sockaddr_find(&d->remote, &d->o.remote, SOCK_DGRAM, e);
	if (ret)
		return ret;
	if (!is_multicast(&d->remote))
		return open_pair(d, e);
	if (d->o.local.kind != NET_ADDR_NONE) {
		ret = sockaddr_find(&local, &d->o.local, SOCK_DGRAM, e);
		via = ((struct sockaddr_in *)&local.ss)->sin_addr;
	}
	return ret ? ret : open_multicast(d, via, e);
}

struct net *net_dgram_open(const struct net_dgram_options *o, struct err *e)
{
	struct dgram *d = calloc(1, sizeof(*d));

	if (!d) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	d->net.ops = &dgram_ops;
	d->o = *o;
	d->fd = d->out = -1;
	if (!open_socket(d, e))
		return &d->net;
	dgram_close(&d->net);
	return NULL;
}
