/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of one machine: made from the configuration, plugged
 * into its PCI bus or put at their place in memory.
 */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include "lib/err.h"

struct machine;
struct vmm_virtio;

/* How many devices in memory a configuration has; ACPI names them. */
struct devconf;
unsigned virtio_count_mmio(const struct devconf *c);

/* Create and connect them all; m->virtio. */
int virtio_create_all(struct machine *m, struct err *e) __must_check;

/* Nothing of the machine runs any more. Harmless when nothing is there. */
void virtio_destroy_all(struct machine *m);

#endif
