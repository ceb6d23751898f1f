/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The definition block of our machines.
 */
#ifndef VMM_DSDT_H
#define VMM_DSDT_H

#include "vmm/acpi.h"
#include "vmm/aml.h"

#define DSDT_PCI_GSI 16 /* INTx line 0 */

/* The DSDT's byte code, after the table header. */
void dsdt_body(struct aml *a, const struct acpi_machine *m);

#endif
