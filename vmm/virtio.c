/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices from the configuration's rows.
 */
#include "vmm/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/classes.h"
#include "dev/virtio/vmmio.h"
#include "dev/virtio/vpci.h"
#include "vmm/backend.h"
#include "vmm/layout.h"
#include "vmm/machine.h"

struct slot {
	struct virtio_device *dev;
	bool pci;
	struct vpci vpci;
	struct vmmio vmmio;
};

struct vmm_virtio {
	unsigned mmio;
	struct slot slot[DEVCONF_MAX];
};

unsigned virtio_count_mmio(const struct devconf *c)
{
	unsigned i, n = 0;

	for (i = 0; i < c->devices; i++)
		n += c->device[i].bus == DEVCONF_MMIO;
	return n;
}

static struct virtio_device *create_blk(struct machine *m,
					const struct devconf_device *d)
{
	const struct devconf *c = &m->config->dev;
	int n = devconf_find_drive(c, d->backend);
	const struct devconf_drive *drive = &c->drive[n];
	struct virtio_blk_conf conf = {
		.want = d->want,
		.block = m->host->backends->block[n],
		.queues = (unsigned)d->queues,
		.queue_size = (unsigned)d->queue_size,
		.logical_block = (uint32_t)d->logical_block,
		.physical_block = (uint32_t)d->physical_block,
		.hide_read_errors = drive->hide_read_errors,
		.hide_write_errors = drive->hide_write_errors,
		.write_cache = d->write_cache && !drive->write_through,
	};

	memcpy(conf.serial, d->serial, sizeof(conf.serial));
	return virtio_blk_create(&m->dma, &conf);
}

static struct virtio_device *create_net(struct machine *m,
					const struct devconf_device *d)
{
	int n = devconf_find_netdev(&m->config->dev, d->backend);
	struct virtio_net_conf conf = {
		.want = d->want,
		.net = m->host->backends->net[n],
		.queue_size = (unsigned)d->queue_size,
	};

	if (devconf_parse_mac(d->mac, conf.mac))
		return NULL;
	return virtio_net_create(&m->dma, &conf);
}

static struct virtio_device *create_device(struct machine *m,
					   const struct devconf_device *d)
{
	const struct virtio_rng_conf rng = {d->want};

	switch (d->kind) {
	case VIRTIO_ID_BLK: return create_blk(m, d);
	case VIRTIO_ID_NET: return create_net(m, d);
	case VIRTIO_ID_RNG: return virtio_rng_create(&m->dma, &rng);
	default: return NULL;
	}
}

static int plug_pci(struct machine *m, struct slot *s,
		    const struct devconf_device *d, struct err *e)
{
	int ret;

	vpci_init(&s->vpci, s->dev);
	s->pci = true;
	ret = pci_plug(&m->pci, &s->vpci.fn, d->slot);
	if (ret == -EBUSY)
		return err_set(e, ret, "PCI slot %#x is taken twice", d->slot);
	return ret ? err_set(e, ret, "no room on the PCI bus") : 0;
}

static int place_mmio(struct machine *m, struct slot *s, struct err *e)
{
	unsigned n = m->virtio->mmio++;
	const struct chip_pin irq = {machine_irq, m, LAYOUT_VIRTIO_GSI + n};
	uint64_t gpa = LAYOUT_VIRTIO + n * LAYOUT_VIRTIO_STEP;

	return vmmio_init(&s->vmmio, s->dev, &m->mmio, gpa, &irq)
		       ? err_set(e, -EBUSY, "no place for a virtio device")
		       : 0;
}

static int create(struct machine *m, unsigned i, struct err *e)
{
	const struct devconf_device *d = &m->config->dev.device[i];
	struct slot *s = &m->virtio->slot[i];
	int ret;

	s->dev = create_device(m, d);
	if (!s->dev)
		return err_set(e, -ENOMEM, "out of memory");
	ret = d->bus == DEVCONF_PCI ? plug_pci(m, s, d, e)
				    : place_mmio(m, s, e);
	return ret ? err_wrap(e, "-device") : 0;
}

/* Those that ask for a slot first, so that others do not take it. */
static int create_pass(struct machine *m, bool fixed, struct err *e)
{
	const struct devconf *c = &m->config->dev;
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < c->devices; i++)
		if (!c->device[i].slot == !fixed)
			ret = create(m, i, e);
	return ret;
}

int virtio_create_all(struct machine *m, struct err *e)
{
	int ret;

	if (!m->config->dev.devices)
		return 0;
	m->virtio = calloc(1, sizeof(*m->virtio));
	if (!m->virtio)
		return err_set(e, -ENOMEM, "out of memory");
	ret = create_pass(m, true, e);
	return ret ? ret : create_pass(m, false, e);
}

static void destroy(struct machine *m, struct slot *s)
{
	if (!s->dev)
		return;
	if (s->pci)
		pci_unplug(&m->pci, &s->vpci.fn);
	virtio_exit(s->dev);
	if (s->pci)
		vpci_exit(&s->vpci);
}

void virtio_destroy_all(struct machine *m)
{
	unsigned i;

	for (i = 0; m->virtio && i < DEVCONF_MAX; i++)
		destroy(m, &m->virtio->slot[i]);
	free(m->virtio);
	m->virtio = NULL;
}
