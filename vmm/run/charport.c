/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A console with the manners of a port's end.
 */
#include "vmm/run/charport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/console.h"
#include "host/port.h"
#include "vmm/run/chardev.h"

struct charport {
	struct backend base;
	struct port_end end;
	struct console *console; /* NULL: not open yet */
	struct console_user as_console;
	const struct port_user *user;
};

static size_t charport_receive(void *opaque, const uint8_t *buf, size_t n)
{
	struct charport *p = opaque;

	return p->user->receive(p->user->opaque, buf, n);
}

/* Ctrl-A b: a port has no line to break. */
static void charport_command(void *opaque, enum console_command cmd)
{
}

static void tell_size(struct charport *p)
{
	unsigned cols, rows;

	if (p->user->resized && console_size(p->console, &cols, &rows))
		p->user->resized(p->user->opaque, cols, rows);
}

static void charport_event(void *opaque, enum console_event ev)
{
	struct charport *p = opaque;

	if (ev == CONSOLE_RESIZED)
		tell_size(p);
	if (ev == CONSOLE_OPENED || ev == CONSOLE_CLOSED)
		p->user->connected(p->user->opaque, ev == CONSOLE_OPENED);
}

static void charport_attach(struct port_end *end, const struct port_user *user)
{
	struct charport *p = container_of(end, struct charport, end);

	if (!user) {
		console_attach(p->console, CONSOLE_PORT, NULL);
		return;
	}
	p->user = user;
	p->as_console = (struct console_user){
		.receive = charport_receive,
		.command = charport_command,
		.event = charport_event,
		.opaque = p,
	};
	tell_size(p);
	/* What has no way in never says that it is there. */
	if (console_await(p->console, 0))
		user->connected(user->opaque, true);
	console_attach(p->console, CONSOLE_PORT, &p->as_console);
}

static void charport_room(struct port_end *end)
{
	console_room(container_of(end, struct charport, end)->console);
}

static void charport_write(struct port_end *end, const uint8_t *buf, size_t n)
{
	console_write(container_of(end, struct charport, end)->console, buf, n);
}

static void charport_hangup(struct port_end *end, bool on)
{
	console_hangup(container_of(end, struct charport, end)->console, on);
}

static const struct port_end_ops charport_ops = {
	charport_attach,
	charport_room,
	charport_write,
	charport_hangup,
};

static int charport_open(struct backend *base, struct err *e)
{
	struct charport *p = (struct charport *)base;

	if (!p->console)
		return err_set(e, -ENODEV, "it is not open");
	base->object = &p->end;
	return 0;
}

/* The console is the chardevs' to close. */
static void charport_close(struct backend *base)
{
	((struct charport *)base)->console = NULL;
}

static const struct backend_class charport_class = {
	LINK_CHARDEV,
	"chardev",
	charport_open,
	charport_close,
};

static int declare(struct backends *list, const char *id, struct err *e)
{
	struct charport *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->base.class = &charport_class;
	p->end.ops = &charport_ops;
	strcpy(p->base.id, id);
	ret = backend_add(list, &p->base, e);
	if (ret)
		free(p);
	return ret;
}

int charports_declare(struct backends *list, const struct charconf *c,
		      struct err *e)
{
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < c->ports; i++)
		if (!c->port[i].lent &&
		    !backend_find(list, LINK_CHARDEV, c->port[i].id))
			ret = declare(list, c->port[i].id, e);
	return ret ? err_wrap(e, "-chardev") : 0;
}

/* What COM1 or a monitor has is no device's. */
static bool is_taken(const struct charconf *c, const char *id)
{
	int n = charconf_find(c, id);

	return n >= 0 && (c->port[n].has_port ||
			  (c->port[n].has_monitor && !c->port[n].mux));
}

int charports_use(const struct backends *list, struct charconf *c,
		  struct err *e)
{
	struct backend *b;
	int ret = 0;

	for (b = list->first; !ret && b; b = b->next) {
		if (b->class != &charport_class)
			continue;
		if (b->user && b->user != c)
			ret = charconf_use(c, "device", b->id, e);
		else
			b->user = is_taken(c, b->id) ? c : NULL;
	}
	return ret;
}

bool charports_busy(const struct backends *list, const struct charconf_port *p)
{
	const struct backend *b = backend_find(list, LINK_CHARDEV, p->id);

	return p->lent || p->has_monitor || (b && b->user);
}

void charports_connect(struct backends *list, const struct chardevs *d)
{
	struct backend *b;
	struct charport *p;

	for (b = list->first; b; b = b->next) {
		p = (struct charport *)b;
		/* Who has one reads it. */
		if (b->class == &charport_class && (!p->console || !b->user))
			p->console = chardevs_find(d, b->id);
	}
}
