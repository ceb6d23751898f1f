/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of one machine: made from the configuration, plugged
 * into its PCI bus or put at their place in memory, all of them or one by one
 * while it runs.
 */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include "lib/err.h"

struct devconf_device;
struct machine;
struct virtio_device;

/* Create and connect all that the configuration has. */
int virtio_create_all(struct machine *m, struct err *e) __must_check;

/* Nothing of the machine runs any more. */
void virtio_destroy_all(struct machine *m);

/*
 * The machine is about to end: give up what is in flight. Disks may take
 * longer for that than this waits.
 */
void virtio_reset_all(struct machine *m);

/*
 * Make one of them and plug it in; devconf_connect() was content with it and
 * what it names is open. Once the machine runs its lock is held.
 */
int virtio_plug(struct machine *m, struct devconf_device *d,
		struct err *e) __must_check;

/*
 * The reverse; d->place is NULL afterwards. What the driver had in flight has
 * ended, and nothing of the guest's memory is touched any more.
 */
void virtio_unplug(struct machine *m, struct devconf_device *d);

/* Of one that is plugged in: the device, and where it is on PCI (or 0). */
struct virtio_device *virtio_device(const struct devconf_device *d);
unsigned virtio_pci_addr(const struct devconf_device *d);

/* What the driver last saw of its transport. */
struct virtio_regs {
	uint8_t isr;
	unsigned queue_select;
};

/* The machine's lock is not held. */
void virtio_regs(const struct devconf_device *d, struct virtio_regs *regs);

#endif
