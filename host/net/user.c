/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a process without privilege: libslirp ends the guest's
 * connections here and makes host connections in their place. It is not made
 * for threads, so all calls of it are on one thread of its own; frames from
 * the guest wait for it in a queue. Left out: TFTP, SMB, programs behind
 * addresses.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "host/net/net.h"

#define QUEUE_MAX 1024 /* frames waiting, each way */
#define FRAME_MAX 65536

struct frame {
	struct frame *next;
	size_t len;
	uint8_t bytes[];
};

struct frames {
	struct frame *head;
	struct frame *tail;
	unsigned count;
};

struct timer {
	struct timer *next;
	SlirpTimerId id;
	void *opaque;
	int64_t due; /* ms, -1: not set */
};

struct user {
	struct net net;
	Slirp *slirp;
	pthread_t thread;
	bool running;
	int wake; /* eventfd */
	struct pollfd *poll;
	unsigned polls, poll_max;
	struct frames backlog; /* to the guest; this thread's */
	struct timer *timers;
	pthread_mutex_t user_lock; /* held while receive() runs */
	struct net_user user;
	bool attached;
	pthread_mutex_t lock; /* everything below */
	struct frames outgoing;
	bool stop;
};

/* ---- queues ---- */

static void push(struct frames *q, struct frame *f)
{
	f->next = NULL;
	if (q->tail)
		q->tail->next = f;
	else
		q->head = f;
	q->tail = f;
	q->count++;
}

static struct frame *shift(struct frames *q)
{
	struct frame *f = q->head;

	if (!f)
		return NULL;
	q->head = f->next;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	return f;
}

static void empty(struct frames *q)
{
	struct frame *f;

	while ((f = shift(q)))
		free(f);
}

static void wake(struct user *u)
{
	uint64_t one = 1;

	while (write(u->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- to the guest ---- */

static bool deliver(struct user *u, const uint8_t *frame, size_t len)
{
	bool taken = true;

	pthread_mutex_lock(&u->user_lock);
	if (u->attached)
		taken = u->user.receive(u->user.opaque, frame, len, 0);
	pthread_mutex_unlock(&u->user_lock);
	return taken;
}

static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct user *u = opaque;
	struct frame *f;

	if (!u->backlog.head && deliver(u, buf, len))
		return (ssize_t)len;
	f = u->backlog.count < QUEUE_MAX ? malloc(sizeof(*f) + len) : NULL;
	if (f) {
		f->len = len;
		memcpy(f->bytes, buf, len);
		push(&u->backlog, f);
	}
	return (ssize_t)len;
}

/* True when nothing waits any more. */
static bool deliver_backlog(struct user *u)
{
	while (u->backlog.head) {
		if (!deliver(u, u->backlog.head->bytes, u->backlog.head->len))
			return false;
		free(shift(&u->backlog));
	}
	return true;
}

/* ---- what libslirp asks for ---- */

static void on_guest_error(const char *msg, void *opaque)
{
}

static int64_t now_ns(void *opaque)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void *timer_make(SlirpTimerId id, void *cb_opaque, void *opaque)
{
	struct user *u = opaque;
	struct timer *t = calloc(1, sizeof(*t));

	if (!t)
		abort(); /* the library takes no for no answer */
	*t = (struct timer){u->timers, id, cb_opaque, -1};
	u->timers = t;
	return t;
}

static void timer_drop(void *timer, void *opaque)
{
	struct user *u = opaque;
	struct timer **link = &u->timers;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = (*link)->next;
	free(timer);
}

static void timer_set(void *timer, int64_t expire_ms, void *opaque)
{
	((struct timer *)timer)->due = expire_ms;
}

static void poll_fd_nothing(int fd, void *opaque)
{
}

static void on_notify(void *opaque)
{
	wake(opaque);
}

static const SlirpCb callbacks = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = now_ns,
	.timer_free = timer_drop,
	.timer_mod = timer_set,
	.register_poll_fd = poll_fd_nothing,
	.unregister_poll_fd = poll_fd_nothing,
	.notify = on_notify,
	.timer_new_opaque = timer_make,
};

static int add_poll(int fd, int events, void *opaque)
{
	struct user *u = opaque;
	short want = 0;

	if (u->polls == u->poll_max) {
		unsigned max = u->poll_max * 2;
		struct pollfd *more = realloc(u->poll, max * sizeof(*more));

		if (!more)
			return -1;
		u->poll = more;
		u->poll_max = max;
	}
	want |= events & SLIRP_POLL_IN ? POLLIN : 0;
	want |= events & SLIRP_POLL_OUT ? POLLOUT : 0;
	want |= events & SLIRP_POLL_PRI ? POLLPRI : 0;
	u->poll[u->polls] = (struct pollfd){fd, want, 0};
	return (int)u->polls++;
}

static int get_revents(int idx, void *opaque)
{
	struct user *u = opaque;
	short got;
	int events = 0;

	if (idx < 0 || (unsigned)idx >= u->polls)
		return 0;
	got = u->poll[idx].revents;
	events |= got & POLLIN ? SLIRP_POLL_IN : 0;
	events |= got & POLLOUT ? SLIRP_POLL_OUT : 0;
	events |= got & POLLPRI ? SLIRP_POLL_PRI : 0;
	events |= got & POLLERR ? SLIRP_POLL_ERR : 0;
	events |= got & POLLHUP ? SLIRP_POLL_HUP : 0;
	return events;
}

/* ---- the thread ---- */

/* Run timers that are due; the ms until the next, at most @ms. */
static uint32_t run_timers(struct user *u, uint32_t ms)
{
	int64_t now = now_ns(u) / 1000000;
	struct timer *t, *next;

	for (t = u->timers; t; t = next) {
		next = t->next;
		if (t->due >= 0 && t->due <= now) {
			t->due = -1;
			slirp_handle_timer(u->slirp, t->id, t->opaque);
		} else if (t->due >= 0) {
			ms = MIN(ms, (uint32_t)(t->due - now));
		}
	}
	return ms;
}

static bool take_outgoing(struct user *u)
{
	struct frames q;
	struct frame *f;
	bool stop;

	pthread_mutex_lock(&u->lock);
	q = u->outgoing;
	u->outgoing = (struct frames){0};
	stop = u->stop;
	pthread_mutex_unlock(&u->lock);
	while ((f = shift(&q))) {
		slirp_input(u->slirp, f->bytes, (int)f->len);
		free(f);
	}
	return !stop;
}

static void *user_main(void *arg)
{
	struct user *u = arg;
	uint32_t ms;
	uint64_t n;
	bool free_way;
	int ret;

	while (take_outgoing(u)) {
		free_way = deliver_backlog(u);
		u->polls = 1;
		u->poll[0] = (struct pollfd){u->wake, POLLIN, 0};
		ms = free_way ? UINT32_MAX : 100;
		/* While the guest takes nothing, nothing is fetched. */
		if (free_way)
			slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
		ms = run_timers(u, ms);
		ret = poll(u->poll, u->polls,
			   ms == UINT32_MAX ? -1 : (int)MIN(ms, 60000U));
		if (u->poll[0].revents)
			(void)!read(u->wake, &n, sizeof(n));
		if (free_way)
			slirp_pollfds_poll(u->slirp, ret < 0, get_revents, u);
	}
	return NULL;
}

/* ---- the backend ---- */

static int user_attach(struct net *net, struct evloop *loop,
		       const struct net_user *user)
{
	struct user *u = (struct user *)net;

	pthread_mutex_lock(&u->user_lock);
	u->user = *user;
	u->attached = true;
	pthread_mutex_unlock(&u->user_lock);
	return 0;
}

static void user_detach(struct net *net)
{
	struct user *u = (struct user *)net;

	pthread_mutex_lock(&u->user_lock);
	u->attached = false;
	pthread_mutex_unlock(&u->user_lock);
	wake(u);
}

static int user_send(struct net *net, const struct iovec *iov, unsigned n)
{
	struct user *u = (struct user *)net;
	struct frame *f;
	size_t len = 0;
	unsigned i;
	bool first;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (len > FRAME_MAX)
		return -EINVAL;
	f = malloc(sizeof(*f) + len);
	if (!f)
		return 0;
	f->len = 0;
	for (i = 0; i < n; i++) {
		memcpy(f->bytes + f->len, iov[i].iov_base, iov[i].iov_len);
		f->len += iov[i].iov_len;
	}
	pthread_mutex_lock(&u->lock);
	first = !u->outgoing.head;
	if (u->outgoing.count < QUEUE_MAX) {
		push(&u->outgoing, f);
		f = NULL;
	}
	pthread_mutex_unlock(&u->lock);
	free(f);
	if (first)
		wake(u);
	return 0;
}

static void user_room(struct net *net)
{
	wake((struct user *)net);
}

static void user_set_up(struct net *net, unsigned header,
			const struct net_offloads *guest)
{
}

static void user_close(struct net *net)
{
	struct user *u = (struct user *)net;

	if (u->running) {
		pthread_mutex_lock(&u->lock);
		u->stop = true;
		pthread_mutex_unlock(&u->lock);
		wake(u);
		pthread_join(u->thread, NULL);
	}
	if (u->slirp)
		slirp_cleanup(u->slirp);
	empty(&u->backlog);
	empty(&u->outgoing);
	if (u->wake >= 0)
		close(u->wake);
	pthread_mutex_destroy(&u->user_lock);
	pthread_mutex_destroy(&u->lock);
	free(u->poll);
	free(u);
}

static const struct net_ops user_ops = {
	.attach = user_attach,
	.detach = user_detach,
	.send = user_send,
	.room = user_room,
	.set_up = user_set_up,
	.close = user_close,
};

/* ---- options ---- */

static int parse_address(const char *text, struct in_addr *out, struct err *e)
{
	return inet_pton(AF_INET, text, out) == 1
		       ? 0
		       : err_set(e, -EINVAL, "'%s' is not an IPv4 address",
				 text);
}

/* The @n'th address of the network unless @text says another. */
static int address_in(const SlirpConfig *c, const char *text, unsigned n,
		      struct in_addr *out, struct err *e)
{
	int ret;

	if (!text[0]) {
		out->s_addr = c->vnetwork.s_addr | htonl(n);
		return 0;
	}
	ret = parse_address(text, out, e);
	if (!ret && (out->s_addr & c->vnetmask.s_addr) != c->vnetwork.s_addr)
		ret = err_set(e, -EINVAL, "%s is not in the network", text);
	return ret;
}

static int configure(SlirpConfig *c, const struct net_user_options *o,
		     struct err *e)
{
	char net[64], *slash;
	unsigned long bits = 24;
	int ret;

	snprintf(net, sizeof(net), "%s", o->net[0] ? o->net : "10.0.2.0/24");
	slash = strchr(net, '/');
	if (slash) {
		*slash = '\0';
		bits = strtoul(slash + 1, NULL, 10);
	}
	if (bits < 8 || bits > 27)
		return err_set(e, -EINVAL, "net=%s: 8 to 27 bits are possible",
			       o->net);
	ret = parse_address(net, &c->vnetwork, e);
	if (ret)
		return ret;
	c->vnetmask.s_addr = htonl(UINT32_MAX << (32 - bits));
	c->vnetwork.s_addr &= c->vnetmask.s_addr;
	ret = address_in(c, o->host, 2, &c->vhost, e);
	if (!ret)
		ret = address_in(c, o->dns, 3, &c->vnameserver, e);
	if (!ret)
		ret = address_in(c, o->dhcp, 15, &c->vdhcp_start, e);
	c->version = 4;
	c->in_enabled = true;
	c->in6_enabled = true;
	inet_pton(AF_INET6, "fec0::", &c->vprefix_addr6);
	c->vprefix_len = 64;
	inet_pton(AF_INET6, "fec0::2", &c->vhost6);
	inet_pton(AF_INET6, "fec0::3", &c->vnameserver6);
	c->restricted = o->restricted;
	c->vhostname = o->hostname[0] ? o->hostname : NULL;
	c->vdomainname = o->domain[0] ? o->domain : NULL;
	return ret;
}

/* "[ADDR]:PORT" into its parts. */
static int parse_port(const char *text, struct in_addr *addr, int *port)
{
	const char *colon = strchr(text, ':');
	char host[64], *end;
	unsigned long n;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (host[0] && inet_pton(AF_INET, host, addr) != 1)
		return -EINVAL;
	n = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || *end || n > 65535)
		return -EINVAL;
	*port = (int)n;
	return 0;
}

/* "tcp|udp:[ADDR]:PORT-[ADDR]:PORT" */
static int forward(struct user *u, const SlirpConfig *c, const char *rule,
		   struct err *e)
{
	struct in_addr host = {htonl(INADDR_ANY)}, guest = c->vdhcp_start;
	bool udp = !strncmp(rule, "udp:", 4);
	int host_port, guest_port;
	char left[64];
	const char *dash = strchr(rule, '-');
	const char *from = udp || !strncmp(rule, "tcp:", 4) ? rule + 4 : rule;

	if (*from == ':' && from == rule)
		from++; /* ":ADDR:PORT" is TCP as well */
	if (!dash || (size_t)(dash - from) >= sizeof(left))
		goto bad;
	memcpy(left, from, (size_t)(dash - from));
	left[dash - from] = '\0';
	if (parse_port(left, &host, &host_port) ||
	    parse_port(dash + 1, &guest, &guest_port) || !guest_port)
		goto bad;
	if (slirp_add_hostfwd(u->slirp, udp, host, host_port, guest,
			      guest_port))
		return err_set(e, -errno, "hostfwd=%s: cannot listen: %s", rule,
			       strerror(errno));
	return 0;
bad:
	return err_set(e, -EINVAL,
		       "hostfwd=%s is not tcp|udp:[ADDR]:PORT-[ADDR]:PORT",
		       rule);
}

static int start(struct user *u, struct err *e)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&u->thread, NULL, user_main, u);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return err_set(e, -ret, "cannot start a thread");
	u->running = true;
	return 0;
}

static struct user *make(struct err *e)
{
	struct user *u = calloc(1, sizeof(*u));

	if (!u) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	u->net.ops = &user_ops;
	u->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u->poll_max = 32;
	u->poll = calloc(u->poll_max, sizeof(*u->poll));
	pthread_mutex_init(&u->user_lock, NULL);
	pthread_mutex_init(&u->lock, NULL);
	if (u->wake >= 0 && u->poll)
		return u;
	err_set(e, -ENOMEM, "out of memory");
	user_close(&u->net);
	return NULL;
}

struct net *net_user_open(const struct net_user_options *o, struct err *e)
{
	SlirpConfig c = {0};
	struct user *u;
	unsigned i;
	int ret;

	if (configure(&c, o, e))
		return NULL;
	u = make(e);
	if (!u)
		return NULL;
	u->slirp = slirp_new(&c, &callbacks, u);
	ret = u->slirp ? 0 : err_set(e, -EIO, "libslirp does not start");
	for (i = 0; !ret && i < o->forwards; i++)
		ret = forward(u, &c, o->forward[i], e);
	if (!ret)
		ret = start(u, e);
	if (!ret)
		return &u->net;
	user_close(&u->net);
	return NULL;
}
