/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports from the configuration's rows.
 */
#include "vmm/run/chardev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/console.h"
#include "vmm/stop.h"

#define LOOK_MS 100 /* between looks whether to go on waiting */

static struct console *open_socket(const struct charconf_port *p,
				   struct evloop *loop, struct err *e)
{
	const struct console_address a = {
		.path = p->path[0] ? p->path : NULL,
		.host = p->host,
		.port = p->port,
		.fd = p->fd[0] ? atoi(p->fd) : -1,
		.server = p->server,
		.nodelay = p->nodelay,
	};

	return console_open_socket(loop, &a, p->mux, e);
}

static struct console *open_port(const struct charconf_port *p,
				 struct evloop *loop, struct tty *tty,
				 struct err *e)
{
	switch (p->kind) {
	case CHARCONF_NULL: return console_open_null(e);
	case CHARCONF_FILE: return console_open_file(p->path, p->append, e);
	case CHARCONF_PTY: return console_open_pty(loop, p->mux, e);
	case CHARCONF_SOCKET: return open_socket(p, loop, e);
	case CHARCONF_STDIO:
		return console_open_stdio(loop, tty, STDIN_FILENO,
					  STDOUT_FILENO, p->mux, e);
	}
	return NULL;
}

/* Where somebody has to go to find it. */
static void announce(const struct charconf_port *p, const struct console *c)
{
	if (p->kind == CHARCONF_PTY)
		fprintf(stderr,
			"lodge: char device redirected to %s (label "
			"%s)\n",
			console_peer(c), p->id);
}

int chardevs_open(struct chardevs *d, struct charconf *c, struct evloop *loop,
		  struct tty *tty, struct err *e)
{
	unsigned i;

	d->conf = c;
	d->loop = loop;
	for (i = 0; i < c->ports; i++) {
		if (c->port[i].lent)
			continue;
		d->port[i] = open_port(&c->port[i], loop, tty, e);
		if (!d->port[i])
			return err_wrap(e, "chardev %s", c->port[i].id);
		announce(&c->port[i], d->port[i]);
	}
	return 0;
}

void chardevs_wait(struct chardevs *d, struct stop *stop)
{
	const struct charconf_port *p;
	unsigned i;

	for (i = 0; i < d->conf->ports; i++) {
		p = &d->conf->port[i];
		if (p->kind != CHARCONF_SOCKET || p->lent || !p->server ||
		    !p->wait || console_await(d->port[i], 1))
			continue;
		fprintf(stderr, "lodge: waiting for a connection at %s\n",
			console_peer(d->port[i]));
		while (!stop_asked(stop) && !console_await(d->port[i], LOOK_MS))
			;
	}
}

void chardevs_resized(struct chardevs *d)
{
	unsigned i;

	for (i = 0; i < CHARCONF_MAX; i++)
		if (d->port[i])
			console_resized(d->port[i]);
}

void chardevs_close(struct chardevs *d)
{
	unsigned i;

	for (i = 0; i < CHARCONF_MAX; i++) {
		console_close(d->port[i]);
		d->port[i] = NULL;
	}
}

int chardevs_put(struct chardevs *d, unsigned at, const struct charconf_port *p,
		 struct err *e)
{
	struct charconf *c = d->conf;
	struct console *port;

	if (at == CHARCONF_MAX)
		return err_set(e, -ENOSPC, "more than %d ports", CHARCONF_MAX);
	if (p->kind == CHARCONF_STDIO)
		return err_set(e, -ENOTSUP,
			       "this terminal can only be given by -chardev");
	port = open_port(p, d->loop, NULL, e);
	if (!port)
		return err_wrap(e, "chardev %s", p->id);
	if (at == c->ports)
		d->port[c->ports++] = NULL;
	console_abandon(d->port[at]);
	d->port[at] = port;
	c->port[at] = *p;
	return 0;
}

void chardevs_drop(struct chardevs *d, unsigned at)
{
	struct charconf *c = d->conf;

	console_abandon(d->port[at]);
	for (c->ports--; at < c->ports; at++) {
		c->port[at] = c->port[at + 1];
		d->port[at] = d->port[at + 1];
	}
	d->port[at] = NULL;
}

struct console *chardevs_find(const struct chardevs *d, const char *id)
{
	int n = charconf_find(d->conf, id);

	return n < 0 ? NULL : d->port[n];
}

void chardevs_describe(const struct chardevs *d, unsigned i, char *buf,
		       size_t size)
{
	const struct charconf_port *p = &d->conf->port[i];
	const char *peer;

	if (p->lent) {
		snprintf(buf, size, "unix:%s%s", p->path,
			 p->server ? ",server=on" : "");
		return;
	}
	peer = console_peer(d->port[i]);
	switch (p->kind) {
	case CHARCONF_STDIO: snprintf(buf, size, "stdio"); break;
	case CHARCONF_NULL: snprintf(buf, size, "null"); break;
	case CHARCONF_FILE: snprintf(buf, size, "file"); break;
	case CHARCONF_PTY: snprintf(buf, size, "pty:%s", peer); break;
	case CHARCONF_SOCKET:
		snprintf(buf, size, "%s%s%s",
			 console_await(d->port[i], 0) ? "" : "disconnected:",
			 peer, p->server ? ",server=on" : "");
		break;
	}
}
