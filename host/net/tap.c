/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap interface. What its kernel can do is found out by trying: bits of
 * TUNSETOFFLOAD by value, since only newer headers name all of them. The
 * header grows before tunnel offloads are turned on and shrinks after they
 * are off; with a short header every read would fail. Left out: several
 * queues, vhost, helper scripts.
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
#include "host/net/net.h"

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

struct tap {
	struct net net;
	int fd;
	struct net_user user;
	struct evloop_watch *watch;
	unsigned header; /* atomic: set_up() is another thread's */
	bool held;       /* frame[] waits for room */
	size_t held_len;
	unsigned held_header;
	uint8_t frame[FRAME_MAX];
};

static bool set_offloads(const struct tap *t, unsigned bits)
{
	return !ioctl(t->fd, TUNSETOFFLOAD, (unsigned long)bits);
}

static void set_header(struct tap *t, unsigned header)
{
	int size = (int)header;

	if (!ioctl(t->fd, TUNSETVNETHDRSZ, &size))
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

static int tap_send(struct net *net, const struct iovec *iov, unsigned n)
{
	struct tap *t = (struct tap *)net;
	ssize_t ret;

	do {
		ret = writev(t->fd, iov, (int)n);
	} while (ret < 0 && errno == EINTR);
	/* An interface that is down or full loses frames, as wires do. */
	return ret < 0 && errno == EINVAL ? -EINVAL : 0;
}

/* The next frame into t->frame; false when there is none. */
static bool read_frame(struct tap *t)
{
	unsigned header = __atomic_load_n(&t->header, __ATOMIC_SEQ_CST);
	ssize_t n = read(t->fd, t->frame, sizeof(t->frame));

	if (n <= 0)
		return false;
	/* A header of another size meanwhile: nobody can tell which. */
	t->held = header == __atomic_load_n(&t->header, __ATOMIC_SEQ_CST);
	t->held_len = (size_t)n;
	t->held_header = t->net.has_header ? header : 0;
	return true;
}

static bool give_frame(struct tap *t)
{
	t->held = !t->user.receive(t->user.opaque, t->frame, t->held_len,
				   t->held_header);
	return !t->held;
}

static void tap_readable(void *opaque, int revents)
{
	struct tap *t = opaque;
	unsigned i;

	for (i = 0; i < BURST; i++) {
		if (!t->held && !read_frame(t))
			return;
		if (t->held && !give_frame(t)) {
			evloop_set(t->watch, 0);
			/* Room that came before that would be missed. */
			if (!give_frame(t))
				return;
			evloop_set(t->watch, POLLIN);
		}
	}
}

static int tap_attach(struct net *net, struct evloop *loop,
		      const struct net_user *user)
{
	struct tap *t = (struct tap *)net;

	t->user = *user;
	t->held = false;
	t->watch = evloop_add(loop, t->fd, POLLIN, tap_readable, t);
	return t->watch ? 0 : -ENOMEM;
}

static void tap_detach(struct net *net)
{
	struct tap *t = (struct tap *)net;

	evloop_remove(t->watch);
	t->watch = NULL;
}

static void tap_room(struct net *net)
{
	struct tap *t = (struct tap *)net;

	if (t->watch)
		evloop_set(t->watch, POLLIN);
}

static void tap_close(struct net *net)
{
	struct tap *t = (struct tap *)net;

	if (net->has_header) {
		set_offloads(t, 0);
		set_header(t, HEADER_MIN);
	}
	close(t->fd);
	free(t);
}

static const struct net_ops tap_ops = {
	.attach = tap_attach,
	.detach = tap_detach,
	.send = tap_send,
	.room = tap_room,
	.set_up = tap_set_up,
	.close = tap_close,
};

static int open_new(const char *name, struct err *e)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd, code;

	if (strlen(name) >= sizeof(ifr.ifr_name))
		return err_set(e, -EINVAL, "ifname '%s' is too long", name);
	strcpy(ifr.ifr_name, name);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !ioctl(fd, TUNSETIFF, &ifr))
		return fd;
	code = -errno;
	if (fd >= 0)
		close(fd);
	return err_set(e, code, "cannot open the tap interface '%s': %s", name,
		       strerror(-code));
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
	return fd;
}

struct net *net_tap_open(const char *name, int fd, struct err *e)
{
	struct tap *t = calloc(1, sizeof(*t));
	struct ifreq ifr = {0};

	if (!t) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	t->net.ops = &tap_ops;
	t->fd = fd >= 0 ? take_given(fd, e) : open_new(name, e);
	if (t->fd < 0) {
		free(t);
		return NULL;
	}
	t->net.has_header = !ioctl(t->fd, TUNGETIFF, &ifr) &&
			    ifr.ifr_flags & IFF_VNET_HDR;
	if (t->net.has_header)
		probe(t);
	return &t->net;
}
