/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot is emptied by a vCPU, under the machine's lock; the list of devices
 * is the control's, whose lock comes first. So the vCPU unplugs, and the
 * event loop's thread forgets the device and tells who asked.
 */
#include "vmm/run/hotplug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/virtio/device.h"
#include "lib/check.h"
#include "lib/log.h"
#include "vmm/machine.h"
#include "vmm/qmp/json.h"
#include "vmm/run/control.h"
#include "vmm/virtio.h"

static unsigned slot_of(const struct devconf_device *d)
{
	return virtio_pci_addr(d) / PCI_FUNCTIONS;
}

/* Nth without a name counts among its like only. */
static unsigned nth_anonymous(const struct machine *m,
			      const struct devconf_device *d)
{
	const struct devconf_device *i;
	unsigned n = 0;

	for (i = m->dev->devices; i != d; i = i->next)
		n += !i->conf->id[0];
	return n;
}

char *hotplug_path(const struct machine *m, const struct devconf_device *d,
		   char *buf, size_t size)
{
	if (d->conf->id[0])
		snprintf(buf, size, "/machine/peripheral/%s", d->conf->id);
	else
		snprintf(buf, size, "/machine/peripheral-anon/device[%u]",
			 nth_anonymous(m, d));
	return buf;
}

/* @d is unplugged: forget it, with its parts. */
static void forget(struct machine *m, struct devconf_device *d)
{
	struct json_object *data = json_object_new_object();
	char path[128];

	if (d->conf->id[0])
		json_put_str(data, "device", d->conf->id);
	json_put_str(data, "path", hotplug_path(m, d, path, sizeof(path)));
	ASSERT(!devconf_remove(m->dev, d, NULL));
	control_event(m->host->control, "DEVICE_DELETED", data);
}

/* Parts first: they go with what they are parts of. */
void hotplug_forget(struct machine *m)
{
	struct devconf_device *d, *next;
	unsigned parts;

	pthread_mutex_lock(&m->lock);
	for (parts = 2; parts--;)
		for (d = m->dev->devices; d; d = next) {
			next = d->next;
			if (!d->place && !d->conf->type->part_of == !parts)
				forget(m, d);
		}
	pthread_mutex_unlock(&m->lock);
}

static bool in_slot(const struct devconf_device *d, unsigned slot)
{
	return d->place && !d->conf->type->part_of && slot_of(d) == slot;
}

/* A disk that hangs cannot go: false. Lock of the machine held. */
static bool reset_slot(struct machine *m, unsigned slot)
{
	struct devconf_device *d;
	bool done = true;

	for (d = m->dev->devices; d; d = d->next) {
		if (!in_slot(d, slot))
			continue;
		virtio_set_status(virtio_device(d), 0);
		if (!virtio_get_status(virtio_device(d)))
			continue;
		done = false;
		log_warn("vmm",
			 "device '%s' is not unplugged: its requests do not "
			 "end",
			 d->conf->id);
	}
	return done;
}

/* Lock of the machine held. */
static void unplug_slot(struct machine *m, unsigned slot)
{
	struct devconf_device *d;
	unsigned parts;

	for (parts = 2; parts--;)
		for (d = m->dev->devices; d; d = d->next)
			if (d->place && !d->conf->type->part_of == !parts &&
			    slot_of(parts ? d->parent : d) == slot)
				virtio_unplug(m, d);
}

void hotplug_eject(struct machine *m, unsigned slot)
{
	if (reset_slot(m, slot)) {
		unplug_slot(m, slot);
		control_note(m->host->control, NOTE_EJECTED);
	} else { /* it is asked for again, or goes with the machine */
		m->pcihp.down |= BIT(slot);
	}
}

static void tell_guest(struct machine *m)
{
	acpi_pm_gpe_raise(&m->isa.pm, PCIHP_GPE);
}

/* Machine's lock held. */
static int plug(struct machine *m, struct devconf_device *d, struct err *e)
{
	int ret = devconf_connect(m->dev, d, e);

	if (!ret)
		ret = virtio_plug(m, d, e);
	if (ret || d->conf->type->part_of)
		return ret;
	m->pcihp.down &= ~BIT(slot_of(d));
	m->pcihp.up |= BIT(slot_of(d));
	tell_guest(m);
	return 0;
}

int hotplug_add(struct machine *m, struct devconf_device *d, struct err *e)
{
	int ret;

	if (!m->config->pci && !d->conf->type->part_of) {
		devconf_free(d);
		return err_set(e, -ENOTSUP,
			       "Bus 'virtio-mmio-bus' does not support "
			       "hotplugging");
	}
	pthread_mutex_lock(&m->lock);
	ret = devconf_add(m->dev, d, e);
	if (ret) {
		devconf_free(d);
	} else {
		ret = plug(m, d, e);
		if (ret)
			ASSERT(!devconf_remove(m->dev, d, NULL));
	}
	pthread_mutex_unlock(&m->lock);
	return ret;
}

static int ask(struct machine *m, struct devconf_device *d, struct err *e)
{
	unsigned bit = BIT(slot_of(d));

	if (!m->config->pci)
		return err_set(e, -ENOTSUP,
			       "Bus 'virtio-mmio-bus' does not support "
			       "hotplugging");
	if (m->pcihp.down & bit)
		return err_set(e, -EBUSY,
			       "Device %s is already in the process of unplug",
			       d->conf->id);
	m->pcihp.down |= bit;
	tell_guest(m);
	return 0;
}

int hotplug_remove(struct machine *m, struct devconf_device *d, struct err *e)
{
	bool part = d->conf->type->part_of;
	int ret = 0;

	pthread_mutex_lock(&m->lock);
	if (part && d->place)
		virtio_unplug(m, d);
	else if (!part)
		ret = ask(m, d, e);
	pthread_mutex_unlock(&m->lock);
	if (part)
		hotplug_forget(m);
	return ret;
}

void hotplug_settle(struct machine *m)
{
	unsigned slot;

	pthread_mutex_lock(&m->lock);
	for (slot = 1; slot < PCI_SLOTS; slot++)
		if (m->pcihp.down & BIT(slot))
			unplug_slot(m, slot);
	pthread_mutex_unlock(&m->lock);
	hotplug_forget(m);
}
