/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that show what is on the PCI bus.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/pcifn.h"
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

const struct qmp_command qmp_bus_commands[] = {
	{"query-pci", "", false, "[PciInfo]", "what is on PCI", query_pci},
	{0},
};
