/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the guest's network, ports that lead into it, addresses in it
 * that lead out.
 */
#include "host/net/userconf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define FORWARD_RULE                          \
	"tcp|udp:[ADDR]:PORT-[ADDR]:PORT or " \
	"unix:PATH-[ADDR]:PORT"
#define GUESTFWD_RULE                                     \
	"[tcp]:ADDR:PORT-cmd:COMMAND, -tcp:ADDR:PORT or " \
	"-unix:PATH"

static int parse_address(const char *text, struct in_addr *out, struct err *e)
{
	return inet_pton(AF_INET, text, out) == 1
		       ? 0
		       : err_set(e, -EINVAL, "'%s' is not an IPv4 address",
				 text);
}

static int parse_address6(const char *text, struct in6_addr *out, struct err *e)
{
	return inet_pton(AF_INET6, text, out) == 1
		       ? 0
		       : err_set(e, -EINVAL, "'%s' is not an IPv6 address",
				 text);
}

/* ---- the guest's network ---- */

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

/* "24" or "255.255.255.0" */
static int parse_mask(const char *text, struct in_addr *mask)
{
	unsigned long bits;
	uint32_t m;
	char *end;

	if (strchr(text, '.')) {
		if (inet_pton(AF_INET, text, mask) != 1)
			return -EINVAL;
	} else {
		bits = strtoul(text, &end, 10);
		if (end == text || *end || bits < 8 || bits > 27)
			return -EINVAL;
		mask->s_addr = htonl(UINT32_MAX << (32 - bits));
	}
	m = ~ntohl(mask->s_addr);
	return m & (m + 1) || m < 31 || m >= 1U << 24 ? -EINVAL : 0;
}

static int fill_ipv4(SlirpConfig *c, const struct net_user_options *o,
		     struct err *e)
{
	char net[64], *slash;
	int ret;

	snprintf(net, sizeof(net), "%s", o->net[0] ? o->net : "10.0.2.0/24");
	slash = strchr(net, '/');
	if (slash)
		*slash++ = '\0';
	if (parse_mask(slash ? slash : "24", &c->vnetmask))
		return err_set(e, -EINVAL,
			       "net=%s: a mask of 8 to 27 bits is possible",
			       o->net);
	ret = parse_address(net, &c->vnetwork, e);
	if (ret)
		return ret;
	c->vnetwork.s_addr &= c->vnetmask.s_addr;
	ret = address_in(c, o->host, 2, &c->vhost, e);
	if (!ret)
		ret = address_in(c, o->dns, 3, &c->vnameserver, e);
	if (!ret)
		ret = address_in(c, o->dhcp, 15, &c->vdhcp_start, e);
	if (!ret && (c->vhost.s_addr == c->vnameserver.s_addr ||
		     c->vhost.s_addr == c->vdhcp_start.s_addr ||
		     c->vnameserver.s_addr == c->vdhcp_start.s_addr))
		ret = err_set(e, -EINVAL,
			      "host, dns and dhcpstart are not three "
			      "addresses");
	return ret;
}

static bool in_prefix(const SlirpConfig *c, const struct in6_addr *a)
{
	unsigned bits = c->vprefix_len, byte = bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> bits % 8);

	return !memcmp(a, &c->vprefix_addr6, byte) &&
	       (!mask ||
		!((a->s6_addr[byte] ^ c->vprefix_addr6.s6_addr[byte]) & mask));
}

static int address6_in(const SlirpConfig *c, const char *text, uint8_t n,
		       struct in6_addr *out, struct err *e)
{
	int ret;

	if (!text[0]) {
		*out = c->vprefix_addr6;
		out->s6_addr[15] |= n;
		return 0;
	}
	ret = parse_address6(text, out, e);
	if (!ret && !in_prefix(c, out))
		ret = err_set(e, -EINVAL, "%s is not in the network", text);
	return ret;
}

static int fill_ipv6(SlirpConfig *c, const struct net_user_options *o,
		     struct err *e)
{
	char net[64], *slash, *end;
	unsigned long bits = 64;
	int ret;

	snprintf(net, sizeof(net), "%s", o->net6[0] ? o->net6 : "fec0::/64");
	slash = strchr(net, '/');
	if (slash) {
		*slash = '\0';
		bits = strtoul(slash + 1, &end, 10);
		if (end == slash + 1 || *end)
			bits = 0;
	}
	/* Hosts make up 64 bits of their addresses themselves. */
	if (bits < 8 || bits > 64)
		return err_set(e, -EINVAL,
			       "ipv6-net=%s: 8 to 64 bits are possible",
			       o->net6);
	c->vprefix_len = (uint8_t)bits;
	ret = parse_address6(net, &c->vprefix_addr6, e);
	if (!ret)
		ret = address6_in(c, o->host6, 2, &c->vhost6, e);
	if (!ret)
		ret = address6_in(c, o->dns6, 3, &c->vnameserver6, e);
	return ret;
}

static void fill_names(struct userconf *c, const struct net_user_options *o)
{
	SlirpConfig *s = &c->slirp;
	unsigned i;

	s->vhostname = o->hostname[0] ? o->hostname : NULL;
	s->vdomainname = o->domain[0] ? o->domain : NULL;
	s->tftp_path = o->tftp[0] ? o->tftp : NULL;
	s->tftp_server_name = o->tftp_server[0] ? o->tftp_server : NULL;
	s->bootfile = o->bootfile[0] ? o->bootfile : NULL;
	for (i = 0; i < o->searches && i < USERCONF_SEARCH; i++)
		c->search[i] = o->search[i];
	s->vdnssearch = o->searches ? c->search : NULL;
}

int userconf_fill(struct userconf *c, const struct net_user_options *o,
		  struct err *e)
{
	SlirpConfig *s = &c->slirp;
	int ret;

	*c = (struct userconf){
		.slirp =
			{
				.version = 4,
				.in_enabled = !o->no_ipv4,
				.in6_enabled = !o->no_ipv6,
				.restricted = o->restricted,
			},
	};
	if (o->no_ipv4 && o->no_ipv6)
		return err_set(e, -EINVAL, "ipv4 and ipv6 are both off");
	fill_names(c, o);
	ret = fill_ipv4(s, o, e);
	return ret ? ret : fill_ipv6(s, o, e);
}

/* ---- ports into it ---- */

/* A place to listen at or to lead to. */
struct place {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
	socklen_t len;
};

static int parse_number(const char *text, in_port_t *port)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*end || n > 65535)
		return -EINVAL;
	*port = htons((in_port_t)n);
	return 0;
}

/* "[ADDR]:PORT", an IPv6 ADDR in brackets; what is not said stays. */
static int parse_place(char *text, struct place *p)
{
	char *colon = strrchr(text, ':'), *host = text;
	size_t len;

	if (!colon)
		return -EINVAL;
	*colon = '\0';
	len = strlen(host);
	if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		p->u.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
		p->len = sizeof(p->u.in6);
		if (inet_pton(AF_INET6, host + 1, &p->u.in6.sin6_addr) != 1)
			return -EINVAL;
		return parse_number(colon + 1, &p->u.in6.sin6_port);
	}
	if (host[0] && inet_pton(AF_INET, host, &p->u.in.sin_addr) != 1)
		return -EINVAL;
	return parse_number(colon + 1, &p->u.in.sin_port);
}

static int parse_path(const char *path, struct place *p)
{
	p->u.un = (struct sockaddr_un){.sun_family = AF_UNIX};
	p->len = sizeof(p->u.un);
	if (!path[0] || strlen(path) >= sizeof(p->u.un.sun_path))
		return -EINVAL;
	strcpy(p->u.un.sun_path, path);
	return 0;
}

static struct place inet_place(struct in_addr addr)
{
	return (struct place){
		.u.in = {.sin_family = AF_INET, .sin_addr = addr},
		.len = sizeof(struct sockaddr_in),
	};
}

/* "[tcp:|udp:][ADDR]:PORT" or "unix:PATH". */
static int parse_host(char *text, struct place *host, bool *udp)
{
	*host = inet_place((struct in_addr){htonl(INADDR_ANY)});
	*udp = !strncmp(text, "udp:", 4);
	if (!strncmp(text, "unix:", 5))
		return parse_path(text + 5, host);
	/* ":ADDR:PORT" is TCP as well. */
	if (*udp || !strncmp(text, "tcp:", 4))
		text += 4;
	else if (*text == ':')
		text++;
	return parse_place(text, host);
}

/* Both ends of a rule. */
static int parse_forward(const struct userconf *c, const char *rule,
			 struct place *host, struct place *guest, bool *udp)
{
	char text[NET_RULE], *dash;
	int ret;

	*guest = inet_place(c->slirp.vdhcp_start);
	snprintf(text, sizeof(text), "%s", rule);
	dash = strrchr(text, '-');
	if (!dash)
		return -EINVAL;
	*dash = '\0';
	ret = parse_host(text, host, udp);
	if (!ret)
		ret = parse_place(dash + 1, guest);
	if (!ret &&
	    (guest->u.any.sa_family == AF_INET6 ? !guest->u.in6.sin6_port
						: !guest->u.in.sin_port))
		ret = -EINVAL;
	/* One family on both sides, but for a path. */
	if (!ret && host->u.any.sa_family != AF_UNIX &&
	    host->u.any.sa_family != guest->u.any.sa_family)
		ret = -EINVAL;
	return ret;
}

int userconf_forward(Slirp *slirp, const struct userconf *c, const char *rule,
		     struct err *e)
{
	struct place host, guest;
	bool udp;

	if (parse_forward(c, rule, &host, &guest, &udp))
		return err_set(e, -EINVAL, "hostfwd=%s is not " FORWARD_RULE,
			       rule);
	if (slirp_add_hostxfwd(slirp, &host.u.any, host.len, &guest.u.any,
			       guest.len, udp ? SLIRP_HOSTFWD_UDP : 0)) {
		int code = -errno;

		return err_set(e, code, "hostfwd=%s: cannot listen: %s", rule,
			       strerror(-code));
	}
	return 0;
}

int userconf_unforward(Slirp *slirp, const char *rule, struct err *e)
{
	char text[NET_RULE];
	struct place host;
	bool udp;

	snprintf(text, sizeof(text), "%s", rule);
	if (parse_host(text, &host, &udp))
		return err_set(e, -EINVAL,
			       "'%.100s' is not tcp|udp:[ADDR]:PORT or "
			       "unix:PATH",
			       rule);
	if (slirp_remove_hostxfwd(slirp, &host.u.any, host.len,
				  udp ? SLIRP_HOSTFWD_UDP : 0))
		return err_set(e, -ENOENT,
			       "host forwarding rule for %.100s not found",
			       rule);
	return 0;
}

/* ---- addresses out of it ---- */

static int parse_target(struct userconf_guestfwd *out, char *target)
{
	struct place host = inet_place((struct in_addr){0});
	const char *text = target;

	if (!strncmp(target, "cmd:", 4)) {
		out->kind = GUESTFWD_COMMAND;
		text += 4;
	} else if (!strncmp(target, "unix:", 5)) {
		out->kind = GUESTFWD_UNIX;
		text += 5;
		if (strlen(text) >= sizeof(host.u.un.sun_path))
			return -EINVAL;
	} else if (!strncmp(target, "tcp:", 4)) {
		out->kind = GUESTFWD_TCP;
		if (parse_place(target + 4, &host) ||
		    host.u.any.sa_family != AF_INET || !host.u.in.sin_port ||
		    !host.u.in.sin_addr.s_addr)
			return -EINVAL;
		out->host = host.u.in;
	} else {
		return -EINVAL;
	}
	if (!text[0])
		return -EINVAL;
	memmove(out->target, text, strlen(text) + 1);
	return 0;
}

int userconf_guestfwd(struct userconf_guestfwd *out, const struct userconf *c,
		      const char *rule, struct err *e)
{
	struct place guest = inet_place((struct in_addr){0});
	char text[NET_RULE], *from = text, *dash;
	int ret = -EINVAL;

	*out = (struct userconf_guestfwd){0};
	snprintf(text, sizeof(text), "%s", rule);
	dash = strchr(text, '-');
	if (dash) {
		*dash = '\0';
		if (!strncmp(from, "tcp:", 4))
			from += 4;
		else if (*from == ':')
			from++;
		ret = parse_place(from, &guest);
		if (!ret &&
		    (guest.u.any.sa_family != AF_INET || !guest.u.in.sin_port))
			ret = -EINVAL;
		if (!ret)
			ret = parse_target(out, dash + 1);
	}
	if (ret)
		return err_set(e, ret, "guestfwd=%s is not " GUESTFWD_RULE,
			       rule);
	out->addr = guest.u.in.sin_addr;
	out->port = ntohs(guest.u.in.sin_port);
	if ((out->addr.s_addr & c->slirp.vnetmask.s_addr) !=
	    c->slirp.vnetwork.s_addr)
		return err_set(e, -EINVAL,
			       "guestfwd=%s: its first address is not in the "
			       "guest's network",
			       rule);
	return 0;
}
