/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters' names, and what can be told to a card from outside.
 */
#include "dev/virtio/netdev.h"

const char *const netstat_names[NETSTATS] = {
	[NETSTAT_RX_FRAMES] = "net_rx_frames",
	[NETSTAT_RX_BYTES] = "net_rx_bytes",
	[NETSTAT_RX_TUNNEL] = "net_rx_tunnel_frames",
	[NETSTAT_RX_FILTERED] = "net_rx_dropped_filter",
	[NETSTAT_RX_TOO_LONG] = "net_rx_dropped_too_long",
	[NETSTAT_RX_DOWN] = "net_rx_dropped_down",
	[NETSTAT_RX_HEADER] = "net_rx_dropped_header",
	[NETSTAT_TX_FRAMES] = "net_tx_frames",
	[NETSTAT_TX_BYTES] = "net_tx_bytes",
	[NETSTAT_TX_TUNNEL] = "net_tx_tunnel_frames",
	[NETSTAT_TX_DOWN] = "net_tx_dropped_down",
	[NETSTAT_TX_NO_HEADER] = "net_tx_dropped_no_header",
	[NETSTAT_TX_PIECES] = "net_tx_dropped_pieces",
	[NETSTAT_TX_REFUSED] = "net_tx_dropped_refused",
#define FAULT(f) [NETSTAT_TX_FAULT + (f)-1]
	FAULT(NETHDR_SHORT) = "net_tx_dropped_short",
	FAULT(NETHDR_BAD_CSUM) = "net_tx_dropped_csum",
	FAULT(NETHDR_BAD_GSO) = "net_tx_dropped_gso",
	FAULT(NETHDR_BAD_TUNNEL) = "net_tx_dropped_tunnel",
	FAULT(NETHDR_TUNNEL_DATA_VALID) = "net_tx_dropped_tunnel_data_valid",
	FAULT(NETHDR_STRAY_TUNNEL_CSUM) = "net_tx_dropped_stray_tunnel_csum",
};

void virtio_net_set_link(struct virtio_device *dev, bool up)
{
	struct netdev *n = (struct netdev *)dev;

	pthread_mutex_lock(&dev->lock);
	if (n->unplugged == up) {
		n->unplugged = !up;
		virtio_config_changed(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

bool virtio_net_announce(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;
	bool can;

	pthread_mutex_lock(&dev->lock);
	can = virtio_running(dev) && virtio_has(dev, NET_F_ANNOUNCE) &&
	      virtio_has(dev, NET_F_STATUS);
	if (can) {
		n->announce = true;
		virtio_config_changed(dev);
	}
	pthread_mutex_unlock(&dev->lock);
	return can;
}

void virtio_net_look(struct virtio_device *dev, struct netfilter *f, bool *up)
{
	const struct netdev *n = (const struct netdev *)dev;

	pthread_mutex_lock(&dev->lock);
	*f = n->filter;
	*up = netdev_link(n);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_net_filter(struct virtio_device *dev, struct netfilter *f)
{
	struct netdev *n = (struct netdev *)dev;

	pthread_mutex_lock(&dev->lock);
	*f = n->filter;
	n->filter_changed = false;
	pthread_mutex_unlock(&dev->lock);
}

bool virtio_net_filter_changed(struct virtio_device *dev)
{
	struct netdev *n = (struct netdev *)dev;
	bool changed;

	pthread_mutex_lock(&dev->lock);
	changed = n->filter_changed;
	pthread_mutex_unlock(&dev->lock);
	return changed;
}
