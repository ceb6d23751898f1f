/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A console device's parts: its ports, and its talk with the driver about
 * them.
 */
#ifndef DEV_VIRTIO_CONSOLE_H
#define DEV_VIRTIO_CONSOLE_H

#include "dev/virtio/type.h"
#include "dev/virtio/worker.h"
#include "host/port.h"

#define CON_F_SIZE      0
#define CON_F_MULTIPORT 1
#define CON_F_EMERGENCY 2

#define CON_PORTS     31 /* of a device, at most: two queues each */
#define CON_CHUNK     (64U << 10)
#define CON_EMERGENCY 4096 /* bytes a slow reader may be behind */
#define CON_CTRL_RX   2
#define CON_CTRL_TX   3

/* What the driver is still to be told of a port, in this order. */
enum con_news {
	CON_GONE,
	CON_ADD,
	CON_IS_CONSOLE,
	CON_RESIZE,
	CON_NAME,
	CON_OPEN, /* whether somebody is there */
	CON_NEWS,
};

struct vcon;

struct con_port {
	struct vcon *vcon;
	unsigned nr;
	bool used;
	bool console;
	char name[PROP_NAME];
	const struct virtio_conf *conf; /* who it is */
	struct port_end *end;           /* NULL: nobody ever hears it */
	struct port_user user;
	struct worker tx;
	uint8_t *buf; /* tx's, CON_CHUNK bytes */
	/* ---- under dev.lock ---- */
	uint32_t epoch; /* counts resets: a buffer of before is void */
	uint8_t news;   /* bits of enum con_news */
	bool known;     /* the driver has taken it up */
	bool guest_open;
	bool host_open;
	uint16_t cols, rows; /* of the terminal it leads to, 0: none known */
};

struct vcon {
	struct virtio_device dev;
	unsigned ports;
	/* What the guest says by its configuration, on its way to port 0. */
	uint8_t emergency[CON_EMERGENCY];
	unsigned emergency_n;
	struct con_port port[CON_PORTS];
};

/* The queues of port @nr. */
unsigned con_rx(unsigned nr);
unsigned con_tx(unsigned nr);

/* Whether there are ports besides the first, and a control queue. */
static inline bool con_multi(const struct vcon *v)
{
	return virtio_has(&v->dev, CON_F_MULTIPORT);
}

/* The rest: dev.lock held. */

/* Tell the driver what it does not know yet, as it has room to hear it. */
void conctl_tell(struct vcon *v);
/* @news of @p are to be told. */
void conctl_news(struct con_port *p, enum con_news news);
/* The driver is to be told the size of @p's terminal, if it wants to hear. */
void conctl_resized(struct con_port *p);
/* Hear what the driver says. */
void conctl_run(struct vcon *v);
/* A driver begins anew. */
void conctl_reset(struct vcon *v);

#endif
