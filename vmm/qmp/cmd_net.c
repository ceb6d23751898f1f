/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What network cards let in.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/virtio/nic.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/run/nic.h"
#include "vmm/virtio.h"

#define VLANS 4096

static struct json_object *mac_text(const uint8_t *mac)
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	return json_object_new_string(text);
}

static void put_macs(struct json_object *o, const char *key,
		     const uint8_t (*mac)[6], unsigned n)
{
	struct json_object *array = json_put_array(o, key);

	for (; n; n--, mac++)
		json_object_array_add(array, mac_text(*mac));
}

/* A card that does not look at VLANs lists none. */
static void put_vlans(struct json_object *o, const struct netfilter *f)
{
	struct json_object *array = json_put_array(o, "vlan-table");
	unsigned i;

	for (i = 0; f->vlans_on && i < VLANS; i++)
		if (f->vlan[i / 32] >> i % 32 & 1)
			json_object_array_add(array,
					      json_object_new_int((int)i));
	json_put_str(o, "vlan",
		     !f->vlans_on                      ? "all"
		     : json_object_array_length(array) ? "normal"
						       : "none");
}

static const char *state(bool none, bool all)
{
	return none ? "none" : all ? "all" : "normal";
}

static void put_filter(struct json_object *o, const struct netfilter *f)
{
	json_put_bool(o, "promiscuous", f->promisc);
	json_put_str(o, "multicast", state(f->no_multi, f->all_multi));
	json_put_str(o, "unicast", state(f->no_uni, f->all_uni));
	json_put_bool(o, "broadcast-allowed", !f->no_broadcast);
	json_put_bool(o, "multicast-overflow", f->multi_overflow);
	json_put_bool(o, "unicast-overflow", f->uni_overflow);
	json_object_object_add(o, "main-mac", mac_text(f->mac));
	put_vlans(o, f);
	put_macs(o, "unicast-table", f->table, f->uni);
	put_macs(o, "multicast-table", f->table + f->uni, f->multi);
}

/* Lock of the machine held. */
static void list_filters(struct machine *m, const char *want,
			 struct json_object *list)
{
	struct devconf_device *d;
	struct json_object *o;
	struct netfilter f;
	char name[96];

	for (d = m->dev->devices; d; d = d->next) {
		if (!nic_is(d))
			continue;
		nic_name(m, d, name, sizeof(name));
		if (want && strcmp(name, want))
			continue;
		virtio_net_filter(virtio_device(d), &f);
		d->filter_told = false;
		o = json_add_object(list);
		json_put_str(o, "name", name);
		put_filter(o, &f);
	}
}

static int query_rx_filter(struct qmp *q, struct json_object *args,
			   struct json_object **ret, struct err *e)
{
	const char *want = json_get_str(args, "name");
	struct machine *m = q->control->machine;
	struct json_object *list;

	if (want && backend_find(&m->dev->backends, LINK_NET, want))
		return err_set(e, -EINVAL, "net client(%s) isn't a NIC", want);
	list = json_object_new_array();
	pthread_mutex_lock(&m->lock);
	list_filters(m, want, list);
	pthread_mutex_unlock(&m->lock);
	if (want && !json_object_array_length(list)) {
		json_object_put(list);
		return err_set(e, -EINVAL, "invalid net client name: %s", want);
	}
	*ret = list;
	return 0;
}

const struct qmp_command qmp_net_commands[] = {
	{"query-rx-filter", "name?:str", false, "[RxFilterInfo]",
	 "which frames a card takes, or all cards: "
	 "NIC_RX_FILTER_CHANGED",
	 query_rx_filter},
	{0},
};
