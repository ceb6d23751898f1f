/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of -netdev, and the two that most guests have: user and tap.
 */
#include "vmm/net/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keyval.h"

#define FIELD(f) offsetof(struct netconf, f)
#define TEXT(f)  FIELD(f), 0, sizeof(((struct netconf *)0)->f)

int netconf_copy(char *to, size_t size, const char *text, struct err *e)
{
	if (strlen(text) >= size)
		return err_set(e, -EINVAL, "'%s' is too long", text);
	strcpy(to, text);
	return 0;
}

int netconf_fd(const char *text, int *fd, struct err *e)
{
	uint64_t n;
	int ret = keyval_number(text, 0, 1 << 20, &n, e);

	if (!ret)
		*fd = (int)n;
	return ret;
}

/* ---- user ---- */

static int add_text(char *list, size_t size, unsigned max, unsigned *n,
		    const char *text, struct err *e)
{
	if (*n == max)
		return err_set(e, -ENOSPC, "given more than %u times", max);
	return netconf_copy(list + size * (*n)++, size, text, e);
}

#define ADD_TEXT(list, n, text, e) \
	add_text((list)[0], sizeof((list)[0]), ARRAY_SIZE(list), &(n), text, e)

static int user_hostfwd(struct netconf *n, const char *key, const char *value,
			struct err *e)
{
	return ADD_TEXT(n->user.forward, n->user.forwards, value, e);
}

static int user_guestfwd(struct netconf *n, const char *key, const char *value,
			 struct err *e)
{
	return ADD_TEXT(n->user.guestfwd, n->user.guestfwds, value, e);
}

static int user_search(struct netconf *n, const char *key, const char *value,
		       struct err *e)
{
	return ADD_TEXT(n->user.search, n->user.searches, value, e);
}

static int user_family(struct netconf *n, const char *key, const char *value,
		       struct err *e)
{
	bool on, *off = key[3] == '4' ? &n->user.no_ipv4 : &n->user.no_ipv6;
	int ret = keyval_bool(value, &on, e);

	if (!ret)
		*off = !on;
	return ret;
}

static int user_smb(struct netconf *n, const char *key, const char *value,
		    struct err *e)
{
	return err_set(e, -ENOTSUP, "shares by SMB are not offered");
}

static const struct prop user_props[] = {
	{"net", PROP_TEXT, TEXT(user.net), "10.0.2.0/24", "ADDR/BITS"},
	{"host", PROP_TEXT, TEXT(user.host), "",
	 "this host's address in it, or its second one"},
	{"dhcpstart", PROP_TEXT, TEXT(user.dhcp), "",
	 "first address that DHCP gives, or its 15th"},
	{"dns", PROP_TEXT, TEXT(user.dns), "",
	 "the name server's address, or its third"},
	{"ipv6-net", PROP_TEXT, TEXT(user.net6), "fec0::/64", "ADDR/BITS"},
	{"ipv6-host", PROP_TEXT, TEXT(user.host6), "",
	 "this host's address in it, or its second one"},
	{"ipv6-dns", PROP_TEXT, TEXT(user.dns6), "",
	 "the name server's address, or its third"},
	{"hostname", PROP_TEXT, TEXT(user.hostname), "", "of the guest"},
	{"domainname", PROP_TEXT, TEXT(user.domain), "", "of the guest"},
	{"tftp", PROP_TEXT, TEXT(user.tftp), "", "folder served by TFTP"},
	{"tftp-server-name", PROP_TEXT, TEXT(user.tftp_server), "",
	 "as DHCP tells it"},
	{"bootfile", PROP_TEXT, TEXT(user.bootfile), "", "as DHCP tells it"},
	{"restrict", PROP_BOOL, FIELD(user.restricted), 0, 0, "off",
	 "no way out but the forwarded ones"},
	{0},
};

static const struct netconf_key user_keys[] = {
	{"hostfwd", user_hostfwd,
	 "tcp|udp:[ADDR]:PORT-[ADDR]:PORT, unix:PATH-[ADDR]:PORT; again\n"
	 "and again"},
	{"guestfwd", user_guestfwd,
	 "tcp:ADDR:PORT-cmd:COMMAND, -tcp:ADDR:PORT, -unix:PATH; again and\n"
	 "again"},
	{"dnssearch", user_search,
	 "domain to look names up in; again and again"},
	{"ipv4", user_family, "the guest has IPv4", "on|off", "on"},
	{"ipv6", user_family, "the guest has IPv6", "on|off", "on"},
	{"smb", user_smb, NULL},
	{"smbserver", user_smb, NULL},
	{0},
};

static struct net *user_open(const struct netconf *n, struct err *e)
{
	return net_user_open(&n->user, e);
}

const struct netconf_kind netconf_user = {
	"user", user_props, user_keys, NULL, user_open,
};

/* ---- tap ---- */

static int take_fds(const char *value, int *fd, unsigned *fds, struct err *e)
{
	char text[KEYVAL_MAX], *at = text, *one;
	int ret = 0;

	strcpy(text, value);
	while (!ret && (one = strsep(&at, ":"))) {
		if (*fds == NET_QUEUES)
			return err_set(e, -ENOSPC, "more than %d descriptors",
				       NET_QUEUES);
		ret = netconf_fd(one, &fd[(*fds)++], e);
	}
	return ret;
}

static int tap_fds(struct netconf *n, const char *key, const char *value,
		   struct err *e)
{
	return take_fds(value, n->tap.fd, &n->tap.fds, e);
}

static int tap_vhost_fds(struct netconf *n, const char *key, const char *value,
			 struct err *e)
{
	return take_fds(value, n->tap.vhost_fd, &n->tap.vhost_fds, e);
}

/* A tap without scripts needs nobody's help; asking for one is refused. */
static int tap_script(struct netconf *n, const char *key, const char *value,
		      struct err *e)
{
	if (!strcmp(value, "no") || !value[0])
		return 0;
	return err_set(e, -ENOTSUP,
		       "can only be no: set the interface up before");
}

static int tap_helper(struct netconf *n, const char *key, const char *value,
		      struct err *e)
{
	return err_set(e, -ENOTSUP,
		       "no program is called for help: make the interface "
		       "before and name it, or give it by fd=");
}

static int tap_vhost(struct netconf *n, const char *key, const char *value,
		     struct err *e)
{
	return keyval_bool(value, &n->tap.vhost, e);
}

static int tap_check(struct netconf *n, struct err *e)
{
	unsigned queues = n->tap.fds ? n->tap.fds
				     : MAX((unsigned)n->tap_queues, 1U);

	if (n->tap.fds && (n->tap.ifname[0] || n->tap_queues))
		return err_set(e, -EINVAL,
			       "fd= and fds= leave no choice for ifname= and "
			       "queues=");
	if (n->tap.vhost_fds && !n->tap.vhost)
		return err_set(e, -EINVAL, "vhostfd= goes with vhost=on");
	if (n->tap.vhost_fds && n->tap.vhost_fds != queues)
		return err_set(e, -EINVAL,
			       "%u descriptors by vhostfds= for %u pairs of "
			       "queues",
			       n->tap.vhost_fds, queues);
	n->tap.queues = (unsigned)n->tap_queues;
	n->tap.no_header = !n->vnet_hdr;
	return 0;
}

static struct net *tap_open(const struct netconf *n, struct err *e)
{
	return net_tap_open(&n->tap, e);
}

static const struct prop tap_props[] = {
	{"ifname", PROP_TEXT, TEXT(tap.ifname), "", "the interface"},
	{"queues", PROP_NUMBER, FIELD(tap_queues), 0, NET_QUEUES, "0",
	 "pairs of queues to open"},
	{"vnet_hdr", PROP_BOOL, FIELD(vnet_hdr), 0, 0, "on",
	 "offloads, if the interface has them"},
	{0},
};

static const struct netconf_key tap_keys[] = {
	{"fd", tap_fds, "an open interface", "number"},
	{"fds", tap_fds, "N:N:...: one with several queues"},
	{"script", tap_script, "none is run", "no", "no"},
	{"downscript", tap_script, "none is run", "no", "no"},
	{"vhost", tap_vhost, "the host's kernel does the work", "on|off",
	 "off"},
	{"vhostfd", tap_vhost_fds, "an open /dev/vhost-net for it", "number"},
	{"vhostfds", tap_vhost_fds, "N:N:...: one for each pair of queues"},
	{"helper", tap_helper, NULL},
	{"br", tap_helper, NULL},
	{0},
};

const struct netconf_kind netconf_tap = {
	"tap", tap_props, tap_keys, tap_check, tap_open,
};

/* ---- all kinds ---- */

static const struct netconf_kind *const kinds[] = {
	&netconf_user,   &netconf_tap,   &netconf_socket,
	&netconf_stream, &netconf_dgram, &netconf_vhost_user,
};

/* Kinds of QEMU's that are not ours. */
static const char *const foreign[] = {
	"af-xdp", "bridge", "hubport", "l2tpv3",
	"netmap", "passt",  "vde",     "vhost-vdpa",
};

static int net_open(struct backend *base, struct err *e)
{
	const struct netconf *n = (const struct netconf *)base;

	base->object = n->kind->open(n, e);
	return base->object ? 0 : e->code;
}

static void net_shut(struct backend *base)
{
	net_close(base->object);
}

static const struct backend_class net_class = {
	.kind = LINK_NET,
	.what = "netdev",
	.open = net_open,
	.close = net_shut,
};

static const struct netconf_key *find_key(const struct netconf_key *k,
					  const char *name)
{
	size_t len;

	for (; k && k->name; k++) {
		len = strlen(k->name);
		if (k->name[len - 1] == '.' ? !strncmp(k->name, name, len)
					    : !strcmp(k->name, name))
			return k;
	}
	return NULL;
}

static int set_key(struct netconf *n, const struct keyval *kv, struct err *e)
{
	const struct prop *p = prop_find(n->kind->props, kv->key);
	const struct netconf_key *k = find_key(n->kind->keys, kv->key);
	int ret;

	if (!kv->bare && !strcmp(kv->key, "id"))
		return netconf_copy(n->base.id, sizeof(n->base.id), kv->value,
				    e);
	if (kv->bare || (!p && !k))
		return err_set(e, -EINVAL,
			       "%s has no '%s' (-netdev %s,help lists all)",
			       n->kind->name, kv->bare ? kv->value : kv->key,
			       n->kind->name);
	if (p)
		return prop_set(p, n, NULL, kv->value, e);
	ret = k->set(n, kv->key, kv->value, e);
	return ret ? err_wrap(e, "%s=%s", kv->key, kv->value) : 0;
}

static int print_help(const struct netconf_kind *kind)
{
	const struct netconf_key *k;

	prop_print(kind->name, kind->props);
	for (k = kind->keys; k && k->name; k++)
		if (k->help)
			printf("%s.%s=<%s>  %s (default: %s)\n", kind->name,
			       k->name, k->value ? k->value : "text", k->help,
			       k->def ? k->def : "none");
	return 1;
}

static int print_kinds(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		puts(kinds[i]->name);
	return 1;
}

static int set_kind(struct netconf *n, const char *kind, struct err *e)
{
	char names[128] = "";
	size_t i;

	if (!strcmp(kind, "help"))
		return print_kinds();
	for (i = 0; i < ARRAY_SIZE(foreign); i++)
		if (!strcmp(foreign[i], kind))
			return err_set(e, -ENOTSUP, "'%s' is not offered",
				       kind);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		n->kind = kinds[i];
		if (!strcmp(kinds[i]->name, kind))
			return 0;
		snprintf(names + strlen(names), sizeof(names) - strlen(names),
			 "%s%s", i ? ", " : "", kinds[i]->name);
	}
	return err_set(e, -EINVAL, "'%s' is not one of %s", kind, names);
}

static int parse(struct netconf *n, const char *arg, struct err *e)
{
	struct keyval kv;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no kind given");
	ret = set_kind(n, kv.value, e);
	if (ret)
		return ret;
	prop_defaults(n->kind->props, n, NULL);
	while (!ret && (ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare && !strcmp(kv.value, "help"))
			return print_help(n->kind);
		ret = set_key(n, &kv, e);
	}
	if (!ret && !n->base.id[0])
		ret = err_set(e, -EINVAL, "id= is missing");
	if (!ret && n->kind->check)
		ret = n->kind->check(n, e);
	return ret;
}

static void tell_peer(void *opaque, const struct net_addr *peer)
{
	const struct netconf *n = opaque;

	if (n->conf->net_peer)
		n->conf->net_peer(n->conf->io_ctx, n, peer);
}

struct net_watcher netconf_watcher(struct netconf *n)
{
	return (struct net_watcher){tell_peer, n};
}

bool netconf_has_vhost(const struct backends *list)
{
	const struct backend *b;
	const struct netconf *n;

	for (b = list->first; b; b = b->next) {
		n = (const struct netconf *)b;
		if (b->class == &net_class &&
		    (n->kind == &netconf_vhost_user || n->tap.vhost))
			return true;
	}
	return false;
}

int devconf_netdev(struct devconf *c, const char *arg, struct err *e)
{
	struct netconf *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return err_set(e, -ENOMEM, "out of memory");
	n->base.class = &net_class;
	n->conf = c;
	ret = parse(n, arg, e);
	if (!ret)
		ret = backend_add(&c->backends, &n->base, e);
	if (ret)
		free(n);
	return ret;
}
