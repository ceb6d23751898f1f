/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap interface. What its kernel can do is found out by trying: bits of
 * TUNSETOFFLOAD by value, since only newer headers name all of them. The
 * header grows before tunnel offloads are turned on and shrinks after they
 * are off; with a short header every read would fail. Left out: helper
 * scripts.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/evloop.h"
#include "host/net/vhost.h"

#define OFF_CSUM     0x001U
#define OFF_TSO4     0x002U
#define OFF_TSO6     0x004U
#define OFF_ECN      0x008U
#define OFF_UFO      0x010U
#define OFF_USO4     0x020U
#define OFF_USO6     0x040U
#define OFF_TNL      0x080U
#define OFF_TNL_CSUM 0x100U

#define HEADER_MIN 10
#define FRAME_MAX  (68 << 10) /* header and the largest superpacket */
#define BURST      64         /* frames read in one go */

struct tap_queue {
	struct tap *tap;
	int fd;
	unsigned index;
	bool attached; /* the kernel spreads frames to it */
	struct evloop_watch *watch;
	bool held; /* frame[] waits for room */
	size_t held_len;
	unsigned held_header;
	uint8_t frame[FRAME_MAX];
};

struct tap {
	struct net net;
	struct net_user user;
	struct vhost_net *vhost; /* NULL: frames pass through here */
	unsigned header;         /* atomic: set_up() is another thread's */
	struct tap_queue *queue; /* net.queues of them */
};

/* Offloads and the header's size are the interface's: any queue will do. */
static bool set_offloads(const struct tap *t, unsigned bits)
{
	return !ioctl(t->queue[0].fd, TUNSETOFFLOAD, (unsigned long)bits);
}

static void set_header(struct tap *t, unsigned header)
{
	int size = (int)header;

	if (!ioctl(t->queue[0].fd, TUNSETVNETHDRSZ, &size))
		__atomic_store_n(&t->header, header, __ATOMIC_SEQ_CST);
}

/* Changes the interface while it looks: before there is traffic. */
static void probe(struct tap *t)
{
	struct net_offloads *can = &t->net.can;

	can->csum = set_offloads(t, OFF_CSUM);
	can->tso4 = set_offloads(t, OFF_CSUM | OFF_TSO4);
	can->tso6 = set_offloads(t, OFF_CSUM | OFF_TSO6);
	can->ecn = set_offloads(t, OFF_CSUM | OFF_TSO4 | OFF_ECN);
	can->ufo = set_offloads(t, OFF_CSUM | OFF_UFO);
	can->uso4 = can->uso6 = set_offloads(t, OFF_CSUM | OFF_USO4 | OFF_USO6);
	set_header(t, 24);
	can->tnl = t->header == 24 &&
		   set_offloads(t, OFF_CSUM | OFF_TSO4 | OFF_TNL);
	can->tnl_csum = can->tnl &&
			set_offloads(t, OFF_CSUM | OFF_TSO4 | OFF_TNL |
						OFF_TNL_CSUM);
	set_offloads(t, 0);
	set_header(t, 12);
}

static unsigned offload_bits(const struct net_offloads *o)
{
	return (o->csum ? OFF_CSUM : 0) | (o->tso4 ? OFF_TSO4 : 0) |
	       (o->tso6 ? OFF_TSO6 : 0) | (o->ecn ? OFF_ECN : 0) |
	       (o->ufo ? OFF_UFO : 0) | (o->uso4 ? OFF_USO4 : 0) |
	       (o->uso6 ? OFF_USO6 : 0) | (o->tnl ? OFF_TNL : 0) |
	       (o->tnl_csum ? OFF_TNL_CSUM : 0);
}

static void tap_set_up(struct net *net, unsigned header,
		       const struct net_offloads *guest)
{
	/* Given up in this order when the kernel refuses the whole. */
	static const unsigned drop[] = {0, OFF_TNL | OFF_TNL_CSUM,
					OFF_USO4 | OFF_USO6, OFF_UFO};
	struct tap *t = (struct tap *)net;
	unsigned bits = offload_bits(guest), i;

	if (!net->has_header)
		return;
	set_offloads(t, 0);
	set_header(t, header);
	/* The kernel has both halves of USO or none. */
	if (!(bits & OFF_USO4) != !(bits & OFF_USO6))
		bits &= ~(OFF_USO4 | OFF_USO6);
	for (i = 0; i < ARRAY_SIZE(drop); i++) {
		bits &= ~drop[i];
		if (set_offloads(t, bits))
			return;
	}
	set_offloads(t, 0);
}

static void tap_set_queues(struct net *net, unsigned n)
{
	struct tap *t = (struct tap *)net;
	struct ifreq ifr;
	unsigned i;

	for (i = 1; i < net_queues(net); i++) {
		if (t->queue[i].attached == (i < n))
			continue;
		ifr = (struct ifreq){
			.ifr_flags = i < n ? IFF_ATTACH_QUEUE
					   : IFF_DETACH_QUEUE,
		};
		if (!ioctl(t->queue[i].fd, TUNSETQUEUE, &ifr))
			t->queue[i].attached = i < n;
	}
}

static int tap_send(struct net *net, unsigned q, const struct iovec *iov,
		    unsigned n)
{
	struct tap *t = (struct tap *)net;
	ssize_t ret;

	do {
		ret = writev(t->queue[q].fd, iov, (int)n);
	} while (ret < 0 && errno == EINTR);
	/* An interface that is down or full loses frames, as wires do. */
	return ret < 0 && errno == EINVAL ? -EINVAL : 0;
}

/* The next frame into q->frame; false when there is none. */
static bool read_frame(struct tap_queue *q)
{
	struct tap *t = q->tap;
	unsigned header = __atomic_load_n(&t->header, __ATOMIC_SEQ_CST);
	ssize_t n = read(q->fd, q->frame, sizeof(q->frame));

	if (n <= 0)
		return false;
	/* A header of another size meanwhile: nobody can tell which. */
	q->held = header == __atomic_load_n(&t->header, __ATOMIC_SEQ_CST);
	q->held_len = (size_t)n;
	q->held_header = t->net.has_header ? header : 0;
	return true;
}

static bool give_frame(struct tap_queue *q)
{
	const struct net_user *u = &q->tap->user;

	q->held = !u->receive(u->opaque, q->index, q->frame, q->held_len,
			      q->held_header);
	return !q->held;
}

static void tap_readable(void *opaque, int revents)
{
	struct tap_queue *q = opaque;
	unsigned i;

	for (i = 0; i < BURST; i++) {
		if (!q->held && !read_frame(q))
			break;
		if (q->held && !give_frame(q)) {
			evloop_set(q->watch, 0);
			/* Room that came before that would be missed. */
			if (!give_frame(q))
				break;
			evloop_set(q->watch, POLLIN);
		}
	}
	q->tap->user.flush(q->tap->user.opaque, q->index);
}

static void tap_detach(struct net *net)
{
	struct tap *t = (struct tap *)net;
	unsigned i;

	for (i = 0; i < net_queues(net); i++) {
		evloop_remove(t->queue[i].watch);
		t->queue[i].watch = NULL;
	}
}

static int tap_attach(struct net *net, struct evloop *const *loop,
		      const struct net_user *user)
{
	struct tap *t = (struct tap *)net;
	struct tap_queue *q;

	t->user = *user;
	for (q = t->queue; q < t->queue + net_queues(net); q++) {
		q->held = false;
		q->watch = evloop_add(loop[q->index], q->fd, POLLIN,
				      tap_readable, q);
		if (!q->watch)
			return -ENOMEM;
	}
	return 0;
}

static void tap_room(struct net *net, unsigned q)
{
	struct tap *t = (struct tap *)net;

	if (t->queue[q].watch)
		evloop_set(t->queue[q].watch, POLLIN);
}

static void tap_close(struct net *net)
{
	struct tap *t = (struct tap *)net;
	unsigned i;

	if (net->has_header) {
		set_offloads(t, 0);
		set_header(t, HEADER_MIN);
	}
	for (i = 0; i < net_queues(net); i++)
		if (t->queue[i].fd >= 0)
			close(t->queue[i].fd);
	vhost_net_close(t->vhost);
	free(t->queue);
	free(t);
}

static const struct net_ops tap_ops = {
	.attach = tap_attach,
	.detach = tap_detach,
	.send = tap_send,
	.room = tap_room,
	.set_up = tap_set_up,
	.set_queues = tap_set_queues,
	.close = tap_close,
};

/* ---- with vhost-net ---- */

/* Bits that are the kernel's to offer: the rings', tunnels' headers. */
#define VHOST_LOW \
	(BIT64(15) | BIT64(28) | BIT64(29) | BIT64(32) | BIT64(34) | BIT64(35))
#define VHOST_HIGH  (BIT64(1) | BIT64(3))
/* What it has no words for: data in notifications, one ring's reset, hashes. */
#define VHOST_NEVER (BIT64(38) | BIT64(40) | BIT64(57) | BIT64(60))

static int tap_vhost_start(struct net *net, const struct vhost_setup *s)
{
	struct tap *t = (struct tap *)net;
	int fd[NET_QUEUES];
	unsigned i;

	for (i = 0; i < net_queues(net); i++)
		fd[i] = t->queue[i].fd;
	return vhost_net_start(t->vhost, s, fd);
}

static void tap_vhost_stop(struct net *net)
{
	vhost_net_stop(((struct tap *)net)->vhost);
}

static int tap_vhost_attach(struct net *net, struct evloop *const *loop,
			    const struct net_user *user)
{
	return 0;
}

static void tap_vhost_detach(struct net *net)
{
}

static const struct vhost_ops tap_vhost = {
	tap_vhost_start,
	tap_vhost_stop,
};

static const struct net_ops tap_vhost_ops = {
	.attach = tap_vhost_attach,
	.detach = tap_vhost_detach,
	.send = tap_send,
	.room = tap_room,
	.set_up = tap_set_up,
	.set_queues = tap_set_queues,
	.close = tap_close,
	.vhost = &tap_vhost,
};

static int take_vhost(struct tap *t, const struct net_tap_options *o,
		      struct err *e)
{
	uint64_t has[2];

	t->vhost = vhost_net_open(&vhost_sys_kernel,
				  o->vhost_fds ? o->vhost_fd : NULL,
				  net_queues(&t->net), e);
	if (!t->vhost)
		return -ENOTSUP;
	vhost_net_features(t->vhost, has);
	t->net.ops = &tap_vhost_ops;
	t->net.deny[0] = (VHOST_LOW & ~has[0]) | VHOST_NEVER;
	t->net.deny[1] = VHOST_HIGH & ~has[1];
	return 0;
}

/* ---- opening ---- */

static const char *tap_reason(int code)
{
	switch (code) {
	case -EINVAL: return "it has another number of queues or is none";
	case -EPERM:
		return "not permitted (root makes one for a user, ifname= "
		       "names it; the user network needs no privilege)";
	default: return strerror(-code);
	}
}

/* One more queue of @ifr, whose name is filled in. */
static int open_queue(struct ifreq *ifr, struct err *e)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), code;

	if (fd < 0)
		return err_set(e, -errno, "cannot open /dev/net/tun: %s",
			       strerror(errno));
	if (!ioctl(fd, TUNSETIFF, ifr))
		return fd;
	code = -errno;
	close(fd);
	return err_set(e, code, "cannot %s tap interface%s%s: %s",
		       ifr->ifr_name[0] ? "open the" : "make a",
		       ifr->ifr_name[0] ? " " : "", ifr->ifr_name,
		       tap_reason(code));
}

static int open_new(struct tap *t, const struct net_tap_options *o,
		    struct err *e)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	unsigned i;

	ifr.ifr_flags |= o->no_header ? 0 : IFF_VNET_HDR;
	ifr.ifr_flags |= o->queues > 1 ? IFF_MULTI_QUEUE : 0;
	strcpy(ifr.ifr_name, o->ifname);
	for (i = 0; i < net_queues(&t->net); i++) {
		t->queue[i].fd = open_queue(&ifr, e);
		if (t->queue[i].fd < 0)
			return t->queue[i].fd;
	}
	return 0;
}

static int take_given(int fd, struct err *e)
{
	struct ifreq ifr = {0};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC))
		return err_set(e, -EBADF, "fd %d is not open", fd);
	if (ioctl(fd, TUNGETIFF, &ifr) || !(ifr.ifr_flags & IFF_TAP) ||
	    !(ifr.ifr_flags & IFF_NO_PI))
		return err_set(e, -EINVAL,
			       "fd %d is not a tap interface without packet "
			       "information",
			       fd);
	return 0;
}

static int take_all(struct tap *t, const struct net_tap_options *o,
		    struct err *e)
{
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < o->fds; i++) {
		ret = take_given(o->fd[i], e);
		if (!ret)
			t->queue[i].fd = o->fd[i];
	}
	return ret;
}

/* It came to nothing: given ones stay whose they were. */
static void give_up(struct tap *t, const struct net_tap_options *o)
{
	unsigned i;

	for (i = 0; i < o->fds; i++)
		t->queue[i].fd = -1;
	tap_close(&t->net);
}

static bool make_queues(struct tap *t, unsigned n)
{
	unsigned i;

	t->net.queues = n;
	t->queue = calloc(n, sizeof(*t->queue));
	for (i = 0; t->queue && i < n; i++) {
		t->queue[i].tap = t;
		t->queue[i].index = i;
		t->queue[i].fd = -1;
		t->queue[i].attached = true;
	}
	return t->queue;
}

struct net *net_tap_open(const struct net_tap_options *o, struct err *e)
{
	struct tap *t = calloc(1, sizeof(*t));
	struct ifreq ifr = {0};

	if (!t || !make_queues(t, o->fds ? o->fds : MAX(o->queues, 1U))) {
		free(t);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	t->net.ops = &tap_ops;
	if ((o->fds ? take_all(t, o, e) : open_new(t, o, e)) ||
	    (o->vhost && take_vhost(t, o, e))) {
		give_up(t, o);
		return NULL;
	}
	t->net.has_header = !ioctl(t->queue[0].fd, TUNGETIFF, &ifr) &&
			    ifr.ifr_flags & IFF_VNET_HDR;
	if (t->net.has_header)
		probe(t);
	return &t->net;
}
