/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel formats share: the memory map, the initrd, the command
 * line, and the descriptor table the entry code runs on.
 */
#include "vmm/boot.h"

#include <errno.h>
#include <string.h>

#include "dev/dma.h"
#include "vmm/image.h"
#include "vmm/layout.h"

unsigned boot_map(const struct boot_source *src, struct boot_range *map)
{
	const struct boot_range all[BOOT_MAP_MAX] = {
		{0, LAYOUT_LOW_END, BOOT_RAM},
		{LAYOUT_LOW_END, 0xa0000 - LAYOUT_LOW_END, BOOT_RESERVED},
		{LAYOUT_BIOS, LAYOUT_HIGH - LAYOUT_BIOS, BOOT_RESERVED},
		{LAYOUT_HIGH, src->low_size - LAYOUT_HIGH, BOOT_RAM},
		{LAYOUT_ECAM, src->pci ? LAYOUT_ECAM_SIZE : 0, BOOT_RESERVED},
		{LAYOUT_IDENTITY_MAP, 4 * 4096, BOOT_RESERVED},
		{LAYOUT_4G, src->high_size, BOOT_RAM},
	};
	unsigned i, n = 0;

	for (i = 0; i < BOOT_MAP_MAX; i++)
		if (all[i].size)
			map[n++] = all[i];
	return n;
}

int boot_initrd(const struct boot_source *src, const struct dma *dma,
		uint64_t floor, uint64_t top, struct boot_blob *out,
		struct err *e)
{
	struct image img;
	void *p;
	int ret;

	*out = (struct boot_blob){0};
	if (!src->initrd)
		return 0;
	ret = image_open(&img, "-initrd", src->initrd, e);
	if (ret)
		return ret;
	top = MIN(top, src->low_size);
	if (img.size < top)
		out->gpa = ALIGN_DOWN(top - img.size, (uint64_t)4096);
	p = dma_ptr(dma, out->gpa, img.size);
	if (out->gpa < floor || !p)
		ret = image_err(&img, e, -ENOSPC,
				"%llu bytes do not fit beside the kernel; give "
				"more memory with -m",
				(unsigned long long)img.size);
	else
		ret = image_read(&img, 0, p, img.size, e);
	out->size = img.size;
	image_close(&img);
	return ret;
}

int boot_cmdline(const struct boot_source *src, const struct dma *dma,
		 uint64_t max, struct err *e)
{
	const char *text = src->append ? src->append : "";
	size_t len = strlen(text);

	max = MIN(max, LAYOUT_CMDLINE_MAX - 1);
	if (len > max)
		return err_set(e, -E2BIG,
			       "-append: %zu bytes are more than the %llu this "
			       "kernel takes",
			       len, (unsigned long long)max);
	if (dma_write(dma, LAYOUT_CMDLINE, text, len + 1))
		return err_set(e, -EFAULT, "-append: no memory to put it");
	return 0;
}

/* Selectors 0x10 and 0x18 are flat code and data, 0x20 a busy TSS. */
static int write_gdt(const struct dma *dma, bool long_mode, struct err *e)
{
	const uint64_t gdt[] = {
		0,
		0,
		long_mode ? 0x00af9b000000ffff : 0x00cf9b000000ffff,
		0x00cf93000000ffff,
		0x00008b0000000067,
	};

	if (dma_write(dma, LAYOUT_GDT, gdt, sizeof(gdt)))
		return err_set(e, -EFAULT, "no memory for the kernel's start");
	return 0;
}

/* 4 GiB mapped one to one in 2 MiB pages. */
static int write_page_tables(const struct dma *dma, struct err *e)
{
	uint64_t *pml4 = dma_ptr(dma, LAYOUT_PAGE_TABLES, 6 * 4096);
	uint64_t *pdpt, *pd, i;

	if (!pml4)
		return err_set(e, -EFAULT, "no memory for the kernel's start");
	pdpt = pml4 + 512;
	pd = pdpt + 512;
	pml4[0] = (LAYOUT_PAGE_TABLES + 4096) | 3;
	for (i = 0; i < 4; i++)
		pdpt[i] = (LAYOUT_PAGE_TABLES + (2 + i) * 4096) | 3;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = i << 21 | 0x83;
	return 0;
}

/*
 * There is no firmware; a guest that jumps to the reset vector all the same
 * finds code that resets by the chipset.
 */
static int write_vector(const struct dma *dma, struct err *e)
{
	static const uint8_t code[] = {
		0xba, 0xf9, 0x0c, /* mov $0xcf9, %dx */
		0xb0, 0x06,       /* mov $6, %al */
		0xee,             /* out %al, %dx */
		0xf4, 0xeb, 0xfd, /* 1: hlt; jmp 1b */
	};

	if (dma_write(dma, LAYOUT_VECTOR, code, sizeof(code)))
		return err_set(e, -EFAULT, "no memory for the reset vector");
	return 0;
}

int boot_load(const struct boot_source *src, const struct dma *dma,
	      struct boot_entry *entry, struct err *e)
{
	struct image img;
	int ret = image_open(&img, "-kernel", src->kernel, e);

	if (ret)
		return ret;
	*entry = (struct boot_entry){0};
	ret = bzimage_load(src, &img, dma, entry, e);
	if (ret == -ENOEXEC)
		ret = multiboot_load(src, &img, dma, entry, e);
	if (ret == -ENOEXEC)
		ret = pvh_load(src, &img, dma, entry, e);
	if (ret == -ENOEXEC)
		ret = image_err(
			&img, e, ret,
			"is neither a bzImage, nor an ELF kernel with a "
			"PVH entry, nor has it a Multiboot header");
	image_close(&img);
	if (!ret)
		ret = write_vector(dma, e);
	if (!ret)
		ret = write_gdt(dma, entry->long_mode, e);
	if (!ret && entry->long_mode) {
		entry->cr3 = LAYOUT_PAGE_TABLES;
		ret = write_page_tables(dma, e);
	}
	return ret;
}
