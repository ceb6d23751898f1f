/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a guest's character port leads on the host, as its device sees it.
 * Somebody is at the other end or not; the device is told of both.
 */
#ifndef HOST_PORT_H
#define HOST_PORT_H

#include "lib/err.h"

struct port_end;

/* The device. Both run on a thread of the port's end. */
struct port_user {
	/* Offer @n bytes; returns how many were taken. */
	size_t (*receive)(void *opaque, const uint8_t *buf, size_t n);
	/* Somebody is there, or not any more. */
	void (*connected)(void *opaque, bool on);
	/* A terminal is there, of this size; may be NULL. */
	void (*resized)(void *opaque, unsigned cols, unsigned rows);
	void *opaque;
};

struct port_end_ops {
	void (*attach)(struct port_end *p, const struct port_user *user);
	void (*room)(struct port_end *p);
	void (*write)(struct port_end *p, const uint8_t *buf, size_t n);
	void (*hangup)(struct port_end *p, bool on);
};

struct port_end {
	const struct port_end_ops *ops;
};

/*
 * What comes goes to @user from now on; NULL holds it back. On return no call
 * of the one before is under way; so no lock is held that those take.
 */
static inline void port_attach(struct port_end *p, const struct port_user *user)
{
	p->ops->attach(p, user);
}

/* The user can take more; any thread, any lock held. */
static inline void port_room(struct port_end *p)
{
	p->ops->room(p);
}

/* Write all of it; may sleep. What nobody is there to read is lost. */
static inline void port_write(struct port_end *p, const uint8_t *buf, size_t n)
{
	p->ops->write(p, buf, n);
}

/* While @on, port_write() gives up instead of sleeping. */
static inline void port_hangup(struct port_end *p, bool on)
{
	p->ops->hangup(p, on);
}

#endif
