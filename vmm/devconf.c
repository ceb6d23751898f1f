/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of devices in tables. A property is a field of struct
 * devconf_device or a feature bit; what is in no table does not exist.
 */
#include "vmm/devconf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/devprop.h"

#define FIELD(f) offsetof(struct devconf_device, f)

static const struct devprop common_props[] = {
	{"id", PROP_STRING, FIELD(id), 0, DEVCONF_NAME, "", "name"},
	{"addr", PROP_SLOT, FIELD(slot), 1, 31, "any", "PCI slot, hexadecimal"},
	PROP_FEATURE_ROW("indirect_desc", VIRTIO_F_INDIRECT_DESC, true),
	PROP_FEATURE_ROW("event_idx", VIRTIO_F_EVENT_IDX, true),
	PROP_FEATURE_ROW("queue_reset", VIRTIO_F_RING_RESET, true),
	PROP_FEATURE_ROW("packed", VIRTIO_F_RING_PACKED, false),
	PROP_FEATURE_ROW("in_order", VIRTIO_F_IN_ORDER, false),
	PROP_FEATURE_ROW("notification_data", VIRTIO_F_NOTIFICATION_DATA,
			 false),
	{0},
};

static const struct devprop blk_props[] = {
	{"drive", PROP_STRING, FIELD(backend), 0, DEVCONF_NAME, "",
	 "the -drive or -blockdev"},
	{"serial", PROP_STRING, FIELD(serial), 0, 21, "", "serial number"},
	{"num-queues", PROP_NUMBER, FIELD(queues), 1, 16, "1", "queues"},
	{"queue-size", PROP_POWER, FIELD(queue_size), 4, 1024, "256",
	 "entries of a queue"},
	{"logical_block_size", PROP_POWER, FIELD(logical_block), 512, 4096,
	 "512", "bytes"},
	{"physical_block_size", PROP_POWER, FIELD(physical_block), 512, 65536,
	 "512", "bytes"},
	{"write-cache", PROP_BOOL, FIELD(write_cache), 0, 0, "on",
	 "the guest flushes"},
	PROP_FEATURE_ROW("config-wce", 11, true),
	PROP_FEATURE_ROW("discard", 13, true),
	PROP_FEATURE_ROW("write-zeroes", 14, true),
	{0},
};

static const struct devprop net_props[] = {
	{"netdev", PROP_STRING, FIELD(backend), 0, DEVCONF_NAME, "",
	 "the -netdev"},
	{"mac", PROP_STRING, FIELD(mac), 0, 18, "", "address"},
	{"rx_queue_size", PROP_POWER, FIELD(queue_size), 16, 1024, "256",
	 "entries of a queue"},
	PROP_FEATURE_ROW("csum", 0, true),
	PROP_FEATURE_ROW("guest_csum", 1, true),
	PROP_FEATURE_ROW("ctrl_guest_offloads", 2, true),
	PROP_FEATURE_ROW("guest_tso4", 7, true),
	PROP_FEATURE_ROW("guest_tso6", 8, true),
	PROP_FEATURE_ROW("guest_ecn", 9, true),
	PROP_FEATURE_ROW("guest_ufo", 10, true),
	PROP_FEATURE_ROW("host_tso4", 11, true),
	PROP_FEATURE_ROW("host_tso6", 12, true),
	PROP_FEATURE_ROW("host_ecn", 13, true),
	PROP_FEATURE_ROW("host_ufo", 14, true),
	PROP_FEATURE_ROW("mrg_rxbuf", 15, true),
	PROP_FEATURE_ROW("status", 16, true),
	PROP_FEATURE_ROW("ctrl_vq", 17, true),
	PROP_FEATURE_ROW("ctrl_rx", 18, true),
	PROP_FEATURE_ROW("ctrl_vlan", 19, true),
	PROP_FEATURE_ROW("ctrl_rx_extra", 20, true),
	PROP_FEATURE_ROW("ctrl_mac_addr", 23, true),
	PROP_FEATURE_ROW("guest_uso4", 54, true),
	PROP_FEATURE_ROW("guest_uso6", 55, true),
	PROP_FEATURE_ROW("host_uso", 56, true),
	PROP_FEATURE_ROW("guest_tunnel", 65, true),
	PROP_FEATURE_ROW("guest_tunnel_csum", 66, true),
	PROP_FEATURE_ROW("host_tunnel", 67, true),
	PROP_FEATURE_ROW("host_tunnel_csum", 68, true),
	{0},
};

static const struct devprop rng_props[] = {{0}};

static const struct {
	const char *name;
	enum virtio_id kind;
	const struct devprop *props;
} types[] = {
	{"virtio-blk", VIRTIO_ID_BLK, blk_props},
	{"virtio-net", VIRTIO_ID_NET, net_props},
	{"virtio-rng", VIRTIO_ID_RNG, rng_props},
};

static int find_type(const char *name, enum devconf_bus *bus)
{
	static const char *const suffix[] = {
		[DEVCONF_ANY] = "",
		[DEVCONF_PCI] = "-pci",
		[DEVCONF_MMIO] = "-device",
	};
	size_t i, len;
	unsigned b;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		len = strlen(types[i].name);
		if (strncmp(name, types[i].name, len))
			continue;
		for (b = 0; b < ARRAY_SIZE(suffix); b++) {
			if (strcmp(name + len, suffix[b]))
				continue;
			*bus = b;
			return (int)i;
		}
	}
	return -EINVAL;
}

bool devconf_knows(const char *name)
{
	enum devconf_bus bus;

	return find_type(name, &bus) >= 0;
}

void devconf_print_names(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		printf("%s-pci, %s-device\n", types[i].name, types[i].name);
}

static int set_property(struct devconf_device *d, int type,
			const struct keyval *kv, struct err *e)
{
	const struct devprop *p = devprop_find(types[type].props, kv->key);

	if (!p)
		p = devprop_find(common_props, kv->key);
	if (!p || kv->bare)
		return err_set(e, -EINVAL,
			       "%s has no property '%s' (%s,help lists them)",
			       types[type].name, kv->bare ? kv->value : kv->key,
			       types[type].name);
	if (p->type == PROP_FEATURE)
		features_put(&d->named, (unsigned)p->min, true);
	return devprop_set(p, d, &d->want, kv->value, e);
}

static int device_defaults(struct devconf_device *d, int type,
			   enum devconf_bus bus)
{
	*d = (struct devconf_device){.kind = types[type].kind, .bus = bus};
	features_put(&d->want, VIRTIO_F_VERSION_1, true);
	devprop_defaults(common_props, d, &d->want);
	devprop_defaults(types[type].props, d, &d->want);
	return 0;
}

int devconf_device(struct devconf *c, const char *arg, struct err *e)
{
	struct devconf_device *d = &c->device[c->devices];
	enum devconf_bus bus;
	struct keyval kv;
	int type, ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no device name given");
	type = find_type(kv.value, &bus);
	if (type < 0)
		return err_set(e, -EINVAL, "'%s' is no device", kv.value);
	if (c->devices == DEVCONF_MAX)
		return err_set(e, -ENOSPC, "more than %d devices", DEVCONF_MAX);
	device_defaults(d, type, bus);
	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare && !strcmp(kv.value, "help")) {
			devprop_print(types[type].name, types[type].props);
			devprop_print(types[type].name, common_props);
			return 1;
		}
		ret = set_property(d, type, &kv, e);
		if (ret)
			return ret;
	}
	c->devices += !ret;
	return ret;
}

int devconf_find_drive(const struct devconf *c, const char *id)
{
	unsigned i;

	for (i = 0; i < c->drives; i++)
		if (!strcmp(c->drive[i].id, id))
			return (int)i;
	return -ENOENT;
}

int devconf_find_netdev(const struct devconf *c, const char *id)
{
	unsigned i;

	for (i = 0; i < c->netdevs; i++)
		if (!strcmp(c->netdev[i].id, id))
			return (int)i;
	return -ENOENT;
}

int devconf_parse_mac(const char *text, uint8_t mac[6])
{
	unsigned byte[6], i;
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1],
		   &byte[2], &byte[3], &byte[4], &byte[5], &end) != 6 ||
	    text[end] || byte[0] & 1)
		return -EINVAL;
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
	return 0;
}

/* As QEMU counts them: one more for each card without an address. */
static void make_mac(struct devconf_device *d, unsigned nth)
{
	snprintf(d->mac, sizeof(d->mac), "52:54:00:12:34:%02x",
		 (0x56 + nth) & 0xff);
}

static int connect_netdev(struct devconf *c, struct devconf_device *d,
			  struct err *e)
{
	int n = devconf_find_netdev(c, d->backend);
	uint8_t mac[6];

	if (!d->backend[0])
		return err_set(e, -EINVAL,
			       "-device virtio-net: netdev= is missing");
	if (n < 0)
		return err_set(e, -EINVAL,
			       "-device virtio-net: there is no netdev '%s'",
			       d->backend);
	if (c->netdev[n].used)
		return err_set(e, -EINVAL,
			       "-device virtio-net: netdev '%s' has a device "
			       "already",
			       d->backend);
	c->netdev[n].used = true;
	if (!d->mac[0])
		make_mac(d, (unsigned)n);
	if (devconf_parse_mac(d->mac, mac))
		return err_set(e, -EINVAL,
			       "-device virtio-net: mac '%s' is not the "
			       "address of one card",
			       d->mac);
	return 0;
}

static void drop_tunnels(struct devconf_device *d)
{
	unsigned bit;

	for (bit = 65; bit <= 68; bit++)
		if (!features_has(&d->named, bit))
			features_put(&d->want, bit, false);
}

static int connect_drive(struct devconf *c, struct devconf_device *d,
			 struct err *e)
{
	int n = devconf_find_drive(c, d->backend);

	if (!d->backend[0])
		return err_set(e, -EINVAL,
			       "-device virtio-blk: drive= is missing");
	if (n < 0)
		return err_set(e, -EINVAL,
			       "-device virtio-blk: there is no drive '%s'",
			       d->backend);
	if (c->drive[n].used)
		return err_set(e, -EINVAL,
			       "-device virtio-blk: drive '%s' has a device "
			       "already",
			       d->backend);
	if (d->physical_block < d->logical_block)
		d->physical_block = d->logical_block;
	c->drive[n].used = true;
	return 0;
}

static int check_bus(struct devconf_device *d, bool pci, struct err *e)
{
	if (d->bus == DEVCONF_ANY)
		d->bus = pci ? DEVCONF_PCI : DEVCONF_MMIO;
	if (d->bus == DEVCONF_PCI && !pci)
		return err_set(e, -EINVAL,
			       "-device: this machine has no PCI bus, use the "
			       "name that ends in -device");
	if (d->bus == DEVCONF_MMIO && pci)
		return err_set(e, -EINVAL,
			       "-device: this machine has a PCI bus, use the "
			       "name that ends in -pci");
	if (d->bus == DEVCONF_MMIO && d->slot)
		return err_set(e, -EINVAL,
			       "-device: addr= is for devices on PCI");
	return 0;
}

static int check_device(struct devconf *c, struct devconf_device *d,
			unsigned version, struct err *e)
{
	if (d->kind == VIRTIO_ID_BLK)
		return connect_drive(c, d, e);
	if (d->kind != VIRTIO_ID_NET)
		return 0;
	/* Drivers reach the second word of features on PCI only. */
	if (version < 1002 || d->bus == DEVCONF_MMIO)
		drop_tunnels(d);
	return connect_netdev(c, d, e);
}

int devconf_check(struct devconf *c, bool pci, unsigned version, struct err *e)
{
	unsigned i, mmio = 0;
	int ret = 0;

	for (i = 0; !ret && i < c->devices; i++) {
		ret = check_bus(&c->device[i], pci, e);
		if (!ret)
			ret = check_device(c, &c->device[i], version, e);
		mmio += c->device[i].bus == DEVCONF_MMIO;
	}
	if (!ret && mmio > 8)
		return err_set(e, -ENOSPC,
			       "-device: more than 8 devices without PCI");
	return ret;
}
