/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses, addresses to sockets.
 */
#include "host/net/sockaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

const char *sockaddr_print(const struct net_addr *a, char *buf, size_t size)
{
	if (a->kind == NET_ADDR_INET)
		snprintf(buf, size, "%s:%s", a->host, a->port);
	else if (a->kind == NET_ADDR_UNIX)
		snprintf(buf, size, "%s%s", a->abstract ? "@" : "", a->path);
	else
		snprintf(buf, size, "fd %d", a->fd);
	return buf;
}

static int find_unix(struct net_sockaddr *out, const struct net_addr *a,
		     struct err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(a->path);

	if (!len || len + 1 > sizeof(un.sun_path))
		return err_set(e, -EINVAL,
			       "'%s' is not a path of 1 to %zu bytes", a->path,
			       sizeof(un.sun_path) - 1);
	memcpy(un.sun_path + a->abstract, a->path, len);
	memcpy(&out->ss, &un, sizeof(un));
	out->len = a->abstract ? (socklen_t)(offsetof(struct sockaddr_un,
						      sun_path) +
					     1 + len)
			       : sizeof(un);
	return 0;
}

int sockaddr_find(struct net_sockaddr *out, const struct net_addr *a, int type,
		  struct err *e)
{
	struct addrinfo hints = {.ai_socktype = type}, *found;
	int ret;

	*out = (struct net_sockaddr){.len = 0};
	if (a->kind == NET_ADDR_UNIX)
		return find_unix(out, a, e);
	if (!a->host[0])
		hints.ai_flags = AI_PASSIVE;
	if (a->only4 != a->only6)
		hints.ai_family = a->only4 ? AF_INET : AF_INET6;
	else if (!a->host[0])
		hints.ai_family = AF_INET;
	ret = getaddrinfo(a->host[0] ? a->host : NULL, a->port, &hints, &found);
	if (ret)
		return err_set(e, -EINVAL, "cannot look '%s:%s' up: %s",
			       a->host, a->port, gai_strerror(ret));
	memcpy(&out->ss, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* A path nobody listens at any more is in the way. */
static void remove_stale(const struct net_addr *a, const struct net_sockaddr *s)
{
	int fd;

	if (a->kind != NET_ADDR_UNIX || a->abstract)
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&s->ss, s->len) &&
	    errno == ECONNREFUSED)
		unlink(a->path);
	close(fd);
}

int sockaddr_listen(const struct net_addr *a, struct err *e)
{
	struct net_sockaddr s;
	char name[128];
	int fd, code, one = 1, ret = sockaddr_find(&s, a, SOCK_STREAM, e);

	if (ret)
		return ret;
	remove_stale(a, &s);
	fd = socket(s.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&s.ss, s.len) &&
	    !listen(fd, 1))
		return fd;
	code = -errno;
	if (fd >= 0)
		close(fd);
	return err_set(e, code, "cannot listen at '%s': %s",
		       sockaddr_print(a, name, sizeof(name)), strerror(-code));
}

static void peer_unix(const struct net_sockaddr *s, struct net_addr *peer)
{
	struct sockaddr_un un;
	size_t len = s->len - offsetof(struct sockaddr_un, sun_path);

	memcpy(&un, &s->ss, sizeof(un));
	peer->kind = NET_ADDR_UNIX;
	peer->abstract = len > 1 && !un.sun_path[0];
	len -= peer->abstract;
	memcpy(peer->path, un.sun_path + peer->abstract,
	       MIN(len, sizeof(peer->path) - 1));
}

void sockaddr_peer(int fd, struct net_addr *peer)
{
	struct net_sockaddr s = {.len = sizeof(s.ss)};
	struct sockaddr *sa = (struct sockaddr *)&s.ss;

	*peer = (struct net_addr){.kind = NET_ADDR_NONE};
	if (getpeername(fd, sa, &s.len))
		return;
	if (sa->sa_family == AF_UNIX) {
		peer_unix(&s, peer);
	} else if (!getnameinfo(sa, s.len, peer->host, sizeof(peer->host),
				peer->port, sizeof(peer->port),
				NI_NUMERICHOST | NI_NUMERICSERV)) {
		peer->kind = NET_ADDR_INET;
		peer->only4 = sa->sa_family == AF_INET;
		peer->only6 = sa->sa_family == AF_INET6;
	}
}

int sockaddr_adopt(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	return 0;
}
