/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that show what is on the PCI bus and what disks are on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/pcifn.h"
#include "host/block/block.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/run/hotplug.h"
#include "vmm/virtio.h"

static uint32_t config(const struct pcifn *fn, unsigned reg, unsigned size)
{
	uint32_t v = 0;

	memcpy(&v, fn->config + reg, size);
	return v;
}

static const char *class_name(unsigned class)
{
	static const struct {
		unsigned class;
		const char *name;
	} names[] = {
		{0x0100, "SCSI controller"},     {0x0180, "Storage controller"},
		{0x0200, "Ethernet controller"}, {0x0280, "Network controller"},
		{0x0600, "Host bridge"},         {0x0780, "Serial controller"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].class == class)
			return names[i].name;
	return NULL;
}

static void put_identity(struct json_object *o, unsigned class, uint32_t id,
			 uint32_t subsystem)
{
	struct json_object *c = json_put_object(o, "class_info");
	struct json_object *i = json_put_object(o, "id");

	json_put_int(c, "class", class);
	if (class_name(class))
		json_put_str(c, "desc", class_name(class));
	json_put_int(i, "vendor", id & 0xffff);
	json_put_int(i, "device", id >> 16);
	if (subsystem) {
		json_put_int(i, "subsystem-vendor", subsystem & 0xffff);
		json_put_int(i, "subsystem", subsystem >> 16);
	}
}

static struct json_object *put_place(struct json_object *list, unsigned addr)
{
	struct json_object *o = json_add_object(list);

	json_put_int(o, "bus", 0);
	json_put_int(o, "slot", addr / PCI_FUNCTIONS);
	json_put_int(o, "function", addr % PCI_FUNCTIONS);
	return o;
}

static const char *id_at(struct machine *m, unsigned addr)
{
	const struct devconf_device *d;

	for (d = m->dev->devices; d; d = d->next)
		if (virtio_device(d) && virtio_pci_addr(d) == addr)
			return d->conf->id;
	return "";
}

static void put_regions(struct json_object *o, const struct pcifn *fn)
{
	struct json_object *list = json_put_array(o, "regions"), *r;
	unsigned i;

	for (i = 0; i < PCIFN_BARS; i++) {
		if (!fn->bar[i].size)
			continue;
		r = json_add_object(list);
		json_put_int(r, "bar", i);
		json_put_str(r, "type",
			     config(fn, 0x10 + 4 * i, 1) & 1 ? "io" : "memory");
		json_put_int(r, "address", pcifn_bar_address(fn, i));
		json_put_int(r, "size", fn->bar[i].size);
		if (config(fn, 0x10 + 4 * i, 1) & 1)
			continue;
		json_put_bool(r, "prefetch", false);
		json_put_bool(r, "mem_type_64", false);
	}
}

/* Lock of the machine held. */
static void put_function(struct machine *m, struct json_object *list,
			 const struct pcifn *fn)
{
	struct json_object *o = put_place(list, fn->addr);

	put_identity(o, config(fn, 0x0a, 2), config(fn, 0, 4),
		     config(fn, 0x2c, 4));
	json_put_int(o, "irq", config(fn, 0x3c, 1));
	json_put_int(o, "irq_pin", config(fn, 0x3d, 1));
	json_put_str(o, "qdev_id", id_at(m, fn->addr));
	put_regions(o, fn);
}

static void put_bridge(struct json_object *list, const struct pci *pci)
{
	struct json_object *o = put_place(list, 0);
	uint32_t id;

	memcpy(&id, pci->bridge, sizeof(id));
	put_identity(o, 0x0600, id, 0);
	json_put_int(o, "irq_pin", 0);
	json_put_str(o, "qdev_id", "");
	json_put_array(o, "regions");
}

static int query_pci(struct qmp *q, struct json_object *args,
		     struct json_object **ret, struct err *e)
{
	struct machine *m = q->control->machine;
	struct json_object *bus, *list;
	size_t i;

	*ret = json_object_new_array();
	if (!m->config->pci)
		return 0;
	bus = json_add_object(*ret);
	json_put_int(bus, "bus", 0);
	list = json_put_array(bus, "devices");
	pthread_mutex_lock(&m->lock);
	put_bridge(list, &m->pci);
	for (i = 0; i < ARRAY_SIZE(m->pci.fn); i++)
		if (m->pci.fn[i])
			put_function(m, list, m->pci.fn[i]);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* ---- disks ---- */

static void put_limits(struct json_object *o)
{
	static const char *const names[] = {"bps",  "bps_rd",  "bps_wr",
					    "iops", "iops_rd", "iops_wr"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		json_put_int(o, names[i], 0);
}

static void put_image(struct json_object *o, const struct backend *b)
{
	const struct drive *drive = b->object;
	const char *path = block_path(drive->block);
	struct json_object *image, *cache;

	json_put_str(o, "file", path ? path : "");
	json_put_str(o, "node-name", b->id);
	json_put_bool(o, "ro", block_read_only(drive->block));
	json_put_str(o, "drv", block_format(drive->block));
	json_put_int(o, "backing_file_depth", 0);
	json_put_bool(o, "encrypted", false);
	json_put_str(o, "detect_zeroes", "off");
	json_put_int(o, "write_threshold", 0);
	put_limits(o);
	image = json_put_object(o, "image");
	json_put_str(image, "filename", path ? path : "");
	json_put_str(image, "format", block_format(drive->block));
	json_put_int(image, "virtual-size", block_size(drive->block));
	cache = json_put_object(o, "cache");
	json_put_bool(cache, "writeback", !drive->write_through);
	json_put_bool(cache, "direct", false);
	json_put_bool(cache, "no-flush", false);
}

static const struct backend *next_drive(struct qmp *q, const struct backend *b)
{
	b = b ? b->next : q->control->machine->dev->backends.first;
	while (b && (b->class->kind != LINK_DRIVE || !b->object))
		b = b->next;
	return b;
}

static void put_qdev(struct qmp *q, struct json_object *o,
		     const struct backend *b)
{
	char path[160];

	if (b->user)
		json_put_str(o, "qdev",
			     hotplug_path(q->control->machine, b->user, path,
					  sizeof(path)));
}

static int query_block(struct qmp *q, struct json_object *args,
		       struct json_object **ret, struct err *e)
{
	const struct backend *b = NULL;
	struct json_object *o;

	*ret = json_object_new_array();
	while ((b = next_drive(q, b))) {
		o = json_add_object(*ret);
		json_put_str(o, "device", b->id);
		put_qdev(q, o, b);
		json_put_str(o, "type", "unknown");
		json_put_bool(o, "removable", false);
		json_put_bool(o, "locked", false);
		put_image(json_put_object(o, "inserted"), b);
	}
	return 0;
}

static int query_nodes(struct qmp *q, struct json_object *args,
		       struct json_object **ret, struct err *e)
{
	const struct backend *b = NULL;

	*ret = json_object_new_array();
	while ((b = next_drive(q, b)))
		put_image(json_add_object(*ret), b);
	return 0;
}

/* The device's counter called @name, 0 without a device. */
static uint64_t counter(const struct virtio_device *dev, const char *name)
{
	unsigned i;

	for (i = 0; dev && dev->stat.data && i < dev->class->counters_n; i++)
		if (!strcmp(dev->class->counters[i], name))
			return __atomic_load_n(&dev->stat.data[i],
					       __ATOMIC_RELAXED);
	return 0;
}

static void put_stats(struct json_object *o, const struct virtio_device *dev)
{
	static const char *const rows[][2] = {
		{"rd_bytes", "block_read_bytes"},
		{"wr_bytes", "block_write_bytes"},
		{"rd_operations", "block_reads"},
		{"wr_operations", "block_writes"},
		{"flush_operations", "block_flushes"},
		{"unmap_operations", "block_discards"},
		{"failed_operations", "block_errors"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		json_put_int(o, rows[i][0], counter(dev, rows[i][1]));
}

static int query_blockstats(struct qmp *q, struct json_object *args,
			    struct json_object **ret, struct err *e)
{
	const struct backend *b = NULL;
	struct json_object *o;

	*ret = json_object_new_array();
	while ((b = next_drive(q, b))) {
		o = json_add_object(*ret);
		json_put_str(o, "device", b->id);
		put_qdev(q, o, b);
		json_put_str(o, "node-name", b->id);
		put_stats(json_put_object(o, "stats"),
			  b->user ? virtio_device(b->user) : NULL);
	}
	return 0;
}

const struct qmp_command qmp_bus_commands[] = {
	{"query-pci", "", false, "[PciInfo]", "what is on PCI", query_pci},
	{"query-block", "", false, "[BlockInfo]", "disks", query_block},
	{"query-blockstats", "query-nodes?:bool", false, "[BlockStats]",
	 "what their devices counted", query_blockstats},
	{"query-named-block-nodes", "flat?:bool", false, "[BlockDeviceInfo]",
	 "what -drive and -blockdev opened", query_nodes},
	{0},
};
