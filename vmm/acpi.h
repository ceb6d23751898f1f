/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of our machines: RSDP, RSDT, XSDT, FADT, FACS, DSDT, MADT
 * and, with PCI, MCFG. Document: ACPI 6.5. Fixed hardware, not reduced: PM1a
 * and the PM timer are chip/acpi_pm.h's, a GPE says that PCI slots changed.
 * Left out: sleep states but S5, HPET (there is none).
 */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include "lib/err.h"

#define ACPI_MAX_SIZE ((128U << 10) - 16) /* up to LAYOUT_VECTOR */

struct acpi_machine {
	const uint32_t *apic_id; /* one per CPU */
	unsigned cpus;
	unsigned ioapic_id;
	bool pci;
	unsigned virtio_mmio;  /* devices at LAYOUT_VIRTIO */
	uint16_t serial_port;  /* COM1, 0: none */
	uint16_t pvpanic_port; /* 0: none */
};

/*
 * Write the tables into @buf, which the guest sees at @gpa; the RSDP is at
 * its start. Returns the bytes used or -ENOSPC.
 */
int acpi_build(uint8_t *buf, size_t size, uint64_t gpa,
	       const struct acpi_machine *m, struct err *e) __must_check;

#endif
