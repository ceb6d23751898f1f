/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -netdev: user and tap.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/net/net.h"
#include "lib/keyval.h"
#include "vmm/devconf.h"

enum net_kind { NET_USER, NET_TAP };

struct net_backend {
	struct backend base;
	enum net_kind kind;
	struct net_user_options user;
	char ifname[16];
	int fd; /* -1: open ifname */
};

#define TEXT(f) \
	offsetof(struct net_backend, f), sizeof(((struct net_backend *)0)->f)

/* Keys that are plain text. */
static const struct {
	const char *name;
	enum net_kind kind;
	size_t offset, size;
} texts[] = {
	{"net", NET_USER, TEXT(user.net)},
	{"host", NET_USER, TEXT(user.host)},
	{"dhcpstart", NET_USER, TEXT(user.dhcp)},
	{"dns", NET_USER, TEXT(user.dns)},
	{"hostname", NET_USER, TEXT(user.hostname)},
	{"domainname", NET_USER, TEXT(user.domain)},
	{"ifname", NET_TAP, TEXT(ifname)},
};

static int net_open(struct backend *base, struct err *e)
{
	struct net_backend *n = (struct net_backend *)base;

	base->object = n->kind == NET_TAP ? net_tap_open(n->ifname, n->fd, e)
					  : net_user_open(&n->user, e);
	return base->object ? 0 : e->code;
}

static void net_shut(struct backend *base)
{
	net_close(base->object);
}

static const struct backend_class net_class = {
	LINK_NET,
	"netdev",
	net_open,
	net_shut,
};

static int copy(char *to, size_t size, const char *text, struct err *e)
{
	if (strlen(text) >= size)
		return err_set(e, -EINVAL, "'%s' is too long", text);
	strcpy(to, text);
	return 0;
}

static int add_forward(struct net_user_options *o, const char *rule,
		       struct err *e)
{
	if (o->forwards == ARRAY_SIZE(o->forward))
		return err_set(e, -ENOSPC, "more than %zu hostfwd",
			       ARRAY_SIZE(o->forward));
	return copy(o->forward[o->forwards++], sizeof(o->forward[0]), rule, e);
}

/* A tap without scripts needs nobody's help; asking for one is refused. */
static int tap_key(struct net_backend *n, const struct keyval *kv,
		   struct err *e)
{
	uint64_t fd;
	bool on;
	int ret;

	if (!strcmp(kv->key, "fd")) {
		ret = keyval_number(kv->value, 0, 1 << 20, &fd, e);
		n->fd = ret ? -1 : (int)fd;
		return ret;
	}
	if (!strcmp(kv->key, "script") || !strcmp(kv->key, "downscript")) {
		if (!strcmp(kv->value, "no") || !kv->value[0])
			return 0;
		return err_set(e, -EINVAL, "%s= can only be no", kv->key);
	}
	if (!strcmp(kv->key, "vhost")) {
		ret = keyval_bool(kv->value, &on, e);
		if (!ret && on)
			ret = err_set(e, -ENOTSUP, "vhost is not offered");
		return ret;
	}
	return err_set(e, -EINVAL, "tap has no '%s' (id, ifname, fd)",
		       kv->bare ? kv->value : kv->key);
}

static int user_key(struct net_backend *n, const struct keyval *kv,
		    struct err *e)
{
	if (!strcmp(kv->key, "restrict"))
		return keyval_bool(kv->value, &n->user.restricted, e);
	if (!strcmp(kv->key, "hostfwd"))
		return add_forward(&n->user, kv->value, e);
	return err_set(e, -EINVAL,
		       "user has no '%s' (id, net, host, dhcpstart, dns, "
		       "hostname, domainname, restrict, hostfwd)",
		       kv->bare ? kv->value : kv->key);
}

static int set_key(struct net_backend *n, const struct keyval *kv,
		   struct err *e)
{
	size_t i;

	if (!strcmp(kv->key, "id"))
		return copy(n->base.id, sizeof(n->base.id), kv->value, e);
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].kind == n->kind && !strcmp(texts[i].name, kv->key))
			return copy((char *)n + texts[i].offset, texts[i].size,
				    kv->value, e);
	return n->kind == NET_TAP ? tap_key(n, kv, e) : user_key(n, kv, e);
}

static int print_help(void)
{
	puts("user: id, net, host, dhcpstart, dns, hostname, domainname,\n"
	     "      restrict=on|off, hostfwd=tcp|udp:[ADDR]:PORT-[ADDR]:PORT\n"
	     "tap:  id, ifname, fd, script=no, downscript=no, vhost=off");
	return 1;
}

static int set_kind(struct net_backend *n, const char *kind, struct err *e)
{
	if (!strcmp(kind, "help"))
		return print_help();
	n->kind = !strcmp(kind, "tap") ? NET_TAP : NET_USER;
	if (n->kind == NET_TAP || !strcmp(kind, "user"))
		return 0;
	return err_set(e, -EINVAL, "'%s' is not one of user, tap", kind);
}

static int parse(struct net_backend *n, const char *arg, struct err *e)
{
	struct keyval kv;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no kind given");
	ret = set_kind(n, kv.value, e);
	while (!ret && (ret = keyval_next(&arg, &kv, e)) > 0)
		ret = set_key(n, &kv, e);
	if (!ret && !n->base.id[0])
		ret = err_set(e, -EINVAL, "id= is missing");
	return ret;
}

int devconf_netdev(struct devconf *c, const char *arg, struct err *e)
{
	struct net_backend *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return err_set(e, -ENOMEM, "out of memory");
	n->base.class = &net_class;
	n->fd = -1;
	ret = parse(n, arg, e);
	if (!ret)
		ret = backend_add(&c->backends, &n->base, e);
	if (ret)
		free(n);
	return ret;
}
