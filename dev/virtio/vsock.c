/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets between guest and host. Document: Virtual I/O Device 1.4 "Socket
 * Device" (5.10). On the host they are AF_UNIX, by Firecracker's convention:
 * who connects to PATH and says "CONNECT PORT\n" is led to that port of the
 * guest and reads "OK NUMBER\n"; a connection of the guest to port PORT of
 * the host leads to the socket PATH_PORT. Seqpacket sockets are led to
 * seqpacket sockets, a message to a message: those of the guest to PATH_PORT as
 * well, those of the host have a listener of their own, to which "CONNECT PORT"
 * is a message. What ends a record within messages (MSG_EOR) AF_UNIX has not.
 *
 * All is done by one thread under dev.lock; no descriptor ever blocks.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dev/virtio/type.h"
#include "dev/virtio/worker.h"
#include "host/evloop.h"

#define F_STREAM    0
#define F_SEQPACKET 1
#define QUEUE_SIZE  128
#define CONNS       1024
#define RESETS      64
#define BUFFER      (256U << 10) /* bytes of the guest a connection holds */
#define PIECE       (64U << 10)  /* bytes of a packet */
#define HOST_CID    2
#define FIRST_PORT  (1U << 30) /* of the host's own connections */
#define HELLO_MAX   32
#define PATH_SIZE   96 /* with "_" and a port it still is a socket's */

#define PCI_CLASS_COMM 0x078000

enum { Q_RX, Q_TX, Q_EVENT, QUEUES };
enum { TYPE_STREAM = 1, TYPE_SEQPACKET };
enum {
	OP_REQUEST = 1,
	OP_RESPONSE,
	OP_RST,
	OP_SHUTDOWN,
	OP_RW,
	OP_CREDIT_UPDATE,
	OP_CREDIT_REQUEST,
	OPS,
};
#define SHUT_RECEIVE BIT(0)
#define SHUT_SEND    BIT(1)
#define END_OF_MSG   BIT(0)

struct header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;
} __attribute__((packed));

_Static_assert(sizeof(struct header) == 44, "as the specification has it");

enum conn_state {
	CONN_HELLO, /* the host's program has not named a port yet */
	CONN_ASKED, /* the guest has not answered */
	CONN_OPEN,
};

/* What a seqpacket connection has besides: where messages end. */
struct messages {
	uint8_t *in; /* one on its way to the guest, NULL: none */
	size_t in_len, in_at;
	size_t open;    /* bytes in out that are no whole message yet */
	uint32_t *ends; /* lengths of the whole ones: a ring */
	uint32_t first, count, size;
};

struct conn {
	struct conn *next;
	int fd;
	uint16_t type;
	uint32_t alloc; /* what the guest is told it may send */
	struct messages msg;
	enum conn_state state;
	uint32_t host_port, guest_port;
	char hello[HELLO_MAX];
	unsigned hello_len;
	uint32_t news;  /* bits: operations to be sent */
	uint32_t flags; /* of a shutdown to be sent */
	uint32_t watched;
	bool eof;    /* the host's program sends no more */
	bool dead;   /* to be dropped */
	bool closed; /* fd's way out is shut */
	uint32_t peer_shut;
	/* What the guest takes, and has taken; what we have sent. */
	uint32_t peer_alloc, peer_fwd, sent;
	/* What came for the host's program: written so far, and told of. */
	uint32_t written, told;
	size_t at, len; /* of out: a ring */
	uint8_t out[BUFFER];
};

struct reset {
	uint32_t host_port, guest_port;
	uint16_t type; /* of what it answers */
};

struct vsock_conf {
	struct virtio_conf base;
	uint64_t cid;
	char path[PATH_SIZE];
	char seq_path[PATH_SIZE];
	bool seqpacket;
};

struct vsock {
	struct virtio_device dev;
	uint64_t cid;
	char path[PATH_SIZE];
	char seq_path[PATH_SIZE]; /* "": no such listener */
	struct worker worker;
	int listener, seq_listener;
	int epoll;
	/* ---- under dev.lock ---- */
	struct conn *conns;
	unsigned count;
	uint32_t next_port;
	bool starved; /* the guest has no buffer for us */
	unsigned resets;
	struct reset reset[RESETS];
	uint8_t piece[PIECE];
};

/* Whether the guest knows of that kind of connection. */
static bool speaks(const struct vsock *v, uint16_t type)
{
	return type == TYPE_STREAM ||
	       (type == TYPE_SEQPACKET && virtio_has(&v->dev, F_SEQPACKET));
}

/* ---- connections ---- */

static struct conn *find_conn(struct vsock *v, uint32_t host, uint32_t guest)
{
	struct conn *c = v->conns;

	while (c && (c->state == CONN_HELLO || c->dead ||
		     c->host_port != host || c->guest_port != guest))
		c = c->next;
	return c;
}

/* What goes to the host's program as one, so that a guest can learn of it. */
static uint32_t longest_message(int fd)
{
	int size = BUFFER;
	socklen_t len = sizeof(size);

	/* As much as the host allows; the kernel's own part is doubled in. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) || size < 1024)
		size = 1024;
	return MIN((uint32_t)size - 64, BUFFER);
}

/* Takes @fd; NULL: it is closed. */
static struct conn *new_conn(struct vsock *v, int fd, uint16_t type,
			     enum conn_state state)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct conn *c = v->count < CONNS ? malloc(sizeof(*c)) : NULL;

	if (!c) {
		close(fd);
		return NULL;
	}
	memset(c, 0, offsetof(struct conn, out));
	c->fd = fd;
	c->type = type;
	c->alloc = type == TYPE_STREAM ? BUFFER : longest_message(fd);
	c->state = state;
	c->watched = EPOLLIN;
	ev.data.ptr = c;
	if (epoll_ctl(v->epoll, EPOLL_CTL_ADD, fd, &ev)) {
		close(fd);
		free(c);
		return NULL;
	}
	c->next = v->conns;
	v->conns = c;
	v->count++;
	return c;
}

static void drop_dead(struct vsock *v, bool all)
{
	struct conn **at = &v->conns, *c;

	while ((c = *at)) {
		if (!all && !c->dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		close(c->fd);
		free(c->msg.in);
		free(c->msg.ends);
		free(c);
		v->count--;
	}
}

static void queue_reset(struct vsock *v, uint32_t host, uint32_t guest,
			uint16_t type)
{
	/* A driver that sends nonsense faster than it reads loses some. */
	if (v->resets < RESETS)
		v->reset[v->resets++] = (struct reset){host, guest, type};
}

/* The guest is told, then it is over. */
static void reset_conn(struct vsock *v, struct conn *c)
{
	queue_reset(v, c->host_port, c->guest_port, c->type);
	c->dead = true;
}

/* ---- to the guest ---- */

static uint32_t credit(const struct conn *c)
{
	uint32_t flying = c->sent - c->peer_fwd;

	return flying < c->peer_alloc ? c->peer_alloc - flying : 0;
}

/* NULL: there is no buffer; v->starved then. */
static struct vq_elem *rx_buffer(struct vsock *v)
{
	struct vq *vq = &v->dev.vq[Q_RX];
	struct vq_elem *e = vq_pop(vq);

	if (e && e->in_len < sizeof(struct header)) {
		virtio_break(&v->dev);
		free(e);
		e = NULL;
	}
	v->starved = !e;
	return e;
}

static void put_packet(struct vsock *v, struct vq_elem *e, struct header *h,
		       const uint8_t *data)
{
	const struct iovec *iov = e->iov + e->out_n;

	h->src_cid = HOST_CID;
	h->dst_cid = v->cid;
	iov_write(iov, e->in_n, 0, h, sizeof(*h));
	iov_write(iov, e->in_n, sizeof(*h), data, h->len);
	vq_push(&v->dev.vq[Q_RX], e, (uint32_t)sizeof(*h) + h->len);
	free(e);
}

static struct header header_of(struct conn *c, uint16_t op)
{
	c->told = c->written;
	return (struct header){
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = c->type,
		.op = op,
		.flags = op == OP_SHUTDOWN ? c->flags : 0,
		.buf_alloc = c->alloc,
		.fwd_cnt = c->written,
	};
}

static void send_resets(struct vsock *v)
{
	struct header h = {.op = OP_RST};
	struct vq_elem *e;

	while (v->resets && (e = rx_buffer(v))) {
		v->resets--;
		h.src_port = v->reset[v->resets].host_port;
		h.dst_port = v->reset[v->resets].guest_port;
		h.type = v->reset[v->resets].type;
		put_packet(v, e, &h, NULL);
	}
}

static void send_news(struct vsock *v, struct conn *c)
{
	struct vq_elem *e;
	struct header h;
	uint16_t op;

	for (op = 1; op < OPS && c->news; op++) {
		if (!(c->news & BIT(op)))
			continue;
		e = rx_buffer(v);
		if (!e)
			return;
		c->news &= ~BIT(op);
		h = header_of(c, op);
		put_packet(v, e, &h, NULL);
	}
}

/* The host's program said its last word, or is gone. */
static void end_of_input(struct conn *c, bool gone)
{
	c->eof = true;
	c->flags |= SHUT_SEND | (gone ? SHUT_RECEIVE : 0);
	c->news |= BIT(OP_SHUTDOWN);
}

/*
 * The next message of the host's program. False: there is none, or it is too
 * long for the guest ever to take.
 */
static bool fetch_message(struct vsock *v, struct conn *c)
{
	struct pollfd p = {c->fd, POLLRDHUP, 0};
	struct messages *m = &c->msg;
	ssize_t n = recv(c->fd, NULL, 0, MSG_PEEK | MSG_TRUNC);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			end_of_input(c, true);
		return false;
	}
	/* An empty one, or the end. */
	if (!n && poll(&p, 1, 0) > 0) {
		end_of_input(c, false);
		return false;
	}
	m->in = (size_t)n <= c->peer_alloc ? malloc((size_t)n + 1) : NULL;
	if (!m->in || recv(c->fd, m->in, (size_t)n, 0) != n) {
		reset_conn(v, c);
		return false;
	}
	m->in_len = (size_t)n;
	m->in_at = 0;
	return true;
}

/* One piece of a message; the same. */
static bool send_message(struct vsock *v, struct conn *c)
{
	struct messages *m = &c->msg;
	struct vq_elem *e;
	struct header h;
	size_t n;

	if (c->state != CONN_OPEN || c->eof || c->dead ||
	    (!m->in && !fetch_message(v, c)))
		return false;
	n = MIN(MIN(credit(c), PIECE), m->in_len - m->in_at);
	if (!n && m->in_len)
		return false;
	e = rx_buffer(v);
	if (!e)
		return false;
	n = MIN(n, e->in_len - sizeof(h));
	if (!n && m->in_len) { /* no room behind the header */
		vq_unpop(&v->dev.vq[Q_RX], e);
		return false;
	}
	h = header_of(c, OP_RW);
	h.len = (uint32_t)n;
	h.flags = m->in_at + n == m->in_len ? END_OF_MSG : 0;
	c->sent += (uint32_t)n;
	put_packet(v, e, &h, m->in + m->in_at);
	m->in_at += n;
	if (h.flags) {
		free(m->in);
		m->in = NULL;
	}
	return true;
}

/* One piece; false when there is none, or no way for it. */
static bool send_piece(struct vsock *v, struct conn *c)
{
	size_t max = MIN(credit(c), PIECE);
	struct vq_elem *e;
	struct header h;
	ssize_t n;

	if (c->state != CONN_OPEN || c->eof || c->dead || !max)
		return false;
	e = rx_buffer(v);
	if (!e)
		return false;
	max = MIN(max, e->in_len - sizeof(h));
	n = max ? recv(c->fd, v->piece, max, 0) : -1;
	if (n > 0) {
		h = header_of(c, OP_RW);
		h.len = (uint32_t)n;
		c->sent += (uint32_t)n;
		put_packet(v, e, &h, v->piece);
		return true;
	}
	vq_unpop(&v->dev.vq[Q_RX], e);
	if (!n)
		end_of_input(c, false);
	else if (errno != EAGAIN && errno != EINTR)
		end_of_input(c, true);
	return false;
}

/* ---- from the host's programs ---- */

/*
 * "CONNECT PORT\n", byte by byte: what follows is the guest's. 1: it is here,
 * 0: not yet.
 */
static int read_line(struct conn *c)
{
	ssize_t n;

	while ((n = recv(c->fd, c->hello + c->hello_len, 1, 0)) == 1) {
		if (c->hello[c->hello_len] == '\n')
			break;
		if (++c->hello_len == HELLO_MAX - 1)
			return -EINVAL;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n == 1 ? 1 : -EPIPE;
}

/* The same as a message, with a line's end or without. */
static int read_first_message(struct conn *c)
{
	ssize_t n = recv(c->fd, c->hello, HELLO_MAX, MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0 || n >= HELLO_MAX)
		return -EINVAL;
	c->hello_len = (unsigned)n - (c->hello[n - 1] == '\n');
	return 1;
}

static void read_hello(struct vsock *v, struct conn *c)
{
	int ret = c->type == TYPE_STREAM ? read_line(c) : read_first_message(c);
	unsigned port;
	char end;

	if (!ret)
		return;
	c->hello[c->hello_len] = '\0';
	if (ret < 0 || sscanf(c->hello, "CONNECT %u%c", &port, &end) != 1 ||
	    !speaks(v, c->type)) {
		c->dead = true;
		return;
	}
	do {
		v->next_port = MAX(v->next_port + 1, FIRST_PORT);
	} while (find_conn(v, v->next_port, port));
	c->host_port = v->next_port;
	c->guest_port = port;
	c->state = CONN_ASKED;
	c->news = BIT(OP_REQUEST);
}

static void accept_at(struct vsock *v, int listener, uint16_t type)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		new_conn(v, fd, type, CONN_HELLO);
}

static void accept_some(struct vsock *v)
{
	accept_at(v, v->listener, TYPE_STREAM);
	if (v->seq_listener >= 0)
		accept_at(v, v->seq_listener, TYPE_SEQPACKET);
}

/* ---- from the guest ---- */

/* What can be written now: all there is, or the first message. */
static size_t writable(const struct conn *c)
{
	const struct messages *m = &c->msg;

	if (c->type == TYPE_STREAM)
		return c->len;
	return m->count ? m->ends[m->first] : 0;
}

/* True: there is more to write. */
static bool has_more(const struct conn *c)
{
	return c->type == TYPE_STREAM ? c->len : c->msg.count;
}

static ssize_t write_some(struct conn *c)
{
	size_t len = writable(c), part = MIN(len, BUFFER - c->at);
	struct iovec iov[2] = {{c->out + c->at, part}, {c->out, len - part}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	struct messages *m = &c->msg;
	ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);

	if (n >= 0 && c->type == TYPE_SEQPACKET) {
		m->first = (m->first + 1) % m->size;
		m->count--;
	}
	return n;
}

static void write_out(struct vsock *v, struct conn *c)
{
	ssize_t n;

	while (has_more(c) && !c->dead) {
		n = write_some(c);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			reset_conn(v, c);
			return;
		}
		c->at = (c->at + (size_t)n) % BUFFER;
		c->len -= (size_t)n;
		c->written += (uint32_t)n;
	}
	/* Told soon enough, the guest never stops. */
	if (c->written - c->told >= BUFFER / 4)
		c->news |= BIT(OP_CREDIT_UPDATE);
	if (c->peer_shut & SHUT_SEND && !c->closed) {
		shutdown(c->fd, SHUT_WR);
		c->closed = true;
	}
	if (c->peer_shut == (SHUT_SEND | SHUT_RECEIVE))
		reset_conn(v, c);
}

/* A message of the guest is complete. */
static bool end_message(struct messages *m)
{
	uint32_t size = MAX(2 * m->size, 16U), *ends, i;

	if (m->count == m->size) {
		ends = m->size < BUFFER ? malloc(size * sizeof(*ends)) : NULL;
		if (!ends)
			return false;
		for (i = 0; i < m->count; i++)
			ends[i] = m->ends[(m->first + i) % m->size];
		free(m->ends);
		m->ends = ends;
		m->first = 0;
		m->size = size;
	}
	m->ends[(m->first + m->count++) % m->size] = (uint32_t)m->open;
	m->open = 0;
	return true;
}

/* @skip: what is before the data in @e. False: more than we had room for. */
static bool take_data(struct conn *c, const struct vq_elem *e, size_t len)
{
	size_t skip = sizeof(struct header), at, part;

	if (len > BUFFER - c->len)
		return false;
	while (len) {
		at = (c->at + c->len) % BUFFER;
		part = MIN(len, BUFFER - at);
		iov_read(e->iov, e->out_n, skip, c->out + at, part);
		c->len += part;
		skip += part;
		len -= part;
	}
	return true;
}

static int new_socket(uint16_t type)
{
	int kind = type == TYPE_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
	int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd;
}

static bool connect_out(struct vsock *v, const struct header *h)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = new_socket(h->type);
	struct conn *c;
	int n;

	if (fd < 0)
		return false;
	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s_%u", v->path,
		     h->dst_port);
	if (n >= (int)sizeof(sun.sun_path) ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		close(fd);
		return false;
	}
	c = new_conn(v, fd, h->type, CONN_OPEN);
	if (!c)
		return false;
	c->host_port = h->dst_port;
	c->guest_port = h->src_port;
	c->peer_alloc = h->buf_alloc;
	c->news = BIT(OP_RESPONSE);
	return true;
}

static void answered(struct vsock *v, struct conn *c)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "OK %u\n", c->host_port);

	if (c->state != CONN_ASKED ||
	    send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		reset_conn(v, c);
	else
		c->state = CONN_OPEN;
}

/* Bytes of a message, perhaps the last. */
static bool take_end(struct conn *c, const struct header *h)
{
	if (c->type == TYPE_STREAM)
		return true;
	c->msg.open += h->len;
	return !(h->flags & END_OF_MSG) || end_message(&c->msg);
}

static void obey(struct vsock *v, struct conn *c, const struct header *h,
		 const struct vq_elem *e)
{
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	switch (h->op) {
	case OP_RESPONSE: answered(v, c); break;
	case OP_RST: c->dead = true; break;
	case OP_SHUTDOWN:
		c->peer_shut |= h->flags & (SHUT_SEND | SHUT_RECEIVE);
		break;
	case OP_RW:
		if (c->state != CONN_OPEN || !take_data(c, e, h->len) ||
		    !take_end(c, h))
			reset_conn(v, c);
		break;
	case OP_CREDIT_UPDATE: break;
	case OP_CREDIT_REQUEST: c->news |= BIT(OP_CREDIT_UPDATE); break;
	default: reset_conn(v, c);
	}
	if (!c->dead)
		write_out(v, c);
}

static void take_packet(struct vsock *v, const struct vq_elem *e)
{
	struct header h;
	struct conn *c;

	if (iov_read(e->iov, e->out_n, 0, &h, sizeof(h)) != sizeof(h) ||
	    h.len > e->out_len - sizeof(h)) {
		virtio_break(&v->dev);
		return;
	}
	if (h.src_cid != v->cid || h.dst_cid != HOST_CID)
		return;
	c = find_conn(v, h.dst_port, h.src_port);
	if (c && c->type != h.type)
		c = NULL;
	if (c && h.op != OP_REQUEST)
		obey(v, c, &h, e);
	else if (c)
		reset_conn(v, c);
	else if (h.op == OP_RST)
		;
	else if (h.op != OP_REQUEST || !speaks(v, h.type) ||
		 find_conn(v, h.dst_port, h.src_port) || !connect_out(v, &h))
		queue_reset(v, h.dst_port, h.src_port, h.type);
}

static void take_packets(struct vsock *v)
{
	struct vq *vq = &v->dev.vq[Q_TX];
	struct vq_elem *e;

	/* What cannot be answered is not heard. */
	while (v->resets < RESETS && (e = vq_pop(vq))) {
		take_packet(v, e);
		vq_push(vq, e, 0);
		free(e);
	}
	virtio_flush(&v->dev, Q_TX);
}

/* ---- the loop ---- */

static void watch(struct vsock *v, struct conn *c)
{
	struct epoll_event ev = {.data.ptr = c};

	if (c->state == CONN_HELLO || (c->state == CONN_OPEN && !c->eof &&
				       !v->starved && credit(c) && !c->msg.in))
		ev.events |= EPOLLIN;
	if (has_more(c))
		ev.events |= EPOLLOUT;
	if (ev.events == c->watched)
		return;
	c->watched = ev.events;
	/* Not watched for anything, a hangup would still wake us. */
	if (!ev.events)
		epoll_ctl(v->epoll, EPOLL_CTL_DEL, c->fd, &ev);
	else if (epoll_ctl(v->epoll, EPOLL_CTL_MOD, c->fd, &ev))
		epoll_ctl(v->epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

static void serve(struct vsock *v, struct conn *c)
{
	if (c->state == CONN_HELLO)
		read_hello(v, c);
	if (c->state != CONN_HELLO && !c->dead)
		write_out(v, c);
	while (!c->dead && !v->starved &&
	       (c->type == TYPE_STREAM ? send_piece(v, c) : send_message(v, c)))
		;
	if (!c->dead && c->state != CONN_HELLO)
		send_news(v, c);
	watch(v, c);
}

static void vsock_run(void *opaque)
{
	struct vsock *v = opaque;
	struct conn *c;

	pthread_mutex_lock(&v->dev.lock);
	if (virtio_running(&v->dev) && v->dev.vq[Q_RX].ready &&
	    v->dev.vq[Q_TX].ready) {
		v->starved = false;
		accept_some(v);
		take_packets(v);
		for (c = v->conns; c; c = c->next)
			serve(v, c);
		send_resets(v);
		drop_dead(v, false);
		vq_want_kick(&v->dev.vq[Q_RX], true);
		vq_want_kick(&v->dev.vq[Q_TX], true);
		virtio_flush(&v->dev, Q_RX);
		/* Again, when something came before kicks were wanted. */
		if ((v->resets < RESETS && !vq_empty(&v->dev.vq[Q_TX])) ||
		    (v->starved && !vq_empty(&v->dev.vq[Q_RX])))
			worker_kick(&v->worker);
	}
	pthread_mutex_unlock(&v->dev.lock);
}

static void vsock_ready(void *opaque, int revents)
{
	struct vsock *v = opaque;
	struct epoll_event ev;

	vsock_run(v);
	/* Nobody to serve them: let them wait without keeping us awake. */
	pthread_mutex_lock(&v->dev.lock);
	if (!virtio_running(&v->dev) && epoll_wait(v->epoll, &ev, 1, 0) > 0) {
		accept_some(v);
		drop_dead(v, true);
	}
	pthread_mutex_unlock(&v->dev.lock);
}

static void vsock_notify(struct virtio_device *dev, unsigned q)
{
	worker_kick(&((struct vsock *)dev)->worker);
}

static void vsock_config_read(struct virtio_device *dev, void *buf)
{
	memcpy(buf, &((struct vsock *)dev)->cid, 8);
}

static void vsock_reset(struct virtio_device *dev)
{
	struct vsock *v = (struct vsock *)dev;

	drop_dead(v, true);
	v->resets = 0;
}

static void vsock_destroy(struct virtio_device *dev)
{
	struct vsock *v = (struct vsock *)dev;

	worker_stop(&v->worker);
	drop_dead(v, true);
	if (v->listener >= 0) {
		close(v->listener);
		unlink(v->path);
	}
	if (v->seq_listener >= 0) {
		close(v->seq_listener);
		unlink(v->seq_path);
	}
	if (v->epoll >= 0)
		close(v->epoll);
}

static const struct virtio_class vsock_class = {
	.name = "virtio-vsock",
	.id = VIRTIO_ID_VSOCK,
	.pci_class = PCI_CLASS_COMM,
	.notify = vsock_notify,
	.config_read = vsock_config_read,
	.reset = vsock_reset,
	.destroy = vsock_destroy,
};

/* ---- its making ---- */

static int vsock_check(struct virtio_conf *base, const struct virtio_env *env,
		       struct err *e)
{
	const struct vsock_conf *c = (const struct vsock_conf *)base;

	if (c->cid < 3)
		return err_set(e, -EINVAL,
			       "guest-cid= is missing, or not "
			       "from 3 on");
	if (!c->path[0])
		return err_set(e, -EINVAL, "uds_path= is missing");
	if (c->seq_path[0] && !c->seqpacket)
		return err_set(e, -EINVAL,
			       "uds_seqpacket_path= needs seqpacket=on");
	if (!strcmp(c->path, c->seq_path))
		return err_set(e, -EINVAL,
			       "uds_path= and uds_seqpacket_path= are one");
	return 0;
}

static int listen_at(struct vsock *v, const char *path, uint16_t type,
		     int *listener, struct err *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct epoll_event ev = {.events = EPOLLIN};
	struct stat st;

	*listener = new_socket(type);
	if (*listener < 0)
		return err_set(e, -errno, "no descriptors are left");
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	/* One that a run before left behind. */
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
	if (bind(*listener, (struct sockaddr *)&sun, sizeof(sun)) ||
	    listen(*listener, 128)) {
		int code = -errno;

		close(*listener);
		*listener = -1;
		return err_set(e, code, "%s: %s", path, strerror(-code));
	}
	if (epoll_ctl(v->epoll, EPOLL_CTL_ADD, *listener, &ev))
		return err_set(e, -errno, "cannot wait for connections");
	return 0;
}

static int listen_all(struct vsock *v, struct err *e)
{
	v->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (v->epoll < 0)
		return err_set(e, -errno, "no descriptors are left");
	if (listen_at(v, v->path, TYPE_STREAM, &v->listener, e))
		return err_wrap(e, "uds_path");
	if (v->seq_path[0] &&
	    listen_at(v, v->seq_path, TYPE_SEQPACKET, &v->seq_listener, e))
		return err_wrap(e, "uds_seqpacket_path");
	return 0;
}

static struct virtio_device *vsock_create(const struct virtio_conf *base,
					  const struct dma *dma, struct err *e)
{
	const struct vsock_conf *c = (const struct vsock_conf *)base;
	struct vsock *v = calloc(1, sizeof(*v));

	if (!v || virtio_init(&v->dev, &vsock_class, dma, QUEUES, QUEUE_SIZE)) {
		free(v);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	v->cid = c->cid;
	strcpy(v->path, c->path);
	strcpy(v->seq_path, c->seq_path);
	v->listener = v->seq_listener = v->epoll = -1;
	v->dev.config_size = 8;
	v->dev.offered.w[0] = base->want.w[0] &
			      (VIRTIO_COMMON_FEATURES | VIRTIO_EXTRA_FEATURES);
	features_put(&v->dev.offered, F_STREAM, true);
	features_put(&v->dev.offered, F_SEQPACKET, c->seqpacket);
	virtio_settle(&v->dev);
	if (!worker_start(&v->worker, "vsock", vsock_run, v, e) &&
	    !listen_all(v, e) &&
	    evloop_add(v->worker.loop, v->epoll, POLLIN, vsock_ready, v))
		return &v->dev;
	err_set(e, -ENOMEM, "cannot watch its sockets");
	virtio_exit(&v->dev);
	return NULL;
}

#define FIELD(f) offsetof(struct vsock_conf, f)

static const struct prop vsock_props[] = {
	{"guest-cid", PROP_NUMBER, FIELD(cid), 0, UINT32_MAX - 1, "0",
	 "the guest's address, from 3 on"},
	{"uds_path", PROP_TEXT, FIELD(path), 0, PATH_SIZE, "",
	 "AF_UNIX socket for connections to the guest; PATH_PORT of it"},
	{"uds_seqpacket_path", PROP_TEXT, FIELD(seq_path), 0, PATH_SIZE, "",
	 "the same for seqpacket connections to it"},
	{"seqpacket", PROP_BOOL, FIELD(seqpacket), 0, 0, "on",
	 "messages with boundaries"},
	{0},
};

const struct virtio_type virtio_vsock_types[] = {
	{
		.name = "virtio-vsock",
		.instead = "vhost-vsock",
		.conf_size = sizeof(struct vsock_conf),
		.props = vsock_props,
		.check = vsock_check,
		.create = vsock_create,
	},
	{0},
};
