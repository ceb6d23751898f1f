/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/run/nic.h"

#include <stdio.h>
#include <string.h>

#include "dev/virtio/nic.h"
#include "vmm/machine.h"
#include "vmm/net/conf.h"
#include "vmm/qmp/json.h"
#include "vmm/run/control.h"
#include "vmm/run/hotplug.h"
#include "vmm/virtio.h"

bool nic_is(const struct devconf_device *d)
{
	const struct virtio_device *dev = virtio_device(d);

	return dev && dev->class->id == VIRTIO_ID_NET;
}

/* Those with an id are counted as well, as QEMU does it. */
char *nic_name(const struct machine *m, const struct devconf_device *d,
	       char *buf, size_t size)
{
	const struct devconf_device *i;
	unsigned n = 0;

	for (i = m->dev->devices; i != d; i = i->next)
		n += nic_is(i);
	if (d->conf->id[0])
		snprintf(buf, size, "%s", d->conf->id);
	else
		snprintf(buf, size, "%s-%s.%u", d->conf->type->name,
			 d->conf->bus == VIRTIO_BUS_PCI ? "pci" : "device", n);
	return buf;
}

static void tell(struct machine *m, const struct devconf_device *d)
{
	static const char backend[] = "/virtio-backend";
	struct json_object *data = json_object_new_object();
	char path[128];

	hotplug_path(m, d, path, sizeof(path) - sizeof(backend));
	strcat(path, backend);
	if (d->conf->id[0])
		json_put_str(data, "name", d->conf->id);
	json_put_str(data, "path", path);
	control_event(m->host->control, "NIC_RX_FILTER_CHANGED", data);
}

static void put_address(struct json_object *data, const struct net_addr *a)
{
	struct json_object *o = json_object_new_object();

	if (a->kind == NET_ADDR_INET) {
		json_put_str(o, "type", "inet");
		json_put_str(o, "host", a->host);
		json_put_str(o, "port", a->port);
		json_put_bool(o, a->only6 ? "ipv6" : "ipv4", true);
	} else {
		json_put_str(o, "type", "unix");
		json_put_str(o, "path", a->path);
		if (a->abstract)
			json_put_bool(o, "abstract", true);
	}
	json_object_object_add(data, "addr", o);
}

void nic_tell_peer(void *control, const struct netconf *n,
		   const struct net_addr *peer)
{
	struct json_object *data = json_object_new_object();
	bool vhost = n->kind == &netconf_vhost_user;

	json_put_str(data, "netdev-id", n->base.id);
	if (peer && !vhost)
		put_address(data, peer);
	else if (peer && n->vhost_chardev[0])
		json_put_str(data, "chardev-id", n->vhost_chardev);
	if (vhost)
		control_event(control,
			      peer ? "NETDEV_VHOST_USER_CONNECTED"
				   : "NETDEV_VHOST_USER_DISCONNECTED",
			      data);
	else
		control_event(control,
			      peer ? "NETDEV_STREAM_CONNECTED"
				   : "NETDEV_STREAM_DISCONNECTED",
			      data);
}

void nic_tell_filters(struct machine *m)
{
	struct devconf_device *d;

	pthread_mutex_lock(&m->lock);
	for (d = m->dev->devices; d; d = d->next) {
		if (!nic_is(d) || d->filter_told ||
		    !virtio_net_filter_changed(virtio_device(d)))
			continue;
		d->filter_told = true;
		tell(m, d);
	}
	pthread_mutex_unlock(&m->lock);
}
