/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queues. What is to be said is kept as bits of a port, so a
 * driver that does not listen costs nothing. Document: Virtual I/O Device 1.4
 * "Multiport Device Operation" (5.3.6.2).
 */
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/console.h"

enum {
	EV_DEVICE_READY,
	EV_DEVICE_ADD,
	EV_DEVICE_REMOVE,
	EV_PORT_READY,
	EV_CONSOLE_PORT,
	EV_RESIZE,
	EV_PORT_OPEN,
	EV_PORT_NAME,
};

struct message {
	uint32_t id;
	uint16_t event;
	uint16_t value;
};

/* What @news of @p are in words; returns their length. */
static size_t phrase(const struct con_port *p, enum con_news news, uint8_t *buf)
{
	static const uint16_t events[CON_NEWS] = {
		[CON_GONE] = EV_DEVICE_REMOVE,      [CON_ADD] = EV_DEVICE_ADD,
		[CON_IS_CONSOLE] = EV_CONSOLE_PORT, [CON_RESIZE] = EV_RESIZE,
		[CON_NAME] = EV_PORT_NAME,          [CON_OPEN] = EV_PORT_OPEN,
	};
	struct message m = {
		.id = p->nr,
		.event = events[news],
		.value = news == CON_OPEN ? p->host_open : 1,
	};
	const uint16_t size[2] = {p->cols, p->rows};
	size_t len = sizeof(m);

	memcpy(buf, &m, len);
	if (news == CON_NAME) {
		memcpy(buf + len, p->name, strlen(p->name));
		len += strlen(p->name);
	} else if (news == CON_RESIZE) {
		memcpy(buf + len, size, sizeof(size));
		len += sizeof(size);
	}
	return len;
}

/* False: there is no room. */
static bool say(struct vcon *v, const uint8_t *text, size_t len)
{
	struct vq *vq = &v->dev.vq[CON_CTRL_RX];
	struct vq_elem *e = vq_pop(vq);

	if (!e)
		return false;
	len = iov_write(e->iov + e->out_n, e->in_n, 0, text, len);
	vq_push(vq, e, (uint32_t)len);
	free(e);
	return true;
}

static bool tell_port(struct con_port *p)
{
	uint8_t text[sizeof(struct message) + PROP_NAME];
	unsigned news;

	for (news = 0; news < CON_NEWS; news++) {
		if (!(p->news & BIT(news)))
			continue;
		if (!say(p->vcon, text, phrase(p, news, text)))
			return false;
		p->news &= (uint8_t)~BIT(news);
	}
	return true;
}

void conctl_tell(struct vcon *v)
{
	unsigned i;

	if (!virtio_running(&v->dev) || !con_multi(v) ||
	    !v->dev.vq[CON_CTRL_RX].ready)
		return;
	for (i = 0; i < v->ports; i++)
		if (v->port[i].news && !tell_port(&v->port[i]))
			break;
	virtio_flush(&v->dev, CON_CTRL_RX);
}

void conctl_news(struct con_port *p, enum con_news news)
{
	if (p->known)
		p->news |= BIT(news);
}

void conctl_resized(struct con_port *p)
{
	if (p->console && p->cols && virtio_has(&p->vcon->dev, CON_F_SIZE))
		conctl_news(p, CON_RESIZE);
}

static void port_ready(struct con_port *p)
{
	p->known = true;
	if (p->console)
		conctl_news(p, CON_IS_CONSOLE);
	conctl_resized(p);
	if (p->name[0])
		conctl_news(p, CON_NAME);
	if (p->host_open)
		conctl_news(p, CON_OPEN);
}

/* Who has no name is not told of. */
static void set_open(struct con_port *p, bool open)
{
	const struct virtio_device *dev = &p->vcon->dev;
	bool was = p->guest_open;

	p->guest_open = open;
	if (open != was && dev->news && p->conf->id[0])
		dev->news->port(dev->news_ctx, p->conf->id, open);
}

static void port_open(struct con_port *p, bool open)
{
	set_open(p, open);
	if (open && p->end)
		port_room(p->end);
}

static void hear(struct vcon *v, const struct message *m)
{
	struct con_port *p = &v->port[MIN(m->id, (uint32_t)CON_PORTS - 1)];
	unsigned i;

	if (m->event == EV_DEVICE_READY) {
		for (i = 0; m->value && i < v->ports; i++)
			if (v->port[i].used)
				v->port[i].news |= BIT(CON_ADD);
	} else if (m->id >= v->ports || !p->used) {
		;
	} else if (m->event == EV_PORT_READY && m->value) {
		port_ready(p);
	} else if (m->event == EV_PORT_OPEN) {
		port_open(p, m->value);
	}
}

void conctl_run(struct vcon *v)
{
	struct vq *vq = &v->dev.vq[CON_CTRL_TX];
	struct message m;
	struct vq_elem *e;

	do {
		while ((e = vq_pop(vq))) {
			if (iov_read(e->iov, e->out_n, 0, &m, sizeof(m)) ==
			    sizeof(m))
				hear(v, &m);
			vq_push(vq, e, 0);
			free(e);
		}
		vq_want_kick(vq, true);
	} while (!vq_empty(vq));
	virtio_flush(&v->dev, CON_CTRL_TX);
	conctl_tell(v);
}

void conctl_reset(struct vcon *v)
{
	struct con_port *p;

	for (p = v->port; p < v->port + v->ports; p++) {
		p->news = 0;
		p->known = false;
		if (p->used)
			set_open(p, false);
	}
}
