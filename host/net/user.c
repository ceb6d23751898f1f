/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a process without privilege: libslirp ends the guest's
 * connections here and makes host connections in their place. It is not made
 * for threads: calls of it are under a lock, operators' rules among them. The
 * thread of the card waits for its descriptors, and frames sent on others wait
 * in a queue for that one, but for a segment of a connection that stands:
 * where the thread need not wait for anything else then, it is not woken. The
 * library knows whole segments with checksums only: what the guest leaves open
 * is done here, what the library cuts is put together again. Left out: SMB.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/evloop.h"
#include "host/net/gro.h"
#include "host/net/userconf.h"
#include "lib/mono.h"

#define HEADER    12   /* until the card says another */
#define QUEUE_MAX 1024 /* frames waiting, each way */
#define FRAME_MAX (GRO_HEADER + GRO_FRAME)
#define WANTS     64  /* descriptors waited for, to compare */
#define SPINS     100 /* looks at the library's lock */

struct frame {
	struct frame *next;
	size_t len;
	unsigned header; /* bytes of it that are a virtio-net header */
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

/* What the library waits for, each by its place among the polled. */
struct wants {
	struct {
		int fd;
		short events;
		int place;
	} of[WANTS];
	unsigned n;
	bool compare; /* with what is there, instead of adding to it */
	bool differ;
	uint64_t until; /* mono_ns() */
};

/* A connection that an address of the guest's network stands for. */
struct guestfwd {
	struct guestfwd *next;
	int fd;
	int poll; /* its place among the polled, -1: none */
	size_t room;
	struct in_addr addr;
	int port;
};

struct user {
	struct net net;
	pthread_mutex_t calls; /* into slirp; recursive, before all others */
	Slirp *slirp;
	struct evloop_source source;
	struct evloop_set *set; /* of the wait at hand */
	struct wants wants;     /* ... */
	bool free_way;          /* the guest takes what is fetched */
	bool waits;             /* the thread does so, or is about to */
	struct frames backlog;  /* to the guest */
	struct gro gro;
	unsigned gro_header; /* the guest's */
	struct timer *timers;
	struct guestfwd *guestfwd;
	pthread_mutex_t user_lock; /* held while receive() runs */
	struct net_user user;
	bool attached;
	pthread_mutex_t lock; /* everything below */
	struct evloop *loop;  /* NULL: not attached */
	struct frames outgoing;
	unsigned header;
	struct net_offloads guest;
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
	pthread_mutex_lock(&u->lock);
	if (u->loop && !evloop_is_self(u->loop))
		evloop_wake(u->loop);
	pthread_mutex_unlock(&u->lock);
}

/* ---- to the guest ---- */

static bool deliver(struct user *u, const uint8_t *frame, size_t len,
		    unsigned header)
{
	bool taken = true;

	pthread_mutex_lock(&u->user_lock);
	if (u->attached)
		taken = u->user.receive(u->user.opaque, 0, frame, len, header);
	pthread_mutex_unlock(&u->user_lock);
	return taken;
}

/* What was put together is complete. */
static void end_frame(struct user *u)
{
	unsigned header = u->gro_header;
	struct frame *f;
	uint8_t *p;
	size_t len;

	if (!u->gro.segments)
		return;
	p = gro_finish(&u->gro, header, &len);
	if (!u->backlog.head && deliver(u, p, len, header))
		return;
	f = u->backlog.count < QUEUE_MAX ? malloc(sizeof(*f) + len) : NULL;
	if (!f)
		return;
	f->len = len;
	f->header = header;
	memcpy(f->bytes, p, len);
	push(&u->backlog, f);
}

static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct user *u = opaque;

	if (len > GRO_FRAME)
		return (ssize_t)len;
	if (!gro_append(&u->gro, buf, len)) {
		end_frame(u);
		gro_start(&u->gro, buf, len);
	}
	if (u->gro.last)
		end_frame(u);
	return (ssize_t)len;
}

static void flush(struct user *u)
{
	end_frame(u);
	pthread_mutex_lock(&u->user_lock);
	if (u->attached)
		u->user.flush(u->user.opaque, 0);
	pthread_mutex_unlock(&u->user_lock);
}

/* True when nothing waits any more. */
static bool deliver_backlog(struct user *u)
{
	const struct frame *f;

	while ((f = u->backlog.head)) {
		if (!deliver(u, f->bytes, f->len, f->header))
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
	return (int64_t)mono_ns();
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

/* Its place in the wait at hand, which is the same if the want is. */
static int same_want(struct wants *w, int fd, short events)
{
	unsigned i = w->n++;

	if (i < WANTS && w->of[i].fd == fd && w->of[i].events == events)
		return w->of[i].place;
	w->differ = true;
	return -1;
}

static int add_poll(int fd, int events, void *opaque)
{
	struct user *u = opaque;
	struct wants *w = &u->wants;
	short want = 0;
	int place;

	want |= events & SLIRP_POLL_IN ? POLLIN : 0;
	want |= events & SLIRP_POLL_OUT ? POLLOUT : 0;
	want |= events & SLIRP_POLL_PRI ? POLLPRI : 0;
	if (w->compare)
		return same_want(w, fd, want);
	place = evloop_want(u->set, fd, want);
	if (w->n < WANTS) {
		w->of[w->n].fd = fd;
		w->of[w->n].events = want;
		w->of[w->n].place = place;
	}
	w->n++;
	return place;
}

static int get_revents(int idx, void *opaque)
{
	struct user *u = opaque;
	short got;
	int events = 0;

	if (idx < 0 || (unsigned)idx >= u->set->n)
		return 0;
	got = u->set->fd[idx].revents;
	events |= got & POLLIN ? SLIRP_POLL_IN : 0;
	events |= got & POLLOUT ? SLIRP_POLL_OUT : 0;
	events |= got & POLLPRI ? SLIRP_POLL_PRI : 0;
	events |= got & POLLERR ? SLIRP_POLL_ERR : 0;
	events |= got & POLLHUP ? SLIRP_POLL_HUP : 0;
	return events;
}

/* ---- addresses of the guest's network that lead out ---- */

/* Bytes of the guest for a connection of ours. */
static ssize_t guestfwd_write(const void *buf, size_t len, void *opaque)
{
	const struct guestfwd *g = opaque;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(g->fd, (const char *)buf + done, len - done,
			 MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	/* A peer that is gone takes everything. */
	return (ssize_t)len;
}

static void guestfwd_poll(struct user *u)
{
	struct guestfwd *g;

	for (g = u->guestfwd; g; g = g->next) {
		g->poll = -1;
		if (g->fd < 0)
			continue;
		g->room = slirp_socket_can_recv(u->slirp, g->addr, g->port);
		if (g->room)
			g->poll = add_poll(g->fd, SLIRP_POLL_IN, u);
	}
}

static void guestfwd_read(struct user *u)
{
	uint8_t buf[4096];
	struct guestfwd *g;
	ssize_t n;

	for (g = u->guestfwd; g; g = g->next) {
		if (g->poll < 0 || !u->set->fd[g->poll].revents)
			continue;
		n = recv(g->fd, buf, MIN(sizeof(buf), g->room), MSG_DONTWAIT);
		if (n > 0)
			slirp_socket_recv(u->slirp, g->addr, g->port, buf,
					  (int)n);
		if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
			continue;
		close(g->fd);
		g->fd = -1;
	}
}

static struct guestfwd *
guestfwd_connect(struct user *u, struct userconf_guestfwd *rule, struct err *e)
{
	struct guestfwd *g = calloc(1, sizeof(*g));
	int code;

	if (!g) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	*g = (struct guestfwd){u->guestfwd, -1, -1, 0, rule->addr, rule->port};
	u->guestfwd = g;
	g->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (g->fd >= 0 &&
	    !connect(g->fd, (struct sockaddr *)&rule->host, sizeof(rule->host)))
		return g;
	code = -errno;
	err_set(e, code, "cannot connect: %s", strerror(-code));
	return NULL;
}

static int add_guestfwd(struct user *u, const struct userconf *c,
			const char *text, struct err *e)
{
	struct userconf_guestfwd rule;
	struct guestfwd *g;
	int ret = userconf_guestfwd(&rule, c, text, e);

	if (ret)
		return ret;
	switch (rule.kind) {
	case GUESTFWD_COMMAND:
		ret = slirp_add_exec(u->slirp, rule.target, &rule.addr,
				     rule.port);
		break;
	case GUESTFWD_UNIX:
		ret = slirp_add_unix(u->slirp, rule.target, &rule.addr,
				     rule.port);
		break;
	case GUESTFWD_TCP:
		g = guestfwd_connect(u, &rule, e);
		if (!g)
			return err_wrap(e, "guestfwd=%s", text);
		ret = slirp_add_guestfwd(u->slirp, guestfwd_write, g, &g->addr,
					 g->port);
		break;
	}
	return ret ? err_set(e, -EINVAL,
			     "guestfwd=%s: that address is the network's own "
			     "or taken",
			     text)
		   : 0;
}

/* ---- the loop ---- */

/* Fill in what to wait for, and compare it; ms at most. */
static uint32_t fill_wants(struct user *u)
{
	uint32_t ms = UINT32_MAX;

	u->wants.n = 0;
	u->wants.differ = false;
	slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
	guestfwd_poll(u);
	return ms;
}

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

static void take_outgoing(struct user *u)
{
	struct frames q;
	struct frame *f;

	pthread_mutex_lock(&u->lock);
	q = u->outgoing;
	u->outgoing = (struct frames){0};
	u->gro_header = u->header;
	u->gro.csum = u->guest.csum;
	u->gro.tso4 = u->guest.tso4;
	u->gro.tso6 = u->guest.tso6;
	pthread_mutex_unlock(&u->lock);
	while ((f = shift(&q))) {
		slirp_input(u->slirp, f->bytes + f->header,
			    (int)(f->len - f->header));
		free(f);
	}
}

static void prepare(void *opaque, struct evloop_set *set)
{
	struct user *u = opaque;
	uint32_t ms;

	pthread_mutex_lock(&u->calls);
	u->set = set;
	take_outgoing(u);
	u->free_way = deliver_backlog(u);
	/* While the guest takes nothing, nothing is fetched. */
	ms = u->free_way ? fill_wants(u) : 100;
	ms = MIN(run_timers(u, ms), 60000U);
	flush(u);
	set->ms = (int)ms;
	u->wants.until = mono_ns() + ms * NS_PER_MS;
	u->waits = true;
	pthread_mutex_unlock(&u->calls);
}

static void ready(void *opaque, const struct evloop_set *set)
{
	struct user *u = opaque;

	pthread_mutex_lock(&u->calls);
	/* Another wait is due where another thread found so. */
	if (u->free_way && u->waits) {
		slirp_pollfds_poll(u->slirp, false, get_revents, u);
		guestfwd_read(u);
	}
	u->waits = false;
	pthread_mutex_unlock(&u->calls);
}

/* ---- the backend ---- */

static int user_attach(struct net *net, struct evloop *const *loop,
		       const struct net_user *user)
{
	struct user *u = (struct user *)net;

	pthread_mutex_lock(&u->user_lock);
	u->user = *user;
	u->attached = true;
	pthread_mutex_unlock(&u->user_lock);
	pthread_mutex_lock(&u->lock);
	u->loop = loop[0];
	pthread_mutex_unlock(&u->lock);
	evloop_set_source(loop[0], &u->source);
	return 0;
}

static void user_detach(struct net *net)
{
	struct user *u = (struct user *)net;
	struct evloop *loop;

	pthread_mutex_lock(&u->lock);
	loop = u->loop;
	u->loop = NULL;
	pthread_mutex_unlock(&u->lock);
	if (loop)
		evloop_set_source(loop, NULL);
	pthread_mutex_lock(&u->user_lock);
	u->attached = false;
	pthread_mutex_unlock(&u->user_lock);
}

/* The frame in @iov, its checksums done; NULL: not one, or no memory. */
static struct frame *take_frame(const struct iovec *iov, unsigned n,
				unsigned header)
{
	size_t len = iov_length(iov, n);
	struct frame *f;
	unsigned i;

	if (len > FRAME_MAX || len <= header)
		return NULL;
	f = malloc(sizeof(*f) + len);
	if (!f)
		return NULL;
	f->header = header;
	f->len = 0;
	for (i = 0; i < n; i++) {
		memcpy(f->bytes + f->len, iov[i].iov_base, iov[i].iov_len);
		f->len += iov[i].iov_len;
	}
	if (gro_complete(f->bytes, f->bytes + header, len - header))
		return f;
	free(f);
	return NULL;
}

static void input(struct user *u, const struct frame *f)
{
	slirp_input(u->slirp, f->bytes + f->header, (int)(f->len - f->header));
}

/* For the thread of the loop, which gets to it soon. */
static void send_later(struct user *u, struct frame *f)
{
	bool first;

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
}

/* The holder is about to sleep, most often. */
static bool try_slirp(struct user *u)
{
	for (int i = 0; i < SPINS; i++) {
		if (!pthread_mutex_trylock(&u->calls))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* Whether this frame may come before what the loop's thread has to do. */
static bool may_pass(struct user *u)
{
	bool yes;

	pthread_mutex_lock(&u->lock);
	yes = u->loop && !u->outgoing.head;
	pthread_mutex_unlock(&u->lock);
	return yes && u->free_way && !u->backlog.head;
}

/* Whether the thread waits for anything else than it would have to now. */
static bool wait_is_stale(struct user *u)
{
	unsigned was = u->wants.n;
	uint32_t ms;

	u->wants.compare = true;
	ms = run_timers(u, fill_wants(u));
	u->wants.compare = false;
	if (u->wants.differ || u->wants.n != was)
		u->waits = false;
	return !u->waits || u->backlog.head ||
	       mono_ns() + ms * NS_PER_MS < u->wants.until;
}

/*
 * On another thread than the loop's, which waits or soon will. False: that
 * one has to do it.
 */
static bool send_beside(struct user *u, const struct frame *f)
{
	bool pass, rouse = false;

	if (!gro_is_segment(f->bytes + f->header, f->len - f->header) ||
	    !try_slirp(u))
		return false;
	pass = may_pass(u);
	if (pass) {
		input(u, f);
		flush(u);
		rouse = u->waits && wait_is_stale(u);
	}
	pthread_mutex_unlock(&u->calls);
	if (rouse)
		wake(u);
	return pass;
}

static int user_send(struct net *net, unsigned q, const struct iovec *iov,
		     unsigned n)
{
	struct user *u = (struct user *)net;
	struct frame *f = take_frame(
		iov, n, __atomic_load_n(&u->header, __ATOMIC_RELAXED));
	bool self;

	if (!f)
		return -EINVAL;
	pthread_mutex_lock(&u->lock);
	self = evloop_is_self(u->loop);
	pthread_mutex_unlock(&u->lock);
	if (self) {
		pthread_mutex_lock(&u->calls);
		take_outgoing(u); /* what was sent before */
		input(u, f);
		pthread_mutex_unlock(&u->calls);
	} else if (!send_beside(u, f)) {
		send_later(u, f);
		return 0;
	}
	free(f);
	return 0;
}

static void user_set_up(struct net *net, unsigned header,
			const struct net_offloads *guest)
{
	struct user *u = (struct user *)net;

	pthread_mutex_lock(&u->lock);
	__atomic_store_n(&u->header, header, __ATOMIC_RELAXED);
	u->guest = *guest;
	pthread_mutex_unlock(&u->lock);
	wake(u); /* before more frames of the old kind are made */
}

static void user_room(struct net *net, unsigned q)
{
	wake((struct user *)net);
}

static void user_close(struct net *net)
{
	struct user *u = (struct user *)net;
	struct guestfwd *g;

	if (u->slirp)
		slirp_cleanup(u->slirp);
	while ((g = u->guestfwd)) {
		u->guestfwd = g->next;
		if (g->fd >= 0)
			close(g->fd);
		free(g);
	}
	empty(&u->backlog);
	empty(&u->outgoing);
	pthread_mutex_destroy(&u->user_lock);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->calls);
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

static struct user *make(struct err *e)
{
	struct user *u = calloc(1, sizeof(*u));
	pthread_mutexattr_t recursive;

	if (!u) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&u->calls, &recursive);
	pthread_mutexattr_destroy(&recursive);
	u->net = (struct net){
		.ops = &user_ops,
		.has_header = true,
		.can = {.csum = true, .tso4 = true, .tso6 = true},
	};
	u->header = HEADER;
	u->source = (struct evloop_source){prepare, ready, u};
	pthread_mutex_init(&u->user_lock, NULL);
	pthread_mutex_init(&u->lock, NULL);
	return u;
}

struct net *net_user_open(const struct net_user_options *o, struct err *e)
{
	struct userconf c;
	struct user *u;
	unsigned i;
	int ret;

	if (userconf_fill(&c, o, e))
		return NULL;
	u = make(e);
	if (!u)
		return NULL;
	u->slirp = slirp_new(&c.slirp, &callbacks, u);
	ret = u->slirp ? 0 : err_set(e, -EIO, "libslirp does not start");
	for (i = 0; !ret && i < o->forwards; i++)
		ret = userconf_forward(u->slirp, &c, o->forward[i], e);
	for (i = 0; !ret && i < o->guestfwds; i++)
		ret = add_guestfwd(u, &c, o->guestfwd[i], e);
	if (!ret)
		return &u->net;
	user_close(&u->net);
	return NULL;
}

/* ---- operators' rules ---- */

int net_user_forward(struct net *net, const struct net_user_options *o,
		     const char *rule, struct err *e)
{
	struct user *u = (struct user *)net;
	struct userconf c;
	int ret = userconf_fill(&c, o, e);

	if (ret)
		return ret;
	pthread_mutex_lock(&u->calls);
	ret = userconf_forward(u->slirp, &c, rule, e);
	pthread_mutex_unlock(&u->calls);
	wake(u); /* to look at one socket more */
	return ret;
}

int net_user_unforward(struct net *net, const char *rule, struct err *e)
{
	struct user *u = (struct user *)net;
	int ret;

	pthread_mutex_lock(&u->calls);
	ret = userconf_unforward(u->slirp, rule, e);
	pthread_mutex_unlock(&u->calls);
	wake(u);
	return ret;
}

char *net_user_connections(struct net *net)
{
	struct user *u = (struct user *)net;
	char *text;

	pthread_mutex_lock(&u->calls);
	text = slirp_connection_info(u->slirp);
	pthread_mutex_unlock(&u->calls);
	return text;
}
