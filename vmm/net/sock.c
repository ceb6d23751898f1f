/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -netdev stream and dgram, socket, their older name for all in one, and
 * vhost-user.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keyval.h"
#include "vmm/net/conf.h"

#define VHOST_WAIT_MS 30000 /* for the first backend */

#define FIELD(f) offsetof(struct netconf, f)

/* ---- addresses ---- */

static int set_type(struct net_addr *a, const char *value, struct err *e)
{
	static const char *const types[] = {
		[NET_ADDR_INET] = "inet",
		[NET_ADDR_UNIX] = "unix",
		[NET_ADDR_FD] = "fd",
	};
	unsigned i;

	for (i = 1; i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i], value))
			continue;
		a->kind = i;
		return 0;
	}
	return err_set(e, -EINVAL, "not one of inet, unix, fd");
}

/* Part @sub of an address. */
static int set_part(struct net_addr *a, const char *sub, const char *value,
		    struct err *e)
{
	if (!strcmp(sub, "type"))
		return set_type(a, value, e);
	if (!strcmp(sub, "host"))
		return netconf_copy(a->host, sizeof(a->host), value, e);
	if (!strcmp(sub, "port"))
		return netconf_copy(a->port, sizeof(a->port), value, e);
	if (!strcmp(sub, "path"))
		return netconf_copy(a->path, sizeof(a->path), value, e);
	if (!strcmp(sub, "abstract"))
		return keyval_bool(value, &a->abstract, e);
	if (!strcmp(sub, "ipv4"))
		return keyval_bool(value, &a->only4, e);
	if (!strcmp(sub, "ipv6"))
		return keyval_bool(value, &a->only6, e);
	if (!strcmp(sub, "str"))
		return netconf_fd(value, &a->fd, e);
	return err_set(e, -EINVAL,
		       "an address has type, host, port, ipv4, ipv6, path, "
		       "abstract, str");
}

static int check_addr(const struct net_addr *a, const char *name, struct err *e)
{
	if (a->kind == NET_ADDR_INET && !a->port[0])
		return err_set(e, -EINVAL, "%s.port= is missing", name);
	if (a->kind == NET_ADDR_UNIX && !a->path[0])
		return err_set(e, -EINVAL, "%s.path= is missing", name);
	return 0;
}

/* "HOST:PORT", where HOST may be empty or in brackets. */
static int set_pair(struct net_addr *a, const char *value, struct err *e)
{
	const char *colon = strrchr(value, ':'), *host = value;
	size_t len = colon ? (size_t)(colon - value) : 0;

	if (!colon || !colon[1] || len >= sizeof(a->host))
		return err_set(e, -EINVAL, "not HOST:PORT");
	if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	a->kind = NET_ADDR_INET;
	memcpy(a->host, host, len);
	a->host[len] = '\0';
	return netconf_copy(a->port, sizeof(a->port), colon + 1, e);
}

/* ---- stream ---- */

static int stream_addr(struct netconf *n, const char *key, const char *value,
		       struct err *e)
{
	return set_part(&n->stream.addr, key + strlen("addr."), value, e);
}

static int stream_reconnect(struct netconf *n, const char *key,
			    const char *value, struct err *e)
{
	uint64_t s;
	int ret = keyval_number(value, 0, 3600, &s, e);

	if (!ret)
		n->reconnect_ms = s * 1000;
	return ret;
}

static int stream_check(struct netconf *n, struct err *e)
{
	n->stream.reconnect_ms = (unsigned)n->reconnect_ms;
	n->stream.watcher = netconf_watcher(n);
	if (n->stream.addr.kind == NET_ADDR_NONE)
		return err_set(e, -EINVAL, "addr.type= is missing");
	if (n->reconnect_ms &&
	    (n->stream.server || n->stream.addr.kind == NET_ADDR_FD))
		return err_set(e, -EINVAL,
			       "only a client can connect once more");
	return check_addr(&n->stream.addr, "addr", e);
}

static struct net *stream_open(const struct netconf *n, struct err *e)
{
	struct net_stream_options o = n->stream;

	o.loop = n->conf->loop;
	return net_stream_open(&o, e);
}

static const struct prop stream_props[] = {
	{"server", PROP_BOOL, FIELD(stream.server), 0, 0, "off",
	 "waits for the peer"},
	{"reconnect-ms", PROP_NUMBER, FIELD(reconnect_ms), 0, 3600000, "0",
	 "a client tries again after, 0: never"},
	{0},
};

static const struct netconf_key stream_keys[] = {
	{"addr.", stream_addr,
	 "type=inet: host, port, ipv4, ipv6; type=unix: path,\n"
	 "abstract; type=fd: str"},
	{"reconnect", stream_reconnect, "the same in seconds", "number", "0"},
	{0},
};

const struct netconf_kind netconf_stream = {
	"stream", stream_props, stream_keys, stream_check, stream_open,
};

/* ---- dgram ---- */

static int dgram_addr(struct netconf *n, const char *key, const char *value,
		      struct err *e)
{
	bool local = !strncmp(key, "local.", 6);

	return set_part(local ? &n->dgram.local : &n->dgram.remote,
			strchr(key, '.') + 1, value, e);
}

static int dgram_check(struct netconf *n, struct err *e)
{
	int ret = check_addr(&n->dgram.remote, "remote", e);

	if (ret)
		return ret;
	if (n->dgram.remote.kind == NET_ADDR_FD)
		return err_set(e, -EINVAL, "a descriptor is local.type=fd");
	if (n->dgram.local.kind == NET_ADDR_FD)
		return 0;
	if (n->dgram.remote.kind == NET_ADDR_NONE)
		return err_set(e, -EINVAL, "remote.type= is missing");
	return n->dgram.local.kind == NET_ADDR_INET
		       ? 0
		       : check_addr(&n->dgram.local, "local", e);
}

static struct net *dgram_open(const struct netconf *n, struct err *e)
{
	return net_dgram_open(&n->dgram, e);
}

static const struct netconf_key dgram_keys[] = {
	{"local.", dgram_addr,
	 "as addr. of stream; with a group: the way to it"},
	{"remote.", dgram_addr, "the same; may be a multicast group"},
	{0},
};

const struct netconf_kind netconf_dgram = {
	"dgram", NULL, dgram_keys, dgram_check, dgram_open,
};

/* ---- socket ---- */

/* A socket leads to one place. */
static int only_place(const struct netconf *n, struct err *e)
{
	if (n->stream.addr.kind || n->dgram.remote.kind)
		return err_set(e, -EINVAL,
			       "one of listen, connect, mcast, udp, fd");
	return 0;
}

static int socket_stream(struct netconf *n, const char *key, const char *value,
			 struct err *e)
{
	int ret = only_place(n, e);

	if (ret)
		return ret;
	n->stream.server = key[0] == 'l';
	return set_pair(&n->stream.addr, value, e);
}

static int socket_dgram(struct netconf *n, const char *key, const char *value,
			struct err *e)
{
	int ret = only_place(n, e);

	if (ret)
		return ret;
	return set_pair(&n->dgram.remote, value, e);
}

static int socket_fd(struct netconf *n, const char *key, const char *value,
		     struct err *e)
{
	int ret = only_place(n, e);

	if (ret)
		return ret;
	n->stream.addr.kind = NET_ADDR_FD;
	return netconf_fd(value, &n->stream.addr.fd, e);
}

/* HOST:PORT with udp=, ADDR with mcast=. */
static int socket_local(struct netconf *n, const char *key, const char *value,
			struct err *e)
{
	if (strchr(value, ':'))
		return set_pair(&n->dgram.local, value, e);
	n->dgram.local.kind = NET_ADDR_INET;
	strcpy(n->dgram.local.port, "0");
	return netconf_copy(n->dgram.local.host, sizeof(n->dgram.local.host),
			    value, e);
}

static int socket_check(struct netconf *n, struct err *e)
{
	if (!n->stream.addr.kind && !n->dgram.remote.kind)
		return err_set(e, -EINVAL,
			       "listen=, connect=, mcast=, udp= or fd= is "
			       "missing");
	if (n->stream.addr.kind && n->dgram.local.kind)
		return err_set(e, -EINVAL,
			       "localaddr= goes with mcast= and udp=");
	return 0;
}

static struct net *socket_open(const struct netconf *n, struct err *e)
{
	return n->stream.addr.kind ? stream_open(n, e)
				   : net_dgram_open(&n->dgram, e);
}

static const struct netconf_key socket_keys[] = {
	{"listen", socket_stream, "[HOST]:PORT: waits for a stream"},
	{"connect", socket_stream, "HOST:PORT: makes a stream"},
	{"mcast", socket_dgram, "GROUP:PORT: a cable for many"},
	{"udp", socket_dgram, "HOST:PORT, with localaddr="},
	{"localaddr", socket_local, "HOST:PORT, or with mcast= an address"},
	{"fd", socket_fd, "an open stream", "number"},
	{0},
};

const struct netconf_kind netconf_socket = {
	"socket", NULL, socket_keys, socket_check, socket_open,
};

/* ---- vhost-user ---- */

static int vhost_addr(struct netconf *n, const char *key, const char *value,
		      struct err *e)
{
	return set_part(&n->vhost.addr, key + strlen("addr."), value, e);
}

static int vhost_chardev(struct netconf *n, const char *key, const char *value,
			 struct err *e)
{
	return netconf_copy(n->vhost_chardev, sizeof(n->vhost_chardev), value,
			    e);
}

/* QEMU's way to force what is never optional here. */
static int vhost_force(struct netconf *n, const char *key, const char *value,
		       struct err *e)
{
	bool on;

	return keyval_bool(value, &on, e);
}

static int vhost_check(struct netconf *n, struct err *e)
{
	n->vhost.queues = (unsigned)n->vhost_queues;
	n->vhost.wait_ms = VHOST_WAIT_MS;
	n->vhost.watcher = netconf_watcher(n);
	if (n->vhost_chardev[0] &&
	    (n->vhost.addr.kind || n->reconnect_ms || n->vhost.server))
		return err_set(e, -EINVAL,
			       "chardev= leaves no choice for addr=, server= "
			       "and reconnect-ms=");
	if (n->vhost_chardev[0])
		return 0;
	if (n->vhost.addr.kind != NET_ADDR_UNIX)
		return err_set(e, -EINVAL,
			       "addr.type=unix or chardev= is missing");
	if (n->reconnect_ms && n->vhost.server)
		return err_set(e, -EINVAL,
			       "only a client can connect once more");
	n->vhost.reconnect_ms = (unsigned)n->reconnect_ms;
	return check_addr(&n->vhost.addr, "addr", e);
}

static int take_reconnect(struct netconf *n, const struct charconf_port *p,
			  struct err *e)
{
	bool ms = p->reconnect_ms[0];
	uint64_t v = 0;
	int ret = 0;

	if (ms || p->reconnect[0])
		ret = keyval_number(ms ? p->reconnect_ms : p->reconnect, 0,
				    ms ? 3600000 : 3600, &v, e);
	n->vhost.reconnect_ms = (unsigned)(ms ? v : v * 1000);
	return ret ? err_wrap(e, "-chardev: '%s': reconnect", p->id) : 0;
}

static int take_chardev(struct netconf *n, struct charconf *c, struct err *e)
{
	const struct charconf_port *p = charconf_lend(c, n->vhost_chardev, e);
	int ret;

	if (!p)
		return err_wrap(e, "-netdev: '%s'", n->base.id);
	n->vhost.addr = (struct net_addr){.kind = NET_ADDR_UNIX};
	n->vhost.server = p->server;
	ret = netconf_copy(n->vhost.addr.path, sizeof(n->vhost.addr.path),
			   p->path, e);
	return ret ? ret : take_reconnect(n, p, e);
}

int netconf_chardevs(const struct backends *list, struct charconf *c,
		     struct err *e)
{
	struct backend *b;
	struct netconf *n;
	int ret = 0;

	for (b = list->first; !ret && b; b = b->next) {
		n = (struct netconf *)b;
		if (b->class->kind == LINK_NET && n->vhost_chardev[0])
			ret = take_chardev(n, c, e);
	}
	return ret ? ret : charconf_check_lent(c, e);
}

static struct net *vhost_open(const struct netconf *n, struct err *e)
{
	/* Plugged in later: its socket is a chardev's for good. */
	if (n->vhost.addr.kind == NET_ADDR_NONE) {
		err_set(e, -ENOTSUP,
			"chardev=%s: name its socket by addr.type=unix, "
			"addr.path= here",
			n->vhost_chardev);
		return NULL;
	}
	return net_vhost_user_open(&n->vhost, e);
}

static const struct prop vhost_props[] = {
	{"queues", PROP_NUMBER, FIELD(vhost_queues), 1, NET_QUEUES, "1",
	 "pairs of queues"},
	{"server", PROP_BOOL, FIELD(vhost.server), 0, 0, "off",
	 "waits for the backend"},
	{"reconnect-ms", PROP_NUMBER, FIELD(reconnect_ms), 0, 3600000, "0",
	 "a client tries again after, 0: never"},
	{0},
};

static const struct netconf_key vhost_keys[] = {
	{"addr.", vhost_addr, "type=unix: path, abstract"},
	{"chardev", vhost_chardev, "the -chardev socket to use instead"},
	{"vhostforce", vhost_force, "it is always on", "on|off", "on"},
	{0},
};

const struct netconf_kind netconf_vhost_user = {
	"vhost-user", vhost_props, vhost_keys, vhost_check, vhost_open,
};
