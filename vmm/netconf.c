/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -netdev: user and tap.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/devconf.h"

#define TEXT(f)                             \
	offsetof(struct devconf_netdev, f), \
		sizeof(((struct devconf_netdev *)0)->f)

/* Keys that are plain text. */
static const struct {
	const char *name;
	enum devconf_net_kind kind;
	size_t offset, size;
} texts[] = {
	{"net", DEVCONF_USER, TEXT(user.net)},
	{"host", DEVCONF_USER, TEXT(user.host)},
	{"dhcpstart", DEVCONF_USER, TEXT(user.dhcp)},
	{"dns", DEVCONF_USER, TEXT(user.dns)},
	{"hostname", DEVCONF_USER, TEXT(user.hostname)},
	{"domainname", DEVCONF_USER, TEXT(user.domain)},
	{"ifname", DEVCONF_TAP, TEXT(ifname)},
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
static int tap_key(struct devconf_netdev *n, const struct keyval *kv,
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

static int user_key(struct devconf_netdev *n, const struct keyval *kv,
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

static int set_key(struct devconf_netdev *n, const struct keyval *kv,
		   struct err *e)
{
	size_t i;

	if (!strcmp(kv->key, "id"))
		return copy(n->id, sizeof(n->id), kv->value, e);
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].kind == n->kind && !strcmp(texts[i].name, kv->key))
			return copy((char *)n + texts[i].offset, texts[i].size,
				    kv->value, e);
	return n->kind == DEVCONF_TAP ? tap_key(n, kv, e) : user_key(n, kv, e);
}

static int print_help(void)
{
	puts("user: id, net, host, dhcpstart, dns, hostname, domainname,\n"
	     "      restrict=on|off, hostfwd=tcp|udp:[ADDR]:PORT-[ADDR]:PORT\n"
	     "tap:  id, ifname, fd, script=no, downscript=no, vhost=off");
	return 1;
}

static int set_kind(struct devconf_netdev *n, const char *kind, struct err *e)
{
	if (!strcmp(kind, "help"))
		return print_help();
	n->kind = !strcmp(kind, "tap") ? DEVCONF_TAP : DEVCONF_USER;
	if (n->kind == DEVCONF_TAP || !strcmp(kind, "user"))
		return 0;
	return err_set(e, -EINVAL, "'%s' is not one of user, tap", kind);
}

int devconf_netdev(struct devconf *c, const char *arg, struct err *e)
{
	struct devconf_netdev *n = &c->netdev[c->netdevs];
	struct keyval kv;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no kind given");
	if (c->netdevs == DEVCONF_MAX)
		return err_set(e, -ENOSPC, "more than %d netdevs", DEVCONF_MAX);
	*n = (struct devconf_netdev){.fd = -1};
	ret = set_kind(n, kv.value, e);
	while (!ret && (ret = keyval_next(&arg, &kv, e)) > 0)
		ret = set_key(n, &kv, e);
	if (ret)
		return ret;
	if (!n->id[0])
		return err_set(e, -EINVAL, "id= is missing");
	if (devconf_find_netdev(c, n->id) >= 0)
		return err_set(e, -EINVAL, "a second '%s'", n->id);
	c->netdevs++;
	return 0;
}
