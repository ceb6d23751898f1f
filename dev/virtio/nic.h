/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network card can be told and asked from outside, by devices of the
 * class virtio-net only.
 */
#ifndef DEV_VIRTIO_NIC_H
#define DEV_VIRTIO_NIC_H

#include "dev/virtio/device.h"
#include "dev/virtio/netfilter.h"

/* Plug the cable in or pull it; the driver is told if it can be. */
void virtio_net_set_link(struct virtio_device *dev, bool up);

/*
 * Ask the driver to make itself known on the network, as after a move. False
 * when it did not agree to be asked.
 */
bool virtio_net_announce(struct virtio_device *dev);

/* Which frames it takes, and whether any pass; only looks. */
void virtio_net_look(struct virtio_device *dev, struct netfilter *f, bool *up);

/* Which frames it takes; the next change is news again. */
void virtio_net_filter(struct virtio_device *dev, struct netfilter *f);

/* Whether that is another one since it was last asked for. */
bool virtio_net_filter_changed(struct virtio_device *dev);

#endif
