/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in guest physical memory. Below 1 MiB a loaded kernel
 * finds what the loader left; RAM fills up to 3 GiB and goes on at 4 GiB;
 * between them are PCI windows and the interrupt controllers.
 */
#ifndef VMM_LAYOUT_H
#define VMM_LAYOUT_H

#define LAYOUT_GDT         0x000500ULL
#define LAYOUT_START_INFO  0x006000ULL /* PVH: hvm_start_info and friends */
#define LAYOUT_BOOT_PARAMS 0x007000ULL
#define LAYOUT_SETUP_DATA  0x008000ULL
#define LAYOUT_PAGE_TABLES 0x009000ULL /* six pages */
#define LAYOUT_STACK_TOP   0x010000ULL
#define LAYOUT_CMDLINE     0x020000ULL
#define LAYOUT_CMDLINE_MAX 0x010000ULL /* bytes, with the NUL */
#define LAYOUT_LOW_END     0x09fc00ULL /* RAM below this, then EBDA */
#define LAYOUT_BIOS        0x0e0000ULL /* ACPI tables, to 1 MiB */
#define LAYOUT_VECTOR      0x0ffff0ULL /* f000:fff0, where a PC resets to */
#define LAYOUT_HIGH        0x100000ULL

#define LAYOUT_PCI_HOLE      0xc0000000ULL /* RAM below 4 GiB ends here */
#define LAYOUT_PCI32_BASE    0xc0000000ULL
#define LAYOUT_PCI32_END     0xe0000000ULL
#define LAYOUT_PCI_PORTS     0xc000ULL
#define LAYOUT_PCI_PORTS_END 0x10000ULL
#define LAYOUT_ECAM          0xe0000000ULL
#define LAYOUT_ECAM_SIZE     0x10000000ULL /* 256 buses */
#define LAYOUT_VIRTIO        0xfeb00000ULL /* devices without PCI */
#define LAYOUT_VIRTIO_STEP   0x1000ULL
#define LAYOUT_VIRTIO_GSI    16U
#define LAYOUT_IOAPIC        0xfec00000ULL
#define LAYOUT_LAPIC         0xfee00000ULL
#define LAYOUT_IDENTITY_MAP  0xfeffc000ULL /* one page for KVM */
#define LAYOUT_TSS           0xfeffd000ULL /* three pages for KVM */
#define LAYOUT_4G            0x100000000ULL

#endif
