/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and formats are QEMU's for a PC; all numbers little-endian.
 */
#include "vmm/fwitems.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "dev/fwcfg.h"
#include "vmm/boot.h"
#include "vmm/layout.h"
#include "vmm/machine.h"

struct e820_entry {
	uint64_t base, size;
	uint32_t type;
} __packed;

static int add_number(struct fwcfg *f, uint16_t key, uint64_t value,
		      size_t size)
{
	value = htole64(value);
	return fwcfg_add(f, key, &value, size);
}

/* One more than the highest APIC id there may be, as a PC counts them. */
static unsigned apic_ids(const struct topo *topo)
{
	return topo_place(topo, topo->maxcpus - 1).apic_id + 1;
}

static int add_numbers(struct machine *m)
{
	const uint8_t uuid[16] = {0};
	struct fwcfg *f = m->fwcfg;
	int ret = fwcfg_add(f, FWCFG_UUID, uuid, sizeof(uuid));

	if (!ret)
		ret = add_number(f, FWCFG_RAM_SIZE, m->config->ram_size, 8);
	if (!ret)
		ret = add_number(f, FWCFG_NOGRAPHIC, 1, 2);
	if (!ret)
		ret = add_number(f, FWCFG_CPUS, m->host->cpu->topo.cpus, 2);
	if (!ret)
		ret = add_number(f, FWCFG_MAX_CPUS,
				 apic_ids(&m->host->cpu->topo), 2);
	if (!ret)
		ret = add_number(f, FWCFG_BOOT_MENU, 0, 2);
	if (!ret)
		ret = add_number(f, FWCFG_IRQ0_OVERRIDE, 1, 4);
	return ret;
}

/* RAM only: firmware adds what it takes for itself. */
static int add_e820(struct machine *m)
{
	const struct e820_entry map[] = {
		{0, htole64(m->low_size), htole32(BOOT_RAM)},
		{htole64(LAYOUT_4G), htole64(m->high_size), htole32(BOOT_RAM)},
	};
	unsigned n = m->high_size ? 2 : 1;

	return fwcfg_add_file(m->fwcfg, "etc/e820", map, n * sizeof(map[0]));
}

static int add_operators(struct machine *m, struct err *e)
{
	const struct fwdata *d = m->host->fw;
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && d && i < d->count; i++) {
		const char *name = d->conf->item[i].name;

		ret = fwcfg_add_file(m->fwcfg, name, d->data[i].p,
				     d->data[i].size);
		if (ret == -EEXIST)
			err_set(e, ret, "-fw_cfg: '%s' is the machine's own",
				name);
	}
	return ret;
}

int fwitems_create(struct machine *m, struct err *e)
{
	int ret = fwcfg_create(&m->fwcfg, &m->pio, &m->dma);

	if (!ret)
		ret = add_numbers(m);
	if (!ret)
		ret = add_e820(m);
	if (!ret)
		ret = add_operators(m, e);
	return ret ? err_set(e, ret, "fw_cfg: %s", strerror(-ret)) : 0;
}
