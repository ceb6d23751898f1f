/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports on stream sockets. One connection at a time: the others wait in the
 * listener's queue, which is not looked at meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/consolepriv.h"

#define QUEUE_LEN 4

static void set_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void on_connection(void *opaque, int revents)
{
	struct console *c = opaque;
	int one = 1,
	    fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (c->nodelay)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	evloop_set(c->listen_watch, 0);
	if (!console_connect(c, fd))
		return;
	close(fd);
	evloop_set(c->listen_watch, POLLIN);
}

void consock_again(struct console *c)
{
	evloop_set(c->listen_watch, POLLIN);
}

/* ---- descriptors ---- */

void consock_begin(struct console *c, int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	c->passes = !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
		    domain == AF_UNIX;
}

static void keep_passed(struct console *c, int fd)
{
	struct console_passed *p = &c->passed;

	if (p->n == CONSOLE_PASSED) {
		close(fd);
		return;
	}
	p->fd[p->n] = fd;
	p->message[p->n++] = p->messages;
}

static void take_passed(struct console *c, struct msghdr *m)
{
	struct cmsghdr *h;
	size_t i, n;
	int fd;

	for (h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		/* What is not read yet may still ask for the others. */
		if (!c->input[0].used && !c->input[1].used)
			consock_drop_passed(c);
		c->passed.messages++;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
			keep_passed(c, fd);
		}
	}
}

ssize_t consock_read(struct console *c, void *buf, size_t n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CONSOLE_PASSED * sizeof(int))];
	} control;
	struct iovec iov = {buf, n};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t got;

	if (!c->passes)
		return read(c->in, buf, n);
	got = recvmsg(c->in, &m, MSG_CMSG_CLOEXEC);
	if (got >= 0)
		take_passed(c, &m);
	return got;
}

void consock_drop_passed(struct console *c)
{
	while (c->passed.n)
		close(c->passed.fd[--c->passed.n]);
}

int console_take_fd(struct console *c)
{
	struct console_passed *p = &c->passed;
	unsigned used = 1, i;
	int fd;

	if (!p->n)
		return -1;
	fd = p->fd[0];
	for (; used < p->n && p->message[used] == p->message[0]; used++)
		close(p->fd[used]);
	for (i = used; i < p->n; i++) {
		p->fd[i - used] = p->fd[i];
		p->message[i - used] = p->message[i];
	}
	p->n -= used;
	return fd;
}

/* ---- addresses ---- */

static int set_path(struct sockaddr_un *sun, const char *path, struct err *e)
{
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!path[0] || strlen(path) >= sizeof(sun->sun_path))
		return err_set(e, -EINVAL,
			       "a socket's path has 1 to %zu characters, "
			       "'%s' does not",
			       sizeof(sun->sun_path) - 1, path);
	strcpy(sun->sun_path, path);
	return 0;
}

/* Bind and listen at, or connect to one address. A descriptor or -errno. */
static int try_address(const struct sockaddr *sa, socklen_t len, bool server)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, ret;

	if (fd < 0)
		return -errno;
	if (server && sa->sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ret = server ? bind(fd, sa, len) : connect(fd, sa, len);
	if (!ret && server)
		ret = listen(fd, QUEUE_LEN);
	if (!ret) {
		set_nonblocking(fd);
		return fd;
	}
	ret = -errno;
	close(fd);
	return ret;
}

static int open_unix(struct console *c, const struct console_address *a,
		     struct err *e)
{
	struct sockaddr_un sun;
	struct stat st;
	int fd = set_path(&sun, a->path, e);

	if (fd)
		return fd;
	if (a->server && !lstat(a->path, &st) && S_ISSOCK(st.st_mode))
		unlink(a->path); /* what another run left behind */
	fd = try_address((struct sockaddr *)&sun, sizeof(sun), a->server);
	if (fd < 0)
		return err_set(e, fd, "cannot %s %s: %s",
			       a->server ? "listen at" : "connect to", a->path,
			       strerror(-fd));
	if (a->server)
		strcpy(c->path, a->path);
	snprintf(c->peer, sizeof(c->peer), "unix:%s", a->path);
	return fd;
}

/* The port that was given out for 0. */
static void name_tcp(struct console *c, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char host[64] = "?", port[16] = "?";

	if (!getsockname(fd, (struct sockaddr *)&sa, &len))
		getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host),
			    port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(c->peer, sizeof(c->peer), "tcp:%s:%s", host, port);
}

static int open_tcp(struct console *c, const struct console_address *a,
		    struct err *e)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = a->server ? AI_PASSIVE : 0,
	};
	struct addrinfo *list, *i;
	int fd = -EADDRNOTAVAIL;
	int ret = getaddrinfo(a->host[0] ? a->host : NULL, a->port, &hints,
			      &list);

	if (ret)
		return err_set(e, -EINVAL, "cannot find %s:%s: %s", a->host,
			       a->port, gai_strerror(ret));
	for (i = list; i && fd < 0; i = i->ai_next)
		fd = try_address(i->ai_addr, i->ai_addrlen, a->server);
	freeaddrinfo(list);
	if (fd < 0)
		return err_set(e, fd, "cannot %s %s:%s: %s",
			       a->server ? "listen at" : "connect to", a->host,
			       a->port, strerror(-fd));
	name_tcp(c, fd);
	return fd;
}

/* A descriptor that somebody else opened. */
static int take_given(struct console *c, const struct console_address *a,
		      struct err *e)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(a->fd, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    type != SOCK_STREAM ||
	    getsockopt(a->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len))
		return err_set(e, -EINVAL, "fd %d is not a stream socket",
			       a->fd);
	if (a->server != !!listens)
		return err_set(e, -EINVAL, "fd %d %s", a->fd,
			       listens ? "listens: server=on is missing"
				       : "does not listen (server=on)");
	fcntl(a->fd, F_SETFD, FD_CLOEXEC);
	set_nonblocking(a->fd);
	snprintf(c->peer, sizeof(c->peer), "fd:%d", a->fd);
	return a->fd;
}

static int start(struct console *c, int fd, bool server)
{
	int ret;

	if (!server) {
		c->own_fds = true;
		ret = console_connect(c, fd);
		if (ret)
			close(fd);
		return ret;
	}
	c->own_fds = true;
	c->listener = fd;
	c->listen_watch = evloop_add(c->loop, fd, 0, on_connection, c);
	if (!c->listen_watch)
		return -ENOMEM;
	/* Only from here on can a callback see the watch. */
	consock_again(c);
	return 0;
}

struct console *console_open_socket(struct evloop *loop,
				    const struct console_address *a, bool mux,
				    struct err *e)
{
	struct console *c = console_new(-1, false, e);
	int fd, ret;

	if (!c)
		return NULL;
	c->mux = mux;
	c->nodelay = a->nodelay && !a->path && a->fd < 0;
	ret = console_init_input(c, loop);
	if (ret)
		fd = ret;
	else if (a->fd >= 0)
		fd = take_given(c, a, e);
	else
		fd = a->path ? open_unix(c, a, e) : open_tcp(c, a, e);
	ret = fd < 0 ? fd : start(c, fd, a->server);
	if (!ret)
		return c;
	err_set(e, ret, "cannot set up the socket: %s", strerror(-ret));
	console_close(c);
	return NULL;
}
