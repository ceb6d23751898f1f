/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices from the configuration's rows. A part of a device has no place of
 * its own but its row's address in the device that it is a part of.
 */
#include "vmm/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/vmmio.h"
#include "dev/virtio/vpci.h"
#include "lib/check.h"
#include "vmm/layout.h"
#include "vmm/machine.h"
#include "vmm/run/control.h"

struct place {
	struct virtio_device *dev;
	bool pci;
	struct vpci vpci;
	struct vmmio vmmio;
	unsigned mmio; /* which of the places in memory */
};

static struct place *place_of(const struct devconf_device *d)
{
	return d->conf->type->part_of ? NULL : d->place;
}

struct virtio_device *virtio_device(const struct devconf_device *d)
{
	struct place *p = place_of(d);

	return p ? p->dev : NULL;
}

unsigned virtio_pci_addr(const struct devconf_device *d)
{
	struct place *p = place_of(d);

	return p && p->pci ? p->vpci.fn.addr : 0;
}

void virtio_regs(const struct devconf_device *d, struct virtio_regs *regs)
{
	struct place *p = place_of(d);

	pthread_mutex_lock(&p->dev->lock);
	regs->isr = p->pci ? p->vpci.isr : (uint8_t)p->vmmio.cause;
	regs->queue_select = p->pci ? p->vpci.queue_select
				    : p->vmmio.queue_select;
	pthread_mutex_unlock(&p->dev->lock);
}

static int plug_pci(struct machine *m, struct place *p,
		    const struct virtio_conf *c, struct err *e)
{
	int ret;

	vpci_init(&p->vpci, p->dev, (unsigned)c->vectors);
	p->pci = true;
	if (c->multifunction)
		pcifn_set_multifunction(&p->vpci.fn);
	ret = pci_plug(&m->pci, &p->vpci.fn, c->addr);
	if (ret == -EBUSY)
		return err_set(e, ret, "PCI address %#x.%u is taken twice",
			       c->addr / PCI_FUNCTIONS,
			       c->addr % PCI_FUNCTIONS);
	if (ret == -ENXIO)
		return err_set(e, ret,
			       "PCI slot %#x has no function 0 with "
			       "multifunction=on before it",
			       c->addr / PCI_FUNCTIONS);
	return ret ? err_set(e, ret, "no room on the PCI bus") : 0;
}

static bool mmio_taken(const struct machine *m, unsigned n)
{
	const struct devconf_device *d = m->dev->devices;

	for (; d; d = d->next)
		if (place_of(d) && !place_of(d)->pci && place_of(d)->mmio == n)
			return true;
	return false;
}

static int place_mmio(struct machine *m, struct place *p, struct err *e)
{
	struct chip_pin irq = {machine_irq, m, LAYOUT_VIRTIO_GSI};
	uint64_t gpa = LAYOUT_VIRTIO;
	unsigned n = 0;

	while (mmio_taken(m, n))
		n++;
	irq.pin += n;
	gpa += n * LAYOUT_VIRTIO_STEP;
	p->mmio = n;
	return vmmio_init(&p->vmmio, p->dev, &m->mmio, gpa, &irq,
			  machine_doorbells(m))
		       ? err_set(e, -EBUSY, "no place for a virtio device")
		       : 0;
}

static void destroy(struct machine *m, struct place *p)
{
	if (p->pci)
		pci_unplug(&m->pci, &p->vpci.fn);
	virtio_exit(p->dev);
	if (p->pci)
		vpci_exit(&p->vpci);
	free(p);
}

/* What is linked is open by now. */
static void resolve_links(struct machine *m, struct virtio_conf *c)
{
	const struct prop *p = NULL;
	struct prop_link *link;
	struct backend *b;

	while ((link = virtio_conf_link(c, &p))) {
		b = backend_find(&m->dev->backends, (enum prop_link_kind)p->min,
				 link->id);
		link->object = b ? b->object : NULL;
		ASSERT(!link->id[0] || link->object);
	}
}

static int plug_part(struct devconf_device *d, struct err *e)
{
	const struct virtio_type *t = d->conf->type;
	int ret = t->add(virtio_device(d->parent), d->conf, e);

	if (!ret)
		d->place = d->parent->place;
	return ret;
}

static void tell_balloon(void *ctx, uint64_t bytes)
{
	struct machine *m = ctx;

	control_balloon_change(m->host->control,
			       m->config->ram_size -
				       MIN(bytes, m->config->ram_size));
}

static void tell_port(void *ctx, const char *id, bool open)
{
	struct machine *m = ctx;

	control_port_change(m->host->control, id, open);
}

/* Which card's is found with the lock that holds them in place. */
static void tell_filter(void *ctx)
{
	struct machine *m = ctx;

	control_note(m->host->control, NOTE_FILTER);
}

static const struct virtio_news news = {tell_balloon, tell_port, tell_filter};

static int plug(struct machine *m, struct devconf_device *d, struct err *e)
{
	struct virtio_conf *c = d->conf;
	struct place *p;
	int ret;

	resolve_links(m, c);
	if (c->type->part_of)
		return plug_part(d, e);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->dev = c->type->create(c, &m->dma, e);
	if (!p->dev) {
		free(p);
		return e->code;
	}
	p->dev->news = &news;
	p->dev->news_ctx = m;
	ret = c->bus == VIRTIO_BUS_PCI ? plug_pci(m, p, c, e)
				       : place_mmio(m, p, e);
	if (ret)
		destroy(m, p);
	else
		d->place = p;
	return ret;
}

int virtio_plug(struct machine *m, struct devconf_device *d, struct err *e)
{
	int ret = plug(m, d, e);

	return ret ? err_wrap(e, "%s", d->conf->type->name) : 0;
}

void virtio_unplug(struct machine *m, struct devconf_device *d)
{
	const struct virtio_type *t = d->conf->type;

	if (t->part_of)
		t->remove(virtio_device(d->parent), d->conf);
	else
		destroy(m, d->place);
	d->place = NULL;
}

void virtio_reset_all(struct machine *m)
{
	const struct devconf_device *d;

	pthread_mutex_lock(&m->lock);
	for (d = m->dev->devices; d; d = d->next)
		if (d->place && virtio_device(d))
			virtio_set_status(virtio_device(d), 0);
	pthread_mutex_unlock(&m->lock);
}

/*
 * Those that ask for a place first, so that others do not take it; functions 0
 * before those that share their slot. Parts come last.
 */
enum pass { PASS_SLOT, PASS_FUNCTION, PASS_ANY, PASS_PART, PASSES };

static enum pass pass_of(const struct virtio_conf *c)
{
	if (c->type->part_of)
		return PASS_PART;
	if (!c->addr)
		return PASS_ANY;
	return c->addr % PCI_FUNCTIONS ? PASS_FUNCTION : PASS_SLOT;
}

int virtio_create_all(struct machine *m, struct err *e)
{
	struct devconf_device *d;
	unsigned pass;
	int ret = 0;

	for (pass = 0; pass < PASSES; pass++)
		for (d = m->dev->devices; !ret && d; d = d->next)
			if (pass_of(d->conf) == pass)
				ret = virtio_plug(m, d, e);
	return ret ? err_wrap(e, "-device") : 0;
}

static void unplug_all(struct machine *m, bool parts)
{
	struct devconf_device *d;

	for (d = m->dev->devices; d; d = d->next)
		if (d->place && !d->conf->type->part_of == !parts)
			virtio_unplug(m, d);
}

void virtio_destroy_all(struct machine *m)
{
	unplug_all(m, true);
	unplug_all(m, false);
}
