/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character ports, many in one device. Document: Virtual I/O Device 1.4
 * "Console Device" (5.3). Each port has a thread for what the guest writes: a
 * reader on the host may be slow, and only its port waits for it. What comes
 * from the host stays there until the guest has room.
 */
#include "dev/virtio/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_SIZE    12
#define CONFIG_WRITE   8 /* offset of the emergency register */
#define QUEUE_SIZE     128
#define ANY_PORT       UINT32_MAX
#define PCI_CLASS_COMM 0x078000

struct con_conf {
	struct virtio_conf base;
	uint64_t max_ports;
};

struct port_conf {
	struct virtio_conf base;
	struct prop_link chardev;
	uint64_t nr;
	char name[PROP_NAME];
};

unsigned con_rx(unsigned nr)
{
	return nr ? 2 * nr + 2 : 0;
}

unsigned con_tx(unsigned nr)
{
	return con_rx(nr) + 1;
}

/* ---- from the guest ---- */

/* dev.lock held, but while the host's reader takes it. */
static void send(struct con_port *p, struct vq_elem *e)
{
	struct vcon *v = p->vcon;
	uint32_t epoch = p->epoch;
	size_t at = 0, n;

	while (at < e->out_len && p->epoch == epoch) {
		n = iov_read(e->iov, e->out_n, at, p->buf, CON_CHUNK);
		pthread_mutex_unlock(&v->dev.lock);
		port_write(p->end, p->buf, n);
		pthread_mutex_lock(&v->dev.lock);
		at += n;
	}
	if (p->epoch == epoch) {
		vq_push(&v->dev.vq[con_tx(p->nr)], e, 0);
		virtio_flush(&v->dev, con_tx(p->nr));
	}
	free(e);
}

static struct vq_elem *next(struct con_port *p)
{
	struct virtio_device *dev = &p->vcon->dev;
	struct vq *vq = &dev->vq[con_tx(p->nr)];
	struct vq_elem *e;

	if (!virtio_running(dev) || !vq->ready)
		return NULL;
	vq_want_kick(vq, false);
	e = vq_pop(vq);
	if (!e) {
		vq_want_kick(vq, true);
		e = vq_pop(vq);
	}
	if (!e)
		virtio_flush(dev, con_tx(p->nr));
	return e;
}

/* dev.lock held, but while the host's reader takes it. */
static void send_emergency(struct con_port *p)
{
	struct vcon *v = p->vcon;
	unsigned n;

	while (!p->nr && v->emergency_n) {
		n = v->emergency_n;
		memcpy(p->buf, v->emergency, n);
		v->emergency_n = 0;
		pthread_mutex_unlock(&v->dev.lock);
		port_write(p->end, p->buf, n);
		pthread_mutex_lock(&v->dev.lock);
	}
}

static void port_send(void *opaque)
{
	struct con_port *p = opaque;
	struct vq_elem *e;

	pthread_mutex_lock(&p->vcon->dev.lock);
	send_emergency(p);
	while ((e = next(p)))
		send(p, e);
	pthread_mutex_unlock(&p->vcon->dev.lock);
}

/* Nobody listens: what is written is lost, as on a cable that hangs loose. */
static void swallow(struct vcon *v, unsigned q)
{
	struct vq *vq = &v->dev.vq[q];
	struct vq_elem *e;

	while ((e = vq_pop(vq))) {
		vq_push(vq, e, 0);
		free(e);
	}
	virtio_flush(&v->dev, q);
}

/* ---- to the guest ---- */

/* Whether bytes for the guest find somebody there. */
static bool wanted(const struct con_port *p)
{
	const struct virtio_device *dev = &p->vcon->dev;

	return virtio_running(dev) && dev->vq[con_rx(p->nr)].ready &&
	       (p->guest_open || !con_multi(p->vcon));
}

static size_t port_receive(void *opaque, const uint8_t *buf, size_t n)
{
	struct con_port *p = opaque;
	struct virtio_device *dev = &p->vcon->dev;
	struct vq *vq = &dev->vq[con_rx(p->nr)];
	struct vq_elem *e;
	size_t done = 0, part;

	pthread_mutex_lock(&dev->lock);
	while (wanted(p) && done < n) {
		e = vq_pop(vq);
		if (!e)
			break;
		part = iov_write(e->iov + e->out_n, e->in_n, 0, buf + done,
				 n - done);
		vq_push(vq, e, (uint32_t)part);
		free(e);
		done += part;
	}
	if (vq->ready)
		vq_want_kick(vq, true);
	if (virtio_running(dev))
		virtio_flush(dev, con_rx(p->nr));
	pthread_mutex_unlock(&dev->lock);
	return done;
}

/* Somebody came or left at the other end. */
static void port_connected(void *opaque, bool on)
{
	struct con_port *p = opaque;

	pthread_mutex_lock(&p->vcon->dev.lock);
	if (p->host_open != on) {
		p->host_open = on;
		conctl_news(p, CON_OPEN);
		conctl_tell(p->vcon);
	}
	pthread_mutex_unlock(&p->vcon->dev.lock);
}

/* Of a driver that knows no ports, the first one's is configuration. */
static void port_resized(void *opaque, unsigned cols, unsigned rows)
{
	struct con_port *p = opaque;
	struct vcon *v = p->vcon;

	pthread_mutex_lock(&v->dev.lock);
	p->cols = (uint16_t)cols;
	p->rows = (uint16_t)rows;
	conctl_resized(p);
	conctl_tell(v);
	if (!p->nr && !con_multi(v))
		virtio_config_changed(&v->dev);
	pthread_mutex_unlock(&v->dev.lock);
}

/* ---- the device ---- */

static struct con_port *port_of(struct vcon *v, unsigned q)
{
	unsigned nr = q < 2 ? 0 : q / 2 - 1;
	struct con_port *p = nr < v->ports ? &v->port[nr] : NULL;

	return p && p->used && p->end ? p : NULL;
}

static void con_notify(struct virtio_device *dev, unsigned q)
{
	struct vcon *v = (struct vcon *)dev;
	struct con_port *p;

	if (con_multi(v) && q == CON_CTRL_TX) {
		conctl_run(v);
		return;
	}
	if (con_multi(v) && q == CON_CTRL_RX) {
		conctl_tell(v);
		return;
	}
	p = port_of(v, q);
	if (q % 2 && p)
		worker_kick(&p->tx);
	else if (q % 2)
		swallow(v, q);
	else if (p)
		port_room(p->end);
}

static void con_config_read(struct virtio_device *dev, void *buf)
{
	struct vcon *v = (struct vcon *)dev;
	uint32_t ports = v->ports;

	memcpy(buf, &v->port[0].cols, 2);
	memcpy((uint8_t *)buf + 2, &v->port[0].rows, 2);
	memcpy((uint8_t *)buf + 4, &ports, 4);
}

/*
 * For a guest that has nothing else to speak with, before DRIVER_OK too. Not
 * written here: the locks held are others', and the reader may be slow.
 */
static void con_config_write(struct virtio_device *dev, unsigned offset,
			     const void *buf, unsigned len)
{
	struct vcon *v = (struct vcon *)dev;

	if (offset != CONFIG_WRITE || !v->port[0].used || !v->port[0].end ||
	    !features_has(&dev->offered, CON_F_EMERGENCY) ||
	    v->emergency_n == sizeof(v->emergency))
		return;
	v->emergency[v->emergency_n++] = *(const uint8_t *)buf;
	worker_kick(&v->port[0].tx);
}

static void con_start(struct virtio_device *dev)
{
	struct vcon *v = (struct vcon *)dev;
	struct con_port *p;

	for (p = v->port; p < v->port + v->ports; p++)
		if (p->used && p->end)
			port_room(p->end);
}

static void con_quiesce(struct virtio_device *dev, unsigned q)
{
	struct vcon *v = (struct vcon *)dev;
	unsigned i;

	for (i = 0; i < v->ports; i++)
		if (q == VIRTIO_MAX_QUEUES || q == con_tx(i))
			v->port[i].epoch++;
}

static void con_reset(struct virtio_device *dev)
{
	conctl_reset((struct vcon *)dev);
}

static const struct virtio_class con_class = {
	.name = "virtio-serial",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = PCI_CLASS_COMM,
	.notify = con_notify,
	.config_read = con_config_read,
	.config_write = con_config_write,
	.start = con_start,
	.quiesce = con_quiesce,
	.reset = con_reset,
};

static struct virtio_device *con_create(const struct virtio_conf *base,
					const struct dma *dma, struct err *e)
{
	const struct con_conf *c = (const struct con_conf *)base;
	unsigned ports = (unsigned)c->max_ports;
	struct vcon *v = calloc(1, sizeof(*v));

	if (!v ||
	    virtio_init(&v->dev, &con_class, dma, 2 * ports + 2, QUEUE_SIZE)) {
		free(v);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	v->ports = ports;
	v->dev.config_size = CONFIG_SIZE;
	v->dev.offered.w[0] = base->want.w[0] &
			      (VIRTIO_COMMON_FEATURES | VIRTIO_EXTRA_FEATURES |
			       BIT64(CON_F_SIZE) | BIT64(CON_F_EMERGENCY));
	features_put(&v->dev.offered, CON_F_MULTIPORT, true);
	virtio_settle(&v->dev);
	return &v->dev;
}

/* ---- its ports ---- */

/* Port 0 is a console's, also to drivers that know of no others. */
static struct con_port *find_place(struct vcon *v, const struct port_conf *c,
				   bool console, struct err *e)
{
	unsigned first = console ? 0 : 1, nr;

	if (c->nr != ANY_PORT) {
		nr = (unsigned)c->nr;
		if (nr >= first && nr < v->ports && !v->port[nr].used)
			return &v->port[nr];
		err_set(e, -EINVAL,
			"nr=%u is not free (%u to %u, 0 is a "
			"virtconsole's)",
			nr, first, v->ports - 1);
		return NULL;
	}
	for (nr = first; nr < v->ports; nr++)
		if (!v->port[nr].used)
			return &v->port[nr];
	err_set(e, -ENOSPC, "all ports of its bus are taken");
	return NULL;
}

static bool name_taken(const struct vcon *v, const char *name)
{
	unsigned i;

	for (i = 0; i < v->ports; i++)
		if (v->port[i].used && name[0] &&
		    !strcmp(v->port[i].name, name))
			return true;
	return false;
}

static int start_port(struct con_port *p, struct err *e)
{
	p->user = (struct port_user){
		.receive = port_receive,
		.connected = port_connected,
		.resized = port_resized,
		.opaque = p,
	};
	p->buf = malloc(CON_CHUNK);
	if (!p->buf)
		return err_set(e, -ENOMEM, "out of memory");
	return worker_start(&p->tx, "console", port_send, p, e);
}

static void stop_port(struct con_port *p)
{
	worker_stop(&p->tx);
	free(p->buf);
	p->buf = NULL;
}

static int add_port(struct virtio_device *dev, const struct virtio_conf *base,
		    bool console, struct err *e)
{
	const struct port_conf *c = (const struct port_conf *)base;
	struct vcon *v = (struct vcon *)dev;
	struct con_port *p = find_place(v, c, console, e);
	struct con_port made = {
		.vcon = v,
		.console = console,
		.conf = base,
		.end = c->chardev.object,
		.epoch = p ? p->epoch : 0,
		.news = p ? p->news & BIT(CON_GONE) : 0,
	};

	if (!p)
		return e->code;
	if (name_taken(v, c->name))
		return err_set(e, -EEXIST, "a second port '%s'", c->name);
	made.nr = (unsigned)(p - v->port);
	strcpy(made.name, c->name);
	*p = made;
	if (p->end && start_port(p, e)) {
		stop_port(p);
		return e->code;
	}
	pthread_mutex_lock(&dev->lock);
	p->used = true;
	if (virtio_running(dev))
		p->news |= BIT(CON_ADD);
	conctl_tell(v);
	pthread_mutex_unlock(&dev->lock);
	if (p->end)
		port_attach(p->end, &p->user);
	return 0;
}

static int console_add(struct virtio_device *dev, const struct virtio_conf *c,
		       struct err *e)
{
	return add_port(dev, c, true, e);
}

static int serial_add(struct virtio_device *dev, const struct virtio_conf *c,
		      struct err *e)
{
	return add_port(dev, c, false, e);
}

static void port_remove(struct virtio_device *dev, const struct virtio_conf *c)
{
	struct vcon *v = (struct vcon *)dev;
	struct con_port *p = v->port;

	while (p->conf != c)
		p++;
	if (p->end)
		port_attach(p->end, NULL);
	pthread_mutex_lock(&dev->lock);
	p->used = false;
	p->news = BIT(CON_GONE);
	p->known = p->guest_open = false;
	p->conf = NULL;
	p->epoch++;
	conctl_tell(v);
	pthread_mutex_unlock(&dev->lock);
	if (!p->end)
		return;
	/* It may wait for a reader that never comes. */
	port_hangup(p->end, true);
	stop_port(p);
	/* Last words, as far as they do not have to wait. */
	if (!p->nr) {
		port_write(p->end, v->emergency, v->emergency_n);
		v->emergency_n = 0;
	}
	port_hangup(p->end, false);
	p->end = NULL;
}

#define FIELD(f) offsetof(struct con_conf, f)

static const struct prop con_props[] = {
	{"max_ports", PROP_NUMBER, FIELD(max_ports), 1, CON_PORTS, "31",
	 "ports it can have"},
	PROP_FEATURE_ROW("console-size", CON_F_SIZE, true),
	PROP_FEATURE_ROW("emergency-write", CON_F_EMERGENCY, true),
	{0},
};

#undef FIELD
#define FIELD(f) offsetof(struct port_conf, f)

static const struct prop port_props[] = {
	{"chardev", PROP_LINK, FIELD(chardev), LINK_CHARDEV, false, "",
	 "the -chardev"},
	{"nr", PROP_NUMBER, FIELD(nr), 0, ANY_PORT, "4294967295",
	 "number; 4294967295: the first that is free"},
	{"name", PROP_TEXT, FIELD(name), 0, PROP_NAME, "",
	 "what the guest finds it by"},
	{0},
};

const struct virtio_type virtio_console_types[] = {
	{
		.name = "virtio-serial",
		.conf_size = sizeof(struct con_conf),
		.props = con_props,
		.create = con_create,
	},
	{
		.name = "virtserialport",
		.part_of = "virtio-serial",
		.conf_size = sizeof(struct port_conf),
		.props = port_props,
		.add = serial_add,
		.remove = port_remove,
	},
	{
		.name = "virtconsole",
		.part_of = "virtio-serial",
		.conf_size = sizeof(struct port_conf),
		.props = port_props,
		.add = console_add,
		.remove = port_remove,
	},
	{0},
};
