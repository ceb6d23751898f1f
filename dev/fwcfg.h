/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg: numbered items and named files that a monitor hands to firmware and
 * to kernels. Ports, keys and the DMA interface are QEMU's ("QEMU Firmware
 * Configuration (fw_cfg) Device"). Left out: items the guest may write.
 *
 *   port 0x510, 2 bytes   selects an item, from its start
 *   port 0x511, 1 byte    the item's next byte; zeroes behind its end
 *   port 0x514, 8 bytes   gpa of a request, big-endian; the low half starts it
 */
#ifndef DEV_FWCFG_H
#define DEV_FWCFG_H

#include "lib/util.h"

#define FWCFG_PORT  0x510
#define FWCFG_PORTS 12
#define FWCFG_NAME  56 /* of a file, with its NUL */

/* Keys of items that are no files. */
#define FWCFG_SIGNATURE 0x00
#define FWCFG_ID        0x01
#define FWCFG_UUID      0x02
#define FWCFG_RAM_SIZE  0x03
#define FWCFG_NOGRAPHIC 0x04
#define FWCFG_CPUS      0x05
#define FWCFG_BOOT_MENU 0x0e
#define FWCFG_MAX_CPUS  0x0f
#define FWCFG_FILE_DIR  0x19
#define FWCFG_FILES     0x20 /* the first file's */

#define FWCFG_IRQ0_OVERRIDE 0x8002

struct bus;
struct dma;
struct fwcfg;

/*
 * Claim the ports on @pio; requests reach memory through @dma. What the
 * signature, ID and directory say is there already. -errno of bus_add(),
 * -ENOMEM. *@out is to be destroyed in any case.
 */
int fwcfg_create(struct fwcfg **out, struct bus *pio,
		 const struct dma *dma) __must_check;
void fwcfg_destroy(struct fwcfg *f); /* or NULL */

/*
 * Add an item or a file with a copy of @data; before the guest runs. Files get
 * keys in the order of their names. -EEXIST, -ENAMETOOLONG, -ENOMEM.
 */
int fwcfg_add(struct fwcfg *f, uint16_t key, const void *data,
	      size_t size) __must_check;
int fwcfg_add_file(struct fwcfg *f, const char *name, const void *data,
		   size_t size) __must_check;

#endif
