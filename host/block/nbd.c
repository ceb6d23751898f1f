/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NBD server's export, by libnbd. One connection, used by one request at a
 * time; when it breaks, requests fail until a new one is made, which each
 * request tries until reconnect-delay seconds are over. What a lost connection
 * had not flushed may be lost at the server: then flushes fail as well, until
 * the disk is opened again.
 */
#include <errno.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/block/node.h"
#include "lib/log.h"
#include "lib/mono.h"

#define CHUNK        ((size_t)8 << 20) /* bytes of one request */
#define RETRY_US     100000
#define CONNECT_WAIT 10 /* seconds for all of the handshake */
#define CLOSE_WAIT   2  /* and for the server to hang up */

struct nbd {
	struct nbd_handle *h; /* NULL: not connected */
	char *uri;
	char *export;
	uint64_t size;
	size_t unit;    /* what requests are multiples of */
	size_t chunk;   /* bytes of the largest, a multiple of it */
	unsigned delay; /* seconds to try again for */
	bool lost;      /* writes that were not flushed may be gone */
	bool unflushed; /* there are such */
	pthread_mutex_t lock;
};

static int code_of(void)
{
	int code = nbd_get_errno();

	return code ? -code : -EIO;
}

/* While @goes_on, but not for ever; -ETIMEDOUT then. */
static int await(struct nbd_handle *h, int (*goes_on)(struct nbd_handle *h),
		 unsigned seconds)
{
	uint64_t end = mono_ns() + seconds * NS_PER_SEC, now;

	while (goes_on(h) > 0) {
		now = mono_ns();
		if (now >= end)
			return -ETIMEDOUT;
		if (nbd_poll(h, (int)((end - now) / 1000000) + 1) < 0)
			return code_of();
	}
	return 0;
}

static int shake_hands(struct nbd *s, struct nbd_handle *h)
{
	int ret;

	if (nbd_set_uri_allow_local_file(h, true) ||
	    (s->export && nbd_set_export_name(h, s->export)) ||
	    nbd_aio_connect_uri(h, s->uri))
		return code_of();
	ret = await(h, nbd_aio_is_connecting, CONNECT_WAIT);
	return ret || nbd_aio_is_ready(h) > 0 ? ret : code_of();
}

/* What requests the server takes, if it says so; once for all connections. */
static int ask_sizes(struct nbd *s, struct nbd_handle *h)
{
	int64_t least = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM);
	int64_t most = nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM);
	size_t unit = least > 1 ? (size_t)least : 1, chunk;

	if (unit & (unit - 1) || unit > CHUNK || (most > 0 && most < least))
		return -EPROTO;
	chunk = ALIGN_DOWN(most > 0 ? MIN(CHUNK, (size_t)most) : CHUNK, unit);
	if (s->unit && (s->unit != unit || s->chunk != chunk))
		return -EPROTO;
	s->unit = unit;
	s->chunk = chunk;
	return 0;
}

static int connect_uri(struct nbd *s, struct err *e)
{
	struct nbd_handle *h = nbd_create();
	int ret = h ? shake_hands(s, h) : code_of();

	if (!ret)
		ret = ask_sizes(s, h);
	if (!ret) {
		s->h = h;
		return 0;
	}
	err_set(e, ret, "%s: %s", s->uri,
		ret == -ETIMEDOUT ? "the server does not answer"
		: ret == -EPROTO  ? "the server's block sizes do not fit"
				  : nbd_get_error());
	nbd_close(h);
	return ret;
}

static int is_open(struct nbd_handle *h)
{
	return !nbd_aio_is_closed(h) && !nbd_aio_is_dead(h);
}

/* In order, if the server is there. */
static void disconnect(struct nbd_handle *h)
{
	if (h && !nbd_aio_disconnect(h, 0))
		await(h, is_open, CLOSE_WAIT);
	nbd_close(h);
}

/* Lock held. */
static void drop(struct nbd *s)
{
	nbd_close(s->h);
	s->h = NULL;
	if (s->unflushed && !s->lost)
		log_warn("block",
			 "%s: the connection is lost with unflushed writes; "
			 "flushes fail from here on",
			 s->uri);
	s->lost |= s->unflushed;
}

/* Lock held. */
static int ensure(struct nbd *s)
{
	uint64_t until = mono_ns() + s->delay * NS_PER_SEC;
	int ret;

	if (s->h && (nbd_aio_is_dead(s->h) || nbd_aio_is_closed(s->h)))
		drop(s);
	if (s->h)
		return 0;
	while ((ret = connect_uri(s, NULL)) && mono_ns() < until)
		usleep(RETRY_US);
	return ret;
}

enum what { READ, WRITE, FLUSH, TRIM, ZERO, ZERO_UNMAP };

static int call(struct nbd *s, enum what what, void *p, size_t len, uint64_t at)
{
	switch (what) {
	case READ: return nbd_pread(s->h, p, len, at, 0);
	case WRITE: return nbd_pwrite(s->h, p, len, at, 0);
	case FLUSH: return nbd_flush(s->h, 0);
	case TRIM: return nbd_trim(s->h, len, at, 0);
	case ZERO: return nbd_zero(s->h, len, at, LIBNBD_CMD_FLAG_NO_HOLE);
	default: return nbd_zero(s->h, len, at, 0);
	}
}

/* Lock held. Once more on a new connection when the old one broke. */
static int request(struct nbd *s, enum what what, void *p, size_t len,
		   uint64_t at)
{
	int ret = ensure(s), tries;

	for (tries = 0; !ret && tries < 2; tries++) {
		if (!call(s, what, p, len, at))
			return 0;
		ret = code_of();
		if (!nbd_aio_is_dead(s->h) && !nbd_aio_is_closed(s->h))
			return ret;
		drop(s);
		ret = s->delay ? ensure(s) : ret;
	}
	return ret ? ret : -EIO;
}

/* One request, by way of @buf; what of its units is not in @v is read first. */
static int move(struct nbd *s, enum what what, uint64_t at, const struct vec *v,
		char *buf)
{
	uint64_t from = ALIGN_DOWN(at, s->unit);
	uint64_t end = MIN(ALIGN_UP(at + v->len, s->unit), s->size);
	size_t len = (size_t)(end - from);
	int ret = 0;

	if (what == READ || len != v->len)
		ret = request(s, READ, buf, len, from);
	if (ret)
		return ret;
	if (what == READ) {
		vec_to(v, buf + (at - from));
		return 0;
	}
	vec_from(v, buf + (at - from));
	return request(s, WRITE, buf, len, from);
}

/* Lock held; through one buffer, since a request has one. */
static int transfer(struct nbd *s, enum what what, uint64_t at,
		    const struct vec *v)
{
	int ret = ensure(s);
	size_t done, part;
	struct vec piece;
	char *buf;

	if (ret)
		return ret;
	buf = malloc(MIN(v->len + 2 * s->unit, s->chunk));
	if (!buf)
		return -ENOMEM;
	for (done = 0; !ret && done < v->len; done += part) {
		part = s->chunk - (size_t)((at + done) & (s->unit - 1));
		part = MIN(part, v->len - done);
		piece = vec_slice(v, done, part);
		ret = move(s, what, at + done, &piece, buf);
	}
	free(buf);
	return ret;
}

static int nbd_read(struct node *n, uint64_t at, const struct vec *v)
{
	struct nbd *s = n->state;
	size_t have = at < n->size ? (size_t)MIN(n->size - at, v->len) : 0;
	struct vec in = vec_slice(v, 0, have);
	struct vec rest = vec_slice(v, have, v->len - have);
	int ret;

	vec_zero(&rest);
	if (!have)
		return 0;
	pthread_mutex_lock(&s->lock);
	ret = transfer(s, READ, at, &in);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

static int nbd_write(struct node *n, uint64_t at, const struct vec *v)
{
	struct nbd *s = n->state;
	int ret;

	if (at > n->size || v->len > n->size - at)
		return -ENOSPC;
	pthread_mutex_lock(&s->lock);
	s->unflushed = true;
	ret = transfer(s, WRITE, at, v);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

static int nbd_sync(struct node *n)
{
	struct nbd *s = n->state;
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = ensure(s);
	if (!ret && nbd_can_flush(s->h) > 0)
		ret = request(s, FLUSH, NULL, 0, 0);
	if (s->lost)
		ret = -EIO;
	else if (!ret)
		s->unflushed = false;
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* In pieces that every server takes. */
static int range(struct nbd *s, enum what what, uint64_t at, uint64_t len)
{
	uint64_t part;
	int ret = 0;

	for (; !ret && len; at += part, len -= part) {
		part = MIN(len, 1ULL << 30);
		ret = request(s, what, NULL, part, at);
	}
	return ret;
}

/* A hint: whole units of the server's will do. */
static int nbd_discard(struct node *n, uint64_t at, uint64_t len)
{
	struct nbd *s = n->state;
	uint64_t end;
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	end = ALIGN_DOWN(at + len, s->unit);
	at = ALIGN_UP(at, s->unit);
	if (at < end && s->h && nbd_can_trim(s->h) > 0)
		ret = range(s, TRIM, at, end - at);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

static int nbd_zeroes(struct node *n, uint64_t at, uint64_t len, bool unmap)
{
	struct nbd *s = n->state;
	int ret = -EOPNOTSUPP;

	pthread_mutex_lock(&s->lock);
	s->unflushed = true;
	if (s->h && !((at | len) & (s->unit - 1)) && nbd_can_zero(s->h) > 0)
		ret = range(s, unmap ? ZERO_UNMAP : ZERO, at, len);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* ---- opening ---- */

static int format_uri(struct nbd *s, const char *fmt, const char *a,
		      const char *b, struct err *e)
{
	return asprintf(&s->uri, fmt, a, b) < 0
		       ? err_set(e, -ENOMEM, "out of memory")
		       : 0;
}

/* nbd:unix:PATH and nbd:HOST:PORT, each with :exportname=NAME at will. */
static int parse_old(struct nbd *s, const char *text, struct err *e)
{
	char place[512];
	char *name, *port;

	if (snprintf(place, sizeof(place), "%s", text + 4) >=
	    (int)sizeof(place))
		return err_set(e, -EINVAL, "'%s' is too long", text);
	name = strstr(place, ":exportname=");
	if (name) {
		*name = '\0';
		s->export = strdup(name + strlen(":exportname="));
	}
	if (!strncmp(place, "unix:", 5))
		return format_uri(s, "nbd+unix:///%s?socket=%s", "", place + 5,
				  e);
	port = strrchr(place, ':');
	if (!port)
		return err_set(e, -EINVAL,
			       "'%s' is not nbd:unix:PATH or nbd:HOST:PORT",
			       text);
	*port++ = '\0';
	return format_uri(s, "nbd://%s:%s", place, port, e);
}

static int parse_server(struct nbd *s, struct dict *d, struct err *e)
{
	const char *type = dict_take(d, "server.type");
	const char *path = dict_take(d, "server.path");
	const char *host = dict_take(d, "server.host");
	const char *port = dict_take(d, "server.port");
	const char *name = dict_take(d, "export");

	if (!path)
		path = dict_take(d, "path");
	if (!host)
		host = dict_take(d, "host");
	if (!port)
		port = dict_take(d, "port");
	if (type && strcmp(type, path ? "unix" : "inet"))
		return err_set(e, -EINVAL,
			       "server.type=%s: unix has a path, inet a host "
			       "and a port",
			       type);
	if (name)
		s->export = strdup(name);
	if (path)
		return format_uri(s, "nbd+unix:///%s?socket=%s", "", path, e);
	if (host)
		return format_uri(s, "nbd://%s:%s", host, port ? port : "10809",
				  e);
	return err_set(e, -EINVAL,
		       "nbd: uri=, or server.type= and its address is missing");
}

static int parse_nbd(struct nbd *s, struct dict *d, struct err *e)
{
	const char *uri = dict_take(d, "uri");
	uint64_t delay = 0;
	int ret = dict_take_size(d, "reconnect-delay", &delay, e);

	if (ret)
		return ret;
	s->delay = (unsigned)MIN(delay, (uint64_t)86400);
	if (!uri)
		return parse_server(s, d, e);
	if (strstr(uri, "://")) {
		s->uri = strdup(uri);
		return s->uri ? 0 : err_set(e, -ENOMEM, "out of memory");
	}
	return parse_old(s, uri, e);
}

static void nbd_end(struct node *n)
{
	struct nbd *s = n->state;

	disconnect(s->h);
	pthread_mutex_destroy(&s->lock);
	free(s->uri);
	free(s->export);
	free(s);
}

static int nbd_open(struct node *n, struct node_open *o, struct err *e)
{
	struct nbd *s = calloc(1, sizeof(*s));
	int64_t size;
	int ret;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&s->lock, NULL);
	n->state = s;
	n->fixed = true;
	ret = parse_nbd(s, o->dict, e);
	if (!ret)
		ret = connect_uri(s, e);
	if (ret)
		return ret;
	size = nbd_get_size(s->h);
	if (size < 0)
		return err_set(e, -EIO, "%s: %s", s->uri, nbd_get_error());
	n->size = s->size = (uint64_t)size;
	if (nbd_is_read_only(s->h) > 0 && o->auto_read_only)
		o->read_only = true;
	if (nbd_is_read_only(s->h) > 0 && !o->read_only)
		return err_set(e, -EACCES, "%s: the export is read-only",
			       s->uri);
	return 0;
}

const struct node_driver node_nbd = {
	.name = "nbd",
	.protocol = true,
	.open = nbd_open,
	.close = nbd_end,
	.read = nbd_read,
	.write = nbd_write,
	.flush = nbd_sync,
	.discard = nbd_discard,
	.zero = nbd_zeroes,
};
