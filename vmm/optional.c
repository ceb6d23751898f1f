/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of no bus that only some machines have: those by which a guest
 * talks to whoever tests it.
 */
#include <errno.h>
#include <stdlib.h>

#include "dev/pcitestdev.h"
#include "dev/pctestdev.h"
#include "vmm/machine.h"

static int init_testdev(struct machine *m, struct err *e)
{
	int ret;

	m->testdev = calloc(1, sizeof(*m->testdev));
	if (!m->testdev)
		return err_set(e, -ENOMEM, "out of memory");
	m->testdev->irq = (struct chip_pin){machine_irq, m, 0};
	m->testdev->dma = &m->dma;
	ret = pctestdev_init(m->testdev, &m->pio, &m->mmio);
	if (ret)
		return err_set(e, ret,
			       "-device pc-testdev: another device has one of "
			       "its ports");
	return 0;
}

static int init_pcitest(struct machine *m, struct err *e)
{
	int ret;

	m->pcitest = pcitestdev_create();
	if (!m->pcitest)
		return err_set(e, -ENOMEM, "out of memory");
	ret = pci_plug(&m->pci, pcitestdev_function(m->pcitest), 0);
	if (ret)
		return err_set(e, ret,
			       "-device pci-testdev: no room on the PCI bus");
	return 0;
}

static int init_ports(struct machine *m, struct err *e)
{
	const struct config *c = m->config;
	int ret = 0;

	if (c->pvpanic)
		ret = pvpanic_init(&m->pio, c->pvpanic_port, &m->power);
	if (ret)
		return err_set(e, ret,
			       "-device pvpanic: ioport %#x is another "
			       "device's",
			       c->pvpanic_port);
	if (c->debug_exit)
		ret = debug_exit_init(&m->pio, c->debug_exit_port,
				      c->debug_exit_size, &m->power);
	if (ret)
		return err_set(e, ret,
			       "-device isa-debug-exit: iobase %#x is another "
			       "device's",
			       c->debug_exit_port);
	m->debugcon.console = m->host->debugcon;
	if (m->debugcon.console)
		ret = debugcon_init(&m->debugcon, &m->pio, c->debugcon_port);
	if (ret)
		return err_set(e, ret,
			       "-debugcon: port %#x is another device's",
			       c->debugcon_port);
	return 0;
}

int board_init_optional(struct machine *m, struct err *e)
{
	int ret = init_ports(m, e);

	if (!ret && m->config->pc_testdev)
		ret = init_testdev(m, e);
	if (!ret && m->config->pci_testdev)
		ret = init_pcitest(m, e);
	return ret;
}

void board_exit_optional(struct machine *m)
{
	if (m->pcitest)
		pci_unplug(&m->pci, pcitestdev_function(m->pcitest));
	pcitestdev_destroy(m->pcitest);
	m->pcitest = NULL;
	free(m->testdev);
	m->testdev = NULL;
}
