/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kicks of one device that reach a thread of its own by eventfds, so that the
 * guest's processor goes on at once. Only its transport knows of them.
 */
#ifndef DEV_VIRTIO_KICK_H
#define DEV_VIRTIO_KICK_H

#include "dev/doorbell.h"
#include "dev/virtio/device.h"

struct virtio_kicks;

/*
 * One doorbell for each queue of @dev, on the board's @bells; none of them is
 * hung up. NULL when the board has none, or no threads or descriptors are
 * left: kicks then come by the bus.
 */
struct virtio_kicks *virtio_kicks_new(struct virtio_device *dev,
				      const struct doorbells *bells);

/* Takes them down; nothing calls the device from here on. NULL is fine. */
void virtio_kicks_free(struct virtio_kicks *k);

/*
 * Hang up all doorbells as @bell describes queue 0's, and others @step bytes
 * on or, where it matches a value, by their number. Those that cannot be hung
 * up are left out. Not while others hang.
 */
void virtio_kicks_hang(struct virtio_kicks *k, const struct doorbell *bell,
		       unsigned step);
void virtio_kicks_take_down(struct virtio_kicks *k);

/*
 * For a class's notify() that has emptied queue @q, whose kicks are off: look
 * out for what comes next instead of being woken for it. True: there is
 * something. Drops dev->lock meanwhile; not where the kick came by the bus,
 * in the thread of the guest's processor.
 */
bool virtio_await(struct virtio_device *dev, unsigned q);

/* Whether notify() runs in a thread that has nothing else to do now. */
bool virtio_alone(struct virtio_device *dev);

#endif
