/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over PCI, the modern interface only. Document: Virtual I/O Device
 * 1.4 "Virtio Over PCI Bus" (4.1). Features are reached by selects 0 to 3;
 * beyond, they read 0. Left out: the legacy interface, shared memory regions.
 */
#ifndef DEV_VIRTIO_VPCI_H
#define DEV_VIRTIO_VPCI_H

#include "dev/pcifn.h"
#include "dev/virtio/device.h"

struct vpci {
	struct pcifn fn;
	struct virtio_device *dev;
	unsigned window; /* offset of the capability that reaches the BAR */
	uint32_t device_select;
	uint32_t driver_select;
	uint16_t queue_select;
	/* ---- under dev->lock ---- */
	uint8_t isr;
	uint16_t config_vector;
	uint16_t vector[VIRTIO_MAX_QUEUES];
};

/*
 * Make @v the function of @dev, with one vector for each queue and one for
 * its configuration, but not more than @vectors; 0: without MSI-X. The caller
 * plugs v->fn. @dev stays the caller's.
 */
void vpci_init(struct vpci *v, struct virtio_device *dev, unsigned vectors);
void vpci_exit(struct vpci *v);

#endif
