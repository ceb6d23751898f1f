/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci-testdev: a PCI function on which stores are counted, with and without
 * an eventfd in their way. Layout and behaviour are QEMU's ("QEMU PCI test
 * device"): BAR 0 is memory, BAR 1 ports, each with three tests of its own.
 *
 *   0   test    a store starts that test, others stop what runs
 *   1   width   of the stores to make
 *   4   offset  where in the BAR to make them, 4 bytes
 *   8   data    the value to store
 *   12  count   of stores that came to the device, 4 bytes
 *   16  name    of the test, to a zero
 *
 * Left out: BAR 2, memory without a function.
 */
#ifndef DEV_PCITESTDEV_H
#define DEV_PCITESTDEV_H

#include "dev/pcifn.h"

struct pcitestdev;

/* NULL where there is no memory or no descriptor. */
struct pcitestdev *pcitestdev_create(void);
/* Taken off its bus before; or NULL. */
void pcitestdev_destroy(struct pcitestdev *d);

/* To be plugged and unplugged by the board. */
struct pcifn *pcitestdev_function(struct pcitestdev *d);

#endif
