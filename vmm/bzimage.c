/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImage by the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst).
 * The protected-mode part goes to 1 MiB; a 64-bit kernel is entered by its
 * 64-bit entry, a 32-bit one by the 32-bit entry. Left out: zImage, which
 * loads low, and protocols before 2.06 (Linux 2.6.22).
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "dev/dma.h"
#include "vmm/boot.h"
#include "vmm/image.h"
#include "vmm/layout.h"

#define SECTOR       512
#define HDR_OFFSET   0x1f1
#define HDR_END_BYTE 0x201 /* offset of the header's end, from 0x202 */
#define BOOT_FLAG    0xaa55
#define HDR_MAGIC    0x53726448 /* "HdrS" */
#define ENTRY64      0x200
#define LOADER_OTHER 0xff
#define VGA_NORMAL   0xffff
#define SEED_SIZE    32

struct bzimage {
	const struct boot_source *src;
	const struct image *img;
	const struct dma *dma;
	struct boot_params params;
	uint64_t setup_size; /* real-mode part, bytes in the file */
	uint64_t code_size;  /* protected-mode part */
	uint64_t ram_end;    /* the kernel uses memory up to here at start */
};

static int check_header(const struct bzimage *b, struct err *e)
{
	const struct setup_header *h = &b->params.hdr;

	if (h->version < 0x206)
		return image_err(b->img, e, -EINVAL,
				 "speaks boot protocol %u.%02u, 2.06 is the "
				 "oldest accepted",
				 h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return image_err(b->img, e, -EINVAL,
				 "is a zImage, only a bzImage is accepted");
	if (b->setup_size + b->code_size > b->img->size)
		return image_err(
			b->img, e, -EINVAL,
			"is truncated: its header promises %llu "
			"bytes, the file has %llu",
			(unsigned long long)(b->setup_size + b->code_size),
			(unsigned long long)b->img->size);
	if (b->code_size <= ENTRY64)
		return image_err(b->img, e, -EINVAL,
				 "has no protected-mode code");
	return 0;
}

/* Fill params.hdr from the file, as much of it as the file's version has. */
static int read_header(struct bzimage *b, struct err *e)
{
	struct setup_header *h = &b->params.hdr;
	uint8_t first[1024];
	size_t end;
	int ret;

	if (b->img->size < sizeof(first))
		return -ENOEXEC;
	ret = image_read(b->img, 0, first, sizeof(first), e);
	if (ret)
		return ret;
	memcpy(h, first + HDR_OFFSET, sizeof(*h));
	if (h->boot_flag != BOOT_FLAG || h->header != HDR_MAGIC)
		return -ENOEXEC;
	end = 0x202 + first[HDR_END_BYTE];
	if (end < HDR_OFFSET + sizeof(*h))
		memset((uint8_t *)h + (end - HDR_OFFSET), 0,
		       HDR_OFFSET + sizeof(*h) - end);
	b->setup_size = ((h->setup_sects ? h->setup_sects : 4) + 1) * SECTOR;
	b->code_size = (uint64_t)h->syssize * 16;
	return check_header(b, e);
}

static int load_code(struct bzimage *b, struct err *e)
{
	const struct setup_header *h = &b->params.hdr;
	uint64_t end = LAYOUT_HIGH + b->code_size;
	void *p = dma_ptr(b->dma, LAYOUT_HIGH, b->code_size);

	/* It unpacks itself to where it wants to run and moves up for that. */
	if (h->version >= 0x20a && h->pref_address < LAYOUT_PCI_HOLE)
		end = MAX(end,
			  MAX(h->pref_address, LAYOUT_HIGH) + h->init_size);
	if (!p || end > b->src->low_size)
		return image_err(b->img, e, -ENOMEM,
				 "needs %llu MiB of memory to start; give more "
				 "with -m",
				 (unsigned long long)(end + 0xfffff) >> 20);
	b->ram_end = end;
	return image_read(b->img, b->setup_size, p, b->code_size, e);
}

static int load_initrd(struct bzimage *b, struct err *e)
{
	struct setup_header *h = &b->params.hdr;
	struct boot_blob blob;
	uint64_t top = (uint64_t)h->initrd_addr_max + 1;
	int ret = boot_initrd(b->src, b->dma, b->ram_end, top, &blob, e);

	h->ramdisk_image = (uint32_t)blob.gpa;
	h->ramdisk_size = (uint32_t)blob.size;
	return ret;
}

/* Randomness for a kernel that has seen no entropy yet. */
static int add_seed(struct bzimage *b, struct err *e)
{
	struct setup_data head = {.type = SETUP_RNG_SEED, .len = SEED_SIZE};
	uint8_t seed[sizeof(head) + SEED_SIZE];

	if (b->params.hdr.version < 0x209)
		return 0;
	memcpy(seed, &head, sizeof(head));
	if (getrandom(seed + sizeof(head), SEED_SIZE, 0) != SEED_SIZE)
		return err_set(e, -EIO, "this host gives no random bytes");
	if (dma_write(b->dma, LAYOUT_SETUP_DATA, seed, sizeof(seed)))
		return err_set(e, -EFAULT, "no memory for the kernel's start");
	b->params.hdr.setup_data = LAYOUT_SETUP_DATA;
	return 0;
}

static void fill_params(struct bzimage *b)
{
	struct boot_params *p = &b->params;
	struct boot_range map[BOOT_MAP_MAX];
	unsigned i;

	p->hdr.type_of_loader = LOADER_OTHER;
	p->hdr.vid_mode = VGA_NORMAL;
	p->hdr.loadflags &= (uint8_t)~CAN_USE_HEAP;
	p->hdr.code32_start = LAYOUT_HIGH;
	p->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	p->acpi_rsdp_addr = b->src->rsdp;
	p->e820_entries = (uint8_t)boot_map(b->src, map);
	for (i = 0; i < p->e820_entries; i++) {
		p->e820_table[i].addr = map[i].base;
		p->e820_table[i].size = map[i].size;
		p->e820_table[i].type = map[i].type;
	}
}

int bzimage_load(const struct boot_source *src, const struct image *img,
		 const struct dma *dma, struct boot_entry *entry, struct err *e)
{
	struct bzimage b = {.src = src, .img = img, .dma = dma};
	const struct setup_header *h = &b.params.hdr;
	int ret = read_header(&b, e);

	if (!ret)
		ret = load_code(&b, e);
	if (!ret)
		ret = load_initrd(&b, e);
	if (!ret)
		ret = boot_cmdline(src, dma, h->cmdline_size, e);
	if (!ret)
		ret = add_seed(&b, e);
	if (ret)
		return ret;
	fill_params(&b);
	if (dma_write(dma, LAYOUT_BOOT_PARAMS, &b.params, sizeof(b.params)))
		return err_set(e, -EFAULT, "no memory for the kernel's start");
	entry->long_mode = h->version >= 0x20c &&
			   (h->xloadflags & XLF_KERNEL_64);
	entry->rip = LAYOUT_HIGH + (entry->long_mode ? ENTRY64 : 0);
	entry->rsi = LAYOUT_BOOT_PARAMS;
	return 0;
}
