/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT: processors, the fixed ISA devices, soft-off, and the PCI host
 * bridge with its windows and interrupt routing. PCI INTx lines go to IOAPIC
 * inputs 16-23 directly, swizzled by device.
 */
#include "vmm/dsdt.h"

#include <stdio.h>

#include "dev/fwcfg.h"
#include "dev/isa.h"
#include "dev/pci.h"
#include "dev/pcihp.h"
#include "vmm/layout.h"

static void processors(struct aml *a, const struct acpi_machine *m)
{
	char name[8];
	unsigned i;

	for (i = 0; i < m->cpus; i++) {
		snprintf(name, sizeof(name), "C%03X", i & 0xfffU);
		aml_device(a, name);
		aml_name_string(a, "_HID", "ACPI0007");
		aml_name_integer(a, "_UID", i);
		aml_end(a);
	}
}

static void begin_device(struct aml *a, const char *name, const char *hid)
{
	aml_device(a, name);
	aml_name_eisaid(a, "_HID", hid);
}

static void serial(struct aml *a, uint16_t port)
{
	begin_device(a, "COM1", "PNP0501");
	aml_name_integer(a, "_UID", 1);
	aml_resources(a);
	aml_io(a, port, 8);
	aml_irq(a, ISA_IRQ_COM1);
	aml_end(a);
	aml_end(a);
}

static void rtc(struct aml *a)
{
	begin_device(a, "RTC", "PNP0B00");
	aml_resources(a);
	aml_io(a, ISA_PORT_RTC, 2);
	aml_irq(a, ISA_IRQ_RTC);
	aml_end(a);
	aml_end(a);
}

static void keyboard(struct aml *a)
{
	begin_device(a, "KBD", "PNP0303");
	aml_resources(a);
	aml_io(a, 0x60, 1);
	aml_io(a, 0x64, 1);
	aml_irq(a, ISA_IRQ_KBD);
	aml_end(a);
	aml_end(a);
}

/* The methods by which QEMU's firmware tables drive pvpanic. */
static void pvpanic(struct aml *a, uint16_t port)
{
	static const uint8_t rdpt[] = {0x70, 'P',  'E',  'P',
				       'T',  0x60, 0xa4, 0x60};
	static const uint8_t wrpt[] = {0x70, 0x68, 'P', 'E', 'P', 'T'};

	aml_device(a, "PEVT");
	aml_name_string(a, "_HID", "QEMU0001");
	aml_resources(a);
	aml_io(a, port, 1);
	aml_end(a);
	aml_region_io(a, "PEOR", port, 1);
	aml_field(a, "PEOR", 1); /* byte access */
	aml_field_unit(a, "PEPT", 8);
	aml_end(a);
	aml_name_integer(a, "_STA", 0xf);
	aml_method(a, "RDPT", 0); /* Store (PEPT, Local0), Return (Local0) */
	aml_bytes(a, rdpt, sizeof(rdpt));
	aml_end(a);
	aml_method(a, "WRPT", 1); /* Store (Arg0, PEPT) */
	aml_bytes(a, wrpt, sizeof(wrpt));
	aml_end(a);
	aml_end(a);
}

/* QEMU's name for fw_cfg; by it Linux finds the ports. */
static void fw_cfg(struct aml *a)
{
	aml_device(a, "FWCF");
	aml_name_string(a, "_HID", "QEMU0002");
	aml_name_integer(a, "_STA", 0xb); /* not shown to users */
	aml_resources(a);
	aml_io(a, FWCFG_PORT, FWCFG_PORTS);
	aml_end(a);
	aml_end(a);
}

static void pci_routing(struct aml *a)
{
	unsigned slot, pin;

	aml_package(a, "_PRT", PCI_SLOTS * 4);
	for (slot = 0; slot < PCI_SLOTS; slot++) {
		for (pin = 0; pin < 4; pin++) {
			aml_package(a, NULL, 4);
			aml_integer(a, (uint64_t)slot << 16 | 0xffff);
			aml_integer(a, pin);
			aml_integer(a, 0);
			aml_integer(a, DSDT_PCI_GSI +
					       (slot + pin) % PCI_INTX_LINES);
			aml_end(a);
		}
	}
	aml_end(a);
}

/* The ports of dev/pcihp.h. */
static void pci_hotplug_ports(struct aml *a)
{
	aml_region_io(a, "HPRG", PCIHP_PORT, PCIHP_SIZE);
	aml_field(a, "HPRG", 3); /* double words */
	aml_field_unit(a, "PCIU", 32);
	aml_field_unit(a, "PCID", 32);
	aml_field_unit(a, "EJCT", 32);
	aml_end(a);
}

/* A slot, which may be empty, and can be emptied. */
static void pci_slot(struct aml *a, unsigned slot)
{
	char name[8];

	snprintf(name, sizeof(name), "S%02X", slot & 0xffU);
	aml_device(a, name);
	aml_name_integer(a, "_SUN", slot);
	aml_name_integer(a, "_ADR", (uint64_t)slot << 16);
	aml_method(a, "_EJ0", 1);
	aml_store_integer(a, BIT(slot), "EJCT");
	aml_end(a);
	aml_end(a);
}

/* What the event of slots does: look at each. */
static void pci_hotplug_event(struct aml *a)
{
	char path[8];
	unsigned slot;

	aml_method(a, "PCNT", 0);
	aml_load(a, "PCIU", 0);
	aml_load(a, "PCID", 1);
	for (slot = 1; slot < PCI_SLOTS; slot++) {
		snprintf(path, sizeof(path), "S%02X", slot & 0xffU);
		aml_if_bit(a, 0, BIT(slot));
		aml_notify(a, path, 1); /* device check */
		aml_end(a);
		aml_if_bit(a, 1, BIT(slot));
		aml_notify(a, path, 3); /* eject request */
		aml_end(a);
	}
	aml_end(a);
}

static void gpe(struct aml *a)
{
	aml_scope(a, "\\_GPE");
	aml_method(a, "_E01", 0);
	aml_path(a, "\\_SB.PCI0.PCNT");
	aml_end(a);
	aml_end(a);
}

static void pci_host(struct aml *a)
{
	unsigned slot;

	begin_device(a, "PCI0", "PNP0A08");
	aml_name_eisaid(a, "_CID", "PNP0A03");
	aml_name_integer(a, "_UID", 0);
	aml_name_integer(a, "_SEG", 0);
	aml_name_integer(a, "_BBN", 0);
	aml_name_integer(a, "_CCA", 1);
	aml_resources(a);
	aml_word_bus(a, 0, 0xff);
	aml_io(a, 0xcf8, 8);
	aml_word_io(a, 0x0000, 0x0cf7);
	aml_word_io(a, LAYOUT_PCI_PORTS, LAYOUT_PCI_PORTS_END - 1);
	aml_dword_memory(a, LAYOUT_PCI32_BASE, LAYOUT_PCI32_END - 1);
	aml_end(a);
	pci_routing(a);
	for (slot = 1; slot < PCI_SLOTS; slot++)
		pci_slot(a, slot);
	pci_hotplug_event(a);
	aml_end(a);
}

/* The name by which Linux finds virtio devices in memory. */
static void virtio_mmio(struct aml *a, unsigned n)
{
	char name[8];

	snprintf(name, sizeof(name), "VR%02X", n & 0xffU);
	aml_device(a, name);
	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_integer(a, "_UID", n);
	aml_name_integer(a, "_CCA", 1);
	aml_resources(a);
	aml_memory32(a, (uint32_t)(LAYOUT_VIRTIO + n * LAYOUT_VIRTIO_STEP),
		     (uint32_t)LAYOUT_VIRTIO_STEP);
	aml_interrupt(a, LAYOUT_VIRTIO_GSI + n);
	aml_end(a);
	aml_end(a);
}

/* What the board decodes itself and no guest may hand out. */
static void board(struct aml *a, const struct acpi_machine *m)
{
	begin_device(a, "MBRD", "PNP0C02");
	aml_resources(a);
	aml_io(a, ISA_PORT_PM, ACPI_PM_SIZE);
	aml_io(a, ISA_PORT_GPE, ACPI_GPE_SIZE);
	aml_io(a, 0x80, 1);
	aml_io(a, 0x92, 1);
	if (m->pci) {
		aml_io(a, PCIHP_PORT, PCIHP_SIZE);
		aml_memory32(a, LAYOUT_ECAM, LAYOUT_ECAM_SIZE);
	}
	aml_end(a);
	aml_end(a);
}

static void soft_off(struct aml *a)
{
	unsigned i;

	aml_package(a, "_S5", 4);
	aml_integer(a, ISA_SLP_S5);
	aml_integer(a, ISA_SLP_S5);
	for (i = 2; i < 4; i++)
		aml_integer(a, 0);
	aml_end(a);
}

void dsdt_body(struct aml *a, const struct acpi_machine *m)
{
	unsigned i;

	aml_scope(a, "\\_SB");
	processors(a, m);
	if (m->pci) {
		pci_hotplug_ports(a);
		pci_host(a);
	}
	board(a, m);
	for (i = 0; i < m->virtio_mmio; i++)
		virtio_mmio(a, i);
	if (m->serial_port)
		serial(a, m->serial_port);
	rtc(a);
	keyboard(a);
	fw_cfg(a);
	if (m->pvpanic_port)
		pvpanic(a, m->pvpanic_port);
	aml_end(a);
	if (m->pci)
		gpe(a);
	soft_off(a);
}
